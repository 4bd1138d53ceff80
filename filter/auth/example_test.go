package auth_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/internal/memconn"
	"github.com/gomilter/gomilter/mta"
)

// What was found of a message stands on top of it.
func ExampleNew() {
	zone, err := dns.ParseZone("example", strings.NewReader(`
example.org         TXT "v=spf1 ip4:192.0.2.25 -all"
_dmarc.example.org  TXT "v=DMARC1; p=reject"
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := auth.New("auth", auth.Options{
		Resolver: dns.NewCache(zone, dns.CacheOptions{}),
		ID:       "mx.example.com",
		Methods:  []auth.Method{auth.SPF, auth.DKIM, auth.DMARC},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Explain: func(*filter.Explanation) {}}
	fmt.Print(deliver(chain, "<anna@example.org>", "From: anna@example.org\nSubject: lunch\n\nAt noon?\n"))
	// Output:
	// Authentication-Results: mx.example.com;
	// 	spf=pass (record of example.org, ip4:192.0.2.25)
	// 	smtp.mailfrom=anna@example.org; dkim=none (no signature);
	// 	dmarc=pass policy.dmarc=reject header.from=example.org
	// From: anna@example.org
	// Subject: lunch
	//
	// At noon?
}

// Policies of authors' domains are followed, but for the mail of a list that does not rewrite
// From.
func ExampleOverride() {
	var o auth.DMARCOptions
	o.Action = auth.Published
	o.Overrides = []auth.Override{ // the first that a message meets counts
		{DKIM: []string{"lists.example.net"}, Action: auth.Report},
		{Domains: []string{"bank.example", "*.bank.example"}, Action: auth.Reject},
		{Clients: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Action: auth.Tag},
	}
	_, err := auth.New("auth", auth.Options{DMARC: o})
	fmt.Println(err)
	// Output: <nil>
}

// What the old spfmilter did beside the RFC.
func ExampleSPFOptions() {
	_, err := auth.New("auth", auth.Options{
		ReceivedSPF: true,
		SPF: auth.SPFOptions{
			Guess:      "v=spf1 a/24 mx/24 ptr",
			Local:      map[string]string{"example.net": "v=spf1 mx -all"},
			Forwarders: []string{"forwarder.example"},
			Lax:        true,
		},
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleDKIMOptions() {
	_, err := auth.New("auth", auth.Options{DKIM: auth.DKIMOptions{
		Classes: []filter.Class{filter.External, filter.Internal}, MaxSignatures: 5, MinRSABits: 2048}})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleMethod() {
	var m auth.Method
	fmt.Println(m.UnmarshalText([]byte("iprev")), m == auth.IPRev)
	// Output: <nil> true
}

func ExampleAction() {
	var a auth.Action
	fmt.Println(a)
	fmt.Println(a.UnmarshalText([]byte("published")), a == auth.Published)
	// Output:
	// report
	// <nil> true
}

// deliver returns the message as the MTA would deliver it.
func deliver(chain *filter.Chain, from, text string) string {
	b, err := play(&milter.Server{New: chain.Hooks}, mta.Mail{
		Conn: mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.25:25")}, Helo: "client.example",
		From: from, Rcpts: []string{"<bob@example.com>"}, Data: []byte(strings.ReplaceAll(text, "\n", "\r\n")),
	})
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// play sends a message through a server and returns what is delivered.
func play(srv *milter.Server, m mta.Mail) ([]byte, error) {
	c, stop := serve(srv)
	defer stop()
	r, err := c.Send(context.Background(), m)
	if err != nil {
		return nil, err
	}
	return r.Message.Bytes(), nil
}

// serve serves a filter in memory, and returns an MTA that asks it.
func serve(srv *milter.Server) (c *mta.Client, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ln := memconn.Listen("auth")
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, ln) }()
	c = &mta.Client{Profile: mta.Postfix, Hostname: "mta.example", QueueID: func() string { return "Q1" }}
	c.Milters = []mta.Milter{{Name: "auth", Dial: func(context.Context) (net.Conn, error) {
		if conn := ln.Dial(); conn != nil {
			return conn, nil
		}
		return nil, net.ErrClosed
	}}}
	return c, func() {
		cancel()
		<-done
	}
}
