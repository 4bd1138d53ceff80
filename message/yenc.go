package message

import (
	"bytes"
	"strings"
)

// yencLine reads the line that a yEnc file begins with (yEnc draft 1.3):
//
//	=ybegin part=1 line=128 size=123456 name=photo.jpg
//
// The name is what follows "name=", blanks included.
func yencLine(line []byte) (*uuFile, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(string(line), blanks), "=ybegin ")
	if !ok {
		return nil, false
	}
	_, name, ok := strings.Cut(" "+rest, " name=")
	name = strings.Trim(name, blanks+`"`)
	return &uuFile{name: name, mode: "644", yenc: true}, ok && name != ""
}

// yencEnd finds where the data of a yEnc file lies that begins at the line pos, and
// where behind it the text goes on; ok tells that there is data at all. It ends where
// another control line begins: no data has a line that begins with "=y".
func (s *pass) yencEnd(pos int64) (from, end, after int64, closed, ok bool) {
	if line, next, _ := s.w.head(pos); bytes.HasPrefix(line, []byte("=ypart ")) {
		pos = next
	}
	end = s.w.find(pos, []byte{s.d.eol, '=', 'y'})
	if end >= s.w.limit {
		end = s.w.limit
		return pos, end, end - s.lineEnd(end), false, end > pos
	}
	if line, next, _ := s.w.head(end); bytes.HasPrefix(line, []byte("=yend")) {
		return pos, end, next - s.lineEnd(next), true, end > pos
	}
	return pos, end, end - s.w.ending(end), false, end > pos
}

// A yencDecoder undoes yEnc: each byte has 42 added, and those that must not stand
// in a line have 64 added as well, behind "=".
type yencDecoder struct {
	escaped bool
}

func (d *yencDecoder) bad() bool { return d.escaped }

func (d *yencDecoder) append(dst, src []byte) []byte {
	for _, c := range src {
		switch {
		case c == '\r' || c == '\n':
			continue
		case d.escaped:
			c -= 64
			d.escaped = false
		case c == '=':
			d.escaped = true
			continue
		}
		dst = append(dst, c-42)
	}
	return dst
}

func (d *yencDecoder) finish(dst []byte) []byte { return dst }
