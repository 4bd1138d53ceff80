package dsn

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
)

var update = flag.Bool("update", false, "write golden files anew")

var arrival = time.Date(2026, 5, 4, 11, 58, 0, 0, time.FixedZone("", 2*3600))

// fixed is a composer whose notices are always the same.
func fixed() *Composer {
	n := 0
	return &Composer{
		Host:   "mx.example.net",
		Now:    func() time.Time { return arrival.Add(2 * time.Minute) },
		random: func() string { n++; return fmt.Sprintf("%026d", n) },
	}
}

func path(s string) address.Path {
	p, err := address.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

const letter = "Received: from pc.example.org ([192.0.2.7]) by mx.example.net\r\nReceived-SPF: softfail (mx.example.net: not so) client-ip=192.0.2.7\r\n" +
	"From: Jane <jane@example.com>\r\nTo: joe@example.net\r\nBcc: secret@example.net\r\nSubject: =?utf-8?q?caf=C3=A9?= at\r\n noon\r\nMessage-ID: <1@example.com>\r\n\r\nAt noon?\r\n"

// notice is one with everything in it.
func notice() *Notice {
	m := message.Parse([]byte(letter))
	return &Notice{
		Template: "softfail",
		Vars:     Vars{Result: "softfail", HeloName: "pc.example.org", ConnectIP: netip.MustParseAddr("::ffff:192.0.2.7"), PermError: "two records", Reference: "06aebc"},
		To:       path("jane@example.com"),
		Recipients: []Recipient{
			{Address: path("joe@example.net"), Original: "rfc822;joe+2Bx@example.net", Action: Delayed, Status: "4.7.23", Diagnostic: "451 4.7.23 SPF: softfail", RemoteMTA: "store.example.net", RetryUntil: arrival.Add(time.Hour)},
			{Address: path("secret@example.net"), Action: Delayed, Notify: NotifyNever},
		},
		EnvelopeID: "Q+2B7", Arrival: arrival, ReceivedFrom: "pc.example.org",
		Header: m.Header, Body: bytes.NewReader(m.Body),
	}
}

func compose(t testing.TB, c *Composer, n *Notice) *Message {
	t.Helper()
	m, err := c.Compose(n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestEveryTemplateMakesANotice(t *testing.T) {
	for _, name := range BuiltinTemplates().Names() {
		t.Run(name, func(t *testing.T) {
			n := notice()
			n.Template = name
			if name == "heloerror" {
				n.To, n.Sender = path("postmaster@pc.example.org"), n.To
			}
			m := compose(t, fixed(), n)
			golden(t, "notice-"+name+".eml", m.Data)
			checkLines(t, m.Data, 78)
		})
	}
}

// checkLines fails the test where a line is too long or not ended by CRLF.
func checkLines(t testing.TB, b []byte, max int) {
	t.Helper()
	if !bytes.HasSuffix(b, []byte(crlf)) {
		t.Errorf("no CRLF at the end of %q", b)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(b), crlf), crlf) {
		if len(line) > max || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("bad line %q", line)
		}
	}
}

func TestNoticeInFull(t *testing.T) {
	n := notice()
	n.Return = ReturnFull
	n.Recipients[0].Action, n.Recipients[0].Status = Failed, "5.7.23"
	m := compose(t, fixed(), n)
	golden(t, "full.eml", m.Data)
}

// parts returns the media types of a composed message and the decoded parts.
func parts(t testing.TB, m *Message) (media []string, bodies []string) {
	t.Helper()
	tree, err := message.Read(bytes.NewReader(m.Data), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if d := tree.Defects(); len(d) > 0 {
		t.Errorf("defects %v in\n%s", d, m.Data)
	}
	for _, p := range tree.Root.Parts {
		b, err := io.ReadAll(p.Open())
		if err != nil {
			t.Fatal(err)
		}
		media, bodies = append(media, p.MediaType()), append(bodies, string(b))
	}
	return media, bodies
}

func TestWhatOfTheOriginalIsReturned(t *testing.T) {
	eightBit := strings.Replace(letter, "At noon", "\xc3\xa0 midi", 1)
	intl := strings.Replace(eightBit, "From: Jane", "From: Jän\xc3\xa9", 1)
	for _, tt := range []struct {
		name, letter string
		edit         func(*Composer, *Notice)
		want         string
		eightBit     bool
	}{
		{"the header unless asked", letter, func(_ *Composer, n *Notice) { n.Return = ReturnHeaders }, "text/rfc822-headers", false},
		{"all when asked", letter, nil, "message/rfc822", false},
		{"the header where nothing failed", letter, func(_ *Composer, n *Notice) { n.Recipients[0].Action = Delayed }, "text/rfc822-headers", false},
		{"the header of what is too large", letter, func(c *Composer, n *Notice) {
			c.MaxReturned, n.Body = 400, strings.NewReader(strings.Repeat("x\r\n", 100))
		}, "text/rfc822-headers", false},
		{"the header without a body", letter, func(_ *Composer, n *Notice) { n.Body = nil }, "text/rfc822-headers", false},
		{"nothing of nothing", letter, func(_ *Composer, n *Notice) { n.Header = nil }, "", false},
		{"nothing to somebody else", letter, func(_ *Composer, n *Notice) { n.Sender = path("other@example.com") }, "", false},
		{"nothing where the limit is none", letter, func(c *Composer, _ *Notice) { c.MaxReturned = -1 }, "", false},
		{"the header of 8-bit mail to a host of 7 bits", eightBit, nil, "text/rfc822-headers", false},
		{"8-bit mail to one of 8", eightBit, func(_ *Composer, n *Notice) { n.EightBit = true }, "message/rfc822", true},
		{"all of international mail", intl, func(_ *Composer, n *Notice) { n.UTF8 = true }, "message/global", true},
		{"the header of international mail", intl, func(_ *Composer, n *Notice) { n.UTF8, n.Return = true, ReturnHeaders }, "message/global-headers", true},
		{"the header of international mail, in ASCII", intl, nil, "text/rfc822-headers", false},
		{"the header of a message with a NUL", strings.Replace(letter, "noon?", "\x00", 1), nil, "text/rfc822-headers", false},
		{"the header of a message with a CR alone", strings.Replace(letter, "noon?", "a\rb", 1), nil, "text/rfc822-headers", false},
		{"the header of a message with a line too long", strings.Replace(letter, "noon?", strings.Repeat("x", 999), 1), nil, "text/rfc822-headers", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, n, orig := fixed(), notice(), message.Parse([]byte(tt.letter))
			n.Header, n.Body, n.Return = orig.Header, bytes.NewReader(orig.Body), ReturnFull
			n.Recipients[0].Action = Failed
			if tt.edit != nil {
				tt.edit(c, n)
			}
			m := compose(t, c, n)
			checkLines(t, m.Data, lineLimit)
			media, bodies := parts(t, m)
			got := ""
			if len(media) == 3 {
				got = media[2]
			}
			if got != tt.want || m.EightBit != tt.eightBit || m.EightBit == isASCII(m.Data) {
				t.Errorf("third part %q, 8 bit %v, want %q, %v:\n%s", got, m.EightBit, tt.want, tt.eightBit, m.Data)
			}
			if m.SMTPUTF8 != strings.HasPrefix(tt.want, "message/global") {
				t.Errorf("SMTPUTF8 %v", m.SMTPUTF8)
			}
			if strings.Contains(string(m.Data), "secret") {
				t.Errorf("a blind copy shows:\n%s", m.Data)
			}
			if got == "" {
				return
			}
			want := strings.Replace(tt.letter, "Bcc: secret@example.net\r\n", "", 1)
			if strings.HasSuffix(got, "-headers") {
				want, _, _ = strings.Cut(want, "\r\n\r\n")
				want += "\r\n"
			}
			// The line end before a boundary belongs to the boundary.
			if bodies[2]+"\r\n" != want && bodies[2] != want {
				t.Errorf("returned (-want +got):\n%s", cmp.Diff(want, bodies[2]))
			}
		})
	}
}

func TestReturnedHeaderIsBounded(t *testing.T) {
	n := notice()
	for range 5000 {
		n.Header = append(n.Header, message.NewField("X-Long", " "+strings.Repeat("y", 90), crlf))
	}
	m := compose(t, fixed(), n)
	if len(m.Data) < 50_000 || len(m.Data) > 55_000 {
		t.Errorf("%d bytes", len(m.Data))
	}
}

func TestOddBytesOfTheHeaderAreReturned(t *testing.T) {
	n := notice()
	odd := "X-Odd: a\rb\x00c \t\r\n"
	n.Header = append(n.Header, message.NewField("X-Odd", " a\rb\x00c \t", crlf))
	if media, bodies := parts(t, compose(t, fixed(), n)); media[2] != "text/rfc822-headers" || !strings.HasSuffix(bodies[2]+crlf, odd) && !strings.HasSuffix(bodies[2], odd) {
		t.Errorf("%s: %q, want %q at its end", media[2], bodies[2], odd)
	}
}

func TestVariablesAreShortLines(t *testing.T) {
	evil := "a\r\nb\u2028c\u0085d\x00e" + strings.Repeat("z", 1000)
	n := notice()
	n.Template = "heloerror"
	n.Vars = Vars{SPFResult: evil, HeloName: evil}
	n.Recipients[0].Address.Local = "joe"
	_, bodies := parts(t, compose(t, fixed(), n))
	short := "a  b c d e" + strings.Repeat("z", 500-13)
	for _, want := range []string{"Result of the check: " + short + "\r\n", "Name it used:         " + short + "\r\n"} {
		if !strings.Contains(bodies[0], want) {
			t.Errorf("no %q in\n%q", want, bodies[0])
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	broken := errors.New("no key")
	for _, tt := range []struct {
		name string
		edit func(*Composer, *Notice)
		want error
	}{
		{"the null sender", func(_ *Composer, n *Notice) { n.To = address.Path{} }, ErrNullSender},
		{"a sender without a domain", func(_ *Composer, n *Notice) { n.To = path("jane") }, ErrAddress},
		{"a sender that would end its field", func(_ *Composer, n *Notice) { n.To.Local = "a\r\nBcc: b" }, ErrAddress},
		{"a domain that would end its brackets", func(_ *Composer, n *Notice) { n.To.Domain = "example.com>, <b@example.com" }, ErrAddress},
		{"a recipient that would end its field", func(_ *Composer, n *Notice) { n.Recipients[0].Address.Local = "a\r\n\r\nAction: failed" }, ErrAddress},
		{"a recipient of odd bytes that would end its field", func(_ *Composer, n *Notice) { n.Recipients[0].Address.Local = "\xff\r\n\r\nAction: failed" }, ErrAddress},
		{"a sender longer than any", func(_ *Composer, n *Notice) { n.To.Local = strings.Repeat("a", 400) }, ErrAddress},
		{"a recipient longer than any", func(_ *Composer, n *Notice) { n.Recipients[0].Address.Local = strings.Repeat("a", 400) }, ErrAddress},
		{"an unknown template", func(_ *Composer, n *Notice) { n.Template = "nothing" }, ErrTemplate},
		{"a host that is none", func(c *Composer, _ *Notice) { c.Host = "mx example" }, ErrHost},
		{"no host", func(c *Composer, _ *Notice) { c.Host = "" }, ErrHost},
		{"a bad id", func(_ *Composer, n *Notice) { n.MessageID = "a@b>\r\nX: y" }, ErrMessageID},
		{"a token too long", func(c *Composer, _ *Notice) {
			c.Sign = func(address.Path) (string, error) { return strings.Repeat("x", 401), nil }
		}, ErrMessageID},
		{"a broken signer", func(c *Composer, _ *Notice) { c.Sign = func(address.Path) (string, error) { return "", broken } }, broken},
		{"nobody to tell of", func(_ *Composer, n *Notice) { n.Recipients = n.Recipients[1:] }, ErrNotWanted},
		{"an action that is none", func(_ *Composer, n *Notice) { n.Always, n.Recipients[0].Action = true, "failed\r\nX: y" }, ErrNotWanted},
		{"an original that breaks off", func(_ *Composer, n *Notice) {
			n.Return, n.Recipients[0].Action, n.Body = ReturnFull, Failed, io.NewSectionReader(strings.NewReader("ab"), 0, 5)
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, n := fixed(), notice()
			tt.edit(c, n)
			if m, err := c.Compose(n); !errors.Is(err, tt.want) {
				t.Errorf("Compose() = %v, error %v, want %v", m, err, tt.want)
			}
		})
	}
}

func TestComposeReportFields(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Notice)
		want string // a line of the report
		none string // what is in none
	}{
		{"the envelope id, decoded", func(*Notice) {}, "Original-Envelope-Id: Q+7\r\n", ""},
		{"no envelope id that is no xtext", func(n *Notice) { n.EnvelopeID = "Q+7" }, "", "Envelope-Id"},
		{"no envelope id that would end its field", func(n *Notice) { n.EnvelopeID = "Q+0D+0AAction: failed" }, "", "Envelope-Id"},
		{"the original recipient, decoded", func(*Notice) {}, "Original-Recipient: rfc822; joe+x@example.net\r\n", ""},
		{"no original recipient without type", func(n *Notice) { n.Recipients[0].Original = "joe@example.net" }, "", "Original-Recipient"},
		{"no original recipient that would end its field", func(n *Notice) { n.Recipients[0].Original = "rfc822;a+0D+0AAction: failed" }, "", "Original-Recipient"},
		{"an original recipient in UTF-8", func(n *Notice) { n.Recipients[0].Original = `utf-8;j\x{F6}e@example.net` }, `Original-Recipient: utf-8; j\x{F6}e@example.net`, ""},
		{"the same to who understands it", func(n *Notice) { n.UTF8, n.Recipients[0].Original = true, `utf-8;j\x{F6}e@example.net` }, "Original-Recipient: utf-8; jöe@example.net", ""},
		{"no original recipient with a line separator", func(n *Notice) { n.UTF8, n.Recipients[0].Original = true, `utf-8;j\x{2028}e@example.net` }, "", "Original-Recipient"},
		{"no original recipient with a line end", func(n *Notice) { n.UTF8, n.Recipients[0].Original = true, "utf-8;j\r\nAction: failed" }, "", "Original-Recipient"},
		{"a recipient in UTF-8", func(n *Notice) { n.Recipients[0].Address.Local = "jö+e" }, `Final-Recipient: utf-8; j\x{F6}\x{2B}e@example.net`, ""},
		{"a recipient of odd bytes", func(n *Notice) { n.Recipients[0].Address.Local = "j\xffe" }, `Final-Recipient: utf-8; j\x{FFFD}e@example.net`, ""},
		{"a recipient with blanks", func(n *Notice) { n.Recipients[0].Address.Local = "j  e" }, `Final-Recipient: rfc822; "j  e"@example.net`, ""},
		{"a status that is none", func(n *Notice) { n.Recipients[0].Status = "4.7.1\r\nX: y" }, "Status: 4.0.0\r\n", "X: y"},
		{"no status", func(n *Notice) { n.Recipients[0].Status, n.Recipients[0].Action = "", Failed }, "Status: 5.0.0\r\n", ""},
		{"a reply in a line", func(n *Notice) { n.Recipients[0].Diagnostic = "550 a\r\nX: y\u2028\x85z\xc3\xa9" }, "Diagnostic-Code: smtp; 550 a  X: y ?z?\r\n", "\r\nX: y"},
		{"a reply without end", func(n *Notice) { n.Recipients[0].Diagnostic = strings.Repeat("x", 1<<20) }, "Diagnostic-Code: smtp;", strings.Repeat("x", 1001)},
		{"no remote host that is none", func(n *Notice) { n.Recipients[0].RemoteMTA = "a b\r\nX: y" }, "", "Remote-MTA"},
		{"no remote host that is not told", func(n *Notice) { n.Recipients[0].RemoteMTA = "" }, "", "Remote-MTA"},
		{"no client that is none", func(n *Notice) { n.ReceivedFrom = "[192.0.2.7] (what?)" }, "", "Received-From"},
		{"a client in UTF-8", func(n *Notice) { n.ReceivedFrom = "bücher.example" }, "Received-From-MTA: dns; xn--bcher-kva.example\r\n", ""},
		{"when it is tried until", func(*Notice) {}, "Will-Retry-Until: Mon, 04 May 2026 12:58:00 +0200\r\n", ""},
		{"no retry of what failed", func(n *Notice) { n.Recipients[0].Action = Failed }, "", "Will-Retry"},
		{"only those concerned", func(*Notice) {}, "", "secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := notice()
			tt.edit(n)
			m := compose(t, fixed(), n)
			_, bodies := parts(t, m)
			if !strings.Contains(bodies[1], tt.want) || tt.none != "" && strings.Contains(bodies[1], tt.none) {
				t.Errorf("want %q, not %q, in\n%s", tt.want, tt.none, bodies[1])
			}
			checkLines(t, m.Data, lineLimit)
		})
	}
}

func TestHeaderOfNotice(t *testing.T) {
	dir := t.TempDir()
	writeTemplate(t, dir, "odd", "Subject: {{.subject}}\nFrom: Über Post <bounce@{{.receiver}}>\nReply-To: \"Desk, Help\" <help@example.net>\n\nx\n")
	templates, err := LoadTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := notice()
	n.Template = "odd"
	c := fixed()
	c.Templates = templates
	c.Host = "MX.bücher.example."
	c.Sign = func(to address.Path) (string, error) { return "SRS0=ab+/=" + to.Domain + "=x..y z%", nil }
	got, _, _ := strings.Cut(string(compose(t, c, n).Data), "\r\n\r\n")
	want := strings.ReplaceAll(`Date: Mon, 04 May 2026 12:00:00 +0200
From: =?utf-8?q?=C3=9Cber_Post?= <bounce@mx.xn--bcher-kva.example>
Reply-To: "Desk, Help" <help@example.net>
To: <jane@example.com>
Subject: =?utf-8?b?Y2Fmw6k=?= at noon
Message-ID: <dsn.00000000000000000000000001.SRS0=ab+/=example.com=x.%2Ey%20z%25@mx.xn--bcher-kva.example>
In-Reply-To: <1@example.com>
References: <1@example.com>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="=_00000000000000000000000002"`, "\n", "\r\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGivenMessageID(t *testing.T) {
	n := notice()
	n.MessageID = "given@example.net"
	if m := compose(t, fixed(), n); m.MessageID != n.MessageID || !bytes.Contains(m.Data, []byte("\r\nMessage-ID: <given@example.net>\r\n")) {
		t.Errorf("id %q in\n%s", m.MessageID, m.Data)
	}
}

func TestNoticeToInternationalAddress(t *testing.T) {
	n := notice()
	n.To = path("jöe@bücher.example")
	m := compose(t, fixed(), n)
	if !m.SMTPUTF8 || !bytes.Contains(m.Data, []byte("\r\nTo: <jöe@xn--bcher-kva.example>\r\n")) {
		t.Errorf("SMTPUTF8 %v:\n%s", m.SMTPUTF8, m.Data)
	}
}

func TestBoundaryThatOccursIsNotTaken(t *testing.T) {
	n := notice()
	taken := fmt.Sprintf("=_%026d", 2)
	n.Header = append(n.Header, message.NewField("X-Evil", "\n --"+taken+"--", crlf))
	m := compose(t, fixed(), n)
	if media, bodies := parts(t, m); len(media) != 3 || !strings.Contains(bodies[2], taken) || bytes.Contains(m.Data, []byte(`boundary="`+taken)) {
		t.Errorf("parts %q of\n%s", media, m.Data)
	}
}

// hostile draws text that tries to get out of its place.
func hostile(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{"\r\n", "\n", "\r", "\r\n\r\n", "\x00", " ", "\t", "X-Evil: y", "Bcc: evil@example.com", "--", "=_", fmt.Sprintf("--=_%026d", 2), fmt.Sprintf("\r\n--=_%026d--\r\n", 3),
			"\u2028", "\u0085", "\v", "\f", "\xff", "é", "=?utf-8?q?=0D=0AX-Evil:_y?=", "{{.sender}}", "%", "<", ">", "\"", "\\", "Content-Type: text/html", "+0D+0A", `\x{0D}`, `\x{2028}`, strings.Repeat("w", 1200)}),
		rapid.StringN(0, 20, -1)), 0, 8).Draw(t, label), "")
}

func TestNothingGetsOutOfItsPlace(t *testing.T) {
	names := BuiltinTemplates().Names()
	rapid.Check(t, func(t *rapid.T) {
		n := notice()
		raw := "Subject: " + hostile(t, "subject") + "\r\nMessage-ID: <" + hostile(t, "id") + "@x>\r\nReceived-SPF: " + hostile(t, "spf") + "\r\n"
		if rapid.Bool().Draw(t, "parsed") {
			n.Header = message.Parse([]byte(raw)).Header
		} else {
			n.Header = message.Header{message.NewField("Subject", hostile(t, "value"), "\r\n"), message.NewField("Message-ID", "<"+hostile(t, "value")+"@a>", "\n")}
		}
		n.Body = strings.NewReader(hostile(t, "body"))
		n.Template = rapid.SampledFrom(names).Draw(t, "template")
		n.Vars = Vars{SPFResult: hostile(t, "v"), HeloName: hostile(t, "v"), ClientName: hostile(t, "v"), SenderDomain: hostile(t, "v"), Result: hostile(t, "v"), PermError: hostile(t, "v"), Reason: hostile(t, "v"), Reference: hostile(t, "v")}
		n.EnvelopeID, n.ReceivedFrom = hostile(t, "envid"), hostile(t, "helo")
		n.UTF8, n.EightBit = rapid.Bool().Draw(t, "utf8"), rapid.Bool().Draw(t, "8bit")
		n.Return = rapid.SampledFrom([]Return{ReturnHeaders, ReturnFull}).Draw(t, "ret")
		r := &n.Recipients[0]
		r.Original, r.Status, r.Diagnostic, r.RemoteMTA = rapid.SampledFrom([]string{"", "rfc822;", "utf-8;"}).Draw(t, "type")+hostile(t, "orcpt"), hostile(t, "status"), hostile(t, "diagnostic"), hostile(t, "remote")
		r.Action = rapid.SampledFrom([]Action{Failed, Delayed}).Draw(t, "action")
		if rapid.Bool().Draw(t, "odd addresses") {
			r.Address = address.Path{Local: hostile(t, "local"), Domain: hostile(t, "domain")}
			n.To = address.Path{Local: hostile(t, "local"), Domain: "example.com"}
		}
		c := fixed()
		token := hostile(t, "token")
		c.Sign = func(address.Path) (string, error) { return token, nil }
		m, err := c.Compose(n)
		if err != nil {
			if !errors.Is(err, ErrAddress) && !errors.Is(err, ErrNullSender) && !errors.Is(err, ErrMessageID) {
				t.Fatal(err)
			}
			return
		}
		for line := range strings.SplitSeq(string(m.Data), crlf) {
			if len(line) > lineLimit || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("bad line %q", line)
			}
		}
		if !m.EightBit && !m.SMTPUTF8 && !isASCII(m.Data) {
			t.Fatalf("not ASCII: %q", m.Data)
		}
		tree, err := message.Read(bytes.NewReader(m.Data), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		var names []string
		for _, f := range tree.Header() {
			names = append(names, f.Name())
		}
		for _, known := range []string{"Date From To Subject Message-ID In-Reply-To References Auto-Submitted MIME-Version Content-Type Content-Transfer-Encoding"} {
			for _, name := range names {
				if !strings.Contains(known, name) {
					t.Fatalf("field %q in\n%s", name, m.Data)
				}
			}
		}
		if len(tree.Root.Parts) != 3 && len(tree.Root.Parts) != 2 {
			t.Fatalf("%d parts in\n%s", len(tree.Root.Parts), m.Data)
		}
		for _, p := range tree.Root.Parts {
			for _, f := range p.Header {
				if n := f.Name(); n != "Content-Type" && n != "Content-Description" && n != "Content-Transfer-Encoding" {
					t.Fatalf("field %q in a part of\n%s", n, m.Data)
				}
			}
		}
		got, err := Parse(bytes.NewReader(m.Data), &ParseOptions{Owner: func(s string) (address.Path, bool) { return n.To, s == token }})
		if err != nil {
			t.Fatal(err)
		}
		// One recipient with what was said of it, and no more.
		if got.Format != "rfc3464" || len(got.Outcomes) != 1 || got.Outcomes[0].Action != r.Action || got.ReportingMTA != "mx.example.net" {
			t.Fatalf("reads as %+v:\n%s", got, m.Data)
		}
		// A bounce that quotes our header leads back to us.
		if token == "" {
			return
		}
		head, _, _ := strings.Cut(string(m.Data), "\r\n\r\n")
		bounce := "From: MAILER-DAEMON\r\nSubject: failure notice\r\n\r\nno.\r\n--- Below this line is a copy of the message.\r\n\r\n" + head + "\r\n"
		got, err = Parse(strings.NewReader(bounce), &ParseOptions{Owner: func(s string) (address.Path, bool) { return n.To, s == token }})
		if err != nil || !got.Ours || got.Owner != n.To || got.OriginalID != m.MessageID {
			t.Fatalf("a bounce of it reads as %+v, %v:\n%s", got, err, bounce)
		}
	})
}
