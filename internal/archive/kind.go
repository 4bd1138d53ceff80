package archive

import "strings"

// A Kind is a kind of archive, of compressed file, or of disk image.
type Kind uint8

// The kinds. Those from Cab on are known, but not listed.
const (
	None Kind = iota // no archive that is known
	Zip
	SevenZip
	Rar
	Tar
	Gzip
	Bzip2
	XZ
	LZMA
	Zstd
	ISO // ISO 9660

	Cab
	InstallShield
	Arj
	LZH
	Ace
	Zoo
	Lzip
	LZ4
	Lzop
	Compress // .Z
	Cpio
	Ar // also .deb
	RPM
	Xar
	StuffIt
	ALZ
	EGG
	UDF
	WIM
	VHD
	VHDX
	VMDK
	VDI
	QCOW
	DMG
	SquashFS
	Disk // a raw image of a disk or a file system: FAT, exFAT, NTFS, GPT
	kinds
)

var kindNames = [kinds]string{
	"none", "zip", "7z", "rar", "tar", "gzip", "bzip2", "xz", "lzma", "zstd", "iso",
	"cab", "installshield", "arj", "lzh", "ace", "zoo", "lzip", "lz4", "lzop", "compress", "cpio", "ar", "rpm", "xar",
	"stuffit", "alz", "egg", "udf", "wim", "vhd", "vhdx", "vmdk", "vdi", "qcow", "dmg", "squashfs", "disk",
}

// String returns a short name in lower case, such as "7z".
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// Listed reports whether Walk lists what is in a k.
func (k Kind) Listed() bool { return k < kinds && listers()[k] != nil }

// listers holds what lists each kind. A kind without a line is Unlisted.
func listers() *[kinds]func(*container) error {
	return &[kinds]func(*container) error{
		Zip:      (*container).listZip,
		SevenZip: (*container).listSevenZip,
		Rar:      (*container).listRar,
		Tar:      (*container).listTar,
		Gzip:     (*container).listStream,
		Bzip2:    (*container).listStream,
		XZ:       (*container).listStream,
		LZMA:     (*container).listStream,
		Zstd:     (*container).listStream,
		ISO:      (*container).listISO,
	}
}

// byExtension are the extensions that promise an archive. Office documents are
// missing on purpose: an encrypted .docx is no zip and not damaged.
var byExtension = map[string]Kind{
	"zip": Zip, "zipx": Zip, "jar": Zip, "apk": Zip,
	"7z": SevenZip, "rar": Rar, "tar": Tar,
	"gz": Gzip, "tgz": Gzip, "bz2": Bzip2, "tbz": Bzip2, "tbz2": Bzip2, "xz": XZ, "txz": XZ,
	"lzma": LZMA, "zst": Zstd, "tzst": Zstd, "iso": ISO,
	"cab": Cab, "arj": Arj, "lzh": LZH, "lha": LZH, "ace": Ace, "udf": UDF,
	"wim": WIM, "vhd": VHD, "vhdx": VHDX, "dmg": DMG, "img": Disk,
}

// kindByName returns what the extension of name promises.
func kindByName(name string) Kind {
	_, ext := cutExtension(name)
	return byExtension[ext]
}

// cutExtension cuts a name at its extension, which it returns in lower case. What a system
// would drop from the end of a name when it saves the file is gone.
func cutExtension(name string) (stem, ext string) {
	name = strings.TrimRightFunc(name, func(r rune) bool { return r <= ' ' || r == '.' || r == '"' || r == '\'' || r == 0x7f })
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || len(name)-dot > 8 {
		return name, ""
	}
	return name[:dot], strings.ToLower(name[dot+1:])
}
