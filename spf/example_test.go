package spf_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/spf"
)

const exampleZone = `
example.com.     TXT "v=spf1 a:mx.example.com -all exp=why.example.com"
why.example.com. TXT "%{i} is not ours"
mx.example.com.  A   192.0.2.25
broken.example.  TXT "v=spf1 ipv4:192.0.2.25 -all"
`

func ExampleChecker() {
	zone, err := dns.ParseZone("zone", strings.NewReader(exampleZone)) // a daemon has dns.NewSystem
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &spf.Checker{Resolver: zone, Lax: true}
	for _, q := range []spf.Query{
		{IP: netip.MustParseAddr("192.0.2.25"), From: "alice@example.com", Helo: "mx.example.com"},
		{IP: netip.MustParseAddr("198.51.100.7"), From: "alice@example.com", Helo: "evil.example"},
		{IP: netip.MustParseAddr("192.0.2.25"), From: "bob@broken.example", Helo: "mx.example.com"},
	} {
		res := c.Check(context.Background(), q, spf.MailFrom)
		fmt.Printf("%s by %s: %s%s (%s)\n", res.Value, res.Mechanism, res.Explanation, res.Problem, res.Effective())
	}
	checked := spf.Checked{Helo: c.Check(context.Background(), spf.Query{IP: netip.MustParseAddr("192.0.2.25"), Helo: "[192.0.2.25]"}, spf.Helo)}
	fmt.Println(checked.Helo.Value, checked.Helo.Problem)
	// Output:
	// pass by a:mx.example.com:  (pass)
	// fail by all: 198.51.100.7 is not ours (fail)
	// permerror by ip4:192.0.2.25: broken.example: ipv4:192.0.2.25: no such mechanism (pass)
	// none not a domain: [192.0.2.25]
}

func ExampleResult_ReceivedSPF() {
	var id spf.Identity = spf.MailFrom
	res := spf.Result{Value: spf.Pass, Identity: id, Domain: "example.com", Source: spf.Published, Mechanism: "mx"}
	q := spf.Query{IP: netip.MustParseAddr("192.0.2.25"), From: "alice@example.com", Helo: "mx.example.com"}
	field := res.ReceivedSPF("mx.here.example", q)
	field.Extra = map[string]string{"x-helo-spf": string(spf.None)}
	fmt.Println("Received-SPF:", strings.ReplaceAll(field.String(), "\t", "  "))
	// Output:
	// Received-SPF: pass (mx.here.example: example.com lets 192.0.2.25 send)
	//   client-ip=192.0.2.25; envelope-from="alice@example.com"; helo=mx.example.com;
	//   receiver=mx.here.example; mechanism=mx; x-helo-spf=none; identity=mailfrom
}

func ExampleParseReceivedSPF() {
	var f spf.ReceivedSPF
	f, err := spf.ParseReceivedSPF("Pass (mx: ok)\r\n\tclient-ip=192.0.2.25; envelope-from=\"alice@example.com\"; x-helo-spf=none")
	fmt.Println(f.Value, f.ClientIP, f.From, f.Extra["x-helo-spf"], err)
	_, err = spf.ParseReceivedSPF("good client-ip=192.0.2.25")
	fmt.Println(err)
	// Output:
	// pass 192.0.2.25 alice@example.com none <nil>
	// spf: Received-SPF: "good" is no result
}

func ExampleCheckRecord() {
	fmt.Println(spf.CheckRecord("v=spf1 a mx -all"))
	fmt.Println(spf.CheckRecord("v=spf1 ipv4:192.0.2.1 -all"))
	// Output:
	// <nil>
	// spf: ipv4:192.0.2.1: no such mechanism
}

func ExampleValue() {
	var source spf.Source = spf.Guess
	res := spf.Result{Value: spf.Pass, Source: source, Domain: "example.com"}
	fmt.Println(res.Reason(spf.Query{IP: netip.MustParseAddr("192.0.2.25")}))
	var v spf.Value = res.Effective()
	fmt.Println(v)
	// Output:
	// the guess for example.com lets 192.0.2.25 send
	// pass
}
