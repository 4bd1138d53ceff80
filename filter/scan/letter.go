package scan

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// A letter is what a scanner is told: a message and its envelope.
type letter struct {
	head []byte // the header and the empty line
	body message.Source

	ip, host, helo, user string // of the client; "" where they are not known
	from                 string // without brackets
	rcpts                []string
	queue                string
	mta, daemon          string // the MTA's host name, and the name of its listener
	tls, cipher          string
	now                  time.Time
}

func newLetter(t *filter.Transaction, m *filter.Message, now time.Time) *letter {
	l := &letter{head: append(m.Header.Bytes(), "\r\n"...), body: m.Body, helo: t.Helo, user: t.User(), from: t.From().Address,
		queue: t.QueueID(), now: now}
	c := t.Client
	switch a := c.Addr.Addr().Unmap().WithZone(""); {
	case a.IsValid():
		l.ip = a.String()
	case c.Family == milter.FamilyUnix || c.Family == milter.FamilyUnknown:
		l.ip = "127.0.0.1" // a program of the MTA's host
	}
	if h := c.Host; !strings.HasPrefix(h, "[") && !strings.EqualFold(h, "unknown") {
		l.host = h
	}
	for _, r := range t.Rcpts() {
		l.rcpts = append(l.rcpts, r.Address)
	}
	l.mta, _ = t.Macro("j")
	l.daemon, _ = t.Macro("{daemon_name}")
	l.tls, _ = t.Macro("{tls_version}")
	l.cipher, _ = t.Macro("{cipher}")
	return l
}

// size returns how many bytes the message has.
func (l *letter) size() int64 { return int64(len(l.head)) + l.body.Size() }

// open returns the message's bytes. They are read from where they are.
func (l *letter) open() *letterReader {
	return &letterReader{r: io.MultiReader(bytes.NewReader(l.head), io.NewSectionReader(l.body, 0, l.body.Size()))}
}

// A letterReader remembers that the message could not be read, which is no fault of
// the server's.
type letterReader struct {
	r   io.Reader
	err error
}

func (r *letterReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = &letterError{err}
	}
	return n, err
}

// blame returns the error of sending what was read.
func (r *letterReader) blame(err error) error {
	if err != nil && r.err != nil {
		return r.err
	}
	return err
}

// A line is an end of a connection that remembers how it broke, which package http
// hides, and hides the ReadFrom of connections, which takes a buffer of its own.
type line struct {
	io.Reader
	io.Writer
	err error
}

// Read reads from the Reader.
func (l *line) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil {
		l.err = err
	}
	return n, err
}

// Write writes to the Writer.
func (l *line) Write(p []byte) (int, error) {
	n, err := l.Writer.Write(p)
	if err != nil {
		l.err = err
	}
	return n, err
}

// received returns a Received field as Postfix would write it, from what the MTA
// says of the client. Nothing in it is as the client wrote it but for letters that
// can do no harm. There is none where the client's address is not known.
func (l *letter) received() []byte {
	ip := l.ip
	if ip == "" {
		return nil
	}
	if strings.Contains(ip, ":") {
		ip = "IPv6:" + ip
	}
	how := "ESMTP"
	if l.tls != "" {
		how += "S"
	}
	if l.user != "" {
		how += "A"
	}
	return fmt.Appendf(nil, "Received: from %s (%s [%s])\r\n\tby %s (gomilter) with %s id %s\r\n\t(envelope-from <%s>);\r\n\t%s\r\n",
		word(l.helo, "unknown"), word(l.host, "unknown"), ip, word(l.mta, "localhost"), how, word(l.queue, "unknown"),
		path(l.from), l.now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

// word returns s as a word of a Received field.
func word(s, empty string) string {
	if s == "" {
		return empty
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', strings.ContainsRune("._:-", r):
			return r
		}
		return '?'
	}, s[:min(len(s), 255)])
}

// path returns an address as it may stand in angle brackets in a comment; "" for one
// that is too odd.
func path(s string) string {
	if len(s) > 320 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>()"\`, r) }) {
		return ""
	}
	return s
}
