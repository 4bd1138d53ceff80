package smtpc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Reply is a server's reply (RFC 5321 section 4.2). The zero value is none.
type Reply struct {
	Code     int      // 200 to 599
	Enhanced string   // as "5.1.1" (RFC 3463), of the first line; empty without
	Lines    []string // the texts, printable UTF-8, without the codes
}

// OK reports whether the reply is one of success, 2xx.
func (r Reply) OK() bool { return r.Code/100 == 2 }

// Temporary reports whether the reply is 4xx.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent reports whether the reply is 5xx.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// Text returns the texts in one line.
func (r Reply) Text() string { return strings.TrimSpace(strings.Join(r.Lines, " ")) }

// String returns the reply in one line, as "550 5.1.1 no such user".
func (r Reply) String() string {
	if r.Code == 0 {
		return "no reply"
	}
	s := strconv.Itoa(r.Code)
	for _, part := range []string{r.Enhanced, r.Text()} {
		if part != "" {
			s += " " + part
		}
	}
	return s
}

// ErrProtocol says that a server did not talk SMTP: its reply is none, or longer than
// is taken, or it said something out of turn.
var ErrProtocol = errors.New("not SMTP")

// readReply reads one reply of at most limit bytes.
func readReply(r *bufio.Reader, limit int) (Reply, error) {
	var reply Reply
	for left := limit; ; {
		line, err := readLine(r, min(left, maxLine))
		if err != nil {
			return Reply{}, err
		}
		left -= len(line) + 1
		line = strings.TrimRight(line, "\r")
		code, text, more, ok := cutCode(line)
		switch {
		case !ok:
			return Reply{}, fmt.Errorf("%w: reply %q", ErrProtocol, printable(clip(line)))
		case reply.Code == 0:
			reply.Code = code
		case reply.Code != code:
			return Reply{}, fmt.Errorf("%w: reply of %d and %d", ErrProtocol, reply.Code, code)
		}
		enhanced, rest := cutEnhanced(text)
		if len(reply.Lines) == 0 {
			reply.Enhanced = enhanced
		}
		if enhanced != "" && enhanced == reply.Enhanced {
			text = rest
		}
		reply.Lines = append(reply.Lines, printable(text))
		if !more {
			return reply, nil
		}
	}
}

// maxLine is the longest line of a reply in bytes, LF included. RFC 5321 section 4.5.3.1.5
// has 512; go-smtp's client takes 2000.
const maxLine = 1900

// readLine reads up to LF, which is not returned, of at most limit bytes.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit {
			return "", fmt.Errorf("%w: reply of more bytes than are taken", ErrProtocol)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return string(line[:len(line)-1]), nil
		case errors.Is(err, io.EOF):
			return "", io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		}
	}
}

// cutCode takes a reply's line apart. A code without a text is fine, RFC 5321 section 4.2.
func cutCode(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digits(line[1:3]) {
		return 0, "", false, false
	}
	code, _ = strconv.Atoi(line[:3])
	switch {
	case len(line) == 3:
		return code, "", false, true
	case line[3] == ' ' || line[3] == '-':
		return code, line[4:], line[3] == '-', true
	}
	return 0, "", false, false
}

// cutEnhanced takes the status code of RFC 2034 from a text: a class, and a subject and a
// detail of at most three digits each.
func cutEnhanced(text string) (enhanced, rest string) {
	word, rest, _ := strings.Cut(text, " ")
	class, codes, _ := strings.Cut(word, ".")
	subject, detail, ok := strings.Cut(codes, ".")
	if ok && (class == "2" || class == "4" || class == "5") && len(subject) <= 3 && len(detail) <= 3 && digits(subject) && digits(detail) {
		return word, rest
	}
	return "", text
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// printable returns a text with "?" for each rune, or byte that is of none, that cannot
// be printed.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// clip returns what of a text stands in an error.
func clip(s string) string { return s[:min(len(s), 100)] }

// appendWire appends the reply as go-smtp's client is to read it.
func (r Reply) appendWire(dst []byte) []byte {
	for i, text := range r.Lines {
		dst = strconv.AppendInt(dst, int64(r.Code), 10)
		if i < len(r.Lines)-1 {
			dst = append(dst, '-')
		} else {
			dst = append(dst, ' ')
		}
		dst = append(append(dst, text...), "\r\n"...)
	}
	return dst
}
