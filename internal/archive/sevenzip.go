package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/bodgit/sevenzip"
)

// errCrypt says that the list of an archive is encrypted.
var errCrypt = errors.New("archive: the header is encrypted")

// listSevenZip lists a 7z archive, also one behind a program.
func (c *container) listSevenZip() error {
	w := c.w
	start, err := embedded(c.src, SevenZip)
	if err != nil {
		return err
	}
	if start < 0 {
		return errSevenZip
	}
	header, base, err := c.sevenZipHeader(start)
	if errors.Is(err, errCrypt) {
		w.find(Finding{What: Encrypted, Detail: "the header"})
		w.find(Finding{What: Unlisted, Detail: "the header is encrypted"})
		return nil
	}
	if err != nil || header == nil {
		return err
	}
	p := szParser{b: header[1:], base: base, keep: w.l.Entries + 1}
	var folders []szFolderInfo
	id := p.byte()
	if id == szProperties {
		for p.byte() != szEnd && p.err == nil {
			p.bytes(p.number())
		}
		id = p.byte()
	}
	if id == szAdditional {
		p.streams()
		id = p.byte()
	}
	if id == szMainStreams {
		folders = p.streams().folders
		id = p.byte()
	}
	var files []szFile
	n := 0
	if id == szFiles && p.err == nil {
		files, n = p.files()
	}
	if p.err != nil {
		return p.err
	}
	// Files with content are cut from the folders in order.
	u := &szUnpacker{c: c}
	defer u.close()
	folder, file, offset := 0, 0, int64(0)
	for _, f := range files {
		e := entry{names: []string{f.name}, dir: f.dir}
		if f.hasStream {
			for folder < len(folders) && file >= len(folders[folder].lengths) {
				folder, file, offset = folder+1, 0, 0
			}
			if e.size = -1; folder < len(folders) {
				fo := &folders[folder]
				e.size = clampSize(fo.lengths[file])
				e.encrypted = fo.encrypted()
				at := offset
				if fo.usable() {
					e.open = func() (io.ReadCloser, error) { return u.open(fo, at, e.size) }
				}
				file, offset = file+1, offset+e.size
			}
		}
		if err := c.member(e); err != nil {
			return err
		}
	}
	if n > len(files) {
		return errEntries
	}
	return nil
}

// sevenZipAt reports whether the start of an archive is at a place.
func sevenZipAt(src Source, at int64) (bool, error) {
	var h [szStartHeaderLen]byte
	n, err := readAt(src, h[:], at)
	return n == len(h) && crc32.ChecksumIEEE(h[12:]) == binary.LittleEndian.Uint32(h[8:]), err
}

// sevenZipHeader returns the header of the archive at start, unpacked, and the place that its
// packed streams are counted from. An archive without members has none.
func (c *container) sevenZipHeader(start int64) (header []byte, base int64, err error) {
	le := binary.LittleEndian
	var h [szStartHeaderLen]byte
	n, err := readAt(c.src, h[:], start)
	if err != nil || n < len(h) {
		return nil, 0, orShort(err)
	}
	if crc32.ChecksumIEEE(h[12:]) != le.Uint32(h[8:]) {
		return nil, 0, errSevenZip
	}
	base = start + szStartHeaderLen
	offset, size := le.Uint64(h[12:]), le.Uint64(h[20:])
	if size == 0 {
		return nil, base, nil
	}
	if left := uint64(c.src.Size() - base); offset > left || size > left-offset {
		return nil, base, io.ErrUnexpectedEOF // cut, or one of several volumes
	}
	if size > uint64(c.w.l.Header) {
		return nil, base, errHeader
	}
	header = make([]byte, size)
	if n, err := readAt(c.src, header, base+int64(offset)); n < len(header) {
		return nil, base, orShort(err)
	}
	if crc32.ChecksumIEEE(header) != le.Uint32(h[28:]) {
		return nil, base, errSevenZip
	}
	for range 4 { // a packed header may unpack to a packed header
		switch header[0] {
		case szHeader:
			return header, base, nil
		case szEncodedHeader:
		default:
			return nil, base, errSevenZip
		}
		p := szParser{b: header[1:], base: base, keep: 1}
		s := p.streams()
		switch {
		case p.err != nil:
			return nil, base, p.err
		case len(s.folders) != 1:
			return nil, base, errSevenZip
		case s.folders[0].encrypted():
			return nil, base, errCrypt
		case !s.folders[0].usable():
			return nil, base, errMethod
		case s.folders[0].size() > uint64(c.w.l.Header):
			return nil, base, errHeader
		case s.folders[0].size() == 0:
			return nil, base, errSevenZip
		}
		u := &szUnpacker{c: c}
		size := int64(s.folders[0].size())
		r, err := u.open(&s.folders[0], 0, size)
		if err == nil {
			header = make([]byte, size)
			_, err = io.ReadFull(meter{r, c.w}, header)
		}
		u.close()
		if err != nil {
			return nil, base, err
		}
	}
	return nil, base, errSevenZip
}

// szMethods are the coders that the library is trusted with. Zstandard is missing as the
// library starts goroutines for it and bounds no window.
var szMethods = map[string]bool{
	"\x00": true, "\x03": true, "\x21": true, "\x0a": true,
	"\x03\x01\x01": true, "\x03\x04\x01": true,
	"\x03\x03\x01\x03": true, "\x03\x03\x01\x1b": true, "\x03\x03\x02\x05": true, "\x03\x03\x05\x01": true, "\x03\x03\x08\x05": true,
	"\x04\x01\x08": true, "\x04\x02\x02": true,
}

// usable reports whether the folder can be unpacked.
func (f *szFolderInfo) usable() bool {
	for _, c := range f.coders {
		if !szMethods[string(c.id)] || c.out != 1 {
			return false
		}
	}
	return len(f.sizes) > 0 && len(f.packs) == len(f.packed)
}

// szUnpacker reads files from a folder. As folders are solid it goes forward only; it stays
// open between files.
type szUnpacker struct {
	c      *container
	folder *szFolderInfo
	r      io.ReadCloser
	held   int64 // of the window
	short  bool
	at     int64
	err    error // what became of the folder
}

func (u *szUnpacker) close() {
	if u.r != nil {
		func() {
			defer func() { recover() }() // of a library that may have panicked before
			u.r.Close()
		}()
	}
	u.c.w.window -= u.held
	*u = szUnpacker{c: u.c}
}

// open returns the size bytes that are at a place of the folder.
func (u *szUnpacker) open(f *szFolderInfo, at, size int64) (io.ReadCloser, error) {
	if u.folder != f || u.at > at {
		u.close()
		u.folder = f
		u.err = u.start()
	}
	if u.err == nil && u.at < at {
		_, err := io.CopyN(io.Discard, meter{u, u.c.w}, at-u.at)
		if err != nil && u.err == nil {
			u.err = orShort(err)
		}
	}
	if u.err != nil {
		return nil, u.err
	}
	return io.NopCloser(io.LimitReader(u, size)), nil
}

// Read reads on in the folder.
func (u *szUnpacker) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.r.Read(p)
	u.at += int64(n)
	if err == io.EOF && u.at < clampSize(u.folder.size()) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF && u.short {
		err = errWindow
	}
	u.err = err
	return n, err
}

// start opens the folder by a library. The library does not see the archive's own header but
// one that is made here and has this folder alone: nothing in it was not judged
// before, and no dictionary is larger than what the folder unpacks to.
func (u *szUnpacker) start() error {
	f := u.folder
	length := int64(0)
	for _, n := range f.packs {
		length += int64(n) // can not overflow: streams has added them up
	}
	if f.packAt > u.c.src.Size() || length > u.c.src.Size()-f.packAt {
		return io.ErrUnexpectedEOF
	}
	coders := slices.Clone(f.coders)
	for i := range coders {
		c := &coders[i]
		size := clampSize(f.sizes[i])
		c.props = slices.Clone(c.props)
		switch string(c.id) {
		case "\x03\x01\x01": // LZMA
			if len(c.props) != 5 {
				return errSevenZip
			}
			got, short := u.c.w.takeWindow(min(int64(binary.LittleEndian.Uint32(c.props[1:])), size), length)
			binary.LittleEndian.PutUint32(c.props[1:], uint32(got))
			u.held, u.short = u.held+got, u.short || short
		case "\x21": // LZMA2
			if len(c.props) != 1 {
				return errSevenZip
			}
			want, ok := lzma2Dictionary(c.props[0])
			if !ok {
				return errSevenZip
			}
			got, short := u.c.w.takeWindow(min(want, size), length)
			for c.props[0] = 0; ; c.props[0]++ {
				if d, _ := lzma2Dictionary(c.props[0]); d >= got || c.props[0] == 40 {
					u.c.w.window += d - got
					got = d
					break
				}
			}
			u.held, u.short = u.held+got, u.short || short
		case "\x03\x04\x01": // PPMd
			if len(c.props) != 5 {
				return errSevenZip
			}
			want := int64(binary.LittleEndian.Uint32(c.props[1:]))
			if want > u.c.w.l.Window-u.c.w.window {
				return errWindow
			}
			u.c.w.window += want
			u.held += want
		}
	}
	header := appendSevenZipHeader(nil, f, coders)
	src := joined{sevenZipStart(length, header), io.NewSectionReader(u.c.src, f.packAt, length), header}
	r, err := sevenzip.NewReader(src, src.size())
	if err != nil {
		return fmt.Errorf("archive: 7z: %w", err)
	}
	if len(r.File) != 1 {
		return errSevenZip
	}
	u.r, err = r.File[0].Open()
	return err
}

// appendSevenZipHeader appends a header for one file that is all of a folder.
func appendSevenZipHeader(b []byte, f *szFolderInfo, coders []szCoder) []byte {
	num := func(ns ...uint64) {
		for _, n := range ns {
			b = append(b, 0xff)
			b = binary.LittleEndian.AppendUint64(b, n)
		}
	}
	b = append(b, szHeader, szMainStreams, szPackInfo)
	num(0, uint64(len(f.packs)))
	b = append(b, szSize)
	num(f.packs...)
	b = append(b, szEnd, szUnpackInfo, szFolder)
	num(1)
	b = append(b, 0)
	num(uint64(len(coders)))
	for _, c := range coders {
		b = append(b, byte(len(c.id))|0x10|0x20)
		b = append(b, c.id...)
		num(c.in, c.out)
		if len(c.props) == 0 {
			b[len(b)-18-len(c.id)-1] &^= 0x20
			continue
		}
		num(uint64(len(c.props)))
		b = append(b, c.props...)
	}
	for _, p := range f.binds {
		num(p[0], p[1])
	}
	if len(f.packed) > 1 {
		num(f.packed...)
	}
	b = append(b, szUnpackSize)
	num(f.sizes...)
	b = append(b, szEnd, szEnd, szFiles)
	num(1)
	b = append(b, szNames)
	num(5)
	return append(b, 0, 'f', 0, 0, 0, szEnd, szEnd)
}

// sevenZipStart returns the start of an archive whose header is behind so many packed bytes.
func sevenZipStart(packed int64, header []byte) []byte {
	le := binary.LittleEndian
	h := make([]byte, 20, szStartHeaderLen)
	le.PutUint64(h, uint64(packed))
	le.PutUint64(h[8:], uint64(len(header)))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(header))
	b := append([]byte(sig7z), 0, 4)
	b = le.AppendUint32(b, crc32.ChecksumIEEE(h))
	return append(b, h...)
}

// joined is a source between two texts.
type joined struct {
	before []byte
	middle *io.SectionReader
	after  []byte
}

func (j joined) size() int64 { return int64(len(j.before)) + j.middle.Size() + int64(len(j.after)) }

func (j joined) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errSevenZip
	}
	if b := int64(len(j.before)); off < b {
		n = copy(p, j.before[off:])
	}
	if at := off + int64(n) - int64(len(j.before)); n < len(p) && at < j.middle.Size() {
		m, err := j.middle.ReadAt(p[n:min(int64(len(p)), int64(n)+j.middle.Size()-at)], at)
		if n += m; err != nil && err != io.EOF {
			return n, err
		}
	}
	if at := off + int64(n) - int64(len(j.before)) - j.middle.Size(); n < len(p) && at >= 0 && at < int64(len(j.after)) {
		n += copy(p[n:], j.after[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
