package attachments_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

// bench runs the filter alone in a chain.
type bench struct {
	store *quarantine.Store
	chain *filter.Chain
	told  []*filter.Explanation
}

func newBench(t testing.TB, o attachments.Options) *bench {
	t.Helper()
	f, err := attachments.New("attachments", o)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{}
	if b.store, err = quarantine.Open(t.TempDir()+"/kept", quarantine.Options{}); err != nil {
		t.Fatal(err)
	}
	b.chain = &filter.Chain{Steps: []filter.Step{{Filter: f}}, Originals: b.store, Log: slog.New(slog.DiscardHandler)}
	b.chain.Explain = func(x *filter.Explanation) { b.told = append(b.told, x) }
	if err := b.chain.Check(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) send(t testing.TB, text string) *miltertest.Result {
	t.Helper()
	b.told = nil
	return miltertest.New(t, &milter.Server{New: b.chain.Hooks, Log: b.chain.Log}).Send(t, miltertest.Mail{Text: text})
}

// crlf writes a message with the line ends of SMTP.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\r\n", "\n"), "\n", "\r\n")
}

// multipart makes a message of parts, each a header and a body.
func multipart(parts ...string) string {
	s := "Subject: letter\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"cut here\"\nX-Odd:  kept \n\npreamble, kept\n"
	for _, p := range parts {
		s += "--cut here\n" + p + "\n"
	}
	return crlf(s + "--cut here--\nepilogue, kept\n")
}

// attached makes a part of a file in base64.
func attached(name string, content []byte) string {
	var b strings.Builder
	enc := base64.StdEncoding.EncodeToString(content)
	for len(enc) > 76 {
		b.WriteString(enc[:76] + "\n")
		enc = enc[76:]
	}
	return fmt.Sprintf("Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=%q\n\n%s%s\n", name, b.String(), enc)
}

func zipOf(files map[string][]byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.Create(name)
		if err != nil {
			panic(err)
		}
		f.Write(content)
	}
	w.Close()
	return b.Bytes()
}

// pe is the beginning of a Windows program that does nothing.
var pe = append([]byte("MZ"), append(bytes.Repeat([]byte{0}, 58), append([]byte{0x40, 0, 0, 0}, "PE\x00\x00 nothing"...)...)...)

const text = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\ngr\xfc\xdfe \n"

func TestD09WhatIsReplaced(t *testing.T) {
	inner := "From: a@example.com\nSubject: inner\nContent-Type: multipart/mixed; boundary=in\n\n--in\n" + text + "--in\n" + attached("run.scr", []byte("x")) + "--in--\n"
	for _, tt := range []struct {
		name, in string
		gone     []string // names of what is replaced
		why      string
	}{
		{"nothing dangerous", multipart(text, attached("letter.pdf", []byte("%PDF-1.4"))), nil, ""},
		{"a program by name", multipart(text, attached("setup.exe", []byte("x"))), []string{"setup.exe"}, "its name ends in .exe"},
		{"two of three", multipart(attached("a.vbs", nil), text, attached("b.txt", []byte("b")), attached("C.JS", nil)), []string{"a.vbs", "C.JS"}, ".js"},
		{"a program that calls itself a picture", multipart(text, attached("photo.jpg", pe)), []string{"photo.jpg"}, "it is a Windows program"},
		{"in a zip", multipart(text, attached("letters.zip", zipOf(map[string][]byte{"readme.txt": nil, "zip.doc      .exe": nil}))), []string{"letters.zip"}, "a file in it has a name that ends in .exe"},
		{"in a zip in a zip, by content", multipart(text, attached("a.zip", zipOf(map[string][]byte{"b.zip": zipOf(map[string][]byte{"c.dat": pe})}))), []string{"a.zip"}, "a file in it is a Windows program"},
		{"in a zip that is called otherwise", multipart(text, attached("a.dat", zipOf(map[string][]byte{"x.exe": nil}))), []string{"a.dat"}, ".exe"},
		{"empty zip, as in bounces", multipart(text, attached("a.zip", nil)), nil, ""},
		{"damaged zip", multipart(text, attached("a.zip", []byte("PK\x07\x08 nonsense, but a lot of it, so that it may be one"))), []string{"a.zip"}, "damaged"},
		{"in an attached message", multipart(text, "Content-Type: message/rfc822\n\n"+inner), []string{"run.scr"}, ".scr"},
		{"in an attached message in base64", multipart(text, strings.Replace(attached("", []byte(crlf(inner))), "application/octet-stream", "message/rfc822", 1)), []string{"run.scr"}, ".scr"},
		{"uuencoded in text", multipart(text, "Content-Type: text/plain\n\nbefore\nbegin 644 evil.com\n#0V%T\n`\nend\nafter\n"), []string{"evil.com"}, ".com"},
		{"encoded name", multipart(text, strings.Replace(attached("NAME", nil), `"NAME"`, "\"=?utf-8?q?a=2Eexe?=\"", 1)), []string{"a.exe"}, ".exe"},
		{"name in RFC 2231 with a charset", multipart(text, strings.Replace(attached("NAME", nil), `filename="NAME"`, "filename*0*=koi8-r''%C1%C2.e; filename*1=xe", 1)), []string{"аб.exe"}, ".exe"},
		{"name in an odd parameter", multipart(text, "Content-Type: audio/x-wav; name=\"x.wav\"; ord=\"a[1].scr\"\n\nRIFF\n"), []string{"a[1].scr"}, ".scr"},
		{"behind a part that held others", multipart("Content-Type: text/plain; name=a.exe\n\nbegin 644 b.txt\n#0V%T\n`\nend\n", text, attached("real.exe", []byte("x"))), []string{"a.exe", "real.exe"}, ".exe"},
		{"an attached message that is called a program", multipart(text, "Content-Type: message/rfc822; name=evil.js\n\nSubject: x\n\nx\n"), []string{"evil.js"}, ".js"},
		{"a signature that is none", crlf("Content-Type: multipart/signed; boundary=\"cut here\"\n\n--cut here\n" + attached("a.exe", nil) + "--cut here--\n"), []string{"a.exe"}, ".exe"},
		{"an envelope that is none", multipart(text, strings.Replace(attached("a.exe", []byte("MZ")), "application/octet-stream", "application/pkcs7-mime", 1)), []string{"a.exe"}, ".exe"},
		{"a type that runs", multipart(text, "Content-Type: application/hta\n\n<x>\n"), []string{"application/hta"}, "its type is"},
		{"text that is a program", multipart(text, strings.Replace(attached("", pe), "application/octet-stream", "text/x-log", 1)), []string{"text/x-log without a name"}, "Windows program"},
		{"a message as a file", multipart(text, attached("fwd.eml", []byte(crlf(inner)))), []string{"fwd.eml"}, "a message in it"},
		{"a message as a file of another name", multipart(text, attached("fwd.dat", []byte("MIME-Version: 1.0\r\n"+crlf(inner)))), []string{"fwd.dat"}, "a message in it"},
		{"an archive called a message", multipart(text, attached("a.eml", zipOf(map[string][]byte{"x.exe": []byte("x")}))), []string{"a.eml"}, ".exe"},
		{"an archive behind a header", multipart(text, attached("a.zip", append([]byte("A: b\nMIME-Version: 1\n\n"), zipOf(map[string][]byte{"x.exe": []byte("x")})...))), []string{"a.zip"}, ".exe"},
		{"text to be saved that is a program", multipart(text, strings.Replace(strings.Replace(attached("", pe), "application/octet-stream", "text/plain", 1), "; filename=\"\"", "", 1)), []string{"text/plain without a name"}, "Windows program"},
		{"a member that ends in a backslash", multipart(text, attached("a.zip", zipOf(map[string][]byte{"evil.js\\": []byte("x")}))), []string{"a.zip"}, ".js"},
		{"a boundary in .com", crlf("Content-Type: text/html; boundary=\"1.mailer.example.com\"\n\n<p>news</p>\n"), nil, ""},
		{"a boundary in pieces", crlf("Content-Type: text/html; boundary*0=\"1.mailer.\"; boundary*1=\"example.com\"\n\n<p>news</p>\n"), nil, ""},
		{"a description of a page", multipart(text, "Content-Type: text/plain\nContent-Description: see www.example.com\n\nx\n"), nil, ""},
		{"a table that begins like a program", multipart(text, attached("countries.csv", []byte("MZ;Mozambique;Maputo\r\n"+strings.Repeat("NA;Namibia;Windhoek\r\n", 20)))), nil, ""},
		{"a document with a temporary file in it", multipart(text, attached("letter.docx", zipOf(map[string][]byte{"[Content_Types].xml": []byte("<x/>"), "word/media/image1.tmp": []byte("x")}))), nil, ""},
		{"the whole message", crlf("Subject: fax\nContent-Type: application/x-msdownload; name=FAX20.exe\nContent-Transfer-Encoding: base64\nX-Last: kept\n\nTVo=\n"), []string{"FAX20.exe"}, ".exe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				b := newBench(t, attachments.Options{})
				c := miltertest.New(t, &milter.Server{New: b.chain.Hooks, Log: b.chain.Log})
				c.Profile = profile
				r := c.Send(t, miltertest.Mail{Text: tt.in})
				if r.Verdict != mta.Accept {
					t.Fatalf("%s, %s", r.Verdict, r.Told())
				}
				why := ""
				for _, o := range b.told[0].Filters {
					why += o.Why
				}
				if len(tt.gone) == 0 {
					if r.Raw() != tt.in || len(r.Edits) != 0 || why != "" {
						t.Errorf("edits %v, explained %q, message\n%s", r.Edits, why, r.Raw())
					}
					return
				}
				if !strings.Contains(why, tt.why) {
					t.Errorf("explained by %q, want %q", why, tt.why)
				}
				var warnings []string
				tree, err := message.Read(strings.NewReader(r.Raw()), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer tree.Close()
				for p := range tree.Parts() {
					// That of a uuencoded file stands in the text itself.
					if content, _ := io.ReadAll(p.Text()); p.IsLeaf() && strings.Contains(string(content), "An attachment was removed") {
						warnings = append(warnings, string(content))
						if want := "WARNING.TXT"; p.Filename() != want && !strings.Contains(string(content), "before") {
							t.Errorf("the warning is called %q", p.Filename())
						}
					}
				}
				if len(warnings) != len(tt.gone) {
					t.Fatalf("%d warnings in\n%s", len(warnings), r.Raw())
				}
				refs := 0
				for e, err := range b.store.List(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					refs++
					for i, w := range warnings {
						if !strings.Contains(w, "Attachment: "+tt.gone[i]) || !strings.Contains(w, e.Ref) || strings.Contains(w, "/kept") {
							t.Errorf("warning %d is %q, want it of %s with reference %s", i, w, tt.gone[i], e.Ref)
						}
					}
					_, raw, err := b.store.Get(e.Ref)
					if err != nil {
						t.Fatal(err)
					}
					if kept, _ := io.ReadAll(raw); string(kept) != tt.in {
						t.Errorf("kept\n%s", kept)
					}
					raw.Close()
				}
				if refs != 1 {
					t.Errorf("%d originals", refs)
				}
				// A second look finds nothing, and what was around is still there.
				if again := newBench(t, attachments.Options{}).send(t, r.Raw()); len(again.Edits) != 0 {
					t.Errorf("the result is edited again: %v", again.Edits)
				}
				for _, line := range []string{"preamble, kept", "epilogue, kept", "X-Odd:  kept ", "gr\xfc\xdfe ", "X-Last: kept"} {
					if strings.Count(tt.in, line) != strings.Count(r.Raw(), line) {
						t.Errorf("%q is there %d times, was %d times in\n%s", line, strings.Count(r.Raw(), line), strings.Count(tt.in, line), r.Raw())
					}
				}
			})
		})
	}
}

func TestActions(t *testing.T) {
	exe := multipart(text, attached("a.exe", []byte("x")))
	for _, tt := range []struct {
		name   string
		o      attachments.Options
		in     string
		told   string
		held   bool
		tag    string
		edited bool
	}{
		{"reject", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Reject}}, exe,
			"550 5.7.1 This message has an attachment that we do not accept", false, "", false},
		{"own reply", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Reject}, Reply: milter.Reject(554, "5.6.1", "no")}, exe, "554 5.6.1 no", false, "", false},
		{"quarantine", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Quarantine}}, exe, "", true, "", false},
		{"tag", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Tag}}, exe, "", false, `name; "a.exe"`, true},
		{"ignore", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Ignore}}, exe, "", false, "", false},
		{"no extension", attachments.Options{Extensions: []string{}}, exe, "", false, "", false},
		{"own extension", attachments.Options{Extensions: []string{".exe"}, Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Reject}}, exe, "550 5.7.1 This message has an attachment that we do not accept", false, "", false},
		{"the stricter of two rules", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Tag, attachments.ByContent: attachments.Reject}},
			multipart(text, attached("a.exe", pe)), "550 5.7.1 This message has an attachment that we do not accept", false, "", false},
		{"senders that would rather know", attachments.Options{RejectFrom: []string{"Example.ORG"}}, exe, "550 5.7.1 This message has an attachment that we do not accept", false, "", false},
		{"encrypted archive", attachments.Options{}, multipart(text, attached("a.zip", encryptedZip())), "", false, `encrypted archive; "a.zip"`, true},
		{"unlisted archive", attachments.Options{}, multipart(text, attached("a.cab", []byte("MSCF\x00\x00\x00\x00 and so on"))), "", false, `unlisted archive; "a.cab"`, true},
		{"winmail.dat", attachments.Options{}, multipart(text, attached("winmail.dat", []byte("\x78\x9f\x3e\x22 and so on"))), "", false, `unlisted archive; "winmail.dat"`, true},
		{"BinHex", attachments.Options{}, multipart(text, attached("a.hqx", []byte("(This file must be converted with BinHex 4.0)\r\n:x:"))), "", false, `unlisted archive; "a.hqx"`, true},
		{"S/MIME", attachments.Options{}, multipart(strings.Replace(attached("smime.p7m", []byte("\x30\x82\x01\x00 and so on")), "application/octet-stream", "application/pkcs7-mime", 1)), "", false, `encrypted archive; "smime.p7m"`, true},
		{"fragment", attachments.Options{}, crlf("Content-Type: message/partial; id=x; number=1; total=2\n\nSubject: x\n\nx\n"), "", false, `unlisted archive; "message/partial"`, true},
		{"archive beyond a limit", attachments.Options{Archives: attachments.ArchiveLimits{Entries: 1}, Actions: map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Tag}},
			multipart(attached("a.zip", zipOf(map[string][]byte{"a": nil, "b": nil, "c": nil}))), "", false, `limit; "a.zip"`, true},
		{"signed", attachments.Options{}, crlf("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=s\n\n--s\n" + attached("a.exe", nil) + "--s\nContent-Type: application/pgp-signature\n\nxx\n--s--\n"), "", true, "", false},
		{"signed, and tagged", attachments.Options{Sealed: attachments.Tag}, crlf("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=s\n\n--s\n" + attached("a.exe", nil) + "--s\nContent-Type: application/pgp-signature\n\nxx\n--s--\n"), "", false, `name; "a.exe"`, true},
		{"signed, and rejected", attachments.Options{Sealed: attachments.Reject}, crlf("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=s\n\n--s\n" + attached("a.exe", nil) + "--s\nContent-Type: application/pgp-signature\n\nxx\n--s--\n"),
			"550 5.7.1 This message has an attachment that we do not accept", false, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.o)
			r := b.send(t, tt.in)
			told, _, _ := strings.Cut(r.Told(), " (ref ")
			if tt.told == "" && r.Verdict != mta.Accept || tt.told != "" && told != tt.told {
				t.Errorf("%s: %q, want %q", r.Verdict, told, tt.told)
			}
			if (r.Quarantine != nil) != tt.held || r.Header("X-Attachment-Warning") != tt.tag || (len(r.Edits) > 0) != tt.edited {
				t.Errorf("held %v, tag %q, edits %v", r.Quarantine, r.Header("X-Attachment-Warning"), r.Edits)
			}
		})
	}
}

// encryptedZip has a member whose flag says that it is encrypted.
func encryptedZip() []byte {
	b := zipOf(map[string][]byte{"letter.txt": []byte("secret")})
	for _, sig := range []string{"PK\x03\x04", "PK\x01\x02"} {
		i := bytes.Index(b, []byte(sig))
		if sig == "PK\x03\x04" {
			b[i+6] |= 1
		} else {
			b[i+8] |= 1
		}
	}
	return b
}

// The old system sent changed bodies with mixed line ends, and deleted header fields
// counting from 0.
func TestD14LineEndsAndIndexes(t *testing.T) {
	in := crlf("X-One: 1\nContent-Type: application/octet-stream; name=a.exe\nContent-Transfer-Encoding: base64\nX-Two: 2\n\nTVo=\n")
	r := newBench(t, attachments.Options{}).send(t, in)
	raw := r.Raw()
	if strings.Count(raw, "\n") != strings.Count(raw, "\r\n") || strings.Count(raw, "\r") != strings.Count(raw, "\r\n") {
		t.Errorf("line ends are mixed: %q", raw)
	}
	if r.Header("X-One") != "1" || r.Header("X-Two") != "2" || r.Header("Content-Transfer-Encoding") != "" {
		t.Errorf("header %q", raw[:strings.Index(raw, "\r\n\r\n")])
	}
}

// All archives of a message share one budget.
func TestArchivesOfAMessageShareABudget(t *testing.T) {
	now, calls := time.Unix(0, 0), 0
	clock := func() time.Time { calls++; return now.Add(time.Duration(calls) * time.Second) }
	b := newBench(t, attachments.Options{Archives: attachments.ArchiveLimits{Now: clock, Time: 20 * time.Second},
		Actions: map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Tag}})
	var parts []string
	for range 100 {
		parts = append(parts, attached("a.zip", zipOf(map[string][]byte{"a.txt": []byte("x")})))
	}
	r := b.send(t, multipart(append(parts, attached("letter.txt", []byte("hello")))...))
	if r.Verdict != mta.Accept || len(r.Headers("X-Attachment-Warning")) != 10 || calls > 500 {
		t.Errorf("%s, %d tags, %d looks at the clock", r.Verdict, len(r.Headers("X-Attachment-Warning")), calls)
	}
	big := newBench(t, attachments.Options{Archives: attachments.ArchiveLimits{Unpacked: 1 << 20}, Actions: map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Reject}})
	noise := make([]byte, 700<<10)
	rand.NewChaCha8([32]byte{}).Read(noise)
	half := attached("a.gz", gzipOf(zipOf(map[string][]byte{"a.bin": noise})))
	if r := big.send(t, multipart(half)); r.Verdict != mta.Accept {
		t.Errorf("one archive within the limit: %s", r.Verdict)
	}
	if r := big.send(t, multipart(half, half, half)); r.Verdict != mta.Reject {
		t.Errorf("three beyond it: %s", r.Verdict)
	}
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// Messages in messages as files end at a depth, not at the end of the disk.
func TestMessagesInMessagesAreLimited(t *testing.T) {
	mail := crlf("MIME-Version: 1.0\nSubject: x\n\nx\n")
	for range 12 {
		mail = multipart(attached("a.eml", []byte(mail)))
	}
	b := newBench(t, attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Reject}})
	if r := b.send(t, mail); r.Verdict != mta.Reject {
		t.Errorf("%s", r.Verdict)
	}
	few := multipart(attached("a.eml", []byte(multipart(attached("b.eml", []byte(crlf("MIME-Version: 1.0\nSubject: x\n\nx\n")))))))
	if r := b.send(t, few); r.Verdict != mta.Accept {
		t.Errorf("two deep: %s", r.Verdict)
	}
}

// Options that cannot be meant are refused.
func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]attachments.Options{
		"tag": {Tag: "bad tag"}, "glob": {Extensions: []string{"*.exe"}}, "nothing": {Extensions: []string{"exe", ""}}, "blank": {Extensions: []string{"e xe"}},
		"action": {Actions: map[attachments.Rule]attachments.Action{attachments.ByName: 99}}, "rule": {Actions: map[attachments.Rule]attachments.Action{99: attachments.Tag}}, "sealed": {Sealed: 99},
		"reply": {Reply: milter.Reject(200, "", "no")},
	} {
		if _, err := attachments.New("x", o); !errors.Is(err, attachments.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := attachments.New("", attachments.Options{}); !errors.Is(err, attachments.ErrOptions) {
		t.Errorf("no name: %v", err)
	}
	if attachments.Rule(99).String() != "invalid rule" || attachments.Action(99).String() != "invalid action" {
		t.Error("names of what there is not")
	}
}

// Where the original cannot be kept nothing is changed: the client comes again.
func TestFullStore(t *testing.T) {
	b := newBench(t, attachments.Options{})
	store, err := quarantine.Open(t.TempDir()+"/kept", quarantine.Options{MaxBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	b.chain.Originals = store
	if r := b.send(t, multipart(attached("a.exe", nil))); r.Verdict != mta.TempFail {
		t.Errorf("%s", r.Verdict)
	}
	b.chain.Originals = nil
	if err := b.chain.Check(); err == nil {
		t.Error("a chain without a place for originals is right")
	}
}
