package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"pgregory.net/rapid"
)

func TestZip(t *testing.T) {
	plain := zipped(t, file{"readme.txt", payloadText}, file{"dir/", ""}, file{"dir/invoice.exe", payloadExe})
	inner := zipped(t, file{"invoice.exe", payloadExe})
	directory := bytes.Index(plain, []byte(zipCentral))
	change := func(b []byte, old, new string, n int) []byte { return bytes.Replace(b, []byte(old), []byte(new), n) }
	names := []string{"readme.txt", "dir/", "dir/invoice.exe"}
	for _, tt := range []struct {
		name  string
		in    []byte
		file  string
		names []string
		what  []What
	}{
		{"plain", plain, "a.zip", names, nil},
		{"without a name that says so", plain, "a.dat", names, nil},
		{"empty archive", zipped(t), "a.zip", nil, nil},
		{"no bytes at all", nil, "a.zip", nil, nil},
		{"white space", []byte(" \r\n\r\n"), "a.zip", nil, nil},
		{"behind a program", append([]byte(payloadExe), plain...), "setup.exe", names, nil},
		{"behind a picture", append([]byte("GIF89a............................."), plain...), "a.gif", names, nil},
		{"with bytes behind it", append(bytes.Clone(plain), "trailing"...), "a.zip", names, nil},
		{"inside another", zipped(t, file{"b.zip", string(inner)}), "a.zip", []string{"b.zip", "b.zip!invoice.exe"}, nil},
		{"inside another, under another name", zipped(t, file{"b.txt", string(inner)}), "a.zip", []string{"b.txt", "b.txt!invoice.exe"}, nil},
		{"behind a program inside another", zipped(t, file{"b.exe", payloadExe + string(inner)}), "a.zip", []string{"b.exe", "b.exe!invoice.exe"}, nil},
		{"stored inside another", zipSized(t, file{"b.zip", string(inner)}, file{"c.txt", payloadText}), "a.zip",
			[]string{"b.zip", "b.zip!invoice.exe", "c.txt"}, nil},
		{"inside another, under a name of more", zipped(t, file{"b.zip ", "no zip"}), "a.zip", []string{"b.zip "}, []What{Corrupt}},
		{"empty inside another", zipped(t, file{"b.zip", ""}), "a.zip", []string{"b.zip"}, nil},
		{"without a directory", plain[:directory], "a.zip", names, []What{Truncated}},
		{"cut in the directory", plain[:directory+60], "a.zip", names, []What{Truncated}},
		{"cut in a member", plain[:bytes.Index(plain, []byte("dir/invoice"))+20], "a.zip", names, []What{Truncated}},
		{"cut in a name", plain[:bytes.Index(plain, []byte("dir/invoice"))+3], "a.zip", names[:2], []What{Truncated}},
		{"another first signature", change(plain, zipLocal, "PX\x03\x04", 1), "a.zip", names, []What{Corrupt}},
		{"no local signature", change(plain, zipLocal, "PX\x03\x04", -1), "a.zip", names, []What{Corrupt}},
		{"no local signature and no end", change(change(plain, zipLocal, "PX\x03\x04", -1), "PK\x05\x06", "PX\x05\x06", 1), "a.zip", names, []What{Truncated, Unread}},
		{"none of its marks left", change(plain, "PK\x03\x04", "PX\x03\x05", -1)[:directory-1], "a.zip", nil, []What{Corrupt}},
		{"no end", change(plain, "PK\x05\x06", "PX\x05\x06", 1), "a.zip", names, []What{Truncated}},
		{"no zip at all", []byte("this is some text, and no zip whatever its name says"), "a.zip", nil, []What{Corrupt}},
		{"names that differ", change(plain, "dir/invoice.exe", "dir/invoice.txt", 1), "a.zip", names, []What{Mismatch}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, r := walked(t, tt.in, tt.file, Limits{})
			if diff := cmp.Diff(tt.names, got); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
			checkWhat(t, r, tt.what)
		})
	}
}

func TestZipReportsBothNames(t *testing.T) {
	b := bytes.Replace(zipSized(t, file{"invoice.txt", payloadExe}), []byte("invoice.txt"), []byte("invoice.exe"), 1)
	if got := listing(t, b, "a.zip", Limits{}); !strings.Contains(got, `"invoice.txt"] or "invoice.exe"`) || !strings.Contains(got, "mismatch") {
		t.Errorf("listing\n%s\nwants both names", got)
	}
}

func TestZipFindsMembersThatHide(t *testing.T) {
	hidden := zipSized(t, file{"hidden.exe", payloadExe})
	hidden = hidden[:bytes.Index(hidden, []byte(zipCentral))]
	shown := zipSized(t, file{"shown.txt", payloadText})
	names, r := walked(t, append(hidden, shown...), "a.zip", Limits{})
	if diff := cmp.Diff([]string{"shown.txt", "hidden.exe"}, names); diff != "" || !r.Has(Mismatch) {
		t.Errorf("names %q, findings %+v", names, r.Findings)
	}
}

func TestZipDoesNotTakeAStoredArchiveForHiddenMembers(t *testing.T) {
	_, r := walked(t, zipSized(t, file{"b.zip", string(zipSized(t, file{"c.txt", payloadText}))}), "a.zip", Limits{})
	if len(r.Findings) != 0 || r.Members != 2 {
		t.Errorf("report %+v, want two members and no findings", r)
	}
}

func TestZipNames(t *testing.T) {
	upath := func(name string) []byte {
		b := binary.LittleEndian.AppendUint16(nil, 0x7075)
		b = binary.LittleEndian.AppendUint16(b, uint16(5+len(name)))
		return append(append(b, 1, 0, 0, 0, 0), name...)
	}
	for _, tt := range []struct {
		name  string
		raw   string
		extra []byte
		flags uint16
		want  []string
	}{
		{"ASCII", "a.txt", nil, 0, []string{"a.txt"}},
		{"code page 437", "gr\x81n.txt", nil, 0, []string{"grün.txt"}},
		{"UTF-8 without its flag", "grün.txt", nil, 0, []string{"grün.txt", "gr├╝n.txt"}},
		{"UTF-8", "grün.txt", nil, zipFlagUTF8, []string{"grün.txt"}},
		{"flagged but no UTF-8", "gr\x81n.txt", nil, zipFlagUTF8, []string{"gr\x81n.txt"}},
		{"another path", "a.txt", upath("a.exe"), 0, []string{"a.txt", "a.exe"}},
		{"extra field too long", "a.txt", upath("a.exe")[:8], 0, []string{"a.txt"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, zipNames([]byte(tt.raw), tt.extra, tt.flags)); diff != "" {
				t.Errorf("zipNames(%q) -want +got\n%s", tt.raw, diff)
			}
		})
	}
}

// TestZipMethods unpacks what a head is seen of, by each method, in full.
func TestZipMethods(t *testing.T) {
	var xzBody, zstdBody bytes.Buffer
	x, err := xz.NewWriter(&xzBody)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(x, payloadExe)
	x.Close()
	z, err := zstd.NewWriter(&zstdBody)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(z, payloadExe)
	z.Close()
	for _, tt := range []struct {
		name   string
		method uint16
		body   string
		head   string
		what   What
	}{
		{"stored", 0, payloadExe, payloadExe, 0},
		{"xz", 95, xzBody.String(), payloadExe, 0},
		{"zstandard", 93, zstdBody.String(), payloadExe, 0},
		{"zstandard, broken", 93, zstdBody.String()[:20], "", Truncated},
		{"LZMA, broken", 14, "\x10\x02\x05\x00", "", Truncated},
		{"LZMA with other properties", 14, "\x10\x02\x06\x00.....", "", Unread},
		{"deflate64", 9, payloadExe, "", Unread},
		{"one that is not known", 1234, payloadExe, "", Unread},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			w := zip.NewWriter(&b)
			m, err := w.CreateRaw(&zip.FileHeader{Name: "a", Method: tt.method, CRC32: crc32.ChecksumIEEE([]byte(payloadExe)),
				CompressedSize64: uint64(len(tt.body)), UncompressedSize64: uint64(len(payloadExe))})
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(m, tt.body)
			w.Close()
			var head []byte
			r, err := Walk(t.Context(), bytes.NewReader(b.Bytes()), "a.zip", Limits{}, func(m Member) error {
				head = bytes.Clone(m.Head())
				return nil
			})
			if err != nil || string(head) != tt.head || tt.what != 0 && !r.Has(tt.what) || tt.what == 0 && len(r.Findings) > 0 {
				t.Errorf("head %q, want %q; findings %+v, want %s; error %v", head, tt.head, r.Findings, tt.what, err)
			}
		})
	}
}

func TestZip64(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	// The writer takes to Zip64 for a size that is declared so.
	m, err := w.CreateRaw(&zip.FileHeader{Name: "big.bin", Method: zip.Store, CompressedSize64: 4, UncompressedSize64: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(m, "MZ..")
	m, _ = w.Create("b.txt")
	io.WriteString(m, payloadText)
	w.Close()
	var sizes []int64
	r, err := Walk(t.Context(), bytes.NewReader(b.Bytes()), "a.zip", Limits{}, func(m Member) error {
		sizes = append(sizes, m.Size)
		return nil
	})
	if diff := cmp.Diff([]int64{1 << 40, int64(len(payloadText))}, sizes); diff != "" || err != nil {
		t.Errorf("sizes -want +got\n%s%v", diff, err)
	}
	if !r.Hit(DeclaredLimit) {
		t.Errorf("findings %+v, want the declared size", r.Findings)
	}
}

// TestZipAgreesWithTheStandardLibrary packs any members and wants their names and heads.
func TestZipAgreesWithTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		files := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) file {
			return file{rapid.StringMatching(`[a-z]{1,12}\.txt`).Draw(t, "name"), rapid.StringN(0, 5000, -1).Draw(t, "body")}
		}), 0, 6).Draw(rt, "files")
		b := zipMethod(t, rapid.SampledFrom([]uint16{zip.Store, zip.Deflate}).Draw(rt, "method"), files...)
		prefix := rapid.SampledFrom([]string{"", payloadExe, "some text"}).Draw(rt, "prefix")
		i := 0
		_, err := Walk(t.Context(), bytes.NewReader(append([]byte(prefix), b...)), "a.zip", Limits{}, func(m Member) error {
			want := files[i].body[:min(len(files[i].body), headSize)]
			if m.Name != files[i].name || string(m.Head()) != want {
				rt.Errorf("member %d is %q with %d bytes of head, want %q with %d", i, m.Name, len(m.Head()), files[i].name, len(want))
			}
			i++
			return nil
		})
		if err != nil || i != len(files) {
			rt.Errorf("%d members of %d, error %v", i, len(files), err)
		}
	})
}

// TestZipsThatPymilterSaw has the attachments of rows MT-14 to MT-17 in docs/pymilter.md.
func TestZipsThatPymilterSaw(t *testing.T) {
	long := "zip.doc" + strings.Repeat(" ", 60) + ".exe"
	one := zipped(t, file{long, payloadExe})
	inner := zipped(t, file{"document.exe", payloadExe})
	for _, tt := range []struct {
		name, file string
		in         []byte
		names      []string
		what       []What
	}{
		{"MT-14, an extension behind spaces", "zip.zip", one, []string{long}, nil},
		{"MT-15, an empty body", "zip.zip", nil, nil, nil},
		{"MT-16, the signature damaged", "zip.zip", bytes.Replace(one, []byte("PK"), []byte("XX"), 1), []string{long}, []What{Corrupt}},
		{"MT-16, every signature damaged", "zip.zip", bytes.ReplaceAll(one, []byte("PK"), []byte("XX")), nil, []What{Corrupt}},
		{"MT-17, a zip in a zip", "user@example.com.zip", zipped(t, file{"document.zip", string(inner)}), []string{"document.zip", "document.zip!document.exe"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, r := walked(t, tt.in, tt.file, Limits{})
			if diff := cmp.Diff(tt.names, got); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
			checkWhat(t, r, tt.what)
		})
	}
}

// TestZip64Directory has the end of the directory in its longer form, behind a prefix too.
func TestZip64Directory(t *testing.T) {
	le := binary.LittleEndian
	b := zipped(t, file{"a.txt", payloadText}, file{"b.exe", payloadExe})
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	size, offset := le.Uint32(b[end+12:]), le.Uint32(b[end+16:])
	record := make([]byte, zipEnd64Len)
	copy(record, "PK\x06\x06")
	le.PutUint64(record[4:], zipEnd64Len-12)
	le.PutUint64(record[24:], 2)
	le.PutUint64(record[32:], 2)
	le.PutUint64(record[40:], uint64(size))
	le.PutUint64(record[48:], uint64(offset))
	locator := make([]byte, 20)
	copy(locator, "PK\x06\x07")
	le.PutUint64(locator[8:], uint64(end))
	tail := bytes.Clone(b[end:])
	copy(tail[8:], bytes.Repeat([]byte{0xff}, 12))
	long := cat(b[:end], record, locator, tail)
	far := bytes.Clone(long)
	le.PutUint64(far[end+40:], 1<<62)
	for _, tt := range []struct {
		name  string
		in    []byte
		names []string
		what  []What
	}{
		{"as it is", long, []string{"a.txt", "b.exe"}, nil},
		{"behind a program", append([]byte(payloadExe), long...), []string{"a.txt", "b.exe"}, nil},
		{"without its locator", cat(b[:end], record, make([]byte, 20), tail), []string{"a.txt", "b.exe"}, []What{Truncated}},
		{"of a size without end", far, []string{"a.txt", "b.exe"}, []What{Truncated}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, r := walked(t, tt.in, "a.zip", Limits{})
			if diff := cmp.Diff(tt.names, got); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
			checkWhat(t, r, tt.what)
		})
	}
}
