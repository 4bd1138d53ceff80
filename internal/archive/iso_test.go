package archive

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestISO(t *testing.T) {
	le := binary.LittleEndian
	exe := isoRecordBytes("INVOICE.EXE;1", 20, uint32(len(payloadExe)), 0, "")
	dots := append(isoRecordBytes("\x00", 18, isoSector, 2, ""), isoRecordBytes("\x01", 18, isoSector, 2, "")...)
	inner := zipped(t, file{"invoice.exe", payloadExe})
	text := []byte(payloadExe)
	nm := func(name string) string { return "NM" + string([]byte{byte(5 + len(name)), 1, 0}) + name }
	ce := string(cat("CE", 28, 1, []byte{19, 0, 0, 0, 0, 0, 0, 19}, []byte{4, 0, 0, 0, 0, 0, 0, 4}, []byte{64, 0, 0, 0, 0, 0, 0, 64}))
	loop := string(cat("CE", 28, 1, []byte{19, 0, 0, 0, 0, 0, 0, 19}, make([]byte, 8), []byte{64, 0, 0, 0, 0, 0, 0, 64}))
	udfOnly := make([]byte, 40*isoSector)
	copy(udfOnly[16*isoSector:], "\x00BEA01\x01")
	copy(udfOnly[17*isoSector:], "\x00NSR02\x01")
	bridge := isoSectors(isoSector, append(bytes.Clone(dots), exe...), nil, text)
	copy(bridge[17*isoSector:], "\x00NSR02\x01")
	odd := isoSectors(isoSector, append(bytes.Clone(dots), exe...), nil, text)
	le.PutUint16(odd[16*isoSector+128:], 7)
	for _, tt := range []struct {
		name  string
		in    []byte
		file  string
		names []string
		what  []What
	}{
		{"a file", isoSectors(isoSector, append(bytes.Clone(dots), exe...), nil, text), "a.iso", []string{"INVOICE.EXE"}, nil},
		{"under another name", isoSectors(isoSector, exe, nil, text), "a.img", []string{"INVOICE.EXE"}, nil},
		{"a zip in it", isoSectors(isoSector, isoRecordBytes("A.ZIP;1", 20, uint32(len(inner)), 0, ""), nil, inner), "a.iso", []string{"A.ZIP", "A.ZIP!invoice.exe"}, nil},
		{"in a zip", zipped(t, file{"b.dat", string(isoSectors(isoSector, exe, nil, text))}), "a.zip", []string{"b.dat", "b.dat!INVOICE.EXE"}, nil},
		{"a directory", isoSectors(isoSector, isoRecordBytes("DIR", 19, isoSector, 2, ""), exe, text), "a.iso", []string{"DIR", "DIR/INVOICE.EXE"}, nil},
		{"a directory that is its own parent", isoSectors(isoSector, append(bytes.Clone(exe), isoRecordBytes("DIR", 18, isoSector, 2, "")...), nil, text), "a.iso", []string{"INVOICE.EXE", "DIR"}, nil},
		{"directories that hold each other", isoSectors(isoSector, isoRecordBytes("A", 19, isoSector, 2, ""), isoRecordBytes("B", 18, isoSector, 2, "")), "a.iso", []string{"A", "A/B"}, nil},
		{"a Rock Ridge name", isoSectors(isoSector, isoRecordBytes("INVOICE.TXT;1", 20, 4, 0, nm("invoice.exe")), nil, text), "a.iso", []string{"invoice.exe"}, nil},
		{"a Rock Ridge name that goes on elsewhere", isoSectors(isoSector, isoRecordBytes("INVOICE.TXT;1", 20, 4, 0, nm("invoice")+ce), []byte("...."+nm(".exe")), text), "a.iso", []string{"invoice.exe"}, nil},
		{"a system use area that loops", isoSectors(isoSector, isoRecordBytes("INVOICE.TXT;1", 20, 4, 0, loop), []byte(nm("a")+loop), text), "a.iso", []string{"aaaaaaa"}, nil},
		{"a file beyond the end", isoSectors(isoSector, isoRecordBytes("A.EXE;1", 1<<31, 1<<31, 0, "")), "a.iso", []string{"A.EXE"}, []What{Truncated, LimitHit}},
		{"a directory beyond the end", isoSectors(isoSector, isoRecordBytes("A", 1<<31, 1<<31, 2, "")), "a.iso", []string{"A"}, []What{Truncated}},
		{"a root without end", isoSectors(1<<31, exe, nil, text), "a.iso", []string{"INVOICE.EXE"}, nil},
		{"a bad record", isoSectors(isoSector, append(bytes.Clone(exe), 20, 1, 2, 3), nil, text), "a.iso", []string{"INVOICE.EXE"}, []What{Corrupt}},
		{"a name longer than its record", isoSectors(isoSector, func() []byte { b := bytes.Clone(exe); b[32] = 200; return b }()), "a.iso", nil, []What{Corrupt}},
		{"a block size that cannot be", odd, "a.iso", []string{"INVOICE.EXE"}, nil},
		{"cut behind the descriptors", isoSectors(isoSector, exe)[:18*isoSector+100], "a.iso", nil, []What{Truncated}},
		{"UDF alone", udfOnly, "a.iso", nil, []What{Unlisted}},
		{"UDF beside it", bridge, "a.iso", []string{"INVOICE.EXE"}, []What{Unlisted}},
		{"no image", []byte("nothing of the kind"), "a.iso", nil, []What{Corrupt}},
		{"a file in two extents", isoSectors(isoSector, append(isoRecordBytes("A.EXE;1", 20, isoSector, 0x80, ""), isoRecordBytes("A.EXE;1", 21, 4, 0, "")...), nil, text, text), "a.iso",
			[]string{"A.EXE"}, nil},
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

func TestISOShowsEveryName(t *testing.T) {
	got := listing(t, isoSectors(isoSector, isoRecordBytes("A.;1", 20, 4, 0, ""), nil, []byte("MZ..")), "a.iso", Limits{})
	if want := `"A"] or "A.;1" size 4 head "MZ.."`; !strings.Contains(got, want) {
		t.Errorf("listing\n%s\nwants %s", got, want)
	}
}
