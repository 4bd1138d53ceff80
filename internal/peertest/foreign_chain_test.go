//go:build peers

package peertest_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/mta"
)

// A message whose DKIM signature verifies behind the MTA alone verifies behind the
// MTA with a chain that adds fields, too.
func TestSignaturesSurviveAChain(t *testing.T) {
	chain := &filter.Chain{Explain: func(*filter.Explanation) {}, Steps: []filter.Step{{Filter: &filter.Filter{
		Name: "marks", Needs: filter.Needs{Header: true, Body: true, Actions: milter.CanAddHeaders},
		Message: func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			if _, err := tr.Message().Tree(); err != nil {
				return nil, err
			}
			if err := e.InsertHeader(0, "X-Top", "marked"); err != nil {
				return nil, err
			}
			return milter.Accept, e.AddHeader("X-End", "marked")
		},
	}}}}
	signers, verifier := signers(t)
	each(t, func(t *testing.T, kind peertest.Kind) {
		alone := peertest.Start(t, kind, peertest.Config{})
		sw := peertest.NewSwitch(t, "unix")
		marked := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: sw.Spec}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		ln := sw.Listen(t)
		go func() { done <- (&milter.Server{New: chain.Hooks}).Serve(ctx, ln) }()
		defer func() { cancel(); <-done }()
		verified := 0
		for i, canon := range canons {
			for _, l := range letters {
				signed := through(t, &mta.Client{Profile: mta.Postfix}, []byte(l.raw), signers[i]).Message.Bytes()
				judge := func(m *peertest.MTA) (string, []byte) {
					letter := peertest.Letter{From: "a@example.com", To: []string{"b@example.net"}, Data: string(signed)}
					if r := m.Send(t, letter); !r.OK() {
						t.Fatalf("%s: %v", l.name, r)
					}
					mail := m.Sink.Next(t).Data
					return judgement(t, through(t, &mta.Client{Profile: mta.Postfix}, mail, verifier).Message), mail
				}
				want, _ := judge(alone)
				got, mail := judge(marked)
				if want == "pass" {
					verified++
				}
				if want == "pass" && got != "pass" {
					t.Errorf("%s, %s: %s behind the chain\n%s", canon, l.name, got, clip(mail))
				}
				if !bytes.Contains(mail, []byte("X-Top: marked\r\n")) || !bytes.Contains(mail, []byte("X-End: marked\r\n")) {
					t.Errorf("%s, %s: not marked:\n%s", canon, l.name, clip(mail))
				}
			}
		}
		if verified < len(canons)*len(letters)/2 {
			t.Errorf("only %d of %d verify behind the MTA alone", verified, len(canons)*len(letters))
		}
		t.Logf("%s: %d of %d signatures verify behind the MTA alone", strings.ToLower(string(kind)), verified, len(canons)*len(letters))
	})
}
