package access_test

import (
	"errors"
	"fmt"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/access"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/policy"
)

func ExampleNew() {
	file, err := policy.Parse("access", []byte("SPF-Fail REJECT\nSPF-Fail:.example.com OK\nDMARC-Fail-Quarantine QUARANTINE\n"), policy.Sendmail, policy.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := policy.New(policy.Table{Name: "access", Entries: file.Entries})
	if err != nil {
		fmt.Println(err)
		return
	}
	policies, err := access.New("access", access.Options{Map: m, Wait: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	checks, err := auth.New("auth", auth.Options{ID: "mx.example.net"})
	if err != nil {
		fmt.Println(err)
		return
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: checks}, {Filter: policies}}}
	srv := &milter.Server{New: chain.Hooks} // and srv.ListenAndServe
	fmt.Println(srv.New != nil, chain.Check(), policies.Needs.Actions)
	// Output: true <nil> QUARANTINE
}

func ExampleOptions() {
	_, err := access.New("access", access.Options{HeloNumeric: true, HeloNames: []string{"*.example.net", "not a name"}})
	fmt.Println(errors.Is(err, access.ErrOptions))
	fmt.Println(err)
	// Output:
	// true
	// access: options are not right: HeloNames[1]: address: pattern "not a name": no host name with the wildcards * and ?
}
