package callout_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gomilter/gomilter/callout"
	"github.com/gomilter/gomilter/dns"
)

func ExampleChecker_Ask() {
	z, _ := dns.ParseZone("sample.zone", strings.NewReader(`
example.com      MX 10 mail.example.com.
mail.example.com A  11.0.0.1
example.net      MX 0 .
example.org      MX 10 localhost.
localhost        A  127.0.0.1
`))
	var c *callout.Checker
	c, err := callout.New(callout.Options{
		Resolver:  z,
		Helo:      "mx.example.edu",
		PerDomain: 2, // questions a minute
		Terms:     callout.Terms{Refused: time.Hour},
		Dial: func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
			return nil, errors.New("this example calls nobody")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	for _, r := range c.Ask(ctx, "ann@example.com", "bob@example.net", "carl@example.org") {
		fmt.Println(r.Address, r)
		fmt.Println("  to be told to others:", r.Reason.Text())
	}
	var s callout.Stats = c.Stats()
	fmt.Println(s.Questions, "questions,", s.Connections, "connection")
	// Output:
	// ann@example.com unknown (no-answer): connect: this example calls nobody
	//   to be told to others: no mail server of its domain answers
	// bob@example.net refused (null-mx): 556 5.1.10 example.net takes no mail (null MX)
	//   to be told to others: its domain takes no mail
	// carl@example.org refused (bogus-host): 553 5.4.4 the mail servers of example.org have addresses that are none on the Internet
	//   to be told to others: its domain has no mail server that can be reached
	// 3 questions, 1 connection
}

func ExampleResult() {
	r := callout.Result{
		Verdict: callout.Refused, Reason: callout.NoMailbox,
		Host: "mail.example.com", Addr: netip.MustParseAddr("192.0.2.1"),
		Reply: callout.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user"},
	}
	switch r.Verdict {
	case callout.Verdict("refused"):
		fmt.Println("log:", r)
		fmt.Println("reply:", r.Reason.Text())
	}
	var why callout.Reason = callout.Greylisted
	fmt.Println(why, "is", why.Verdict())
	// Output:
	// log: refused (no-mailbox): mail.example.com [192.0.2.1] said 550 5.1.1 no such user
	// reply: a mail server of its domain refuses the address
	// greylisted is unknown
}

func ExampleNewMemory() {
	var cache callout.Cache
	var m *callout.Memory = callout.NewMemory(1000, nil)
	cache = m // for several Checkers
	ctx := context.Background()
	cache.Put(ctx, "key", []byte("value"), time.Hour)
	value, ok, err := cache.Get(ctx, "key")
	fmt.Println(string(value), ok, err)
	// Output: value true <nil>
}
