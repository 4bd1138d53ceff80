package offline

import (
	"os"
	"strings"
	"testing"
)

// BenchmarkTester tests mails of 4 KB with the configuration that filters most: of four,
// one is plain, one has HTML, one an attachment, and one a dangerous attachment, whose
// original is kept.
func BenchmarkTester(b *testing.B) {
	text, err := os.ReadFile("../../examples/defang.toml")
	if err != nil {
		b.Fatal(err)
	}
	const head = "From a@example.com\nReceived: from a (b [192.0.2.1])\n\tby c; Sun, 22 Nov 2026 10:00:00 +0000\nFrom: A <a@example.com>\nTo: b@example.net\nSubject: lunch\n" +
		"Message-ID: <1.a@example.com>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\n"
	part := func(name string) string {
		return "--b\nContent-Type: application/octet-stream; name=" + name + "\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJDREVG"+strings.Repeat("QUJD", 16)+"\n", 26) + "--b--\n\n"
	}
	line := "All work and no play makes for a dull body, and so it goes on line by line.\n"
	mails := head + "\n" + strings.Repeat(line, 48) + "\n" +
		head + "Content-Type: multipart/alternative; boundary=b\n\n--b\n\n" + strings.Repeat(line, 20) + "--b\nContent-Type: text/html\n\n<p onclick=x()>" + strings.Repeat(line, 24) + "</p>\n--b--\n\n" +
		head + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat(line, 20) + part("a.pdf") +
		head + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat(line, 20) + part("a.exe")
	for _, bb := range []struct {
		name string
		o    Options
	}{{"verdict", Options{}}, {"delivered", Options{Deliver: true}}} {
		b.Run(bb.name, func(b *testing.B) {
			ts := tester(b, string(text), bb.o)
			b.SetBytes(int64(len(mails)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := run(b, ts, Auto, mails, func(*Result) error { n++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(60*float64(n)/b.Elapsed().Seconds(), "messages/min")
		})
	}
}
