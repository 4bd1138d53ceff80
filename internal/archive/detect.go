package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

const (
	isoSector = 2048
	// peekSize is how many first bytes of a member are looked at: past the system area of
	// an ISO image and the first few of its volume descriptors (ECMA-119 section 6.2.1).
	peekSize = 20*isoSector + 6
	// sfxSearch is how far behind the start of a program an archive is looked for.
	sfxSearch = 1 << 20
)

// Detect tells what src is by its bytes: by what it begins with, and also a zip, 7z or rar
// behind a program, a zip behind anything, and disk images by what they end with. None
// stands for all else, also for what only an extension would name. An error comes from src.
func Detect(src Source) (Kind, error) {
	ks, err := detectAll(src)
	if len(ks) == 0 {
		return None, err
	}
	return ks[0], err
}

// detectAll returns all that src is. It can be more than one kind: a zip's directory stands
// at the end, so that anything else may stand before it.
func detectAll(src Source) ([]Kind, error) {
	room := zipTails.Get().(*[zipTail]byte)
	defer zipTails.Put(room)
	head := room[:min(peekSize, src.Size())]
	if _, err := readAt(src, head, 0); err != nil {
		return nil, err
	}
	var ks []Kind
	if k := detectHead(head); k != None {
		ks = append(ks, k)
	}
	if len(ks) > 0 && ks[0] == Zip {
		return ks, nil
	}
	if program(head) {
		for _, k := range []Kind{SevenZip, Rar} {
			at, err := embedded(src, k)
			if err != nil {
				return ks, err
			}
			if at >= 0 {
				ks = append(ks, k)
			}
		}
	}
	if _, ok, err := findZipDirectory(src, program(head)); err != nil {
		return ks, err
	} else if ok {
		ks = append(ks, Zip)
	}
	if len(ks) == 0 && src.Size() >= 512 {
		tail := room[:512]
		if _, err := readAt(src, tail, src.Size()-512); err != nil {
			return ks, err
		}
		switch {
		case bytes.HasPrefix(tail, []byte("koly\x00\x00\x00")):
			ks = append(ks, DMG)
		case bytes.HasPrefix(tail, []byte("conectix")):
			ks = append(ks, VHD)
		}
	}
	return ks, nil
}

const (
	sig7z  = "7z\xbc\xaf\x27\x1c"
	sigRar = "Rar!\x1a\x07"
)

// magics are told apart by bytes at a fixed place.
var magics = []struct {
	at   int
	sig  string
	kind Kind
}{
	{0, "PK\x03\x04", Zip}, {0, "PK\x05\x06", Zip}, {0, "PK\x07\x08", Zip}, {0, "PK00PK\x03\x04", Zip},
	{0, sig7z, SevenZip},
	{0, sigRar, Rar}, {0, "RE~^", Rar},
	{0, "\x1f\x8b\x08", Gzip},
	{0, "\xfd7zXZ\x00", XZ},
	{0, "\x28\xb5\x2f\xfd", Zstd},
	{32769, "CD001", ISO}, {34817, "CD001", ISO}, {36865, "CD001", ISO},
	{32769, "BEA01", UDF}, {34817, "BEA01", UDF},
	{0, "MSCF\x00\x00\x00\x00", Cab},
	{7, "**ACE**", Ace}, {20, "\xdc\xa7\xc4\xfd", Zoo},
	{0, "\x04\x22\x4d\x18", LZ4}, {0, "\x89LZO\x00", Lzop},
	{0, "\x1f\x9d", Compress}, {0, "\x1f\xa0", Compress},
	{0, "!<arch>\n", Ar}, {0, "\xed\xab\xee\xdb", RPM}, {0, "xar!\x00", Xar},
	{0, "StuffIt (c)", StuffIt}, {0, "ALZ\x01", ALZ}, {0, "EGGA\x00", EGG},
	{0, "MSWIM\x00\x00\x00", WIM}, {0, "vhdxfile", VHDX}, {0, "conectix", VHD}, {0, "KDMV\x01\x00\x00\x00", VMDK}, {0, "KDMV\x02\x00\x00\x00", VMDK}, {0, "KDMV\x03\x00\x00\x00", VMDK}, {64, "\x7f\x10\xda\xbe", VDI},
	{0, "QFI\xfb", QCOW}, {0, "hsqs", SquashFS}, {0, "koly\x00\x00\x00", DMG},
	{3, "NTFS    ", Disk}, {3, "EXFAT   ", Disk}, {54, "FAT12   ", Disk}, {54, "FAT16   ", Disk}, {82, "FAT32   ", Disk}, {512, "EFI PART", Disk},
}

// detectHead tells what begins with head.
func detectHead(head []byte) Kind {
	for _, m := range magics {
		if len(head) >= m.at+len(m.sig) && string(head[m.at:m.at+len(m.sig)]) == m.sig {
			return m.kind
		}
	}
	// What begins with letters alone may be a text.
	switch {
	case len(head) >= 6 && string(head[:4]) == "LZIP" && head[4] <= 1 && head[5]&0x1f >= 12 && head[5]&0x1f <= 29: // version, size of the dictionary
		return Lzip
	case len(head) >= 8 && string(head[:4]) == "ISc(" && (head[7] == 1 || head[7] == 2 || head[7] == 4): // the version's highest byte
		return InstallShield
	case len(head) >= 14 && string(head[:4]) == "SIT!" && string(head[10:14]) == "rLau":
		return StuffIt
	case cpioHeader(head):
		return Cpio
	case len(head) >= 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return Bzip2
	case skipFrame(head):
		for skipFrame(head) {
			n := int64(binary.LittleEndian.Uint32(head[4:])) + 8
			head = head[min(n, int64(len(head))):]
		}
		if bytes.HasPrefix(head, []byte("\x04\x22\x4d\x18")) {
			return LZ4
		}
		return Zstd
	case len(head) >= 7 && head[2] == '-' && head[6] == '-' && (string(head[3:5]) == "lh" || string(head[3:5]) == "lz" || string(head[3:5]) == "pm"):
		return LZH
	case len(head) >= 4 && head[0] == 0x60 && head[1] == 0xea && binary.LittleEndian.Uint16(head[2:]) <= 2600 && binary.LittleEndian.Uint16(head[2:]) >= 30:
		return Arj
	case tarHeader(head):
		return Tar
	case lzmaHeader(head):
		return LZMA
	}
	return None
}

// cpioHeader reports whether b begins with a cpio header of digits: of 76 octal ones,
// or of 110 hexadecimal ones.
func cpioHeader(b []byte) bool {
	digits, n := "01234567", 76
	switch {
	case bytes.HasPrefix(b, []byte("070701")), bytes.HasPrefix(b, []byte("070702")):
		digits, n = "0123456789abcdefABCDEF", 110
	case !bytes.HasPrefix(b, []byte("070707")):
		return false
	}
	return len(b) >= n && len(bytes.Trim(b[:n], digits)) == 0
}

// program reports whether head begins a program (of Windows, ELF, Mach-O, or a script),
// which may unpack what is behind it.
func program(head []byte) bool {
	for _, sig := range []string{"MZ", "\x7fELF", "#!", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe"} {
		if bytes.HasPrefix(head, []byte(sig)) {
			return true
		}
	}
	return false
}

// skipFrame reports whether b begins with a frame to skip (RFC 8878 section 3.1.2). LZ4 has
// the same.
func skipFrame(b []byte) bool {
	return len(b) >= 8 && b[0]&0xf0 == 0x50 && string(b[1:4]) == "\x2a\x4d\x18"
}

// tarHeader reports whether b begins with a tar header: one whose sum is right. Old
// archives have no other mark.
func tarHeader(b []byte) bool {
	if len(b) < 512 {
		return false
	}
	var want, digits int64
	for _, c := range b[148:156] {
		if c >= '0' && c <= '7' {
			want, digits = want*8+int64(c-'0'), digits+1
		} else if digits > 0 || c != ' ' && c != 0 {
			break
		}
	}
	var unsigned, signed int64
	for i, c := range b[:512] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return digits > 0 && (want == unsigned || want == signed)
}

// lzmaHeader reports whether b begins as an .lzma file does, which has no mark: common
// properties, a dictionary of a power of two, or of one and a half, and a size that can be.
func lzmaHeader(b []byte) bool {
	if len(b) < 14 || b[0] != 0x5d || b[13] != 0 {
		return false
	}
	dict := binary.LittleEndian.Uint32(b[1:])
	low := dict & (dict - 1)
	if dict < 4096 || low != 0 && low&(low-1) != 0 {
		return false
	}
	size := binary.LittleEndian.Uint64(b[5:])
	return size == 1<<64-1 || size < 1<<38
}

// embedded returns where a 7z or rar archive starts: at the start of src, or behind a program.
// As unpackers hold the mark in their own code, what follows it has to be right there. It
// returns -1 for none.
func embedded(src Source, k Kind) (int64, error) {
	sig, valid := sig7z, sevenZipAt
	if k == Rar {
		sig, valid = sigRar, rarAt
	}
	for from := int64(0); from < sfxSearch; {
		at, err := search(io.NewSectionReader(src, from, max(src.Size()-from, 0)), sig, sfxSearch-from)
		if at < 0 || err != nil {
			return -1, err
		}
		if at += from; at == 0 {
			return 0, nil
		}
		if ok, err := valid(src, at); ok || err != nil {
			return at, err
		}
		from = at + 1
	}
	return -1, nil
}

// search returns where sig first stands in the first limit bytes of src, or -1.
func search(src io.ReaderAt, sig string, limit int64) (int64, error) {
	room := zipTails.Get().(*[zipTail]byte)
	defer zipTails.Put(room)
	buf := room[:64<<10]
	for at := int64(0); at < limit; at += int64(len(buf) - len(sig) + 1) {
		n, err := readAt(src, buf, at)
		if i := bytes.Index(buf[:n], []byte(sig)); i >= 0 {
			return at + int64(i), err
		}
		if err != nil || n < len(buf) {
			return -1, err
		}
	}
	return -1, nil
}

// readAt reads as much of p as there is. The end is no error.
func readAt(src io.ReaderAt, p []byte, at int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := src.ReadAt(p, at)
	if errors.Is(err, io.EOF) || n == len(p) {
		err = nil
	}
	return n, err
}
