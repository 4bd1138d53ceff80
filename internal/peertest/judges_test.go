//go:build peers

package peertest_test

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

func TestOpenDKIMSignsAndVerifies(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		signer := peertest.OpenDKIM(t, peertest.OpenDKIMConfig{})
		verifier := peertest.OpenDKIM(t, peertest.OpenDKIMConfig{
			Network: "inet",
			Mode:    "v",
			Keys:    map[string]string{signer.Name: signer.Record},
			Extra:   []string{"AlwaysAddARHeader yes", "InternalHosts 192.0.2.1"},
		})
		m := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: signer.Spec}, {Spec: verifier.Spec}}})
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		h := m.Sink.Next(t).Header()
		if got := h.Values("DKIM-Signature"); len(got) != 1 || !strings.Contains(got[0], "d=example.com; s=peer") {
			t.Errorf("DKIM-Signature is %q", got)
		}
		if got := h.Values("Authentication-Results"); len(got) != 1 || !strings.Contains(got[0], "dkim=pass") {
			t.Errorf("Authentication-Results is %q\n%s", got, verifier.Log)
		}
	})
}

func TestMilterTestJudgesTheCFilter(t *testing.T) {
	for _, network := range []string{"unix", "inet"} {
		t.Run(network, func(t *testing.T) {
			f := peertest.CFilter(t, network, "reject|rcpt|bad@", "addheader|X-Peer|yes", "chgheader|Subject|1|changed")
			out := peertest.MilterTest(t, "testdata/judge.lua", map[string]string{"socket": f.Spec})
			if !strings.Contains(out, "judged") {
				t.Errorf("miltertest printed %q", out)
			}
		})
	}
}

func TestCFilterNegotiatesSilence(t *testing.T) {
	each(t, func(t *testing.T, kind peertest.Kind) {
		f := peertest.CFilter(t, "unix", "noreply|header", "noreply|helo", "skip|body", "macros|connect|j", "show|j|{daemon_name}|i")
		m := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: f.Spec}}})
		wantCode(t, m.Send(t, peertest.Letter{}), 250)
		f.Wait(t, "1 negotiate 0x1ff 0x1fffff")
		f.Wait(t, "1 header Subject test")
		f.Wait(t, "1 eom")
		m.Sink.Next(t)
	})
}
