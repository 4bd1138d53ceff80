package archive

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"testing"
	"time"
)

// fuzzLimits are small, so that a limit that does not hold shows.
var fuzzLimits = Limits{Entries: 200, Unpacked: 4 << 20, NameBytes: 100_000, Header: 64 << 10, Window: 1 << 20, Time: 5 * time.Second}

// seeds are whole archives of every kind.
func seeds(f *testing.F) map[string][]byte {
	all := map[string][]byte{}
	for _, p := range packed(f) {
		name, b := load(f, p)
		all[name] = b
	}
	files := []file{{"readme.txt", payloadText}, {"invoice.exe", payloadExe}}
	start5 := append([]byte(sigRar+"\x01\x00"), rar5Block(uvarints(1, 0, 0), "")...)
	all["4.rar"], all["5.rar"] = rar4(files...), rar5(files...)
	all["p.rar"] = append(start5, rar5File("a.txt", rar5Literals(payloadText), uint64(len(payloadText)), 3<<7, nil)...)
	all["small.iso"] = isoSectors(isoSector, isoRecordBytes("DIR", 19, isoSector, 2, ""), isoRecordBytes("A;1", 20, 4, 0, ""), []byte("MZ.."))
	all["s.7z"] = sevenZipped([]byte(payloadExe), szStored(len(payloadExe), "invoice.exe"))
	all["a.tgz"] = gzipped(f, "a.tar", tarred(f, files...))
	all["a.tar"], all["s.zip"], all["n.zip"] = tarred(f, files...), zipSized(f, files...), nestedZip(f, 3)
	return all
}

// fuzzWalk walks b and holds the walk against its limits.
func fuzzWalk(t *testing.T, b []byte, name string) {
	members, names := 0, 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	r, err := Walk(context.Background(), bytes.NewReader(b), name, fuzzLimits, func(m Member) error {
		members++
		for _, n := range m.Names {
			names += len(n)
		}
		if len(m.Head()) > headSize || len(m.Path) > defaultDepth || len(m.Names) == 0 || m.Names[0] != m.Name || m.Encrypted && m.Head() != nil {
			t.Errorf("member %+v", m)
		}
		return nil
	})
	runtime.ReadMemStats(&after)
	switch {
	case err != nil:
		t.Errorf("error = %v", err)
	case members != r.Members || members > fuzzLimits.Entries || int64(names) > fuzzLimits.NameBytes || r.Unpacked > fuzzLimits.Unpacked:
		t.Errorf("%d members, %d bytes of names, report %+v", members, names, r)
	case time.Since(start) > fuzzLimits.Time+2*time.Second:
		t.Errorf("took %v", time.Since(start))
	case after.TotalAlloc-before.TotalAlloc > 1<<30:
		t.Errorf("%d MiB allocated", (after.TotalAlloc-before.TotalAlloc)>>20)
	}
	for _, f := range r.Findings {
		if f.What == 0 || f.Kind == None || len(f.Path) == 0 || (f.What == LimitHit) != (f.Limit != NoLimit) {
			t.Errorf("finding %+v", f)
		}
	}
}

func FuzzWalk(f *testing.F) {
	for name, b := range seeds(f) {
		if len(b) < 8<<10 {
			f.Add(b, name)
		}
	}
	f.Fuzz(fuzzWalk)
}

// FuzzISO changes the descriptor and the directories of an image, whose system area is
// empty and not part of the input.
func FuzzISO(f *testing.F) {
	for name, b := range seeds(f) {
		if k, _ := Detect(bytes.NewReader(b)); k == ISO {
			f.Add(b[16*isoSector:min(len(b), 40*isoSector)], name)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		fuzzWalk(t, append(make([]byte, 16*isoSector), b...), name)
	})
}

// FuzzZipScan reads zips without their ends.
func FuzzZipScan(f *testing.F) {
	for name, b := range seeds(f) {
		if i := bytes.LastIndex(b, []byte("PK\x05\x06")); i > 0 && len(b) < 8<<10 {
			f.Add(b[:i], name)
			f.Add(b[:bytes.Index(b, []byte(zipCentral))], name)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if i := bytes.LastIndex(b, []byte("PK\x05\x06")); i >= 0 {
			b = b[:i]
		}
		fuzzWalk(t, b, "a.zip")
	})
}

// FuzzSevenZipHeader makes the checksums of a header right, which keep other fuzzing out.
func FuzzSevenZipHeader(f *testing.F) {
	f.Add([]byte(payloadExe), szStored(len(payloadExe), "invoice.exe"))
	for _, p := range packed(f) {
		name, b := load(f, p)
		if k, _ := Detect(bytes.NewReader(b)); k != SevenZip || name == "encrypted-header.7z" {
			continue
		}
		w := &walk{ctx: context.Background(), l: Limits{}.filled(), visit: func(Member) error { return nil }}
		w.end = w.l.Now().Add(time.Minute)
		c := &container{w: w, src: bytes.NewReader(b)}
		header, base, err := c.sevenZipHeader(0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[base:], header)
	}
	f.Fuzz(func(t *testing.T, data, header []byte) {
		if len(header) > 0 {
			fuzzWalk(t, sevenZipped(data, header), "a.7z")
		}
	})
}

// FuzzRarHeader makes the checksums of blocks right.
func FuzzRarHeader(f *testing.F) {
	f.Add(true, append(uvarints(2, 2, 4, 0, 4, 0, 0, 0, 5), "a.exe"...), []byte("MZ.."), byte(0), uint16(0))
	f.Add(true, append(uvarints(2, 2, 4, 0, 55, 0, 3<<7, 0, 5), "a.exe"...), []byte(rar5Literals(payloadText)), byte(0), uint16(0))
	f.Add(false, rar4File("a.exe", "MZ..", 4, 0, 20, 0x30)[7:], []byte("MZ.."), byte(0x74), uint16(0x8000))
	f.Add(false, rar4File("a.exe", "MZ..", 4, 0, 20, 0x33)[7:], []byte("MZ.."), byte(0x74), uint16(0x8000))
	f.Fuzz(func(t *testing.T, five bool, fields, data []byte, kind byte, flags uint16) {
		if len(fields) > 60_000 {
			return
		}
		b := append([]byte(sigRar+"\x00"), rar4Block(0x73, 0, make([]byte, 6))...)
		if five {
			b = append([]byte(sigRar+"\x01\x00"), rar5Block(uvarints(1, 0, 0), "")...)
			b = append(b, rar5Block(fields, string(data))...)
		} else {
			b = append(append(b, rar4Block(kind, flags, fields)...), data...)
		}
		fuzzWalk(t, b, "a.rar")
	})
}

// FuzzXZ reads streams whose block headers have right sums, which the reader does not
// look at, against nothing but its limits.
func FuzzXZ(f *testing.F) {
	for name, b := range seeds(f) {
		if k, _ := Detect(bytes.NewReader(b)); k == XZ || k == LZMA || k == Zstd || k == Bzip2 {
			f.Add(b, name)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, _ string) {
		w := &walk{ctx: context.Background(), l: fuzzLimits.filled(), visit: func(Member) error { return nil }}
		w.end = w.l.Now().Add(w.l.Time)
		w.at = &container{w: w}
		for _, open := range []func(Source) (io.ReadCloser, error){w.unxz, w.unlzma, w.unzstd, w.bunzip2} {
			r, err := open(bytes.NewReader(b))
			if err != nil {
				continue
			}
			io.Copy(io.Discard, meter{r, w})
			if r.Close(); w.window != 0 {
				t.Fatalf("%d bytes of the window are still taken", w.window)
			}
		}
	})
}
