package html

import (
	"io"
	"slices"
)

// A source is what a tokenizer reads: as much as it may, and what another
// tokenizer had read ahead.
type source struct {
	r    io.Reader
	left int64  // bytes that may be read of r
	over bool   // r had more
	back []byte // read first
}

// Read hands out little at a time, for a tokenizer reads as much as its buffer
// takes and all of it has to be moved to the next one.
func (s *source) Read(p []byte) (int, error) {
	if len(s.back) > 0 {
		n := copy(p, s.back)
		s.back = s.back[n:]
		return n, nil
	}
	if s.left == 0 {
		var one [1]byte
		n, err := io.ReadFull(s.r, one[:])
		if n > 0 {
			s.over, err = true, io.EOF
		}
		return 0, err
	}
	n, err := s.r.Read(p[:min(int64(len(p)), 4096, s.left)])
	s.left -= int64(n)
	if err == errCut {
		s.over, err = true, io.EOF
	}
	return n, err
}

func (s *source) unread(b ...[]byte) { s.back = slices.Concat(append(b, s.back)...) }
