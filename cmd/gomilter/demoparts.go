package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"log/slog"
	"regexp"
	"strings"

	"github.com/gomilter/gomilter/examples/headerrules"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/filter/html"
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

// demoChain takes dangerous attachments and active content out of mail, and keeps
// originals in a folder.
func demoChain(dir string, log *slog.Logger) (*filter.Chain, error) {
	store, err := quarantine.Open(dir, quarantine.Options{})
	if err != nil {
		return nil, err
	}
	dangerous, err := attachments.New("attachments", attachments.Options{})
	if err != nil {
		return nil, err
	}
	active, err := html.New("html", html.FilterOptions{})
	if err != nil {
		return nil, err
	}
	chain := &filter.Chain{
		Steps:     []filter.Step{{Filter: dangerous}, {Filter: active}},
		Originals: store, Log: log,
	}
	return chain, chain.Check()
}

// demoRef finds the reference of an original, which is another each time.
var demoRef = regexp.MustCompile(`(Reference: +)[0-9a-z]{20}\n`)

// demoParts are messages with attachments: of each what is dangerous is gone in
// the end, and every other byte is there.
func demoParts(head func(id, subject string) string) []demoMail {
	mixed := func(parts ...string) string {
		return "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_demo\"\n\nThis text is for old programs.\n--=_demo\n" +
			strings.Join(parts, "\n--=_demo\n") + "\n--=_demo--\n"
	}
	const letter = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nHello Bob, see the attachment. Grüße, Ann"
	attached := func(name, kind string, content []byte) string {
		return "Content-Type: " + kind + "\nContent-Disposition: attachment; filename=\"" + name + "\"\nContent-Transfer-Encoding: base64\n\n" + lines76(base64.StdEncoding.EncodeToString(content))
	}
	warning := func(name, member, why string) string {
		if member != "" {
			member = "    File in it: " + member + "\n"
		}
		return `Content-Type: text/plain; charset=us-ascii; name=WARNING.TXT
Content-Disposition: inline; filename=WARNING.TXT

An attachment was removed from this message, because files of its kind
can harm your computer.

    Attachment: ` + name + "\n" + member + "    Reason:     " + why + `
    Reference:  REF

If you expected it, ask your mail administrator for the original message
and give the reference.
`
	}
	forwarded := func(part string) string {
		return "Content-Type: message/rfc822\n\nFrom: Eve <eve@example.org>\nSubject: fwd\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=inner\n\n--inner\n" + letter + "\n--inner\n" + part + "\n--inner--"
	}
	const page = "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
	program := append([]byte("MZ"), make([]byte, 200)...)

	mark := edit.Edit{Action: edit.AddHeader, Name: headerrules.Mark, Value: "passed"}
	// edited makes a message of which something is replaced.
	edited := func(name, id, in, out string) demoMail {
		h := head(id, "With an attachment")
		return demoMail{name: name, text: h + mixed(letter, in), edits: []mta.Edit{mark}, body: true,
			want: marked(h, mixed(letter, out))}
	}
	harmless := head("20", "With an attachment") + mixed(letter, attached("letter.pdf", "application/pdf", []byte("%PDF-1.4 nothing much")), page+"<p>Hello</p>")
	i := strings.Index(harmless, "MIME-Version")
	return []demoMail{
		{name: "harmless attachments", text: harmless, want: marked(harmless[:i], harmless[i:])},
		edited("a program", "21", attached("setup.exe", "application/octet-stream", program), warning("setup.exe", "", "its name ends in .exe")),
		edited("one called a picture", "22", attached("holiday.jpg", "image/jpeg", demoProgram()), warning("holiday.jpg", "", "it is a Windows program")),
		edited("in a zip, forwarded", "23", forwarded(attached("letters.zip", "application/zip", demoZip("letter.txt", "letter.txt      .exe"))),
			forwarded(warning("letters.zip", "letter.txt      .exe", "a file in it has a name that ends in .exe"))),
		edited("scripts in a page", "24", page+"<p onclick=3D\"x()\">Gr=FC=DFe</p><script>steal()</script><p>=3D</p>", page+"<p>Gr=FC=DFe</p><!-- removed: script --><p>=3D</p>"),
	}
}

// marked puts the sample's mark behind a header.
func marked(header, rest string) string {
	if strings.HasPrefix(rest, "\n") {
		return header + headerrules.Mark + ": passed\n" + rest
	}
	more, body, _ := strings.Cut(rest, "\n\n")
	return header + more + "\n" + headerrules.Mark + ": passed\n\n" + body
}

func lines76(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return b.String() + s
}

// demoProgram is the beginning of a Windows program that does nothing.
func demoProgram() []byte {
	b := append([]byte("MZ"), make([]byte, 58)...)
	return append(append(b, 0x40, 0, 0, 0), "PE\x00\x00 nothing"...)
}

func demoZip(names ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name})
		if err == nil {
			f.Write([]byte("nothing"))
		}
	}
	w.Close()
	return b.Bytes()
}
