package spf

import (
	"testing"

	"github.com/gomilter/gomilter/dns"
)

// One check with a warm cache, of a record as large senders have it.
func BenchmarkCheck(b *testing.B) {
	z := zone(b, `
example.com.        TXT "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 include:_spf.mailer.example mx a:out.example.com -all"
example.com.        MX  10 mx1.example.com.
example.com.        MX  20 mx2.example.com.
mx1.example.com.    A   203.0.113.1
mx2.example.com.    A   203.0.113.2
out.example.com.    A   192.0.2.1
_spf.mailer.example. TXT "v=spf1 ip4:198.51.100.0/25 ip4:198.51.100.128/26 ip6:2001:db8:1::/48 ~all"
direct.example.     TXT "v=spf1 ip4:192.0.2.0/24 -all"
`)
	for _, bb := range []struct {
		name, from string
		lookups    int
	}{{"ip4", "alice@direct.example", 0}, {"include-mx-a", "alice@example.com", 3}} {
		b.Run(bb.name, func(b *testing.B) {
			c := Checker{Resolver: dns.NewCache(z, dns.CacheOptions{})}
			q := Query{ours, bb.from, "mx.example.com"}
			b.ReportAllocs()
			for b.Loop() {
				if res := c.Check(b.Context(), q, MailFrom); res.Value != Pass || res.Lookups != bb.lookups {
					b.Fatalf("%+v", res)
				}
			}
		})
	}
}
