package archive

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

func TestStreams(t *testing.T) {
	exe := []byte(payloadExe)
	one, two := gzipped(t, "", exe[:20]), gzipped(t, "", exe[20:])
	inner := zipped(t, file{"invoice.exe", payloadExe})
	half := tarred(t, file{"a.txt", payloadText}, file{"b.exe", payloadExe})
	broken := gzipped(t, "", inner)
	broken[len(broken)-6] ^= 0xff
	for _, tt := range []struct {
		name, file string
		in         []byte
		names      []string
		what       []What
	}{
		{"gzip", "invoice.exe.gz", one, []string{"invoice.exe"}, nil},
		{"gzip with a name in it", "a.gz", gzipped(t, "invoice.exe", exe), []string{"a"}, nil},
		{"gzip without a name that says so", "invoice", one, []string{"invoice"}, nil},
		{"tar in gzip", "a.tgz", gzipped(t, "", half), []string{"a.tar", "a.tar!a.txt", "a.tar!b.exe"}, nil},
		{"zip in gzip, in two parts", "a.gz", append(gzipped(t, "", inner[:100]), gzipped(t, "", inner[100:])...), []string{"a", "a!invoice.exe"}, nil},
		{"two parts", "a.exe.gz", append(bytes.Clone(one), two...), []string{"a.exe"}, nil},
		{"gzip, cut", "a.gz", one[:len(one)-10], []string{"a"}, []What{Truncated}},
		{"gzip, cut in the header", "a.gz", one[:6], nil, []What{Truncated}},
		{"gzip, the sum wrong", "a.gz", broken, []string{"a", "a!invoice.exe"}, []What{Corrupt}},
		{"gzip, bytes behind it", "a.gz", append(bytes.Clone(one), "trailing bytes"...), []string{"a"}, []What{Corrupt}},
		{"gzip, padded with zeros", "a.exe.gz", append(bytes.Clone(one), make([]byte, 10000)...), []string{"a.exe"}, nil},
		{"gzip, a part behind zeros", "a.tgz", append(append(gzipped(t, "", half[:512]), make([]byte, 300)...), gzipped(t, "", half[512:])...), []string{"a.tar", "a.tar!a.txt", "a.tar!b.exe"}, nil},
		{"gzip, a line end behind it", "a.exe.gz", append(bytes.Clone(one), "\r\n"...), []string{"a.exe"}, nil},
		{"gzip, line ends and bytes behind it", "a.exe.gz", append(bytes.Clone(one), "\r\n\r\ntrailing bytes"...), []string{"a.exe"}, []What{Corrupt}},
		{"gzip called a tar, of a tar", "a.tar", gzipped(t, "", half), []string{"a.tar", "a.tar!a.txt", "a.tar!b.exe"}, nil},
		{"gzip called a tar, of a file", "a.tar", gzipped(t, "", []byte(payloadText)), []string{"a.tar"}, nil},
		{"gzip of a file that its header calls a tar", "a.gz", gzipped(t, "b.tar", []byte(payloadText)), []string{"a"}, []What{Corrupt}},
		{"gzip, bytes behind zeros", "a.gz", append(bytes.Clone(one), "\x00\x00\x00trailing bytes"...), []string{"a"}, []What{Corrupt}},
		{"no gzip", "a.gz", exe, nil, []What{Corrupt}},
		{"nothing", "a.gz", nil, nil, nil},
		{"bzip2, cut", "a.bz2", []byte("BZh91AY&SY"), []string{"a"}, []What{Truncated}},
		{"xz, cut", "a.xz", []byte("\xfd7zXZ\x00\x00\x04"), []string{"a"}, []What{Truncated}},
		{"zstandard, cut", "a.zst", []byte("\x28\xb5\x2f\xfd"), []string{"a"}, []What{Truncated}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, r := walked(t, tt.in, tt.file, Limits{})
			if diff := cmp.Diff(tt.names, got); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
			checkWhat(t, r, tt.what)
		})
	}
}

func TestStreamNames(t *testing.T) {
	for in, want := range map[string]string{
		"invoice.exe.gz": "invoice.exe", "a.TGZ": "a.tar", "a.tar.xz": "a.tar", "a.tbz2": "a.tar", "picture.svgz": "picture.svg",
		"plain": "plain", "a.dat": "a.dat", ".gz": "", "a.Z": "a", "a.gz. ": "a",
	} {
		if got := withoutExtension(in); got != want {
			t.Errorf("withoutExtension(%q) = %q, want %q", in, got, want)
		}
	}
	m := member(t, gzipped(t, "invoice.exe", []byte(payloadExe)), "a.txt.gz")
	if diff := cmp.Diff([]string{"a.txt", "invoice.exe"}, m.Names); diff != "" {
		t.Errorf("names -want +got\n%s", diff)
	}
}

// member returns the first member of an archive.
func member(t *testing.T, b []byte, name string) (first Member) {
	t.Helper()
	seen := false
	if _, err := Walk(t.Context(), bytes.NewReader(b), name, Limits{}, func(m Member) error {
		if !seen {
			first, seen = m, true
		}
		return nil
	}); err != nil || !seen {
		t.Fatalf("no member; error %v", err)
	}
	return first
}

// TestConcatenatedStreams joins streams and wants all of what is in them.
func TestConcatenatedStreams(t *testing.T) {
	xzOf := func(s []byte) []byte {
		var b bytes.Buffer
		w, err := xz.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(s)
		w.Close()
		return b.Bytes()
	}
	zstdOf := func(s []byte) []byte {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(s, nil)
	}
	body := tarred(t, file{"a.txt", payloadText}, file{"b.exe", payloadExe})
	first, rest := body[:700], body[700:]
	padding := make([]byte, 8)
	skip := []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip")
	for name, in := range map[string][]byte{
		"gzip":                    append(gzipped(t, "", first), gzipped(t, "", rest)...),
		"xz":                      append(xzOf(first), xzOf(rest)...),
		"xz with padding":         append(append(append(xzOf(first), padding...), xzOf(rest)...), padding...),
		"xz, an empty one":        append(append(xzOf(first), xzOf(nil)...), xzOf(rest)...),
		"zstandard":               append(zstdOf(first), zstdOf(rest)...),
		"zstandard, one to skip":  append(append(zstdOf(first), skip...), zstdOf(rest)...),
		"zstandard, a skip first": append(append(bytes.Clone(skip), zstdOf(first)...), zstdOf(rest)...),
	} {
		t.Run(name, func(t *testing.T) {
			got, r := walked(t, in, "a", Limits{})
			if diff := cmp.Diff([]string{"a", "a!a.txt", "a!b.exe"}, got); diff != "" || len(r.Findings) > 0 {
				t.Errorf("names -want +got\n%sfindings %+v", diff, r.Findings)
			}
		})
	}
}
