package archive

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestZipScannerFindsWhatIndexFinds looks for signatures in few letters, so that parts of them
// are everywhere, and on both sides of the ends of the buffer.
func TestZipScannerFindsWhatIndexFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"P", "K", "\x03", "\x04", zipLocal, zipCentral, "PKP"}), 0, 60).Draw(rt, "parts"), ""))
		pad := rapid.SampledFrom([]int{0, 1, 32<<10 - 10, 32<<10 - 3, 32 << 10}).Draw(rt, "pad")
		b = append(make([]byte, pad), b...)
		from := rapid.IntRange(0, len(b)).Draw(rt, "from")
		s := zipScanner{src: bytes.NewReader(b), end: int64(len(b))}
		at := int64(from)
		for {
			want := bytes.Index(b[at:], []byte(zipLocal))
			sig, err := s.next(&at, []string{zipLocal})
			if err != nil {
				rt.Fatal(err)
			}
			if want < 0 || sig == "" {
				if (want < 0) != (sig == "") {
					rt.Fatalf("next from %d = %q at %d, want %d", from, sig, at, want)
				}
				return
			}
			if !bytes.HasPrefix(b[at:], []byte(zipLocal)) || bytes.Contains(b[from:at], []byte(zipLocal)) {
				rt.Fatalf("next from %d stops at %d", from, at)
			}
			at++
			from = int(at)
		}
	})
}

// TestZipScanIsLinear has a great many headers, or nearly headers, none of which is a member.
func TestZipScanIsLinear(t *testing.T) {
	for _, part := range []string{zipLocal, zipCentral, "PK", "PK\x05\x06"} {
		b := bytes.Repeat([]byte(part), 4<<20/len(part))
		start := time.Now()
		_, r := walked(t, b, "a.zip", Limits{})
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q: %v for 4 MiB, report %+v", part, took, r)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	var files []file
	for i := range 20 {
		files = append(files, file{strings.Repeat("a", i+1) + ".txt", strings.Repeat(payloadText, 1000)})
	}
	for name, in := range map[string][]byte{"zip": zipped(b, files...), "tgz": gzipped(b, "", tarred(b, files...)), "rar": rar5(files...)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(20 * 1000 * int64(len(payloadText)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Walk(b.Context(), bytes.NewReader(in), "a."+name, Limits{}, func(m Member) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestZipScanFindsTheEndOfStoredData has sizes behind the data only, and no directory.
func TestZipScanFindsTheEndOfStoredData(t *testing.T) {
	b := zipMethod(t, zip.Store, file{"a.txt", payloadText}, file{"b.zip", string(zipSized(t, file{"c.exe", payloadExe}))}, file{"d.exe", payloadExe})
	// b.zip ends at its own first header, so that its member is listed as one of the outer archive; its
	// directory is the only one left.
	got := listing(t, b[:bytes.LastIndex(b[:bytes.LastIndex(b, []byte("a.txt"))], []byte(zipCentral))], "a.zip", Limits{})
	for _, want := range []string{`"a.txt"] size -1 head "plain text`, `"c.exe"] size 43 head "MZ`, `"d.exe"] size -1 head "MZ`, "mismatch: zip"} {
		if !strings.Contains(got, want) {
			t.Errorf("listing\n%s\nwants %s", got, want)
		}
	}
}
