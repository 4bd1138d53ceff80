package milter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// newBody plays the end of a message with a new body and returns what the MTA makes
// of it: the frames before the body, the body, and the final answer, "" when the
// connection was closed instead.
func newBody(t *testing.T, s *Server) (before []string, body []byte, chunks int, answer string) {
	t.Helper()
	ln := serve(t, s)
	p := ln.dial(t)
	p.offer()
	p.write("E")
	for {
		f, err := p.next()
		switch {
		case err != nil:
			return before, body, chunks, ""
		case f[0] == 'b':
			if len(f) > 1+wire.ChunkSize {
				t.Errorf("chunk of %d bytes", len(f)-1)
			}
			body = append(body, f[1:]...)
			chunks++
		case chunks == 0 && strings.Contains("+-2ehimqp", f[:1]):
			before = append(before, f)
		default:
			p.write("Q")
			p.closed()
			return before, body, chunks, f
		}
	}
}

// replacing is a filter that adds a field and replaces the body.
func replacing(body func() io.Reader) *Server {
	return filter(Hooks{End: func(_ context.Context, e *Edits) EndReply {
		if err := e.InsertHeader(0, "X", "v"); err != nil {
			return nil
		}
		if err := e.ReplaceBody(body()); err != nil {
			return nil
		}
		return Accept
	}})
}

// plain hides what else a reader can do.
type plain struct{ io.Reader }

// writerTo is an io.WriterTo of pieces of odd sizes.
type writerTo struct {
	b     []byte
	sizes []int
	err   error
}

func (w *writerTo) Read([]byte) (int, error) { return 0, errors.New("WriteTo was to be called") }
func (w *writerTo) WriteTo(to io.Writer) (total int64, err error) {
	for i := 0; len(w.b) > 0; i++ {
		n, err := to.Write(w.b[:min(w.sizes[i%len(w.sizes)], len(w.b))])
		total += int64(n)
		if err != nil {
			return total, err
		}
		w.b = w.b[n:]
	}
	return total, w.err
}

// liar has a Len that means something else.
type liar struct {
	io.Reader
	len int
}

func (l liar) Len() int { return l.len }

// lyingWriter is an io.WriterTo with such a Len.
type lyingWriter struct {
	*writerTo
	len int
}

func (l lyingWriter) Len() int { return l.len }

func TestNewBody(t *testing.T) {
	random := make([]byte, 300_000)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(random)
	for _, size := range []int{0, 1, 100, 16383, 16384, 65534, 65535, 65536, 131070, 131071, 300_000} {
		b := random[:size]
		for name, body := range map[string]func() io.Reader{
			"bytes.Reader":            func() io.Reader { return bytes.NewReader(b) },
			"bytes.Reader, half read": func() io.Reader { r := bytes.NewReader(append(make([]byte, 10), b...)); r.Seek(10, 0); return r },
			"bytes.Buffer":            func() io.Reader { return bytes.NewBuffer(slices.Clone(b)) },
			"strings.Reader":          func() io.Reader { return strings.NewReader(string(b)) },
			"plain reader":            func() io.Reader { return plain{bytes.NewReader(b)} },
			"one byte at a time":      func() io.Reader { return plain{iotest.OneByteReader(bytes.NewReader(b[:min(size, 70000)]))} },
			"data with the error":     func() io.Reader { return plain{iotest.DataErrReader(bytes.NewReader(b))} },
			"halves":                  func() io.Reader { return plain{iotest.HalfReader(bytes.NewReader(b))} },
			"bufio.Reader":            func() io.Reader { return bufio.NewReaderSize(plain{bytes.NewReader(b)}, 5000) },
			"multi":                   func() io.Reader { return io.MultiReader(bytes.NewReader(b[:size/3]), bytes.NewReader(b[size/3:])) },
			"limited": func() io.Reader {
				return io.LimitReader(bytes.NewReader(append(slices.Clone(b), "more"...)), int64(size))
			},
			"small writes":           func() io.Reader { return &writerTo{b: b, sizes: []int{100}} },
			"odd writes":             func() io.Reader { return &writerTo{b: b, sizes: []int{1, 70000, 3, 16384, 0, 16383}} },
			"Len too small":          func() io.Reader { return liar{bytes.NewReader(b), size / 2} },
			"Len too large":          func() io.Reader { return liar{bytes.NewReader(b), size * 2} },
			"Len negative":           func() io.Reader { return liar{bytes.NewReader(b), -5} },
			"Len zero, WriteTo":      func() io.Reader { return lyingWriter{&writerTo{b: b, sizes: []int{20000}}, 0} },
			"Len too small, WriteTo": func() io.Reader { return lyingWriter{&writerTo{b: b, sizes: []int{20000}}, size / 2} },
		} {
			t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) {
				before, got, chunks, answer := newBody(t, replacing(body))
				want := b
				if name == "one byte at a time" {
					want = b[:min(size, 70000)]
				}
				if !bytes.Equal(got, want) || answer != "a" || !slices.Equal(before, []string{"i\x00\x00\x00\x00X\x00v\x00"}) {
					t.Errorf("body of %d bytes, want %d; before %q, answer %q", len(got), len(want), before, answer)
				}
				if size == 0 && chunks != 1 {
					t.Errorf("an empty body in %d frames", chunks)
				}
			})
		}
	}
}

// A body goes out in few and large frames, however it is given.
func TestNewBodyIsGathered(t *testing.T) {
	b := make([]byte, 200_000)
	for name, body := range map[string]io.Reader{
		"small reads":  plain{iotest.OneByteReader(bytes.NewReader(b))},
		"small writes": &writerTo{b: b, sizes: []int{80}},
		"whole":        bytes.NewReader(b),
	} {
		if _, got, chunks, _ := newBody(t, replacing(func() io.Reader { return body })); chunks != 4 || len(got) != len(b) {
			t.Errorf("%s: %d frames, %d bytes", name, chunks, len(got))
		}
	}
}

func TestNewBodyThatFails(t *testing.T) {
	oops := errors.New("disk on fire")
	big := make([]byte, 100_000)
	for _, tt := range []struct {
		name string
		body func() io.Reader
		left bool // something has left before
	}{
		{"error at once", func() io.Reader { return iotest.ErrReader(oops) }, false},
		{"error after a little", func() io.Reader { return io.MultiReader(strings.NewReader("little"), iotest.ErrReader(oops)) }, false},
		{"error after a lot", func() io.Reader { return plain{io.MultiReader(bytes.NewReader(big), iotest.ErrReader(oops))} }, true},
		{"unexpected end", func() io.Reader { return iotest.ErrReader(io.ErrUnexpectedEOF) }, false},
		{"WriteTo fails at once", func() io.Reader { return &writerTo{err: oops} }, false},
		{"WriteTo fails after a little", func() io.Reader { return &writerTo{b: []byte("little"), sizes: []int{1}, err: oops} }, false},
		{"WriteTo fails after a lot", func() io.Reader { return &writerTo{b: big, sizes: []int{40000}, err: oops} }, true},
		{"panic at once", func() io.Reader { return readerFunc(func([]byte) (int, error) { panic("oh no") }) }, false},
		{"panic after a lot", func() io.Reader {
			return plain{io.MultiReader(bytes.NewReader(big), readerFunc(func([]byte) (int, error) { panic("oh no") }))}
		}, true},
		{"nil pointer", func() io.Reader { return (*bytes.Buffer)(nil) }, false},
		{"says nothing for ever", func() io.Reader { return readerFunc(func([]byte) (int, error) { return 0, nil }) }, false},
		{"impossible count", func() io.Reader { return readerFunc(func(p []byte) (int, error) { return len(p) + 1, nil }) }, false},
		{"negative count", func() io.Reader { return readerFunc(func([]byte) (int, error) { return -1, nil }) }, false},
	} {
		for _, p := range policies {
			t.Run(tt.name+" "+p.policy.String(), func(t *testing.T) {
				var book logBook
				m := new(counts)
				s := replacing(tt.body)
				s.OnFault, s.Metrics, s.Log = p.policy, m, book.logger()
				before, body, _, answer := newBody(t, s)
				want := p.answer
				if tt.left {
					want = "" // closed, whatever the policy says
				}
				if answer != want || !tt.left && (before != nil || body != nil) {
					t.Errorf("answer = %q, want %q; before %q, %d bytes of body", answer, want, before, len(body))
				}
				m.wantFaults(t, "end body")
				if strings.Contains(book.String(), "BODYEOB at") {
					t.Errorf("the MTA is blamed: %s", book.String())
				}
			})
		}
	}
}

func TestNewBodyThatHangs(t *testing.T) {
	for name, lead := range map[string]int{"at once": 0, "after a little": 10, "after a lot": 100_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := new(counts)
				release := make(chan struct{})
				s := replacing(func() io.Reader {
					return plain{io.MultiReader(bytes.NewReader(make([]byte, lead)), readerFunc(func([]byte) (int, error) { <-release; return 0, io.EOF }))}
				})
				closed := false
				inner := s.New
				s.New = func(c *Session) Hooks { h := inner(c); h.Close = func() { closed = true }; return h }
				s.OnFault, s.Metrics = FaultAccept, m
				p := serve(t, s).dial(t)
				p.wc.SetReadTimeout(time.Hour)
				p.offer()
				p.write("E")
				began := time.Now()
				answered := false // before anything of the body left, the policy answers
				for !answered {
					f, err := p.next()
					if err != nil {
						break
					}
					answered = f == "a"
				}
				if took := time.Since(began); took < 241*time.Second || took > 242*time.Second {
					t.Errorf("it took %v", took)
				}
				if answered != (lead < wire.ChunkSize) {
					t.Errorf("answered by the policy: %v", answered)
				}
				if answered {
					p.talk(">Q", "<!")
				}
				synctest.Wait()
				m.wantFaults(t, "end hang")
				if s.abandoned.Load() != 1 || s.conns.Load() != 0 {
					t.Errorf("%d hooks abandoned, %d connections", s.abandoned.Load(), s.conns.Load())
				}
				close(release)
				synctest.Wait()
				if s.abandoned.Load() != 0 || !closed {
					t.Errorf("after the reader returned: %d hooks abandoned, Close called: %v", s.abandoned.Load(), closed)
				}
			})
		})
	}
}

func TestNewBodyThatEndsItsGoroutine(t *testing.T) {
	for name, lead := range map[string]int{"at once": 0, "after a lot": 100_000} {
		t.Run(name, func(t *testing.T) {
			s := replacing(func() io.Reader {
				return plain{io.MultiReader(bytes.NewReader(make([]byte, lead)), readerFunc(func([]byte) (int, error) { runtime.Goexit(); return 0, nil }))}
			})
			s.OnFault = FaultAccept
			want := "a" // the policy's
			if lead > wire.ChunkSize {
				want = ""
			}
			if _, _, _, answer := newBody(t, s); answer != want {
				t.Errorf("answer = %q, want %q", answer, want)
			}
		})
	}
}

// While the reader of a new body is slow to begin, the MTA hears signs of life, and
// nothing between the parts of a body.
func TestProgressBeforeTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := make([]byte, 70_000)
		slow := func(b []byte) io.Reader {
			return io.MultiReader(readerFunc(func([]byte) (int, error) { time.Sleep(10 * time.Second); return 0, io.EOF }), bytes.NewReader(b))
		}
		s := replacing(func() io.Reader { return plain{io.MultiReader(slow(big), slow(big))} })
		p := serve(t, s).dial(t)
		p.offer()
		p.write("E")
		p.expect("p", "p", "p", "i\x00\x00\x00\x00X\x00v\x00")
		total := 0
		for {
			f := p.read()
			if f == "a" {
				break
			}
			if f[0] != 'b' {
				t.Fatalf("got %q inside the body", f)
			}
			total += len(f) - 1
		}
		if total != 2*len(big) {
			t.Errorf("%d bytes", total)
		}
	})
}

// The MTA leaves while it is sent a body.
func TestMTALeavesDuringTheBody(t *testing.T) {
	var book logBook
	m := new(counts)
	s := replacing(func() io.Reader { return bytes.NewReader(make([]byte, 50<<20)) })
	s.Log, s.Metrics = book.logger(), m
	p := connect(t, serveSocket(t, s, "unix"))
	p.offer()
	p.write("E")
	p.read()
	p.nc.Close()
	for s.conns.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	m.wantFaults(t)
	if log := book.String(); strings.Contains(log, "WARN") || strings.Contains(log, "ERROR") || !strings.Contains(log, "connection lost") {
		t.Errorf("log = %s", log)
	}
}

func TestCRLF(t *testing.T) {
	for in, want := range map[string]string{
		"":               "",
		"a":              "a",
		"\n":             "\r\n",
		"\r":             "\r\n",
		"\r\n":           "\r\n",
		"\n\r":           "\r\n\r\n",
		"\r\r":           "\r\n\r\n",
		"\r\r\n":         "\r\n\r\n",
		"a\nb\rc\r\nd":   "a\r\nb\r\nc\r\nd",
		"a\n\nb\r\n\r\n": "a\r\n\r\nb\r\n\r\n",
		"\x00\xff\n":     "\x00\xff\r\n",
	} {
		for name, r := range map[string]io.Reader{
			"whole":        strings.NewReader(in),
			"one byte":     iotest.OneByteReader(strings.NewReader(in)),
			"data and EOF": iotest.DataErrReader(strings.NewReader(in)),
		} {
			if got, err := io.ReadAll(CRLF(r)); err != nil || string(got) != want {
				t.Errorf("CRLF(%q), %s = %q, %v, want %q", in, name, got, err, want)
			}
		}
	}
	if err := iotest.TestReader(CRLF(strings.NewReader(strings.Repeat("a\n", 10_000))), bytes.Repeat([]byte("a\r\n"), 10_000)); err != nil {
		t.Error(err)
	}
	oops := errors.New("oops")
	got, err := io.ReadAll(CRLF(io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(oops))))
	if string(got) != "a\r\n" || err != oops {
		t.Errorf("before an error: %q, %v", got, err)
	}
	if _, err := io.ReadAll(CRLF(readerFunc(func([]byte) (int, error) { return 0, nil }))); err != io.ErrNoProgress {
		t.Errorf("of a reader that says nothing: %v", err)
	}
}

// Whatever comes in, lines come out ended by CRLF, and nothing else changes.
func FuzzCRLF(f *testing.F) {
	f.Add([]byte("a\nb\rc\r\nd\r"), uint8(1))
	f.Add(bytes.Repeat([]byte("x\r"), 3000), uint8(200))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		r := CRLF(&pieces{in, int(size) + 1})
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		rest := bytes.ReplaceAll(got, []byte("\r\n"), nil)
		if bytes.ContainsAny(rest, "\r\n") {
			t.Fatalf("CRLF(%q) = %q", in, got)
		}
		if !bytes.Equal(rest, bytes.ReplaceAll(bytes.ReplaceAll(in, []byte("\r"), nil), []byte("\n"), nil)) {
			t.Fatalf("CRLF(%q) = %q loses bytes", in, got)
		}
		lf := bytes.ReplaceAll(bytes.ReplaceAll(in, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		if want := bytes.Count(lf, []byte("\n")); bytes.Count(got, []byte("\r\n")) != want {
			t.Fatalf("CRLF(%q) = %q, want %d lines", in, got, want)
		}
		again, _ := io.ReadAll(CRLF(bytes.NewReader(got)))
		if !bytes.Equal(again, got) {
			t.Fatalf("twice: %q", again)
		}
	})
}

// pieces reads at most size bytes at a time.
type pieces struct {
	b    []byte
	size int
}

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(to, p.b[:min(p.size, len(p.b))])
	p.b = p.b[n:]
	return n, nil
}
