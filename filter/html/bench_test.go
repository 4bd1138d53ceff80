package html

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
)

func BenchmarkRemove(b *testing.B) {
	mail, err := os.ReadFile("testdata/newsletter.html")
	if err != nil {
		b.Fatal(err)
	}
	clean, err := os.ReadFile("testdata/newsletter.want")
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name string
		text []byte
	}{
		{"48kB-3scripts", mail},
		{"48kB-clean", clean},
		{"1MB-3scripts-each-48kB", bytes.Repeat(mail, 1<<20/len(mail)+1)},
		{"1MB-text", bytes.Repeat([]byte("just words & \xfc, "), 1<<20/16)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Remove(context.Background(), io.Discard, bytes.NewReader(bb.text), Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
