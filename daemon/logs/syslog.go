package logs

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// facilityMail is the facility mail of RFC 3164, section 4.1.1, times 8.
const facilityMail = 2 << 3

// syslogPaths is where systems have the socket of syslogd.
var syslogPaths = []string{"/dev/log", "/var/run/log", "/var/run/syslog"}

// A syslog writes each line as a datagram to syslogd on this host, in the form of
// RFC 3164 without a host name, as syslog(3) does.
type syslog struct {
	paths   []string
	timeout time.Duration
	name    string
	conn    *net.UnixConn // nil while there is none
	buf     []byte
	now     func() time.Time
}

func openSyslog(path string, timeout time.Duration) *syslog {
	s := &syslog{paths: syslogPaths, timeout: timeout, name: tagName(filepath.Base(os.Args[0])), now: time.Now}
	if path != "" {
		s.paths = []string{path}
	}
	return s
}

// tagName returns what may stand in the TAG of RFC 3164, section 4.1.3, of a
// program's name.
func tagName(name string) string {
	var b []byte
	for i := range len(name) {
		if c := name[i]; len(b) < 32 && (c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '.' || c == '_') {
			b = append(b, c)
		}
	}
	if len(b) == 0 {
		return "gomilter"
	}
	return string(b)
}

func (s *syslog) write(lines []line) (done, lost int, err error) {
	for ; done < len(lines); done++ {
		err := s.send(lines[done])
		if err != nil && !errors.Is(err, syscall.EMSGSIZE) && !errors.Is(err, os.ErrDeadlineExceeded) {
			s.drop() // syslogd may have been started anew
			err = s.send(lines[done])
		}
		switch {
		case errors.Is(err, syscall.EMSGSIZE): // it would never be taken
			lost++
		case err != nil:
			s.drop()
			return done, lost, err
		}
	}
	return done, lost, nil
}

func (s *syslog) send(l line) error {
	if s.conn == nil {
		if err := s.dial(); err != nil {
			return err
		}
	}
	b := append(s.buf[:0], '<')
	b = strconv.AppendInt(b, int64(facilityMail|priority(l.level)), 10)
	b = append(b, '>')
	b = s.now().AppendFormat(b, time.Stamp)
	b = append(append(append(b, ' '), s.name...), '[')
	b = strconv.AppendInt(b, int64(os.Getpid()), 10)
	b = append(b, "]: "...)
	s.buf = append(b, l.text[:len(l.text)-1]...)
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(s.buf)
	return err
}

func (s *syslog) dial() error {
	var errs []error
	for _, path := range s.paths {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: path})
		if err == nil {
			s.conn = conn
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("logs: syslog: %w", errors.Join(errs...))
}

func (s *syslog) drop() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

func (s *syslog) close() (lost int, err error) {
	s.drop()
	return 0, nil
}
