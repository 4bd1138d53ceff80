package srs_test

import (
	"testing"

	"github.com/gomilter/gomilter/srs"
)

func BenchmarkForward(b *testing.B) {
	r := newRewriter(b, srs.Options{})
	for b.Loop() {
		mustForward(b, r, "jane@example.net", "forward.example")
	}
}

// Every secret is tried, whichever made the hash.
func BenchmarkReverse(b *testing.B) {
	r := newRewriter(b, srs.Options{Secrets: secret(srs.SHA256, peerKey, oldKey)})
	a := mustForward(b, r, "jane@example.net", "forward.example")
	for b.Loop() {
		if _, err := r.Reverse(a); err != nil {
			b.Fatal(err)
		}
	}
}
