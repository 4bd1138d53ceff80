package dkim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/message"
)

var signed = time.Unix(1_800_000_000, 0)

var testKey = sync.OnceValue(func() *dkim.Key { return newKey(dkim.RSA2048) })
var testEd25519 = sync.OnceValue(func() *dkim.Key { return newKey(dkim.Ed25519) })

func newKey(t dkim.KeyType) *dkim.Key {
	k, err := dkim.GenerateKey(t)
	if err != nil {
		panic(err)
	}
	return k
}

// sign returns a message with its signatures above it, as it is sent.
func sign(t interface {
	Helper()
	Fatal(...any)
}, msg string, how ...dkim.Signature) string {
	t.Helper()
	m := message.Parse([]byte(msg))
	values, err := dkim.Sign(context.Background(), m.Header, bytes.NewReader(m.Body), how, signed)
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, v := range values {
		out += "DKIM-Signature: " + v + "\r\n"
	}
	return out + msg
}

// verified returns what another implementation says of each signature.
func verified(msg string, keys map[string]*dkim.Key) ([]*msgauth.Verification, error) {
	return msgauth.VerifyWithOptions(strings.NewReader(msg), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if k := keys[name]; k != nil {
			return []string{k.Record()}, nil
		}
		return nil, fmt.Errorf("no key at %s", name)
	}})
}

func one(t *testing.T, msg string, k *dkim.Key) error {
	t.Helper()
	v, err := verified(msg, map[string]*dkim.Key{"s._domainkey.example.com": k})
	if err != nil || len(v) != 1 {
		t.Fatalf("%d signatures, error %v", len(v), err)
	}
	return v[0].Err
}

func signature(k *dkim.Key) dkim.Signature {
	return dkim.Signature{Domain: "example.com", Selector: "s", Key: k}
}

const letter = "From: Joe <joe@example.com>\r\nTo: suzie@example.net\r\nSubject: Is dinner ready?\r\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <2003@example.com>\r\n\r\nHi.\r\n\r\nWe lost  the game. \r\n\r\n\r\n"

func TestSignedMessagesVerifyElsewhere(t *testing.T) {
	canon := rapid.SampledFrom([]dkim.Canon{"", dkim.Simple, dkim.Relaxed})
	text := rapid.StringMatching(`([ -~äß\t]|\r\n[ \t]+[!-~]){0,60}`)
	name := rapid.SampledFrom([]string{"To", "CC", "subject", "Date", "X-Other", "Received", "Message-Id", "List-Unsubscribe", "Reply-to", "From"})
	body := rapid.StringMatching(`([ -~ä\t]{0,30}(\r\n){1,4}){0,8}[ -~]{0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		var msg strings.Builder
		for range rapid.IntRange(0, 8).Draw(t, "fields") {
			fmt.Fprintf(&msg, "%s:%s\r\n", name.Draw(t, "name"), text.Draw(t, "value"))
		}
		msg.WriteString("From: joe@example.com\r\n")
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			fmt.Fprintf(&msg, "%s:%s\r\n", name.Draw(t, "name"), text.Draw(t, "value"))
		}
		msg.WriteString("\r\n" + body.Draw(t, "body"))
		rsa, ed := signature(testKey()), signature(testEd25519())
		rsa.Header, rsa.Body = canon.Draw(t, "header"), canon.Draw(t, "body form")
		ed.Header, ed.Body = canon.Draw(t, "header"), canon.Draw(t, "body form")
		ed.Selector, ed.Domain, ed.Identity = "e", "sub.example.com", "a;=c d@x.sub.example.com"
		out := sign(t, msg.String(), rsa, ed)
		v, err := verified(out, map[string]*dkim.Key{"s._domainkey.example.com": testKey(), "e._domainkey.sub.example.com": testEd25519()})
		if err != nil || len(v) != 2 || v[0].Err != nil || v[1].Err != nil {
			for _, v := range v {
				t.Log(v.Err)
			}
			t.Fatalf("%d signatures, error %v, in\n%s", len(v), err, out)
		}
		if v[0].Domain != "example.com" || v[1].Domain != "sub.example.com" || v[1].Identifier != "a;=c d@x.sub.example.com" && v[1].Identifier != "a=3B=3Dc=20d@x.sub.example.com" {
			t.Errorf("signatures of %q, and %q for %q", v[0].Domain, v[1].Domain, v[1].Identifier)
		}
		for line := range strings.SplitSeq(out[:strings.Index(out, "\r\n"+msg.String()[:4])], "\r\n") {
			if len(line) > 78 {
				t.Errorf("a line has %d bytes: %q", len(line), line)
			}
		}
	})
}

func TestChangesThatSignaturesDoNotSurvive(t *testing.T) {
	for _, tt := range []struct {
		name, old, new string
		want           bool // it verifies still
	}{
		{"nothing", "", "", true},
		{"a field that is not signed", "To:", "X-New: x\r\nTo:", true},
		{"text of the body", "lost", "won", false},
		{"blanks at the end of a line", "game. \r\n", "game.\r\n", true},
		{"empty lines at the end", "\r\n\r\n\r\n", "\r\n", true},
		{"a second From", "To:", "From: other@example.org\r\nTo:", false},
		{"a second From above", "From:", "From: other@example.org\r\nFrom:", false},
		{"a second Subject", "To:", "Subject: other\r\nTo:", false},
		{"a Reply-To where there was none", "To:", "Reply-To: other@example.org\r\nTo:", false},
		{"a Content-Type where there was none", "To:", "Content-Type: text/html\r\nTo:", false},
		{"Date", "11 Jul", "12 Jul", false},
		{"a field folded anew", "Is dinner", "Is\r\n\tdinner", true},
		{"a List-Id, which is signed where it is there only", "To:", "List-Id: <x>\r\nTo:", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := sign(t, letter, signature(testKey()))
			changed := strings.Replace(out, "\r\n"+tt.old, "\r\n"+tt.new, 1)
			if changed == out && tt.old != "" {
				at := strings.LastIndex(out, tt.old)
				changed = out[:at] + tt.new + out[at+len(tt.old):]
			}
			if err := one(t, changed, testKey()); (err == nil) != tt.want {
				t.Errorf("verification: %v, in\n%s", err, changed)
			}
		})
	}
}

func TestValueIsWrittenInAnOrderThatStays(t *testing.T) {
	s := signature(testEd25519())
	s.Domain, s.Identity, s.Expire, s.Header, s.Body = "Example.COM", "joe@mail.example.com", time.Hour, dkim.Relaxed, dkim.Simple
	s.Fields, s.OverSign = []string{"to", "Subject", "subject", "X-Absent"}, []string{"Subject", "Reply-To"}
	out := sign(t, "Subject: one\r\nFrom: a@example.com\r\nSubject: two\r\n\r\n", s)
	got := regexp.MustCompile(`(?s)b=[^;]{80,}`).ReplaceAllString(out[:strings.Index(out, "\r\nSubject")], "b=...")
	want := "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/simple; d=example.com; s=s;\r\n i=joe@mail.example.com; t=1800000000; x=1800003600; h=From:Subject:Subject:\r\n" +
		" Subject:Reply-To; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;\r\n b=..."
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The body hash and the record of RFC 8463 appendix A, with the key from there.
func TestExampleOfRFC8463(t *testing.T) {
	k, err := dkim.ParseKey([]byte("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="; got != want {
		t.Errorf("record %q, want %q", got, want)
	}
	const msg = "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\n" +
		"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\nMessage-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
	if out := sign(t, msg, signature(k)); !strings.Contains(out, "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;") {
		t.Errorf("another body hash:\n%s", out)
	}
}

func TestLFIsSignedAsCRLF(t *testing.T) {
	for _, c := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
		s := signature(testEd25519())
		s.Header, s.Body = c, c
		for _, crlf := range []string{letter, "From: a@b.c\r\nSubject: folded\r\n here\r\n\r\n\r\n\r\nx\r\ny\r\n\r\n"} {
			want := sign(t, crlf, s)
			lf := strings.ReplaceAll(crlf, "\r\n", "\n")
			for _, read := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader} {
				for _, msg := range []string{crlf, lf, strings.Replace(lf, "x\n", "x\r\n", 1)} {
					m := message.Parse([]byte(msg))
					got, err := dkim.Sign(context.Background(), m.Header, read(bytes.NewReader(m.Body)), []dkim.Signature{s}, signed)
					if err != nil || "DKIM-Signature: "+got[0]+"\r\n"+crlf != want {
						t.Errorf("%s: %q is signed otherwise: %v\n%v", c, msg, err, got)
					}
				}
			}
		}
	}
}

func TestErrorsOfSignatures(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*dkim.Signature)
		want string
	}{
		{"no domain", func(s *dkim.Signature) { s.Domain = "" }, `"" is no domain`},
		{"one label", func(s *dkim.Signature) { s.Domain = "localhost" }, `"localhost" is no domain`},
		{"a tag in the domain", func(s *dkim.Signature) { s.Domain = "a.b; l=0" }, `is no domain`},
		{"not in ASCII", func(s *dkim.Signature) { s.Domain = "grüß.example" }, `is no domain`},
		{"a line in the selector", func(s *dkim.Signature) { s.Selector = "a\r\nX: y" }, `is no selector`},
		{"name too long", func(s *dkim.Signature) { s.Selector = strings.Repeat("abcdefgh.", 26) + "a" }, `is too long`},
		{"no key", func(s *dkim.Signature) { s.Key = nil }, `there is no key`},
		{"empty key", func(s *dkim.Signature) { s.Key = new(dkim.Key) }, `there is no key`},
		{"canonicalization", func(s *dkim.Signature) { s.Body = "nowsp" }, `"nowsp" is no canonicalization`},
		{"identity elsewhere", func(s *dkim.Signature) { s.Identity = "a@badexample.com" }, `is not of example.com`},
		{"identity without @", func(s *dkim.Signature) { s.Identity = "example.com" }, `is not of example.com`},
		{"long identity", func(s *dkim.Signature) { s.Identity = strings.Repeat("a", 400) + "@example.com" }, `longer than 320`},
		{"field", func(s *dkim.Signature) { s.Fields = []string{"From", "a;b"} }, `"a;b" is no name`},
		{"over-signed field", func(s *dkim.Signature) { s.OverSign = []string{"Sub:ject"} }, `is no name`},
		{"own field", func(s *dkim.Signature) { s.OverSign = []string{"dkim-signature"} }, `do not sign`},
		{"many fields", func(s *dkim.Signature) { s.Fields = make([]string, 10_000) }, `more than 200`},
		{"time", func(s *dkim.Signature) { s.Expire = -time.Second }, `before it is made`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := signature(testEd25519())
			tt.edit(&s)
			values, err := dkim.Sign(context.Background(), message.Parse([]byte(letter)).Header, strings.NewReader(""), []dkim.Signature{signature(testEd25519()), s}, signed)
			if !errors.Is(err, dkim.ErrSignature) || !strings.Contains(err.Error(), tt.want) || values != nil {
				t.Errorf("values %q, error %v; want %q", values, err, tt.want)
			}
		})
	}
}

func TestNothingIsSignedWithoutAllOfTheMessage(t *testing.T) {
	h := message.Parse([]byte(letter)).Header
	how := []dkim.Signature{signature(testEd25519())}
	broken := errors.New("broken")
	if v, err := dkim.Sign(context.Background(), h, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)), how, signed); !errors.Is(err, broken) || v != nil {
		t.Errorf("broken body: %q, %v", v, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if v, err := dkim.Sign(ctx, h, strings.NewReader("x"), how, signed); !errors.Is(err, context.Canceled) || v != nil {
		t.Errorf("context over: %q, %v", v, err)
	}
	if v, err := dkim.Sign(ctx, h, nil, how, signed); !errors.Is(err, context.Canceled) || v != nil {
		t.Errorf("context over, no body: %q, %v", v, err)
	}
	if v, err := dkim.Sign(context.Background(), h[1:], nil, how, signed); !errors.Is(err, dkim.ErrNoFrom) || v != nil {
		t.Errorf("no From: %q, %v", v, err)
	}
	if v, err := dkim.Sign(context.Background(), h, nil, nil, signed); err != nil || v != nil {
		t.Errorf("no signature wanted: %q, %v", v, err)
	}
}

// Bodies that nothing can be told of before their end take no memory, and time in proportion.
func TestHostileBodiesAreReadInLittleMemory(t *testing.T) {
	h := message.Parse([]byte(letter)).Header
	for _, line := range []string{"\r\n", " \r\n", "\n", "\r", " ", "\t \t", "x"} {
		body := strings.Repeat(line, 8<<20/len(line))
		for _, c := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
			s := signature(testEd25519())
			s.Body = c
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			if _, err := dkim.Sign(context.Background(), h, io.LimitReader(strings.NewReader(body), 8<<20), []dkim.Signature{s}, signed); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10 {
				t.Errorf("8 MiB of %q, %s: %d bytes of memory", line, c, n)
			}
			if took > 5*time.Second {
				t.Errorf("8 MiB of %q, %s: %s", line, c, took)
			}
		}
	}
}

func BenchmarkSign(b *testing.B) {
	m := message.Parse([]byte(letter))
	body := bytes.Repeat([]byte("A line of some sixty bytes, as people write them in a letter.\r\n"), 1600)
	for _, k := range []*dkim.Key{testKey(), testEd25519()} {
		for _, c := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
			b.Run(k.Algorithm()+"/"+string(c), func(b *testing.B) {
				s := signature(k)
				s.Header, s.Body = c, c
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := dkim.Sign(context.Background(), m.Header, bytes.NewReader(body), []dkim.Signature{s}, signed); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
