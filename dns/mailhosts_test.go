package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMailHosts(t *testing.T) {
	var many strings.Builder
	for i := range 20 {
		fmt.Fprintf(&many, "many.example MX %d m%d.example\nm%d.example A 198.51.100.%d\n", i, i, i, i)
		fmt.Fprintf(&many, "void.example MX %d v%d.example\n", i, i)
	}
	z := zone(t, many.String()+`
usual.example     MX 20 b.example
usual.example     MX 10 A.example
usual.example     MX 30 nowhere.example
a.example         A 192.0.2.1
a.example         AAAA 2001:db8::1
b.example         A 192.0.2.2
null.example      MX 0 .
notquite.example  MX 0 .
notquite.example  MX 10 a.example
implicit.example  A 192.0.2.3
text.example      TXT "neither MX nor address"
late.example      TIMEOUT
half.example      MX 10 late.example
half.example      MX 20 b.example
onlylate.example  MX 10 late.example
twice.example     MX 10 b.example
twice.example     MX 20 B.example.
address.example   MX 10 192.0.2.1.
alias.example     CNAME usual.example
inside.example    MX 10 localhost
localhost         A 127.0.0.1
`)
	a := Host{"a.example", 10, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}
	b := Host{"b.example", 20, []netip.Addr{netip.MustParseAddr("192.0.2.2")}}
	for _, tt := range []struct {
		domain string
		want   []Host
		err    string
	}{
		{"usual.example", []Host{a, b}, ""},
		{"USUAL.example.", []Host{a, b}, ""},
		{"alias.example", []Host{a, b}, ""},
		{"null.example", nil, "null MX"},
		{"notquite.example", []Host{a}, ""},
		{"implicit.example", []Host{{"implicit.example", 0, []netip.Addr{netip.MustParseAddr("192.0.2.3")}}}, ""},
		{"text.example", nil, "not found"},
		{"nothing.example", nil, "not found"},
		{"late.example", nil, "temporary"},
		{"half.example", []Host{b}, ""},
		{"onlylate.example", nil, "temporary"},
		{"twice.example", []Host{{"b.example", 10, b.Addrs}}, ""},
		{"address.example", nil, "not found"}, // its MX is no host, and it has one
		{"void.example", nil, "not found"},
		{"inside.example", []Host{{"localhost", 10, []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}, ""},
		{"", nil, "not found"},
		{"192.0.2.1", nil, "not found"},
	} {
		got, err := MailHosts(t.Context(), z, tt.domain)
		kind := ""
		switch {
		case errors.Is(err, ErrNullMX):
			kind = "null MX"
		case err != nil:
			kind = describe(nil, err)
		}
		if d := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" || kind != tt.err {
			t.Errorf("%s: %v, want %s\n%s", tt.domain, err, tt.err, d)
		}
	}

	t.Run("limit", func(t *testing.T) {
		c := &counting{Resolver: z}
		got, err := MailHosts(t.Context(), c, "many.example")
		if err != nil || len(got) != maxMailHosts || got[9].Name != "m9.example" || c.asked != maxMailHosts {
			t.Errorf("%v %v, %d questions", got, err, c.asked)
		}
	})
}

type counting struct {
	Resolver
	asked int
}

func (c *counting) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	c.asked++
	return c.Resolver.LookupNetIP(ctx, network, host)
}

// RFC 5321 section 5.1: hosts of the same preference share the load.
func TestMailHostsAreShuffledWithinAPreference(t *testing.T) {
	z := zone(t, "x MX 20 last\nx MX 10 a\nx MX 10 b\nx MX 10 c\nlast A 192.0.2.9\na A 192.0.2.1\nb A 192.0.2.2\nc A 192.0.2.3")
	firsts := make(map[string]bool)
	for range 200 {
		hosts, err := MailHosts(t.Context(), z, "x")
		if err != nil || len(hosts) != 4 || hosts[3].Name != "last" {
			t.Fatal(hosts, err)
		}
		firsts[hosts[0].Name] = true
	}
	if len(firsts) != 3 {
		t.Errorf("first were %v", firsts)
	}
}

func TestHostLocal(t *testing.T) {
	public := []netip.Addr{netip.MustParseAddr("9.9.9.9")}
	for _, tt := range []struct {
		name  string
		addrs []netip.Addr
		want  bool
	}{
		{"mail.example", public, false},
		{"localhost", public, true},
		{"mx.localhost", public, true},
		{"localhost.localdomain", public, true},
		{"localhost.example", public, false},
		{"notlocalhost", public, false},
		{"mail.example", append(slices.Clone(public), netip.MustParseAddr("10.0.0.1")), true},
	} {
		if got := (Host{Name: tt.name, Addrs: tt.addrs}).Local(); got != tt.want {
			t.Errorf("%s %v: %v", tt.name, tt.addrs, got)
		}
	}
}

func TestIsLocal(t *testing.T) {
	for addr, want := range map[string]bool{
		"9.9.9.9": false, "1.1.1.1": false, "2620:fe::fe": false, "172.32.0.1": false, "100.128.0.1": false, "198.20.0.1": false, "192.0.1.1": false,
		"0.0.0.0": true, "0.1.2.3": true, "127.0.0.1": true, "127.255.255.255": true, "10.1.2.3": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true,
		"169.254.169.254": true, "100.64.0.1": true, "192.0.0.1": true, "192.0.2.1": true, "198.18.0.1": true, "198.51.100.1": true, "203.0.113.1": true,
		"224.0.0.1": true, "240.0.0.1": true, "255.255.255.255": true,
		"::": true, "::1": true, "fc00::1": true, "fd12::1": true, "fe80::1": true, "fe80::1%eth0": true, "fec0::1": true, "ff02::1": true, "2001:db8::1": true, "100::1": true, "3fff::1": true,
		"::ffff:127.0.0.1": true, "::ffff:9.9.9.9": false, "::127.0.0.1": true, "64:ff9b::7f00:1": true, "64:ff9b::909:909": false, "2002:7f00:1::": true, "2002:909:909::1": false, "::ffff:0:10.0.0.1": true,
	} {
		if got := IsLocal(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if !IsLocal(netip.Addr{}) {
		t.Error("no address is one of a server")
	}
}
