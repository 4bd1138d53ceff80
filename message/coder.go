package message

import "io"

// A coder applies or undoes a transfer encoding piece by piece.
type coder interface {
	append(dst, src []byte) []byte
	finish(dst []byte) []byte // what the last piece left
}

// A codingReader runs a coder while it is read.
type codingReader struct {
	src   io.Reader
	coder coder
	done  func() // nil, or called once at the end

	begun bool
	buf   *[windowSize]byte // pooled: the first part is read into, the rest written
	out   []byte            // not yet read
	err   error
}

// codeChunk leaves room for what quoted-printable makes of it.
const codeChunk = 12 << 10

// headChunk is what is coded first. Who wants no more than the first bytes never
// comes to the end, where a pooled buffer is given back, and so gets a small one.
const headChunk = 5 << 10

func (r *codingReader) Read(p []byte) (int, error) {
	if len(p) == 0 && r.err == nil {
		return 0, nil
	}
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// WriteTo spares the buffer of [io.Copy].
func (r *codingReader) WriteTo(w io.Writer) (n int64, err error) {
	r.begun = true
	for {
		if err := r.fill(); err != nil {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		k, err := w.Write(r.out)
		n += int64(k)
		if r.out = r.out[k:]; err != nil {
			return n, err
		}
	}
}

// fill waits until something is in out. Its error is that of the end.
func (r *codingReader) fill() error {
	for len(r.out) == 0 {
		if r.err != nil {
			if r.buf != nil {
				windows.Put(r.buf)
				r.buf = nil
			}
			return r.err
		}
		var in, out []byte
		if !r.begun {
			r.begun = true
			buf := make([]byte, 2*headChunk)
			in, out = buf[:headChunk], buf[headChunk:headChunk]
		} else {
			if r.buf == nil {
				r.buf = windows.Get().(*[windowSize]byte)
			}
			in, out = r.buf[:codeChunk], r.buf[codeChunk:codeChunk]
		}
		n, err := r.src.Read(in)
		r.out = r.coder.append(out, in[:n])
		if err == io.EOF {
			r.out = r.coder.finish(r.out)
			if r.done != nil {
				r.done()
			}
		}
		r.err = err
	}
	return nil
}

// copyAll writes what r gives to w.
func copyAll(w io.Writer, r io.Reader) (int64, error) {
	buf := windows.Get().(*[windowSize]byte)
	defer windows.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buf[:])
}
