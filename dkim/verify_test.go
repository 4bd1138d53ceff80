package dkim

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

// readMessage reads a message of testdata, with lines that end in CRLF.
func readMessage(t testing.TB, name string) message.Message {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return message.Parse(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
}

func readZone(t testing.TB, name string) *dns.Zone {
	t.Helper()
	z, err := dns.ReadZone("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// check verifies a message.
func check(t testing.TB, v *Verifier, m message.Message) []Result {
	t.Helper()
	c, err := v.Verify(t.Context(), m.Header, bytes.NewReader(m.Body))
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return c.Signatures
}

func TestExamplesOfRFCs(t *testing.T) {
	for _, tt := range []struct {
		file string
		want []Result
	}{
		{"rfc6376.eml", []Result{ // appendix A
			{Value: Pass, Domain: "example.com", Identity: "joe@football.example.com", Selector: "brisbane", Algorithm: "rsa-sha256", KeyBits: 1024, B: "AuUoFEfD"},
		}},
		{"rfc8463.eml", []Result{ // appendix A
			{Value: Pass, Domain: "football.example.com", Identity: "@football.example.com", Selector: "brisbane", Algorithm: "ed25519-sha256", KeyBits: 256, B: "/gCrinpc"},
			{Value: Pass, Domain: "football.example.com", Identity: "@football.example.com", Selector: "test", Algorithm: "rsa-sha256", KeyBits: 1024, B: "F45dVWDf"},
		}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			v := &Verifier{Resolver: readZone(t, "keys.zone")}
			if diff := cmp.Diff(tt.want, check(t, v, readMessage(t, tt.file))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
