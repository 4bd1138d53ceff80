package archive

import (
	"bufio"
	"bytes"
	"io"
)

// scanZip looks for local headers between two places of an archive: in all of one that has
// no directory, or in the gaps between the members of one that has. In whole archives
// it takes the names in what is left of a directory too.
func (c *container) scanZip(from, to int64, whole bool) error {
	if to-from < zipLocalLen {
		if whole {
			c.w.find(Finding{What: Corrupt, Detail: "no member"})
		}
		return nil
	}
	w, found := c.w, false
	seen := map[string]bool{}
	scan := zipScanner{src: c.src, end: to}
	sigs := []string{zipLocal, zipCentral}
	if !whole {
		sigs = sigs[:1]
	}
	directory := bufio.NewReaderSize(nil, 512)
	for at := from; ; {
		sig, err := scan.next(&at, sigs)
		if err != nil {
			return err
		}
		if sig == "" {
			break
		}
		next := at + 4
		if sig == zipCentral {
			directory.Reset(io.NewSectionReader(c.src, at, to-at))
			if e, err := readZipCentral(directory); err == nil {
				found = true
				if !seen[e.raw] {
					if err := c.member(entry{names: e.names, size: clampSize(e.size), encrypted: e.flags&zipFlagCrypt != 0}); err != nil {
						return err
					}
				}
				next = at + zipCentLen + int64(len(e.raw))
			} else if w.ended {
				return errEnd
			}
			at = next
			continue
		}
		e, ok, err := readZipLocal(c.src, at, "")
		if err != nil {
			return err
		}
		if !ok {
			at = next
			continue
		}
		if found = true; !whole {
			w.find(Finding{What: Mismatch, Member: e.raw, Detail: "the directory does not name it"})
		}
		seen[e.raw] = true
		left := max(to-e.data, 0)
		switch {
		case e.flags&zipFlagDesc != 0 && e.packed == 0:
			// How long it is stands behind it. What unpacks it finds the end.
			e.packed, next = uint64(left), e.data
			if e.method == 0 {
				end, err := c.zipStoredEnd(e.data, to)
				if err != nil {
					return err
				}
				e.packed, next = uint64(end-e.data), end
			}
		case e.packed > uint64(left):
			if whole {
				w.find(Finding{What: Truncated, Member: e.raw})
			}
			e.packed, next = uint64(left), e.data
		default:
			next = e.data + int64(e.packed)
		}
		m := c.zipContent(e)
		if e.flags&zipFlagDesc != 0 && e.size == 0 {
			m.size = -1
		}
		if err := c.member(m); err != nil {
			return err
		}
		at = max(next, at+4)
	}
	switch {
	case !whole:
	case found:
		w.find(Finding{What: Truncated, Detail: "no central directory"})
	default:
		w.find(Finding{What: Corrupt, Detail: "no member"})
	}
	return nil
}

// zipScanner finds signatures.
type zipScanner struct {
	src io.ReaderAt
	end int64
	buf []byte // bytes of src
	at  int64  // where they are
}

// next moves at to the first of sigs there or behind it, and returns it, or "".
func (s *zipScanner) next(at *int64, sigs []string) (string, error) {
	for {
		if *at < s.at || *at+4 > s.at+int64(len(s.buf)) {
			if *at+4 > s.end {
				return "", nil
			}
			if s.buf == nil {
				s.buf = make([]byte, min(32<<10, s.end-*at))
			}
			n, err := readAt(s.src, s.buf[:min(int64(cap(s.buf)), s.end-*at)], *at)
			if s.buf, s.at = s.buf[:n], *at; err != nil || n < 4 {
				return "", err
			}
		}
		b := s.buf[*at-s.at:]
		i := bytes.Index(b, []byte("PK"))
		if i < 0 {
			i = len(b) - 1 // a P may be the last
		}
		if i+4 > len(b) {
			*at += int64(min(i, max(len(b)-3, 1)))
			continue
		}
		*at += int64(i)
		for _, sig := range sigs {
			if string(b[i:i+4]) == sig {
				return sig, nil
			}
		}
		*at += 2
	}
}

// zipStoredEnd returns where stored data of unknown length ends: before the next header
// or descriptor.
func (c *container) zipStoredEnd(from, to int64) (int64, error) {
	if c.w.stored == nil {
		c.w.stored = make([]byte, 0, 32<<10)
	}
	scan := zipScanner{src: c.src, end: to, buf: c.w.stored}
	sig, err := scan.next(&from, []string{"PK\x07\x08", zipLocal, zipCentral})
	if sig == "" {
		from = to
	}
	return from, err
}
