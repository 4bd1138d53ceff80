package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// allocates returns how many bytes f allocates.
func allocates(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// nestedZip packs a file into n zips, one in another.
func nestedZip(t testing.TB, n int) []byte {
	b := []byte(payloadExe)
	name := "invoice.exe"
	for i := range n {
		b, name = zipped(t, file{name, string(b)}), fmt.Sprintf("%d.zip", i)
	}
	return b
}

func TestDepthLimit(t *testing.T) {
	for _, tt := range []struct {
		depth, archives int
		hit             bool
		members         int
	}{
		{0, 5, false, 5},
		{0, 6, true, 5},
		{2, 2, false, 2},
		{2, 3, true, 2},
		{1, 50, true, 1},
	} {
		t.Run(fmt.Sprintf("%d archives, limit %d", tt.archives, tt.depth), func(t *testing.T) {
			_, r := walked(t, nestedZip(t, tt.archives), "a.zip", Limits{Depth: tt.depth})
			if r.Hit(DepthLimit) != tt.hit || r.Members != tt.members {
				t.Errorf("Hit %t, members %d; want %t, %d", r.Hit(DepthLimit), r.Members, tt.hit, tt.members)
			}
		})
	}
}

func TestEntriesLimit(t *testing.T) {
	var files []file
	for i := range 40 {
		files = append(files, file{fmt.Sprintf("%d.txt", i), "a"})
	}
	many := zipped(t, files...)
	var records []byte
	for i := range 40 {
		records = append(records, isoRecordBytes(fmt.Sprintf("F%d", i), 18, 1, 0, "")...)
	}
	for _, tt := range []struct {
		name string
		in   []byte
	}{
		{"zip", many},
		{"zip without a directory", many[:bytes.Index(many, []byte(zipCentral))]},
		{"tar", tarred(t, files...)},
		{"rar 4", rar4(files...)},
		{"rar 5", rar5(files...)},
		{"iso", isoSectors(isoSector, records)},
		{"over several archives", zipped(t, file{"1.zip", string(zipped(t, files[:20]...))}, file{"2.zip", string(zipped(t, files[20:]...))})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			names, r := walked(t, tt.in, "a", Limits{Entries: 30})
			if len(names) != 30 || r.Members != 30 || !r.Hit(EntriesLimit) {
				t.Errorf("%d members, findings %+v; want 30 and the limit", len(names), r.Findings)
			}
			if names, r := walked(t, tt.in, "a", Limits{Entries: 50}); len(names) < 40 || r.Hit(EntriesLimit) {
				t.Errorf("%d members, findings %+v; want all and no limit", len(names), r.Findings)
			}
		})
	}
	var tenThousand []file
	for i := range defaultEntries + 1 {
		tenThousand = append(tenThousand, file{fmt.Sprint(i), ""})
	}
	if _, r := walked(t, zipped(t, tenThousand...), "a.zip", Limits{}); r.Members != 10_000 || !r.Hit(EntriesLimit) {
		t.Errorf("%d members by default, findings %+v", r.Members, r.Findings)
	}
}

func TestUnpackedLimit(t *testing.T) {
	zeros := make([]byte, 4<<20)
	// An archive that is as large as its zeros: they follow the header of a tar.
	big := tarred(t, file{"zeros", string(zeros)}, file{"last.exe", payloadExe})
	var xzBig, zstdBig bytes.Buffer
	x, err := xz.NewWriter(&xzBig)
	if err != nil {
		t.Fatal(err)
	}
	x.Write(big)
	x.Close()
	z, err := zstd.NewWriter(&zstdBig)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(big)
	z.Close()
	for _, tt := range []struct {
		name, file string
		in         []byte
	}{
		{"gzip", "a.tgz", gzipped(t, "", big)},
		{"xz", "a.txz", xzBig.Bytes()},
		{"zstandard", "a.tzst", zstdBig.Bytes()},
		{"zip", "a.zip", zipped(t, file{"b.tar", string(big)})},
		{"gzip of gzip", "a.gz", gzipped(t, "", gzipped(t, "", big))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, r := walked(t, tt.in, tt.file, Limits{Unpacked: 1 << 20})
			if !r.Hit(UnpackedLimit) || r.Unpacked != 1<<20 {
				t.Errorf("%d bytes unpacked, findings %+v; want 1 MiB and the limit", r.Unpacked, r.Findings)
			}
			names, r := walked(t, tt.in, tt.file, Limits{})
			if r.Hit(UnpackedLimit) || !strings.HasSuffix(names[len(names)-1], "last.exe") {
				t.Errorf("names %q, findings %+v; want all and no limit", names, r.Findings)
			}
		})
	}
}

func TestNamesAreListedBehindTheUnpackedLimit(t *testing.T) {
	b := zipped(t, file{"b.tar", string(tarred(t, file{"zeros", string(make([]byte, 1<<20))}))}, file{"invoice.exe", payloadExe})
	names, r := walked(t, b, "a.zip", Limits{Unpacked: 100_000})
	if len(names) == 0 || names[len(names)-1] != "invoice.exe" || !r.Hit(UnpackedLimit) {
		t.Errorf("names %q, findings %+v", names, r.Findings)
	}
}

func TestDeclaredLimit(t *testing.T) {
	b := zipSized(t, file{"a.bin", "a"}, file{"b.bin", "b"})
	// Both say that they unpack to 3 GiB.
	at := bytes.Index(b, []byte(zipCentral))
	binary.LittleEndian.PutUint32(b[at+24:], 3<<30)
	_, r := walked(t, b, "a.zip", Limits{})
	if !r.Hit(DeclaredLimit) || r.Hit(UnpackedLimit) || r.Members != 2 {
		t.Errorf("report %+v, want both members and the declared limit", r)
	}
	if _, r := walked(t, b, "a.zip", Limits{Unpacked: 4 << 30}); r.Hit(DeclaredLimit) {
		t.Errorf("findings %+v below the limit", r.Findings)
	}
}

func TestNameLimit(t *testing.T) {
	b := zipped(t, file{strings.Repeat("a", 60_000), ""}, file{strings.Repeat("b", 60_000), ""}, file{"c", ""})
	names, r := walked(t, b, "a.zip", Limits{NameBytes: 100_000})
	if len(names) != 1 || !r.Hit(NameLimit) {
		t.Errorf("%d members, findings %+v; want one and the limit", len(names), r.Findings)
	}
	if names, r := walked(t, b, "a.zip", Limits{}); len(names) != 3 || r.Hit(NameLimit) {
		t.Errorf("%d members, findings %+v by default", len(names), r.Findings)
	}
	if _, r := walked(t, b, strings.Repeat("n", 200), Limits{NameBytes: 100}); !r.Hit(NameLimit) {
		t.Errorf("findings %+v for the outer name", r.Findings)
	}
}

func TestTimeLimit(t *testing.T) {
	b := zipped(t, file{"a.txt", payloadText}, file{"b.txt", payloadText}, file{"c.txt", payloadText})
	now := time.Unix(0, 0)
	var names []string
	walk := func(limit time.Duration) Report {
		names = nil
		r, err := Walk(context.Background(), bytes.NewReader(b), "a.zip", Limits{Time: limit, Now: func() time.Time { return now }}, func(m Member) error {
			names = append(names, m.Name)
			now = now.Add(15 * time.Second)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return r
	}
	if r := walk(0); !r.Hit(TimeLimit) || len(names) != 2 {
		t.Errorf("names %q, findings %+v; want two in 20 s", names, r.Findings)
	}
	if r := walk(time.Minute); r.Hit(TimeLimit) || len(names) != 3 {
		t.Errorf("names %q, findings %+v; want three in a minute", names, r.Findings)
	}
}

func TestWindowLimit(t *testing.T) {
	body := make([]byte, 768<<10) // random enough not to shrink, and repeated at a distance of 512 KiB
	seed := uint32(1)
	for i := range body {
		if i < 256<<10 {
			seed = seed*1664525 + 1013904223
			body[i] = byte(seed >> 24)
		} else if i >= 512<<10 {
			body[i] = body[i-512<<10]
		}
	}
	tarBody := tarred(t, file{"a.bin", string(body)}, file{"b.exe", payloadExe})
	var far, z bytes.Buffer
	w, err := xz.WriterConfig{DictCap: 8 << 20}.NewWriter(&far)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(tarBody)
	w.Close()
	e, err := zstd.NewWriter(&z, zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	e.Write(tarBody)
	e.Close()
	for _, tt := range []struct {
		name string
		in   []byte
	}{{"a.tar.xz", far.Bytes()}, {"a.tar.zst", z.Bytes()}} {
		t.Run(tt.name, func(t *testing.T) {
			if _, r := walked(t, tt.in, tt.name, Limits{Window: 256 << 10}); !r.Hit(WindowLimit) {
				t.Errorf("findings %+v, want the window", r.Findings)
			}
			if names, r := walked(t, tt.in, tt.name, Limits{}); len(r.Findings) > 0 || len(names) != 3 {
				t.Errorf("names %q, findings %+v by default", names, r.Findings)
			}
		})
	}
}

// TestSmallFilesTakeLittleMemory has files of a few bytes that ask for gigabytes.
func TestSmallFilesTakeLittleMemory(t *testing.T) {
	var x bytes.Buffer
	w, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(payloadText))
	w.Close()
	small := x.Bytes()
	block := small[12 : 12+4*(int(small[12])+1)]
	at := bytes.IndexByte(block, 0x21)
	block[at+2] = 38 // 2 GiB
	binary.LittleEndian.PutUint32(block[len(block)-4:], crc32.ChecksumIEEE(block[:len(block)-4]))
	lzmaHuge := append([]byte{0x5d, 0, 0, 0, 0x80}, bytes.Repeat([]byte{0xff}, 8)...)
	lzmaHuge = append(lzmaHuge, 0, 1, 2, 3, 4, 5)
	zstdHuge := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0} // a window of 2^41 bytes
	tarHuge := tarred(t, file{"a.bin", "a"})
	copy(tarHuge[124:], "\x80\x00\x00\x00\x0f\xff\xff\xff\xff\xff\xff\xff")
	fixTarSum(tarHuge)
	for _, tt := range []struct {
		name string
		in   []byte
		what What
	}{
		{"a.xz", small, 0},
		{"a.lzma", lzmaHuge, Truncated},
		{"a.zst", zstdHuge, LimitHit},
		{"a.tar", tarHuge, Truncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := allocates(func() {
				_, r := walked(t, tt.in, tt.name, Limits{})
				if tt.what != 0 && !r.Has(tt.what) {
					t.Errorf("findings %+v, want %s", r.Findings, tt.what)
				}
			})
			if n > 8<<20 {
				t.Errorf("%d bytes allocated for %d", n, len(tt.in))
			}
		})
	}
}

func fixTarSum(b []byte) {
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
}

// TestNestingWithoutEnd stands in for archives that contain themselves.
func TestNestingWithoutEnd(t *testing.T) {
	g := []byte(payloadText)
	for range 100 {
		g = gzipped(t, "", g)
	}
	for name, b := range map[string][]byte{"a.gz": g, "a.zip": nestedZip(t, 100)} {
		_, r := walked(t, b, name, Limits{})
		if r.Members != 5 || !r.Hit(DepthLimit) {
			t.Errorf("%s: %d members, findings %+v; want 5 and the limit of depth", name, r.Members, r.Findings)
		}
	}
}

// TestMembersThatOverlap has a directory whose entries all lead to one member, which is a
// zip too: few bytes that stand for many.
func TestMembersThatOverlap(t *testing.T) {
	b := zipSized(t, file{"b.zip", string(zipped(t, file{"c.exe", payloadExe}))})
	at, end := bytes.LastIndex(b, []byte(zipCentral)), bytes.LastIndex(b, []byte("PK\x05\x06"))
	const n = 20_000
	many := append(bytes.Clone(b[:at]), bytes.Repeat(b[at:end], n)...)
	tail := bytes.Clone(b[end:])
	binary.LittleEndian.PutUint16(tail[8:], n)
	binary.LittleEndian.PutUint16(tail[10:], n)
	binary.LittleEndian.PutUint32(tail[12:], uint32(n*(end-at)))
	if _, r := walked(t, append(many, tail...), "a.zip", Limits{}); r.Members != 10_000 || !r.Hit(EntriesLimit) {
		t.Errorf("%d members, findings %+v; want the limit of entries", r.Members, r.Findings)
	}
	few := append(bytes.Clone(b[:at]), bytes.Repeat(b[at:end], 2)...)
	binary.LittleEndian.PutUint16(tail[10:], 2)
	binary.LittleEndian.PutUint32(tail[12:], uint32(2*(end-at)))
	_, r := walked(t, append(few, tail...), "a.zip", Limits{})
	checkWhat(t, r, []What{Corrupt})
}

// Test42 has sixteen archives in each of sixteen, and so on, as 42.zip has.
func Test42(t *testing.T) {
	b := []byte(strings.Repeat("\x00", 1<<20))
	name := "0.dll"
	for range 5 {
		var files []file
		for i := range 16 {
			files = append(files, file{fmt.Sprintf("%d-%s", i, name), string(b)})
		}
		b, name = zipped(t, files...), "lib.zip"
	}
	start := time.Now()
	_, r := walked(t, b, "42.zip", Limits{})
	if !r.Hit(EntriesLimit) || !r.Hit(DeclaredLimit) {
		t.Errorf("members %d, findings %+v; want the limits of entries and of declared bytes", r.Members, r.Findings)
	}
	t.Logf("%d bytes, %d members, %d unpacked in %v", len(b), r.Members, r.Unpacked, time.Since(start))
}
