package html

import "testing"

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
