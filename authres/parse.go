package authres

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A SyntaxError says where a value is not as RFC 8601 has it, or is beyond a limit.
type SyntaxError struct {
	Offset int // in bytes, from the beginning of the value
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("authres: %s at byte %d", e.Reason, e.Offset)
}

// Limits bound what is read. The zero value works.
type Limits struct {
	Bytes      int // of the value; 0 means 64 KiB
	Results    int // 0 means 100
	Properties int // of all results; 0 means 500
	Depth      int // of comments within comments; 0 means 20
}

// Parse reads the value of a field with the default [Limits]. The error, a *[SyntaxError], says at which
// byte it is not as RFC 8601 has it.
//
// Comments may stand wherever the RFC has them; kept is the first one behind a result's value.
// Folding may be CRLF or LF; runs of blanks become one. Names of methods, values, types and
// properties come in lower case. A value that is a quoted string comes without its quotes, an
// address with a quoted local part with them.
//
// QUIRK: taken as well are values of properties with characters that should be quoted, such as
// those of base64 and of IPv6 addresses, UTF-8 in tokens, a semicolon at the end, reason= behind properties, and
// "action=none" and the like among properties, which is skipped.
func Parse(value string) (Field, error) { return Limits{}.Parse(value) }

// Parse is [Parse] with limits.
func (l Limits) Parse(value string) (Field, error) {
	orDefault(&l.Bytes, 64<<10)
	orDefault(&l.Results, 100)
	orDefault(&l.Properties, 500)
	orDefault(&l.Depth, 20)
	if len(value) > l.Bytes {
		return Field{}, &SyntaxError{l.Bytes, fmt.Sprintf("more than %d bytes", l.Bytes)}
	}
	p := parser{Limits: l, s: value}
	f, err := p.field()
	if err != nil {
		return Field{}, err
	}
	return f, nil
}

func orDefault(n *int, d int) {
	if *n <= 0 {
		*n = d
	}
}

// A parser reads s from i on.
type parser struct {
	Limits
	s          string
	i          int
	properties int
}

func (p *parser) errorf(at int, format string, args ...any) error {
	return &SyntaxError{at, fmt.Sprintf(format, args...)}
}

// peek returns the next byte, 0 at the end; a NUL in the text is an error wherever it is met.
func (p *parser) peek() byte {
	if p.i == len(p.s) {
		return 0
	}
	return p.s[p.i]
}

// field reads authres-payload.
func (p *parser) field() (f Field, err error) {
	if err = p.skip(nil); err != nil {
		return f, err
	}
	if f.ID, err = p.value(isToken); err != nil {
		return f, err
	}
	if err = p.skip(nil); err != nil {
		return f, err
	}
	if c := p.peek(); '0' <= c && c <= '9' {
		if f.Version, err = p.number(); err != nil {
			return f, err
		}
		if err = p.skip(nil); err != nil {
			return f, err
		}
	}
	if p.peek() != ';' {
		return f, p.errorf(p.i, "no ';' behind the authserv-id")
	}
	for p.peek() == ';' {
		p.i++
		if err = p.skip(nil); err != nil {
			return f, err
		}
		if p.i == len(p.s) && len(f.Results) > 0 {
			break
		}
		at := p.i
		name, err := p.keyword("method")
		if err != nil {
			return f, err
		}
		if err = p.skip(nil); err != nil {
			return f, err
		}
		if name == "none" && p.i == len(p.s) && len(f.Results) == 0 {
			return f, nil
		}
		if len(f.Results) == p.Results {
			return f, p.errorf(at, "more than %d results", p.Results)
		}
		r, err := p.result(name)
		if err != nil {
			return f, err
		}
		f.Results = append(f.Results, r)
	}
	if p.i < len(p.s) {
		return f, p.errorf(p.i, "no ';' before another result")
	}
	return f, nil
}

// result reads what stands behind the name of a method.
func (p *parser) result(method string) (r Result, err error) {
	r.Method = method
	if p.peek() == '/' {
		p.i++
		if err = p.skip(nil); err != nil {
			return r, err
		}
		if r.Version, err = p.number(); err != nil {
			return r, err
		}
		if err = p.skip(nil); err != nil {
			return r, err
		}
	}
	if err = p.equals(); err != nil {
		return r, err
	}
	if r.Value, err = p.keyword("result"); err != nil {
		return r, err
	}
	hasReason := false
	for {
		comment := &r.Comment
		if r.Comment != "" || len(r.Properties) > 0 {
			comment = nil
		}
		if err = p.skip(comment); err != nil {
			return r, err
		}
		if p.i == len(p.s) || p.peek() == ';' {
			return r, nil
		}
		at := p.i
		name, err := p.keyword("property")
		if err != nil {
			return r, err
		}
		if err = p.skip(nil); err != nil {
			return r, err
		}
		if p.peek() == '.' {
			if p.properties++; p.properties > p.Properties {
				return r, p.errorf(at, "more than %d properties", p.Properties)
			}
			p.i++
			property := Property{Type: name}
			if err = p.skip(nil); err != nil {
				return r, err
			}
			if property.Name, err = p.keyword("property"); err != nil {
				return r, err
			}
			if err = p.skip(nil); err != nil {
				return r, err
			}
			if err = p.equals(); err != nil {
				return r, err
			}
			if property.Value, err = p.pvalue(); err != nil {
				return r, err
			}
			r.Properties = append(r.Properties, property)
			continue
		}
		if err = p.equals(); err != nil {
			return r, err
		}
		v, err := p.value(isPlain)
		if err != nil {
			return r, err
		}
		if name == "reason" {
			if hasReason {
				return r, p.errorf(at, "a second reason")
			}
			hasReason, r.Reason = true, v
		}
	}
}

// equals reads "=" and what may stand behind it.
func (p *parser) equals() error {
	if p.peek() != '=' {
		return p.errorf(p.i, "no '='")
	}
	p.i++
	return p.skip(nil)
}

// keyword reads a Keyword.
func (p *parser) keyword(what string) (string, error) {
	at := p.i
	for p.i < len(p.s) && isKeyword(p.s[p.i]) {
		p.i++
	}
	switch n := p.i - at; {
	case n == 0:
		return "", p.errorf(at, "no name of a %s", what)
	case n > maxKeyword:
		return "", p.errorf(at, "name of a %s of more than %d bytes", what, maxKeyword)
	}
	return strings.ToLower(p.s[at:p.i]), nil
}

// number reads a version.
func (p *parser) number() (int, error) {
	at := p.i
	for p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9' {
		p.i++
	}
	if p.i == at || p.i-at > 9 {
		return 0, p.errorf(at, "no version")
	}
	return strconv.Atoi(p.s[at:p.i])
}

// isPlain reports whether a byte may be in a value without quotes.
func isPlain(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`()<>,;\"`, c) < 0
}

// value reads a token, of what plain allows, or a quoted string.
func (p *parser) value(plain func(byte) bool) (string, error) {
	if p.peek() == '"' {
		return p.quoted()
	}
	at := p.i
	for p.i < len(p.s) && (plain(p.s[p.i]) || p.s[p.i] >= utf8.RuneSelf) {
		p.i++
	}
	if p.i == at {
		return "", p.errorf(at, "no value")
	}
	return p.text(at, p.s[at:p.i])
}

// pvalue reads the value of a property.
func (p *parser) pvalue() (string, error) {
	at := p.i
	s, err := p.value(isPlain)
	if err != nil || p.s[at] != '"' || p.peek() != '@' {
		return s, err
	}
	domain, err := p.value(isPlain)
	if err != nil {
		return "", err
	}
	return p.text(at, strings.Join([]string{`"`, escape(s), `"`, domain}, ""))
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}

// quoted reads a quoted string.
func (p *parser) quoted() (string, error) {
	at := p.i
	end, escaped := -1, false
	for i := at + 1; i < len(p.s); i++ {
		if c := p.s[i]; c == '"' {
			end = i
			break
		} else if c == '\\' {
			escaped = true
			i++
		}
	}
	if end < 0 {
		p.i = len(p.s)
		return "", p.errorf(at, "quoted string without end")
	}
	s := p.s[at+1 : end]
	p.i = end + 1
	if escaped {
		s = unescape(s)
	}
	return p.text(at, s)
}

func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			if i++; i == len(s) {
				break
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// skip reads CFWS, and puts the first comment into *first.
func (p *parser) skip(first *string) error {
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case isBlank(c):
			p.i++
		case c == '(':
			text, err := p.comment()
			if err != nil {
				return err
			}
			if first != nil && *first == "" {
				*first = text
			}
		default:
			return nil
		}
	}
	return nil
}

// comment reads a comment.
func (p *parser) comment() (string, error) {
	at, depth, escaped := p.i, 0, false
	for ; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '\\':
			escaped = true
			p.i++
		case '(':
			if depth++; depth > p.Depth {
				return "", p.errorf(p.i, "comments more than %d deep", p.Depth)
			}
		case ')':
			if depth--; depth == 0 {
				s := p.s[at+1 : p.i]
				p.i++
				if escaped {
					s = unescape(s)
				}
				return p.text(at, s)
			}
		}
	}
	p.i = len(p.s)
	return "", p.errorf(at, "comment without end")
}

// text returns text without folding, and refuses what String could not write again.
func (p *parser) text(at int, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", p.errorf(at, "text that is no UTF-8")
	}
	for _, r := range s {
		if isInvisible(r) && (r >= utf8.RuneSelf || !isBlank(byte(r))) {
			return "", p.errorf(at, "character %U in the text", r)
		}
	}
	s = normal(s)
	if cutWords(s) != s {
		return "", p.errorf(at, "word of more than %d bytes", maxWord)
	}
	return s, nil
}
