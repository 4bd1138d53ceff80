package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// A stream is a file, or whatever else takes bytes one after the other.
type stream struct {
	w       io.Writer
	closer  io.Closer // nil for what is not ours
	journal bool      // each line begins with its priority
	rest    []byte    // of a line that was begun
	buf     []byte
}

// maxWrite is how many bytes are written at once, if no line is longer.
const maxWrite = 64 << 10

func (s *stream) write(lines []line) (done, lost int, err error) {
	if len(s.rest) > 0 {
		n, err := s.w.Write(s.rest)
		if s.rest = s.rest[n:]; err != nil {
			return 0, 0, err
		}
	}
	for done < len(lines) {
		s.buf = s.buf[:0]
		first := done
		for done < len(lines) && (done == first || len(s.buf)+len(lines[done].text) < maxWrite) {
			if s.journal {
				s.buf = append(s.buf, '<', '0'+priority(lines[done].level), '>')
			}
			s.buf = append(s.buf, lines[done].text...)
			done++
		}
		n, err := s.w.Write(s.buf)
		if err == nil {
			continue
		}
		whole := bytes.Count(s.buf[:n], newline)
		done = first + whole
		if begun := bytes.LastIndexByte(s.buf[:n], '\n') + 1; begun < n {
			end := n + bytes.IndexByte(s.buf[n:], '\n') + 1
			s.rest = bytes.Clone(s.buf[n:end])
			done++
		}
		return done, 0, err
	}
	return done, 0, nil
}

var newline = []byte{'\n'}

func (s *stream) close() (lost int, err error) {
	if len(s.rest) > 0 {
		lost = 1
	}
	if s.closer != nil {
		err = s.closer.Close()
	}
	return lost, err
}

// openFile opens a file to append to. A named pipe without a reader is an error
// and does not hold up anything.
func openFile(path string, mode fs.FileMode) (destination, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, mode)
	if err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	return &stream{w: f, closer: f}, nil
}

// openStderr opens standard error and reports whether the journal reads it.
func openStderr(w io.Writer) (_ destination, journal bool, _ error) {
	if w == nil {
		w = os.Stderr
	}
	f, ok := w.(*os.File)
	if !ok {
		return &stream{w: w}, false, nil
	}
	journal = isJournal(f, os.Getenv("JOURNAL_STREAM"))
	// Descriptors 1 and 2 end a Go program when nobody reads them any more; a copy
	// does not.
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, false, fmt.Errorf("logs: standard error: %w", err)
	}
	var fd int
	var dupErr error
	err = raw.Control(func(of uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, dupErr = syscall.Dup(int(of)); dupErr == nil {
			syscall.CloseOnExec(fd)
		}
	})
	if err = errors.Join(err, dupErr); err != nil {
		return nil, false, fmt.Errorf("logs: standard error: %w", err)
	}
	out := os.NewFile(uintptr(fd), f.Name())
	return &stream{w: out, closer: out, journal: journal}, journal, nil
}

// isJournal reports whether a file is the stream to the journal that systemd named
// in JOURNAL_STREAM: device and inode (systemd.exec(5)).
func isJournal(f *os.File, stream string) bool {
	info, err := f.Stat()
	if err != nil || stream == "" {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", st.Dev, st.Ino) == stream
}
