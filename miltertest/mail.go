package miltertest

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/mta"
)

// A Mail is one message with its envelope. Every field may be left out.
type Mail struct {
	Conn *mta.Conn // nil means DefaultConn
	Helo string    // "" means "client.example"
	// From and Rcpts are what stands behind MAIL FROM: and RCPT TO:, parameters and
	// all: "<a@example.org> SIZE=100". Angle brackets that are missing are added.
	From  string   // "" means "<sender@example.org>"; the null sender is "<>"
	Rcpts []string // nil means "<rcpt@example.net>"
	// Macros are set before HELO, by name with or without braces: "auth_authen".
	// Filters see them where the MTA's or their own lists name them. Those of the
	// connection are in Macros of the Client.
	Macros map[string]string

	// The message, any bytes at all: one of these, or none for a short one.
	File   string
	Text   string
	Reader io.Reader
}

// The parts of a Mail that are left out.
const (
	defaultHelo = "client.example"
	defaultFrom = "<sender@example.org>"
	defaultRcpt = "<rcpt@example.net>"
	defaultText = "From: Sender <sender@example.org>\r\nTo: rcpt@example.net\r\nSubject: test\r\n" +
		"Date: Thu, 1 Jan 2026 12:00:00 +0000\r\nMessage-ID: <test@example.org>\r\n\r\nHello.\r\n"
)

// text returns the message.
func (m *Mail) text(t testing.TB) string {
	t.Helper()
	var b []byte
	var err error
	switch {
	case m.File != "" && m.Text != "" || m.Reader != nil && m.File+m.Text != "":
		t.Fatal("miltertest: more than one of File, Text and Reader is set")
	case m.File != "":
		b, err = os.ReadFile(m.File)
	case m.Reader != nil:
		b, err = io.ReadAll(m.Reader)
	case m.Text != "":
		return m.Text
	default:
		return defaultText
	}
	if err != nil {
		t.Fatalf("miltertest: %v", err)
	}
	return string(b)
}

// path parts an address from its parameters.
func path(s string) (addr string, params []string) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "<") {
		if end := strings.IndexByte(s, '>'); end >= 0 {
			return s[:end+1], strings.Fields(s[end+1:])
		}
		return s, nil
	}
	addr, rest, _ := strings.Cut(s, " ")
	return "<" + addr + ">", strings.Fields(rest)
}
