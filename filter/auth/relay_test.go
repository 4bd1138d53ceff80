package auth_test

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// What a relay wrote is believed where it is named, where it stands on top, and where its
// client is a trusted relay.
func TestBelieve(t *testing.T) {
	const (
		word = "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=a@example.org; spf=fail smtp.helo=x.example;\n" +
			"\tdkim=pass header.d=example.org header.s=sel header.a=rsa-sha256 header.b=abc; dmarc=pass policy.dmarc=reject header.from=example.org\n"
		received = "Received: from x by mx.example.net; Thu, 1 Jan 2026 12:00:00 +0000\n"
		rspf     = "Received-SPF: softfail (mx.example.net: so it is) client-ip=192.0.2.1; envelope-from=\"a@soft.example\"; receiver=mx.example.net; identity=mailfrom\n"
	)
	relay := from("198.51.100.1")
	for _, tt := range []struct {
		name    string
		mail    miltertest.Mail
		believe string
		spf     string // what becomes of MAIL FROM
		helo    string
		dkim    string
		dmarc   string
		field   string
	}{
		{"above Received", miltertest.Mail{Conn: relay, Text: word + received + letter}, "mx.example.net", "pass example.org", "fail x.example", "pass example.org", "pass example.org",
			"dkim=none (no signature); dmarc=pass (by the word of mx.example.net) policy.dmarc=reject header.from=example.org"},
		{"below Received", miltertest.Mail{Conn: relay, Text: received + word + letter}, "MX.example.net.", "pass example.org", "fail x.example", "pass example.org", "pass example.org", ""},
		{"below two", miltertest.Mail{Conn: relay, Text: received + received + word + letter}, "mx.example.net", "", "", "", "", "dkim=none (no signature)"},
		{"below a field of the author", miltertest.Mail{Conn: relay, Text: "Subject: x\n" + word + letter}, "mx.example.net", "", "", "", "", ""},
		{"below what other servers add", miltertest.Mail{Conn: relay, Text: "X-Virus: no\nAuthentication-Results: hub.example.net; none\nReturn-Path: <a@example.org>\nARC-Seal: x\n" + word + letter},
			"mx.example.net", "pass example.org", "fail x.example", "pass example.org", "pass example.org", ""},
		{"the topmost of two", miltertest.Mail{Conn: relay, Text: "Authentication-Results: mx.example.net; spf=fail smtp.mailfrom=a@fail.example\n" + word + letter}, "mx.example.net",
			"fail fail.example", "", "", "fail example.org", ""},
		{"not named", miltertest.Mail{Conn: relay, Text: word + letter}, "other.example.net", "", "", "", "", ""},
		{"nobody named", miltertest.Mail{Conn: relay, Text: word + letter}, "", "", "", "", "", ""},
		{"not of a relay", miltertest.Mail{Text: word + letter}, "mx.example.net", "pass example.org", "pass client.example", "", "pass example.org", ""},
		{"unreadable", miltertest.Mail{Conn: relay, Text: "Authentication-Results: mx.example.net; spf=pass =\n" + word + letter}, "mx.example.net", "", "", "", "", ""},
		{"no results", miltertest.Mail{Conn: relay, Text: "Authentication-Results: mx.example.net; none\n" + letter}, "mx.example.net", "", "", "", "", ""},
		{"results that there are not", miltertest.Mail{Conn: relay, Text: "Authentication-Results: mx.example.net; spf=great smtp.mailfrom=a@example.org; dkim=ok header.d=example.org; dmarc=yes header.from=example.org\n" + letter},
			"mx.example.net", "", "", "", "", ""},
		{"DMARC of another author", miltertest.Mail{Conn: relay, Text: "Authentication-Results: mx.example.net; spf=fail smtp.mailfrom=a@fail.example; dmarc=pass header.from=bank.example\n" + letter}, "mx.example.net",
			"fail fail.example", "", "", "fail example.org", ""},
		{"DKIM makes a pass of what it knows", miltertest.Mail{Conn: relay, Text: "Authentication-Results: mx.example.net; dkim=pass header.i=@example.org\n" + letter}, "mx.example.net",
			"", "", "pass example.org", "pass example.org", ""},
		{"Received-SPF", miltertest.Mail{Conn: relay, Text: rspf + received + letter}, "mx.example.net", "softfail soft.example", "", "", "fail example.org", ""},
		{"Received-SPF of another", miltertest.Mail{Conn: relay, Text: strings.ReplaceAll(rspf, "mx.example.net", "mta.example") + letter}, "mx.example.net", "", "", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := auth.Options{}
			if tt.believe != "" {
				o.Believe = []string{tt.believe}
			}
			r := newRig(t, o)
			res := r.send(t, tt.mail)
			t.Log(r.why())
			f := r.facts
			diff(t, "SPF", tt.spf, strings.TrimSpace(string(f.spf.MailFrom.Value)+" "+f.spf.MailFrom.Domain))
			diff(t, "HELO", tt.helo, strings.TrimSpace(string(f.spf.Helo.Value)+" "+f.spf.Helo.Domain))
			var dkim string
			for _, s := range f.dkim.Signatures {
				dkim += string(s.Value) + " " + s.Domain
			}
			diff(t, "DKIM", tt.dkim, dkim)
			diff(t, "DMARC", tt.dmarc, strings.TrimSpace(string(f.dmarc.Value)+" "+f.dmarc.From))
			if tt.field != "" {
				got, _, _ := strings.Cut(results(res), "\n")
				diff(t, "field", "mta.example; "+tt.field, got)
			}
		})
	}
}

// Where all servers of a site write in one name, what a relay that is believed wrote stays, and what was
// forged does not.
func TestBelievedInOurName(t *testing.T) {
	const (
		word = "Authentication-Results: mta.example;\n\tspf=fail smtp.mailfrom=a@fail.example; dmarc=fail header.from=example.org\n"
		rspf = "Received-SPF: fail (mta.example: x) receiver=mta.example; identity=mailfrom\n"
		fake = "Authentication-Results: mta.example; spf=pass smtp.mailfrom=a@example.org\nReceived-SPF: pass (mta.example: x) receiver=mta.example\n"
	)
	for _, believe := range [][]string{nil, {"mta.example"}} {
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			r := newRig(t, auth.Options{Believe: believe})
			r.profile = profile
			res := r.send(t, miltertest.Mail{Conn: from("198.51.100.1"), Text: word + rspf + "Received: x\n" + "Received: y\n" + fake + letter})
			want, wantSPF := "mta.example; dkim=none (no signature)", 0
			if believe != nil {
				want, wantSPF = "mta.example; dkim=none (no signature); dmarc=fail (by the word of mta.example) header.from=example.org\n"+
					"mta.example; spf=fail smtp.mailfrom=a@fail.example; dmarc=fail header.from=example.org", 1
			}
			diff(t, "results", want, results(res))
			if got := res.Headers("Received-SPF"); len(got) != wantSPF {
				t.Errorf("Received-SPF %q, want %d", got, wantSPF)
			}
		})
	}
}
