package archive

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// szNumber makes a number of nine bytes.
func szNumber(n uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{0xff}, n) }

func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// szStored is a header for one file that is kept as it is.
func szStored(size int, name string) []byte {
	var wide []byte
	for _, c := range name + "\x00" {
		wide = append(wide, byte(c), 0)
	}
	return cat(1, 4, 6, 0, 1, 9, size, 0, 7, 0x0b, 1, 0, 1, 1, 0, 0x0c, size, 0, 0, 5, 1, 0x11, len(wide)+1, 0, wide, 0, 0)
}

func TestSevenZipHeaders(t *testing.T) {
	good := sevenZipped([]byte(payloadExe), szStored(len(payloadExe), "invoice.exe"))
	huge := szNumber(math.MaxUint64)
	million := szNumber(1_000_000)
	wrongSum := bytes.Clone(good)
	wrongSum[len(wrongSum)-20] ^= 1
	long := sevenZipStart(0, nil)
	binary.LittleEndian.PutUint64(long[20:], 1<<40)
	binary.LittleEndian.PutUint32(long[8:], crc32.ChecksumIEEE(long[12:]))
	for _, tt := range []struct {
		name  string
		in    []byte
		names []string
		what  []What
	}{
		{"stored", good, []string{"invoice.exe"}, nil},
		{"behind a program", append([]byte(payloadExe), good...), []string{"invoice.exe"}, nil},
		{"no members", sevenZipStart(0, nil), nil, nil},
		{"cut in the header", good[:len(good)-4], nil, []What{Truncated}},
		{"cut in the start", good[:20], nil, []What{Truncated}},
		{"first of several volumes", good[:50], nil, []What{Truncated}},
		{"a header of a terabyte", long, nil, []What{Truncated}},
		{"a header with a wrong sum", wrongSum, nil, []What{Corrupt}},
		{"more files than bytes", sevenZipped(nil, cat(1, 5, huge)), nil, []What{Corrupt}},
		{"more packed streams than bytes", sevenZipped(nil, cat(1, 4, 6, 0, huge)), nil, []What{Corrupt}},
		{"more folders than bytes", sevenZipped(nil, cat(1, 4, 7, 0x0b, huge)), nil, []What{Corrupt}},
		{"more coders than 7-Zip takes", sevenZipped(nil, cat(1, 4, 7, 0x0b, 1, 0, 33, strings.Repeat("\x01\x00", 40))), nil, []What{Corrupt}},
		{"no coder", sevenZipped(nil, cat(1, 4, 7, 0x0b, 1, 0, 0, "........")), nil, []What{Corrupt}},
		{"a coder with too many streams", sevenZipped(nil, cat(1, 4, 7, 0x0b, 1, 0, 1, 0x11, 0, million, 1, ".......")), nil, []What{Corrupt}},
		{"a coder with too many properties", sevenZipped(nil, cat(1, 4, 7, 0x0b, 1, 0, 1, 0x21, 0, million, ".......")), nil, []What{Corrupt}},
		{"more files in a folder than bytes", sevenZipped(nil, cat(1, 4, 6, 0, 1, 9, 0, 0, 7, 0x0b, 1, 0, 1, 1, 0, 0x0c, 9, 0, 8, 0x0d, huge, 0, 0)), nil, []What{Corrupt}},
		{"names elsewhere", sevenZipped(nil, cat(1, 5, 1, 0x11, 2, 1, 0, 0, 0)), nil, []What{Unread}},
		{"names cut", sevenZipped(nil, cat(1, 5, 1, 0x11, 3, 0, "a\x00", 0, 0)), nil, []What{Truncated}},
		{"another id", sevenZipped(nil, cat(9, 9, 9)), nil, []What{Corrupt}},
		{"a packed header of nothing", sevenZipped(nil, cat(0x17, 6, 0, 1, 9, 0, 0, 7, 0x0b, 1, 0, 1, 1, 0, 0x0c, 0, 0, 0)), nil, []What{Corrupt}},
		{"a packed header of a gigabyte", sevenZipped(nil, cat(0x17, 6, 0, 1, 9, 0, 0, 7, 0x0b, 1, 0, 1, 1, 0, 0x0c, szNumber(1<<30), 0, 0)), nil, []What{LimitHit}},
		{"a packed header by a coder that is not known", sevenZipped(nil, cat(0x17, 6, 0, 1, 9, 0, 0, 7, 0x0b, 1, 0, 1, 1, 0x77, 0x0c, 9, 0, 0)), nil, []What{Unread}},
		{"data that goes over the end", sevenZipped(nil, szStored(100, "a.exe")), []string{"a.exe"}, []What{Truncated}},
		{"files without data for them", sevenZipped(nil, cat(1, 5, 1, 0x11, 13, 0, "a\x00.\x00e\x00x\x00e\x00\x00\x00", 0, 0)), []string{"a.exe"}, []What{Unread}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, r := walked(t, tt.in, "a.7z", Limits{})
			if diff := cmp.Diff(tt.names, got); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
			checkWhat(t, r, tt.what)
		})
	}
}

// TestSevenZipHeaderThatPacksItself has a packed header that unpacks to itself.
func TestSevenZipHeaderThatPacksItself(t *testing.T) {
	// The packed stream starts behind the start header and is stored: the header's own bytes.
	header := cat(0x17, 6, 0, 1, 9, 20, 0, 7, 0x0b, 1, 0, 1, 1, 0, 0x0c, 20, 0, 0)
	header = append(header, make([]byte, 20-len(header))...)
	b := append(sevenZipStart(0, header), header...)
	_, r := walked(t, b, "a.7z", Limits{})
	checkWhat(t, r, []What{Corrupt})
}

func TestSevenZipTakesNoMoreThanTheWindow(t *testing.T) {
	for _, tt := range []struct {
		name string
		id   string
		prop string
	}{
		{"LZMA", "\x03\x01\x01", "\x5d\xff\xff\xff\xff"},
		{"LZMA2", "\x21", "\x28"},
		{"PPMd", "\x03\x04\x01", "\x06\xdb\xff\xff\xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			size := szNumber(1 << 40)
			// Two gigabytes packed, so that no ratio bounds the dictionary.
			header := cat(1, 4, 6, 0, 1, 9, szNumber(2<<30), 0, 7, 0x0b, 1, 0, 1, 0x20|len(tt.id), tt.id, len(tt.prop), tt.prop, 0x0c, size, 0, 0,
				5, 1, 0x11, 5, 0, "a\x00\x00\x00", 0, 0)
			src := endless{append(sevenZipStart(2<<30, header), 0, 2, 3, 4), header, 2<<30 + 32 + int64(len(header))}
			allocated := allocates(func() {
				r, err := Walk(t.Context(), src, "a.7z", Limits{Window: 1 << 20}, func(Member) error { return nil })
				if err != nil || !r.Hit(WindowLimit) {
					t.Errorf("findings %+v, error %v; want the window hit", r.Findings, err)
				}
			})
			if allocated > 4<<20 {
				t.Errorf("%d bytes allocated for a window of 1 MiB", allocated)
			}
		})
	}
}

func TestSevenZipKeepsAsManyFilesAsItVisits(t *testing.T) {
	const n = 200_000
	header := cat(1, 5, szNumber(n), 0x0e, szNumber(n/8), strings.Repeat("\xff", n/8), 0x11, szNumber(1+4*n), 0, strings.Repeat("a\x00\x00\x00", n), 0, 0)
	names, r := walked(t, sevenZipped(nil, header), "a.7z", Limits{Entries: 100})
	if len(names) != 100 || !r.Hit(EntriesLimit) {
		t.Errorf("%d members, findings %+v; want 100 and the limit", len(names), r.Findings)
	}
}

func TestSevenZipHeaderLimit(t *testing.T) {
	b := sevenZipped([]byte(payloadExe), szStored(len(payloadExe), "invoice.exe"))
	if _, r := walked(t, b, "a.7z", Limits{Header: 10}); !r.Hit(HeaderLimit) || r.Members != 0 {
		t.Errorf("report %+v, want the header limit", r)
	}
}
