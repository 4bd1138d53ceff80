package archive

import (
	"errors"
	"io"
	"os"
)

// A Source is bytes that can be read anywhere, such as a [bytes.Reader] or an
// [io.SectionReader].
type Source interface {
	io.ReaderAt
	Size() int64
}

// A Spool holds an unpacked archive: it is written from the start to the end, then read,
// then closed. Size is the number of bytes written.
type Spool interface {
	io.Writer
	Source
	io.Closer
}

// spool keeps what is written in memory, and from memory bytes on in a file. The file has
// lost its name when the first byte goes into it.
type spool struct {
	memory int
	dir    string // "" means os.TempDir
	buf    []byte
	file   *os.File
	size   int64
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.buf)+len(p) <= s.memory {
		s.buf = append(s.buf, p...)
		s.size += int64(len(p))
		return len(p), nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "unpacked-*")
		if err != nil {
			return 0, err
		}
		if err := os.Remove(f.Name()); err != nil {
			f.Close()
			return 0, err
		}
		s.file = f
		if _, err := f.Write(s.buf); err != nil {
			return 0, err
		}
		s.buf = nil
	}
	n, err := s.file.Write(p)
	s.size += int64(n)
	return n, err
}

func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case s.file != nil:
		return s.file.ReadAt(p, off)
	case off < 0:
		return 0, errors.New("archive: negative offset")
	case off >= int64(len(s.buf)):
		return 0, io.EOF
	}
	n := copy(p, s.buf[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *spool) Size() int64 { return s.size }

func (s *spool) Close() error {
	s.buf = nil
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
