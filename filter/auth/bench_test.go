package auth_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/mta"
)

// BenchmarkMessage takes a message of 10 kB with an RSA-2048 signature through SPF, iprev, DKIM and
// DMARC, with all answers of DNS in the cache. Of a message and its conversation alone "nothing" shows the cost.
func BenchmarkMessage(b *testing.B) {
	nothing := &filter.Filter{Name: "nothing", Needs: filter.Needs{Header: true, Body: true},
		Mail: func(context.Context, *filter.Transaction) (milter.MailReply, error) { return milter.Continue, nil },
		Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			return milter.Accept, nil
		}}
	all, err := auth.New("auth", auth.Options{Resolver: dns.NewCache(parseZone(b), dns.CacheOptions{})})
	if err != nil {
		b.Fatal(err)
	}
	text := []byte(sign(b, letter+strings.Repeat("0123456789 abcdefghijklmnopqrstuvwxyz\n", 260), signature{}))
	for _, f := range []*filter.Filter{nothing, all} {
		b.Run(f.Name, func(b *testing.B) {
			chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Explain: func(*filter.Explanation) {}, Log: slog.New(slog.DiscardHandler)}
			c, stop := serve(&milter.Server{New: chain.Hooks, Log: chain.Log})
			defer stop()
			ctx := b.Context()
			s, _, err := c.Connect(ctx, *from("192.0.2.25"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Helo(ctx, "client.example"); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				s.Mail(ctx, "<sender@example.org>")
				s.Rcpt(ctx, "<rcpt@example.net>")
				s.Data(ctx)
				r, err := s.Message(ctx, text)
				if err != nil || r.Verdict != mta.Accept {
					b.Fatal(r, err)
				}
				if f == all && !strings.Contains(string(r.Message.Header[0].Value()), "dkim=pass") {
					b.Fatalf("%s", r.Message.Header[0].Raw())
				}
			}
		})
	}
}
