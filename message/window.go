package message

import (
	"bytes"
	"io"
	"sync"
)

const (
	windowSize = 64 << 10
	headSize   = 4 << 10 // what is looked at of a line
)

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

// A window walks a Source by lines without keeping more than a buffer of it. The
// first read error ends it: behind that, the Source looks as if it ended.
type window struct {
	src   io.ReaderAt
	limit int64 // where to stop
	eol   byte
	off   int64 // of buf
	buf   []byte
	arr   *[windowSize]byte
	err   error
}

func newWindow(src io.ReaderAt, limit int64, eol byte) *window {
	return &window{src: src, limit: limit, eol: eol, arr: windows.Get().(*[windowSize]byte)}
}

// free gives the buffer back; what at and head returned is void then.
func (w *window) free() {
	windows.Put(w.arr)
	w.arr, w.buf = nil, nil
}

// at returns the bytes from pos on, at least n unless the limit comes first. They
// are good until the next call.
func (w *window) at(pos int64, n int) []byte {
	if pos < 0 || pos >= w.limit || w.err != nil {
		return nil
	}
	have := w.off + int64(len(w.buf))
	if pos < w.off || pos >= have || have-pos < int64(n) && have < w.limit {
		w.off = max(pos-4, 0) // the line end before pos is often asked for next
		size := min(w.limit-w.off, windowSize)
		got, err := w.src.ReadAt(w.arr[:size], w.off)
		if int64(got) < size {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			w.err, w.buf = err, nil
			return nil
		}
		w.buf = w.arr[:size]
	}
	return w.buf[pos-w.off:]
}

// next returns where the line behind the one of pos begins.
func (w *window) next(pos int64) int64 {
	for {
		b := w.at(pos, 1)
		if len(b) == 0 {
			return w.limit
		}
		if i := bytes.IndexByte(b, w.eol); i >= 0 {
			return pos + int64(i) + 1
		}
		pos += int64(len(b))
	}
}

// head returns the line at pos without its end, or what comes first of a long
// one, and where the next line begins.
func (w *window) head(pos int64) (line []byte, next int64, whole bool) {
	b := w.at(pos, headSize)
	if i := bytes.IndexByte(b, w.eol); i >= 0 {
		return trimEnd(b[:i+1], w.eol), pos + int64(i) + 1, true
	}
	if pos+int64(len(b)) >= w.limit || w.err != nil {
		return b, w.limit, true
	}
	b = b[:headSize]
	next = w.next(pos + headSize)
	if w.err != nil {
		return nil, w.limit, true
	}
	// The search for the line's end may have moved the buffer.
	b = w.at(pos, headSize)
	return b[:min(len(b), headSize)], next, false
}

// find returns where, from the line start pos on, the first line begins with
// what, a line end left out; the limit when there is none. sep is the line end
// and what.
func (w *window) find(pos int64, sep []byte) int64 { return w.search(pos, sep, nil, nil) }

// search is find for lines that may also begin with lead and then what. bare, if
// it is not nil, is called with what stands behind each what that follows a CR
// alone, as far as it is in the buffer.
func (w *window) search(pos int64, sep, lead []byte, bare func(behind []byte)) int64 {
	eol, what := sep[0], sep[1:]
	keep := len(lead) + len(what)
	if b := w.at(pos, keep); bytes.HasPrefix(b, what) || len(lead) > 0 && bytes.HasPrefix(b, lead) && bytes.HasPrefix(b[len(lead):], what) {
		return pos
	}
	for {
		b := w.at(pos, keep+1)
		end := pos + int64(len(b))
		last := len(b) <= keep
		// What is looked for is rarer than line ends.
		for len(b) >= len(sep) {
			i := bytes.Index(b[1:], what)
			if i < 0 {
				break
			}
			at := end - int64(len(b)) + int64(i) + 1
			if b[i] == eol {
				return at
			}
			if n := len(lead); n > 0 && i >= n && b[i-n] == eol && bytes.Equal(b[i-n+1:i+1], lead) {
				return at - int64(n)
			}
			if bare != nil && b[i] == '\r' {
				bare(b[i+1+len(what):])
			}
			b = b[i+1:]
			if i = bytes.IndexByte(b, eol); i < 0 {
				i = len(b)
			}
			if bare != nil {
				if j := bytes.IndexByte(b[:i], '\r'); j >= 0 {
					i = j
				}
			}
			b = b[i:]
		}
		if last {
			return w.limit
		}
		pos = end - int64(keep)
	}
}

// ending returns the length of the line end before the line start pos.
func (w *window) ending(pos int64) int64 {
	n := min(pos, 2)
	b := w.at(pos-n, int(n))
	if int64(len(b)) < n {
		return 0
	}
	return int64(len(lineEnd(b[:n])))
}

// findLineEnd returns what ends the lines of src, as [Parse] has it: a CR where
// no LF occurs at all.
func findLineEnd(src Source) (byte, error) {
	w := newWindow(src, src.Size(), '\n')
	defer w.free()
	if w.next(0) < w.limit || w.limit == 0 {
		return '\n', w.err
	}
	if b := w.at(w.limit-1, 1); len(b) > 0 && b[0] == '\n' {
		return '\n', nil
	}
	return '\r', w.err
}
