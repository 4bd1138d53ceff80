package dsn

import (
	"bytes"
	"os"
	"testing"
)

func BenchmarkCompose(b *testing.B) {
	c, n := &Composer{Host: "mx.example.net"}, notice()
	b.SetBytes(int64(len(compose(b, c, n).Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Compose(n); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"rfc3464-several", "qmail", "exchange-html", "none-vacation"} {
		b.Run(name, func(b *testing.B) {
			in, err := os.ReadFile("testdata/reports/" + name + ".eml")
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(bytes.NewReader(in), nil)
			}
		})
	}
}
