package auth_test

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
)

// What the log of the old application said in lines of their own is in the explanation (LOG-07, FROM-16): that a
// forwarder vouched, what a relay found out, what was lax or guessed, and each signature.
func TestWhatTheOldLogSaid(t *testing.T) {
	const relayed = "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=a@example.org; dmarc=pass header.from=example.org\n"
	for _, tt := range []struct {
		name string
		o    auth.Options
		mail miltertest.Mail
		want []string
	}{
		{"a trusted forwarder", auth.Options{SPF: auth.SPFOptions{Forwarders: []string{"lists.example"}}}, miltertest.Mail{From: "<a@fail.example>"},
			[]string{"pass for postmaster@lists.example (trusted forwarder lists.example, ip4:192.0.2.0/24)"}},
		{"SPF and DMARC of a relay", auth.Options{Believe: []string{"mx.example.net"}}, miltertest.Mail{Conn: from("198.51.100.1"), Text: relayed + letter},
			[]string{"by the word of mx.example.net: spf=pass a@example.org, dmarc=pass example.org"}},
		{"a guess", auth.Options{SPF: auth.SPFOptions{Guess: "v=spf1 a/24"}}, miltertest.Mail{From: "<a@bare.example>"}, []string{"pass for a@bare.example (best guess for bare.example, a/24)"}},
		{"a broken record", auth.Options{SPF: auth.SPFOptions{Lax: true}}, miltertest.Mail{From: "<a@broken.example>"}, []string{"permerror for a@broken.example", "read laxly fail"}},
		{"a signature", auth.Options{}, miltertest.Mail{Text: sign(t, letter, signature{})}, []string{"dkim: pass d=example.org s=rsa a=rsa-sha256, 2048 bits"}},
	} {
		r := newRig(t, tt.o)
		r.send(t, tt.mail)
		for _, want := range tt.want {
			if !strings.Contains(r.why(), want) {
				t.Errorf("%s: the explanation lacks %q:\n%s", tt.name, want, r.why())
			}
		}
	}
}
