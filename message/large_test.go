package message

import (
	"bytes"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"io"
	"runtime"
	"strings"
	"testing"
)

// A made source is bytes that are in no memory: a head, a piece over and over, a tail.
type made struct {
	head, piece, tail string
	times             int64
}

func (m made) Size() int64 {
	return int64(len(m.head)) + m.times*int64(len(m.piece)) + int64(len(m.tail))
}

func (m made) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		var from string
		switch {
		case at < int64(len(m.head)):
			from = m.head[at:]
		case at < m.Size()-int64(len(m.tail)):
			from = m.piece[(at-int64(len(m.head)))%int64(len(m.piece)):]
		case at < m.Size():
			from = m.tail[at-(m.Size()-int64(len(m.tail))):]
		default:
			return n, io.EOF
		}
		n += copy(p[n:], from)
	}
	return n, nil
}

// A gauge passes bytes on and notes how much memory is in use meanwhile.
type gauge struct {
	hash  hash.Hash
	size  int64
	next  int64
	most  uint64
	start uint64
}

func newGauge() *gauge {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return &gauge{hash: crc32.NewIEEE(), start: m.HeapAlloc}
}

func (g *gauge) Write(p []byte) (int, error) {
	g.hash.Write(p)
	g.size += int64(len(p))
	if g.size >= g.next {
		g.next = g.size + 10<<20
		g.look()
	}
	return len(p), nil
}

func (g *gauge) look() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	g.most = max(g.most, m.HeapAlloc)
}

func (g *gauge) grown() int64 { return int64(g.most) - int64(g.start) }

// A mail of 200 MB is read, opened, edited and written in a few MiB.
func TestLargeMessageInLittleMemory(t *testing.T) {
	const room = 8 << 20
	size := int64(200 << 20)
	if raceEnabled {
		size = 20 << 20
	}
	lines := strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 1000)
	src := made{
		head:  "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n",
		piece: lines,
		tail:  "--b--\r\n",
		times: size / int64(len(lines)),
	}
	in := newGauge()
	if _, err := io.Copy(in, io.NewSectionReader(src, 0, src.Size())); err != nil {
		t.Fatal(err)
	}

	g := newGauge()
	tree, err := Read(src, &Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	g.look()
	if n := g.grown(); n > room {
		t.Errorf("reading takes %d bytes", n)
	}

	same := newGauge()
	if n, err := tree.WriteTo(same); err != nil || n != src.Size() {
		t.Fatalf("WriteTo = %d, %v", n, err)
	}
	if !bytes.Equal(same.hash.Sum(nil), in.hash.Sum(nil)) {
		t.Error("not written as it was read")
	}
	if n := same.grown(); n > room {
		t.Errorf("writing takes %d bytes", n)
	}

	open := newGauge()
	if _, err := io.Copy(open, tree.Root.Parts[1].Open()); err != nil || open.size != src.times*57000 {
		t.Fatalf("opened %d bytes, %v, want %d", open.size, err, src.times*57000)
	}
	if n := open.grown(); n > room {
		t.Errorf("opening takes %d bytes", n)
	}

	if err := tree.Root.Parts[0].Replace(Content{Text: "changed\n"}); err != nil {
		t.Fatal(err)
	}
	edited := newGauge()
	if _, err := tree.WriteTo(edited); err != nil {
		t.Fatal(err)
	}
	if n := edited.grown(); n > room {
		t.Errorf("writing with an edit takes %d bytes", n)
	}

	// The attachment itself, put in place from a source of 150 MB.
	put := newGauge()
	if err := tree.Root.Parts[1].SetBody(made{piece: strings.Repeat("0123456789", 1000), times: size / 14000}); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(put); err != nil {
		t.Fatal(err)
	}
	if n := put.grown(); n > room {
		t.Errorf("writing a new attachment takes %d bytes", n)
	}
	if want := size / 14000 * 10000 / 57 * 78; put.size < want {
		t.Errorf("%d bytes written, want more than %d", put.size, want)
	}
	t.Logf("growth: reading %d, writing %d, opening %d, edited %d, put %d", g.grown(), same.grown(), open.grown(), edited.grown(), put.grown())
}

// An attached message that is encoded goes to a file, and an edit inside it streams.
func TestLargeEncodedMessage(t *testing.T) {
	inner := "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nhello\r\n--i\r\n\r\n"
	for len(inner)%57 != 0 {
		inner += "x"
	}
	head := base64.StdEncoding.EncodeToString([]byte(inner))
	times := int64(1 << 20)
	if raceEnabled {
		times = 1 << 16
	}
	piece := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("some text..........", 3)))
	src := made{
		head:  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + head + "\r\n",
		piece: piece + "\r\n",
		times: times,
		tail:  base64.StdEncoding.EncodeToString([]byte("\r\n--i--\r\n")) + "\r\n",
	}
	tree, err := Read(src, &Options{MaxDecoded: 100 << 20, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if err := part(t, tree, "0.0").SetBody(strings.NewReader("HELLO")); err != nil {
		t.Fatal(err)
	}
	g := newGauge()
	if _, err := tree.WriteTo(g); err != nil {
		t.Fatal(err)
	}
	if n := g.grown(); n > 8<<20 {
		t.Errorf("writing takes %d bytes", n)
	}
	if tree.spool.InMemory() {
		t.Error("the attached message is in memory")
	}
}

// What reading allocates depends on parts and fields, not on the size of bodies.
func TestReadAllocatesByPartsOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("counts of allocations say nothing under the race detector")
	}
	for _, enc := range []string{"7bit", "base64", "quoted-printable"} {
		allocs := func(lines int64) float64 {
			src := made{
				head:  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: " + enc + "\r\n\r\n",
				piece: strings.Repeat("QUJD", 19) + "\r\n", tail: "--b--\r\n", times: lines,
			}
			return testing.AllocsPerRun(20, func() {
				tree, err := Read(src, nil)
				if err != nil {
					t.Fatal(err)
				}
				tree.Close()
			})
		}
		small, large := allocs(10), allocs(20000)
		if large > small+2 {
			t.Errorf("%s: %v allocations for a small body, %v for a large one", enc, small, large)
		}
		if small > 60 {
			t.Errorf("%s: %v allocations for two parts with two fields", enc, small)
		}
		t.Logf("%s: %v allocations, %v", enc, small, large)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, bench := range []struct{ name, head, piece string }{
		{"base64", "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n", strings.Repeat("QUJD", 19) + "\r\n"},
		{"text", "Content-Type: text/plain\r\n\r\n", "Some words of a line that is neither short nor long.\r\n"},
		{"text in quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\n", "Some words of a line that is neither short nor long=2E\r\n"},
		{"quoted replies", "Content-Type: text/html\r\n\r\n", "--\r\n> x\r\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := "--b\r\n" + bench.head + strings.Repeat(bench.piece, 10<<20/len(bench.piece)) + "--b--\r\n"
			h := Header{NewField("Content-Type", " multipart/mixed; boundary=b", "\r\n")}
			src := bytes.NewReader([]byte(body))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				tree, err := ReadTree(h, nil, src, nil)
				if err != nil {
					b.Fatal(err)
				}
				tree.Close()
			}
		})
	}
	b.Run("usual mail", func(b *testing.B) {
		in := []byte(strings.Repeat("Received: from a (b [192.0.2.1])\r\n\tby c; Sun, 1 Jan 2023 00:00:00 +0000\r\n", 8) +
			"Subject: x\r\nContent-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("text\r\n", 300) +
			"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + strings.Repeat("<p>text</p>\r\n", 300) + "--b--\r\n")
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			tree, err := Read(bytes.NewReader(in), nil)
			if err != nil {
				b.Fatal(err)
			}
			tree.Close()
		}
	})
}
