package archive

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Signatures and fixed lengths of PKWARE's APPNOTE.TXT, section 4.3.
const (
	zipLocal     = "PK\x03\x04"
	zipCentral   = "PK\x01\x02"
	zipLocalLen  = 30
	zipCentLen   = 46
	zipEndLen    = 22
	zipEnd64Len  = 56
	zipFlagCrypt = 1 << 0
	zipFlagDesc  = 1 << 3 // sizes follow the data
	zipFlagUTF8  = 1 << 11
	zipFlagMask  = 1 << 13 // the directory is encrypted
)

var errZipDirectory = errors.New("archive: zip: bad central directory")

// zipDirectory is where the central directory lies.
type zipDirectory struct {
	start, end int64 // of the entries
	base       int64 // what offsets count from: the length of a prefix
	count      uint64
	parts      bool // the archive has other parts
}

// zipTail is how much of the end is searched for the record: its own length, the
// longest comment, and some room behind it.
const zipTail = zipEndLen + 1<<16 + 4<<10

var zipTails = sync.Pool{New: func() any { return new([zipTail]byte) }}

// findZipDirectory finds the last end-of-directory record whose directory is where it says.
// Unless loose, it must be the very end of src.
func findZipDirectory(src Source, loose bool) (zipDirectory, bool, error) {
	size := src.Size()
	room := zipTails.Get().(*[zipTail]byte)
	defer zipTails.Put(room)
	tail := room[:min(size, zipTail)]
	if _, err := readAt(src, tail, size-int64(len(tail))); err != nil {
		return zipDirectory{}, false, err
	}
	// From the front: bytes.Index is many times faster than bytes.LastIndex, and most
	// that is looked at is no zip.
	var places []int
	for i := 0; ; i++ {
		next := bytes.Index(tail[i:], []byte("PK\x05\x06"))
		if next < 0 {
			break
		}
		i += next
		places = append(places, i)
	}
	for _, i := range slices.Backward(places) {
		end := tail[i:]
		if i+zipEndLen > len(tail) {
			continue
		}
		if comment := int(binary.LittleEndian.Uint16(end[20:])); !loose && i+zipEndLen+comment != len(tail) {
			continue
		}
		d, ok, err := zipDirectoryAt(src, size-int64(len(tail)-i), end[:zipEndLen])
		if ok || err != nil {
			return d, ok, err
		}
	}
	return zipDirectory{}, false, nil
}

// zipDirectoryAt reads the end record that stands at a place of src.
func zipDirectoryAt(src Source, at int64, end []byte) (zipDirectory, bool, error) {
	le := binary.LittleEndian
	d := zipDirectory{end: at, count: uint64(le.Uint16(end[10:])), parts: le.Uint16(end[4:]) != 0 && le.Uint16(end[4:]) != 0xffff}
	size, offset := uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:]))
	if d.count == 0xffff || size == 0xffffffff || offset == 0xffffffff {
		// Zip64: a locator before the end record, a longer record before that (4.3.14, 4.3.15).
		var loc [20]byte
		var rec [zipEnd64Len]byte
		if at >= 20+zipEnd64Len {
			if _, err := readAt(src, loc[:], at-20); err != nil {
				return d, false, err
			}
			if string(loc[:4]) == "PK\x06\x07" {
				for _, p := range []int64{at - 20 - zipEnd64Len, int64(le.Uint64(loc[8:]))} {
					if p < 0 || p > at-20-zipEnd64Len {
						continue
					}
					if _, err := readAt(src, rec[:], p); err != nil {
						return d, false, err
					}
					if string(rec[:4]) == "PK\x06\x06" {
						d.end, d.count = p, le.Uint64(rec[32:])
						size, offset = le.Uint64(rec[40:]), le.Uint64(rec[48:])
						break
					}
				}
			}
		}
	}
	if size > uint64(d.end) || offset > uint64(d.end) {
		return d, false, nil
	}
	if size == 0 && d.count == 0 {
		d.start = d.end
		return d, true, nil
	}
	// Programs disagree on whether the size or the offset is right; with a prefix they differ.
	for _, start := range []int64{d.end - int64(size), int64(offset)} {
		var sig [4]byte
		if _, err := readAt(src, sig[:], start); err != nil {
			return d, false, err
		}
		if string(sig[:]) == zipCentral {
			d.start, d.base = start, start-int64(offset)
			return d, true, nil
		}
	}
	return d, false, nil
}

// zipEntry is a member as its directory or its local header tells.
type zipEntry struct {
	names        []string
	raw          string // the name's bytes
	flags        uint16
	method       uint16
	packed, size uint64
	header       int64 // where its local header is
	data         int64 // where its data is
	unsigned     bool  // its local header lacks the signature
}

// span is what a member takes of the archive.
type span struct{ from, to int64 }

// listZip lists the members that the central directory names, with the names that their
// local headers give, and then those that only local headers name, wherever they stand.
func (c *container) listZip() error {
	d, ok, err := findZipDirectory(c.src, true)
	if err != nil {
		return err
	}
	if !ok {
		return c.scanZip(0, c.src.Size(), true)
	}
	if d.parts {
		c.w.find(Finding{What: Truncated, Detail: "one of several parts"})
	}
	var spans []span
	r := bufio.NewReaderSize(io.NewSectionReader(c.src, d.start, d.end-d.start), 16<<10)
	n := uint64(0)
	for ; ; n++ {
		e, err := readZipCentral(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			// What is left of the archive's list is found by its local headers.
			if err := c.w.judge(err, ""); err != nil {
				return err
			}
			break
		}
		s, err := c.zipMember(e, d.base, d.start)
		if err != nil {
			return err
		}
		if s.to > s.from {
			spans = append(spans, s)
		}
	}
	if n&0xffff != d.count&0xffff {
		c.w.find(Finding{What: Corrupt, Detail: "the directory's length is wrong"})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	at := int64(0)
	for _, s := range append(spans, span{d.start, d.start}) {
		if s.from < at {
			c.w.find(Finding{What: Corrupt, Detail: "members overlap"})
		} else if err := c.scanZip(at, s.from, false); err != nil {
			return err
		}
		at = max(at, s.to)
	}
	// The directory may be that of a member, the archive's own being lost.
	return c.scanZip(d.end, c.src.Size(), false)
}

// readZipCentral reads the next entry of the central directory. It returns io.EOF behind
// the last one.
func readZipCentral(r *bufio.Reader) (zipEntry, error) {
	var h [zipCentLen]byte
	if n, err := io.ReadFull(r, h[:]); err != nil {
		if n > 0 && err == io.ErrUnexpectedEOF && string(h[:4]) == "PK\x05\x05" {
			return zipEntry{}, io.EOF // a signature of the directory
		}
		return zipEntry{}, err
	}
	switch string(h[:4]) {
	case zipCentral:
	case "PK\x05\x05":
		return zipEntry{}, io.EOF
	default:
		return zipEntry{}, errZipDirectory
	}
	le := binary.LittleEndian
	name, extra, comment := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), int(le.Uint16(h[32:]))
	b := make([]byte, name+extra)
	if _, err := io.ReadFull(r, b); err != nil {
		return zipEntry{}, orShort(err)
	}
	if n, err := r.Discard(comment); n < comment {
		return zipEntry{}, orShort(err)
	}
	e := zipEntry{
		raw: string(b[:name]), flags: le.Uint16(h[8:]), method: le.Uint16(h[10:]),
		packed: uint64(le.Uint32(h[20:])), size: uint64(le.Uint32(h[24:])),
	}
	header := uint64(le.Uint32(h[42:]))
	zip64(b[name:], &e.size, &e.packed, &header)
	e.header = int64(min(header, 1<<62))
	e.names = zipNames(b[:name], b[name:], e.flags)
	return e, nil
}

// zip64 reads the longer numbers for those that are 0xffffffff (4.5.3).
func zip64(extra []byte, numbers ...*uint64) {
	b := zipExtra(extra, 0x0001)
	for _, n := range numbers {
		if *n == 0xffffffff && len(b) >= 8 {
			*n, b = binary.LittleEndian.Uint64(b), b[8:]
		}
	}
}

// zipExtra returns the extra field of an id, or nil.
func zipExtra(extra []byte, id uint16) []byte {
	for len(extra) >= 4 {
		n := int(binary.LittleEndian.Uint16(extra[2:]))
		if 4+n > len(extra) {
			return nil
		}
		if binary.LittleEndian.Uint16(extra) == id {
			return extra[4 : 4+n]
		}
		extra = extra[4+n:]
	}
	return nil
}

// zipNames returns all the ways in which programs read a name: as UTF-8, in code page 437
// (appendix D), and from the Unicode path of Info-ZIP (4.6.9), even if its sum is wrong.
func zipNames(raw, extra []byte, flags uint16) []string {
	ascii := !bytes.ContainsFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf })
	var names []string
	if ascii || flags&zipFlagUTF8 != 0 || utf8.Valid(raw) {
		names = append(names, string(raw))
	}
	if !ascii && flags&zipFlagUTF8 == 0 {
		dos, _ := charmap.CodePage437.NewDecoder().Bytes(raw)
		names = append(names, string(dos))
	}
	if u := zipExtra(extra, 0x7075); len(u) > 5 && u[0] == 1 {
		names = append(names, string(u[5:]))
	}
	return names
}

// readZipLocal reads the local header at a place. It returns false for what is none. What a
// directory points to is one without its signature too, if the name is the same.
func readZipLocal(src io.ReaderAt, at int64, name string) (zipEntry, bool, error) {
	var h [zipLocalLen]byte
	if n, err := readAt(src, h[:], at); n < len(h) || string(h[:4]) != zipLocal && name == "" {
		return zipEntry{}, false, err
	}
	signed := string(h[:4]) == zipLocal
	le := binary.LittleEndian
	length, extra := int(le.Uint16(h[26:])), int(le.Uint16(h[28:]))
	b := make([]byte, length+extra)
	n, err := readAt(src, b, at+zipLocalLen)
	if err != nil || n < length || !signed && string(b[:length]) != name {
		return zipEntry{}, false, err
	}
	e := zipEntry{
		raw: string(b[:length]), flags: le.Uint16(h[6:]), method: le.Uint16(h[8:]),
		packed: uint64(le.Uint32(h[18:])), size: uint64(le.Uint32(h[22:])),
		header: at, data: at + zipLocalLen + int64(length+extra), unsigned: !signed,
	}
	zip64(b[length:n], &e.size, &e.packed)
	e.names = zipNames(b[:length], b[length:n], e.flags)
	return e, true, nil
}

// zipMember visits an entry of the directory and returns what it takes of the archive.
func (c *container) zipMember(e zipEntry, base, end int64) (span, error) {
	var s span
	at := e.header + base
	local, ok, err := zipEntry{}, false, error(nil)
	if at >= 0 && at < end {
		if local, ok, err = readZipLocal(c.src, at, e.raw); err != nil {
			return s, c.w.judge(err, e.raw)
		}
	}
	if !ok {
		c.w.find(Finding{What: Corrupt, Member: e.raw, Detail: "no local header"})
		return s, c.member(entry{names: e.names, size: clampSize(e.size), encrypted: e.flags&zipFlagCrypt != 0})
	}
	if local.raw != e.raw || local.method != e.method || (local.flags^e.flags)&zipFlagCrypt != 0 ||
		local.flags&zipFlagDesc == 0 && (local.packed != e.packed || local.size != e.size) {
		c.w.find(Finding{What: Mismatch, Member: e.raw, Detail: "the local header disagrees with the directory"})
	}
	if local.unsigned {
		c.w.find(Finding{What: Corrupt, Member: e.raw, Detail: "bad local header"})
	}
	e.names = append(e.names, local.names...)
	e.data = local.data
	if e.packed > uint64(max(end-e.data, 0)) {
		c.w.find(Finding{What: Truncated, Member: e.raw, Detail: "its data would go over the end"})
		e.packed = uint64(max(end-e.data, 0))
	}
	s = span{at, e.data + int64(e.packed)}
	return s, c.member(c.zipContent(e))
}

// zipContent makes an entry to visit of e, whose data lies in the archive.
func (c *container) zipContent(e zipEntry) entry {
	w := c.w
	if e.flags&zipFlagMask != 0 {
		w.find(Finding{What: Unlisted, Detail: "the directory is encrypted"})
		e.flags |= zipFlagCrypt
	}
	m := entry{names: e.names, size: clampSize(e.size), encrypted: e.flags&zipFlagCrypt != 0 || e.method == 99}
	if m.dir = strings.HasSuffix(e.raw, "/") || strings.HasSuffix(e.raw, `\`); m.dir && e.packed == 0 {
		return m
	}
	m.dir = false // what has content is a file for some program
	data := io.NewSectionReader(c.src, e.data, int64(e.packed))
	open := func(f func(Source) (io.ReadCloser, error)) {
		m.open = func() (io.ReadCloser, error) { return f(data) }
	}
	switch e.method { // 4.4.5
	case 0:
		m.section = data
	case 8:
		open(w.inflate)
	case 12:
		open(w.bunzip2)
	case 14:
		open(func(src Source) (io.ReadCloser, error) {
			var h [9]byte // a version, the length of the properties, the properties (5.8.8)
			if n, err := readAt(src, h[:], 0); n < len(h) {
				return nil, orShort(err)
			}
			if h[2] != 5 || h[3] != 0 {
				return nil, errMethod
			}
			return w.unlzmaRaw([5]byte(h[4:]), m.size, io.NewSectionReader(src, 9, src.Size()-9))
		})
	case 20, 93:
		open(w.unzstd)
	case 95:
		open(w.unxz)
	}
	return m
}

// clampSize returns a declared size as Member.Size has it.
func clampSize(n uint64) int64 { return int64(min(n, 1<<62)) }
