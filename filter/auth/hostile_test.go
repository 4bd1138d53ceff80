package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/authres"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// Whatever comes, it is over soon, the message passes with what there is to say of it, and that is
// no more than a screen.
func TestHostile(t *testing.T) {
	many := func(n int, line string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, line, i)
		}
		return b.String()
	}
	wide := strings.Repeat("x", 900)
	for _, tt := range []struct {
		name  string
		zone  []string
		mail  miltertest.Mail
		check func(t *testing.T, r *rig, results []authres.Result)
	}{
		{name: "100 signatures", mail: miltertest.Mail{Text: sign(t, letter, make([]signature, 100)...)}, check: func(t *testing.T, r *rig, _ []authres.Result) {
			count := make(map[dkim.Value]int)
			for _, s := range r.facts.dkim.Signatures {
				count[s.Value]++
			}
			diff(t, "signatures", map[dkim.Value]int{dkim.Pass: 10, dkim.Policy: 90}, count)
		}},
		{name: "900 fields in our name", mail: miltertest.Mail{Text: many(900, "Authentication-Results: mta.example; x%d=pass\n") + letter}},
		{name: "900 fields of others", mail: miltertest.Mail{Text: many(900, "Authentication-Results: other.example; x%d=pass\n") + letter}},
		{name: "a field of 200 kB", mail: miltertest.Mail{Text: "Authentication-Results: " + strings.Repeat("(", 100_000) + "\n " + strings.Repeat(")", 100_000) + "\n" + letter}},
		{name: "h= of 10000 names", mail: miltertest.Mail{Text: "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa; bh=eA==; b=eA==; h=from" + many(10_000, ":x%d\n ") + "\n" + letter},
			check: func(t *testing.T, r *rig, _ []authres.Result) {
				if s := r.facts.dkim.Signatures; len(s) != 1 || s[0].Value != dkim.PermError && s[0].Value != dkim.Neutral {
					t.Errorf("%+v", s)
				}
			}},
		{name: "long names everywhere", mail: miltertest.Mail{Helo: wide, From: "<" + wide + "@" + wide + ">", Macros: map[string]string{"x": wide},
			Text: "DKIM-Signature: v=1; a=rsa-sha256; d=" + wide + "; s=" + wide + "; i=" + wide + "@" + wide + "; bh=eA==; b=eA==; h=from\nFrom: " + wide + "@" + wide + "\n\nx\n"}},
		{name: "a record of 1 MB", zone: []string{`big.example TXT "v=spf1 ` + many(60_000, "ip4:192.0.2.%d ") + `-all"`}, mail: miltertest.Mail{From: "<a@big.example>"}},
		{name: "redirects in a circle", zone: []string{`ring.example TXT "v=spf1 redirect=ring.example"`}, mail: miltertest.Mail{From: "<a@ring.example>"}},
		{name: "includes without end", zone: []string{`*.tree.example TXT "v=spf1 include:a.%{d} include:b.%{d} -all"`}, mail: miltertest.Mail{From: "<a@x.tree.example>"}},
		{name: "names that are not there", zone: []string{`void.example TXT "v=spf1 ` + many(500, "a:%d.void.example ") + `-all"`}, mail: miltertest.Mail{From: "<a@void.example>"}},
		{name: "an author with 127 labels", mail: miltertest.Mail{Text: "From: a@" + strings.Repeat("a.", 120) + "org\n\nx\n"}},
		{name: "100 authors", mail: miltertest.Mail{Text: "From: " + many(100, "a%d@example.org,\n ") + "a@example.org\n\nx\n"}, check: notPassed},
		{name: "500 From fields", mail: miltertest.Mail{Text: many(500, "From: a%d@example.org\n") + "\nx\n"}, check: notPassed},
		{name: "a homograph", mail: miltertest.Mail{Text: "From: a@ex\u0430mple.org\n\nx\n"}, check: notPassed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				r := newRig(t, auth.Options{Resolver: parseZone(t, tt.zone...), ReceivedSPF: true})
				r.profile = profile
				began := time.Now()
				res := r.send(t, tt.mail)
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
				if profile == mta.Sendmail && strings.Contains(outcome(res), "Headers too large") {
					return // that is Sendmail's own limit
				}
				if res.Verdict != mta.Accept {
					t.Fatalf("%s: %s", outcome(res), r.why())
				}
				if !res.Message.Header[0].Is("Authentication-Results") {
					t.Fatalf("the first field is %.100q", res.Message.Header[0].Raw())
				}
				f, err := authres.Parse(string(res.Message.Header[0].Value()))
				if err != nil || f.ID != "mta.example" {
					t.Fatalf("%v: %+v", err, f)
				}
				if n := len(res.Message.Header[0].Raw()); n > 12_000 {
					t.Errorf("the field has %d bytes", n)
				}
				if n := len(r.why()); n > 12_000 {
					t.Errorf("the explanation has %d bytes", n)
				}
				for _, x := range res.Message.Header[1:] {
					if x.Is("Authentication-Results") && authres.Bears(string(x.Value()), "mta.example") {
						t.Errorf("left is %.100q", x.Raw())
					}
				}
				if tt.check != nil {
					tt.check(t, r, f.Results)
				}
			})
		})
	}
}

func notPassed(t *testing.T, r *rig, _ []authres.Result) {
	if v := r.facts.dmarc.Value; v == dmarc.Pass || v == "" {
		t.Errorf("DMARC is %q", v)
	}
}
