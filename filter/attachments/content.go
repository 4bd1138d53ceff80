package attachments

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// headSize is how much of a part is looked at to tell what it is.
const headSize = 3072

// programs are the kinds of content that run when they are opened, whatever the
// file is called.
var programs = map[string]string{
	"application/vnd.microsoft.portable-executable": "Windows program",
	"application/x-elf":                             "program",
	"application/x-executable":                      "program",
	"application/x-sharedlib":                       "program",
	"application/x-object":                          "program",
	"application/x-mach-binary":                     "macOS program",
	"application/x-java-applet":                     "Java program",
	"application/x-ms-shortcut":                     "Windows shortcut",
	"application/x-ms-installer":                    "Windows installer",
	"application/vnd.ms-htmlhelp":                   "compiled help file",
	"application/onenote":                           "OneNote section",
	"application/x-chrome-extension":                "browser extension",
}

// magics are how programs begin. They are looked for first: a program can have the marks of
// another kind further down, which change nothing of what it does.
var magics = []struct {
	begin, what string
	is          func(head []byte) bool
}{
	// What is printable begins with a place of the header behind 128 MiB.
	{"MZ", programs["application/vnd.microsoft.portable-executable"], func(head []byte) bool { return !printable(head) }},
	{"\x7fELF", programs["application/x-elf"], nil},
	{"\xfe\xed\xfa\xce", programs["application/x-mach-binary"], nil}, {"\xce\xfa\xed\xfe", programs["application/x-mach-binary"], nil},
	{"\xfe\xed\xfa\xcf", programs["application/x-mach-binary"], nil}, {"\xcf\xfa\xed\xfe", programs["application/x-mach-binary"], nil},
	{"\xca\xfe\xba\xbe\x00\x00\x00", programs["application/x-mach-binary"], func(head []byte) bool { return len(head) > 7 && head[7] < 0x14 }},
	{"\xca\xfe\xba\xbe", programs["application/x-java-applet"], func(head []byte) bool { return len(head) > 7 && head[7] > 30 }},
	{"\x4c\x00\x00\x00\x01\x14\x02\x00", programs["application/x-ms-shortcut"], nil},
	{"ITSF\x03\x00\x00\x00\x60\x00\x00\x00", programs["application/vnd.ms-htmlhelp"], nil},
	{"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", programs["application/onenote"], nil},
	{"Cr24", programs["application/x-chrome-extension"], func(head []byte) bool { return !printable(head) }},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", programs["application/x-ms-installer"], installer},
}

// installer reports whether a compound file is an installer's: by the class of its root, where
// the directory lies in head (MS-CFB sections 2.2 and 2.6.1).
func installer(head []byte) bool {
	if len(head) < 512 {
		return false
	}
	sector := uint64(512)
	if head[26] == 4 {
		sector = 4096
	}
	at := sector*(1+uint64(binary.LittleEndian.Uint32(head[48:]))) + 80
	const class = "\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
	return at+16 <= uint64(len(head)) && string(head[at:at+16]) == class
}

// printable reports whether a text may begin with head: nothing in it controls anything but
// lines.
func printable(head []byte) bool {
	return !bytes.ContainsFunc(head, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' })
}

// ofType reports whether what begins with head is by its bytes of a media type, which is
// neither a text nor unknown.
func ofType(kind string, head []byte) bool {
	var text, same bool
	for m := mimetype.Detect(head); m != nil && m.Parent() != nil; m = m.Parent() {
		text, same = text || m.Is("text/plain"), same || m.Is(kind)
	}
	return same && !text
}

// program returns what a file that begins with head runs as, "" for one that does
// not run.
func program(head []byte) string {
	if len(head) == 0 {
		return ""
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.begin)) && (m.is == nil || m.is(head)) {
			return m.what
		}
	}
	if bytes.HasPrefix(head, []byte("MZ")) {
		return "" // a text that begins so
	}
	for m := mimetype.Detect(head); m != nil; m = m.Parent() {
		kind, _, _ := strings.Cut(m.String(), ";")
		if p := programs[kind]; p != "" {
			return p
		}
	}
	return ""
}
