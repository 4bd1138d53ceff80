package attachments_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// outcome tells what became of a message, in a word, and why.
func outcome(b *bench, r *miltertest.Result) (what, why string) {
	for _, x := range b.told {
		for _, o := range x.Filters {
			why += o.Why
		}
	}
	switch {
	case r.Verdict != mta.Accept:
		return r.Verdict.String(), why
	case r.Quarantine != nil:
		return "held", why
	case strings.Contains(why, ", replace)") && len(r.Edits) > 0:
		return "replaced", why
	case len(r.Edits) > 0:
		return "tagged", why
	}
	return "untouched", why
}

// sendRaw sends through an MTA that leaves bare CRs alone, as Sendmail does.
func (b *bench) sendRaw(t testing.TB, text string) *miltertest.Result {
	t.Helper()
	b.told = nil
	c := miltertest.New(t, &milter.Server{New: b.chain.Hooks, Log: b.chain.Log})
	c.Profile = mta.Sendmail
	return c.Send(t, miltertest.Mail{Text: text})
}

// in64 is a part with any header in base64.
func in64(header string, content []byte) string {
	return header + "\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(content)
}

const (
	file = "Content-Type: application/octet-stream\nContent-Disposition: attachment; "
	evil = file + "filename=evil.exe\n\nMZ text\n"
)

func tarOf(name string, content []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		panic(err)
	}
	w.Write(content)
	w.Close()
	return b.Bytes()
}

// What a sender does so that a client finds a file where a filter finds none.
func TestWhatHidesAFile(t *testing.T) {
	mail := []byte(multipart(text, evil))
	zipped := zipOf(map[string][]byte{"x.exe": pe})
	docs := zipOf(map[string][]byte{"a.txt": []byte("a")})
	sun := "Subject: x\nMIME-Version: 1.0\nContent-Type: X-sun-attachment\n\n----------\nX-Sun-Data-Type: text\nX-Sun-Content-Lines: 1\n\nhello\n----------\nX-Sun-Data-Type: default\nX-Sun-Data-Name: evil.js\nX-Sun-Content-Lines: 1\n\nx\n"
	const uu = "begin 644 evil.exe\r\n#36Z0\r\n`\r\nend\r\n"
	typed := func(kind, name string, content []byte) string {
		return multipart(text, in64("Content-Type: "+kind+"\nContent-Disposition: attachment; filename=\""+name+"\"", content))
	}
	unnamed := func(kind string, content []byte) string { return multipart(text, in64("Content-Type: "+kind, content)) }
	// with puts s at a place of a program.
	with := func(begin string, at int, s string) []byte {
		b := append([]byte(begin), make([]byte, 512)...)
		copy(b[at:], s)
		return b
	}
	ebcdic := func(kind string) string { // evil.exe
		return multipart(text, file+"filename*="+kind+"''%85%A5%89%93%4B%85%A7%85\n\nx\n")
	}
	for _, tt := range []struct{ name, in, want, why string }{
		// Types of messages around what is none, or has another name.
		{"a zip called a message by its type", typed("message/rfc822", "invoice.zip", zipped), "replaced", ".exe"},
		{"a zip called a message by its type, without a name", unnamed("message/rfc822", zipped), "replaced", ".exe"},
		{"a zip called a message by its type and its name", typed("message/rfc822", "fwd.eml", zipped), "replaced", ".exe"},
		{"a zip called news", typed("message/news", "invoice.zip", zipped), "replaced", ".exe"},
		{"a zip called an international message", typed("message/global", "invoice.zip", zipped), "replaced", ".exe"},
		{"a zip of an unknown type of message", typed("message/x-other", "invoice.zip", zipped), "replaced", ".exe"},
		{"a zip in 8bit called a message", strings.Replace(multipart(text, "Content-Type: message/rfc822; name=invoice.zip\nContent-Transfer-Encoding: binary\n\nZIP"), "ZIP", string(zipped), 1), "replaced", ".exe"},
		{"a zip behind a field, called a message", typed("message/rfc822", "invoice.zip", append([]byte("Subject: x\r\n\r\n"), zipped...)), "replaced", ".exe"},
		{"a program called a message", typed("message/rfc822", "photo.jpg", pe), "replaced", "Windows program"},
		{"a program behind a name in another field", multipart(text, in64("Content-Type: message/rfc822\nContent-Location: http://example.com/invoice.zip", append([]byte("a: b\r\n"), zipped...))), "replaced", ".exe"},
		{"a file in a message that has a name", multipart(text, in64("Content-Type: message/rfc822; name=letter", mail)), "replaced", ".exe"},
		// What clients name after the type.
		{"a document with macros by its type", unnamed("application/vnd.ms-word.document.macroEnabled.12", docs), "replaced", "its type"},
		{"a document with macros by its type, the name without an ending", typed("application/vnd.ms-excel.sheet.binary.macroEnabled.12", "invoice no. 2", docs), "replaced", "its type"},
		{"a start file of Java by its type", unnamed("application/x-java-jnlp-file", docs), "replaced", "its type"},
		{"a profile of Apple by its type", unnamed("application/x-apple-aspen-config", docs), "replaced", "its type"},
		{"an application of the browser by its type", unnamed("application/x-ms-xbap", docs), "replaced", "its type"},
		{"a package of Android by its type", unnamed("application/vnd.android.package-archive", docs), "replaced", "its type"},
		// Programs with the marks of something else.
		{"a Windows program that is a picture, too", typed("image/jp2", "photo.jp2", append(append([]byte("MZ\x00\x00jP  "), make([]byte, 12)...), append([]byte("jp2 "), pe[24:]...)...)), "replaced", "Windows program"},
		{"a Windows program that is a document, too", typed("application/pdf", "a.pdf", with("MZ\x00", 100, "%PDF-1.4")), "replaced", "Windows program"},
		{"a Windows program without a zero at its beginning", typed("image/png", "a.png", append([]byte("MZ"), bytes.Repeat([]byte{1}, 4000)...)), "replaced", "Windows program"},
		{"a macOS program that is an X-ray, too", typed("application/dicom", "photo", with("\xcf\xfa\xed\xfe\x07\x00\x00\x01", 128, "DICM")), "replaced", "macOS program"},
		{"a program that is an X-ray, too", typed("application/dicom", "photo", with("\x7fELF\x02\x01\x01", 128, "DICM")), "replaced", "program"},
		{"a Java program that is an X-ray, too", typed("application/dicom", "photo", with("\xca\xfe\xba\xbe\x00\x00\x00\x37", 128, "DICM")), "replaced", "Java program"},
		{"a shortcut that is an X-ray, too", typed("application/dicom", "photo", with("\x4c\x00\x00\x00\x01\x14\x02\x00", 128, "DICM")), "replaced", "Windows shortcut"},
		{"an installer that is a document, too", typed("application/pdf", "a.pdf", append(with("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 100, "%PDF-1.4")[:512], with(strings.Repeat("\x00", 80)+"\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46", 100, "")...)), "replaced", "Windows installer"},
		{"such a program in a zip", multipart(text, attached("a.zip", zipOf(map[string][]byte{"photo": with("\xcf\xfa\xed\xfe\x07\x00\x00\x01", 128, "DICM")}))), "replaced", "macOS program"},
		// Files packed as text.
		{"a uuencoded file as a file", multipart(text, attached("invoice.uue", []byte("hello\r\n"+uu))), "replaced", ".exe"},
		{"a uuencoded file as a file of another name", multipart(text, attached("invoice.dat", []byte(uu))), "replaced", ".exe"},
		{"a uuencoded file in a zip", multipart(text, attached("a.zip", zipOf(map[string][]byte{"invoice.UU": []byte("hello\r\n" + uu)}))), "replaced", ".exe"},
		{"a uuencoded zip in gzip", multipart(text, attached("a.uue.gz", gzipOf([]byte(uu)))), "replaced", ".exe"},
		{"a file in yEnc as a file", multipart(text, attached("photo.ync", []byte("=ybegin line=128 size=5 name=photo.jpg\r\n"+yenc(pe)+"\r\n=yend size=5\r\n"))), "replaced", "Windows program"},
		{"a uuencoded file as a file, behind a bare CR", multipart(text, attached("invoice.uue", []byte("hello\nx\r"+strings.ReplaceAll(uu, "\r\n", "\r")))), "replaced", ".exe"},
		{"a uuencoded file behind a bare CR", crlf("Content-Type: text/plain\n\nhi\r") + strings.ReplaceAll(uu, "\r\n", "\r") + "\r\n", "held", ".exe"},
		{"a uuencoded file behind a bare CR, in base64", multipart(in64("Content-Type: text/plain", []byte("hi\n\r"+strings.ReplaceAll(uu, "\r\n", "\r")))), "held", ".exe"},
		{"a uuencoded file in UTF-16", multipart(in64("Content-Type: text/plain; charset=utf-16le", []byte(strings.Join(strings.Split(uu, ""), "\x00")+"\x00"))), "replaced", ".exe"},
		{"a uuencoded file in UTF-7", multipart("Content-Type: text/html; charset=utf-7\n\n<p>\n+AGI-egin 644 evil.exe\n#36Z0\n`\nend\n"), "replaced", ".exe"},
		// Calendars.
		{"a file in an invitation", multipart("Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nBEGIN:VEVENT\nATTACH;FMTTYPE=application/octet-stream;ENCODING=BASE64;VALUE=BINARY;X-FILE\n NAME=\"e:vil.exe\":TVqQ\nEND:VEVENT\nEND:VCALENDAR\n"), "replaced", ".exe"},
		{"a file in a calendar", multipart(text, in64("Content-Type: application/ics; name=a.ics", []byte("BEGIN:VCALENDAR\nattach;filename=evil.js;value=binary;encoding=base64:"+strings.Repeat("eA==", 9000)))), "replaced", ".js"},
		// EBCDIC.
		{"a name in EBCDIC, international", ebcdic("ibm500"), "replaced", ".exe"},
		{"a name in EBCDIC, German", ebcdic("ibm273"), "replaced", ".exe"},
		// What only Macs unpack.
		{"a file in AppleSingle", multipart(text, in64("Content-Type: application/applefile; name=x", append([]byte("\x00\x05\x16\x00\x00\x02\x00\x00"), pe...))), "tagged", "AppleSingle"},
		{"a file in MacBinary", multipart(text, in64("Content-Type: application/x-macbinary; name=x", append(make([]byte, 128), pe...))), "tagged", "MacBinary"},
		{"a script by its type", multipart(text, "Content-Type: text/javascript\nContent-Disposition: attachment\n\nx\n"), "replaced", "its type"},
		{"what a Mac runs by its place", multipart(text, file+"filename=invoice.inetloc\n\nx\n"), "replaced", ".inetloc"},
		// Messages in archives.
		{"a message in a zip", multipart(text, attached("fwd.zip", zipOf(map[string][]byte{"fwd.eml": mail}))), "replaced", ".exe"},
		{"a message in a zip, of another name", multipart(text, attached("fwd.zip", zipOf(map[string][]byte{"fwd.dat": mail}))), "replaced", ".exe"},
		{"a message in a tar", multipart(text, attached("fwd.tar", tarOf("a/fwd.eml", mail))), "replaced", ".exe"},
		{"a message in gzip", multipart(text, attached("fwd.eml.gz", gzipOf(mail))), "replaced", ".exe"},
		{"a page with its files in a zip", multipart(text, attached("fwd.zip", zipOf(map[string][]byte{"page.mht": mail}))), "replaced", ".exe"},
		{"a message in a zip in a zip", multipart(text, attached("a.zip", zipOf(map[string][]byte{"b.zip": zipOf(map[string][]byte{"fwd.eml": mail})}))), "replaced", ".exe"},
		{"a zip in a message in a zip", multipart(text, attached("a.zip", zipOf(map[string][]byte{"fwd.eml": []byte(multipart(text, attached("b.zip", zipped)))}))), "replaced", ".exe"},
		{"a zip called a message in a zip", multipart(text, attached("a.zip", zipOf(map[string][]byte{"fwd.eml": zipped}))), "replaced", ".exe"},
		{"a message with a long first field", multipart(text, attached("a.msg", []byte("Received: "+strings.Repeat("x", 600)+"\r\n"+string(mail)))), "replaced", ".exe"},
		{"an encrypted zip in a message in a zip", multipart(text, attached("a.zip", zipOf(map[string][]byte{"fwd.eml": []byte(multipart(attached("b.zip", encryptedZip())))}))), "tagged", "encrypted"},
		// Names.
		{"a stream of NTFS", multipart(text, file+"filename=\"evil.exe::$DATA\"\n\nx\n"), "replaced", ".exe"},
		{"a named stream", multipart(text, file+"filename=\"evil.exe:x\"\n\nx\n"), "replaced", ".exe"},
		{"a colon in the ending", multipart(text, file+"filename=\"evil.e:xe\"\n\nx\n"), "replaced", ".exe"},
		{"a slash in the ending", multipart(text, file+"filename=\"evil.e/xe\"\n\nx\n"), "replaced", ".exe"},
		{"a folder, a name and a dot", multipart(text, file+"filename=\"dir/evil.exe.\"\n\nx\n"), "replaced", ".exe"},
		{"a stream in a zip", multipart(text, attached("a.zip", zipOf(map[string][]byte{"evil.js::$DATA": []byte("x")}))), "replaced", ".js"},
		// Several transfer encodings.
		{"a zip without a name under the second encoding", multipart(text, in64("Content-Type: application/zip\nContent-Transfer-Encoding: 7bit", zipped)), "held", ".exe"},
		{"a zip without a name under the third encoding", multipart(text, in64("Content-Type: application/zip\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: quoted-printable", zipped)), "held", ".exe"},
		{"a program under the second encoding", multipart(text, in64("Content-Type: image/png; name=a.png\nContent-Transfer-Encoding: quoted-printable", pe)), "held", "Windows program"},
		{"a uuencoded file under the second encoding", crlf("Content-Transfer-Encoding: 7bit\n" + in64("Content-Type: text/plain", []byte("x\r\nbegin 644 evil.exe\r\n#0V%T\r\n`\r\nend\r\n"))), "held", ".exe"},
		{"a message under the second encoding", multipart(text, in64("Content-Type: message/rfc822\nContent-Transfer-Encoding: 7bit", mail)), "replaced", ".exe"},
		{"base64 and a comma", multipart(text, strings.Replace(in64("Content-Type: message/rfc822", mail), ": base64", ": base64,", 1)), "replaced", ".exe"},
		{"base64 and a word, which is not encoded", multipart(text, "Content-Type: text/plain\nContent-Transfer-Encoding: base64 x\n\nbegin 644 evil.exe\n#0V%T\n`\nend\n"), "held", ".exe"},
		{"an encoding of a message in a file", multipart(text, attached("fwd.eml", []byte(multipart(in64("Content-Type: application/zip\nContent-Transfer-Encoding: 7bit", zipped))))), "replaced", ".exe"},
		// Lines.
		{"a line that begins with the boundary", multipart(text + "--cut hereX\n" + evil), "held", ".exe"},
		{"a bare CR before a boundary", multipart(text + "\r--cut here\rContent-Disposition: attachment; filename=evil.js\r\rx"), "held", ".js"},
		{"a bare CR before a field that names", multipart(text, "Content-Type: application/octet-stream\nX-Foo: a\rContent-Disposition: attachment; filename=evil.js\n\nx"), "replaced", ".js"},
		{"a name in a description", multipart(text, "Content-Type: application/octet-stream\nContent-Description: evil.js\n\nx\n"), "replaced", ".js"},
		{"a name in a description of a text to be saved", multipart(text, "Content-Type: text/plain\nContent-Disposition: attachment\nContent-Description: evil.js\n\nx\n"), "replaced", ".js"},
		{"a name in a location", multipart(text, "Content-Type: application/octet-stream\nContent-Location: http://example.com/evil.js\n\nx\n"), "replaced", ".js"},
		{"a bare CR before a field that says what it is", multipart(text, "Content-Type: application/octet-stream\nX-Foo: a\rContent-Type: message/rfc822\n\nSubject: x\n"+evil), "held", ".exe"},
		{"a bare CR before an encoding", multipart(text, "Content-Type: application/octet-stream\nX-Foo: a\rContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString(zipped)), "held", ".exe"},
		{"a bare CR and the second encoding behind it", multipart(text, "Content-Type: application/octet-stream\nContent-Transfer-Encoding: 7bit\nX-Foo: a\rContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString(zipped)), "held", ".exe"},
		{"a bare CR in a message in a file", multipart(text, attached("fwd.eml", []byte(multipart(text+"\r--cut here\rContent-Disposition: attachment; filename=evil.js\r\rx")))), "replaced", ".js"},
		{"a bare CR in an attached message in base64", multipart(text, in64("Content-Type: message/rfc822", []byte(multipart(text+"\r--cut here\rContent-Disposition: attachment; filename=evil.js\r\rx")))), "held", ".js"},
		{"one that all find, and another behind a bare CR", multipart(text+"\r--cut here\rContent-Disposition: attachment; filename=evil.exe\r\rx", evil), "held", ".exe"},
		{"one that all find, and a bare CR", multipart("Content-Type: text/plain\nX-Foo: a\rb\n\nx\n", evil), "replaced", ".exe"},
		{"one that all find, and a line that begins with the boundary", multipart(text+"--cut hereX\nx\n", evil), "replaced", ".exe"},
		// Other ways to put files into texts.
		{"yEnc", crlf("Subject: x\n\nhello\n=ybegin line=128 size=5 name=evil.exe\nw\x84zz\n=yend size=5\n"), "replaced", ".exe"},
		{"a program in yEnc", crlf("Subject: x\nContent-Transfer-Encoding: 8bit\n\nhello\n=ybegin line=128 size=5 name=photo.jpg\n" + yenc(pe) + "\n=yend size=5\n"), "replaced", "Windows program"},
		{"X-Sun-Attachment", crlf(sun), "replaced", ".js"},
		{"a uuencoded file in HTML", crlf("Subject: x\nContent-Type: text/html\n\n<p>\nbegin 644 evil.exe\n#0V%T\n`\nend\n"), "replaced", ".exe"},
		{"a uuencoded file, the first line junk", crlf("Subject: x\n\nbegin 644 evil.exe\n~junk\n#0V%T\n`\nend\n"), "replaced", ".exe"},
		// Addresses that are none.
		{"a program called an address", multipart(text, attached("anna@example.com", pe)), "replaced", ".com"},
		{"an address that is no text", multipart(text, attached("anna@example.com", []byte("\xb4\x4c\xcd\x21\x00"))), "replaced", ".com"},
		{"text called an address, of a type that says nothing", multipart(text, attached("anna@example.com", []byte("X5O!P%"))), "replaced", ".com"},
		{"a program called a company", typed("application/pdf", "Invoice from Example.com", pe), "replaced", ".com"},
		{"a company, of a type that is another", typed("image/png", "Invoice from Example.com", []byte("%PDF-1.4")), "replaced", ".com"},
		{"a text called a company", typed("text/plain", "Invoice from Example.com", []byte("X5O!P%")), "replaced", ".com"},
		{"a message called a site that is none", typed("message/rfc822", "www.example.com", []byte("\xb4\x4c\xcd\x21\x00")), "replaced", ".com"},
		{"an address and a blank", multipart(text, strings.Replace(attached("an na@example.com", []byte("x")), "application/octet-stream", "text/plain", 1)), "replaced", ".com"},
		{"an address of another ending", multipart(text, strings.Replace(attached("anna@example.exe", []byte("x")), "application/octet-stream", "text/plain", 1)), "replaced", ".exe"},
		// Structure.
		{"two boundaries", crlf("Subject: x\nContent-Type: multipart/mixed; boundary=A; boundary=B\n\n--A\nContent-Type: text/plain\n\nhello\n--B\n" + evil + "--B--\n--A--\n"), "replaced", ".exe"},
		{"a boundary in a comment", crlf("Subject: x\nContent-Type: multipart/mixed (a; boundary=A; b)\n\n--A\n\nx\n--A\n" + evil + "--A--\n"), "replaced", ".exe"},
		{"a long boundary", strings.ReplaceAll(multipart(text, evil), "cut here", strings.Repeat("b", 1500)), "replaced", ".exe"},
		{"two types, one of them a message", multipart(text, in64("Content-Type: application/octet-stream\nContent-Type: message/rfc822", pe)), "replaced", "Windows program"},
		{"a name in a comment", multipart(text, file+"x=\"a\\\"; filename=evil.js; y=\"b\"\n\nx\n"), "replaced", ".js"},
		{"a name with a piece missing", multipart(text, file+"filename*0=\"evil.js\"; filename*2=\".txt\"\n\nx\n"), "replaced", ".js"},
		{"a name in UTF-16", multipart(text, file+"filename=\"=?utf-16?B?ZQB2AGkAbAAuAGoAcwA=?=\"\n\nx\n"), "replaced", ".js"},
		{"a name in gzip", multipart(text, attached("a.gz", []byte("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03evil.js\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"))), "replaced", ".js"},
		{"the 5001st part", multipart(strings.TrimSuffix(strings.Repeat("\nx\n--cut here\n", 5000), "--cut here\n"), evil), "held", "limits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, attachments.Options{})
			r := b.sendRaw(t, tt.in)
			if got, why := outcome(b, r); got != tt.want || !strings.Contains(why, tt.why) {
				t.Errorf("%s, explained by %q; want %s and %q", got, why, tt.want, tt.why)
			}
			if again := newBench(t, attachments.Options{}); tt.want == "replaced" {
				if got, why := outcome(again, again.sendRaw(t, r.Raw())); got != "untouched" {
					t.Errorf("the result is %s, explained by %q", got, why)
				}
			}
		})
	}
}

// yenc writes a line of yEnc.
func yenc(b []byte) string {
	var out []byte
	for _, c := range b {
		if c += 42; c == 0 || c == '\r' || c == '\n' || c == '=' {
			out = append(out, '=')
			c += 64
		}
		out = append(out, c)
	}
	return string(out)
}

// Mail that is odd and harmless passes.
func TestHarmlessMail(t *testing.T) {
	B := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	typed := func(kind, name, content string) string {
		return strings.Replace(attached(name, []byte(content)), "application/octet-stream", kind, 1)
	}
	docs := zipOf(map[string][]byte{"a.txt": []byte("a"), "b.pdf": []byte("%PDF-1.4")})
	small := attached("a.eml", []byte("Subject: a\r\nMIME-Version: 1.0\r\n\r\nhello\r\n"))
	many := []string{text}
	for range 600 {
		many = append(many, small)
	}
	for name, in := range map[string]string{
		"invitation": crlf("Subject: inv\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=i\n\n--i\nContent-Type: text/plain; charset=\"UTF-8\"; format=flowed; delsp=yes\nContent-Transfer-Encoding: base64\n\n" + B("hi") +
			"\n--i\nContent-Type: text/calendar; charset=\"UTF-8\"; method=REQUEST\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n--i--\n--o\nContent-Type: application/ics; name=\"invite.ics\"\nContent-Disposition: attachment; filename=\"invite.ics\"\nContent-Transfer-Encoding: base64\n\n" + B("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n") + "\n--o--\n"),
		"signed with PGP":     crlf("MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=\"=-=\"; micalg=pgp-sha256; protocol=\"application/pgp-signature\"\n\n--=-=\nContent-Type: text/plain\n\nhi begin here\n--=-=\nContent-Type: application/pgp-signature; name=\"signature.asc\"\n\n-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n--=-=--\n"),
		"signed with S/MIME":  crlf("MIME-Version: 1.0\nContent-Type: multipart/signed; protocol=\"application/x-pkcs7-signature\"; micalg=\"sha-256\"; boundary=b\n\n--b\nContent-Type: text/plain\n\nhi\n--b\nContent-Type: application/x-pkcs7-signature; name=\"smime.p7s\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"smime.p7s\"\n\nMIAGCSqGSIb3DQEHAqCAMIACAQE=\n--b--\n"),
		"delivery report":     crlf("MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nfailed\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.com\n\nFinal-Recipient: rfc822; a@example.com\nAction: failed\n--b\nContent-Type: text/rfc822-headers\n\nSubject: x\nContent-Type: multipart/mixed; boundary=q\n--b--\n"),
		"abuse report":        crlf("MIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nx\n--b--\n"),
		"a spreadsheet":       multipart(text, attached("a.xlsx", zipOf(map[string][]byte{"[Content_Types].xml": []byte("<x/>"), "xl/printerSettings/printerSettings1.bin": []byte("x")}))),
		"an encrypted letter": multipart(text, attached("a.docx", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 2000)...))),
		"a zip of a Mac":      multipart(text, attached("Archiv.zip", zipOf(map[string][]byte{"a.docx": []byte("x"), "__MACOSX/._a.docx": []byte("x"), ".DS_Store": nil, "folder/": nil, "Größe.pdf": nil}))),
		"a DMARC report":      multipart(text, attached("example.net!example.com!1700000000!1700086399.zip", zipOf(map[string][]byte{"example.net!example.com!1700000000!1700086399.xml": []byte("<x/>")}))),
		"text that begins":    crlf("Subject: x\n\nbegin 2024 with us\nWE ARE GLAD\nbegin the end\nend\n"),

		"a card called an address":         multipart(text, attached("anna@example.com", []byte("BEGIN:VCARD\r\nEND:VCARD\r\n"))),
		"an invitation called an address":  multipart(text, typed("text/calendar", "anna.b+c@mail.example.com", "BEGIN:VCALENDAR\r\n")),
		"a message called an address":      multipart(text, "Content-Type: message/rfc822; name=\"anna@example.com\"\n\nSubject: hello\n\nhello\n"),
		"a message called about a meeting": multipart(text, "Content-Type: message/rfc822; name=\"Re: meeting 10:30.eml\"\n\nSubject: hello\n\nhello\n"),
		"a log called an address":          multipart(text, typed("text/plain", "Anna@Example.COM", "10:30 hello\r\n")),
		"a text in a foreign script":       multipart(text, typed("text/plain", "anna@example.com", "größe 日本\r\n")),

		"a message described by its subject":       multipart(text, "Content-Type: message/rfc822\nContent-Description: Forwarded message - Schulung Node.js\n\nSubject: hello\n\nhello\n"),
		"a message called by its subject":          multipart(text, "Content-Type: message/rfc822; name=\"Angebot www.example.com\"\n\nSubject: hello\n\n"+multipart(text)),
		"a message called after a zip":             multipart(text, "Content-Type: message/rfc822; name=\"Re: letters.zip\"\n\nSubject: hello\n\nhello\n"),
		"a message in base64 called by a subject":  multipart(text, in64("Content-Type: message/rfc822; name=\"Angebot www.example.com\"", []byte("Subject: a\r\n\r\nhello\r\n"))),
		"a message called encoded, after a zip":    multipart(text, "Content-Type: message/rfc822; name=\"Re: letters.zip\"\nContent-Transfer-Encoding: base64\n\nSubject: hello\n\nhello\n"),
		"a message with no fields":                 multipart(text, "Content-Type: message/rfc822\n\nhello, all\n"),
		"a message from a mailbox":                 multipart(text, "Content-Type: message/rfc822; name=letter\n\nFrom a@example.com Mon Jan  1 00:00:00 2024\nSubject: hello\n\nhello\n"),
		"mail described by what it is about":       crlf("Subject: x\nContent-Description: Schulung Node.js\n") + multipart(text),
		"a page described by what it is about":     crlf("Subject: x\nContent-Description: setup.exe\nContent-Type: text/html\n\n<p>x\n"),
		"a log described by what broke":            multipart(text, "Content-Type: text/plain\nContent-Description: crash log of setup.exe\n\nlog\n"),
		"a document described by what it is about": multipart(text, strings.Replace(typed("application/pdf", "a.pdf", "%PDF-1.4"), "\n", "\nContent-Description: Schulung Node.js\n", 1)),
		"a document called after a company":        multipart(text, typed("application/pdf", "Invoice from Example.com", "%PDF-1.4")),
		"a picture called after a site":            multipart(text, typed("image/png", "www.example.com", "\x89PNG\x0d\x0a\x1a\x0a")),

		"a table of a careless type":          multipart(text, typed("application/vnd.ms-excel.sheet.macroEnabled.12", "table.xlsx", string(docs))),
		"a database of its type":              multipart(text, typed("application/msaccess", "data.accdb", "x")),
		"a table in UTF-8 that begins so":     multipart(text, attached("l\u00e4nder.csv", []byte("MZ;Mosambik;Maputo\r\nAT;\u00d6sterreich;Wien\r\n"))),
		"a table in Latin-1 that begins so":   multipart(text, attached("countries.csv", []byte("MZ;Mosambik;Maputo\r\nAT;\xd6sterreich;Wien\r\n"))),
		"a table, one of its lines is MZ":     multipart(text, attached("a.txt", []byte("MZ"))),
		"a report with macros":                multipart(text, attached("a.xls", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 4000)...))),
		"a uuencoded text":                    multipart(text, attached("a.uue", []byte("begin 644 a.txt\r\n#86)C\r\n`\r\nend\r\n"))),
		"a text that begins as a uuencoded":   multipart(text, attached("notes.txt", []byte("begin with evil.exe\r\nthen\r\n"))),
		"begin behind a bare CR":              crlf("Subject: x\n\nlet us\rbegin 2024 with evil.exe\rand so on\n"),
		"a letter in UTF-16":                  multipart(in64("Content-Type: text/plain; charset=utf-16le", []byte("b\x00e\x00g\x00i\x00n\x00 \x00x\x00\n\x00"))),
		"a letter in Japanese":                multipart("Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$BF|K\\\x1b(B\nbegin 2024\n"),
		"a link in an invitation":             multipart("Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nATTACH;FILENAME=setup.exe:https://example.com/setup.exe\nEND:VCALENDAR\n"),
		"a document in an invitation":         multipart("Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nATTACH;FILENAME=a.pdf;ENCODING=BASE64;VALUE=BINARY:JVBERi0=\nSUMMARY;FILENAME=a.exe;ENCODING=BASE64:x\nEND:VCALENDAR\n"),
		"a log packed and sent as text":       multipart(text, attached("log.gz", append(gzipOf([]byte("hello\n")), "\r\n"...))),
		"a tar that a browser packed":         multipart(text, attached("a.tar", gzipOf(tarOf("a.txt", []byte("a"))))),
		"a text that is packed, called a tar": multipart(text, attached("a.tar", gzipOf([]byte("a")))),

		"a dog":                  multipart(text, typed("text/plain", "dog.txt", "SIT! good dog\n")),
		"a formula":              multipart(text, attached("f.txt", []byte("ISc(x) = 5"))),
		"about lzip":             multipart(text, attached("f.txt", []byte("LZIP is a program"))),
		"about KDMV":             multipart(text, attached("f.bin", []byte("KDMV text"))),
		"a number":               multipart(text, attached("README", []byte("070707 is a number\n"))),
		"about BinHex":           multipart(text, attached("a.txt", []byte("A line: (This file must be converted with BinHex 4.0)\r\nis how it begins.\r\n"))),
		"about BinHex, no more":  multipart(text, attached("a.txt", []byte("A line: (This file must be converted with BinHex 4.0)"))),
		"a padded log":           multipart(text, attached("log.gz", append(gzipOf([]byte("hello\n")), make([]byte, 500)...))),
		"600 messages":           multipart(many...),
		"messages in a zip":      multipart(text, attached("a.zip", zipOf(map[string][]byte{"a.eml": []byte(multipart(text)), "b.eml": []byte(multipart(text, attached("docs.zip", docs)))}))),
		"documents twice":        multipart(text, in64("Content-Type: application/zip; name=docs.zip\nContent-Transfer-Encoding: 7bit", docs)),
		"7bit and 8bit":          multipart("Content-Type: text/plain; name=a.txt\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 8bit\n\nx\n"),
		"bare CRs":               multipart("Content-Type: text/plain\nX-Foo: a\rb\r\n\nx\ry\r-- \rz\n", attached("docs.zip", docs)),
		"bare CR in the subject": strings.Replace(multipart(text, attached("docs.zip", docs)), "letter", "a\rletter", 1),
		"boundaries alike":       strings.ReplaceAll(multipart(text, "Content-Type: multipart/mixed; boundary=cut_here1\n\n--cut_here1\n"+text+"--cut_here1\n"+attached("docs.zip", docs)+"--cut_here1--\n--cut_here1--\nx\n"), "cut here", "cut_here"),
		"encoded words":          multipart(text, strings.Replace(attached("NAME", []byte("x")), `"NAME"`, "\"=?utf-8?q?gr=C3=B6=C3=9Fe=2Epdf?=\"", 1)),
		"about yEnc":             crlf("Subject: x\n\nA file begins with\n=ybegin line=128 size=5\nand ends.\n"),
		"a zip in 8bit":          strings.Replace(multipart("Content-Type: text/plain\nX-Foo: a\rb\n\nx\n", file+"filename=a.zip\nContent-Transfer-Encoding: binary\n\nDOCS"), "DOCS", string(docs), 1),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, attachments.Options{})
			if got, why := outcome(b, b.sendRaw(t, in)); got != "untouched" || why != "" {
				t.Errorf("%s, explained by %q", got, why)
			}
		})
	}
}

// No fixture of the archives that is sound is called damaged.
func TestFixturesOfArchives(t *testing.T) {
	names, err := filepath.Glob("../../internal/archive/testdata/*.*")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d fixtures, %v", len(names), err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil || len(content) > 1<<20 || strings.HasSuffix(name, ".txt") || strings.HasSuffix(name, ".golden") {
			continue
		}
		b := newBench(t, attachments.Options{})
		if got, why := outcome(b, b.send(t, multipart(text, attached(filepath.Base(name), content)))); strings.Contains(why, "damaged") || got != "replaced" && got != "tagged" && got != "untouched" {
			t.Errorf("%s: %s, %q", name, got, why)
		}
	}
}

// The other readings of a message have the actions of the rules, but nothing is
// replaced that is not there to those who read as usual.
func TestActionsOfOtherReadings(t *testing.T) {
	in := multipart(text + "--cut hereX\n" + evil)
	signed := crlf("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=s\n\n--s\n" + strings.Replace(evil, "\n\n", "\nX-Foo: a\rb\n\n", 1) + "--s\nContent-Type: application/pgp-signature\n\nxx\n--s--\n")
	for _, tt := range []struct {
		name, in, want string
		o              attachments.Options
		tags           int
	}{
		{"replace", in, "held", attachments.Options{}, 0},
		{"tag", in, "tagged", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Tag}}, 1},
		{"ignore", in, "untouched", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Ignore}}, 0},
		{"reject", in, "reject", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Reject}}, 0},
		{"tag what all see", multipart(text+"--cut hereX\nx\n", evil), "tagged", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Tag}}, 1},
		{"held already", multipart(text+"--cut hereX\nx\n", evil), "held", attachments.Options{Actions: map[attachments.Rule]attachments.Action{attachments.ByName: attachments.Quarantine}}, 0},
		{"a signed one, tagged", signed, "tagged", attachments.Options{Sealed: attachments.Tag}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.o)
			r := b.sendRaw(t, tt.in)
			if got, why := outcome(b, r); got != tt.want || len(r.Headers("X-Attachment-Warning")) != tt.tags {
				t.Errorf("%s with %d tags, explained by %q; want %s with %d", got, len(r.Headers("X-Attachment-Warning")), why, tt.want, tt.tags)
			}
		})
	}
}

// Messages that come as files, and the other readings of them, end at the limits of
// archives.
func TestLimitsOfMessagesInFiles(t *testing.T) {
	reject := map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Reject}
	small := []byte(multipart(text, text))
	inZip := func(n int) []byte {
		files := map[string][]byte{}
		for i := range n {
			files[fmt.Sprintf("%d.eml", i)] = small
		}
		return zipOf(files)
	}
	odd := "Subject: x\r\nMIME-Version: 1.0\r\n\r\nx"
	for range 5 {
		odd = strings.Replace(multipart("X-A: b\rc\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\nContent-Transfer-Encoding: quoted-printable\n\nx\n", attached("a.eml", []byte(odd))), "preamble, kept", "--cut hereX", 1)
	}
	for _, tt := range []struct {
		name, in, want string
		l              attachments.ArchiveLimits
	}{
		{"few parts", multipart(attached("a.zip", inZip(3))), "untouched", attachments.ArchiveLimits{Entries: 9}},
		{"many parts", multipart(attached("a.zip", inZip(4))), "reject", attachments.ArchiveLimits{Entries: 9}},
		{"few bytes", multipart(attached("a.zip", inZip(3))), "untouched", attachments.ArchiveLimits{Unpacked: int64(len(small)) * 7}},
		{"many bytes", multipart(attached("a.zip", inZip(4))), "reject", attachments.ArchiveLimits{Unpacked: int64(len(small)) * 7}},
		{"shallow", multipart(attached("a.eml", []byte(multipart(attached("a.eml", small))))), "untouched", attachments.ArchiveLimits{Depth: 2}},
		{"deep", multipart(attached("a.eml", []byte(multipart(attached("a.zip", zipOf(map[string][]byte{"a.eml": []byte(multipart(attached("a.eml", small)))})))))), "reject", attachments.ArchiveLimits{Depth: 2}},
		{"readings of readings", multipart(attached("a.eml", []byte(odd))), "reject", attachments.ArchiveLimits{Entries: 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, attachments.Options{Actions: reject, Archives: tt.l})
			if got, why := outcome(b, b.sendRaw(t, tt.in)); got != tt.want {
				t.Errorf("%s, explained by %.200q; want %s", got, why, tt.want)
			}
		})
	}
}
