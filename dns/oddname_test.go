package dns

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestOddNames(t *testing.T) {
	for name, want := range map[string]bool{
		"example.com": false, "_dmarc.example.com": false, "a-b.example.com": false, "a_.example.com": false,
		"192.0.2.1": false, "2001:db8::1": false, "a+b": false,
		"a+b.example.com": true, "-a.example.com": true, "a-.example.com": true, "[192.0.2.1].example.com": true, "a@b.example": true,
	} {
		if got := isOdd(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAnswersForOddNames(t *testing.T) {
	rr := func(name string, body dnsmessage.ResourceBody) dnsmessage.Resource {
		return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET}, Body: body}
	}
	a := func(name string, last byte) dnsmessage.Resource {
		return rr(name, &dnsmessage.AResource{A: [4]byte{192, 0, 2, last}})
	}
	alias := func(name, to string) dnsmessage.Resource {
		return rr(name, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)})
	}
	var chain []dnsmessage.Resource
	for i := range maxChain + 1 {
		chain = append(chain, alias(fmt.Sprintf("c%d.example.", i), fmt.Sprintf("c%d.example.", i+1)))
	}
	chaos := a("a+b.example.", 9)
	chaos.Header.Class = dnsmessage.ClassCHAOS
	for _, tt := range []struct {
		name    string
		answers []dnsmessage.Resource
		want    string
	}{
		{"addresses", []dnsmessage.Resource{a("a+b.example.", 1), a("A+B.Example.", 2)}, "192.0.2.1, 192.0.2.2"},
		{"nothing", nil, "not found"},
		{"an alias, in any order", []dnsmessage.Resource{a("c.example.", 3), alias("b.example.", "C.example."), alias("a+b.example.", "b.example.")}, "192.0.2.3"},
		{"an alias that leads nowhere", []dnsmessage.Resource{alias("a+b.example.", "b.example.")}, "not found"},
		{"an alias of itself", []dnsmessage.Resource{alias("a+b.example.", "a+b.example.")}, "not found"},
		{"a chain that is too long", append(append([]dnsmessage.Resource{alias("a+b.example.", "c0.example.")}, chain...), a("c11.example.", 4)), "not found"},
		{"another's address", []dnsmessage.Resource{a("other.example.", 5)}, "not found"},
		{"another class", []dnsmessage.Resource{chaos}, "not found"},
		{"another type", []dnsmessage.Resource{rr("a+b.example.", &dnsmessage.TXTResource{TXT: []string{"x"}})}, "not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := newSystem("testdata/quick.conf", []string{serve(t, func(_ string, q []byte) [][]byte {
				return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) {
					if m.Questions[0].Type == dnsmessage.TypeA {
						m.Answers = tt.answers
					}
				})}
			})})
			if err != nil {
				t.Fatal(err)
			}
			if got := put(t.Context(), s, "IP a+b.example"); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestBrokenAnswersForOddNames(t *testing.T) {
	s, err := newSystem("testdata/quick.conf", []string{serve(t, func(_ string, q []byte) [][]byte {
		m := rewrite(t, q, func(*dnsmessage.Message) {})
		binary.BigEndian.PutUint16(m[6:], 65535) // so many are announced
		return [][]byte{m}
	})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, q := range []string{"IP a+b.example", "TXT a+b.example"} {
		if got := put(ctx, s, q); got != "temporary" {
			t.Errorf("%s: %s", q, got)
		}
	}
}
