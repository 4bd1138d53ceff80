package archive

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRar(t *testing.T) {
	files := []file{{"readme.txt", payloadText}, {`dir/invoice.exe`, payloadExe}}
	names := []string{"readme.txt", "dir/invoice.exe"}
	four, five := rar4(files...), rar5(files...)
	inner := string(zipped(t, file{"invoice.exe", payloadExe}))
	start4 := append([]byte(sigRar+"\x00"), rar4Block(0x73, 0, make([]byte, 6))...)
	start5 := append([]byte(sigRar+"\x01\x00"), rar5Block(uvarints(1, 0, 0), "")...)
	crypt := append(uvarints(49, 1, 0, 0), make([]byte, 46)...) // one record of encryption
	link := append(uvarints(15, 5, 1, 0, 11), "/etc/passwd"...)
	for _, tt := range []struct {
		name  string
		in    []byte
		names []string
		what  []What
	}{
		{"format 4", four, names, nil},
		{"format 5", five, names, nil},
		{"format 4 behind a program", append([]byte(payloadExe), four...), names, nil},
		{"format 5 behind a program", append([]byte(payloadExe), five...), names, nil},
		{"format 4, nested", rar4(file{"b.zip", inner}), []string{"b.zip", "b.zip!invoice.exe"}, nil},
		{"format 5, nested", rar5(file{"b.dat", inner}), []string{"b.dat", "b.dat!invoice.exe"}, nil},
		{"format 5 in 4 in 5", rar5(file{"b.rar", string(rar4(file{"c.rar", string(five)}))}),
			[]string{"b.rar", "b.rar!c.rar", "b.rar!c.rar!readme.txt", "b.rar!c.rar!dir/invoice.exe"}, nil},
		{"format 4, separators of its own", rar4(file{`dir\a.txt`, "a"}), []string{"dir/a.txt"}, nil},
		{"format 4, cut in data", four[:len(four)-20], names, []What{Truncated}},
		{"format 5, cut in data", five[:len(five)-20], names, []What{Truncated}},
		{"format 4, cut in a header", four[:bytes.Index(four, []byte("invoice"))], names[:1], []What{Truncated}},
		{"format 5, cut in a header", five[:bytes.Index(five, []byte("invoice"))], names[:1], []What{Truncated}},
		{"format 4, a bad checksum", bytes.Replace(four, []byte("readme.txt"), []byte("readme.exe"), 1), []string{"readme.exe", "dir/invoice.exe"}, []What{Corrupt}},
		{"format 5, a bad checksum", bytes.Replace(five, []byte("readme.txt"), []byte("readme.exe"), 1), []string{"readme.exe", "dir/invoice.exe"}, []What{Corrupt}},
		{"format 4, an encrypted file", append(bytes.Clone(start4), rar4File("a.exe", "0123456789abcdef", 10, 4, 29, 0x33)...), []string{"a.exe"}, []What{Encrypted}},
		{"format 5, an encrypted file", append(bytes.Clone(start5), rar5File("a.exe", "0123456789abcdef", 10, 3<<7, crypt)...), []string{"a.exe"}, []What{Encrypted}},
		{"format 4, encrypted headers", append([]byte(sigRar+"\x00"), rar4Block(0x73, 0x80, make([]byte, 6))...), nil, []What{Encrypted, Unlisted}},
		{"format 5, encrypted headers", append([]byte(sigRar+"\x01\x00"), rar5Block(append(uvarints(4, 0, 0, 0), make([]byte, 17)...), "")...), nil, []What{Encrypted, Unlisted}},
		{"format 4, packed as RAR 3 does", append(bytes.Clone(start4), rar4File("a.exe", "0123456789", 20, 0, 29, 0x33)...), []string{"a.exe"}, []What{Unread}},
		{"format 4, packed as RAR 1.5 does", append(bytes.Clone(start4), rar4File("a.exe", "0123456789", 20, 0, 15, 0x33)...), []string{"a.exe"}, []What{Unread}},
		{"format 4, from another volume", append(bytes.Clone(start4), rar4File("a.exe", "0123456789", 20, 1, 29, 0x33)...), []string{"a.exe"}, []What{Truncated, Unread}},
		{"format 5, a link", append(bytes.Clone(start5), rar5File("a.txt", "", 0, 0, link)...), []string{"a.txt"}, nil},
		{"format 4, data without end", append(bytes.Clone(start4), rar4Block(0x74, 0x8000, func() []byte {
			b := make([]byte, 25)
			binary.LittleEndian.PutUint32(b, math.MaxUint32)
			b[18] = 0x30
			return b
		}())...), []string{""}, []What{Truncated}},
		{"format 5, data without end", append(bytes.Clone(start5), rar5Block(append(uvarints(2, 2, math.MaxUint64, 0, math.MaxUint64, 0, 0, 0, 5), "a.exe"...), "")...),
			[]string{"a.exe"}, []What{Truncated, LimitHit}},
		{"format 5, a header without end", append(bytes.Clone(start5), 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f), nil, []What{Corrupt}},
		{"format 5, a name without end", append(bytes.Clone(start5), rar5Block(uvarints(2, 0, 0, 0, 0, 0, 0, math.MaxUint64), "")...), nil, []What{Corrupt}},
		{"format 5, more extra than header", append(bytes.Clone(start5), rar5Block(uvarints(2, 1, 1000, 0), "")...), nil, []What{Corrupt}},
		{"format 4, a header too short", append(bytes.Clone(start4), 0, 0, 0x74, 0, 0, 3, 0), nil, []What{Corrupt}},
		{"before 1.5", []byte("RE~^ and something"), nil, []What{Unlisted}},
		{"a format to come", []byte(sigRar + "\x02\x00 and something"), nil, []What{Unlisted}},
		{"format 4, more volumes", append(bytes.Clone(start4), rar4Block(0x7b, 1, nil)...), nil, []What{Truncated}},
		{"format 5, more volumes", append(bytes.Clone(start5), rar5Block(uvarints(5, 0, 1), "")...), nil, []What{Truncated}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, r := walked(t, tt.in, "a.rar", Limits{})
			if diff := cmp.Diff(tt.names, got); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
			checkWhat(t, r, tt.what)
		})
	}
}

// checkWhat wants findings of all that is listed and no others.
func checkWhat(t *testing.T, r Report, want []What) {
	t.Helper()
	for w := Encrypted; w < whats; w++ {
		expected := false
		for _, x := range want {
			expected = expected || x == w
		}
		if r.Has(w) != expected {
			t.Errorf("Has(%s) = %t, want %t; findings %+v", w, r.Has(w), expected, r.Findings)
		}
	}
}

func TestRarWideNames(t *testing.T) {
	for _, tt := range []struct{ name, plain, packed, want string }{
		{"low bytes", "ab", "\x00\x00xy", "xy"},
		{"with the common high byte", "ab", "\x04\x50\x10\x11", "АБ"},
		{"both bytes", "a", "\x00\x80\xac\x20", "€"},
		{"a run as it is", "invoice.exe", "\x00\xc0\x09", "invoice.exe"},
		{"a run moved", "abc", "\x04\xc0\x81\xb0", "\u0411\u0412\u0413"},
		{"nothing", "abc", "", ""},
		{"cut", "abc", "\x04", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := rarWideName(tt.plain, []byte(tt.packed)); got != tt.want {
				t.Errorf("rarWideName(%q, %q) = %q, want %q", tt.plain, tt.packed, got, tt.want)
			}
		})
	}
	b := append([]byte(sigRar+"\x00"), rar4Block(0x73, 0, make([]byte, 6))...)
	b = append(b, rar4File("a.txt\x00\x00\x00a.ex\x00e", "a", 1, 0x200, 20, 0x30)...)
	if got := listing(t, b, "a.rar", Limits{}); !strings.Contains(got, `"a.exe"] or "a.txt"`) {
		t.Errorf("listing\n%s\nwants both names", got)
	}
}

// rarLiterals packs body as RAR does, without matches: after the start bits come tables of
// canonical codes, of eight bits for the 256 bytes and none for the other symbols, then the bytes.
func rarLiterals(body string, start, symbols int) (packed string, lastBits int) {
	var bits []byte
	n := 0
	put := func(v uint32, width int) {
		for i := width - 1; i >= 0; i-- {
			if n%8 == 0 {
				bits = append(bits, 0)
			}
			bits[n/8] |= byte(v>>i&1) << (7 - n%8)
			n++
		}
	}
	put(0, start)
	// Lengths of the 20 codes that tell the lengths of the others: 8 and 19 (a run of zeros) get one bit.
	for i := range 20 {
		switch i {
		case 8, 19:
			put(1, 4)
		default:
			put(0, 4)
		}
	}
	// Code 8 is 0; code 19 is 1 and seven bits of a count less 11.
	for range 256 {
		put(0, 1)
	}
	for left := symbols - 256; left > 0; {
		run := min(left, 138)
		if left-run > 0 && left-run < 11 {
			run -= 11
		}
		put(1, 1)
		put(uint32(run-11), 7)
		left -= run
	}
	for _, c := range []byte(body) {
		put(uint32(c), 8)
	}
	return string(bits), (n-1)%8 + 1
}

// rar5Literals makes one block as RAR 5 has it, whose end its length tells.
func rar5Literals(body string) string {
	bits, last := rarLiterals(body, 0, 306+64+16+44)
	// Flags: the bits of the last byte, two bytes of length, the last block, tables.
	flags, size := byte(last-1)|1<<3|0x40|0x80, len(bits)
	return string([]byte{flags, 0x5a ^ flags ^ byte(size) ^ byte(size>>8), byte(size), byte(size >> 8)}) + bits
}

func TestRarUnpacksWhatFormat4PacksIfAsked(t *testing.T) {
	inner := string(zipped(t, file{"invoice.exe", payloadExe}))
	bits, _ := rarLiterals(inner, 2, 299+60+17+28) // LZ, new tables
	b := append([]byte(sigRar+"\x00"), rar4Block(0x73, 0, make([]byte, 6))...)
	b = append(b, rar4File("b.zip", bits, uint32(len(inner)), 0, 29, 0x33)...)
	b = append(b, rar4Block(0x7b, 0x4000, nil)...)
	if names, r := walked(t, b, "a.rar", Limits{}); len(names) != 1 || !r.Has(Unread) {
		t.Errorf("names %q, findings %+v; want one name and nothing read", names, r.Findings)
	}
	names, r := walked(t, b, "a.rar", Limits{OldRar: true})
	if diff := cmp.Diff([]string{"b.zip", "b.zip!invoice.exe"}, names); diff != "" || len(r.Findings) > 0 {
		t.Errorf("names -want +got\n%sfindings %+v", diff, r.Findings)
	}
}

func TestRarUnpacksWhatFormat5Packs(t *testing.T) {
	start := append([]byte(sigRar+"\x01\x00"), rar5Block(uvarints(1, 0, 0), "")...)
	inner := string(zipped(t, file{"invoice.exe", payloadExe}))
	b := append(bytes.Clone(start), rar5File("readme.txt", rar5Literals(payloadText), uint64(len(payloadText)), 3<<7, nil)...)
	b = append(b, rar5File("dark.dat", "", 0, 0, nil)...)
	b = append(b, rar5File("b.zip", rar5Literals(inner), uint64(len(inner)), 3<<7, nil)...)
	b = append(b, rar5Block(uvarints(5, 0, 0), "")...)
	got := listing(t, b, "a.rar", Limits{})
	for _, want := range []string{`"readme.txt"] size 55 head "plain text, the same aga"`, `"b.zip" "invoice.exe"] size 43 head "MZ`, "members 4"} {
		if !strings.Contains(got, want) {
			t.Errorf("listing\n%s\nwants %s", got, want)
		}
	}
}

func TestRarJudgesTheDictionaryFirst(t *testing.T) {
	start := append([]byte(sigRar+"\x01\x00"), rar5Block(uvarints(1, 0, 0), "")...)
	// 4 GiB of dictionary for a file that says it is larger.
	b := append(bytes.Clone(start), rar5File("a.bin", rar5Literals("a"), 1<<40, 3<<7|15<<10, nil)...)
	b = append(b, rar5File("b.exe", payloadExe, uint64(len(payloadExe)), 0, nil)...)
	names, r := walked(t, b, "a.rar", Limits{})
	if diff := cmp.Diff([]string{"a.bin", "b.exe"}, names); diff != "" || !r.Hit(WindowLimit) {
		t.Errorf("names %q, findings %+v; want both, and the window hit", names, r.Findings)
	}
}

// TestRarSolid has files that go on in the dictionary of the one before.
func TestRarSolid(t *testing.T) {
	inner := string(zipped(t, file{"invoice.exe", payloadExe}))
	b := append([]byte(sigRar+"\x01\x00"), rar5Block(uvarints(1, 0, 4), "")...)
	for i, f := range []file{{"a.txt", payloadText}, {"b.bin", strings.Repeat(payloadText, 100)}, {"c.zip", inner}, {"d.txt", payloadExe}} {
		method := uint64(3 << 7)
		if i > 0 {
			method |= 0x40
		}
		b = append(b, rar5File(f.name, rar5Literals(f.body), uint64(len(f.body)), method, nil)...)
	}
	b = append(b, rar5Block(uvarints(5, 0, 0), "")...)
	got := listing(t, b, "a.rar", Limits{})
	for _, want := range []string{`"b.bin"] size 5500 head "plain`, `"c.zip" "invoice.exe"] size 43 head "MZ`, `"d.txt"] size 43 head "MZ`, "members 5"} {
		if !strings.Contains(got, want) {
			t.Errorf("listing\n%s\nwants %s", got, want)
		}
	}
	// What is skipped counts.
	r, err := Walk(t.Context(), bytes.NewReader(b), "a.rar", Limits{Unpacked: 3000}, func(Member) error { return nil })
	if err != nil || !r.Hit(UnpackedLimit) || r.Members != 4 {
		t.Errorf("report %+v, error %v; want four names and the limit", r, err)
	}
}

func TestRarOfMoreThanFourGigabytes(t *testing.T) {
	le := binary.LittleEndian
	f := rar4File("a.bin", "MZ..", 4, 0, 20, 0x30)[7 : 7+25+5]
	f = append(append(append(f[:25:25], make([]byte, 8)...), f[25:]...), "MZ.."...)
	le.PutUint32(f[29:], 1) // the high half of the size
	block := rar4Block(0x74, 0x8100, f[:len(f)-4])
	b := append([]byte(sigRar+"\x00"), rar4Block(0x73, 0, make([]byte, 6))...)
	b = append(append(b, block...), "MZ.."...)
	m := member(t, b, "a.rar")
	if m.Name != "a.bin" || m.Size != 1<<32+4 {
		t.Errorf("member %q of %d bytes", m.Name, m.Size)
	}
}
