package authres

import (
	"strings"
	"testing"
)

// BenchmarkBears looks for an id of ours in honest fields, and in one that is all words which might be
// it. The latter counts by the byte: a header may be full of them.
func BenchmarkBears(b *testing.B) {
	var cjk strings.Builder
	for r := '\u4e00'; cjk.Len() < 960; r += 7 {
		cjk.WriteRune(r)
	}
	for _, bb := range []struct{ name, id, value string }{
		{"ours", "mx.example.com", "mx.example.com; spf=pass smtp.mailfrom=example.org"},
		{"another's", "mx.example.com", "other.example;\r\n\tspf=pass (sender at example.org) smtp.mailfrom=example.org;\r\n\tdkim=pass header.d=example.org"},
		{"one word", "mx.example.com", cjk.String() + "; none"},
		{"words behind a comment", "mx.example.com", "(x) " + strings.Repeat(`"" `+cjk.String()+"\u200b\r\n ", 10) + "; none"},
		{"words and an id of ours in A-labels", "mx.xn--exmple-cua.com", "(x) " + strings.Repeat("mx.xn--exmple-cub.com ü.de mx.exämple.org ", 11) + "; none"},
		{"letters that map to ours", "mx.example.com", "(x) " + strings.Repeat("ｍｘ．ｅｘａｍｐｌｅ．ｃｏｎ ", 10) + "; none"},
		{"letters and marks that nearly are ours", "mx.example.com", "(x) " + strings.Repeat("mx.e\u200bxample.cöm ", 20) + "; none"},
		{"short A-labels", "mx.example.com", "(x) " + strings.Repeat("xn--a ", 75) + "\u200b; none"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.value)))
			b.ReportAllocs()
			for b.Loop() {
				Bears(bb.value, bb.id)
			}
		})
	}
}
