package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/internal/wire"
)

// What is measured is a signature that passes, and fields as mail servers hand them over.
func TestSignedMailPasses(t *testing.T) {
	dir := t.TempDir()
	m, err := newSignedMail(dir)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := dns.ReadZone(filepath.Join(dir, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	v := dkim.Verifier{Resolver: zone}
	got, err := v.Verify(context.Background(), m.header, strings.NewReader(m.body))
	if err != nil || len(got.Signatures) != 1 || got.Signatures[0].Value != dkim.Pass {
		t.Errorf("the signature is %+v, %v", got, err)
	}
	for _, tt := range []struct {
		off  wire.Protocol
		want string
	}{{0, "Subject\x00Quarterly"}, {wire.LeadingSpace, "Subject\x00 Quarterly"}} {
		s := &script{off: tt.off}
		m.add(s)
		var sent string
		for _, st := range s.steps {
			sent += string(st.frames)
		}
		if sent += string(s.out); !strings.Contains(sent, tt.want) || strings.Contains(sent, "\r") {
			t.Errorf("with the bits %v the fields are sent as %q", tt.off, sent)
		}
	}
}
