package wire

import (
	"bytes"
	"encoding/binary"
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
		{"cut behind the command", "\x00\x00\x00\x02H", 0, "", io.ErrUnexpectedEOF},
		{"cut between length and command", "\x00\x00\x00\x01", 0, "", io.ErrUnexpectedEOF},
		{"longest length", "\xff\xff\xff\xffH", 0, "", ErrFrameSize},
		{"length with the sign bit alone", "\x80\x00\x00\x00H", 0, "", ErrFrameSize},
		{"length too great, and nothing behind", "\x00\x01\x00\x01", 0, "", ErrFrameSize},
		{"full body chunk", "\x00\x01\x00\x00B" + strings.Repeat("x", ChunkSize), 'B', strings.Repeat("x", ChunkSize), nil},
		{"one more than a body chunk", "\x00\x01\x00\x01B" + strings.Repeat("x", ChunkSize+1), 0, "", ErrFrameSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in)), iotest.DataErrReader(strings.NewReader(tt.in))} {
				cmd, payload, err := NewReader(src, DataSize64K).Next()
				if cmd != tt.cmd || string(payload) != tt.payload || !errors.Is(err, tt.err) {
					t.Errorf("Next(%.20q from %T) = %q, %d bytes, %v, want %q, %d bytes, %v", tt.in, src, cmd, len(payload), err, tt.cmd, len(tt.payload), tt.err)
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

func TestReaderSaysWhereTheFaultyFrameBegan(t *testing.T) {
	r := NewReader(strings.NewReader("\x00\x00\x00\x01N\x00\x00\x00\x03Hi\x00\x00\x00\x00\x00"), DataSize64K)
	for range 2 {
		if _, _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the error stays
		if _, _, err := r.Next(); err != ErrEmptyFrame || r.Offset() != 12 {
			t.Errorf("Next = %v at %d, want %v at 12", err, r.Offset(), ErrEmptyFrame)
		}
	}
	if !r.Buffered() {
		t.Error("Buffered = false, though Next reads nothing before it fails")
	}
}

func TestReaderErrorNamesLengthAndLimit(t *testing.T) {
	_, _, err := NewReader(strings.NewReader("\x7f\xff\xff\xffB"), 99).Next()
	if err == nil || err.Error() != "frame is longer than allowed: 2147483647 bytes, limit 100" {
		t.Errorf("Next error = %v", err)
	}
}

func TestReaderHandsErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(strings.NewReader("\x00\x00\x00\x01N\x00\x00"), iotest.ErrReader(broken))
	r := NewReader(src, DataSize64K)
	if cmd, _, err := r.Next(); cmd != CmdEndOfHeaders || err != nil {
		t.Fatalf("Next = %q, %v, want %q", cmd, err, CmdEndOfHeaders)
	}
	if _, _, err := r.Next(); err != broken {
		t.Errorf("Next error = %v, want %v", err, broken)
	}
}

// A lazy reader returns nothing n times before each byte.
type lazyReader struct {
	src  io.Reader
	n, i int
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.i++; l.i%(l.n+1) != 0 {
		return 0, nil
	}
	return l.src.Read(p[:1])
}

func TestReaderAsksAgainButNotForEver(t *testing.T) {
	r := NewReader(&lazyReader{src: strings.NewReader("\x00\x00\x00\x03Hi\x00"), n: 50}, DataSize64K)
	if cmd, p, err := r.Next(); cmd != CmdHelo || string(p) != "i\x00" || err != nil {
		t.Errorf("Next = %q, %q, %v, want HELO", cmd, p, err)
	}
	r = NewReader(&lazyReader{src: strings.NewReader("\x00\x00\x00\x03Hi\x00"), n: 1 << 30}, DataSize64K)
	if _, _, err := r.Next(); err != io.ErrNoProgress {
		t.Errorf("Next error = %v, want %v", err, io.ErrNoProgress)
	}
}

func TestReaderSetMax(t *testing.T) {
	for _, tt := range []struct {
		name       string
		first, max int
		size       int
		err        error
	}{
		{"more than at first", DataSize64K, DataSize1M, DataSize1M, nil},
		{"more than a buffer of none of the classes", 300 << 10, 4 << 20, 4 << 20, nil},
		{"one more than allowed", DataSize64K, DataSize256K, DataSize256K + 1, ErrFrameSize},
		{"less than at first", DataSize1M, DataSize64K, DataSize64K + 1, ErrFrameSize},
		{"nothing", DataSize64K, 0, 0, nil},
		{"more than nothing", DataSize64K, 0, 1, ErrFrameSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opening, body := bytes.Repeat([]byte("o"), tt.first), bytes.Repeat([]byte("b"), tt.size)
			in := AppendFrame(AppendFrame(nil, CmdBody, opening), CmdBody, body)
			r := NewReader(iotest.HalfReader(bytes.NewReader(in)), tt.first)
			if _, p, err := r.Next(); err != nil || !bytes.Equal(p, opening) {
				t.Fatalf("Next = %d bytes, %v, want %d bytes", len(p), err, tt.first)
			}
			r.SetMax(tt.max)
			if _, p, err := r.Next(); !errors.Is(err, tt.err) || err == nil && !bytes.Equal(p, body) {
				t.Errorf("Next after SetMax(%d) = %d bytes, %v, want %d bytes, %v", tt.max, len(p), err, tt.size, tt.err)
			}
		})
	}
}

func TestReaderKnowsWhatItHolds(t *testing.T) {
	r := NewReader(iotest.OneByteReader(strings.NewReader("\x00\x00\x00\x01N\x00")), DataSize64K)
	if r.Buffered() || r.Partial() {
		t.Errorf("before a read: Buffered %v, Partial %v", r.Buffered(), r.Partial())
	}
	for i := range 5 {
		if r.Buffered() || r.Partial() != (i > 0) {
			t.Errorf("%d bytes of 5: Buffered %v, Partial %v", i, r.Buffered(), r.Partial())
		}
		r.fill()
	}
	if !r.Buffered() || !r.Partial() {
		t.Errorf("a whole frame: Buffered %v, Partial %v", r.Buffered(), r.Partial())
	}
	r.Next()
	if r.Buffered() || r.Partial() {
		t.Errorf("behind the frame: Buffered %v, Partial %v", r.Buffered(), r.Partial())
	}
	if r.fill(); r.Buffered() || !r.Partial() {
		t.Errorf("frame begun: Buffered %v, Partial %v", r.Buffered(), r.Partial())
	}
}

func TestBeginFrameAndEndFrame(t *testing.T) {
	b := []byte("head")
	for i, payload := range []string{"", "a", strings.Repeat("x", 300)} {
		var at int
		b, at = BeginFrame(b, 'h')
		b = EndFrame(append(b, payload...), at)
		if want := AppendFrame(nil, 'h', payload); !bytes.Equal(b[at:], want) {
			t.Errorf("frame %d is %q, want %q", i, b[at:], want)
		}
	}
	if !bytes.HasPrefix(b, []byte("head\x00\x00\x00\x01h\x00\x00\x00\x02ha\x00\x00\x01\x2dhx")) {
		t.Errorf("frames together are %q", b)
	}
}

// A script is a source that has its bytes in pieces and makes its Reader wait
// where a piece is empty, as a socket does.
type script struct {
	pieces  [][]byte
	waiting func(r *Reader) // called at each wait
}

func (s *script) Read([]byte) (int, error) { panic("a script is a parker") }

func (s *script) readInto(r *Reader) (int, error) {
	for len(s.pieces) > 0 {
		room := r.room()
		if len(room) == 0 {
			return 0, errors.New("no room")
		}
		if p := s.pieces[0]; len(p) > 0 {
			n := copy(room, p)
			if s.pieces[0] = p[n:]; n == len(p) {
				s.pieces = s.pieces[1:]
			}
			return n, nil
		}
		s.pieces = s.pieces[1:]
		r.rest()
		if s.waiting != nil {
			s.waiting(r)
		}
	}
	return 0, io.EOF
}

var scribbles = bytes.Repeat([]byte{0xaa}, bufferSizes[len(bufferSizes)-1])

// scribble writes over the buffers given back last, and so over those that
// somebody still uses who gave them back.
func scribble() {
	for class := range bufferPools {
		first, second := getBuffer(class, 0), getBuffer(class, 0)
		copy(first.b, scribbles)
		copy(second.b, scribbles)
		second.put()
		first.put()
	}
}

// checkHeld tells a Reader off that holds more while it waits than what it has
// to keep warrants.
func checkHeld(t *testing.T, r *Reader) {
	t.Helper()
	unread := r.end - r.start
	switch {
	case unread == 0 && r.lent != nil:
		t.Errorf("waits with an empty buffer of %d bytes", len(r.buf))
	case unread > 0 && len(r.buf) > max(bufferSizes[0], 4*unread):
		t.Errorf("waits with a buffer of %d bytes for %d", len(r.buf), unread)
	}
}

func TestReaderHoldsLittleWhileItWaits(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int // of the payload that arrives, in bytes
		step int // bytes between waits
	}{
		{"dribbled command", 20, 1},
		{"dribbled body", 30 << 10, 501},
		{"body chunk in segments", ChunkSize, 1448},
		{"body chunk at once", ChunkSize, 1 << 20},
		{"256 KiB", DataSize256K, 4096},
		{"1 MiB", DataSize1M, 16 << 10},
		{"more than any milter sends", 5 << 20, 40 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			payload := bytes.Repeat([]byte("0123456789"), tt.size/10+1)[:tt.size]
			frame := AppendFrame(nil, CmdBody, payload)
			s := &script{waiting: func(r *Reader) { checkHeld(t, r); scribble() }}
			for range 3 {
				for b := frame; len(b) > 0; b = b[min(tt.step, len(b)):] {
					s.pieces = append(s.pieces, b[:min(tt.step, len(b))], nil)
				}
			}
			r := NewReader(nil, max(DataSize1M, tt.size))
			r.park = s
			for i := range 3 {
				_, p, err := r.Next()
				if len(r.buf) > max(bufferSizes[3], tt.size+2*HeadSize) {
					t.Errorf("frame %d: a buffer of %d bytes for %d", i, len(r.buf), tt.size)
				}
				if err != nil || !bytes.Equal(p, payload) {
					t.Fatalf("frame %d: %d bytes, %v, want %d bytes", i, len(p), err, tt.size)
				}
			}
			if _, _, err := r.Next(); err != io.EOF {
				t.Errorf("Next error = %v, want EOF", err)
			}
		})
	}
}

func TestReaderPromisesCostNothing(t *testing.T) {
	// The length says 1 MiB, 6 bytes come.
	r := NewReader(strings.NewReader("\x00\x10\x00\x00Bx"), DataSize1M)
	if _, _, err := r.Next(); err != io.ErrUnexpectedEOF || len(r.buf) != bufferSizes[0] {
		t.Errorf("Next error = %v with a buffer of %d bytes, want one of %d", err, len(r.buf), bufferSizes[0])
	}
}

func TestReaderRemembersHowLargeABufferItNeeds(t *testing.T) {
	small, chunk := AppendFrame(nil, CmdEndOfHeaders, ""), AppendFrame(nil, CmdBody, strings.Repeat("x", ChunkSize))
	huge := AppendFrame(nil, CmdBody, strings.Repeat("x", DataSize1M))
	for _, tt := range []struct {
		name  string
		bring [][]byte
		class int // at the end
	}{
		{"nothing yet", nil, 0},
		{"small frames", [][]byte{small, small}, 0},
		{"body chunk", [][]byte{small, chunk}, 2},
		{"body chunks", [][]byte{chunk, chunk, chunk}, 2},
		{"a small frame behind a body chunk", [][]byte{chunk, small}, 1},
		{"small frames behind a body chunk", [][]byte{chunk, small, small}, 0},
		{"1 MiB", [][]byte{huge}, 3},
		{"small frames behind 1 MiB", [][]byte{huge, small, small, small}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := new(script)
			for _, b := range tt.bring {
				s.pieces = append(s.pieces, b, nil, nil) // a second wait brings nothing
			}
			r := NewReader(nil, DataSize1M)
			r.park = s
			for {
				if _, _, err := r.Next(); err != nil {
					break
				}
			}
			if r.class != tt.class {
				t.Errorf("next buffer has class %d, want %d", r.class, tt.class)
			}
		})
	}
}

func TestReaderLeavesPayloadsAloneUntilTheNextCall(t *testing.T) {
	s := &script{pieces: [][]byte{AppendFrame(AppendFrame(nil, CmdHelo, "one\x00"), CmdMail, "two\x00"), nil, AppendFrame(nil, CmdRcpt, "three\x00")}}
	r := NewReader(nil, DataSize64K)
	r.park = s
	for _, want := range []string{"one\x00", "two\x00", "three\x00"} {
		_, p, err := r.Next()
		scribble()
		r.Buffered()
		r.Partial()
		r.Offset()
		if string(p) != want || err != nil {
			t.Errorf("Next = %q, %v, want %q", p, err, want)
		}
		if len(p) != cap(p) {
			t.Errorf("append to %q would write over the frame behind", p)
		}
	}
}

func TestReaderCloseGivesTheBufferBack(t *testing.T) {
	r := NewReader(strings.NewReader("\x00\x00\x00\x01N\x00\x00"), DataSize64K)
	if _, _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is harmless
		if r.Close(); r.lent != nil || r.buf != nil || r.Partial() || r.Buffered() {
			t.Errorf("after Close: %+v", r)
		}
	}
}

func TestReaderTakenOver(t *testing.T) {
	in := AppendFrame(AppendFrame(nil, CmdHelo, "one\x00"), CmdMail, "two\x00")
	src := bytes.NewReader(append(in, "\x00\x00"...))
	r := NewReader(src, DataSize64K)
	_, held, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	again := NewReader(src, DataSize64K)
	again.take(r)
	scribble()
	if string(held) != "one\x00" {
		t.Errorf("payload after take = %q, want %q", held, "one\x00")
	}
	if r.lent != nil || r.Partial() {
		t.Error("the Reader still holds the buffer")
	}
	r.Close()
	scribble()
	if string(held) != "one\x00" {
		t.Errorf("payload after Close = %q, want %q", held, "one\x00")
	}
	if cmd, p, err := again.Next(); cmd != CmdMail || string(p) != "two\x00" || err != nil {
		t.Errorf("Next after take = %q, %q, %v, want MAIL two", cmd, p, err)
	}
	if again.Offset() != int64(len(in)) {
		t.Errorf("Offset after take = %d, want %d", again.Offset(), len(in))
	}
	if _, _, err := again.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("Next at the end = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestBufferClasses(t *testing.T) {
	if whole := HeadSize + ChunkSize; bufferSizes[2] < whole {
		t.Errorf("a buffer of the third class has %d bytes, a full body chunk %d", bufferSizes[2], whole)
	}
	if whole := HeadSize + DataSize256K; bufferSizes[3] < whole {
		t.Errorf("a buffer of the last class has %d bytes, a payload of 256 KiB %d", bufferSizes[3], whole)
	}
	for i, size := range bufferSizes[1:] {
		if size > 4*bufferSizes[i] {
			t.Errorf("class %d has %d bytes, more than four times class %d", i+1, size, i)
		}
	}
	for _, tt := range []struct{ n, class int }{{0, 0}, {bufferSizes[0] - 1, 0}, {bufferSizes[0], 1}, {bufferSizes[3] - 1, 3}, {bufferSizes[3], 4}} {
		if got := classFor(tt.n); got != tt.class {
			t.Errorf("classFor(%d) = %d, want %d", tt.n, got, tt.class)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03Hi\x00\x00\x00\x00\x01Q"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Add([]byte("\x7f\xff\xff\xffB"))
	f.Add([]byte("\x00\x00\x00\x05He"))
	for _, tt := range golden {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(iotest.HalfReader(bytes.NewReader(in)), DataSize64K)
		var out []byte
		for {
			cmd, p, err := r.Next()
			if err != nil {
				rest := in[len(out):]
				var length uint32
				if len(rest) >= 4 {
					length = binary.BigEndian.Uint32(rest)
				}
				want := io.ErrUnexpectedEOF
				switch {
				case len(rest) == 0:
					want = io.EOF
				case len(rest) >= 4 && length == 0:
					want = ErrEmptyFrame
				case length > DataSize64K+1:
					want = ErrFrameSize
				}
				if !errors.Is(err, want) {
					t.Errorf("Next at %q = %v, want %v", rest, err, want)
				}
				break
			}
			out = AppendFrame(out, cmd, p)
		}
		if !bytes.HasPrefix(in, out) || r.Offset() != int64(len(out)) {
			t.Errorf("%q does not encode back: %q, offset %d", in, out, r.Offset())
		}
	})
}

// FuzzReaderWaits brings frames of the given sizes in pieces of the given sizes
// and lets the Reader wait between some of them.
func FuzzReaderWaits(f *testing.F) {
	f.Add([]byte{0, 1, 60, 61, 62, 250, 3}, []byte{255, 0, 7, 100, 31})
	f.Add([]byte{255, 255}, []byte{})
	f.Add([]byte{0, 0, 0}, []byte{1})
	f.Fuzz(func(t *testing.T, sizes, cuts []byte) {
		if len(sizes) > 8 {
			sizes = sizes[:8]
		}
		const limit = DataSize1M
		content := func(i int) []byte {
			n := min(int(sizes[i])*int(sizes[i])*17, limit)
			return bytes.Repeat([]byte{byte(i + 1)}, n)
		}
		var in []byte
		for i := range sizes {
			in = AppendFrame(in, CmdBody, content(i))
		}
		s := &script{waiting: func(r *Reader) { checkHeld(t, r) }}
		for i := 0; len(in) > 0; i++ {
			n := len(in)
			if len(cuts) > 0 {
				c := int(cuts[i%len(cuts)])
				n = min(n, c*c*3+1+i/8) // the longer it takes, the longer the steps
			}
			s.pieces = append(s.pieces, in[:n])
			if in = in[n:]; n%2 == 1 {
				s.pieces = append(s.pieces, nil)
			}
		}
		s.pieces = append(s.pieces, nil)
		r := NewReader(nil, limit)
		r.park = s
		for i := range sizes {
			cmd, p, err := r.Next()
			if want := content(i); cmd != CmdBody || err != nil || !bytes.Equal(p, want) {
				t.Fatalf("frame %d of %v in pieces %v: %q, %d bytes, %v, want %d bytes", i, sizes, cuts, cmd, len(p), err, len(want))
			}
		}
		if _, _, err := r.Next(); err != io.EOF || r.Partial() {
			t.Errorf("behind the last frame: %v, want EOF", err)
		}
	})
}
