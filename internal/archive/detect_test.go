package archive

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	at := func(n int, sig string) []byte { return append(make([]byte, n), sig+strings.Repeat("\x00", 64)...) }
	for _, tt := range []struct {
		name string
		in   []byte
		want Kind
	}{
		{"nothing", nil, None},
		{"text", []byte(payloadText), None},
		{"a program", []byte(payloadExe), None},
		{"zip", zipped(t, file{"a", "a"}), Zip},
		{"empty zip", zipped(t), Zip},
		{"zip behind a program", append([]byte(payloadExe), zipped(t, file{"a", "a"})...), Zip},
		{"7z behind a program", append([]byte(payloadExe), sevenZipped(nil, szStored(0, "a"))...), SevenZip},
		{"rar behind a program", append([]byte(payloadExe), rar5()...), Rar},
		{"rar behind text", append([]byte(payloadText), rar5()...), None},
		{"rar 4", rar4(), Rar},
		{"tar", tarred(t, file{"a", "a"}), Tar},
		{"zeros", make([]byte, 4096), None},
		{"gzip", gzipped(t, "", nil), Gzip},
		{"bzip2", []byte("BZh91AY&SY...."), Bzip2},
		{"text that starts like bzip2", []byte("BZh9 is no mark alone"), None},
		{"lzma", append([]byte{0x5d, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0}, "..."...), LZMA},
		{"text that starts like lzma", []byte("]\x00 and so on, and so on, and so on"), None},
		{"a frame to skip", []byte("\x5f\x2a\x4d\x18...."), Zstd},
		{"iso", isoSectors(isoSector), ISO},
		{"udf", at(32769, "BEA01"), UDF},
		{"cab", at(0, "MSCF\x00\x00\x00\x00"), Cab},
		{"arj", at(0, "\x60\xea\x2b\x00"), Arj},
		{"arj with a header too long", at(0, "\x60\xea\xff\xff"), None},
		{"lzh", at(0, "..-lh5-"), LZH},
		{"ace", at(7, "**ACE**"), Ace},
		{"zoo", at(20, "\xdc\xa7\xc4\xfd"), Zoo},
		{"compress", at(0, "\x1f\x9d\x90"), Compress},
		{"cpio", []byte("070701" + strings.Repeat("0000abCD", 13) + "a.exe\x00"), Cpio},
		{"cpio of old", []byte("070707" + strings.Repeat("01234567", 9) + "000a.exe\x00"), Cpio},
		{"a number that a cpio begins with", []byte("070707 is a number, and 070701 another, " + strings.Repeat("and so on", 20)), None},
		{"a long number that a cpio begins with", []byte("07070112345678, a number, " + strings.Repeat("and so on", 20)), None},
		{"stuffit", at(0, "SIT!\x00\x01\x00\x00\x10\x00rLau\x01"), StuffIt},
		{"stuffit 5", at(0, "StuffIt (c)1997-2002 Aladdin Systems, Inc."), StuffIt},
		{"a text that begins like stuffit", []byte("SIT! Good dog. Stay!"), None},
		{"lzip", at(0, "LZIP\x01\x17"), Lzip},
		{"lzip of an early version", at(0, "LZIP\x00\x0c"), Lzip},
		{"a text that begins like lzip", []byte("LZIP is a program"), None},
		{"a text that begins like lzip, on a line of its own", []byte("LZIP\r\nis a program"), None},
		{"installshield 5", at(0, "ISc(\x0c\x50\x00\x01"), InstallShield},
		{"installshield 12", at(0, "ISc(\x00\x06\x00\x02"), InstallShield},
		{"installshield of unicode", at(0, "ISc(\x80\x07\x00\x04"), InstallShield},
		{"a text that begins like installshield", []byte("ISc(x) = 5, and so on"), None},
		{"vmdk", at(0, "KDMV\x01\x00\x00\x00"), VMDK},
		{"a text that begins like vmdk", []byte("KDMV means nothing"), None},
		{"xar", at(0, "xar!\x00\x1c\x00\x01"), Xar},
		{"a text that begins like xar", []byte("xar! he said"), None},
		{"egg", at(0, "EGGA\x00\x01"), EGG},
		{"a text that begins like egg", []byte("EGGA and others"), None},
		{"deb", at(0, "!<arch>\ndebian"), Ar},
		{"wim", at(0, "MSWIM\x00\x00\x00"), WIM},
		{"vhdx", at(0, "vhdxfile"), VHDX},
		{"vhd of fixed size", at(4096-512, "conectix"+strings.Repeat("\x00", 512-8-64)), VHD},
		{"dmg", at(4096-512, "koly\x00\x00\x00\x04"+strings.Repeat("\x00", 512-8-64)), DMG},
		{"a file system", at(82, "FAT32   "), Disk},
		{"partitions", at(512, "EFI PART"), Disk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Detect(bytes.NewReader(tt.in)); got != tt.want || err != nil {
				t.Errorf("Detect = %s, %v; want %s", got, err, tt.want)
			}
		})
	}
	if _, err := Detect(broken{100}); !errors.Is(err, errBroken) {
		t.Errorf("Detect of a broken source: error = %v", err)
	}
}

var errBroken = errors.New("the disk is broken")

// broken is a source that cannot be read.
type broken struct{ size int64 }

func (b broken) Size() int64                           { return b.size }
func (b broken) ReadAt(p []byte, _ int64) (int, error) { return 0, errBroken }

func TestUnlistedKindsAreReported(t *testing.T) {
	cab := "MSCF\x00\x00\x00\x00" + strings.Repeat("\x00", 64)
	for _, tt := range []struct {
		name, file string
		in         []byte
		kind       Kind
		path       int
	}{
		{"outermost", "a.cab", []byte(cab), Cab, 1},
		{"under another name", "a.doc", []byte(cab), Cab, 1},
		{"by its name alone", "a.img", []byte(payloadText), Disk, 1},
		{"by its name alone, in a zip", "a.zip", zipped(t, file{"b.vhd", payloadText}), VHD, 2},
		{"in a zip", "a.zip", zipped(t, file{"b.bin", cab}), Cab, 2},
		{"an image by its end, in a zip", "a.zip", zipped(t, file{"b.dmg", strings.Repeat(".", 4096) + "koly\x00\x00\x00\x04" + strings.Repeat("\x00", 504)}), DMG, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, r := walked(t, tt.in, tt.file, Limits{})
			if len(r.Findings) != 1 || r.Findings[0].What != Unlisted || r.Findings[0].Kind != tt.kind || len(r.Findings[0].Path) != tt.path {
				t.Errorf("findings %+v, want one of an unlisted %s", r.Findings, tt.kind)
			}
		})
	}
}

func TestNamesOfConstants(t *testing.T) {
	for k := None; k < kinds; k++ {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	for l := NoLimit; l < limitKinds; l++ {
		if l.String() == "" {
			t.Errorf("limit %d has no name", l)
		}
	}
	for w := Encrypted; w < whats; w++ {
		if w.String() == "" {
			t.Errorf("what %d has no name", w)
		}
	}
	if kinds.String() != "unknown" || limitKinds.String() != "unknown" || whats.String() != "unknown" || Kind(200).Listed() {
		t.Error("what is no constant is not unknown")
	}
}

// Looking at what is no archive is what happens to most attachments: the windows for it
// are used again.
func TestDetectAllocatesLittle(t *testing.T) {
	src := bytes.NewReader(bytes.Repeat([]byte("%PDF-1.7 no archive "), 10_000))
	program := bytes.NewReader(append([]byte("MZ"), bytes.Repeat([]byte{0x90}, 200_000)...))
	for _, s := range []Source{src, program} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if k, err := Detect(s); k != None || err != nil {
				t.Fatal(k, err)
			}
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 8<<10 && !raceEnabled {
			t.Errorf("%d bytes allocated a look, want 8 KiB at most", n)
		}
	}
}
