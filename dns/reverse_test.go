package dns

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckReverse(t *testing.T) {
	var many strings.Builder
	for i := range 30 {
		fmt.Fprintf(&many, "9.2.0.192.in-addr.arpa PTR n%d.example.com\n", i)
	}
	for _, n := range []int{9, 10} { // the tenth that is looked at, and the first that is not
		fmt.Fprintf(&many, "n%d.example.com A 192.0.2.%d\n", n, n)
		for i := range 11 {
			fmt.Fprintf(&many, "10.2.0.192.in-addr.arpa PTR n%d.example.com\n", i)
		}
	}
	z := zone(t, many.String()+`
1.2.0.192.in-addr.arpa    PTR Mail.Example.com
mail.example.com          A 192.0.2.1
mail.example.com          AAAA 2001:db8::1
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mail.example.com
2.2.0.192.in-addr.arpa    PTR mail.example.com
4.2.0.192.in-addr.arpa    TIMEOUT
5.2.0.192.in-addr.arpa    PTR nowhere.example.com
6.2.0.192.in-addr.arpa    PTR late.example.com
late.example.com          SERVFAIL
7.2.0.192.in-addr.arpa    PTR late.example.com
7.2.0.192.in-addr.arpa    PTR second.example.com
second.example.com        A 192.0.2.7
8.2.0.192.in-addr.arpa    PTR "evil name\013\010X-Forged: yes"
11.2.0.192.in-addr.arpa   TXT "no PTR"
12.2.0.192.in-addr.arpa   PTR v6only.example.com
v6only.example.com        AAAA 2001:db8::12
13.2.0.192.in-addr.arpa   PTR 192.0.2.13
14.2.0.192.in-addr.arpa   PTR a.example.com
14.2.0.192.in-addr.arpa   PTR A.Example.com.
`)
	for _, tt := range []struct {
		addr string
		want Reverse
	}{
		{"192.0.2.1", Reverse{Pass, "mail.example.com", []string{"mail.example.com"}, "mail.example.com leads back to 192.0.2.1"}},
		{"::ffff:192.0.2.1", Reverse{Pass, "mail.example.com", []string{"mail.example.com"}, "mail.example.com leads back to 192.0.2.1"}},
		{"2001:db8::1", Reverse{Pass, "mail.example.com", []string{"mail.example.com"}, "mail.example.com leads back to 2001:db8::1"}},
		{"192.0.2.2", Reverse{Fail, "", []string{"mail.example.com"}, "mail.example.com does not lead back to 192.0.2.2"}},
		{"192.0.2.3", Reverse{Value: PermError, Why: "no PTR record for 192.0.2.3"}},
		{"192.0.2.4", Reverse{Value: TempError, Why: "no answer to the question for the PTR records of 192.0.2.4"}},
		{"192.0.2.5", Reverse{Fail, "", []string{"nowhere.example.com"}, "nowhere.example.com does not lead back to 192.0.2.5"}},
		{"192.0.2.6", Reverse{TempError, "", []string{"late.example.com"}, "no answer to the question for the addresses of late.example.com"}},
		{"192.0.2.7", Reverse{Pass, "second.example.com", []string{"late.example.com", "second.example.com"}, "second.example.com leads back to 192.0.2.7"}},
		{"192.0.2.8", Reverse{Value: Fail, Why: "the PTR records of 192.0.2.8 are no host names"}},
		{"192.0.2.9", Reverse{Pass, "n9.example.com", names(10), "n9.example.com leads back to 192.0.2.9"}},
		{"192.0.2.10", Reverse{Fail, "", names(10), "none of the first 10 of 22 names of 192.0.2.10 leads back to it"}},
		{"192.0.2.11", Reverse{Value: PermError, Why: "no PTR record for 192.0.2.11"}},
		{"192.0.2.12", Reverse{Fail, "", []string{"v6only.example.com"}, "v6only.example.com does not lead back to 192.0.2.12"}},
		{"192.0.2.13", Reverse{Value: Fail, Why: "the PTR records of 192.0.2.13 are no host names"}},
		{"192.0.2.14", Reverse{Fail, "", []string{"a.example.com"}, "a.example.com does not lead back to 192.0.2.14"}},
	} {
		got := CheckReverse(t.Context(), z, netip.MustParseAddr(tt.addr))
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.addr, d)
		}
	}
	if got := CheckReverse(t.Context(), z, netip.Addr{}); got.Value != PermError {
		t.Errorf("no address: %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := CheckReverse(ctx, z, netip.MustParseAddr("192.0.2.1")); got.Value != TempError {
		t.Errorf("cancelled: %+v", got)
	}
}

func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("n%d.example.com", i))
	}
	return out
}

// A resolver that is none of ours may hand on what it was told.
func TestCheckReverseTakesHostNamesOnly(t *testing.T) {
	f := &fake{names: []string{"", ".", "a b.", "a\r\nX: y.", "b\u00fccher.example.", "-a.example.", "1.2.3.4.", "<x>.example.", "a;b.example.", strings.Repeat("a.", 1000), "[::1]."}, ip: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	got := CheckReverse(t.Context(), f, netip.MustParseAddr("192.0.2.1"))
	if d := cmp.Diff(Reverse{Value: Fail, Why: "the PTR records of 192.0.2.1 are no host names"}, got); d != "" {
		t.Error(d)
	}
	if f.count() != 1 {
		t.Errorf("asked %v", f.asked)
	}
}
