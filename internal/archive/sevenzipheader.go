package archive

import (
	"encoding/binary"
	"errors"
	"io"
)

// The format is described in 7zFormat.txt of the LZMA SDK.

// Property ids of a header.
const (
	szEnd            = 0x00
	szHeader         = 0x01
	szProperties     = 0x02
	szAdditional     = 0x03
	szMainStreams    = 0x04
	szFiles          = 0x05
	szPackInfo       = 0x06
	szUnpackInfo     = 0x07
	szSubStreams     = 0x08
	szSize           = 0x09
	szCRC            = 0x0a
	szFolder         = 0x0b
	szUnpackSize     = 0x0c
	szNumUnpack      = 0x0d
	szEmptyStream    = 0x0e
	szEmptyFile      = 0x0f
	szNames          = 0x11
	szAttributes     = 0x15
	szEncodedHeader  = 0x17
	szMaxCoders      = 32 // as 7-Zip has it
	szMaxStreams     = 32
	szMaxProperties  = 64
	szStartHeaderLen = 32
)

var errSevenZip = errors.New("archive: 7z: bad header")

// szFolder is a stream of data that one chain of coders unpacks.
type szFolderInfo struct {
	coders  []szCoder
	binds   [][2]uint64 // input, output
	packed  []uint64    // inputs that are read from the archive
	sizes   []uint64    // what each output unpacks to
	packAt  int64       // where the first of its packed streams lies
	packs   []uint64    // their lengths
	files   uint64      // how many files it holds
	lengths []uint64    // of the files, as many as the parser keeps
	summed  bool        // there is a checksum of it
}

type szCoder struct {
	id      []byte
	in, out uint64
	props   []byte
}

// size is what the folder unpacks to: the output that no coder reads.
func (f *szFolderInfo) size() uint64 {
next:
	for i, n := range f.sizes {
		for _, b := range f.binds {
			if b[1] == uint64(i) {
				continue next
			}
		}
		return n
	}
	return 0
}

// encrypted reports whether a coder is a cipher: AES, or one of the old zip and rar ones.
func (f *szFolderInfo) encrypted() bool {
	for _, c := range f.coders {
		if len(c.id) > 1 && c.id[0] == 0x06 {
			return true
		}
	}
	return false
}

// szStreams is what a header says of its folders.
type szStreams struct {
	folders []szFolderInfo
}

// szFile is a file as the header has it.
type szFile struct {
	name       string
	hasStream  bool
	dir        bool
	attributes uint32
}

// szParser reads a header. Every count is held against the bytes that are left, as nothing takes
// less than a bit, before memory is taken for it. After an error all reads give zero.
type szParser struct {
	b    []byte
	err  error
	base int64 // where packed streams are counted from
	keep int   // how many folders and files are kept
}

func (p *szParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.b = nil
}

func (p *szParser) byte() byte {
	if len(p.b) == 0 {
		p.fail(io.ErrUnexpectedEOF)
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *szParser) bytes(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.fail(io.ErrUnexpectedEOF)
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

// number reads an integer: the leading ones of its first byte count those that follow.
func (p *szParser) number() uint64 {
	first := p.byte()
	var v uint64
	for i, mask := 0, byte(0x80); i < 8; i, mask = i+1, mask>>1 {
		if first&mask == 0 {
			return v | uint64(first&(mask-1))<<(8*i)
		}
		v |= uint64(p.byte()) << (8 * i)
	}
	return v
}

// count reads how many items follow, each of which takes so many bytes at least.
func (p *szParser) count(each int) int {
	n := p.number()
	if n > uint64(len(p.b)/each) {
		p.fail(errSevenZip)
		return 0
	}
	return int(n)
}

// want reads an id, which has to be id.
func (p *szParser) want(id byte) {
	if p.byte() != id {
		p.fail(errSevenZip)
	}
}

// bits reads n bits, the highest of each byte first.
func (p *szParser) bits(n int) []bool {
	b := p.bytes(uint64(n+7) / 8)
	if b == nil {
		return nil
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = b[i/8]&(0x80>>(i%8)) != 0
	}
	return out
}

// optionalBits reads n bits behind a byte that says that all are set, if so.
func (p *szParser) optionalBits(n int) []bool {
	if p.byte() == 0 {
		return p.bits(n)
	}
	if n > 8*len(p.b) {
		p.fail(errSevenZip)
		return nil
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = true
	}
	return out
}

// digests skips checksums of n items and tells which have one.
func (p *szParser) digests(n int) []bool {
	all := p.optionalBits(n)
	for _, defined := range all {
		if defined {
			p.bytes(4)
		}
	}
	return all
}

// streams reads a StreamsInfo, behind its id.
func (p *szParser) streams() *szStreams {
	s := &szStreams{}
	var packs []uint64
	at := p.base
	id := p.byte()
	if id == szPackInfo {
		pos := p.number()
		if pos > 1<<62 {
			p.fail(errSevenZip)
		}
		at += int64(pos)
		n := p.count(1)
		for id = p.byte(); id != szEnd && p.err == nil; id = p.byte() {
			switch id {
			case szSize:
				packs = make([]uint64, n)
				for i := range packs {
					if packs[i] = p.number(); packs[i] > 1<<62 {
						p.fail(errSevenZip)
					}
				}
			case szCRC:
				p.digests(n)
			default:
				p.fail(errSevenZip)
			}
		}
		id = p.byte()
	}
	if id == szUnpackInfo {
		p.unpackInfo(s)
		id = p.byte()
	}
	for i := range s.folders {
		f := &s.folders[i]
		if len(f.packed) > len(packs) {
			p.fail(errSevenZip)
			break
		}
		f.packAt, f.packs = at, packs[:len(f.packed)]
		for _, n := range f.packs {
			if at += int64(n); at < 0 {
				p.fail(errSevenZip)
				return s
			}
		}
		packs = packs[len(f.packed):]
	}
	if id == szSubStreams {
		p.subStreams(s)
		id = p.byte()
	} else {
		for i := range s.folders {
			s.folders[i].files, s.folders[i].lengths = 1, []uint64{s.folders[i].size()}
		}
	}
	if id != szEnd {
		p.fail(errSevenZip)
	}
	return s
}

func (p *szParser) unpackInfo(s *szStreams) {
	p.want(szFolder)
	n := p.count(2)
	if n > p.keep {
		p.fail(errEntries)
	}
	if p.byte() != 0 { // the folders are kept elsewhere; no program writes that
		p.fail(errMethod)
		return
	}
	for i := 0; i < n && p.err == nil; i++ {
		s.folders = append(s.folders, p.folder())
	}
	for id := p.byte(); id != szEnd && p.err == nil; id = p.byte() {
		switch id {
		case szUnpackSize:
			for i := range s.folders {
				f := &s.folders[i]
				outs := uint64(0)
				for _, c := range f.coders {
					outs += c.out
				}
				f.sizes = make([]uint64, outs)
				for j := range f.sizes {
					f.sizes[j] = p.number()
				}
			}
		case szCRC:
			for i, defined := range p.digests(n) {
				s.folders[i].summed = defined
			}
		default:
			p.fail(errSevenZip)
		}
	}
}

func (p *szParser) folder() szFolderInfo {
	var f szFolderInfo
	n := p.number()
	if n == 0 || n > szMaxCoders {
		p.fail(errSevenZip)
		return f
	}
	var ins, outs uint64
	for range n {
		flags := p.byte()
		c := szCoder{id: p.bytes(uint64(flags & 15)), in: 1, out: 1}
		if flags&0x10 != 0 {
			c.in, c.out = p.number(), p.number()
		}
		if flags&0x20 != 0 {
			size := p.number()
			if size > szMaxProperties {
				p.fail(errSevenZip)
			}
			c.props = p.bytes(size)
		}
		if flags&0xc0 != 0 || c.in > szMaxStreams || c.out > szMaxStreams {
			p.fail(errSevenZip)
		}
		if ins, outs = ins+c.in, outs+c.out; p.err != nil {
			return f
		}
		f.coders = append(f.coders, c)
	}
	if ins > szMaxStreams || outs > szMaxStreams || outs == 0 || ins < outs-1 {
		p.fail(errSevenZip)
		return f
	}
	bound := make([]bool, ins)
	for range outs - 1 {
		b := [2]uint64{p.number(), p.number()}
		if b[0] >= ins || b[1] >= outs {
			p.fail(errSevenZip)
			return f
		}
		bound[b[0]] = true
		f.binds = append(f.binds, b)
	}
	if left := ins - (outs - 1); left == 1 {
		for i, b := range bound {
			if !b {
				f.packed = append(f.packed, uint64(i))
				break
			}
		}
	} else {
		for range left {
			i := p.number()
			if i >= ins {
				p.fail(errSevenZip)
				return f
			}
			f.packed = append(f.packed, i)
		}
	}
	if len(f.packed) == 0 {
		p.fail(errSevenZip)
	}
	return f
}

// subStreams reads how the folders are cut into files.
func (p *szParser) subStreams(s *szStreams) {
	id := p.byte()
	total := uint64(0)
	for i := range s.folders {
		s.folders[i].files = 1
	}
	if id == szNumUnpack {
		for i := range s.folders {
			s.folders[i].files = p.number()
		}
		id = p.byte()
	}
	for _, f := range s.folders {
		// A file takes a byte for its size, but for the last of a folder.
		if total += f.files; f.files > uint64(len(p.b))+1 || total > uint64(len(p.b)+len(s.folders)) || f.files > 1 && id != szSize {
			p.fail(errSevenZip)
			return
		}
	}
	kept := 0
	for i := range s.folders {
		f := &s.folders[i]
		rest := f.size()
		for j := range f.files {
			n := rest
			if j+1 < f.files {
				n = p.number()
			}
			if rest -= min(n, rest); kept <= p.keep {
				f.lengths = append(f.lengths, n)
				kept++
			}
		}
	}
	if id == szSize {
		id = p.byte()
	}
	for ; id != szEnd && p.err == nil; id = p.byte() {
		if id != szCRC {
			p.fail(errSevenZip)
			return
		}
		unknown := 0 // a file that is alone in its folder has the folder's checksum
		for _, f := range s.folders {
			if f.files != 1 || !f.summed {
				unknown += int(f.files)
			}
		}
		p.digests(unknown)
	}
}

// files reads a FilesInfo, behind its id. It keeps the first p.keep files and tells how
// many there are.
func (p *szParser) files() (files []szFile, n int) {
	n = p.count(2) // a file takes two bytes of its name at least
	files = make([]szFile, min(n, p.keep))
	var empty, emptyFile []bool
	for id := p.byte(); id != szEnd && p.err == nil; id = p.byte() {
		q := szParser{b: p.bytes(p.number())}
		switch id {
		case szEmptyStream:
			empty = q.bits(n)
		case szEmptyFile:
			streams := 0
			for _, e := range empty {
				if e {
					streams++
				}
			}
			emptyFile = q.bits(streams)
		case szNames:
			if q.byte() != 0 { // they are kept elsewhere
				q.fail(errMethod)
			}
			for i := range files {
				end := 0
				for end+1 < len(q.b) && (q.b[end] != 0 || q.b[end+1] != 0) {
					end += 2
				}
				if end+1 >= len(q.b) {
					q.fail(io.ErrUnexpectedEOF)
					break
				}
				files[i].name = utf16Text(q.b[:end], binary.LittleEndian)
				q.b = q.b[end+2:]
			}
		case szAttributes:
			defined := q.optionalBits(n)
			if q.byte() != 0 {
				continue
			}
			for i, d := range defined[:min(len(defined), len(files))] {
				if d {
					if b := q.bytes(4); b != nil {
						files[i].attributes = binary.LittleEndian.Uint32(b)
					}
				}
			}
		}
		if q.err != nil {
			p.fail(q.err)
		}
	}
	at := 0
	for i := range files {
		f := &files[i]
		if f.hasStream = i >= len(empty) || !empty[i]; !f.hasStream {
			f.dir = at >= len(emptyFile) || !emptyFile[at]
			at++
		}
	}
	return files, n
}
