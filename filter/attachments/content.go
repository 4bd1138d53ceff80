package attachments

import (
	"bytes"
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

// program returns what a file that begins with head runs as, "" for one that does
// not run.
func program(head []byte) string {
	if len(head) == 0 {
		return ""
	}
	if len(head) > 1 && string(head[:2]) == "MZ" && !bytes.Contains(head, []byte{0}) {
		return "" // a text that begins so; a program's header has zeros
	}
	for m := mimetype.Detect(head); m != nil; m = m.Parent() {
		kind, _, _ := strings.Cut(m.String(), ";")
		if p := programs[kind]; p != "" {
			return p
		}
	}
	return ""
}
