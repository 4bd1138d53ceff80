package srs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// errNetstring is what a peer gets that does not speak netstrings.
var errNetstring = errors.New("srs: not a netstring")

// readNetstring reads "LENGTH:BYTES,". A length above limit is an error before any memory
// is taken for it. The result is the caller's.
func readNetstring(r *bufio.Reader, limit int) ([]byte, error) {
	n := 0
	for digits := 0; ; digits++ {
		c, err := r.ReadByte()
		if err != nil {
			if digits > 0 {
				err = noEOF(err)
			}
			return nil, err
		}
		if c == ':' && digits > 0 {
			break
		}
		if c < '0' || c > '9' || digits > 0 && n == 0 { // a zero leads nothing
			return nil, fmt.Errorf("%w: bad length", errNetstring)
		}
		if n = n*10 + int(c-'0'); n > limit {
			return nil, fmt.Errorf("%w: longer than %d", errNetstring, limit)
		}
	}
	b := make([]byte, n+1)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, noEOF(err)
	}
	if b[n] != ',' {
		return nil, fmt.Errorf("%w: no comma at its end", errNetstring)
	}
	return b[:n], nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func appendNetstring(dst []byte, s string) []byte {
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	return append(append(append(dst, ':'), s...), ',')
}
