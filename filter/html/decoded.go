package html

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"

	"github.com/gomilter/gomilter/message"
)

// rounds is how often the text is read in every way before it is given up.
const rounds = 4

// A text is one that must be decoded, as it is after some passes.
type text struct {
	ctx  context.Context
	at   *message.Spool
	size int64 // of what counts
	only int8  // what onlyWide says of it: 0 for not asked yet, -1 for no, 1 for yes
}

// open returns the bytes.
func (t *text) open() io.Reader { return &ctxReader{t.ctx, io.NewSectionReader(t.at, 0, t.size)} }

// removeDecoded reads the whole text and removes what is active in any way of
// reading it.
func removeDecoded(ctx context.Context, w io.Writer, r io.Reader, o Options, ways []reading) (Report, error) {
	now, next := &text{ctx: ctx, at: o.Spool()}, &text{ctx: ctx, at: o.Spool()}
	defer now.at.Close()
	defer next.at.Close()
	size, err := io.Copy(now.at, io.LimitReader(r, o.MaxSize))
	now.size = size
	over := false
	if err == nil && size == o.MaxSize {
		n, _ := io.ReadFull(r, make([]byte, 1))
		over = n > 0
		now.size &^= 3
	}
	if err != nil {
		return Report{}, fmt.Errorf("html: read: %w", err)
	}
	var rep Report
	o.MaxSize = math.MaxInt64 // of what was read already
	for round, changed := 0, true; changed; round++ {
		changed = false
		for _, way := range ways {
			if way.isBytes() || way.noNUL {
				skip, err := now.onlyWide(ways, o.Charset)
				if err != nil {
					return rep, err
				}
				if skip {
					continue
				}
			}
			found, ok, err := pass(now, next, over, o, ways, way)
			if err != nil {
				return rep, err
			}
			over = false // the place is marked
			if found.Total == 0 {
				continue
			}
			changed = true
			rep.Total += found.Total
			rep.Findings = append(rep.Findings, found.Findings[:min(len(found.Findings), o.MaxFindings-len(rep.Findings))]...)
			if !ok || round == rounds {
				rep.add(Finding{Kind: Ambiguous, Name: "text"}, o.MaxFindings)
				if _, err := w.Write(mark(o.Marker+"text", o.Charset)); err != nil {
					return rep, fmt.Errorf("html: write: %w", err)
				}
				return rep, nil
			}
			now, next = next, now
		}
	}
	_, err = io.Copy(w, now.open())
	if err != nil {
		err = fmt.Errorf("html: write: %w", err)
	}
	return rep, err
}

// pass reads a text in one way, and writes what stays into another; ok is unset where it
// cannot be written. cut says that the text has been cut.
func pass(from, to *text, cut bool, o Options, ways []reading, way reading) (found Report, ok bool, err error) {
	if err := to.at.Reset(); err != nil {
		return Report{}, false, fmt.Errorf("html: write: %w", err)
	}
	plain := bufio.NewReaderSize(way.reader(from.open()), headSize)
	head, err := plain.Peek(headSize)
	if err != nil && err != io.EOF {
		return Report{}, false, fmt.Errorf("html: read: %w", err)
	}
	var in io.Reader = plain
	if cut {
		in = &cutReader{in}
	}
	disk := &spoolWriter{w: to.at}
	out := bufio.NewWriterSize(disk, 32<<10)
	enc, writable := way.writer(out)
	found, err = removePass(enc, in, head, o, ways, way)
	failed := errors.Join(enc.Close(), out.Flush()) != nil
	to.size, to.only = to.at.Size(), 0
	switch {
	case disk.err != nil:
		return found, false, fmt.Errorf("html: write: %w", disk.err)
	case err != nil && !errors.Is(err, errWrite):
		return found, false, err
	case err != nil, failed: // the encoding cannot have it
		return found, false, nil
	}
	return found, writable, nil
}

// A spoolWriter takes note of the errors of a spool.
type spoolWriter struct {
	w   io.Writer
	err error
}

func (s *spoolWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// errCut ends a text that has been cut: a reader would find more.
var errCut = errors.New("html: the text is cut")

// A cutReader ends in errCut.
type cutReader struct{ r io.Reader }

func (c *cutReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err == io.EOF {
		err = errCut
	}
	return n, err
}

// reader returns what the bytes of r are in ASCII and what extends it.
func (r reading) reader(src io.Reader) io.Reader {
	if t := r.decoder(); t != nil {
		return &endReader{transform.NewReader(src, t)}
	}
	return src
}

// An endReader ends where a decoder lacks bytes.
type endReader struct{ r io.Reader }

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err == transform.ErrShortSrc {
		err = io.EOF
	}
	return n, err
}

// writer returns what writes to w as reader has read. What the encoding lacks becomes
// a character reference. ok is unset where nothing can be written.
func (r reading) writer(w io.Writer) (_ io.WriteCloser, ok bool) {
	switch {
	case r.strip != nil:
		return nopCloser{io.Discard}, false
	case r.enc != nil:
		return transform.NewWriter(w, encoding.HTMLEscapeUnsupported(r.enc.NewEncoder())), true
	}
	return nopCloser{w}, true
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
