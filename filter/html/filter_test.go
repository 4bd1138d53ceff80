package html_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/html"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestFilter(t *testing.T) {
	const page = "<html><body onload=\"x()\"><p>gr\xfc\xdfe</p><script>run()</script><a href=\"javascript:x()\">y</a></body></html>\n"
	const clean = "<html><body><p>gr\xfc\xdfe</p><!-- removed: script --><a>y</a></body></html>\n"
	long := strings.Repeat(strings.Repeat("<!-- 456789 -->", 5)+"\n", 2000)
	part := "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\nX-Part: kept \n\n"
	multi := func(p string) string {
		return crlf("Subject: page\nContent-Type: multipart/alternative; boundary=b\n\npre\n--b\nContent-Type: text/plain\n\nplain <script> \n--b\n" + p + "--b--\nepi\n")
	}
	for _, tt := range []struct {
		name, in, want string
	}{
		{"nothing active", multi(part + clean), ""},
		{"in a part", multi(part + page), multi(part + clean)},
		{"the whole message", crlf("Subject: x\n" + part + page), crlf("Subject: x\n" + part + clean)},
		{"in quoted-printable", multi(strings.Replace(part, "8bit", "quoted-printable", 1) + "<b>a=3Db</b><scr=\nipt>x</script>\n"),
			multi(strings.Replace(part, "8bit", "quoted-printable", 1) + "<b>a=3Db</b><!-- removed: script -->\n")},
		{"in an attached message", multi("Content-Type: message/rfc822\n\nSubject: inner\n" + part + page), multi("Content-Type: message/rfc822\n\nSubject: inner\n" + part + clean)},
		{"by its name", multi("Content-Type: application/octet-stream; name=a.htm\n\n<script>x</script>\n"), multi("Content-Type: application/octet-stream; name=a.htm\n\n<!-- removed: script -->\n")},
		{"by a name with a semicolon behind", multi("Content-Type: application/octet-stream; name=\"a.html;\"\n\n<script>x</script>\n"), multi("Content-Type: application/octet-stream; name=\"a.html;\"\n\n<!-- removed: script -->\n")},
		{"a message that is none", multi("Content-Type: message/rfc822; name=a.html\nX-Part: kept \n\n<p>x</p><script>x</script>\n"), multi("Content-Type: text/html; name=a.html\nContent-Disposition: attachment; filename=a.html\nX-Part: kept \n\n<p>x</p><!-- removed: script -->\n")},
		{"a message that is none and has a colon", multi("Content-Type: message/rfc822; name=a.html\n\n<script>location='a:b'</script>\nContent-Type: text/html\n\n<script>y</script>\n"), multi("Content-Type: text/html; name=a.html\nContent-Disposition: attachment; filename=a.html\n\n<!-- removed: script -->\nContent-Type: text/html\n\n<!-- removed: script -->\n")},
		{"an encoded message that is none", multi("Content-Type: message/rfc822; name=a.html\nContent-Transfer-Encoding: base64\n\nPHA+eDwvcD48c2NyaXB0Png8L3NjcmlwdD4=\n"), multi("Content-Type: text/html; name=a.html\nContent-Disposition: attachment; filename=a.html\n\n<p>x</p><!-- removed: script -->\n")},
		{"a message of a mailbox by the name of a page", multi("Content-Type: message/rfc822; name=a.html\n\nFrom x@example.com Mon Sep 17 00:00:00 2001\nSubject: <script>x</script>\n\n<script>x</script>\n"), ""},
		{"a message that is none and has no name", multi("Content-Type: message/rfc822\n\nwords with <script>x</script>\n"), ""},
		{"a message by the name of a page", multi("Content-Type: message/rfc822; name=\"Re: a.html\"\n\nSubject: <script>x</script>\n\n<script>x</script>\n"), ""},
		{"XML that becomes a page", multi("Content-Type: text/xml\n\n<x>" + long + "<script xmlns=\"http://www.w3.org/1999/xhtml\">run()</script></x>\n"),
			multi("Content-Type: text/xml\n\n<x>" + long + "<!-- removed: script --></x>\n")},
		{"XML by its name", multi("Content-Type: application/octet-stream; name=a.rss\n\n<x><s:svg xmlns:s=\"http://www.w3.org/2000/&#115;vg\"><s:script>run()</s:script></s:svg></x>\n"),
			multi("Content-Type: application/octet-stream; name=a.rss\n\n<x><s:svg xmlns:s=\"http://www.w3.org/2000/&#115;vg\"><!-- removed: script -->run()</s:svg></x>\n")},
		{"XML that is data", multi("Content-Type: application/xml; name=bill.xml\n\n<?xml version=\"1.0\"?><?xml-stylesheet type=\"text/xsl\" href=\"bill.xsl\"?><b xmlns=\"urn:bill\"><object onx=\"1\"><script>1</script></object></b>\n"), ""},
		{"signed", crlf("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\n\n--b\n" + part + page + "--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n"), "tagged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				store, err := quarantine.Open(t.TempDir()+"/kept", quarantine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				var told *filter.Explanation
				chain := &filter.Chain{Steps: []filter.Step{{Filter: newFilter(t, html.FilterOptions{})}}, Originals: store,
					Explain: func(x *filter.Explanation) { told = x }, Log: slog.New(slog.DiscardHandler)}
				if err := chain.Check(); err != nil {
					t.Fatal(err)
				}
				c := miltertest.New(t, &milter.Server{New: chain.Hooks})
				c.Profile = profile
				r := c.Send(t, miltertest.Mail{Text: tt.in})
				switch tt.want {
				case "":
					if r.Raw() != tt.in || len(r.Edits) > 0 || store.Used().Entries != 0 {
						t.Errorf("edits %v\n%s", r.Edits, r.Raw())
					}
				case "tagged":
					if r.Header("X-Html-Warning") == "" || r.Body() != tt.in[strings.Index(tt.in, "\r\n\r\n")+4:] {
						t.Errorf("message\n%s", r.Raw())
					}
				default:
					if r.Raw() != tt.want || store.Used().Entries != 1 || !strings.Contains(told.String(), "removed") {
						t.Errorf("explanation %s, message\n%q\nwant\n%q", told, r.Raw(), tt.want)
					}
				}
			})
		})
	}
}

// D-04, MIME-26: a charset that is not UTF-8 is no reason to lose a message.
func TestD04OtherCharsets(t *testing.T) {
	for charset, text := range map[string]string{
		"utf-16":       "\xff\xfe<\x00s\x00c\x00r\x00i\x00p\x00t\x00>\x00x\x00<\x00/\x00s\x00c\x00r\x00i\x00p\x00t\x00>\x00b\x00",
		"windows-1251": "<p>\xcf\xf0\xe8</p><script>x</script>", "iso-2022-jp": "<p>\x1b$B$\"\x1b(B</p><script>x</script>", "unknown-8": "<p>\xff</p><script>x</script>",
	} {
		chain := &filter.Chain{Steps: []filter.Step{{Filter: newFilter(t, html.FilterOptions{DropOriginals: true})}}, Explain: func(*filter.Explanation) {}}
		in := "Content-Type: text/html; charset=" + charset + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Of(text) + "\r\n"
		r := miltertest.New(t, &milter.Server{New: chain.Hooks}).Send(t, miltertest.Mail{Text: in})
		tree, err := message.Read(strings.NewReader(r.Raw()), nil)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := io.ReadAll(tree.Root.Open())
		tree.Close()
		if r.Verdict != mta.Accept || strings.Contains(strings.ReplaceAll(string(out), "\x00", ""), "<script") || !strings.Contains(strings.ReplaceAll(string(out), "\x00", ""), "removed: script") {
			t.Errorf("%s: %s, %q", charset, r.Verdict, out)
		}
	}
}

func ExampleNew() {
	clean, err := html.New("html", html.FilterOptions{DropOriginals: true, Sealed: html.Quarantine})
	if err != nil {
		fmt.Println(err)
		return
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: clean}}}
	_ = &milter.Server{New: chain.Hooks} // and ListenAndServe
}

func newFilter(t testing.TB, o html.FilterOptions) *filter.Filter {
	t.Helper()
	f, err := html.New("html", o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A signature that is none saves nothing, and what happens to one that looks like one
// is for the admin to say.
func TestSealedParts(t *testing.T) {
	const page = "Content-Type: text/html; name=\"a \\\"b\\\".htm\"\n\n<p>x</p><script>evil()</script>\n"
	bare := crlf("MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\n" + page + "--b--\n")
	signed := crlf("MIME-Version: 1.0\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\n\n--b\n" + page + "--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n")
	for _, tt := range []struct {
		name, in string
		sealed   html.Action
		want     string
	}{
		{"the word alone", bare, html.Tag, "changed"},
		{"the word alone, where signed mail is refused", bare, html.Reject, "changed"},
		{"encrypted, but a page", strings.Replace(strings.Replace(bare, "signed", "encrypted; protocol=\"application/pgp-encrypted\"", 1), "--b\r\n", "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n", 1), html.Tag, "changed"},
		{"signed, by default", signed, html.Tag, "tagged"},
		{"signed, and changed", signed, html.Change, "changed"},
		{"signed, and held", signed, html.Quarantine, "held"},
		{"signed, and refused", signed, html.Reject, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told *filter.Explanation
			chain := &filter.Chain{Steps: []filter.Step{{Filter: newFilter(t, html.FilterOptions{DropOriginals: true, Sealed: tt.sealed})}},
				Explain: func(x *filter.Explanation) { told = x }}
			if err := chain.Check(); err != nil {
				t.Fatal(err)
			}
			r := miltertest.New(t, &milter.Server{New: chain.Hooks}).Send(t, miltertest.Mail{Text: tt.in})
			got := "left"
			switch {
			case r.Verdict != mta.Accept:
				got = "refused"
			case r.Quarantine != nil:
				got = "held"
			case !strings.Contains(r.Raw(), "evil()"):
				got = "changed"
			case r.Header("X-Html-Warning") != "":
				got = "tagged"
			}
			if got != tt.want || !strings.Contains(told.Filters[0].Why, `("a \"b\".htm")`) {
				t.Errorf("%s, %s; want %s", got, told, tt.want)
			}
		})
	}
}

// Readers disagree on which of several types and charsets counts.
func TestTypesThatReadersTakeDifferently(t *testing.T) {
	const page, utf7 = "<p>x</p><script>evil()</script>\n", "<p>x</p>+ADw-script+AD4-evil()+ADw-/script+AD4-\n"
	for _, tt := range []struct {
		in   string
		gone bool
	}{
		{"Content-Type: text/plain\nContent-Type: text/html\n\n" + page, true},
		{"Content-Type: text/html\nContent-Type: text/plain\n\n" + page, true},
		{"Content-Type: text/html, text/plain\n\n" + page, true},
		{"Content-Type: text/html/x\n\n" + page, true},
		{"Content-Type: ;TEXT/HTML\n\n" + page, true},
		{"Content-Type: text/html; charset=us-ascii; charset=utf-7\n\n" + utf7, true},
		{"Content-Type: text/html\nContent-Type: text/html; charset=\"UTF-7\"\n\n" + utf7, true},
		{"Content-Type: text/html; charset=us-ascii\n\n" + utf7, false},
		{"Content-Type: text/plain; charset=us-ascii\n\n" + page, false},
		{"Content-Type: text/plain\nContent-Type: text/csv\n\n" + page, false},
	} {
		chain := &filter.Chain{Steps: []filter.Step{{Filter: newFilter(t, html.FilterOptions{DropOriginals: true})}}, Explain: func(*filter.Explanation) {}}
		r := miltertest.New(t, &milter.Server{New: chain.Hooks}).Send(t, miltertest.Mail{Text: crlf(tt.in)})
		if got := !strings.Contains(r.Raw(), "evil()"); got != tt.gone {
			t.Errorf("%q: removed %v, want %v", tt.in, got, tt.gone)
		}
	}
}

func TestOptionsThatAreNotRight(t *testing.T) {
	for want, o := range map[string]html.FilterOptions{
		"Tag: byte ' ' in header name": {Tag: "bad name:"},
		"Tag: Subject has a meaning":   {Tag: "Subject"},
		"there is no action 9":         {Sealed: 9},
		"Reply: ":                      {Reply: milter.Reject(250, "2.0.0", "fine")},
	} {
		if f, err := html.New("html", o); f != nil || !errors.Is(err, html.ErrOptions) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
	_, err := html.New("", html.FilterOptions{Tag: "From", Sealed: 9})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("not all that is wrong is told: %v", err)
	}
}

func ExampleAction() {
	fmt.Println(html.Tag, html.Change, html.Quarantine, html.Reject)
	// Output: tag change quarantine reject
}

// What must be decoded goes where the chain says.
func TestFilterSpoolsInTheFolderOfTheChain(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", "/nonexistent")
	page := "<html><script>x</script>" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 40000)
	for _, charset := range []string{"us-ascii", "iso-2022-jp"} {
		chain := &filter.Chain{Steps: []filter.Step{{Filter: newFilter(t, html.FilterOptions{DropOriginals: true})}}, Dir: dir, MIME: message.Options{Dir: dir}, Explain: func(*filter.Explanation) {}}
		r := miltertest.New(t, &milter.Server{New: chain.Hooks}).Send(t, miltertest.Mail{Text: "Content-Type: text/html; charset=" + charset + "\r\n\r\n" + page})
		if r.Verdict != mta.Accept || strings.Contains(r.Raw(), "<script") || len(r.Raw()) < len(page) {
			t.Errorf("%s: %s, %d bytes", charset, r.Verdict, len(r.Raw()))
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left are %v, %v", charset, left, err)
		}
	}
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// What is read again is counted for a message: its parts are the sender's choice.
func TestPartsShareMaxReread(t *testing.T) {
	const page, clean = "<title><b></title><p>x\n", "<!-- removed: title --><p>x\n"
	mail := func(pages ...string) string {
		text := "Content-Type: multipart/mixed; boundary=b\n\n"
		for _, p := range pages {
			text += "--b\nContent-Type: text/html\n\n" + p
		}
		return crlf(text + "--b--\n")
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: newFilter(t, html.FilterOptions{DropOriginals: true, Remove: html.Options{MaxReread: 1024}})}}}
	c := miltertest.New(t, &milter.Server{New: chain.Hooks})
	for range 2 { // each message anew
		if r := c.Send(t, miltertest.Mail{Text: mail(page, page, page, page)}); r.Raw() != mail(page, page, clean, clean) {
			t.Errorf("message\n%s", r.Raw())
		}
	}
}
