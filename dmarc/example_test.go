package dmarc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

const zone = `
_dmarc.example.com  TXT "v=DMARC1; p=reject; sp=quarantine; t=y"
www.example.com     A   192.0.2.1
`

func ExampleChecker() {
	z, err := dns.ParseZone("sample.zone", strings.NewReader(zone))
	if err != nil {
		fmt.Println(err)
		return
	}
	c := dmarc.Checker{Resolver: z}
	var r dmarc.Result = c.Check(context.Background(), "example.com", "bounce.example.com", []string{"list.example.net"})
	fmt.Println(r.Value, r.AlignedDomain, r.Why)
	r = c.Check(context.Background(), "www.example.com", "", []string{"list.example.net"})
	fmt.Println(r.Value == dmarc.Fail, r.Policy, r.PolicyDomain)
	fmt.Println(r.Why)
	var v dmarc.Value = c.Check(context.Background(), "example.org", "example.org", nil).Value
	fmt.Println(v)
	// Output:
	// pass bounce.example.com SPF passed for bounce.example.com
	// true none example.com
	// what passed is not aligned with www.example.com: DKIM for list.example.net
	// none
}

func ExampleChecker_Lookup() {
	z, err := dns.ParseZone("sample.zone", strings.NewReader(zone))
	if err != nil {
		fmt.Println(err)
		return
	}
	c := dmarc.Checker{Resolver: z, Record: dmarc.Limits{URIs: 2}}
	var p dmarc.Policies = c.Lookup(context.Background(), "www.example.com")
	fmt.Println(p.Org, p.PolicyDomain, p.Policy, p.Tag)
	var s dmarc.Step
	for _, s = range p.Walk {
		fmt.Printf("%s %v %q\n", s.Name, s.Record != nil, s.Why)
	}
	// Output:
	// example.com example.com none sp
	// _dmarc.www.example.com false "no record"
	// _dmarc.example.com true ""
	// _dmarc.com false "no record"
}

func ExampleAuthor() {
	h := message.Header{message.NewField("From", " \"ceo@example.com\" <eve@EXÄMPLE.net> (ceo@example.com)", "\r\n")}
	fmt.Println(dmarc.Author(h))

	h = message.Header{message.NewField("From", " ann@example.com, bob@example.net", "\r\n")}
	_, err := dmarc.Author(h)
	fmt.Println(err, errors.Is(err, dmarc.ErrSeveralAuthors))
	fmt.Println(dmarc.Authors(h))
	fmt.Println(dmarc.FromLimits{Addresses: 1}.Authors(h))
	// Output:
	// xn--exmple-cua.net <nil>
	// dmarc: several authors: 2 addresses true
	// [example.com example.net] <nil>
	// [] dmarc: several authors: more than 1 addresses
}

func ExampleParseRecord() {
	var r dmarc.Record
	r, err := dmarc.ParseRecord("v=DMARC1; p=reject; sp=quarantine; aspf=x; rua=mailto:reports@example.com!10m")
	fmt.Println(err, r.P, r.SP, r.RUA, r.Faults)
	var want dmarc.Policy = dmarc.WantReject
	fmt.Println(r.P == want, r.PSD == dmarc.PSDUnknown)
	var psd dmarc.PSD = dmarc.IsPSD
	fmt.Println(psd)
	// Output:
	// <nil> reject quarantine [mailto:reports@example.com] [aspf="x" is not valid]
	// true true
	// y
}
