package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/authres"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"pgregory.net/rapid"
)

// forged are fields of others, some of them in our name.
const forged = `Received-SPF: pass (mta.example: all is well) client-ip=192.0.2.1; receiver=mta.example
Authentication-Results: mta.example; dmarc=pass header.from=bank.example
Authentication-Results: other.example; dkim=pass header.d=kept.example
ARC-Authentication-Results: i=1; mta.example; spf=pass smtp.mailfrom=kept.example
Authentication-Results: (c (c) ") mta.example ;" c) MTA.Example. 1; spf=pass
AUTHENTICATION-RESULTS:"mta.example";
	dkim=pass header.d=forged.example
Authentication-Results: mta.example (no results
Authentication-Results: =?utf-8?q?mta=2Eexample?=; dkim=pass
Authentication-Results: mta.example.org; dkim=pass header.d=kept.example
Authentication-Results:
 x.mta.example; dkim=pass header.d=kept.example
Received-SPF: fail (other.example: forged)
ARC-Seal: i=1; a=rsa-sha256; cv=none
received-spf: neutral
`

// What speaks in our name (EOM-06, SPFM-15, DKIM-07, D-08) is taken out, counted as the MTA does, and all else stays where it is;
// what is true is on top.
func TestForgedFields(t *testing.T) {
	for _, tt := range []struct {
		name string
		mail miltertest.Mail
	}{
		{"external", miltertest.Mail{}},
		{"internal", miltertest.Mail{Conn: from("127.0.0.1")}},
		{"authenticated", miltertest.Mail{Macros: map[string]string{"auth_authen": "joe", "auth_type": "LOGIN"}}},
		{"relay", miltertest.Mail{Conn: from("198.51.100.1")}},
	} {
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			r := newRig(t, auth.Options{ReceivedSPF: true})
			r.profile = profile
			tt.mail.Text = forged + letter
			r.send(t, tt.mail).Golden(t, fmt.Sprintf("testdata/forged-%s-%v.want", tt.name, profile))
		})
	}
}

// Fields go in which readers who end lines at a CR find one in our name (RFC 8601 section 5); folds and what
// is of others stay, and so does all that Postfix made blanks of.
func TestForgedBehindCR(t *testing.T) {
	for _, tt := range []struct {
		name, field string
		gone        bool
	}{
		{"CR", "X-A: x\rAuthentication-Results: mta.example; dmarc=pass", true},
		{"CR and more lines", "Subject: x\rX-B: y\rAUTHENTICATION-results : mta.example; dmarc=pass\rX-C: z", true},
		{"CRs", "X-A: x\r\rAuthentication-Results: mta.example; dmarc=pass", true},
		{"CR and a fold", "X-A: x\rAuthentication-Results:\r mta.example; dmarc=pass", true},
		{"CR at the beginning", "X-A:\rAuthentication-Results: mta.example; dmarc=pass", true},
		{"CR behind another's", "ARC-Authentication-Results: other.example; none\rAuthentication-Results: mta.example; dmarc=pass", true},
		{"CR before Received-SPF", "X-A: x\rReceived-SPF: pass", true},
		{"CR before another's", "X-A: x\rAuthentication-Results: other.example; dmarc=pass", false},
		{"CR before a blank", "X-A: x\r Authentication-Results: mta.example; dmarc=pass", false},
		{"CR before something else", "X-A: x\rX-Authentication-Results: mta.example; dmarc=pass", false},
		{"a fold", "X-A: x\r\n\tAuthentication-Results: mta.example; dmarc=pass", false},
		{"CR before each of many", "X-A: " + strings.Repeat("x\rAuthentication-Results: other.example", 300), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				r := newRig(t, auth.Options{})
				r.profile = profile
				res := r.send(t, miltertest.Mail{Text: "X-First: 1\r\n" + tt.field + "\r\nX-Last: 1\r\n" + crlf(letter)})
				if res.Verdict != mta.Accept {
					t.Fatalf("%s: %s", outcome(res), r.why())
				}
				header := string(res.Message.Header.Bytes())
				ours := 0
				for _, line := range strings.FieldsFunc(header, func(r rune) bool { return r == '\r' || r == '\n' }) {
					name, value, _ := strings.Cut(line, ":")
					if name = strings.ToLower(strings.TrimRight(name, " \t")); name == "received-spf" || name == "authentication-results" && authres.Bears(value, "mta.example") {
						ours++
					}
				}
				if ours != 1 {
					t.Errorf("%d fields in our name: %.500q", ours, header)
				}
				name, _, _ := strings.Cut(tt.field, ":")
				wantGone := tt.gone && profile == mta.Sendmail
				if gone := strings.Count(header, name+":") < strings.Count(crlf(letter)+tt.field, name+":"); gone != wantGone {
					t.Errorf("gone is %v: %.500q", gone, header)
				}
				if !strings.Contains(header, "X-First: 1") || !strings.Contains(header, "X-Last: 1") {
					t.Errorf("more is gone: %.500q", header)
				}
				if wantGone && !strings.Contains(r.why(), "hides a field in our name") {
					t.Errorf("the explanation is %s", r.why())
				}
			})
		})
	}
}

// A mark of ours that a message brings along is none of ours.
func TestForgedMark(t *testing.T) {
	r := newRig(t, auth.Options{DMARC: auth.DMARCOptions{Action: auth.Published, Mark: true}})
	res := r.send(t, miltertest.Mail{Text: "X-Dmarc-Warning: fail; forged\n" + letter})
	if h := res.Headers("X-DMARC-Warning"); len(h) > 0 {
		t.Errorf("marks %q", h)
	}
	r = newRig(t, auth.Options{})
	res = r.send(t, miltertest.Mail{Text: "X-Dmarc-Warning: of a filter that is not ours\n" + letter})
	if h := res.Headers("X-DMARC-Warning"); len(h) != 1 {
		t.Errorf("without marks of ours: %q", h)
	}
}

// Whatever client, sender, message and DNS say, there is one field in our name on top, with results
// for what we looked at and nothing else, and nothing of the header is lost or gained besides.
func TestNothingInjectsResults(t *testing.T) {
	nasty := rapid.OneOf(
		rapid.StringMatching(`[ -~]{0,40}`),
		rapid.SampledFrom([]string{"a;dkim=pass", "a\tb", "x) ; dmarc=pass (", `"; dkim=pass header.d=bank.example`, "\u0430.example", "a\u2028b", "\xff\xfe", "a@b@c", "<>", strings.Repeat("x", 2000), strings.Repeat("a.", 300), "=?utf-8?q?a=0Adkim=3Dpass?="}))
	line := func(s string) string { return strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(s) }
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(what string) string { return line(nasty.Draw(rt, what)) }
		// Macros and envelope cannot hold line ends; texts of DNS and fields can hold any bytes in this way or that.
		text := strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(draw("txt"))
		z := parseZone(t, `odd.example TXT "v=spf1 `+text+`"`, `_dmarc.odd.example TXT "v=DMARC1; p=`+text+`"`, `sel._domainkey.odd.example TXT "`+text+`"`)
		r := newRig(t, auth.Options{Resolver: z, ReceivedSPF: true})
		r.profile = rapid.SampledFrom([]mta.Profile{mta.Sendmail, mta.Postfix}).Draw(rt, "MTA")
		before := fmt.Sprintf("DKIM-Signature: v=1; a=rsa-sha256; d=odd.example; s=sel; h=from; i=%s@odd.example; bh=eHg=; b=%s\nDKIM-Signature: %s\nFrom: a@odd.example\nSubject: %s\n",
			draw("i"), draw("b"), draw("signature"), draw("subject"))
		mail := miltertest.Mail{Helo: strings.Fields(draw("helo") + " x")[0], Text: before + "\nx\n",
			From: "<" + strings.NewReplacer("<", "", ">", "", " ", "").Replace(draw("local")) + "@odd.example>"}
		if rapid.Bool().Draw(rt, "authenticated") {
			mail.Macros = map[string]string{"auth_authen": draw("user"), "auth_type": draw("type"), "cipher_bits": draw("bits")}
		}
		res := r.send(t, mail)
		if res.Verdict != mta.Accept {
			rt.Fatalf("%s: %s", outcome(res), r.why())
		}
		fields := res.Message.Header
		ours := fields[0]
		if !ours.Is("Authentication-Results") {
			rt.Fatalf("the first field is %q", ours.Raw())
		}
		parsed, err := authres.Parse(string(ours.Value()))
		if err != nil || parsed.ID != "mta.example" || parsed.Version != 0 {
			rt.Fatalf("%q: %+v, %v", ours.Value(), parsed, err)
		}
		count := make(map[string]int)
		for _, x := range parsed.Results {
			count[x.Method]++
			if x.Value == "pass" && (x.Method == "dkim" || x.Method == "dmarc") {
				rt.Errorf("%s passed: %q", x.Method, ours.Value())
			}
		}
		if mail.Macros != nil && (mail.Macros["auth_authen"] != "" || mail.Macros["auth_type"] != "") {
			if count["auth"] != 1 || len(parsed.Results) != 1 {
				rt.Errorf("results %v: %q", count, ours.Value())
			}
		} else if count["spf"] != 2 || count["dkim"] != 2 || count["dmarc"] != 1 || count["iprev"] != 1 || len(parsed.Results) != 6 {
			rt.Errorf("results %v: %q", count, ours.Value())
		}
		rest := fields[1:]
		for len(rest) > 0 && rest[0].Is("Received-SPF") {
			rest = rest[1:]
		}
		if got := string(message.Header(rest).Bytes()); got != crlf(before) {
			rt.Errorf("the rest of the header is %q, want %q", got, crlf(before))
		}
	})
}
