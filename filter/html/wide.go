package html

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// onlyWide reports whether no reader takes a text for bytes, with NULs or without:
// the byte order mark or the label says that it is in an encoding of 16 or 32
// bits, nothing says otherwise, and all of it is. Its bytes often look like a tag
// by chance: U+503C is "<P" in little-endian UTF-16.
//
// Where what acts stands in the bytes, that is no chance: a sender may know a
// reader that takes no heed of labels.
func (t *text) onlyWide(ways []reading, charset string) (bool, error) {
	if t.only == 0 {
		only, err := t.judgeWide(ways, charset)
		if err != nil {
			return false, fmt.Errorf("html: read: %w", err)
		}
		if t.only = -1; only {
			t.only = 1
		}
	}
	return t.only > 0, nil
}

func (t *text) judgeWide(ways []reading, charset string) (bool, error) {
	for _, w := range ways {
		if !w.wide && !w.noNUL {
			return false, nil // the text names something else
		}
	}
	said, _ := charsetReadings(plainCharset(charset))
	if len(said) == 0 && charset != "" {
		return false, nil
	}
	head := make([]byte, 4)
	n, err := io.ReadFull(t.open(), head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	for _, bom := range byteOrderMarks {
		if !bytes.HasPrefix(head[:n], []byte(bom.bytes)) {
			continue
		}
		if len(said) > 0 && !slices.ContainsFunc(said, bom.way.is) {
			return false, nil
		}
		said = []reading{bom.way}
		break
	}
	fits := false
	for _, w := range said {
		if fits, err = t.fits(w); err != nil {
			return false, err
		}
		if fits {
			break
		}
	}
	if !fits {
		return false, nil
	}
	for _, w := range []struct {
		acts *words
		r    io.Reader
	}{{actsInBytes, t.open()}, {actsWithoutNULs, reading{noNUL: true}.reader(t.open())}} {
		if found, err := w.acts.in(w.r); found || err != nil {
			return false, err
		}
	}
	return true, nil
}

// fits reports whether all of a text is in an encoding of 16 or 32 bits, with some
// ASCII in it.
func (t *text) fits(w reading) (bool, error) {
	size := int64(2)
	if w.charset == utf32le.charset || w.charset == utf32be.charset {
		size = 4
	}
	if !w.wide || w.enc == nil || t.size%size != 0 {
		return false, nil
	}
	in, again := &noted{r: t.open()}, &noted{r: t.open()}
	seen := &asciiSeen{}
	back := transform.NewReader(io.TeeReader(w.reader(in), seen), w.enc.NewEncoder()) // U+FFFD does not come back as what it stands for
	same := sameReaders(back, again)
	if in.err != nil {
		return false, in.err
	}
	return same && seen.yes, again.err
}

// sameReaders reports whether two readers give the same bytes; one that fails does not.
func sameReaders(a, b io.Reader) bool {
	x, y := make([]byte, 16<<10), make([]byte, 16<<10)
	for {
		n, err := io.ReadFull(a, x)
		m, berr := io.ReadFull(b, y)
		ended := err == io.EOF || err == io.ErrUnexpectedEOF
		if !bytes.Equal(x[:n], y[:m]) || err != nil && !ended {
			return false
		}
		if ended || berr != nil {
			return ended && (berr == io.EOF || berr == io.ErrUnexpectedEOF)
		}
	}
}

// A noted reader keeps the error that ended it.
type noted struct {
	r   io.Reader
	err error
}

func (n *noted) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return k, err
}

// An asciiSeen takes note of ASCII other than NUL.
type asciiSeen struct{ yes bool }

func (a *asciiSeen) Write(p []byte) (int, error) {
	for i := 0; i < len(p) && !a.yes; i++ {
		a.yes = 0 < p[i] && p[i] < utf8.RuneSelf
	}
	return len(p), nil
}
