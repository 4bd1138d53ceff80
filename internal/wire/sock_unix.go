//go:build unix && !aix

package wire

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// A sock reads from a socket without holding a buffer while it waits.
type sock struct {
	raw syscall.RawConn
	tcp bool
	// What was read last is acknowledged, or will be with an answer. The goroutine
	// that writes sets it too.
	acked atomic.Bool

	// For the function below, which is made once so that a read allocates nothing.
	step func(fd uintptr) bool
	r    *Reader
	n    int
	err  error
}

// newSock returns nil when nc is not a stream socket of this system.
func newSock(nc net.Conn) *sock {
	s := new(sock)
	s.acked.Store(true)
	var err error
	switch c := nc.(type) {
	case *net.TCPConn:
		s.tcp = true
		s.raw, err = c.SyscallConn()
	case *net.UnixConn:
		s.raw, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	s.step = s.tryRead
	return s
}

// Read makes a sock an io.Reader, for nothing but the type; see readInto.
func (s *sock) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func (s *sock) readInto(r *Reader) (int, error) {
	s.r, s.n, s.err = r, 0, nil
	if err := s.raw.Read(s.step); err != nil {
		return 0, err
	}
	return s.n, s.err
}

// tryRead reads once; false makes the caller wait for bytes.
func (s *sock) tryRead(fd uintptr) bool {
	s.r.release()
	for {
		n, err := syscall.Read(int(fd), s.r.room())
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			if s.err = s.r.rest(); s.err != nil {
				return true
			}
			if s.tcp && !s.acked.Load() {
				// What was read awaits more, and the peer may await an acknowledgement
				// before it sends that: Sendmail writes macros and command apart.
				quickACK(fd)
				s.acked.Store(true)
			}
			return false
		case err != nil:
			s.err = err
		case n == 0:
			s.err = io.EOF
		default:
			s.n = n
			s.acked.Store(false)
		}
		return true
	}
}

// peek looks at what stands unread in the socket: its end, or an ABORT or QUIT if
// a frame begins there.
func (s *sock) peek() (closed bool, cmd byte) {
	var b [HeadSize]byte
	err := s.raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
		case err != nil || n <= 0:
			closed = true
		case b == [HeadSize]byte{3: 1, 4: CmdAbort} || b == [HeadSize]byte{3: 1, 4: CmdQuit}:
			cmd = b[4]
		}
	})
	return closed || err != nil, cmd
}
