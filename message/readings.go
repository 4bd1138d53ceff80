package message

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// paramReadings returns the parameters of a field as [ParseParams] reads them, and
// behind them what else clients read: those that know no comments see parameters
// in one, those that know them everywhere see none of "(c)" in a token, to some a
// backslash does not escape a quote, and some stop at the first continuation that
// is missing. more tells that there are parameters that were not read.
func paramReadings(v string) (params []Param, more bool) {
	v = strings.ReplaceAll(v, "\r\n", "\n")
	seen := make(map[Param]bool)
	read := func(v string) bool {
		_, parts, more := cutParams(v)
		for _, p := range append(join(parts), stopped(parts)...) {
			if !seen[p] {
				seen[p] = true
				params = append(params, p)
			}
		}
		return more
	}
	more = read(v)
	if i := strings.IndexByte(v, '('); i >= 0 {
		if j := strings.IndexByte(v, ';'); j > i {
			more = read("x"+v[j:]) || more
		}
		if s := withoutComments(v); s != v {
			more = read(s) || more
		}
	}
	if strings.Contains(v, `\"`) {
		more = read(strings.ReplaceAll(v, `\`, "")) || more
	}
	return params, more
}

// withoutComments takes comments out, wherever they stand but in quotes (RFC 5322
// section 3.2.2). One without end stays.
func withoutComments(v string) string {
	var b strings.Builder
	depth, from, quoted := 0, 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\\':
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			if depth++; depth == 1 {
				b.WriteString(v[from:i])
				from = i
			}
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				from = i + 1
			}
		}
	}
	b.WriteString(v[from:])
	return b.String()
}

// stopped returns continued parameters as read by clients that stop where a
// number is missing, or is written with zeros before it (RFC 2231 section 3), and
// by those that join continuations as they stand.
func stopped(parts []attr) []Param {
	if !slices.ContainsFunc(parts, func(a attr) bool { return a.index >= 0 }) {
		return nil
	}
	var (
		names  []string
		groups = make(map[string][]attr)
	)
	for _, a := range parts {
		if a.index < 0 {
			continue
		}
		if groups[a.base] == nil {
			names = append(names, a.base)
		}
		groups[a.base] = append(groups[a.base], a)
	}
	var params []Param
	for _, name := range names {
		group := groups[name]
		if !slices.IsSortedFunc(group, byIndex) {
			params = append(params, joined(group))
			group = slices.Clone(group)
			slices.SortStableFunc(group, byIndex)
		}
		group = slices.CompactFunc(slices.Clone(group), func(a, b attr) bool { return a.index == b.index })
		n := 0
		for n < len(group) && group[n].index == n && strings.HasSuffix(strings.TrimSuffix(group[n].name, "*"), "*"+strconv.Itoa(n)) {
			n++
		}
		if n > 0 && n < len(group) {
			params = append(params, joined(group[:n]))
		}
	}
	return params
}

// utf16Label finds a charset of two bytes where an encoded word or a value of RFC
// 2231 tells it.
var utf16Label = regexp.MustCompile(`(?i)(^|=\?)(?:utf-?16(?:le|be)?|(?:iso-10646-)?ucs-?2|(?:cs)?unicode)([*?'])`)

// utf16Readings returns what a value means with the bytes of UTF-16 in either
// order: without a byte order mark some clients take the one, some the other.
func utf16Readings(raw string) []string {
	if strings.IndexAny(raw, "*?'") < 0 || !utf16Label.MatchString(raw) { // most have none, and that is quicker to see
		return nil
	}
	var all []string
	for _, charset := range []string{"utf-16le", "utf-16be"} {
		s := utf16Label.ReplaceAllString(raw, "${1}"+charset+"${2}")
		if rest, ok := strings.CutPrefix(s, charset+"'"); ok {
			if _, text, ok := strings.Cut(rest, "'"); ok {
				all = append(all, decodeCharset(charset, appendPercent(nil, text)))
			}
			continue
		}
		all = append(all, DecodeWords(s))
	}
	return all
}

// behindCR returns the fields that may name a part of a header's line in which a CR
// stands alone, as clients read them to whom that ends a line; nil for any other.
func behindCR(f Field) Header {
	if f.eol != '\n' {
		return nil
	}
	if !f.holdsBareCR() {
		return nil
	}
	raw := bytes.ReplaceAll(f.raw, []byte("\r\n"), []byte("\n"))
	raw = append(bytes.ReplaceAll(raw, []byte("\r"), []byte("\n")), '\n')
	var h Header
	for len(raw) > 0 {
		line := cutLine(raw, '\n')
		size := len(line)
		for size < len(raw) && (raw[size] == ' ' || raw[size] == '\t') {
			size += len(cutLine(raw[size:], '\n'))
		}
		if n, _ := scanName(line); isContentField(line) || strings.EqualFold(string(line[:n]), "X-Sun-Data-Name") {
			h = append(h, Parse(raw[:size]).Header...)
		}
		raw = raw[size:]
	}
	return h
}

// holdsBareCR reports whether a CR stands in the field with no LF behind it.
func (f Field) holdsBareCR() bool {
	for b := f.raw; ; {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return false
		}
		if b = b[i+1:]; len(b) == 0 || b[0] != '\n' {
			return true
		}
	}
}

// lastElement returns the last element of the path of an address, "" for one
// without a path (RFC 2557 section 4.2).
func lastElement(s string) string {
	s = strings.Trim(s, blanks+`"<>`)
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	if scheme := toLower(s); strings.HasPrefix(scheme, "cid:") || strings.HasPrefix(scheme, "mid:") {
		return ""
	}
	if i := strings.Index(s, "//"); i == 0 || i > 0 && s[i-1] == ':' {
		_, path, _ := strings.Cut(s[i+2:], "/") // behind the host
		s = path
	}
	return s[strings.LastIndexAny(s, `/\`)+1:]
}
