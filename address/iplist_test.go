package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func mustIPList(t testing.TB, patterns ...string) *IPList {
	t.Helper()
	l, err := NewIPList(patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestIPListContains(t *testing.T) {
	for _, tt := range []struct{ name, addr, patterns, want string }{
		{"UTIL-02 in a network", "66.179.26.146", "127.0.0.1 66.179.26.128/26", "66.179.26.128/26"},
		{"UTIL-03 an address", "127.0.0.1", "127.0.0.1 66.179.26.128/26", "127.0.0.1"},
		{"UTIL-04 glob of an octet", "192.168.0.45", "192.168.0.*", "192.168.0.*"},
		{"UTIL-04 glob of three octets", "127.0.0.1", "127.*", "127.*"},
		{"UTIL-04 glob of another network", "192.168.1.45", "192.168.0.*", ""},
		{"UTIL-06 IPv6 network", "2001:610:779:0:223:6cff:fe9a:9cf3", "127.0.0.1 172.20.1.0/24 2001:610:779::/48", "2001:610:779::/48"},
		{"UTIL-01 first match", "192.0.2.1", "192.0.0.0/16 192.0.2.1 192.0.2.0/24", "192.0.0.0/16"},
		{"UTIL-01 first match, narrow", "192.0.2.1", "192.0.2.1 192.0.0.0/16", "192.0.2.1"},
		{"the same network twice", "192.0.2.1", "192.0.2.0/24 192.0.2.9/24", "192.0.2.0/24"},
		{"D-01 IPv6 client and IPv4 network", "2001:db8::c0a8:1", "192.168.0.0/16", ""},
		{"D-01 IPv6 client and loopback", "2001:db8::7f00:1", "127.0.0.1 127.*", ""},
		{"D-01 IPv4 client and IPv6 network", "192.0.2.1", "::/96 ::/0", ""},
		{"D-01 loopback of IPv6 is no IPv4", "::1", "0.0.0.1 0.0.0.0/0", ""},
		{"UTIL-10 IPv4 address is no IPv6", "0.0.0.1", "::1 ::/0", ""},
		{"mapped client", "::ffff:192.168.0.1", "192.168.0.0/16", "192.168.0.0/16"},
		{"mapped client is not IPv6", "::ffff:192.168.0.1", "::/0 ::ffff:0:0/96", "::ffff:0:0/96"},
		{"mapped pattern", "192.168.0.1", "::ffff:192.168.0.1", "::ffff:192.168.0.1"},
		{"mapped network", "192.168.3.1", "::ffff:192.168.0.0/112", "::ffff:192.168.0.0/112"},
		{"beside a mapped network", "192.169.0.1", "::ffff:192.168.0.0/112", ""},
		{"all of IPv4", "203.0.113.7", "0.0.0.0/0", "0.0.0.0/0"},
		{"all of IPv6", "2001:db8::1", "::/0", "::/0"},
		{"bits behind the length", "192.0.2.200", "192.0.2.77/24", "192.0.2.77/24"},
		{"zone of a client", "fe80::1%eth0", "fe80::/10", "fe80::/10"},
		{"capitals", "2001:db8::1", "2001:DB8::/32", "2001:DB8::/32"},
		{"glob inside of an octet", "10.17.0.1", "10.1*.*", "10.1*.*"},
		{"glob inside of an octet, the octet alone", "10.1.0.1", "10.1*.*", "10.1*.*"},
		{"glob inside of an octet, another", "10.21.0.1", "10.1*.*", ""},
		{"glob inside of the last octet", "192.0.2.25", "192.0.2.2*", "192.0.2.2*"},
		{"glob of two octets", "192.168.3.4", "192.168.*.*", "192.168.*.*"},
		{"UTIL-07 no address", "", "0.0.0.0/0 ::/0 127.*", ""},
		{"empty list", "192.0.2.1", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := mustIPList(t, strings.Fields(tt.patterns)...)
			var a netip.Addr
			if tt.addr != "" {
				a = netip.MustParseAddr(tt.addr)
			}
			if got, ok := l.Contains(a); got != tt.want || ok != (tt.want != "") {
				t.Errorf("%q in [%s] = %q, %v, want %q", tt.addr, tt.patterns, got, ok, tt.want)
			}
		})
	}
}

// UTIL-07 to UTIL-10: patterns are judged when the list is made.
func TestIPListRefusesPatterns(t *testing.T) {
	for _, p := range []string{
		"", " ", "2G01::1", "01.2.3.4", "1.2", "1.2.3", "1.2.3.4.5", "256.1.1.1", "127", "::1.2.3.4.5", ":::", "fe80::1%eth0", "1.2.3.4 5",
		"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/", "10.0.0.0/a", "10.0.0.0/8/8", "::/129", "example.com/129", "::ffff:0:0/95",
		"*", "*.*", "*.1.2.3", "10.*.1.2", "1.2.3.4*5", "10.?.1.1", "10.[12].*", "01.*", "10.x*", "10.9999*", "1.2.3.4.*", "1.2.3.4*.*", "2001:db8::*", "-*", "10.01*", "*.example.com",
		"a b", "a@b", "a..b", "[192.0.2.1]", "example.123", "_\x00",
	} {
		l, err := NewIPList("192.0.2.1", p)
		if pe, ok := errors.AsType[*PatternError](err); !ok || pe.Pattern != p || l != nil {
			t.Errorf("NewIPList(%q): %v", p, err)
		}
	}
	_, err := NewIPList("1.2", "192.0.2.1", "300.*")
	if err == nil || !strings.Contains(err.Error(), `"1.2"`) || !strings.Contains(err.Error(), `"300.*"`) {
		t.Errorf("two bad patterns: %v", err)
	}
}

// TestIPListAgreesWithPrefixes compares the maps with asking each prefix.
func TestIPListAgreesWithPrefixes(t *testing.T) {
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		// Few different bytes, so that addresses meet networks.
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x80, 0xff}), 16, 16).Draw(t, "bytes")
		switch rapid.IntRange(0, 2).Draw(t, "family") {
		case 0:
			return netip.AddrFrom4([4]byte(b))
		case 1:
			return netip.AddrFrom16(netip.AddrFrom4([4]byte(b)).As16())
		}
		return netip.AddrFrom16([16]byte(b))
	})
	rapid.Check(t, func(t *rapid.T) {
		var patterns []string
		var prefixes []netip.Prefix
		for range rapid.IntRange(0, 20).Draw(t, "patterns") {
			a := addr.Draw(t, "network").Unmap()
			p := netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
			patterns, prefixes = append(patterns, p.String()), append(prefixes, p)
		}
		l, err := NewIPList(patterns...)
		if err != nil {
			t.Fatal(err)
		}
		a := addr.Draw(t, "client")
		want := ""
		for i, p := range prefixes {
			if p.Contains(a.Unmap()) {
				want = patterns[i]
				break
			}
		}
		if got, ok := l.Contains(a); got != want || ok != (want != "") {
			t.Fatalf("%v in %v = %q, %v, want %q", a, patterns, got, ok, want)
		}
	})
}

// A zone answers from a map of "network host".
type zone map[string][]string

func (z zone) lookup(_ context.Context, network, host string) ([]netip.Addr, error) {
	list, ok := z[network+" "+host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, s := range list {
		if s == "TIMEOUT" {
			return nil, &net.DNSError{Err: "timeout", Name: host, IsTimeout: true}
		}
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

func check(t *testing.T, l *IPList, addr, want string) {
	t.Helper()
	if got, _ := l.Contains(netip.MustParseAddr(addr)); got != want {
		t.Errorf("Contains(%s) = %q, want %q", addr, got, want)
	}
}

func TestIPListNames(t *testing.T) {
	z := zone{
		"ip b.resolvers.level3.net": {"4.2.2.2", "2001:db8::42"},
		"ip6 example.com":           {"2606:2800:220:1:248:1893:25c8:1946"},
		"ip4 example.com":           {"93.184.216.34", "2001:db8:bad::1"},
		"ip xn--bcher-kva.example":  {"::ffff:192.0.2.7"},
	}
	l := mustIPList(t, "b.resolvers.Level3.net", "example.com/40", "example.com/24", "bücher.example", "nothing.example.com", "10.0.0.0/8")
	if !l.HasNames() {
		t.Error("HasNames is false")
	}
	check(t, l, "4.2.2.2", "")
	check(t, l, "10.1.1.1", "10.0.0.0/8")
	if err := l.Refresh(t.Context(), z.lookup); err != nil {
		t.Errorf("Refresh: %v", err)
	}
	check(t, l, "4.2.2.2", "b.resolvers.Level3.net") // UTIL-05
	check(t, l, "2001:db8::42", "b.resolvers.Level3.net")
	check(t, l, "2606:2800:220:1::", "example.com/40") // UTIL-05
	check(t, l, "2606:2900::", "")
	check(t, l, "93.184.216.99", "example.com/24")
	check(t, l, "93.184.217.1", "")
	check(t, l, "2001:db9::1", "") // a length meant for IPv4 opens no network of IPv6
	check(t, l, "192.0.2.7", "bücher.example")
	check(t, l, "10.1.1.1", "10.0.0.0/8")

	if l := mustIPList(t, "nothing.example.com"); l.Refresh(t.Context(), z.lookup) != nil {
		t.Error("a name that does not exist is an error")
	} else {
		check(t, l, "4.2.2.2", "") // UTIL-05
	}
	if mustIPList(t, "10.*").HasNames() {
		t.Error("HasNames is true for a list without names")
	}
}

func TestIPListKeepsAddressesWhileDNSFails(t *testing.T) {
	l := mustIPList(t, "a.example", "b.example")
	z := zone{"ip a.example": {"192.0.2.1"}, "ip b.example": {"192.0.2.2"}}
	must := func(want string) {
		t.Helper()
		err := l.Refresh(t.Context(), z.lookup)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Refresh: %v, want %q", err, want)
		}
	}
	must("")
	z["ip a.example"] = []string{"TIMEOUT"}
	z["ip b.example"] = []string{"192.0.2.3"}
	must("look up a.example")
	check(t, l, "192.0.2.1", "a.example")
	check(t, l, "192.0.2.2", "")
	check(t, l, "192.0.2.3", "b.example")
	z["ip a.example"] = nil // no addresses
	delete(z, "ip b.example")
	must("")
	check(t, l, "192.0.2.1", "")
	check(t, l, "192.0.2.3", "")
}

func TestIPListRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustIPList(t, "a.example")
		var lookups, reports atomic.Int32
		resolve := func(context.Context, string, string) ([]netip.Addr, error) {
			n := lookups.Add(1)
			if n == 2 {
				return nil, errors.New("DNS is down")
			}
			return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})}, nil
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() {
			l.Run(ctx, resolve, time.Hour, func(error) { reports.Add(1) })
			close(done)
		}()
		synctest.Wait()
		check(t, l, "192.0.2.1", "a.example")
		time.Sleep(time.Hour)
		synctest.Wait()
		check(t, l, "192.0.2.1", "a.example")
		time.Sleep(time.Hour)
		synctest.Wait()
		check(t, l, "192.0.2.3", "a.example")
		check(t, l, "192.0.2.1", "")
		stop()
		<-done
		if reports.Load() != 1 || lookups.Load() != 3 {
			t.Errorf("%d lookups, %d reports, want 3, 1", lookups.Load(), reports.Load())
		}
		mustIPList(t, "192.0.2.1").Run(t.Context(), nil, 0, nil) // returns: nothing to do
	})
}

func TestIPListLookupDoesNotAllocate(t *testing.T) {
	l := mustIPList(t, "10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32", "::1")
	addrs := []netip.Addr{netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1%eth0"), {}}
	if n := testing.AllocsPerRun(100, func() {
		for _, a := range addrs {
			l.Contains(a)
		}
	}); n != 0 {
		t.Errorf("Contains allocates %v times", n)
	}
}

func FuzzIPList(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::/0", "10.1*.*", "127.*", "example.com/24", "::ffff:1.2.3.4/100", "*", "1.2.3.4/", "a.b.", "..*", "1.*.*.*.*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := NewIPList(s)
		if err != nil || l.HasNames() {
			return
		}
		for _, n := range l.fixed {
			if got, ok := l.Contains(n.Addr()); !ok || got != s {
				t.Errorf("the list of %q does not contain %v", s, n)
			}
		}
	})
}

func BenchmarkIPList(b *testing.B) {
	var patterns []string
	for i := range 1000 {
		patterns = append(patterns, fmt.Sprintf("10.%d.%d.0/%d", i%256, i/4, 20+i%10), fmt.Sprintf("2001:db8:%x::/%d", i, 40+i%20))
	}
	l := mustIPList(b, patterns...)
	for _, s := range []string{"10.200.50.1", "203.0.113.1", "2001:db8:99::1"} {
		a := netip.MustParseAddr(s)
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.Contains(a)
			}
		})
	}
}

func ExampleNewIPList() {
	_, err := NewIPList("192.0.2.0/24", "10.0.0.0/33")
	fmt.Println(err)
	// Output: address: pattern "10.0.0.0/33": an IPv4 network has no more than 32 bits
}

func ExampleIPList() {
	internal, err := NewIPList("127.0.0.1", "::1", "192.168.0.0/16")
	if err != nil {
		panic(err)
	}
	fmt.Println(internal.Contains(netip.MustParseAddr("192.168.7.7")))
	// Output: 192.168.0.0/16 true
}

func ExampleIPList_Contains() {
	l, _ := NewIPList("192.168.0.0/16")
	for _, s := range []string{"192.168.0.1", "::ffff:192.168.0.1", "2001:db8::c0a8:1"} {
		_, ok := l.Contains(netip.MustParseAddr(s))
		fmt.Println(s, ok)
	}
	// Output:
	// 192.168.0.1 true
	// ::ffff:192.168.0.1 true
	// 2001:db8::c0a8:1 false
}

func ExampleIPList_HasNames() {
	l, _ := NewIPList("192.0.2.1", "mx.example.com")
	fmt.Println(l.HasNames())
	// Output: true
}

func ExampleIPList_Refresh() {
	l, _ := NewIPList("mx.example.com")
	dns := zone{"ip mx.example.com": {"192.0.2.25"}} // or net.DefaultResolver.LookupNetIP
	if err := l.Refresh(context.Background(), dns.lookup); err != nil {
		fmt.Println(err)
	}
	fmt.Println(l.Contains(netip.MustParseAddr("192.0.2.25")))
	// Output: mx.example.com true
}

func ExampleIPList_Run() {
	l, _ := NewIPList("192.0.2.1", "198.51.100.0/24")
	// Without names there is nothing to look up, and Run returns at once.
	l.Run(context.Background(), net.DefaultResolver.LookupNetIP, time.Hour, func(err error) { fmt.Println(err) })
	// Output:
}

func ExampleResolver() {
	var r Resolver = net.DefaultResolver.LookupNetIP
	fmt.Println(r != nil)
	// Output: true
}

func ExamplePatternError() {
	_, err := NewIPList("192.0.2.1", "192.0.2.300")
	if pe, ok := errors.AsType[*PatternError](err); ok {
		fmt.Println(pe.Pattern)
	}
	// Output: 192.0.2.300
}
