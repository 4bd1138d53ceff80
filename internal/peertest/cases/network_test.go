//go:build peers

package cases

import (
	"context"
	"slices"
	"testing"
	"time"

	milter "github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/peertest"
)

// BenchmarkNetwork measures a mail through each real MTA, from the client's
// connection to the reply to QUIT, with a filter over a unix socket and over TCP, by
// turns. It reports the medians and how they compare; for those of 50 mails each,
// and without the tests:
//
//	go test -tags peers -run '^$' -bench Network -benchtime 50x ./internal/peertest/cases
//
// For comparison the same is done with a filter on libmilter, which waits for
// delayed acknowledgements over TCP.
func BenchmarkNetwork(b *testing.B) {
	for _, kind := range peertest.Kinds {
		b.Run(string(kind)+"/ours", func(b *testing.B) {
			compareNetworks(b, kind, func(network string) string {
				sw := peertest.NewSwitch(b, network)
				ln := sw.Listen(b)
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error)
				go func() { done <- (&milter.Server{New: everyStep}).Serve(ctx, ln) }()
				b.Cleanup(func() { cancel(); <-done })
				return sw.Spec
			})
		})
		b.Run(string(kind)+"/libmilter", func(b *testing.B) {
			compareNetworks(b, kind, func(network string) string {
				return peertest.CFilter(b, network, "addheader|X-Seen|yes").Spec
			})
		})
	}
}

// everyStep is a filter that sees all and adds a field.
func everyStep(*milter.Session) milter.Hooks {
	return milter.Hooks{
		Connect:      func(context.Context, *milter.Client) milter.ConnectReply { return milter.Continue },
		Helo:         func(context.Context, []byte) milter.HeloReply { return milter.Continue },
		Mail:         func(context.Context, *milter.Mail) milter.MailReply { return milter.Continue },
		Rcpt:         func(context.Context, *milter.Rcpt) milter.RcptReply { return milter.Continue },
		Data:         func(context.Context) milter.DataReply { return milter.Continue },
		Header:       func(context.Context, *milter.Header) milter.HeaderReply { return milter.Continue },
		EndOfHeaders: func(context.Context) milter.EndOfHeadersReply { return milter.Continue },
		Body:         func(context.Context, []byte) milter.BodyReply { return milter.Continue },
		End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			if err := e.AddHeader("X-Seen", "yes"); err != nil {
				return milter.DefaultTempFail
			}
			return milter.Accept
		},
	}
}

func compareNetworks(b *testing.B, kind peertest.Kind, filter func(network string) (spec string)) {
	networks := []string{"unix", "inet"}
	mtas := make(map[string]*peertest.MTA)
	for _, network := range networks {
		mtas[network] = peertest.Start(b, kind, peertest.Config{Milters: []peertest.Milter{{Spec: filter(network)}}})
	}
	took := make(map[string][]time.Duration)
	for b.Loop() {
		for _, network := range networks {
			m := mtas[network]
			began := time.Now()
			if r := m.Send(b, peertest.Letter{}); r.Code != 250 {
				b.Fatalf("over %s: %s", network, r)
			}
			took[network] = append(took[network], time.Since(began))
			if err := m.Settle(b.Context()); err != nil {
				b.Fatal(err)
			}
			if mail := m.Sink.Next(b); len(mail.Header().Values("X-Seen")) != 1 {
				b.Fatalf("over %s the mail came as\n%s", network, mail.Data)
			}
		}
	}
	median := func(network string) float64 {
		slices.Sort(took[network])
		return took[network][len(took[network])/2].Seconds() * 1e3
	}
	b.ReportMetric(0, "ns/op") // of two mails and what comes after them: it says nothing
	b.ReportMetric(median("unix"), "unix-ms")
	b.ReportMetric(median("inet"), "inet-ms")
	b.ReportMetric(median("inet")/median("unix"), "inet/unix")
}
