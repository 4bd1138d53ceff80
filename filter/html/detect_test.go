package html

import (
	"strings"
	"testing"
)

func TestIsHTML(t *testing.T) {
	for _, tt := range []struct {
		name, head, mediaType, file string
		want                        bool
	}{
		{"type", "", "text/html", "", true},
		{"type with parameters in capitals", "", "Text/HTML; charset=x", "", true},
		{"XHTML", "", "application/xhtml+xml", "", true},
		{"svg", "", "image/svg+xml", "", true},
		{"name .htm", "", "application/octet-stream", "a.htm", true},
		{"name .html", "", "application/octet-stream", "a.HTML", true},
		{"name of text", "", "text/plain", "a.shtml", true},
		{"name .mht", "", "", "a.mht", true},
		{"name .svg", "", "image/png", "a.svg", true},
		{"name with dots and blanks behind", "", "", "a.html. .", true},
		{"name of a stream", "", "", "a.html::$DATA", true},
		{"name written backwards", "", "", "a.\u202ehtml", true},
		{"name with a semicolon behind", "", "", "a.html;", true},
		{"name with a slash behind", "", "", "a.html/", true},
		{"name with a wildcard behind", "", "", "a.html?", true},
		{"name in full width", "", "", ".\uff48tml", true},
		{"name of XML in full width", "<x xmlns='http://www.w3.org/1999/xhtml'/>", "", "a.\uff58ml", true},
		{"name with an encoded dot", "", "", "a%2ehtml", true},
		{"name of a class of Windows", "", "", "a.{25336920-03F9-11CF-8FD0-00AA00686F13}", true},
		{"name that only holds one", "", "", "a.html.txt", false},
		{"compressed", "\x1f\x8b", "", "a.svgz", false},
		{"text that looks like it", "<html><p>", "text/plain", "", false},
		{"sniffed doctype", "\ufeff \r\n<!DOCTYPE Html>", "application/octet-stream", "", true},
		{"sniffed tag", "<script src=x>", "", "", true},
		{"sniffed comment", "<!-- x --><p>", "image/png", "", true},
		{"sniffed UTF-16", "\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00", "application/octet-stream", "", true},
		{"sniffed XML with svg", "<?xml version='1.0'?>\n<svg/>", "application/xml", "", true},
		{"sniffed text/xml", "<?xml version='1.0'?><x xmlns='http://www.w3.org/1999/xhtml'/>", "text/xml", "", true},
		{"XML that holds XHTML", "<x><y:script xmlns:y='http://www.w3.org/1999/xhtml'/></x>", "application/rss+xml", "", true},
		{"XML with an entity", "<!DOCTYPE x [<!ENTITY y 'z'>]>", "text/xml", "", true},
		{"XML with a style sheet of its own", "<?xml-stylesheet type='text/xsl' href='#x'?>", "", "a.xml", true},
		{"XML that gives elements a namespace", "<!DOCTYPE x [<!ATTLIST script xmlns CDATA 'http://www.w3.org/1999/&#120;html'>]><x><script/></x>", "text/xml", "", true},
		{"XML with declarations of its own", "<!DOCTYPE x SYSTEM \"a'>b\" [ ]>", "text/xml", "", true},
		{"XML with a document type", "<!DOCTYPE x SYSTEM '[a>'><x y='['/>", "text/xml", "", false},
		{"XML with a namespace far behind", "<x xmlns" + strings.Repeat(" ", 100<<10) + "=\n\t'http://www.w3.org/1999/&#120;html'/>", "text/xml", "", true},
		{"XML with a namespace of a long prefix", "<x xmlns:" + strings.Repeat("a", 100<<10) + " = \"http://www.w3.org/1999/&#120;html\"/>", "text/xml", "", true},
		{"XML with references elsewhere", "<x xmlns='urn:x' y='&amp;'>&amp;</x>", "text/xml", "", false},
		{"XML that is its own style sheet", "<?xml-stylesheet href='a.xml'?><s:stylesheet xmlns:s='http://www.w3.org/1999/XSL/Transform'/>", "text/xml", "a.xml", true},
		{"XML that is its own style sheet by no name", "<?xml-stylesheet href=''?>" + strings.Repeat("<a/>", 50<<10) + "<s:stylesheet xmlns:s='http://www.w3.org/1999/XSL/Transform'/>", "text/xml", "", true},
		{"XML that is its own old style sheet", "<?xml-stylesheet href=''?><s:stylesheet xmlns:s='http://www.w3.org/TR/WD-xsl'/>", "text/xml", "", true},
		{"XML with a style sheet behind a sign", "<?xml-stylesheet title='>' href = \" #x\"?>", "text/xml", "", true},
		{"XML with a style sheet in its address", "<?xml-stylesheet href='data:text/xsl,x'?>", "text/xml", "", true},
		{"XML in ISO 2022", "<?xml version='1.0' encoding='iso-2022-jp'?><x xmlns='http://www.w3.org/1999/\x1b(Bxhtml'/>", "text/xml", "", true},
		{"XML in UTF-16", "<\x00x\x00 \x00x\x00m\x00l\x00n\x00s\x00=\x00'\x001\x009\x009\x009\x00/\x00X\x00h\x00t\x00m\x00l\x00", "text/xml", "", true},
		{"XML in UTF-16 with what looks like a shift", "\x1b\x24\x42\x30<\x00x\x00 \x00x\x00m\x00l\x00n\x00s\x00=\x00'\x001\x009\x009\x009\x00/\x00X\x00h\x00t\x00m\x00l\x00", "text/xml", "", true},
		{"XML that is only a style sheet", "<s:stylesheet xmlns:s='http://www.w3.org/1999/XSL/Transform'/>", "text/xml", "a.xsl", false},
		{"XML with a style sheet elsewhere", "<?xml-stylesheet type='text/xsl' href='x.xsl'?>", "text/xml", "", false},
		{"other XML", "<?xml version='1.0'?><rss/>", "text/xml", "", false},
		{"name of a tag goes on", "<pre>", "", "", false},
		{"no tag", "%PDF-1.4", "application/pdf", "a.pdf", false},
		{"nothing", "", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := IsHTML([]byte(tt.head), tt.mediaType, []string{"x", tt.file}); got != tt.want {
				t.Errorf("IsHTML(%q, %q, %q) = %v, want %v", tt.head, tt.mediaType, tt.file, got, tt.want)
			}
		})
	}
}

func FuzzIsHTML(f *testing.F) {
	f.Add([]byte("\xff\xfe<\x00p\x00"), "text/xml", "a.htm ")
	f.Add([]byte("<?xml"), "", "\xff.")
	f.Fuzz(func(t *testing.T, head []byte, mediaType, name string) {
		got := IsHTML(head, mediaType, []string{name})
		if !got && IsHTML(head, mediaType, nil) {
			t.Errorf("IsHTML(%q, %q) without the name %q only", head, mediaType, name)
		}
		if !IsHTML(head, mediaType, []string{name, "x.html"}) {
			t.Errorf("IsHTML(%q, %q) is false in spite of a name", head, mediaType)
		}
	})
}
