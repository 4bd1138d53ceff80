package milter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gomilter/gomilter/internal/wire"
)

// Limits of a reply text.
const (
	maxReplyLines = 32  // as libmilter's smfi_setmlreply
	maxReplyLine  = 490 // bytes; with codes, blanks and CRLF within RFC 5321 section 4.5.3.1.5's 512
)

// ErrReply is in the error of a reply whose code or text no MTA would take.
var ErrReply = errors.New("reply cannot be sent")

// A Refusal is a reply that refuses: for good (5yz) or for now (4yz). It may be
// made once and returned many times.
//
// It refuses the recipient at rcpt, the message at mail, data and later stages,
// everything until the next connection at connect and helo, and the command at
// unknown. A code of 421 makes both MTAs close the SMTP connection.
type Refusal struct {
	a     answer
	code  int
	xcode string
	lines []string
}

// DefaultReject and DefaultTempFail refuse with the MTA's own text.
var (
	DefaultReject   = &Refusal{a: answer{code: wire.ReplyReject, name: "reject"}, code: 550, xcode: "5.7.1"}
	DefaultTempFail = &Refusal{a: answer{code: wire.ReplyTempFail, name: "tempfail"}, code: 451, xcode: "4.7.1"}
)

// Reject returns a reply that refuses for good. code is 500 to 599; enhanced is
// an RFC 3463 status code of class 5, or "" for none (a text that begins with a
// digit then gets 5.0.0); text becomes the reply's
// lines and is cut further at line ends and at 490 bytes, to 32 lines at most.
// Percent signs are doubled on the wire as the protocol wants; the SMTP client
// gets what is written here.
//
// Bytes outside printable ASCII are allowed only as UTF-8 for RFC 6531 clients;
// control characters other than line ends are not. Mistakes are the hook's
// fault when the reply is returned; [Refusal.Err] tells them before.
func Reject(code int, enhanced string, text ...string) *Refusal {
	return newRefusal('5', wire.ReplyReject, code, enhanced, text)
}

// TempFail returns a reply that refuses for now: the client should try again.
// code is 400 to 499 and the class of enhanced is 4; otherwise it is like
// [Reject].
func TempFail(code int, enhanced string, text ...string) *Refusal {
	return newRefusal('4', wire.ReplyTempFail, code, enhanced, text)
}

func newRefusal(class byte, bare byte, code int, xcode string, text []string) *Refusal {
	r := &Refusal{code: code, xcode: xcode}
	r.a.code, r.a.name = bare, "reject"
	if bare == wire.ReplyTempFail {
		r.a.name = "tempfail"
	}
	r.a.err = r.build(class, text)
	return r
}

func (r *Refusal) build(class byte, text []string) error {
	if r.code/100 != int(class-'0') {
		return fmt.Errorf("milter: %w: code %d is not %cyz", ErrReply, r.code, class)
	}
	if r.xcode != "" && !validEnhanced(r.xcode, class) {
		return fmt.Errorf("milter: %w: enhanced code %q is not %c.n.n (RFC 3463)", ErrReply, r.xcode, class)
	}
	for _, t := range text {
		for line := range strings.Lines(t) {
			r.lines = appendFolded(r.lines, strings.TrimRight(line, "\r\n"))
		}
	}
	if len(r.lines) > maxReplyLines {
		return fmt.Errorf("milter: %w: %d lines, at most %d", ErrReply, len(r.lines), maxReplyLines)
	}
	for _, line := range r.lines {
		if !utf8.ValidString(line) {
			return fmt.Errorf("milter: %w: %q is not UTF-8", ErrReply, line)
		}
		if i := strings.IndexFunc(line, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); i >= 0 {
			return fmt.Errorf("milter: %w: control character %q in %q", ErrReply, line[i], line)
		}
	}
	if r.xcode == "" && slices.ContainsFunc(r.lines, func(l string) bool { return l != "" && '0' <= l[0] && l[0] <= '9' }) {
		// Postfix takes a digit behind the code for an enhanced one, and breaks with
		// the filter when its class is another.
		r.xcode = string(class) + ".0.0"
	}
	b, at := wire.BeginFrame(nil, wire.ReplyCode)
	for i, line := range r.linesOrEmpty() {
		if i > 0 {
			b = append(b, '\r', '\n')
		}
		b = r.appendLine(b, line, i == len(r.lines)-1 || len(r.lines) == 0)
	}
	r.a.frame = wire.EndFrame(append(b, 0), at)
	return nil
}

func (r *Refusal) linesOrEmpty() []string {
	if len(r.lines) == 0 {
		return []string{""}
	}
	return r.lines
}

// appendLine appends "550 5.7.1 text", or "550-5.7.1 text" when lines follow.
// Both MTAs expect every percent sign doubled: to Sendmail the text is a format.
func (r *Refusal) appendLine(b []byte, line string, last bool) []byte {
	b = strconv.AppendInt(b, int64(r.code), 10)
	if last {
		b = append(b, ' ')
	} else {
		b = append(b, '-')
	}
	if r.xcode != "" {
		b = append(append(b, r.xcode...), ' ')
	}
	for i := range len(line) {
		if line[i] == '%' {
			b = append(b, '%')
		}
		b = append(b, line[i])
	}
	return b
}

// appendFolded cuts a line that is too long, at a blank where there is one.
func appendFolded(lines []string, line string) []string {
	for len(line) > maxReplyLine {
		cut := strings.LastIndexByte(line[:maxReplyLine], ' ')
		if cut < maxReplyLine/2 {
			for cut = maxReplyLine; cut > 0 && line[cut]&0xc0 == 0x80; cut-- { // not inside a UTF-8 sequence
			}
			if cut == 0 {
				cut = maxReplyLine
			}
		}
		lines = append(lines, line[:cut])
		line = strings.TrimLeft(line[cut:], " ")
	}
	return append(lines, line)
}

// validEnhanced judges an enhanced status code as libmilter does: class.n.n with
// up to three digits (RFC 3463 section 2).
func validEnhanced(x string, class byte) bool {
	parts := strings.Split(x, ".")
	if len(parts) != 3 || parts[0] != string(class) {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) < 1 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// Err returns what is wrong with the reply, nil for one that can be sent. The
// error wraps [ErrReply].
func (r *Refusal) Err() error { return r.a.err }

// Code returns the SMTP reply code.
func (r *Refusal) Code() int { return r.code }

// Enhanced returns the enhanced status code, "" for none.
func (r *Refusal) Enhanced() string { return r.xcode }

// Lines returns the lines of the text without codes; none for the MTA's own text.
func (r *Refusal) Lines() []string { return append([]string(nil), r.lines...) }

// Temporary reports whether the client may try again.
func (r *Refusal) Temporary() bool { return r.a.code == wire.ReplyTempFail }

// String returns the reply as the client sees it, lines joined by " / ".
func (r *Refusal) String() string {
	if r.a.frame == nil {
		return r.a.name
	}
	s := strconv.Itoa(r.code)
	if r.xcode != "" {
		s += " " + r.xcode
	}
	if len(r.lines) > 0 {
		s += " " + strings.Join(r.lines, " / ")
	}
	return s
}

func (r *Refusal) answer() *answer {
	if r == nil {
		return nil
	}
	return &r.a
}
