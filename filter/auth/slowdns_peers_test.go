//go:build peers

package auth_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/message"
)

// BenchmarkSlowDNS measures a mail through each real MTA, from the client's connection to the
// reply to QUIT, while each answer of DNS takes 200 ms: the median and the 99th percentile of
// 100 mails, five at a time, each of a domain that was never heard of ("new") and then of one that the
// cache knows ("known"). All methods are used; each mail has one RSA-2048 signature, SPF
// and DMARC pass.
//
//	go test -tags peers -run '^$' -bench SlowDNS -benchtime 1x ./filter/auth
func BenchmarkSlowDNS(b *testing.B) {
	const mails, atATime = 100, 5
	key := readKey(b, "rsa")
	zone := "$DELAY 200ms\n1.0.0.127.in-addr.arpa PTR client.example.com.\nclient.example.com A 127.0.0.1\nclient.example.com TXT \"v=spf1 a -all\"\n"
	domain := func(i int) string { return fmt.Sprintf("d%d.example", i) }
	for i := range mails {
		d := domain(i)
		zone += fmt.Sprintf("%s TXT \"v=spf1 include:spf.%[1]s -all\"\nspf.%[1]s TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n_dmarc.%[1]s TXT \"v=DMARC1; p=reject\"\n", d) +
			key.ZoneLine("s", d) + "\n"
	}
	z, err := dns.ParseZone("zone", strings.NewReader(zone))
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range peertest.Kinds {
		b.Run(string(kind), func(b *testing.B) {
			cache := dns.NewCache(z, dns.CacheOptions{})
			defer cache.Close()
			f, err := auth.New("auth", auth.Options{Resolver: cache})
			if err != nil {
				b.Fatal(err)
			}
			chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Explain: func(*filter.Explanation) {},
				Network: filter.Network{Internal: []netip.Prefix{}}} // the client is on this machine, and a stranger
			spec := peertest.FreeSpec(b, "unix")
			ln, err := milter.Listen(spec, milter.SocketOptions{Mode: 0o666})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			served := make(chan error, 1)
			go func() { served <- (&milter.Server{New: chain.Hooks}).Serve(ctx, ln) }()
			b.Cleanup(func() { cancel(); <-served })
			m := peertest.Start(b, kind, peertest.Config{Milters: []peertest.Milter{{Spec: spec}}})

			send := func(i int) time.Duration {
				d := domain(i)
				data := strings.ReplaceAll(strings.ReplaceAll(letter, "example.org", d), "\n", "\r\n")
				msg := message.Parse([]byte(data))
				signed, err := dkim.Sign(ctx, msg.Header, strings.NewReader("Hello.\r\n"), []dkim.Signature{{Domain: d, Selector: "s", Key: key}}, time.Now())
				if err != nil {
					b.Error(err)
					return 0
				}
				began := time.Now()
				if r := m.Send(b, peertest.Letter{From: "sender@" + d, Data: "DKIM-Signature: " + signed[0] + "\r\n" + data}); r.Code != 250 {
					b.Errorf("answered %v", r)
				}
				return time.Since(began)
			}
			all := func(which func(i int) int) (median, p99 float64) {
				took := make([]time.Duration, mails)
				var clients sync.WaitGroup
				for c := range atATime {
					clients.Go(func() {
						for i := c; i < mails; i += atATime {
							took[i] = send(which(i))
						}
					})
				}
				clients.Wait()
				for range mails {
					got := m.Sink.Next(b)
					if r := got.Header().Values("Authentication-Results"); len(r) != 1 || !strings.Contains(r[0], "dmarc=pass") || !strings.Contains(r[0], "dkim=pass") {
						b.Fatalf("a mail came with the results %q", r)
					}
				}
				slices.Sort(took)
				return took[mails/2].Seconds() * 1e3, took[mails*99/100].Seconds() * 1e3
			}
			for b.Loop() {
				median, p99 := all(func(i int) int { return i })
				b.ReportMetric(median, "new-p50-ms")
				b.ReportMetric(p99, "new-p99-ms")
				median, p99 = all(func(int) int { return 0 })
				b.ReportMetric(median, "known-p50-ms")
				b.ReportMetric(p99, "known-p99-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
