package dkim

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

// Whatever a message and a key record are, there is a result for each signature, and a pass only
// for what was signed.
func FuzzVerify(f *testing.F) {
	_, p, _ := strings.Cut(keyRecord(), "p=")
	for _, record := range []string{"v=DKIM1; p=" + p, "k=rsa; t=y:s; h=sha256; s=email; p=" + p, edRecord, "p=", "v=DKIM1", oddRecord(512, 3), oddRecord(2048, 1), oddRecord(9000, 65537), "k=ed25519; p=" + p, "p=MA0GCSqGSIb3DQEBAQUAAwA=", "p=MAA=", "p=MAYCAQACAQA=", "p=MAYCAQMCAQM="} {
		f.Add([]byte(forge(f, someTags, someHeader, someBody)), record)
		f.Add([]byte(forge(f, "v=1; a=ed25519-sha256; c=simple/simple; d=example.com; s=rsa; l=3; i=@a.example.com; h=from:dkim-signature", someHeader, someBody)), record)
	}
	f.Add([]byte("DKIM-Signature:v=1; a=rsa-sha256; d=example.com; s=rsa; h=from; bh=AAAA; b=A; x=1; t=2\r\n\r\n"), keyRecord())
	f.Add([]byte("DKIM-Signature:\r\nDKIM-Signature: ;\r\ndkim-signature :v=1\n\n"), "")
	f.Fuzz(func(t *testing.T, msg []byte, record string) {
		m := message.Parse(msg)
		z := anyKey{record: record}
		c, err := (&Verifier{Resolver: z, MaxSignatures: 3, MaxRSABits: 4096}).Verify(t.Context(), m.Header, bytes.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for range m.Header.All("DKIM-Signature") {
			n++
		}
		if len(c.Signatures) != n {
			t.Fatalf("%d results, %d signatures", len(c.Signatures), n)
		}
		for _, r := range c.Signatures {
			switch r.Value {
			case Pass, Fail, Policy, Neutral, PermError:
			default:
				t.Errorf("result %+v", r)
			}
			if (r.Why == "") != (r.Value == Pass) || len(r.B) > 64 || !isBase64(r.B) || !isAlgorithm(r.Algorithm+"a") {
				t.Errorf("result %+v", r)
			}
			for _, name := range []string{r.Domain, r.Selector} {
				if a, err := address.ASCIIDomain(name); err != nil || a != name {
					t.Errorf("%q is no domain, in %+v", name, r)
				}
			}
			if strings.ContainsFunc(r.Why+r.Identity, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				t.Errorf("control characters in %+v", r)
			}
		}
	})
}

// anyKey has the same text at every name.
type anyKey struct {
	dns.Resolver
	record string
}

func (k anyKey) LookupTXT(context.Context, string) ([]string, error) { return []string{k.record}, nil }

func FuzzTags(f *testing.F) {
	for _, s := range []string{"v=1; a=b", "v=1;", ";", "a = b \r\n c ; d=", "a=\r\n", "=", "a=b;a=b", "a\x00=b", "a=\xff", " \t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		tags, err := parseTags(list)
		names := make(map[string]bool)
		for _, tag := range tags {
			if names[tag.name] || !isTagName(tag.name) || trimFWS(list[tag.start:tag.end]) != tag.value || strings.Contains(tag.value, ";") {
				t.Errorf("tag %+v of %q", tag, list)
			}
			names[tag.name] = true
		}
		if err != nil {
			return
		}
		var b strings.Builder
		for _, tag := range tags {
			b.WriteString(tag.name + "=" + tag.value + ";")
		}
		again, err := parseTags(b.String())
		if err != nil || len(again) != len(tags) {
			t.Fatalf("%q: %v", b.String(), err)
		}
		for i := range again {
			if again[i].name != tags[i].name || again[i].value != tags[i].value {
				t.Errorf("%+v is read again as %+v", tags[i], again[i])
			}
		}
	})
}
