package dkim

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/message"
)

// One signature, its key known already.
func BenchmarkVerify(b *testing.B) {
	line := "The quick brown fox jumps over the lazy dog, and  some blanks follow.  \r\n"
	for _, size := range []int{10_000, 100_000} {
		for _, tt := range []struct{ algorithm, canon, key, record string }{
			{"rsa-sha256", "relaxed", "rsa", keyRecord()},
			{"rsa-sha256", "simple", "rsa", keyRecord()},
			{"ed25519-sha256", "relaxed", "ed", edRecord},
		} {
			b.Run(fmt.Sprintf("%s/%s/%dkB", tt.algorithm, tt.canon, size/1000), func(b *testing.B) {
				tags := fmt.Sprintf("v=1; a=%s; c=%s/%[2]s; d=example.com; s=%s; h=from:to:subject:from", tt.algorithm, tt.canon, tt.key)
				m := message.Parse([]byte(forge(b, tags, someHeader, strings.Repeat(line, size/len(line)))))
				v := &Verifier{Resolver: anyKey{record: tt.record}}
				body := bytes.NewReader(m.Body)
				b.SetBytes(int64(len(m.Body)))
				b.ReportAllocs()
				for b.Loop() {
					body.Reset(m.Body)
					c, err := v.Verify(b.Context(), m.Header, body)
					if err != nil || c.Signatures[0].Value != Pass {
						b.Fatal(c, err)
					}
				}
			})
		}
	}
}
