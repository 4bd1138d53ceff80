package message

import (
	"errors"
	"io"
	"os"
)

// A Source is the bytes of a message or of a body. A [bytes.Reader], a
// [strings.Reader], an [io.SectionReader] and a [Spool] are Sources. What a tree
// was read from must not change before the tree is closed.
type Source interface {
	io.ReaderAt
	Size() int64 // in bytes
}

const spoolMemory = 1 << 20

// A Spool collects bytes in memory, and from a size on in a temporary file that
// has mode 0600 and no name. It is an [io.Writer] and a [Source]: reads may run
// at the same time, a write may not run beside others.
type Spool struct {
	memory int64
	dir    string
	mem    []byte
	file   *os.File
	named  bool // the system cannot remove a file that is open
	size   int64
	closed bool
}

// NewSpool returns an empty Spool that keeps up to memory bytes in memory (0
// means 1 MiB, less than 0 none) and makes its file in dir ("" means
// [os.TempDir]). It must be closed.
func NewSpool(memory int64, dir string) *Spool {
	if memory == 0 {
		memory = spoolMemory
	}
	return &Spool{memory: memory, dir: dir}
}

// Write appends p. It returns the error of the file, and [os.ErrClosed] behind
// Close.
func (s *Spool) Write(p []byte) (int, error) {
	if s.closed {
		return 0, os.ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	need := s.size + int64(len(p))
	if s.file == nil && need <= s.memory {
		if need > int64(cap(s.mem)) {
			// Doubling by hand: append may take more than memory allows.
			grown := make([]byte, s.size, min(max(2*int64(cap(s.mem)), need, 512), s.memory))
			copy(grown, s.mem)
			s.mem = grown
		}
		s.mem = append(s.mem[:s.size], p...)
		s.size = need
		return len(p), nil
	}
	if s.file == nil {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	n, err := s.file.WriteAt(p, s.size)
	s.size += int64(n)
	return n, err
}

// spill moves what is in memory to a file.
func (s *Spool) spill() error {
	f, err := os.CreateTemp(s.dir, "gomilter-spool-")
	if err != nil {
		return err
	}
	s.named = os.Remove(f.Name()) != nil
	s.file = f
	if _, err := f.WriteAt(s.mem[:s.size], 0); err != nil {
		s.drop()
		return err
	}
	s.mem = nil
	return nil
}

// drop closes the file, if there is one.
func (s *Spool) drop() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	s.file = nil
	return err
}

// ReadAt reads as [io.ReaderAt] has it. It returns [os.ErrClosed] behind Close.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case s.closed:
		return 0, os.ErrClosed
	case off < 0:
		return 0, errors.New("message: negative offset in a spool")
	case off >= s.size:
		return 0, io.EOF
	}
	short := false
	if left := s.size - off; int64(len(p)) > left {
		p, short = p[:left], true
	}
	n := 0
	if s.file != nil {
		var err error
		if n, err = s.file.ReadAt(p, off); err != nil && n < len(p) {
			return n, err
		}
	} else {
		n = copy(p, s.mem[off:s.size])
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// Size returns the number of bytes written.
func (s *Spool) Size() int64 { return s.size }

// InMemory reports whether all bytes are in memory.
func (s *Spool) InMemory() bool { return s.file == nil }

// Reset empties the Spool for what comes next; its file goes.
func (s *Spool) Reset() error {
	s.mem, s.size = s.mem[:0], 0
	return s.drop()
}

// truncate forgets all bytes behind size.
func (s *Spool) truncate(size int64) {
	if size < s.size {
		s.size = size
	}
}

// Close frees memory and file. A second Close does nothing.
func (s *Spool) Close() error {
	s.closed, s.mem, s.size = true, nil, 0
	return s.drop()
}
