package archive

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
)

var errISO = errors.New("archive: iso: bad volume")

// listISO lists the trees of an ISO 9660 image (ECMA-119): the plain one with its Rock Ridge
// names, and each Joliet one. A file is visited once in each; its content is looked
// into once. A UDF file system beside them is reported as Unlisted.
func (c *container) listISO() error {
	i := &isoImage{c: c, dirs: map[int64]bool{}, files: map[int64]bool{}}
	var roots []isoRecord
	for sector := int64(16); sector < 16+64; sector++ {
		var b [isoSector]byte
		n, err := readAt(c.src, b[:], sector*isoSector)
		if err != nil {
			return err
		}
		if n < len(b) {
			break
		}
		switch id := string(b[1:6]); {
		case id == "NSR02" || id == "NSR03":
			c.w.find(Finding{What: Unlisted, Kind: UDF})
		case id == "CD001" && (b[0] == 1 || b[0] == 2):
			block := int64(binary.LittleEndian.Uint16(b[128:])) // section 8.4.12
			if block != 512 && block != 1024 && block != 2048 {
				block = isoSector
			}
			if r, ok := i.record(b[156:190]); ok {
				esc := string(b[88:91]) // 8.5.6; UCS-2 of each level
				r.block, r.joliet = block, b[0] == 2 && (esc == "%/@" || esc == "%/C" || esc == "%/E")
				roots = append(roots, r)
			}
		}
	}
	if len(roots) == 0 {
		return errISO
	}
	for _, r := range roots {
		if err := i.walk(r); err != nil {
			return err
		}
	}
	return nil
}

type isoImage struct {
	c           *container
	dirs, files map[int64]bool // extents that have been seen
}

// isoRecord is a directory record (section 9.1).
type isoRecord struct {
	name         string
	extent, size int64 // in blocks and in bytes
	dir          bool
	more         bool // the file goes on in the next record
	use          []byte
	block        int64
	joliet       bool
	path         string // of the directory it is in, "" or with a slash at the end
}

func (i *isoImage) record(b []byte) (isoRecord, bool) {
	if len(b) < 34 || int(b[0]) > len(b) || b[0] < 34 {
		return isoRecord{}, false
	}
	b = b[:b[0]]
	n := int(b[32])
	if 33+n > len(b) {
		return isoRecord{}, false
	}
	le := binary.LittleEndian
	r := isoRecord{
		name: string(b[33 : 33+n]), extent: int64(le.Uint32(b[2:])) + int64(b[1]), size: int64(le.Uint32(b[10:])),
		dir: b[25]&2 != 0, more: b[25]&0x80 != 0,
	}
	if use := 33 + n + (n+1)%2; use < len(b) {
		r.use = b[use:]
	}
	return r, true
}

// walk lists the tree under root. It takes directories off a list, so that the depth of
// a tree costs no stack, and each extent once, so that loops end.
func (i *isoImage) walk(root isoRecord) error {
	w := i.c.w
	for todo := []isoRecord{root}; len(todo) > 0; {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		at := d.extent * d.block
		if i.dirs[at] {
			continue
		}
		i.dirs[at] = true
		var buf [isoSector]byte
		var whole isoRecord // the first of the records of a file in several extents
	sectors:
		for end := at + d.size; at < end; at += isoSector {
			n, err := readAt(i.c.src, buf[:], at)
			if err != nil {
				return err
			}
			if n < len(buf) {
				w.find(Finding{What: Truncated, Member: d.path})
				break
			}
			b := buf[:min(isoSector, end-at)]
			if b[0] == 0 {
				break // no directory has an empty sector
			}
			for len(b) > 0 && b[0] != 0 {
				r, ok := i.record(b)
				if !ok {
					w.find(Finding{What: Corrupt, Member: d.path, Detail: "bad directory record"})
					break sectors
				}
				b = b[b[0]:]
				if r.name == "\x00" || r.name == "\x01" {
					continue // the directory itself, and the one above
				}
				r.block, r.joliet, r.path = d.block, d.joliet, d.path
				if whole.name != "" {
					whole.size += r.size
					if !r.more {
						r, whole = whole, isoRecord{}
					}
				}
				if r.more {
					if whole.name == "" {
						whole = r
						whole.more = false
					}
					continue
				}
				e, err := i.entry(r)
				if err != nil {
					return err
				}
				if r.dir {
					r.path = e.names[0] + "/"
					todo = append(todo, r)
				}
				if err := i.c.member(e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// entry makes a member of a record.
func (i *isoImage) entry(r isoRecord) (entry, error) {
	name := r.name
	if r.joliet {
		name = utf16Text([]byte(name), binary.BigEndian)
	}
	plain := strings.TrimSuffix(name, ";1")
	names := []string{r.path + strings.TrimSuffix(plain, ".")}
	if !r.joliet {
		rock, err := i.rockRidge(r.use)
		if err != nil {
			return entry{}, err
		}
		if rock != "" {
			names = append([]string{r.path + rock}, names...)
		}
	}
	e := entry{names: append(names, r.path+name), size: r.size, dir: r.dir}
	if r.dir {
		e.size = 0
		return e, nil
	}
	at, size := r.extent*r.block, i.c.src.Size()
	if at+r.size > size {
		i.c.w.find(Finding{What: Truncated, Member: e.names[0]})
	}
	section := io.NewSectionReader(i.c.src, min(at, size), max(min(r.size, size-at), 0))
	if i.files[at] { // seen in another tree: show it, without a second look inside
		e.again = true
	} else if r.size > 0 {
		i.files[at] = true
	}
	e.section = section
	return e, nil
}

// rockRidge returns the name in the system use area of a record (IEEE P1282 section
// 4.1.4), or "". An area may go on elsewhere in the image (P1281 section 5.1).
func (i *isoImage) rockRidge(use []byte) (string, error) {
	var name strings.Builder
	for hop := 0; hop < 8; hop++ {
		var next []byte
		for len(use) >= 4 && int(use[2]) >= 4 && int(use[2]) <= len(use) {
			f := use[:use[2]]
			use = use[use[2]:]
			switch string(f[:2]) {
			case "NM":
				if len(f) > 5 && f[4]&6 == 0 {
					name.Write(f[5:])
				}
			case "CE":
				if len(f) >= 28 {
					le := binary.LittleEndian
					next = make([]byte, min(le.Uint32(f[20:]), isoSector))
					n, err := readAt(i.c.src, next, int64(le.Uint32(f[4:]))*isoSector+int64(le.Uint32(f[12:])))
					if err != nil {
						return "", err
					}
					next = next[:n]
				}
			}
		}
		if use = next; len(use) == 0 {
			break
		}
	}
	return name.String(), nil
}

// utf16Text reads UTF-16, or UCS-2, as UTF-8. An odd byte at the end is dropped.
func utf16Text(b []byte, order binary.ByteOrder) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}
