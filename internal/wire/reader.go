package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Errors of Reader.Next.
var (
	ErrEmptyFrame = errors.New("frame has no command byte")
	ErrFrameSize  = errors.New("frame is longer than allowed")
)

// AppendFrame appends a frame.
func AppendFrame[T ~string | ~[]byte](dst []byte, cmd byte, payload T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(1+len(payload)))
	return append(append(dst, cmd), payload...)
}

// BeginFrame appends the head of a frame whose payload the caller appends next;
// EndFrame then fills in the length. It returns where the frame began.
func BeginFrame(dst []byte, cmd byte) (b []byte, at int) {
	return append(dst, 0, 0, 0, 0, cmd), len(dst)
}

// EndFrame sets the length of the frame that began at at and ends with dst.
func EndFrame(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// HeadSize is the length of what stands before a frame's payload.
const HeadSize = 5

// A Reader cuts frames out of a stream, as many as a read brings. One that reads
// a socket holds a buffer only while bytes of the stream are in it.
//
// The zero Reader is not usable; see NewReader.
type Reader struct {
	src        io.Reader
	park       parker // not nil: reads without holding a buffer while waiting
	lent       *buffer
	buf        []byte // lent.b, or nil
	class      int    // of the buffer to borrow next
	start, end int    // unread bytes in buf
	used       int    // most bytes unread at once since the last rest
	max        int    // largest payload
	off        int64  // bytes cut so far
	budget     *Budget
	held       int64 // bytes taken from it
}

// A parker reads into a buffer it asks for only when bytes are there.
type parker interface {
	// readInto reads into r.room(), and calls r.rest before it waits.
	readInto(r *Reader) (int, error)
}

// NewReader returns a Reader of src for payloads of at most maxPayload bytes.
func NewReader(src io.Reader, maxPayload int) *Reader {
	r := &Reader{src: src, max: maxPayload}
	r.park, _ = src.(parker)
	return r
}

// SetMax changes the largest payload allowed, in bytes.
func (r *Reader) SetMax(maxPayload int) { r.max = maxPayload }

// Offset returns how many bytes of the stream the frames cut so far took.
func (r *Reader) Offset() int64 { return r.off }

// Next returns the next frame, waiting for it. The payload is lent until the
// next call of a method.
//
// It returns io.EOF when the stream ends between frames, io.ErrUnexpectedEOF
// when it ends inside one, ErrEmptyFrame and ErrFrameSize for a length no frame
// may have, io.ErrNoProgress when the source keeps returning nothing, and what
// the source returned; the error then names no position: Offset says where the
// frame at fault began.
func (r *Reader) Next() (cmd byte, payload []byte, err error) {
	for {
		cmd, payload, ok, err := r.cut()
		if ok || err != nil {
			return cmd, payload, err
		}
		if err := r.fill(); err != nil {
			return 0, nil, err
		}
	}
}

// Buffered reports whether Next returns without reading.
func (r *Reader) Buffered() bool {
	n, err := r.frameSize()
	return err != nil || n > 0 && r.end-r.start >= n
}

// Partial reports whether a frame has begun to arrive.
func (r *Reader) Partial() bool { return r.end > r.start }

// frameSize returns the size of the frame at the front with its head, 0 when
// its length is not here yet.
func (r *Reader) frameSize() (int, error) {
	if r.end-r.start < 4 {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(r.buf[r.start:])
	switch {
	case n == 0:
		return 0, ErrEmptyFrame
	case n-1 > uint32(r.max):
		return 0, fmt.Errorf("%w: %d bytes, limit %d", ErrFrameSize, n, r.max+1)
	}
	return 4 + int(n), nil
}

func (r *Reader) cut() (cmd byte, payload []byte, ok bool, err error) {
	n, err := r.frameSize()
	if err != nil || n == 0 || r.end-r.start < n {
		return 0, nil, false, err
	}
	f := r.buf[r.start : r.start+n : r.start+n]
	r.start += n
	r.off += int64(n)
	return f[4], f[HeadSize:], true, nil
}

func (r *Reader) fill() error {
	for range 100 { // as bufio.Reader
		var n int
		var err error
		if r.park != nil {
			n, err = r.park.readInto(r)
		} else {
			n, err = r.src.Read(r.room())
		}
		r.end += n
		switch {
		case n > 0:
			r.used = max(r.used, r.end-r.start)
			return nil
		case err == io.EOF && r.end > r.start:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

// room returns space for more bytes. The buffer grows with what has arrived,
// never with what a length promises.
func (r *Reader) room() []byte {
	if r.lent == nil {
		r.borrow(r.class, 0)
	}
	switch {
	case r.start == r.end:
		r.start, r.end = 0, 0
	case r.end == len(r.buf) && r.start > 0:
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		r.move(r.lent.class + 1)
	}
	return r.buf[r.end:]
}

func (r *Reader) borrow(class, size int) {
	r.lent = getBuffer(class, size)
	r.buf, r.start, r.end = r.lent.b, 0, 0
}

// move takes a buffer of another class and carries the unread bytes over.
func (r *Reader) move(class int) {
	old, unread := r.lent, r.buf[r.start:r.end]
	// Past the classes only a negotiated payload of 1 MiB needs a buffer.
	r.borrow(class, min(4*len(r.buf), r.max+2*HeadSize))
	r.end = copy(r.buf, unread)
	old.put()
}

// rest is called before a wait: it gives an empty buffer back, and trades one
// that is not a quarter full for a smaller one. What follows is expected to need
// as large a buffer as this, or the next smaller one if that had been enough. It
// returns an error when the wait may not be.
func (r *Reader) rest() error {
	switch unread := r.end - r.start; {
	case r.lent == nil:
	case unread == 0:
		r.class = min(r.lent.class, len(bufferSizes)-1)
		if r.class > 0 && r.used > 0 && r.used < bufferSizes[r.class-1] {
			r.class--
		}
		r.used = 0
		r.Close()
	case unread < len(r.buf)/4:
		if class := classFor(unread); class < min(r.lent.class, len(bufferSizes)) {
			r.move(class)
		}
	}
	return r.hold()
}

// Close gives the buffer back; payloads that are still lent become invalid.
func (r *Reader) Close() {
	r.release()
	if r.lent != nil {
		r.lent.put()
	}
	r.lent, r.buf, r.start, r.end = nil, nil, 0, 0
}

// take goes on where from stands, in a buffer of its own. That of from is
// forgotten without being given back.
func (r *Reader) take(from *Reader) {
	from.release()
	unread := from.buf[from.start:from.end]
	r.off, r.budget = from.off, from.budget
	if len(unread) > 0 {
		r.borrow(classFor(len(unread)), r.max+2*HeadSize)
		r.end = copy(r.buf, unread)
	}
	from.lent, from.buf, from.start, from.end = nil, nil, 0, 0
}
