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
	buf := make([]byte, 32<<10)
	for at := from; at < to; {
		n, err := readAt(c.src, buf[:min(int64(len(buf)), to-at)], at)
		if err != nil {
			return err
		}
		i, central := zipSignature(buf[:n], whole)
		if i < 0 {
			if at+int64(n) >= to || n < 4 {
				break
			}
			at += int64(n - 3)
			continue
		}
		at += int64(i)
		next := at + 4
		if central {
			if e, err := readZipCentral(bufio.NewReader(io.NewSectionReader(c.src, at, to-at))); err == nil {
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

// zipSignature returns where the first header stands in b, or -1.
func zipSignature(b []byte, withCentral bool) (at int, central bool) {
	for i := 0; ; i += 2 {
		j := bytes.Index(b[i:], []byte("PK"))
		if j < 0 || i+j+4 > len(b) {
			return -1, false
		}
		i += j
		switch string(b[i : i+4]) {
		case zipLocal:
			return i, false
		case zipCentral:
			if withCentral {
				return i, true
			}
		}
	}
}

// zipStoredEnd returns where stored data of unknown length ends: before the next header
// or descriptor.
func (c *container) zipStoredEnd(from, to int64) (int64, error) {
	end := to
	for _, sig := range []string{"PK\x07\x08", zipLocal, zipCentral} {
		i, err := search(io.NewSectionReader(c.src, from, end-from), sig, end-from)
		if err != nil {
			return 0, err
		}
		if i >= 0 {
			end = from + i
		}
	}
	return end, nil
}
