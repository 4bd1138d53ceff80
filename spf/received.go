package spf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// ReceivedSPF is a Received-SPF field (RFC 7208 section 9.1). Texts are as they were before
// they were quoted.
type ReceivedSPF struct {
	Value     Value
	Comment   string // for people
	ClientIP  netip.Addr
	From      string
	Helo      string
	Receiver  string
	Problem   string
	Mechanism string
	Extra     map[string]string // keys of others, lower case, such as "x-helo-spf"
	Identity  Identity
}

// ReceivedSPF returns the field for a result. receiver is the name of the host that
// checked.
func (r Result) ReceivedSPF(receiver string, q Query) ReceivedSPF {
	comment := r.Reason(q)
	if receiver != "" {
		comment = receiver + ": " + comment
	}
	return ReceivedSPF{
		Value: r.Value, Comment: comment, ClientIP: clientIP(q), From: q.From, Helo: q.Helo,
		Receiver: receiver, Problem: r.Problem, Mechanism: r.Mechanism, Identity: r.Identity,
	}
}

// Reason returns what a result says, in a few words of printable ASCII.
func (r Result) Reason(q Query) string {
	domain, ip := shown(r.Domain), clientIP(q).String()
	whose := domain
	switch r.Source {
	case Local:
		whose = "the local record for " + domain
	case Guess:
		whose = "the guess for " + domain
	case Forwarder:
		whose = "the trusted forwarder " + domain
	}
	switch r.Value {
	case Pass:
		return whose + " lets " + ip + " send"
	case Fail:
		return whose + " does not let " + ip + " send"
	case SoftFail:
		return whose + " would rather not let " + ip + " send"
	case Neutral:
		return whose + " does not say whether " + ip + " may send"
	case PermError:
		return "the record of " + domain + " cannot be read"
	case TempError:
		return "the record of " + domain + " could not be looked up"
	case None:
		if r.Domain == "" {
			return "there is no domain to ask"
		}
	}
	return domain + " publishes no record"
}

// maxValue bounds a value in the field: a line of mail has 998 octets, and each octet may
// take a backslash.
const maxValue = 450

// foldAt is how long lines get before the next value goes to another one.
const foldAt = 78

// String returns the body of the field, folded with LF. It is printable ASCII
// whatever the texts hold: other characters become "?", and what is longer than 450 octets
// is cut. Keys of Extra that are no names, or those of other values, are left out.
func (f ReceivedSPF) String() string {
	b := []byte(f.Value)
	line := len("Received-SPF: ") + len(b)
	if f.Comment != "" {
		b, line = appendComment(b, line, f.Comment)
	}
	sep := ""
	add := func(key, value string, quote bool) {
		pair := key + "=" + formatValue(value, quote)
		b = append(b, sep...)
		if line+len(sep)+1+len(pair) > foldAt {
			b = append(b, '\n', '\t')
			line = 1
		} else {
			b = append(b, ' ')
			line += len(sep) + 1
		}
		b = append(b, pair...)
		line += len(pair)
		sep = ";"
	}
	addSome := func(key, value string) {
		if value != "" {
			add(key, value, false)
		}
	}
	if f.ClientIP.IsValid() {
		add("client-ip", f.ClientIP.String(), false)
	}
	add("envelope-from", f.From, true)
	addSome("helo", f.Helo)
	addSome("receiver", f.Receiver)
	addSome("problem", f.Problem)
	addSome("mechanism", f.Mechanism)
	for _, key := range slices.Sorted(maps.Keys(f.Extra)) {
		if isModifierName(key) && len(key) <= maxKey && lowerASCII(key) == key && !slices.Contains(ownKeys, key) {
			add(key, f.Extra[key], false)
		}
	}
	addSome("identity", string(f.Identity))
	return string(b)
}

var ownKeys = []string{"client-ip", "envelope-from", "helo", "receiver", "problem", "mechanism", "identity"}

const maxKey = 64

// printable returns s as it may stand in a value.
func printable(s string) string {
	s = s[:min(len(s), maxValue)]
	if isPrintable(s) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func appendComment(b []byte, line int, s string) ([]byte, int) {
	b = append(b, " ("...)
	line += 2
	s = strings.TrimSpace(printable(s))
	for i := range len(s) {
		switch s[i] {
		case '(', ')', '\\':
			b = append(b, '\\')
			line++
		case ' ':
			// What is folded is a blank that is there, so that unfolding brings it back.
			if word := strings.IndexByte(s[i+1:], ' '); word != 0 && line+max(word, 1) > foldAt {
				b = append(b, '\n')
				line = 0
			}
		}
		b = append(b, s[i])
		line++
	}
	return append(b, ')'), line + 1
}

// formatValue returns a value as a dot-atom, or in quotes.
func formatValue(s string, quote bool) string {
	s = printable(s)
	if !quote && isDotAtom(s) {
		return s
	}
	b := []byte{'"'}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

func isDotAtom(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return false
		}
		for i := range len(part) {
			if c := part[i]; !isAlpha(c) && !isDigit(c) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
				return false
			}
		}
	}
	return true
}

// Limits of what is read.
const (
	maxReceivedSPF = 32 << 10 // octets
	maxPairs       = 100
)

// ParseReceivedSPF reads the body of a Received-SPF field, folded or not. Values without
// quotes are taken that should have some, such as IPv6 addresses; of a key that stands twice
// the first value counts.
//
// It is for fields that a trusted host wrote: everybody can write one. The error is
// for a result that is none, for quotes and comments without end, keys without value, more than
// 100 values, more than 32 KiB, and a client-ip or identity that is none.
func ParseReceivedSPF(s string) (ReceivedSPF, error) {
	var f ReceivedSPF
	if len(s) > maxReceivedSPF {
		return f, errors.New("spf: Received-SPF is longer than 32 KiB")
	}
	p := fieldParser{s: s}
	p.skipSpace()
	f.Value = Value(lowerASCII(p.word(" \t\r\n(;=")))
	switch f.Value {
	case None, Neutral, Pass, Fail, SoftFail, TempError, PermError:
	default:
		return f, fmt.Errorf("spf: Received-SPF: %q is no result", shown(string(f.Value)))
	}
	p.skipSpace()
	if strings.HasPrefix(p.s, "(") {
		c, err := p.comment()
		if err != nil {
			return f, err
		}
		f.Comment = strings.TrimSpace(c)
	}
	seen := make(map[string]bool)
	for {
		key, value, more, err := p.pair()
		if err != nil || !more {
			return f, err
		}
		if seen[key] {
			continue
		}
		if seen[key] = true; len(seen) > maxPairs {
			return f, errors.New("spf: Received-SPF has more than 100 values")
		}
		if err := f.put(key, value); err != nil {
			return f, err
		}
	}
}

// put sets the value of a key.
func (f *ReceivedSPF) put(key, value string) (err error) {
	switch key {
	case "client-ip":
		if f.ClientIP, err = netip.ParseAddr(value); err != nil || f.ClientIP.Zone() != "" {
			return fmt.Errorf("spf: Received-SPF: client-ip %q is no address", shown(value))
		}
	case "envelope-from":
		f.From = value
	case "helo":
		f.Helo = value
	case "receiver":
		f.Receiver = value
	case "problem":
		f.Problem = value
	case "mechanism":
		f.Mechanism = value
	case "identity":
		f.Identity = Identity(lowerASCII(value))
		if f.Identity != MailFrom && f.Identity != Helo {
			return fmt.Errorf("spf: Received-SPF: %q is no identity", shown(value))
		}
	default:
		if f.Extra == nil {
			f.Extra = make(map[string]string)
		}
		f.Extra[key] = value
	}
	return nil
}

// A fieldParser takes a field apart from the left.
type fieldParser struct{ s string }

func (p *fieldParser) skipSpace() { p.s = strings.TrimLeft(p.s, " \t\r\n") }

// word takes what stands before one of the characters in ends.
func (p *fieldParser) word(ends string) string {
	i := strings.IndexAny(p.s, ends)
	if i < 0 {
		i = len(p.s)
	}
	w := p.s[:i]
	p.s = p.s[i:]
	return w
}

// pair takes a key and its value; more is false at the end.
func (p *fieldParser) pair() (key, value string, more bool, err error) {
	if err := p.skip(";"); err != nil || p.s == "" {
		return "", "", false, err
	}
	key = lowerASCII(p.word("=; \t\r\n(\""))
	if !isModifierName(key) || len(key) > maxKey {
		return "", "", false, fmt.Errorf("spf: Received-SPF: %q is no key", shown(key))
	}
	if err := p.skip(""); err != nil {
		return "", "", false, err
	}
	if !strings.HasPrefix(p.s, "=") {
		return "", "", false, fmt.Errorf("spf: Received-SPF: no value of %s", key)
	}
	p.s = p.s[1:]
	if err := p.skip(""); err != nil {
		return "", "", false, err
	}
	if strings.HasPrefix(p.s, `"`) {
		value, err = p.quoted()
		return key, value, true, err
	}
	value = p.word("; \t\r\n")
	if key == "envelope-from" && strings.HasPrefix(value, "<") && strings.HasSuffix(value, ">") {
		value = value[1 : len(value)-1]
	}
	return key, value, true, nil
}

// skip skips blanks, comments, and the characters in also.
func (p *fieldParser) skip(also string) error {
	for {
		p.s = strings.TrimLeft(p.s, " \t\r\n"+also)
		if !strings.HasPrefix(p.s, "(") {
			return nil
		}
		if _, err := p.comment(); err != nil {
			return err
		}
	}
}

// comment takes a comment; comments in it stay as they are.
func (p *fieldParser) comment() (string, error) {
	return p.enclosed(func(c byte, depth *int) {
		switch c {
		case '(':
			*depth++
		case ')':
			*depth--
		}
	})
}

// quoted takes a quoted string.
func (p *fieldParser) quoted() (string, error) {
	return p.enclosed(func(c byte, depth *int) {
		if c == '"' {
			*depth = 0
		}
	})
}

// enclosed takes text up to where count makes its depth 0, without backslashes and folds.
func (p *fieldParser) enclosed(count func(c byte, depth *int)) (string, error) {
	var b []byte
	depth := 1
	for i := 1; i < len(p.s); i++ {
		c := p.s[i]
		switch {
		case c == '\r' || c == '\n':
			continue
		case c == '\\' && i+1 < len(p.s):
			if i++; p.s[i] != '\r' && p.s[i] != '\n' {
				b = append(b, p.s[i])
			}
			continue
		}
		if count(c, &depth); depth == 0 {
			p.s = p.s[i+1:]
			return string(b), nil
		}
		b = append(b, c)
	}
	return "", errors.New("spf: Received-SPF: quotes or a comment without end")
}
