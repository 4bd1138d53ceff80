package milter

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestMailAndRcptAccessors(t *testing.T) {
	for _, tt := range []struct {
		name, payload          string
		address, local, domain string
		raw                    string
		params                 string
	}{
		{"in brackets", "<a@example.org>\x00", "a@example.org", "a", "example.org", "<a@example.org>", ""},
		{"bare, as Postfix for local mail", "a@example.org\x00", "a@example.org", "a", "example.org", "a@example.org", ""},
		{"null sender", "<>\x00", "", "", "", "<>", ""},
		{"null sender of Postfix", "\x00", "", "", "", "", ""},
		{"no domain", "<postmaster>\x00", "postmaster", "postmaster", "", "<postmaster>", ""},
		{"domain in capitals", "<A@EXAMPLE.Org>\x00", "A@EXAMPLE.Org", "A", "example.org", "<A@EXAMPLE.Org>", ""},
		{"domain of UTF-8", "<a@BÜCHER.Example>\x00", "a@BÜCHER.Example", "a", "bÜcher.example", "<a@BÜCHER.Example>", ""},
		{"domain of odd bytes", "<a@\xffX>\x00", "a@\xffX", "a", "\xffx", "<a@\xffX>", ""},
		{"address literal", "<a@[IPv6:::1]>\x00", "a@[IPv6:::1]", "a", "[ipv6:::1]", "<a@[IPv6:::1]>", ""},
		{"quoted local part", "<\"a@b c\"@d>\x00", "\"a@b c\"@d", "\"a@b c\"", "d", "<\"a@b c\"@d>", ""},
		{"source route", "<@one.example,@two.example:a@b>\x00", "a@b", "a", "b", "<@one.example,@two.example:a@b>", ""},
		{"route without end", "<@one.example>\x00", "@one.example", "", "one.example", "<@one.example>", ""},
		{"half brackets", "<a@b\x00", "<a@b", "<a", "b", "<a@b", ""},
		{"one bracket", "<\x00", "<", "<", "", "<", ""},
		{"nothing before the at", "<@>\x00", "@", "", "", "<@>", ""},
		{"parameters", "<a@b>\x00SIZE=100\x00body=8BITMIME\x00SMTPUTF8\x00", "a@b", "a", "b", "<a@b>", "SIZE=100 BODY=8BITMIME SMTPUTF8="},
		{"parameter with two signs", "<a@b>\x00AUTH=a=b\x00", "a@b", "a", "b", "<a@b>", "AUTH=a=b"},
		{"last parameter without NUL", "<a@b>\x00SIZE=1\x00X=2", "a@b", "a", "b", "<a@b>", "SIZE=1 X=2"},
		{"empty parameter", "<a@b>\x00\x00X=2\x00", "a@b", "a", "b", "<a@b>", "= X=2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			see := func(p *path) {
				var params []string
				for n, v := range p.Params() {
					params = append(params, n+"="+v)
				}
				got = append(got, fmt.Sprintf("%q %q %q %q %q", p.Address(), p.Local(), p.Domain(), p.Raw(), strings.Join(params, " ")))
			}
			null := false
			p := serve(t, filter(Hooks{
				Mail: func(_ context.Context, m *Mail) MailReply { see(&m.path); null = m.Null(); return Continue },
				Rcpt: func(_ context.Context, r *Rcpt) RcptReply { see(&r.path); return Continue },
			})).dial(t)
			p.offer()
			p.talk(">M"+tt.payload, "<c", ">R"+tt.payload, "<c")
			want := fmt.Sprintf("%q %q %q %q %q", tt.address, tt.local, tt.domain, tt.raw, tt.params)
			if len(got) != 2 || got[0] != want || got[1] != want {
				t.Errorf("got %q\nwant %s", got, want)
			}
			if null != (tt.address == "") {
				t.Errorf("Null() = %v", null)
			}
		})
	}
}

func TestParam(t *testing.T) {
	p := serve(t, filter(Hooks{Mail: func(_ context.Context, m *Mail) MailReply {
		for name, want := range map[string]string{"SIZE": "100", "size": "100", "Body": "8BITMIME", "SMTPUTF8": "", "ENVID": "a+3Db"} {
			if v, ok := m.Param(name); !ok || v != want {
				t.Errorf("Param(%q) = %q, %v, want %q", name, v, ok, want)
			}
		}
		for _, name := range []string{"", "SIZ", "AUTH"} {
			if v, ok := m.Param(name); ok || v != "" {
				t.Errorf("Param(%q) = %q, %v", name, v, ok)
			}
		}
		n := 0
		for raw := range m.RawParams() {
			if n++; n == 2 && string(raw) != "body=8BITMIME" {
				t.Errorf("raw parameter %q", raw)
			}
			if n == 3 {
				break
			}
		}
		for range m.Params() {
			break
		}
		return Continue
	}})).dial(t)
	p.offer()
	p.want("c", "M<a@b>\x00size=100\x00body=8BITMIME\x00SMTPUTF8\x00SIZE=200\x00ENVID=a+3Db\x00")
}

func TestRejectedRcpts(t *testing.T) {
	var n notes
	p := serve(t, filter(Hooks{RejectedRcpts: true, Rcpt: func(_ context.Context, r *Rcpt) RcptReply {
		n.add("%s %v", r.Address(), r.Rejected())
		return Continue
	}})).dial(t)
	p.offer()
	p.talk(">DR{rcpt_mailer}\x00esmtp\x00", ">R<a@b>\x00", "<c", ">DR{rcpt_mailer}\x00error\x00{rcpt_host}\x005.1.1\x00", ">R<c@d>\x00", "<c", ">R<e@f>\x00", "<c")
	n.want(t, "a@b false", "c@d true", "e@f false")
}

func TestDecodeXtext(t *testing.T) {
	for in, want := range map[string]string{"": "", "plain": "plain", "a+3Db": "a=b", "+2B+20": "+ ", "+C3+B6": "ö", "rfc822;x": "rfc822;x"} {
		if got, ok := DecodeXtext(in); !ok || got != want {
			t.Errorf("DecodeXtext(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"+", "a+", "+2", "+2b", "+ZZ", "a+3D+", "+-1"} {
		if got, ok := DecodeXtext(in); ok || got != "" {
			t.Errorf("DecodeXtext(%q) = %q, %v", in, got, ok)
		}
	}
}
