package spf

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestReceivedSPF(t *testing.T) {
	q := Query{IP: ours, From: "alice@example.com", Helo: "mx.example.com"}
	for _, tt := range []struct {
		name string
		f    ReceivedSPF
		want string
	}{
		{"a pass", Result{Value: Pass, Identity: MailFrom, Domain: "example.com", Mechanism: "ip4:192.0.2.1"}.ReceivedSPF("mx.here.example", q),
			"pass (mx.here.example: example.com lets 192.0.2.1 send)\n" +
				"\tclient-ip=192.0.2.1; envelope-from=\"alice@example.com\"; helo=mx.example.com;\n" +
				"\treceiver=mx.here.example; mechanism=\"ip4:192.0.2.1\"; identity=mailfrom"},
		{"a problem and extras", ReceivedSPF{Value: PermError, ClientIP: netip.MustParseAddr("2001:db8::1"), Problem: `"moo" \o/`, Identity: Helo,
			Extra: map[string]string{"x-helo-spf": "none", "x-bestguess": "a b", "helo": "forged", "not a key": "x", "X-Case": "x"}},
			"permerror client-ip=\"2001:db8::1\"; envelope-from=\"\";\n" +
				"\tproblem=\"\\\"moo\\\" \\\\o/\"; x-bestguess=\"a b\"; x-helo-spf=none; identity=helo"},
		{"nothing brings a line in", ReceivedSPF{Value: None, Comment: "a)\r\nX: y (", From: "a\r\nBcc: b", Helo: "h\x00\"; identity=helo; x=\"é"},
			"none (a\\)??X: y \\() envelope-from=\"a??Bcc: b\";\n\thelo=\"h?\\\"; identity=helo; x=\\\"??\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.f.String()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	q := Query{IP: ours}
	for want, r := range map[string]Result{
		"example.com lets 192.0.2.1 send":                           {Value: Pass, Domain: "example.com"},
		"example.com does not let 192.0.2.1 send":                   {Value: Fail, Domain: "example.com"},
		"example.com would rather not let 192.0.2.1 send":           {Value: SoftFail, Domain: "example.com"},
		"example.com does not say whether 192.0.2.1 may send":       {Value: Neutral, Domain: "example.com"},
		"example.com publishes no record":                           {Value: None, Domain: "example.com"},
		"there is no domain to ask":                                 {Value: None},
		"the record of example.com cannot be read":                  {Value: PermError, Domain: "example.com"},
		"the record of example.com could not be looked up":          {Value: TempError, Domain: "example.com"},
		"the guess for example.com lets 192.0.2.1 send":             {Value: Pass, Domain: "example.com", Source: Guess},
		"the local record for example.com lets 192.0.2.1 send":      {Value: Pass, Domain: "example.com", Source: Local},
		"the trusted forwarder forward.example lets 192.0.2.1 send": {Value: Pass, Domain: "forward.example", Source: Forwarder},
	} {
		if got := r.Reason(q); got != want {
			t.Errorf("%+v: %q, want %q", r, got, want)
		}
	}
}

// The field tells the address that was checked, in a form that can be read back.
func TestAddressInReceivedSPF(t *testing.T) {
	for in, want := range map[string]string{
		"::ffff:192.0.2.1": "192.0.2.1",
		"fe80::1%eth0":     "fe80::1",
		"2001:db8::1":      "2001:db8::1",
	} {
		q := Query{IP: netip.MustParseAddr(in), From: "a@example.com"}
		r := Result{Value: Pass, Identity: MailFrom, Domain: "example.com"}
		f, err := ParseReceivedSPF(r.ReceivedSPF("mx.here.example", q).String())
		if err != nil || f.ClientIP.String() != want || f.Comment != "mx.here.example: example.com lets "+want+" send" {
			t.Errorf("%s: %v %q, %v", in, f.ClientIP, f.Comment, err)
		}
	}
}

func TestParseReceivedSPF(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     ReceivedSPF
	}{
		{"RFC 7208 section 9.1", "Pass (mybox.example.org: domain of\r\n myname@example.com designates 192.0.2.1 as permitted sender)\r\n" +
			"   receiver=mybox.example.org; client-ip=192.0.2.1;\r\n   envelope-from=\"myname@example.com\"; helo=foo.example.com;",
			ReceivedSPF{Value: Pass, Comment: "mybox.example.org: domain of myname@example.com designates 192.0.2.1 as permitted sender",
				Receiver: "mybox.example.org", ClientIP: ours, From: "myname@example.com", Helo: "foo.example.com"}},
		{"the other one there", "Fail (mybox.example.org: domain of myname@example.com does not designate 192.0.2.1 as permitted sender)\n" +
			" identity=mailfrom; client-ip=192.0.2.1;\n envelope-from=\"myname@example.com\";",
			ReceivedSPF{Value: Fail, Comment: "mybox.example.org: domain of myname@example.com does not designate 192.0.2.1 as permitted sender",
				Identity: MailFrom, ClientIP: ours, From: "myname@example.com"}},
		{"without quotes", "softfail client-ip=2001:db8::1; envelope-from=<a@b.example>; helo=[192.0.2.1]; problem=x",
			ReceivedSPF{Value: SoftFail, ClientIP: netip.MustParseAddr("2001:db8::1"), From: "a@b.example", Helo: "[192.0.2.1]", Problem: "x"}},
		{"comments and blanks anywhere", "none(a (b) c) (d) client-ip (x) = (y) 192.0.2.1 (z) ;; helo\t=\r\n\t\"a\\\"b\";",
			ReceivedSPF{Value: None, Comment: "a (b) c", ClientIP: ours, Helo: `a"b`}},
		{"extras", "neutral X-Helo-SPF=pass; x-a=\"1;2\"; mechanism=default",
			ReceivedSPF{Value: Neutral, Mechanism: "default", Extra: map[string]string{"x-helo-spf": "pass", "x-a": "1;2"}}},
		{"of a key that stands twice the first", "pass helo=a; HELO=b", ReceivedSPF{Value: Pass, Helo: "a"}},
		{"nothing but a result", "temperror", ReceivedSPF{Value: TempError}},
		{"line ends do not get in", "pass helo=\"a\r\n b\\\nc\"", ReceivedSPF{Value: Pass, Helo: "a bc"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseReceivedSPF(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, bad := range map[string]string{
		"empty": "", "no result": "helo=a", "another result": "passed helo=a", "a comment without end": "pass (a", "quotes without end": `pass helo="a`,
		"a later comment without end": "pass helo=a; (", "a key without value": "pass helo; receiver=a", "no key": "pass =a", "a key that is none": "pass 1a=b",
		"no address": "pass client-ip=moo", "an address with zone": `pass client-ip="fe80::1%eth0"`, "no identity": "pass identity=pra",
		"too long": "pass (" + strings.Repeat("a", 32<<10) + ")", "too deep": "pass " + strings.Repeat("(", 30000),
		"a key that is too long": "pass " + strings.Repeat("k", 100) + "=v",
		"too many values":        "pass " + strings.NewReplacer("#", "a=1;b").Replace(manyPairs(101)),
	} {
		if got, err := ParseReceivedSPF(bad); err == nil {
			t.Errorf("%s: %+v", name, got)
		} else if !strings.HasPrefix(err.Error(), "spf: ") || !isPrintable(err.Error()) {
			t.Errorf("%s: %q", name, err)
		}
	}
	if _, err := ParseReceivedSPF("pass " + manyPairs(100)); err != nil {
		t.Error(err)
	}
}

func manyPairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" k" + strings.Repeat("x", i%50) + string(rune('a'+i/50)) + "=v;")
	}
	return b.String()
}

// Lines of the field as it is written: printable, not longer than mail's, and no line that
// is blank or begins with anything but a blank.
var fieldLines = regexp.MustCompile(`^[ -~]{1,998}(\n[ \t][!-~][ -~]{0,990})*$`)

func FuzzReceivedSPF(f *testing.F) {
	f.Add("pass", "mx: example.com lets 192.0.2.1 send", "192.0.2.1", "alice@example.com", "h", "r", "p", "ip4:192.0.2.1", "x-a", "b", "mailfrom")
	f.Add("none", strings.Repeat("a b  ", 99), "2001:db8::1", "a\r\nB: c", "\"\\", ")(", strings.Repeat(`"`, 999), "é", "helo", "\x00", "helo")
	f.Fuzz(func(t *testing.T, value, comment, ip, from, helo, receiver, problem, mechanism, key, extra, id string) {
		in := ReceivedSPF{Value: Value(value), Comment: comment, From: from, Helo: helo, Receiver: receiver, Problem: problem, Mechanism: mechanism,
			Extra: map[string]string{key: extra}, Identity: Identity(id)}
		in.ClientIP, _ = netip.ParseAddr(ip)
		in.ClientIP = in.ClientIP.WithZone("")
		if _, err := ParseReceivedSPF(value); err != nil || lowerASCII(value) != value || strings.ContainsAny(value, " \t\r\n(;=") {
			t.Skip() // no Value
		}
		if in.Identity != MailFrom && in.Identity != Helo {
			in.Identity = ""
		}
		s := in.String()
		if !fieldLines.MatchString("Received-SPF: " + s) {
			t.Fatalf("%q", s)
		}
		out, err := ParseReceivedSPF(s)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want := in
		for _, p := range []*string{&want.Comment, &want.From, &want.Helo, &want.Receiver, &want.Problem, &want.Mechanism} {
			*p = printable(*p)
		}
		want.Comment = strings.TrimSpace(want.Comment)
		if !strings.Contains(s, key+"=") || out.Extra == nil {
			want.Extra = nil
		} else {
			want.Extra = map[string]string{key: printable(extra)}
		}
		if diff := cmp.Diff(want, out, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Fatalf("%q: %s", s, diff)
		}
	})
}

func FuzzParseReceivedSPF(f *testing.F) {
	f.Add("Pass (a (b) c) client-ip=192.0.2.1; envelope-from=\"a@b\"; helo=x; x-y=\"z\\\"\"; identity=mailfrom")
	f.Add("fail ((((")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseReceivedSPF(in)
		if err != nil {
			return
		}
		s := got.String()
		again, err := ParseReceivedSPF(s)
		if err != nil || again.String() != s {
			t.Fatalf("%q: %q: %q, %v", in, s, again.String(), err)
		}
	})
}
