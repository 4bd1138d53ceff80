package auth_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/spf"
)

// What is found of one message is nothing to the next, nor is AUTH (D-10, FROM-07).
func TestSeveralMessages(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		r := newRig(t, auth.Options{Methods: []auth.Method{auth.Auth, auth.SPF, auth.DKIM}})
		r.profile = profile
		s := r.client(t).Connect(t)
		send := func(helo, from string, macros map[string]string, text string) string {
			if helo != "" {
				s.Helo(helo)
			}
			s.SetMacros(macros)
			s.Mail(from)
			for name := range macros {
				s.UnsetMacros(name)
			}
			s.Rcpt("<rcpt@example.net>")
			s.Data()
			res := s.Message(crlf(text))
			return results(res)
		}
		signed := sign(t, letter, signature{})
		diff(t, "first", "mta.example; spf=pass (record of example.org, ip4:192.0.2.25) smtp.mailfrom=sender@example.org; dkim=pass (2048-bit key) header.d=example.org header.s=rsa header.a=rsa-sha256 header.b=Fsp+WwHM",
			send("client.example", "<sender@example.org>", nil, signed))
		diff(t, "second", "mta.example; auth=pass (PLAIN) smtp.auth=joe", send("", "<sender@example.org>", map[string]string{"auth_authen": "joe", "auth_type": "PLAIN"}, letter))
		diff(t, "third", "mta.example; spf=fail (record of fail.example, all) smtp.mailfrom=a@fail.example; dkim=none (no signature)", send("", "<a@fail.example>", nil, letter))
	})
}

// Whose results they are: the option, macro j, or the host, where macro j is missing or is none (D-12).
func TestID(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, id, j, want string }{
		{"option", "mail.example.com", "mx.example.com", "mail.example.com"},
		{"macro", "", "mx.example.com", "mx.example.com"},
		{"macro with blanks", "", " mx.example.com ", "mx.example.com"},
		{"no macro", "", "", host},
		{"macro that is none", "", "mx; spf=pass", host},
	} {
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			r := newRig(t, auth.Options{ID: tt.id, Methods: []auth.Method{auth.SPF}})
			r.profile, r.macros = profile, map[string]string{"j": tt.j}
			id, _, _ := strings.Cut(results(r.send(t, miltertest.Mail{})), ";")
			diff(t, tt.name, tt.want, id)
		})
	}
}

// A client that says no HELO, or has no address.
func TestBareClients(t *testing.T) {
	r := newRig(t, auth.Options{Methods: []auth.Method{auth.IPRev, auth.SPF, auth.Helo}})
	s := r.client(t).Connect(t)
	for _, tt := range []struct{ from, want string }{
		{"<sender@example.org>", "iprev=pass (client.example) policy.iprev=192.0.2.25; spf=pass (record of example.org, ip4:192.0.2.25) smtp.mailfrom=sender@example.org"},
		{"<>", "iprev=pass (client.example) policy.iprev=192.0.2.25; spf=none (the sender is null, and there is no HELO name)"},
	} {
		s.Mail(tt.from)
		s.Rcpt("<rcpt@example.net>")
		s.Data()
		diff(t, "without HELO", "mta.example; "+tt.want, results(s.Message(crlf(letter))))
	}
	r.send(t, miltertest.Mail{From: "<>"})
	if f := r.facts.spf; f.MailFrom.Value != spf.Pass || f.MailFrom.Identity != spf.MailFrom || f.Helo.Value != spf.Pass || f.Helo.Identity != spf.Helo || f.Helo.Domain != "client.example" {
		t.Errorf("of the null sender %+v", f)
	}
	res := r.send(t, miltertest.Mail{Conn: &mta.Conn{Name: "localhost"}})
	diff(t, "without address", "", results(res))
}

// Where the MTA does not show header fields byte for byte, a signature that may be right is not
// called wrong (SMFIP_HDR_LEADSPC).
func TestOldVersions(t *testing.T) {
	odd := strings.Replace(letter, "Subject: test", "Subject:test", 1)
	for _, tt := range []struct {
		name    string
		version uint32
		text    string
		want    string
	}{
		{"simple, shown", 6, sign(t, odd, signature{header: "simple"}), "pass"},
		{"simple, not shown", 5, sign(t, odd, signature{header: "simple"}), "neutral"},
		{"simple, not shown, and as it is guessed", 5, sign(t, letter, signature{header: "simple"}), "pass"},
		{"relaxed, not shown", 5, sign(t, odd, signature{}), "pass"},
		{"relaxed body of simple header, not shown", 5, sign(t, odd, signature{header: "simple", body: "relaxed"}), "neutral"},
		{"relaxed, changed", 5, strings.Replace(sign(t, odd, signature{}), "test", "toast", 1), "fail"},
		{"simple, shown, changed", 6, strings.Replace(sign(t, odd, signature{header: "simple"}), "test", "toast", 1), "fail"},
	} {
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			r := newRig(t, auth.Options{})
			r.profile, r.version = profile, tt.version
			r.send(t, miltertest.Mail{Text: tt.text})
			if len(r.facts.dkim.Signatures) != 1 || string(r.facts.dkim.Signatures[0].Value) != tt.want {
				t.Errorf("%s: %+v, want %s", tt.name, r.facts.dkim, tt.want)
			}
		})
	}
}

// Two filters of a chain do not take what the other found for their own.
func TestTwoInAChain(t *testing.T) {
	first, err := auth.New("first", auth.Options{Resolver: parseZone(t), ID: "first.example", Methods: []auth.Method{auth.SPF}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, auth.Options{ID: "second.example", Methods: []auth.Method{auth.Helo}}, filter.Step{Filter: first})
	diff(t, "fields", "second.example; spf=pass (record of client.example, a) smtp.helo=client.example\n"+
		"first.example; spf=pass (record of example.org, ip4:192.0.2.25) smtp.mailfrom=sender@example.org", results(r.send(t, miltertest.Mail{})))
}

// Nor does one take out what the other wrote, though they write in one name.
func TestTwoInAChainInOneName(t *testing.T) {
	first, err := auth.New("first", auth.Options{Resolver: parseZone(t), Methods: []auth.Method{auth.SPF, auth.DMARC}, ReceivedSPF: true, DMARC: auth.DMARCOptions{Action: auth.Tag}})
	if err != nil {
		t.Fatal(err)
	}
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		r := newRig(t, auth.Options{Methods: []auth.Method{auth.Helo, auth.DMARC}, ReceivedSPF: true, DMARC: auth.DMARCOptions{Action: auth.Tag}}, filter.Step{Filter: first})
		r.profile = profile
		res := r.send(t, miltertest.Mail{From: "<a@fail.example>", Text: forged + "X-DMARC-Warning: forged\n" + letter})
		const failed = `reason="neither SPF nor DKIM passed" policy.dmarc=reject header.from=example.org`
		var ours []string
		for _, f := range strings.Split(results(res), "\n") {
			if strings.HasPrefix(f, "mta.example;") {
				ours = append(ours, f)
			}
		}
		diff(t, "results", []string{"mta.example; spf=pass (record of client.example, a) smtp.helo=client.example; dmarc=fail " + failed,
			"mta.example; spf=fail (record of fail.example, all) smtp.mailfrom=a@fail.example; dmarc=fail " + failed}, ours)
		if got := res.Headers("Received-SPF"); len(got) != 2 || !strings.HasPrefix(got[0], "pass") || !strings.HasPrefix(got[1], "fail") {
			t.Errorf("Received-SPF %q", got)
		}
		if got := res.Headers("X-DMARC-Warning"); len(got) != 2 {
			t.Errorf("marks %q", got)
		}
	})
}

// Addresses that are not ASCII are written as they are into messages that are internationalized, and as
// far as ASCII goes into others (RFC 8601 section 5).
func TestInternationalizedMail(t *testing.T) {
	for _, tt := range []struct{ params, want string }{
		{" SMTPUTF8", "smtp.mailfrom=jös@bücher.example"},
		{"", "smtp.mailfrom=j?s@xn--bcher-kva.example"},
	} {
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			r := newRig(t, auth.Options{ID: "xn--bcher-kva.example", Methods: []auth.Method{auth.SPF}})
			r.profile = profile
			res := r.send(t, miltertest.Mail{From: "<jös@bücher.example>" + tt.params, Text: "Authentication-Results: BÜCHER.example; spf=pass\n" + letter})
			diff(t, "results", "xn--bcher-kva.example; spf=none (xn--bcher-kva.example has no record) "+tt.want, results(res))
		})
	}
}
