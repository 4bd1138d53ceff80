package attachments

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExtensions(t *testing.T) {
	x := newExtensions(DefaultExtensions)
	for _, tt := range []struct{ name, want string }{
		{"a.exe", "exe"}, {"A.EXE", "exe"}, {"invoice.pdf.exe", "exe"}, {"LOVE-LETTER-FOR-YOU.TXT.vbs", "vbs"},
		{"a.exe ", "exe"}, {"a.exe.", "exe"}, {"a.exe. . .", "exe"}, {"a.exe\"", "exe"}, {"\"a.exe", "exe"}, {"a.exe\t\r\n", "exe"}, {"a.exe;", "exe"}, {"a.exe\u00a0\u3000", "exe"}, // D-09
		{"a.e\u200bxe", "exe"}, {"a.exe\u200e", "exe"}, {"a\uff0eexe", "exe"}, {"a.\uff45\uff58\uff45", "exe"}, {"a%2Eexe", "exe"}, {"a.e\x01xe", "exe"}, {"a.exe\ufe0f", "exe"}, {"a.e\u034fxe", "exe"}, {"a.ex\u3164e", "exe"}, {"a.e\x00xe", "exe"}, {"a&#x2e;exe", "exe"},
		{"photo\u202egpj.exe", "exe"}, {"annexe\u202egpj.scr", "scr"}, {"ann\u202eexe.jpg", ""}, {"gpj.nna\u202eexe.tfx", ""}, {"\u202etxt.exe", "exe"}, {"\u202eexe.txt", "exe"}, {"x\u202ercs.gpj", ""}, {"rcs.\u202egpj", "scr"}, {"exe.\u202exx", "exe"},
		{"c:\\windows\\a.exe", "exe"}, {"../../a.exe", "exe"}, {"a.exe:stream.txt", "exe"}, {"a.txt:evil.exe", "exe"}, {"a.exe::$data", "exe"}, {"a.exe\x00.jpg", "exe"}, {"a.jpg\x00.exe", "exe"},
		{"a.{00021401-0000-0000-c000-000000000046}", "{class}"},
		{"x.iso", "iso"}, {"x.img", "img"}, {"x.vhd", "vhd"}, {"x.one", "one"}, {"x.lnk", "lnk"}, {"x.js", "js"}, {"x.jar", "jar"}, {"x.ps1", "ps1"}, {"x.msix", "msix"},
		{"evil.exe/", "exe"}, {"dir/evil.exe.", "exe"}, {"evil.exe/.", "exe"}, {"evil.exe\\ ", "exe"}, {"evil.exe/\u200b", "exe"}, {"a.e:xe", "exe"}, {"a.e/xe", "exe"}, {"a.e\\xe", "exe"}, {"a.ex/e", "exe"}, {"a.exe: ", "exe"}, {"a.exe :x", "exe"},
		{"12:30 a.txt", ""}, {"a.b/c.txt", ""}, {"My.app/Contents/a.txt", ""}, {"and/or", ""}, {"v1.0/readme", ""},
		{"a.txt", ""}, {"exe", ""}, {"a.exe.txt", ""}, {"a.exe/readme", ""}, {"", ""}, {".", ""}, {"report.exe_old", ""}, {"com.example.pdf", ""}, {"Jim&amp;amp;Girlz.jpg", ""}, {"ordinary letter (2).docx", ""}, {"größe.pdf", ""},
	} {
		if got := x.find(tt.name); got != tt.want {
			t.Errorf("find(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
	// MIME-10, all of the old list.
	for ext := range strings.FieldsSeq("ade adp asd asx asp bas bat chm cmd com cpl crt dll exe hlp hta inf ins isp js jse lnk mdb mde msc msi msp mst ocx pcd pif reg scr sct shs url vb vbe vbs wsc wsf wsh") {
		if x.find("Name."+strings.ToUpper(ext)) != ext {
			t.Errorf("%s is not dangerous", ext)
		}
	}
	own := newExtensions([]string{".PDF", "doc"})
	if own.find("a.pdf") == "" || own.find("a.Doc") == "" || own.find("a.exe") != "" {
		t.Error("a list of one's own does not count as given")
	}
}

func TestShow(t *testing.T) {
	for in, want := range map[string]string{
		"a.exe": "a.exe", "a\r\nSubject: x": "a??Subject: x", "\u202egpj.exe": "?gpj.exe", "gr\xfc\xdfe": "gr?e", "größe": "größe", "\x1b[2Jx": "?[2Jx",
		strings.Repeat("a", 200) + ".exe": strings.Repeat("a", 60) + "…" + strings.Repeat("a", 56) + ".exe",
	} {
		if got := show(in); got != want {
			t.Errorf("show(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("a\u202eexe.jpg")
	f.Add("a.exe::$data")
	f.Fuzz(func(t *testing.T, name string) {
		newExtensions(DefaultExtensions).find(name)
		if s := show(name); !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\u202e") || utf8.RuneCountInString(s) > 121 {
			t.Errorf("show(%q) = %q", name, s)
		}
		// Whatever is put before it or dropped behind it, the extension counts.
		if !strings.ContainsAny(name, "\u202e\u202b\u2067\u200f\u061c") {
			for _, tail := range []string{"", " ", ".", "\u200b", "\"", "\x00.txt", "::$DATA"} {
				if newExtensions([]string{"exe"}).find(name+".eXe"+tail) == "" {
					t.Errorf("%q is harmless", name+".eXe"+tail)
				}
			}
		}
	})
}

func BenchmarkNames(b *testing.B) {
	x := newExtensions(DefaultExtensions)
	for name, s := range map[string]string{"plain": "invoice-2026-11.pdf", "odd": "Rechnung\u202egpj.\uff45xe "} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.find(s)
			}
		})
	}
}
