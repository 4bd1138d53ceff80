package scan_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/scan"
)

// Viruses are refused, spam is marked, and refused where there is no doubt.
func ExampleNew() {
	viruses, err := scan.New("viruses", scan.Options{Scanner: scan.Clamd, Servers: []string{"unix:/run/clamav/clamd.ctl"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	spam, err := scan.New("spam", scan.Options{
		Scanner: scan.Spamd,
		Servers: []string{"unix:/run/spamd.sock", "spam.example.net:783"},
		Scores:  []scan.Threshold{{Score: 15, Action: scan.Reject}},
		OnDown:  scan.Tag, // mail goes on without it
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: viruses}, {Filter: spam}}}
	srv := &milter.Server{New: chain.Hooks} // and srv.ListenAndServe
	fmt.Println(srv.New != nil, chain.Check(), viruses.Ready != nil, spam.Ready != nil)
	// Output: true <nil> true false
}

// rspamd decides itself, in turns on two hosts, and writes its own fields.
func ExampleOptions() {
	f, err := scan.New("rspamd", scan.Options{
		Scanner:    scan.Rspamd,
		Servers:    []string{"inet:11333@192.0.2.1", "inet:11333@192.0.2.2"},
		RoundRobin: true,
		Timeout:    10 * time.Second,
		Follow:     true,
		ApplyEdits: true,
		MaxSize:    10 << 20,
		OnLarge:    scan.Accept,
	})
	fmt.Println(f.Contacts, f.Needs.Actions, err)
	// Output: true ADDHDRS|CHGHDRS|QUARANTINE <nil>
}

func ExampleThreshold() {
	scores := []scan.Threshold{
		{Score: 5, Action: scan.TagSubject},
		{Score: 10, Action: scan.Quarantine},
		{Score: 20, Action: scan.Discard},
	}
	_, err := scan.New("spam", scan.Options{Scanner: scan.Spamd, Servers: []string{"localhost:783"}, Scores: scores})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleScanner() {
	var s scan.Scanner
	err := s.UnmarshalText([]byte("rspamd"))
	fmt.Println(s == scan.Rspamd, err)
	fmt.Println(scan.Clamd, scan.Spamd, scan.Rspamd)
	// Output:
	// true <nil>
	// clamd spamd rspamd
}

func ExampleAction() {
	for a := scan.Default; a <= scan.Discard; a++ {
		fmt.Print(a, " ")
	}
	// Output: default accept tag tag-subject quarantine tempfail reject discard
}

func ExampleErrOptions() {
	_, err := scan.New("spam", scan.Options{Scanner: scan.Spamd, Password: "secret"})
	fmt.Println(errors.Is(err, scan.ErrOptions))
	fmt.Println(err)
	// Output:
	// true
	// scan: options are not right: Password, Follow and ApplyEdits are for rspamd
	// scan: options are not right: there is no server
}

// A filter behind scanners goes by what they said.
func Example_facts() {
	f := &filter.Filter{Name: "careful", Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		scans, _ := filter.Told[filter.Scans](t)
		for _, s := range scans {
			if s.Score > s.Threshold/2 && t.Class() == filter.External {
				return milter.TempFail(451, "4.7.1", "please try again later"), nil
			}
		}
		return milter.Accept, nil
	}}
	fmt.Println(f.Name)
	// Output: careful
}
