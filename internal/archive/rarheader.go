package archive

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"
)

var (
	errRar      = errors.New("archive: rar: bad header")
	errRarCRC   = errors.New("archive: rar: bad header checksum")
	errRarCrypt = errors.New("archive: rar: the headers are encrypted")
)

// rarFile is the header of a file, of format 4 (1.5 to 4.x) or 5.
type rarFile struct {
	names       []string
	size        int64 // -1 for unknown
	packed      int64
	data        int64 // where its data is
	stored      bool
	old         bool  // compressed as RAR 3 and 4 do
	window      int64 // its dictionary
	solid       bool  // its dictionary goes on from the file before
	encrypted   bool
	dir         bool
	link        string
	first, last bool // of the parts of a file in volumes
}

// rarScanner reads the headers of an archive.
type rarScanner struct {
	src   Source
	at    int64
	five  bool
	solid bool
	more  bool // another volume follows
}

// newRarScanner reads the mark at start.
func newRarScanner(src Source, start int64) (*rarScanner, error) {
	var b [8]byte
	n, err := readAt(src, b[:], start)
	switch {
	case err != nil:
		return nil, err
	case n >= 7 && string(b[:7]) == sigRar+"\x00":
		return &rarScanner{src: src, at: start + 7}, nil
	case n == 8 && string(b[:]) == sigRar+"\x01\x00":
		return &rarScanner{src: src, at: start + 8, five: true}, nil
	}
	return nil, errMethod // before 1.5, or to come
}

// rarAt reports whether an archive starts at a place: whether a header follows its mark.
func rarAt(src Source, at int64) (bool, error) {
	s, err := newRarScanner(src, at)
	if err == errMethod {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var b [64]byte
	n, err := readAt(src, b[:], s.at)
	if err != nil || n < 13 {
		return false, err
	}
	if s.five {
		size, k := binary.Uvarint(b[4:n])
		return k > 0 && size > 0 && 4+uint64(k)+size <= uint64(n) && crc32.ChecksumIEEE(b[4:4+k+int(size)]) == binary.LittleEndian.Uint32(b[:]), nil
	}
	return b[2] == 0x73 && uint16(crc32.ChecksumIEEE(b[2:13])) == binary.LittleEndian.Uint16(b[:]), nil
}

// next returns the next file, io.EOF behind the last, and errRarCrypt where all that
// follows is encrypted. A header whose checksum is wrong is returned with errRarCRC if it
// can be read.
func (s *rarScanner) next() (rarFile, error) {
	for {
		if s.at >= s.src.Size() {
			return rarFile{}, io.EOF
		}
		read := s.block4
		if s.five {
			read = s.block5
		}
		f, ok, err := read()
		if ok || err != nil {
			return f, err
		}
	}
}

// advance goes behind a header and its data.
func (s *rarScanner) advance(header int, data uint64) bool {
	at := s.at + int64(header)
	s.at = s.src.Size()
	if data > uint64(max(s.at-at, 0)) {
		return false
	}
	s.at = at + int64(data)
	return true
}

// block4 reads a block of format 4: a checksum of two bytes, a type, flags, the length, and
// for some the length of data behind it.
func (s *rarScanner) block4() (f rarFile, ok bool, err error) {
	le := binary.LittleEndian
	var h [7]byte
	if n, err := readAt(s.src, h[:], s.at); n < len(h) {
		return f, false, orShort(err)
	}
	kind, flags, size := h[2], le.Uint16(h[3:]), int(le.Uint16(h[5:]))
	if size < len(h) {
		return f, false, errRar
	}
	b := make([]byte, size)
	if n, err := readAt(s.src, b, s.at); n < len(b) {
		return f, false, orShort(err)
	}
	summed := uint16(crc32.ChecksumIEEE(b[2:])) == le.Uint16(b)
	start := s.at
	data := uint64(0)
	if flags&0x8000 != 0 || kind == 0x74 || kind == 0x7a {
		if len(b) < 11 {
			return f, false, errRar
		}
		data = uint64(le.Uint32(b[7:]))
	}
	if (kind == 0x74 || kind == 0x7a) && flags&0x100 != 0 && len(b) >= 36 {
		data |= uint64(le.Uint32(b[32:])) << 32
	}
	whole := s.advance(size, data)
	switch kind {
	case 0x73: // the archive
		s.solid = flags&8 != 0
		if flags&0x80 != 0 {
			return f, false, errRarCrypt
		}
	case 0x74:
		if f, err = readRar4File(b, flags); err != nil {
			return f, false, err
		}
		f.data, f.packed = start+int64(size), int64(data)
		if !whole {
			f.packed, f.last = max(s.src.Size()-f.data, 0), false
		}
		if !summed {
			err = errRarCRC
		}
		return f, true, err
	case 0x7b: // the end
		s.more = flags&1 != 0
		s.at = s.src.Size()
	}
	return f, false, nil
}

func readRar4File(b []byte, flags uint16) (f rarFile, err error) {
	le := binary.LittleEndian
	if len(b) < 32 {
		return f, errRar
	}
	f = rarFile{
		size: int64(le.Uint32(b[11:])), first: flags&1 == 0, last: flags&2 == 0, encrypted: flags&4 != 0, solid: flags&0x10 != 0,
		dir: flags&0xe0 == 0xe0, stored: b[25] == 0x30, old: b[24] > 26,
	}
	if !f.dir {
		f.window = 0x10000 << (flags & 0xe0 >> 5)
	}
	name, at := int(le.Uint16(b[26:])), 32
	if flags&0x100 != 0 {
		if at += 8; len(b) < at {
			return f, errRar
		}
		f.size |= int64(le.Uint32(b[36:])) << 32
	} else if f.size == 1<<32-1 {
		f.size = -1
	}
	f.size = max(f.size, -1)
	if at+name > len(b) {
		return f, errRar
	}
	raw := b[at : at+name]
	f.names = []string{slashes(string(raw))}
	if plain, wide, found := strings.Cut(string(raw), "\x00"); found && flags&0x200 != 0 {
		f.names = []string{slashes(rarWideName(plain, []byte(wide))), slashes(plain)}
	}
	return f, nil
}

// slashes turns the separators of format 4 into those of all others.
func slashes(name string) string { return strings.ReplaceAll(name, `\`, "/") }

// rarWideName reads a name that is packed as differences from its plain form: after the high
// byte that most characters share, two bits tell how each character is given.
func rarWideName(plain string, b []byte) string {
	take := func() uint16 {
		if len(b) == 0 {
			return 0
		}
		c := b[0]
		b = b[1:]
		return uint16(c)
	}
	high := take() << 8
	var out []uint16
	for len(b) > 0 && len(out) < 1<<15 {
		flags := take()
		for i := 0; i < 4 && len(b) > 0; i++ {
			switch flags >> 6 & 3 {
			case 0: // a low byte
				out = append(out, take())
			case 1: // a low byte below the common high byte
				out = append(out, high|take())
			case 2: // both
				low := take()
				out = append(out, low|take()<<8)
			case 3: // a run from the plain form, moved by a number if the top bit says so
				n := take()
				move, top := uint16(0), uint16(0)
				if n&0x80 != 0 {
					move, top = take(), high
				}
				for n = n&0x7f + 2; n > 0 && len(out) < len(plain); n-- {
					out = append(out, (uint16(plain[len(out)])+move)&0xff|top)
				}
			}
			flags <<= 2
		}
	}
	return string(utf16.Decode(out))
}

// rarHeader5 is the longest header of format 5.
const rarHeader5 = 2 << 20

// block5 reads a block of format 5: a checksum, then numbers of seven bits a byte.
func (s *rarScanner) block5() (f rarFile, ok bool, err error) {
	var h [7]byte
	n, err := readAt(s.src, h[:], s.at)
	if err != nil || n < 6 {
		return f, false, orShort(err)
	}
	size, k := binary.Uvarint(h[4:n])
	switch {
	case k <= 0 || size == 0 || size > rarHeader5:
		return f, false, errRar
	case int64(size) > s.src.Size()-s.at:
		return f, false, io.ErrUnexpectedEOF
	}
	head := make([]byte, k+int(size))
	if n, err := readAt(s.src, head, s.at+4); n < len(head) {
		return f, false, orShort(err)
	}
	summed := crc32.ChecksumIEEE(head) == binary.LittleEndian.Uint32(h[:])
	b := rarFields{b: head[k:]}
	kind, flags := b.number(), b.number()
	var extra, data uint64
	if flags&1 != 0 {
		extra = b.number()
	}
	if flags&2 != 0 {
		data = b.number()
	}
	if b.bad || extra > uint64(len(b.b)) {
		return f, false, errRar
	}
	records := rarFields{b: b.b[uint64(len(b.b))-extra:]}
	b.b = b.b[:uint64(len(b.b))-extra]
	start := s.at + 4 + int64(len(head))
	whole := s.advance(4+len(head), data)
	switch kind {
	case 1: // the archive
		s.solid = b.number()&4 != 0
	case 2:
		if f = readRar5File(&b, &records); b.bad {
			return f, false, errRar
		}
		f.first, f.last = flags&8 == 0, flags&16 == 0
		f.data, f.packed = start, int64(min(data, 1<<62))
		if !whole {
			f.packed, f.last = max(s.src.Size()-start, 0), false
		}
		if !summed {
			err = errRarCRC
		}
		return f, true, err
	case 4:
		return f, false, errRarCrypt
	case 5: // the end
		s.more = b.number()&1 != 0
		s.at = s.src.Size()
	}
	return f, false, nil
}

func readRar5File(b, records *rarFields) rarFile {
	flags := b.number()
	f := rarFile{size: clampSize(b.number()), dir: flags&1 != 0}
	if flags&8 != 0 {
		f.size = -1
	}
	b.number() // attributes
	if flags&2 != 0 {
		b.bytes(4) // time
	}
	if flags&4 != 0 {
		b.bytes(4) // checksum
	}
	method := b.number()
	b.number() // system
	f.names = []string{string(b.bytes(b.number()))}
	f.solid, f.stored = method&0x40 != 0, method>>7&7 == 0
	if !f.stored {
		f.window = 0x20000 << (method >> 10 & 0x1f)
		if method&0x3f == 1 {
			f.window += f.window / 32 * int64(method>>15&0x1f)
		}
	}
	for len(records.b) > 0 && !records.bad {
		r := rarFields{b: records.bytes(records.number())}
		switch r.number() {
		case 1:
			f.encrypted = true
		case 5: // a link of some kind
			r.number()
			r.number()
			if f.link = string(r.bytes(r.number())); f.link == "" {
				f.link = "."
			}
		}
	}
	return f
}

// rarFields reads the fields of a header of format 5. After the end all are zero.
type rarFields struct {
	b   []byte
	bad bool
}

func (r *rarFields) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rarFields) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
