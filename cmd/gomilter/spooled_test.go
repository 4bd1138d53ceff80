package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestSpooledMessage(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	const noHeader = "this is no message: it does not begin with a header field"
	for _, tt := range []struct{ name, in, head, body, err string }{
		{name: "small", in: "A: b\n\nx\n", head: "A: b\n\n", body: "x\n"},
		{name: "of a mailbox file", in: "From me\nA: b\r\n\r\nx", head: "A: b\r\n\r\n", body: "x"},
		{name: "only a header", in: "A: b", head: "A: b"},
		{name: "only a mailbox line", in: "From me", err: noHeader},
		{name: "empty", err: noHeader},
		{name: "no header, without end", in: long + long, err: noHeader},
		{name: "large body", in: "A: b\n\n" + long + "\n" + long, head: "A: b\n\n", body: long + "\n" + long},
		{name: "large body without an empty line", in: "A: b\nx y\n" + long, head: "A: b\n", body: "x y\n" + long},
		{name: "large header", in: "A: b\nB: " + long + "\n\nx", err: "the header has more than 1048576 bytes"},
		{name: "many fields", in: strings.Repeat("A: b\n", 1<<18), err: "the header has more than 1048576 bytes"},
		{name: "half a name at the limit", in: "A: " + long[:maxMessageHeader-9] + "\nSubject: x\n\n", err: "the header has more than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := readSpooled(strings.NewReader(tt.in))
			if err != nil {
				if err.Error() != tt.err {
					t.Errorf("error %v", err)
				}
				return
			}
			defer m.Close()
			body, err := io.ReadAll(m.body())
			if err != nil || string(m.head) != tt.head || string(body) != tt.body || tt.err != "" {
				t.Errorf("head %.100q, body of %d bytes, %v", m.head, len(body), err)
			}
			if large := len(body) > 1<<20; m.spool.InMemory() == large {
				t.Errorf("%d bytes in memory: %v", len(body), m.spool.InMemory())
			}
		})
	}
	broken := errors.New("broken pipe")
	for _, before := range []string{"A: b\n", "A: b\n\n" + long} {
		if _, err := readSpooled(io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	}
}

func TestLimitedReader(t *testing.T) {
	for n, want := range map[int64]bool{4: false, 5: true, 6: true} {
		b, err := io.ReadAll(&limitedReader{iotest.OneByteReader(strings.NewReader("12345")), n})
		if (err == nil) != want || want && string(b) != "12345" {
			t.Errorf("limit %d: %q, %v", n, b, err)
		}
		if b, err := io.ReadAll(&limitedReader{strings.NewReader("12345"), n}); (err == nil) != want {
			t.Errorf("limit %d: %q, %v", n, b, err)
		}
	}
}

func TestWireReaderIsWireLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.SampledFrom([]byte("ab\r\n"))).Draw(t, "body")
		var r io.Reader = &wireReader{r: bytes.NewReader(in)}
		if rapid.Bool().Draw(t, "byte by byte") {
			r = &wireReader{r: iotest.OneByteReader(bytes.NewReader(in))}
		}
		if rapid.Bool().Draw(t, "read so") {
			r = iotest.OneByteReader(r)
		}
		got, err := io.ReadAll(r)
		if want := wireLines(in); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q reads as %q, want %q: %v", in, got, want, err)
		}
	})
}
