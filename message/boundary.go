package message

import (
	"slices"
	"strings"
)

// maxBoundary is how long a boundary may be: with what may stand around it, it lies
// in what is looked at of a line. RFC 2046 section 5.1.1 allows 70 bytes.
const maxBoundary = 3000

// maxBoundaries is how many readings of a boundary are tried.
const maxBoundaries = 32

// boundaries returns what may be the boundary of a multipart, the likeliest
// first: as declared, without one more pair of quotes, and only up to where folded
// junk or a blank begins.
func (p *Part) boundaries() []string {
	var bounds []string
	add := func(s string) {
		s = strings.TrimRight(s, blanks)
		switch {
		case s == "" || slices.Contains(bounds, s):
		case len(s) > maxBoundary || len(bounds) == maxBoundaries:
			p.note(DefectParamsLimit, p.start)
		default:
			bounds = append(bounds, s)
		}
	}
	if p.media == sunAttachment {
		add("--------")
	}
	declared := 0
	for _, f := range p.Header {
		if !f.Is("Content-Type") {
			continue
		}
		if declared++; declared > maxFields {
			break
		}
		params, _ := paramReadings(f.Text(true))
		for _, q := range params {
			if q.Name != "boundary" {
				continue
			}
			n := len(bounds)
			for _, v := range boundaryReadings(q) {
				add(v)
			}
			if n > 0 && len(bounds) > n {
				p.note(DefectBoundaries, p.start)
			}
		}
	}
	return slices.Clip(bounds)
}

func boundaryReadings(q Param) []string {
	raw := strings.Trim(q.Raw, `"`)
	all := []string{unescapedBoundary(q), q.Value, unquote(q.Value)}
	if i := strings.IndexByte(raw, '\n'); i >= 0 {
		all = append(all, raw[:i], strings.Trim(raw[:i], blanks+`"';`))
	}
	if i := strings.IndexAny(raw, blanks); i > 0 {
		all = append(all, raw[:i], strings.Trim(raw[:i], blanks+`"';`))
	}
	return append(append(all, q.readings()...), strings.Trim(q.Value, blanks+`"'`), strings.ReplaceAll(q.Value, `"`, ""))
}

// unescapedBoundary is the value without RFC 2047, which does not belong there.
func unescapedBoundary(q Param) string {
	if q.Attr != q.Name {
		return q.Value
	}
	if strings.HasPrefix(q.Raw, `"`) {
		if end := closingQuote(q.Raw); end > 0 {
			return unescape(q.Raw[1:end])
		}
		return unescape(q.Raw[1:])
	}
	return unfold(q.Raw)
}

// unquote takes off a pair of quotes or angle brackets.
func unquote(s string) string {
	if len(s) < 2 {
		return s
	}
	if s[0] == '"' {
		if end := closingQuote(s); end > 0 {
			return unescape(s[1:end])
		}
	}
	if s[0] == '<' && s[len(s)-1] == '>' {
		return s[1 : len(s)-1]
	}
	return s
}
