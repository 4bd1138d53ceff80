package archive

import (
	"errors"
	"io"

	"github.com/nwaples/rardecode/v2"
)

// listRar lists a rar archive of format 4 or 5, also one behind a program.
func (c *container) listRar() error {
	w := c.w
	start, err := embedded(c.src, Rar)
	if err != nil {
		return err
	}
	s, err := (*rarScanner)(nil), error(errMethod)
	if start >= 0 {
		s, err = newRarScanner(c.src, start)
	}
	if errors.Is(err, errMethod) {
		w.find(Finding{What: Unlisted, Detail: "a format of rar that is not known"})
		return nil
	}
	if err != nil {
		return err
	}
	u := &rarUnpacker{c: c, start: start}
	defer u.close()
	for index := 0; ; {
		f, err := s.next()
		switch {
		case err == io.EOF:
			if s.more {
				w.find(Finding{What: Truncated, Detail: "one of several volumes"})
			}
			return nil
		case errors.Is(err, errRarCrypt):
			w.find(Finding{What: Encrypted, Detail: "the headers"})
			w.find(Finding{What: Unlisted, Detail: "the headers are encrypted"})
			return nil
		case errors.Is(err, errRarCRC):
			u.err = err // the library reads no further
			w.find(Finding{What: Corrupt, Member: f.names[0], Detail: err.Error()})
		case err != nil:
			return err
		}
		if !f.first || !f.last {
			w.find(Finding{What: Truncated, Member: f.names[0], Detail: "it goes on elsewhere"})
		}
		e := entry{names: f.names, size: f.size, dir: f.dir, encrypted: f.encrypted, link: f.link}
		at := index
		switch {
		case f.dir || f.link != "":
		case f.stored:
			e.section = io.NewSectionReader(c.src, f.data, f.packed)
		case f.first && !(f.old && !w.l.OldRar):
			e.open = func() (io.ReadCloser, error) { return u.open(f, at, s.solid) }
		}
		if f.first {
			index++
		}
		if f.old && !f.stored && !w.l.OldRar && s.solid {
			u.err = errMethod // to go on is to unpack this one
		}
		if err := c.member(e); err != nil {
			return err
		}
	}
}

// rarUnpacker unpacks members by a library, which reads the archive from its start.
type rarUnpacker struct {
	c     *container
	start int64
	r     *rardecode.Reader
	next  int   // the index of the file behind the current one
	held  int64 // of the window
	err   error // why there is no more to read
}

func (u *rarUnpacker) close() {
	u.c.w.window -= u.held
	u.held = 0
}

// open returns the content of the file with an index among those whose beginning is here.
func (u *rarUnpacker) open(f rarFile, index int, solid bool) (io.ReadCloser, error) {
	w := u.c.w
	if u.err != nil {
		return nil, u.err
	}
	want := f.window
	if !f.solid && f.size >= 0 {
		want = min(want, f.size)
	}
	want = max(want, 256<<10) // what the library takes at least
	if u.held < want {
		if want-u.held > w.l.Window-w.window {
			return nil, errWindow
		}
		w.window += want - u.held
		u.held = want
	}
	if u.r == nil {
		size := u.c.src.Size() - u.start
		var err error
		if u.r, err = rardecode.NewReader(io.NewSectionReader(u.c.src, u.start, size), rardecode.MaxDictionarySize(w.l.Window), rardecode.SkipCheck); err != nil {
			u.err = rarError(err)
			return nil, u.err
		}
	}
	for u.next <= index {
		if solid && u.next > 0 {
			// What the next one refers to is unpacked here, and not by Next, so that it counts.
			if _, err := io.Copy(io.Discard, meter{u.r, w}); err != nil {
				u.err = err
				return nil, err
			}
		}
		h, err := u.r.Next()
		if err != nil {
			u.err = rarError(err)
			return nil, u.err
		}
		if u.next == index && h.PackedSize != f.packed {
			u.err = errRar
			return nil, u.err
		}
		u.next++
	}
	return io.NopCloser(rarReader{u.r}), nil
}

// rarReader names errors as the other decoders do.
type rarReader struct{ *rardecode.Reader }

func (r rarReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	return n, rarError(err)
}

// rarError names an error of the library as the other decoders would.
func rarError(err error) error {
	switch {
	case errors.Is(err, rardecode.ErrDictionaryTooLarge):
		return errWindow
	case errors.Is(err, rardecode.ErrUnknownDecoder), errors.Is(err, rardecode.ErrUnsupportedDecoder),
		errors.Is(err, rardecode.ErrMultipleDecoders), errors.Is(err, rardecode.ErrBadVolumeNumber):
		return errMethod
	case errors.Is(err, rardecode.ErrMultiVolume), errors.Is(err, rardecode.ErrUnexpectedArcEnd):
		return io.ErrUnexpectedEOF
	}
	return err
}
