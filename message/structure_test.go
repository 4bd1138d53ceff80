package message

import (
	"strings"
	"testing"
)

func TestStructure(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"no type", "\n\nhi\n", "text/plain: \"\\nhi\\n\"\n"},
		{"nothing", "", "text/plain: \"\"\n"},
		{"multipart", "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\nepi\n", `
multipart/mixed
  text/plain: "one"
  text/html: "two\n"
`},
		{"CRLF", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n", `
multipart/mixed
  text/plain: "one"
`},
		{"CR alone", "Content-Type: multipart/mixed; boundary=b\r\r--b\r\rone\r--b--\r", `
multipart/mixed
  text/plain: "one"
`},
		{"CR alone is a byte where LF occurs", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\r--b--\rx\n--b--\n", `
multipart/mixed
  text/plain: "one\r--b--\rx"
! boundary behind a bare CR at 43
`},
		{"mixed line ends", "Content-Type: multipart/mixed; boundary=b\r\n\n--b\n\r\none\r\n--b\r\n\ntwo\n--b--", `
multipart/mixed
  text/plain: "one"
  text/plain: "two"
`},
		{"nested", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c\n\ntwo\n--c--\nepi\n--b\n\nthree\n--b--\n", `
multipart/mixed
  multipart/alternative
    text/plain: "one"
    text/plain: "two"
  text/plain: "three"
`},
		{"outer boundary ends the inner multipart", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--\n", `
multipart/mixed
  multipart/alternative
    text/plain: "one"
  text/plain: "two"
! no end boundary at 104
`},
		{"same boundary inside", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n", `
multipart/mixed
  multipart/alternative
    text/plain: "one"
  text/plain: "two"
`},
		{"boundary of the outer one ends in hyphens", "Content-Type: multipart/mixed; boundary=b--\n\n--b--\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b--\n--b----\n", `
multipart/mixed
  multipart/alternative
    text/plain: "one"
`},
		{"blanks behind the boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\none\n--b-- \n", `
multipart/mixed
  text/plain: "one"
`},
		{"many blanks behind the boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b" + strings.Repeat(" ", 9000) + "\n\none\n--b-- \n", `
multipart/mixed
  text/plain: "one"
`},
		{"line that goes on behind the boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--bc\ntwo\n--b--\n", `
multipart/mixed
  text/plain: "one\n--bc\ntwo"
! line begins with boundary at 52
`},
		{"boundary in the middle of a line", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none --b\n--b--\n", `
multipart/mixed
  text/plain: "one --b"
`},
		{"no end boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none", `
multipart/mixed
  text/plain: "one"
! no end boundary at 51
`},
		{"parts behind the end boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n", `
multipart/mixed
  text/plain: "one"
  text/plain: "two"
! parts after end boundary at 58
`},
		{"part opens with a boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nContent-Type: text/html\n\none\n--b--\n", `
multipart/mixed
  text/plain: ""
  text/html: "one"
! header without end at 47
`},
		{"part without body", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b--\n", `
multipart/mixed
  text/html: ""
! header without end at 71
`},
		{"part header without end", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n<p>one\n--b--\n", `
multipart/mixed
  text/html: "<p>one"
! header without end at 71
`},
		{"header without end before the first boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n--c\nContent-Type: text/html\n\none\n--c--\n--b--\n", `
multipart/mixed
  multipart/mixed
    text/html: "one"
! header without end at 89
`},
		{"line without colon in a part header", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\njunk\nContent-Disposition: attachment; filename=a\n\none\n--b--\n", `
multipart/mixed
  text/html "a": "one"
! header line without colon at 71
`},
		{"line without colon in the header of the message", "Content-Type: text/html\njunk\nSubject: x\n\none\n", `text/html: "junk\nSubject: x\n\none\n"` + "\n"},
		{"no boundary", "Content-Type: multipart/mixed\n\none\n", `
multipart/mixed: "one\n"
! no boundary at 0
`},
		{"boundary that does not occur, a Content- field behind another", "Content-Type: multipart/mixed; boundary=x\n\n-- \nsig\n--b\nContent-Type: text/html\n\none\n--b--\n", `
multipart/mixed
  text/html: "one"
! boundary guessed at 43
`},
		{"boundary that does not occur, another comes again", "Content-Type: multipart/mixed; boundary=x\n\n--b\n\none\n--c\n--b--\n", `
multipart/mixed
  text/plain: "one\n--c"
! boundary guessed at 43
`},
		{"boundary that does not occur, lines of hyphens", "Content-Type: multipart/mixed; boundary=x\n\n-----\none\n-----\n--b\n", `
multipart/mixed: "-----\none\n-----\n--b\n"
! no boundary at 0
`},
		{"boundary in one more pair of quotes", "Content-Type: multipart/mixed; boundary=\"\\\"b\\\"\"\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
! boundary repaired at 49
`},
		{"more behind the quotes", "Content-Type: multipart/mixed; boundary=\"b\"c\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"folded junk in the boundary", "Content-Type: multipart/mixed; boundary=bound\n\tX-Priority: 3\n\tX-Junk: y\n\n--bound\n\none\n--bound--\n", `
multipart/mixed
  text/plain: "one"
! boundary repaired at 73
`},
		{"folded junk in the quoted boundary", "Content-Type: multipart/mixed; boundary=\"bound\n\tX-Priority: 3\"\n\n--bound\n\none\n--bound--\n", `
multipart/mixed
  text/plain: "one"
! boundary repaired at 64
`},
		{"boundary in RFC 2231", "Content-Type: multipart/mixed; boundary*0*=us-ascii''%62; boundary*1=o\n\n--bo\n\none\n--bo--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"folded boundary", "Content-Type: multipart/mixed;\n\tboundary\n\t=\n\t\"b\"\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"boundary with a blank", "Content-Type: multipart/mixed; boundary=\"b c\"\n\n--b c\n\none\n--b c--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"two boundaries", "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
! several boundaries at 0
! boundary repaired at 55
`},
		{"two boundaries that both occur", "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--a\n\none\n--b\nContent-Type: text/html\n\ntwo\n--b--\n--a--\n", `
multipart/mixed
  text/plain: "one"
  text/html: "two"
! several boundaries at 0
`},
		{"boundary and its RFC 2231 form", "Content-Type: multipart/mixed; boundary=a; boundary*=us-ascii''b\n\n--a\n\none\n--b\n\ntwo\n--b--\n", `
multipart/mixed
  text/plain: "one"
  text/plain: "two"
! several boundaries at 0
`},
		{"two types with different boundaries", "Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b\n\n--a\n\none\n--b\n\ntwo\n--a\n\nthree\n--a--\n", `
multipart/mixed
  text/plain: "one"
  text/plain: "two"
  text/plain: "three"
! several Content-Type fields at 0
! several boundaries at 0
`},
		{"boundary in a comment", "Content-Type: multipart/mixed (a; boundary=b; c)\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"inner multipart declares the outer boundary too", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b; boundary=a\n\n--b\n\none\n--a--\n--a\n\ntwo\n--a--\n", `
multipart/mixed
  multipart/mixed
    text/plain: "one"
  text/plain: "two"
! several boundaries at 47
`},
		{"long boundary", "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 2500) + "\n\n--" + strings.Repeat("b", 2500) + "\n\none\n--" + strings.Repeat("b", 2500) + "--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"line that goes on behind a boundary with a blank", "Content-Type: multipart/mixed; boundary=\"cut here\"\n\n--cut here\n\none\n--cut hereX\ntwo\n--cut here--\n", `
multipart/mixed
  text/plain: "one\n--cut hereX\ntwo"
! line begins with boundary at 68
`},
		{"two types", "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
! several Content-Type fields at 0
`},
		{"two types of leaves", "Content-Type: text/plain; name=a\nContent-Type: text/html; name=b\n\none\n", `
text/plain "a": "one\n"
! several Content-Type fields at 0
`},
		{"attached message", "Content-Type: message/rfc822\n\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n", `
message/rfc822
  multipart/mixed
    text/plain: "one"
`},
		{"attached message with an mbox separator", "Content-Type: message/rfc822\n\nFrom a@b Sun\nContent-Type: text/html\n\none\n", `
message/rfc822
  text/html: "one\n"
! header line without colon at 30
`},
		{"attached message that empty lines begin", "Content-Type: message/rfc822\n\n\n\nSubject: x\nContent-Type: text/html\n\none\n", `
message/rfc822
  text/html: "one\n"
! header line without colon at 30
`},
		{"attached message without a header", "Content-Type: message/rfc822\n\n\none\n", `
message/rfc822
  text/plain: "one\n"
`},
		{"attached message in base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwKCm9uZQo=\n", `
message/rfc822
  text/html: "one\n"
! encoded attached message at 0
`},
		{"attached message said to be base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nSubject: x\nContent-Type: text/html\n\none\n", `
message/rfc822
  text/html: "one\n"
! encoded attached message at 0
`},
		{"long name of a field", strings.Repeat("x", 10000) + ": y\nContent-Type: text/html\n\none\n", "text/html: \"one\\n\"\n"},
		{"attached message in quoted-printable", "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nContent-Type: text/=\nhtml\n\none\n", `
message/rfc822
  text/html: "one\n"
! encoded attached message at 0
`},
		{"attached message in a message in base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQ29udGVudC1UeXBlOiBtZXNzYWdlL3JmYzgyMgpDb250ZW50LVRyYW5zZmVyLUVuY29kaW5nOiBx\ndW90ZWQtcHJpbnRhYmxlCgpTdWJqZWN0OiB4CgpvPTZlZQo=\n", `
message/rfc822
  message/rfc822
    text/plain: "one\n"
! encoded attached message at 0
! encoded attached message at 0
`},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n", `
multipart/digest
  message/rfc822
    text/plain: "one"
  text/plain: "two"
`},
		{"message/global", "Content-Type: message/global\n\nSubject: x\n\none\n", `
message/global
  text/plain: "one\n"
`},
		{"delivery status", "Content-Type: message/delivery-status\n\nFinal-Recipient: x\n\n", `
message/delivery-status: "Final-Recipient: x\n\n"
`},
		{"fragment and pointer", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/partial\n\n--b\nContent-Type: message/external-body\n\n--b--\n", `
multipart/mixed
  message/partial: ""
  message/external-body: ""
! partial message at 47
! external body at 82
`},
		{"multipart said to be base64", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"multipart that is base64", "Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: base64\n\nLS1hCgpvbmUKLS1hLS0K\n", `
multipart/mixed
  text/plain: "one"
! encoded multipart at 0
`},
		{"multipart that is base64 with another boundary", "Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\nLS1hCgpvbmUKLS1hLS0K\n", `
multipart/mixed
  text/plain: "one"
! encoded multipart at 0
! boundary guessed at 0
`},
		{"no MIME type", "Content-Type: text\n\none\n", `
text/plain: "one\n"
! bad media type at 0
`},
		{"no type but a name", "Content-Type: name=a.exe\n\none\n", `
text/plain "a.exe": "one\n"
! bad media type at 0
`},
		{"multipart without subtype", "Content-Type: multipart; boundary=b\n\n--b\n\none\n--b--\n", `
multipart/mixed
  text/plain: "one"
`},
		{"unknown encoding", "Content-Transfer-Encoding: x-foo\n\none\n", `
text/plain: "one\n"
! unknown transfer encoding at 0
`},
		{"two encodings", "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\nb25l\n", `
text/plain: "one"
! several Content-Transfer-Encoding fields at 0
`},
		{"two encodings, the second known", "Content-Transfer-Encoding: x-foo\nContent-Transfer-Encoding: base64\n\nb25l\n", `
text/plain: "one"
! unknown transfer encoding at 0
! several Content-Transfer-Encoding fields at 0
`},
		{"attached message under the second of two encodings", "Content-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwKCm9uZQo=\n", `
message/rfc822
  text/html: "one\n"
! several Content-Transfer-Encoding fields at 0
! encoded attached message at 0
`},
		{"attached message under the first of two encodings", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\nQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwKCm9uZQo=\n", `
message/rfc822
  text/html: "one\n"
! several Content-Transfer-Encoding fields at 0
! encoded attached message at 0
`},
		{"attached message in base64, said to be quoted-printable too", "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\nContent-Transfer-Encoding: base64\n\nQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwKCm9uZQo=\n", `
message/rfc822
  text/html: "one\n"
! several Content-Transfer-Encoding fields at 0
! encoded attached message at 0
`},
		{"multipart under the second of two encodings", "Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nLS1hCgpvbmUKLS1hLS0K\n", `
multipart/mixed
  text/plain: "one"
! several Content-Transfer-Encoding fields at 0
! encoded multipart at 0
`},
		{"encoding with a comma", "Content-Transfer-Encoding: base64,\n\nb25l\n", `
text/plain: "one"
! unknown transfer encoding at 0
`},
		{"encoding with another word", "Content-Transfer-Encoding: base64 x\n\nb25l\n", `
text/plain: "one"
! unknown transfer encoding at 0
`},
		{"encoding behind another word", "Content-Transfer-Encoding: 7bit base64\n\nb25l\n", `
text/plain: "one"
! unknown transfer encoding at 0
`},
		{"encoding in single quotes", "Content-Transfer-Encoding: 'BASE64'\n\nb25l\n", `
text/plain: "one"
! unknown transfer encoding at 0
`},
		{"encoding with more", "Content-Transfer-Encoding: \"BASE64\" (really); x=y\n\nb25l\n", `
text/plain: "one"
`},
		{"bare CR and NUL in a header", "Subject: a\rContent-Type: text/html\nX: \x00\n\none\n", `
text/plain: "one\n"
! NUL in header at 0
! bare CR in header at 0
`},
		{"attachments of Sun", "Content-Type: X-sun-attachment\n\n----------\nX-Sun-Data-Type: text\nX-Sun-Content-Lines: 1\n\none\n----------\nX-Sun-Data-Type: default\nX-Sun-Data-Name: a.exe\nX-Sun-Encoding-Info: uuencode\nX-Sun-Content-Lines: 3\n\nbegin 644 b.exe\n%:&5L;&\\\nend\n", `
multipart/x-sun-attachment
  text/plain: "one"
  text/plain "a.exe": "begin 644 b.exe\n%:&5L;&\\\nend\n"
    application/octet-stream "b.exe": "hello"
! no end boundary at 235
! uuencoded file in text at 206
`},
		{"bad base64", "Content-Transfer-Encoding: base64\n\nb25!l\n", `
text/plain: "one"
! bad encoded data at 35
`},
		{"uuencode", "\ntext\nbegin 644 a b.exe\n%:&5L;&\\\n`\nend\nmore\nbegin 755 b\n#86)C\n`\nend", `
text/plain: "text\nbegin 644 a b.exe\n%:&5L;&\\\n` + "`" + `\nend\nmore\nbegin 755 b\n#86)C\n` + "`" + `\nend"
  application/octet-stream "a b.exe": "hello"
  application/octet-stream "b": "abc"
! uuencoded file in text at 6
`},
		{"uuencode without end", "\nbegin 644 a\n%:&5L;&\\\n\ntext here\n", `
text/plain: "begin 644 a\n%:&5L;&\\\n\ntext here\n"
  application/octet-stream "a": "hello"
! uuencoded file in text at 1
! uuencoded file without end at 22
`},
		{"no uuencode", "\nbegin the day well\nand end it\nbegin 644 x\n", `
text/plain: "begin the day well\nand end it\nbegin 644 x\n"
`},
		{"uuencode behind junk", "\nbegin 644 a.exe\nMZ\njunk!\n%:&5L;&\\\n`\nend\n", `
text/plain: "begin 644 a.exe\nMZ\njunk!\n%:&5L;&\\\n` + "`" + `\nend\n"
  application/octet-stream "a.exe": "hello"
! uuencoded file in text at 1
! bad encoded data at 17
`},
		{"uuencode in HTML", "Content-Type: text/html\n\n<pre>\nbegin 644 a.exe\n%:&5L;&\\\nend\n</pre>\n", `
text/html: "<pre>\nbegin 644 a.exe\n%:&5L;&\\\nend\n</pre>\n"
  application/octet-stream "a.exe": "hello"
! uuencoded file in text at 31
`},
		{"many lines without colon in a part header", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n" + strings.Repeat("junk\n", 1000) + "Content-Disposition: attachment; filename=a\n\none\n--b--\n", `
multipart/mixed
  text/html "a": "one"
! header line without colon at 71
`},
		{"attached message that many empty lines begin", "Content-Type: message/rfc822\n\n" + strings.Repeat("\n", 1000) + "Subject: x\nContent-Type: text/html\n\none\n", `
message/rfc822
  text/html: "one\n"
! header line without colon at 30
`},
		{"uuencode without mode", "\nbegin  a.exe\n%:&5L;&\\\nend\n", `
text/plain: "begin  a.exe\n%:&5L;&\\\nend\n"
  application/octet-stream "a.exe": "hello"
! uuencoded file in text at 1
`},
		{"uuencode of base64", "\nbegin-base64 644 a\naGVsbG8=\n====\n", `
text/plain: "begin-base64 644 a\naGVsbG8=\n====\n"
  application/octet-stream "a": "hello"
! uuencoded file in text at 1
`},
		{"uuencode in base64", "Content-Transfer-Encoding: base64\n\nCmJlZ2luIDY0NCBhCiU6JjVMOyZcCmAKZW5kCg==\n", `
text/plain: "\nbegin 644 a\n%:&5L;&\\\n` + "`" + `\nend\n"
  application/octet-stream "a": "hello"
! uuencoded file in text at 1
`},
		{"uuencode in a multipart that was not taken apart", "Content-Type: multipart/mixed\n\nbegin 644 a\n%:&5L;&\\\nend\n", `
multipart/mixed: "begin 644 a\n%:&5L;&\\\nend\n"
  application/octet-stream "a": "hello"
! no boundary at 0
! uuencoded file in text at 31
`},
		{"uuencode as transfer encoding", "Content-Type: image/png\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n%:&5L;&\\\nend\n", `
image/png: "hello"
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := read1(t, tt.in, nil)
			if got, want := outline(tree), strings.TrimPrefix(tt.want, "\n"); got != want {
				t.Errorf("%q reads as\n%swant\n%s", tt.in, got, want)
			}
			identical(t, tt.in)
		})
	}
}

func TestLimits(t *testing.T) {
	deep := strings.Repeat("Content-Type: message/rfc822\n\n", 10) + "Content-Type: text/html\n\nx\n"
	wide := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 10) + "--b--\n"
	encoded := "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("U3ViamVjdDogeAoKYm9keQo=\n", 10)
	for _, tt := range []struct {
		name, in string
		o        Options
		kind     Kind
		parts    int
	}{
		{"depth", deep, Options{MaxDepth: 5}, DefectDepthLimit, 5},
		{"depth reached exactly", deep, Options{MaxDepth: 11}, 0, 11},
		{"depth of multiparts", strings.Repeat("Content-Type: multipart/mixed; boundary=a\n\n--a\n", 60), Options{}, DefectDepthLimit, 61},
		{"depth by default", strings.Repeat("Content-Type: message/rfc822\n\n", 60), Options{}, DefectDepthLimit, 50},
		{"parts", wide, Options{MaxParts: 5}, DefectPartsLimit, 5},
		{"parts by default", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 6000), Options{}, DefectPartsLimit, 5000},
		{"uuencoded parts", "\n" + strings.Repeat("begin 644 a\n%:&5L;&\\\nend\n", 10), Options{MaxParts: 5}, DefectPartsLimit, 5},
		{"parts, and an encoded message", encoded, Options{MaxParts: 1}, DefectPartsLimit, 1},
		{"depth of a uuencoded file", "Content-Type: message/rfc822\n\n\nbegin 644 a\n%:&5L;&\\\nend\n", Options{MaxDepth: 2}, DefectDepthLimit, 2},
		{"depth of a text", "Content-Type: message/rfc822\n\n\nbegin the day\n", Options{MaxDepth: 2}, 0, 2},
		{"depth of an encoded uuencoded file", "Content-Transfer-Encoding: base64\n\nCmJlZ2luIDY0NCBhCiU6JjVMOyZcCmAKZW5kCg==\n", Options{MaxDepth: 1}, DefectDepthLimit, 1},
		{"header", "Subject: " + strings.Repeat("x", 1000) + "\n\nbody", Options{MaxHeader: 500}, DefectHeaderLimit, 1},
		{"header of many fields", strings.Repeat("a:\n", 100) + "\nbody", Options{MaxHeader: 5000}, DefectHeaderLimit, 1},
		{"header by default", strings.Repeat("Subject: x\n", 1<<16) + "\nbody", Options{}, DefectHeaderLimit, 1},
		{"header of parts", strings.Replace(wide, "\n\nx", "\nSubject: "+strings.Repeat("x", 1000)+"\n\nx", -1), Options{MaxHeader: 5000}, DefectHeaderLimit, 11},
		{"decoded", encoded, Options{MaxDecoded: 100}, DefectDecodedLimit, 1},
		{"decoded just enough", encoded, Options{MaxDecoded: 170}, 0, 2},
		{"decoded by default", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUFB", 23<<20), Options{}, DefectDecodedLimit, 1},
		{"parameters", "Content-Type: a/b" + strings.Repeat("; a=b", 600) + "\n\n", Options{}, DefectParamsLimit, 1},
		{"types", strings.Repeat("Content-Type: a/b\n", 200) + "\n", Options{}, DefectParamsLimit, 1},
		{"boundary that is too long", "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 3001) + "\n\nx", Options{}, DefectParamsLimit, 1},
		{"comparisons with boundaries", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat("--\n", maxTried) + "--bx\n--b--\n", Options{}, DefectScanLimit, 2},
		{"boundaries", "Content-Type: multipart/mixed" + manyBoundaries(100) + "\n\nx", Options{}, DefectParamsLimit, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if raceEnabled && len(tt.in) > 10<<20 {
				t.Skip("takes long under the race detector")
			}
			tree := read1(t, tt.in, &tt.o)
			n := 0
			for p := range tree.Parts() {
				n++
				p.Names()
			}
			found := Kind(0)
			for _, d := range tree.Defects() {
				if d.Kind.Limit() {
					found = d.Kind
				}
			}
			if found != tt.kind || n != tt.parts || tree.Limited() != (tt.kind > 0) {
				t.Errorf("%d parts, limit %q, Limited %v, want %d, %q", n, found, tree.Limited(), tt.parts, tt.kind)
			}
			if got := written(t, tree); got != tt.in {
				t.Errorf("what hit a limit is not written as it was read: %d bytes, want %d", len(got), len(tt.in))
			}
		})
	}
}

func manyBoundaries(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("; boundary=" + strings.Repeat("x", i+1))
	}
	return b.String()
}

// Where only the first part of a header is kept, an edit leaves the rest alone.
func TestEditOfHeaderBeyondLimit(t *testing.T) {
	in := "Content-Type: text/html\nSubject: " + strings.Repeat("x", 1000) + "\n\n<b>"
	tree := read1(t, in, &Options{MaxHeader: 500})
	if err := tree.Root.Replace(Content{Text: "gone\n"}); err != nil {
		t.Fatal(err)
	}
	want := "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nSubject: " + strings.Repeat("x", 1000) + "\n\ngone\n"
	if got := written(t, tree); got != want {
		t.Errorf("written %q, want %q", got, want)
	}
}

// A message that makes the reader search again and again is read in good time.
// However many other lines come before it, and however long it is, a line that
// begins with a boundary is told of.
func TestBoundaryPrefixIsFound(t *testing.T) {
	for name, lines := range map[string]string{
		"behind many lines": strings.Repeat("--x\n", 20000) + "--bx\n",
		"long":              "--b" + strings.Repeat("x", 10000) + "\n",
	} {
		tree := read1(t, "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n"+lines+"--b--\n", nil)
		if !tree.Root.Has(DefectBoundaryPrefix) || tree.Limited() {
			t.Errorf("%s: defects %v, Limited %v", name, tree.Defects(), tree.Limited())
		}
	}
}

func TestHostileStructures(t *testing.T) {
	size := 8 << 20
	if raceEnabled {
		size = 1 << 20
	}
	for name, in := range map[string]string{
		"boundaries that never occur": strings.Repeat("Content-Type: multipart/mixed; boundary=no\n\n--x\n", 100) + strings.Repeat("--\n", size/3),
		"each guess finds another":    nestedGuesses(40) + strings.Repeat("x\n", size/2),
		"lines of hyphens":            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat("--\n", size/3),
		"empty lines":                 "Content-Type: message/rfc822\n\n" + strings.Repeat("\n", size),
		"begin after begin":           "\n" + strings.Repeat("begin 644 a\n", size/12),
		"begin and empty lines":       "\n" + strings.Repeat("begin 644 a\n\n\n\n\n\n\n", size/18),
		"begin and many empty lines":  "\n" + strings.Repeat("begin 644 a\n"+strings.Repeat("\n", 5000), size/5000),
		"empty lines before a field":  "Content-Type: message/rfc822\n\n" + strings.Repeat("\n", size) + "Subject: x\n\n",
		"junk behind each message":    strings.Repeat("Content-Type: message/rfc822\n\n", 40) + strings.Repeat("junk\n", size/5),
		"uuencoded without end":       "\nbegin 644 a\n" + strings.Repeat("#86)C\n", size/6),
		"one line":                    "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat("-", size),
		"one header line":             "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: " + strings.Repeat("-", size),
		"junk in the header":          "Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n" + strings.Repeat("junk\n", size/5),
		"junk and fields":             "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Repeat("junk\nContent-X: y\n", size/17),
		"junk and types":              "Content-Type: multipart/mixed; boundary=b\n\n--b\n" + strings.Repeat("--junk\nContent-Type: a/b; boundary=c\n", size/40),
		"long junk":                   "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n"+strings.Repeat(strings.Repeat("j", 9000)+"\n", 50), size/450000),
		"blanks in quoted-printable":  "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat(" ", size),
		"half escapes":                "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=", size),
		"a deep stack":                strings.Repeat("Content-Type: multipart/mixed; boundary=aaa\n\n--aaa\n", 49) + strings.Repeat("--aab\n", size/6),
		"no line end":                 strings.Repeat("\r", size),
		"encoded in encoded":          strings.Repeat("Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n", 49) + strings.Repeat("x", size),
	} {
		t.Run(name, func(t *testing.T) {
			tree := read1(t, in, nil)
			for p := range tree.Parts() {
				p.Names()
			}
			if got := written(t, tree); got != in {
				t.Error("not written as it was read")
			}
		})
	}
}

func nestedGuesses(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("Content-Type: multipart/mixed; boundary=no\n\n--x" + strings.Repeat("y", i) + "\n")
	}
	return b.String()
}
