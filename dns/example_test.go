package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dns"
)

var sample = `
example.com              IN MX  10 mail.example.com.
example.com              IN TXT "v=spf1 mx -all"
mail.example.com         IN A   192.0.2.1
1.2.0.192.in-addr.arpa   IN PTR mail.example.com.
example.net              IN MX  0 .
slow.example             TIMEOUT
`

func ExampleParseZone() {
	var z *dns.Zone
	z, err := dns.ParseZone("sample.zone", strings.NewReader(sample))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(z.LookupTXT(ctx, "example.com"))
	_, err = z.LookupTXT(ctx, "slow.example")
	fmt.Println(err, dns.IsTemporary(err))
	_, err = z.LookupTXT(ctx, "example.org")
	fmt.Println(err, dns.IsNotFound(err))

	_, err = dns.ParseZone("bad.zone", strings.NewReader("example.com A localhost"))
	fmt.Println(err)
	// Output:
	// [v=spf1 mx -all] <nil>
	// lookup slow.example on sample.zone: i/o timeout true
	// lookup example.org on sample.zone: no such host true
	// dns: bad.zone:1: "localhost" is no address of type A
}

func ExampleReadZone() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sample.zone")
	os.WriteFile(path, []byte(sample), 0o600)
	z, err := dns.ReadZone(path)
	fmt.Println(z != nil, err)
	// Output: true <nil>
}

func ExampleNewCache() {
	z, _ := dns.ParseZone("sample.zone", strings.NewReader(sample))
	var c *dns.Cache
	c = dns.NewCache(z, dns.CacheOptions{Life: time.Minute})
	defer c.Close()
	for range 3 {
		c.LookupTXT(context.Background(), "example.com")
	}
	var s dns.CacheStats
	s = c.Stats()
	fmt.Println(s.Hits, s.Misses)
	// Output: 2 1
}

func ExampleNewSystem() {
	var s *dns.System
	s, err := dns.NewSystem("127.0.0.1", "[::1]:5353")
	fmt.Println(s != nil, err)
	_, err = dns.NewSystem("ns.example.com")
	fmt.Println(err)
	// Output:
	// true <nil>
	// dns: name server "ns.example.com" is no address
}

func ExampleExists() {
	var r dns.Resolver
	r, _ = dns.ParseZone("sample.zone", strings.NewReader(sample))
	_, can := r.(dns.Exister)
	fmt.Println(can)
	for _, name := range []string{"0.192.in-addr.arpa", "nothing.example.com"} {
		exists, known, err := dns.Exists(context.Background(), r, name)
		fmt.Println(exists, known, err)
	}
	// Output:
	// true
	// true true <nil>
	// false true <nil>
}

func ExampleCheckReverse() {
	z, _ := dns.ParseZone("sample.zone", strings.NewReader(sample))
	var r dns.Reverse
	r = dns.CheckReverse(context.Background(), z, netip.MustParseAddr("192.0.2.1"))
	var v dns.Value = r.Value
	fmt.Println(v, r.Name)
	r = dns.CheckReverse(context.Background(), z, netip.MustParseAddr("192.0.2.2"))
	fmt.Println(r.Value, "-", r.Why)
	// Output:
	// pass mail.example.com
	// permerror - no PTR record for 192.0.2.2
}

func ExampleMailHosts() {
	z, _ := dns.ParseZone("sample.zone", strings.NewReader(sample))
	var hosts []dns.Host
	hosts, err := dns.MailHosts(context.Background(), z, "example.com")
	fmt.Println(hosts, err)
	_, err = dns.MailHosts(context.Background(), z, "example.net")
	fmt.Println(errors.Is(err, dns.ErrNullMX))
	fmt.Println(dns.IsLocal(netip.MustParseAddr("10.1.2.3")), hosts[0].Local())
	// Output:
	// [{mail.example.com 10 [192.0.2.1]}] <nil>
	// true
	// true true
}

func ExampleIsNotFound() {
	z, _ := dns.ParseZone("sample.zone", strings.NewReader(sample))
	_, err := z.LookupMX(context.Background(), "mail.example.com")
	fmt.Println(dns.IsNotFound(err), dns.IsTemporary(err))
	// Output: true false
}
