package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderNext(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		cmd      byte
		payload  string
		err      error
	}{
		{"frame with payload", "\x00\x00\x00\x03Hi\x00", 'H', "i\x00", nil},
		{"frame without payload", "\x00\x00\x00\x01Q", 'Q', "", nil},
		{"nothing", "", 0, "", io.EOF},
		{"frame without command", "\x00\x00\x00\x00", 0, "", ErrEmptyFrame},
		{"cut in the length", "\x00\x00", 0, "", io.ErrUnexpectedEOF},
		{"cut in the payload", "\x00\x00\x00\x05He", 0, "", io.ErrUnexpectedEOF},
		{"longest length", "\xff\xff\xff\xffH", 0, "", ErrFrameSize},
		{"full body chunk", "\x00\x01\x00\x00B" + strings.Repeat("x", ChunkSize), 'B', strings.Repeat("x", ChunkSize), nil},
		{"one more than a body chunk", "\x00\x01\x00\x01B" + strings.Repeat("x", ChunkSize+1), 0, "", ErrFrameSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in)), iotest.DataErrReader(strings.NewReader(tt.in))} {
				cmd, payload, err := NewReader(src, DataSize64K).Next()
				if cmd != tt.cmd || string(payload) != tt.payload || !errors.Is(err, tt.err) {
					t.Errorf("Next(%.20q) = %q, %d bytes, %v, want %q, %d bytes, %v", tt.in, cmd, len(payload), err, tt.cmd, len(tt.payload), tt.err)
				}
			}
		})
	}
}

func TestReaderKeepsFramesAcrossBuffers(t *testing.T) {
	var in []byte
	for i := range 300 {
		in = AppendFrame(in, CmdBody, bytes.Repeat([]byte{byte(i)}, i*211))
	}
	r := NewReader(bytes.NewReader(in), DataSize64K)
	for i := range 300 {
		_, p, err := r.Next()
		if err != nil || !bytes.Equal(p, bytes.Repeat([]byte{byte(i)}, i*211)) {
			t.Fatalf("frame %d: %d bytes, %v, want %d bytes", i, len(p), err, i*211)
		}
	}
	if r.Offset() != int64(len(in)) {
		t.Errorf("Offset = %d, want %d", r.Offset(), len(in))
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03Hi\x00\x00\x00\x00\x01Q"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Add([]byte("\x7f\xff\xff\xffB"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(iotest.HalfReader(bytes.NewReader(in)), DataSize64K)
		var out []byte
		for {
			cmd, p, err := r.Next()
			if err != nil {
				break
			}
			out = AppendFrame(out, cmd, p)
		}
		if !bytes.HasPrefix(in, out) {
			t.Errorf("%q does not encode back: %q", in, out)
		}
	})
}
