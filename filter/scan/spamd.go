package scan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
)

// spamd is asked in SPAMC/1.5, a request a connection: SYMBOLS, whose answer has the
// score and the names of the rules that were met.
type spamd struct{ user string }

func (s spamd) scan(c net.Conn, l *letter, max int64) (verdict, error) {
	own := l.received()
	var req bytes.Buffer
	fmt.Fprintf(&req, "SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n", int64(len(own))+l.size())
	if s.user != "" {
		fmt.Fprintf(&req, "User: %s\r\n", s.user)
	}
	req.WriteString("\r\n")
	req.Write(own)
	r := l.open()
	_, sendErr := c.Write(req.Bytes())
	if sendErr == nil {
		_, sendErr = io.CopyBuffer(&line{Writer: c}, r, make([]byte, chunk))
		sendErr = r.blame(sendErr)
	}
	if _, ours := errors.AsType[*letterError](sendErr); ours {
		return verdict{}, sendErr
	}
	v, err := readSpamd(c, max)
	return judged(v, err, sendErr)
}

// readSpamd reads an answer: a line of status, header fields, an empty line, and the
// names in a body whose length is told.
func readSpamd(r io.Reader, max int64) (v verdict, err error) {
	limited := &io.LimitedReader{R: r, N: max}
	defer func() {
		if err == nil {
			return
		}
		v = verdict{}
		if limited.N == 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: it is longer than %d bytes", errAnswer, max)
		}
	}()
	br := bufio.NewReader(limited)
	status, err := readLine(br)
	if err != nil {
		return v, err
	}
	if err := judgeSpamd(status, "EX_OK"); err != nil {
		return v, err
	}
	length, judged := int64(-1), false
	for {
		line, err := readLine(br)
		if err != nil {
			return v, err
		}
		if line == "" {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok {
			return v, fmt.Errorf("%w: %s", errAnswer, told(line, 120))
		}
		switch strings.ToLower(key) {
		case "content-length":
			if length, err = strconv.ParseInt(value, 10, 64); err != nil || length < 0 {
				return v, fmt.Errorf("%w: %s", errAnswer, told(line, 120))
			}
			if length > max {
				return v, fmt.Errorf("%w: it is longer than %d bytes", errAnswer, max)
			}
		case "spam":
			if judged {
				return v, fmt.Errorf("%w: it judges twice", errAnswer)
			}
			if v, err = parseSpam(value); err != nil {
				return v, err
			}
			judged = true
		}
	}
	if !judged {
		return v, fmt.Errorf("%w: it does not judge", errAnswer)
	}
	var body []byte
	if length >= 0 {
		br := io.LimitReader(br, length)
		if body, err = io.ReadAll(br); err == nil && int64(len(body)) < length {
			err = fmt.Errorf("the connection was closed in the middle of an answer: %w", io.ErrUnexpectedEOF)
		}
	} else if body, err = io.ReadAll(br); err == nil && limited.N == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return verdict{}, err
	}
	v.names = strings.FieldsFunc(string(body), func(r rune) bool { return r == ',' || r <= ' ' })
	return v, nil
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err == io.EOF {
		err = fmt.Errorf("the connection was closed in the middle of an answer: %w", io.ErrUnexpectedEOF)
	}
	return strings.TrimRight(line, "\r\n"), err
}

// judgeSpamd judges a line such as "SPAMD/1.1 0 EX_OK".
func judgeSpamd(line, want string) error {
	words := strings.Fields(line)
	if len(words) < 3 || !strings.HasPrefix(words[0], "SPAMD/") {
		return fmt.Errorf("%w: %s", errAnswer, told(line, 120))
	}
	if words[1] != "0" || words[2] != want {
		return fmt.Errorf("%w %s", errSays, told(line, 120))
	}
	return nil
}

// parseSpam reads the value of the field Spam, such as "True ; 7.3 / 5.0".
func parseSpam(s string) (v verdict, err error) {
	is, scores, _ := strings.Cut(s, ";")
	got, limit, _ := strings.Cut(scores, "/")
	switch strings.ToLower(strings.TrimSpace(is)) {
	case "true", "yes":
		v.found = true
	case "false", "no":
	default:
		err = errAnswer
	}
	var errs [2]error
	v.score, errs[0] = strconv.ParseFloat(strings.TrimSpace(got), 64)
	v.threshold, errs[1] = strconv.ParseFloat(strings.TrimSpace(limit), 64)
	if err != nil || errs[0] != nil || errs[1] != nil || !finite(v.score) || !finite(v.threshold) {
		return verdict{}, fmt.Errorf("%w: Spam: %s", errAnswer, told(s, 120))
	}
	return v, nil
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func (spamd) ping(c net.Conn, max int64) error {
	if _, err := io.WriteString(c, "PING SPAMC/1.5\r\n\r\n"); err != nil {
		return err
	}
	line, err := readLine(bufio.NewReader(io.LimitReader(c, max)))
	if err != nil {
		return err
	}
	return judgeSpamd(line, "PONG")
}
