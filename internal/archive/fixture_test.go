package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

// What tests pack. No payload is harmful.
const (
	payloadExe  = "MZ this is no program, only its first bytes"
	payloadText = "plain text, the same again, plain text, the same again\n"
)

// walked walks b and returns the members' full names, parts joined with "!".
func walked(t testing.TB, b []byte, name string, l Limits) ([]string, Report) {
	t.Helper()
	var names []string
	r, err := Walk(context.Background(), bytes.NewReader(b), name, l, func(m Member) error {
		names = append(names, strings.Join(append(m.Path[1:len(m.Path):len(m.Path)], m.Name), "!"))
		return nil
	})
	if err != nil {
		t.Errorf("Walk(%s) error = %v", name, err)
	}
	return names, r
}

// file is a member to pack.
type file struct{ name, body string }

// zipped packs files with archive/zip. A method of 0xffff stands for deflate.
func zipped(t testing.TB, files ...file) []byte {
	t.Helper()
	return zipMethod(t, zip.Deflate, files...)
}

func zipMethod(t testing.TB, method uint16, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		m, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(m, f.body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zipSized packs files stored, with their sizes in the local headers.
func zipSized(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		m, err := w.CreateRaw(&zip.FileHeader{Name: f.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte(f.body)),
			CompressedSize64: uint64(len(f.body)), UncompressedSize64: uint64(len(f.body))})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(m, f.body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, f.body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, name string, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = name
	w.Write(body)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rar4Block makes a block of format 4 with its checksum.
func rar4Block(kind byte, flags uint16, fields []byte) []byte {
	le := binary.LittleEndian
	b := []byte{0, 0, kind}
	b = le.AppendUint16(b, flags)
	b = le.AppendUint16(b, uint16(7+len(fields)))
	b = append(b, fields...)
	le.PutUint16(b, uint16(crc32.ChecksumIEEE(b[2:])))
	return b
}

// rar4File makes a file of format 4: its header and what is packed of it.
func rar4File(name, packed string, size uint32, flags uint16, version, method byte) []byte {
	le := binary.LittleEndian
	var f []byte
	f = le.AppendUint32(f, uint32(len(packed)))
	f = le.AppendUint32(f, size)
	f = append(f, 2) // Windows
	f = le.AppendUint32(f, crc32.ChecksumIEEE([]byte(packed)))
	f = le.AppendUint32(f, 0x5b21_0000)
	f = append(f, version, method)
	f = le.AppendUint16(f, uint16(len(name)))
	f = le.AppendUint32(f, 0x20)
	f = append(f, name...)
	return append(rar4Block(0x74, 0x8000|flags, f), packed...)
}

// rar4 makes a stored archive of format 4.
func rar4(files ...file) []byte {
	b := append([]byte(sigRar+"\x00"), rar4Block(0x73, 0, make([]byte, 6))...)
	for _, f := range files {
		b = append(b, rar4File(f.name, f.body, uint32(len(f.body)), 0, 20, 0x30)...)
	}
	return append(b, rar4Block(0x7b, 0x4000, nil)...)
}

func uvarints(ns ...uint64) []byte {
	var b []byte
	for _, n := range ns {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// rar5Block makes a block of format 5 with its checksum.
func rar5Block(fields []byte, data string) []byte {
	head := append(uvarints(uint64(len(fields))), fields...)
	b := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(head))
	return append(append(b, head...), data...)
}

// rar5File makes a file of format 5. extra are records of the header.
func rar5File(name, packed string, size, method uint64, extra []byte) []byte {
	flags := uint64(2)
	if extra != nil {
		flags |= 1
	}
	f := uvarints(2, flags)
	if extra != nil {
		f = append(f, uvarints(uint64(len(extra)))...)
	}
	f = append(f, uvarints(uint64(len(packed)), 0, size, 0x20, method, 0, uint64(len(name)))...)
	f = append(append(f, name...), extra...)
	return rar5Block(f, packed)
}

// rar5 makes a stored archive of format 5.
func rar5(files ...file) []byte {
	b := append([]byte(sigRar+"\x01\x00"), rar5Block(uvarints(1, 0, 0), "")...)
	for _, f := range files {
		b = append(b, rar5File(f.name, f.body, uint64(len(f.body)), 0, nil)...)
	}
	return append(b, rar5Block(uvarints(5, 0, 0), "")...)
}

// isoRecordBytes makes a directory record.
func isoRecordBytes(name string, extent, size uint32, flags byte, use string) []byte {
	le, be := binary.LittleEndian, binary.BigEndian
	n := 33 + len(name)
	n += n % 2
	b := make([]byte, n+len(use)+len(use)%2)
	b[0] = byte(len(b))
	le.PutUint32(b[2:], extent)
	be.PutUint32(b[6:], extent)
	le.PutUint32(b[10:], size)
	be.PutUint32(b[14:], size)
	b[25] = flags
	b[32] = byte(len(name))
	copy(b[33:], name)
	copy(b[n:], use)
	return b
}

// isoSectors makes an image of a volume descriptor, whose root is at sector 18, and sectors
// from there on.
func isoSectors(rootSize uint32, sectors ...[]byte) []byte {
	b := make([]byte, (18+len(sectors))*isoSector)
	d := b[16*isoSector:]
	copy(d, "\x01CD001\x01")
	binary.LittleEndian.PutUint16(d[128:], isoSector)
	copy(d[156:], isoRecordBytes("\x00", 18, rootSize, 2, ""))
	copy(b[17*isoSector:], "\xffCD001\x01")
	for i, s := range sectors {
		copy(b[(18+i)*isoSector:], s)
	}
	return b
}

// sevenZipped makes an archive whose header is as given and whose packed streams are data.
func sevenZipped(data, header []byte) []byte {
	return append(append(sevenZipStart(int64(len(data)), header), data...), header...)
}

// endless is a source of any size, whose bytes all are zero but for what it starts and ends with.
type endless struct {
	head, tail []byte
	size       int64
}

func (e endless) Size() int64 { return e.size }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for ; n < len(p) && off < e.size; n, off = n+1, off+1 {
		switch at := off - (e.size - int64(len(e.tail))); {
		case off < int64(len(e.head)):
			p[n] = e.head[off]
		case at >= 0:
			p[n] = e.tail[at]
		default:
			p[n] = 0
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
