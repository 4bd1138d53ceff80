package scan

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// clamd is asked by the commands of clamd(8), ended by NUL: "zINSTREAM", then pieces
// of the message, each behind its length in 4 bytes, the last of length 0.
type clamd struct{}

// Errors of answers.
var (
	errAnswer = errors.New("the answer makes no sense")
	errSays   = errors.New("it says")
)

func (clamd) scan(c net.Conn, l *letter, max int64) (verdict, error) {
	sendErr := sendStream(c, l.open())
	if _, ours := errors.AsType[*letterError](sendErr); ours {
		return verdict{}, sendErr
	}
	// clamd answers and hangs up in the middle of a message that is too large.
	answer, err := readClamd(c, max)
	if err != nil {
		return verdict{}, cmp.Or(sendErr, err)
	}
	v, err := parseClamd(answer)
	return judged(v, err, sendErr)
}

// judged returns what counts of an answer to a message that could not be sent to its
// end: what a server did not get it has not seen.
func judged(v verdict, err, sendErr error) (verdict, error) {
	switch {
	case sendErr == nil, errors.Is(err, errSays), errors.Is(err, errTooLarge):
		return v, err
	}
	return verdict{}, sendErr
}

// chunk is how much of a message is sent at a time.
const chunk = 64 << 10

func sendStream(c net.Conn, r *letterReader) error {
	if _, err := io.WriteString(c, "zINSTREAM\x00"); err != nil {
		return err
	}
	p := make([]byte, 4+chunk)
	for {
		n, err := io.ReadFull(r, p[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(p, uint32(n))
			if _, err := c.Write(p[:4+n]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return r.blame(err)
		}
	}
	_, err := c.Write(make([]byte, 4))
	return err
}

// readClamd reads an answer up to its NUL.
func readClamd(c io.Reader, max int64) (string, error) {
	answer, err := bufio.NewReader(io.LimitReader(c, max)).ReadString(0)
	switch {
	case err == io.EOF && int64(len(answer)) >= max:
		return "", fmt.Errorf("%w: it is longer than %d bytes", errAnswer, max)
	case err == io.EOF:
		return "", fmt.Errorf("the connection was closed after %d bytes of an answer: %w", len(answer), io.ErrUnexpectedEOF)
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(answer, "\x00"), nil
}

func parseClamd(answer string) (verdict, error) {
	what, found := strings.CutPrefix(answer, "stream: ")
	if name, ok := strings.CutSuffix(what, " FOUND"); found && ok && name != "" {
		return verdict{found: true, infected: true, names: []string{name}}, nil
	}
	switch {
	case found && what == "OK":
		return verdict{}, nil
	case strings.HasPrefix(answer, "INSTREAM size limit exceeded"):
		return verdict{}, errTooLarge
	case strings.HasSuffix(answer, "ERROR"):
		return verdict{}, fmt.Errorf("%w %s", errSays, told(answer, 120))
	}
	return verdict{}, fmt.Errorf("%w: %s", errAnswer, told(answer, 120))
}

func (clamd) ping(c net.Conn, max int64) error {
	if _, err := io.WriteString(c, "zPING\x00"); err != nil {
		return err
	}
	answer, err := readClamd(c, max)
	if err == nil && answer != "PONG" {
		err = fmt.Errorf("%w: %s", errAnswer, told(answer, 120))
	}
	return err
}
