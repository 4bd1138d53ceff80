package milter

import (
	"bytes"
	"iter"
	"strings"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Mail is the MAIL command of a message: its sender.
type Mail struct{ path }

// Null reports whether the sender is the null sender (RFC 5321 section 4.5.5),
// as in bounces.
func (m *Mail) Null() bool { return len(m.bare()) == 0 }

// An Rcpt is one RCPT command of a message.
type Rcpt struct {
	path
	s *Session
}

// Rejected reports whether the MTA itself refuses the recipient; it shows such
// recipients only to filters that ask, see Hooks.RejectedRcpts. The answer to
// them has no effect.
func (r *Rcpt) Rejected() bool {
	v, _ := r.s.Macro("{rcpt_mailer}")
	return v == "error"
}

// A path is an address of the envelope and what stands behind it.
type path struct{ raw, params []byte }

// Raw returns the address as it came from the client, with angle brackets if it
// had any. The bytes are lent.
func (p *path) Raw() []byte { return p.raw }

// bare returns the address without brackets and source route (RFC 5321 appendix C).
func (p *path) bare() []byte {
	a := p.raw
	if len(a) >= 2 && a[0] == '<' && a[len(a)-1] == '>' {
		a = a[1 : len(a)-1]
	}
	if len(a) > 0 && a[0] == '@' {
		if i := bytes.IndexByte(a, ':'); i >= 0 {
			a = a[i+1:]
		}
	}
	return a
}

// Address returns the address without angle brackets and source route, which
// Postfix leaves out for local submissions anyway; "" for the null sender.
func (p *path) Address() string { return string(p.bare()) }

// Local returns what stands before the last "@", quotes kept.
func (p *path) Local() string {
	a := p.bare()
	if i := bytes.LastIndexByte(a, '@'); i >= 0 {
		a = a[:i]
	}
	return string(a)
}

// Domain returns what stands behind the last "@" with ASCII letters in lower
// case, "" when the address has none.
func (p *path) Domain() string {
	a := p.bare()
	i := bytes.LastIndexByte(a, '@')
	if i < 0 {
		return ""
	}
	d := bytes.Clone(a[i+1:])
	for i, c := range d {
		if 'A' <= c && c <= 'Z' {
			d[i] = c + 'a' - 'A'
		}
	}
	return string(d)
}

// Param returns the value of an ESMTP parameter, such as SIZE or BODY, and
// whether it was given. Its name is matched in any case; of several the first
// counts. A parameter without value (SMTPUTF8) has an empty one.
func (p *path) Param(name string) (value string, ok bool) {
	for n, v := range p.Params() {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return "", false
}

// Params walks the ESMTP parameters: names in upper case and values as they
// came (see DecodeXtext).
func (p *path) Params() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for raw := range p.RawParams() {
			name, value, _ := strings.Cut(string(raw), "=")
			if !yield(strings.ToUpper(name), value) {
				return
			}
		}
	}
}

// RawParams walks the ESMTP parameters as they came. The bytes are lent.
func (p *path) RawParams() iter.Seq[[]byte] { return wire.Strings(p.params) }

// DecodeXtext decodes the xtext of parameters such as ORCPT, ENVID and AUTH (RFC
// 3461 section 4): "+" and two upper-case hexadecimal digits stand for a byte. It is
// false for what is no xtext.
func DecodeXtext(s string) (text string, ok bool) {
	if !strings.Contains(s, "+") {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		b = append(b, c)
	}
	return string(b), true
}

const hexDigits = "0123456789ABCDEF"
