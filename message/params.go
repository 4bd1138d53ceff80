package message

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter/internal/comment"
)

// maxParams is how many parameters of one field are read.
const maxParams = 500

// A Param is one parameter of a Content-Type or Content-Disposition field. What
// RFC 2231 spreads over continuations is one.
type Param struct {
	Name  string // in lower case, without the asterisks of RFC 2231; "" for what stands between semicolons without "="
	Attr  string // as it is written, in lower case: "filename*0*" where the first continuation is so
	Value string // decoded: without quotes and folding, RFC 2231 or else RFC 2047 undone, in UTF-8
	Raw   string // as it is written up to the semicolon, folding as LF and blanks; continuations joined, without quotes
}

// ParseParams cuts the value of a Content-Type or Content-Disposition field into
// what stands before the first semicolon, in lower case and without blanks and
// comments, and the parameters in order (RFC 2045 section 5.1, RFC 2231). It takes
// anything: unquoted blanks, quotes without end or with more behind, a missing
// semicolon, parameters where the type should stand, any charset and none. It
// reads the first 500 parameters.
func ParseParams(value string) (mediaType string, params []Param) {
	mediaType, params, _ = parseParams(value)
	return mediaType, params
}

// parseParams tells in more that there are parameters it did not read.
func parseParams(v string) (mediaType string, params []Param, more bool) {
	mediaType, parts, more := cutParams(strings.ReplaceAll(v, "\r\n", "\n"))
	return mediaType, join(parts), more
}

// cutParams cuts a value whose lines end in LF into the type and the parameters,
// continuations not yet joined.
func cutParams(v string) (mediaType string, parts []attr, more bool) {
	first, rest := cutType(v)
	mediaType = cleanType(first)
	for len(rest) > 0 {
		if len(parts) == maxParams {
			more = true
			break
		}
		var a attr
		if a, rest = cutParam(rest); a.name != "" || strings.Trim(a.raw, blanks) != "" {
			parts = append(parts, a)
		}
	}
	return mediaType, parts, more
}

const blanks = " \t\r\n"

// cutType cuts off what stands before the first parameter. A comment without end
// hides nothing.
func cutType(v string) (first, rest string) {
	open := false                // a comment that does not end was seen
	word, before := 0, byte(' ') // where the last word begins, and what stands before it
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '(' && !open:
			n := comment.Len(v[i:])
			if open = n == 0; open {
				word, before = i+1, ' '
			}
			i += max(n-1, 0)
		case c == ';':
			return v[:i], v[i+1:]
		case c == '=' && before != '/':
			// QUIRK: no type at all, or no semicolon behind it.
			return v[:word], v[word:]
		case c == '/' || c == '"':
			word, before = i+1, c
		case strings.IndexByte(blanks, c) < 0 && i > 0 && strings.IndexByte(blanks, v[i-1]) >= 0 && c != '=':
			if before != '/' || word < i && strings.Trim(v[word:i], blanks) != "" {
				word, before = i, ' '
			}
		}
	}
	return v, ""
}

// cleanType brings a type into its simplest form. Of what follows a comment
// without end it is no part, unless nothing else is there.
func cleanType(s string) string {
	var b strings.Builder
	open := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(' && !open:
			n := comment.Len(s[i:])
			if open = n == 0; open && b.Len() > 0 {
				return b.String()
			}
			i += max(n-1, 0)
		case c <= ' ' || c == '"' || c == '(' || c == ';' || c == 0x7f:
		default:
			b.WriteByte(lower(c))
		}
	}
	return b.String()
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// toLower leaves all bytes above ASCII as they are.
func toLower(s string) string {
	for i := range len(s) {
		if c := s[i]; c != lower(c) {
			b := []byte(s)
			for i := range b {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

// An attr is one parameter before continuations are joined.
type attr struct {
	name  string // as written, lower case
	value string // quotes, escapes and folding undone
	raw   string

	base  string // the name without asterisks
	index int    // of the continuation, -1 for none
	ext   bool   // percent-encoded
}

// cutParam cuts off the first parameter of s and what ends it.
func cutParam(s string) (a attr, rest string) {
	s = strings.TrimLeft(s, blanks)
	eq, semi := strings.IndexByte(s, '='), strings.IndexByte(s, ';')
	if eq < 0 || semi >= 0 && semi < eq {
		if semi < 0 {
			return attr{raw: s, value: unfold(strings.Trim(s, blanks+`"`)), index: -1}, ""
		}
		return attr{raw: s[:semi], value: unfold(strings.Trim(s[:semi], blanks+`"`)), index: -1}, s[semi+1:]
	}
	a.name = toLower(strings.Trim(s[:eq], blanks+`"'`))
	s = strings.TrimLeft(s[eq+1:], blanks)
	size := 0
	if s != "" && s[0] == '"' {
		if end := closingQuote(s); end > 0 {
			a.value = unescape(s[1:end])
			tail := s[end+1:]
			if i := strings.IndexByte(tail, ';'); i >= 0 {
				tail = tail[:i]
			}
			if at := nextName(tail, true); at >= 0 { // no semicolon
				tail = tail[:at]
			}
			size = end + 1 + len(tail)
		} else {
			if size = strings.IndexByte(s, ';'); size < 0 {
				size = len(s)
			}
			a.value = unescape(strings.TrimRight(s[1:size], blanks))
		}
	} else {
		if size = strings.IndexByte(s, ';'); size < 0 {
			size = len(s)
		}
		if at := nextName(s[:size], false); at >= 0 {
			size = at
		}
		a.value = unfold(strings.TrimRight(s[:size], blanks))
	}
	a.raw, rest = strings.TrimRight(s[:size], blanks), s[size:]
	if rest != "" && rest[0] == ';' {
		rest = rest[1:]
	}
	a.base, a.index, a.ext = cutStars(a.name)
	return a, rest
}

// closingQuote returns where the quoted string that s begins with ends, 0 for nowhere.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return 0
}

// nextName returns where in s, behind a blank, a name and "=" stand as if a
// semicolon had come before, or -1.
func nextName(s string, atOnce bool) int {
	for i := 0; i < len(s); i++ {
		eq := strings.IndexByte(s[i:], '=')
		if eq < 0 {
			return -1
		}
		head := strings.TrimRight(s[i:i+eq], blanks)
		at := strings.LastIndexAny(head, blanks) + 1
		if name := head[at:]; i+at > 0 && isToken(name) && (!atOnce || strings.Trim(s[:i+at], blanks) == "") {
			return i + at
		}
		if atOnce {
			return -1
		}
		i += eq
	}
	return -1
}

// isToken reports whether s can be the name of a parameter (RFC 2045 section 5.1).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// unfold takes line ends out; the blanks behind them stay (RFC 5322 section 2.2.3).
func unfold(s string) string {
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\n", "")
}

// unescape undoes the backslashes of a quoted string, and folding.
func unescape(s string) string {
	s = unfold(s)
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// cutStars reads the asterisks of RFC 2231 off a name.
func cutStars(name string) (base string, index int, ext bool) {
	base, ext = strings.CutSuffix(name, "*")
	i := strings.LastIndexByte(base, '*')
	if i < 0 {
		return base, -1, ext
	}
	n, err := strconv.ParseUint(base[i+1:], 10, 31)
	if err != nil {
		return base, -1, ext
	}
	return base[:i], int(n), ext
}

// join makes parameters of attrs: continuations become one, in the order of
// their numbers, at the place of the first.
func join(parts []attr) []Param {
	var (
		params []Param
		groups map[string][]attr // of continuations, by name
	)
	for _, a := range parts {
		if a.index >= 0 {
			if groups == nil {
				groups = make(map[string][]attr)
			}
			groups[a.base] = append(groups[a.base], a)
		}
	}
	for _, a := range parts {
		if a.index < 0 {
			p := Param{Name: a.base, Attr: a.name, Raw: a.raw}
			if a.ext {
				p.Value = decodeExt([]attr{a})
			} else {
				p.Value = DecodeWords(a.value)
			}
			params = append(params, p)
			continue
		}
		group := groups[a.base]
		if group == nil {
			continue // joined before
		}
		groups[a.base] = nil
		slices.SortStableFunc(group, byIndex)
		// Of two with one number clients take the first or the last.
		once := slices.CompactFunc(slices.Clone(group), func(a, b attr) bool { return a.index == b.index })
		params = append(params, joined(once))
		if len(once) < len(group) {
			slices.Reverse(group)
			once = slices.CompactFunc(group, func(a, b attr) bool { return a.index == b.index })
			slices.Reverse(once)
			params = append(params, joined(once))
		}
	}
	return params
}

func byIndex(a, b attr) int { return cmp.Compare(a.index, b.index) }

func joined(group []attr) Param {
	p := Param{Name: group[0].base, Attr: group[0].name, Value: decodeExt(group)}
	var raw strings.Builder
	ext := false
	for _, a := range group {
		raw.WriteString(a.value)
		ext = ext || a.ext
	}
	if !ext {
		p.Value = DecodeWords(p.Value)
	}
	p.Raw = raw.String()
	return p
}

// decodeExt undoes RFC 2231: percent signs, then the charset that the first part
// names. Parts without asterisk are taken as they are.
func decodeExt(group []attr) string {
	charset := ""
	var b []byte
	for i, a := range group {
		v := a.value
		if !a.ext {
			b = append(b, v...)
			continue
		}
		if i == 0 {
			if cs, rest, ok := strings.Cut(v, "'"); ok {
				if _, text, ok := strings.Cut(rest, "'"); ok {
					charset, v = cs, text
				}
			}
		}
		b = appendPercent(b, v)
	}
	return decodeCharset(charset, b)
}

// appendPercent appends s with %XX undone; a percent sign before anything else stays.
func appendPercent(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := hex(s[i+1]), hex(s[i+2]); hi < 16 && lo < 16 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return b
}

// hex returns the value of a hexadecimal digit, above 15 for what is none.
func hex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// readings returns what clients may take the value for, the likeliest first, each once.
func (p Param) readings() []string {
	all := make([]string, 0, 4)
	add := func(s string) {
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	add(p.Value)
	raw := p.Raw
	plain := unfold(raw)
	if strings.HasSuffix(p.Attr, "*") || strings.Contains(p.Attr, "*0") {
		add(DecodeWords(p.Value))
		add(plain)
		add(string(appendPercent(nil, plain)))
		for _, s := range utf16Readings(plain) {
			add(s)
		}
		return all
	}
	if strings.HasPrefix(raw, `"`) {
		end := closingQuote(raw)
		inner := raw[1:]
		if end > 0 {
			inner = raw[1:end]
		}
		add(unescape(inner))
		if end > 0 && end < len(raw)-1 { // more behind the quotes
			add(unfold(strings.Trim(raw, `"`)))
			add(strings.ReplaceAll(plain, `"`, ""))
		}
		raw, plain = inner, unfold(inner)
	}
	add(plain) // with its backslashes, and words not decoded
	if strings.ContainsAny(raw, blanks) && !strings.HasPrefix(p.Raw, `"`) {
		add(raw[:strings.IndexAny(raw, blanks)]) // a token ends there
	}
	if strings.IndexByte(raw, '\n') >= 0 {
		add(strings.NewReplacer("\n\t", "", "\n ", "", "\n", "").Replace(raw))
	}
	if strings.IndexByte(plain, '%') >= 0 {
		add(string(appendPercent(nil, plain)))
	}
	for _, s := range utf16Readings(plain) {
		add(s)
	}
	return all
}

// token returns the value up to the first blank: what tokens such as charset= mean.
func (p Param) token() string {
	v := strings.Trim(p.Value, blanks)
	if i := strings.IndexAny(v, blanks+"("); i > 0 {
		v = v[:i]
	}
	return v
}

// lookup returns the first parameter of a name; one that RFC 2231 encodes goes
// before others (RFC 6266 section 4.3, and clients).
func lookup(params []Param, name string) (Param, bool) {
	found := -1
	for i, p := range params {
		if p.Name == name {
			if p.Attr != p.Name {
				return p, true
			}
			if found < 0 {
				found = i
			}
		}
	}
	if found < 0 {
		return Param{}, false
	}
	return params[found], true
}
