package dkim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
)

// never stands for a time that does not come, and for a length that no body has.
const never = 1 << 62

// A verdict ends the work on a signature.
type verdict struct {
	value Value
	why   string
}

func verdictf(v Value, format string, args ...any) *verdict {
	return &verdict{v, fmt.Sprintf(format, args...)}
}

// A signedField is a DKIM-Signature field (RFC 6376 section 3.5) that was read.
type signedField struct {
	field message.Field

	res          Result
	algorithm    string // of the key: rsa or ed25519
	b, bodyHash  []byte
	wholeB       string // b= without white space
	begin, end   int    // of b= in the value, with the blanks around it
	header, body Canon
	names        []string // h=, in small letters
	length       int64    // l=, negative for none
	host         string   // the domain of i=
}

// keyName returns where the key is.
func (s *signedField) keyName() string {
	return s.res.Selector + "._domainkey." + s.res.Domain + "."
}

// parse reads the field. Where it returns a verdict, s.res tells what could be read: what
// stands in it has the form that it should have.
func (s *signedField) parse(v *Verifier) *verdict {
	value := s.field.Value()
	if most := v.maxField(); len(value) > most {
		return verdictf(PermError, "the signature has %d bytes, more than %d", len(value), most)
	}
	tags, err := parseTags(string(value))
	why := s.parseNames(tags)
	if err != nil {
		return verdictf(Neutral, "the signature cannot be read: %v", err)
	}
	for _, name := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if !hasTag(tags, name) {
			return verdictf(PermError, "the signature has no %s=", name)
		}
	}
	if version, _ := findTag(tags, "v"); version != "1" {
		return verdictf(Neutral, "v=%s: only version 1 is known", quote(version))
	}
	if why != nil {
		return why
	}
	for _, read := range []func([]tag) *verdict{s.parseAlgorithm, s.parseHashes, s.parseCanon, s.parseLength} {
		if why := read(tags); why != nil {
			return why
		}
	}
	if why := s.parseFields(tags, v.maxNames()); why != nil {
		return why
	}
	return s.parseTimes(tags, v.now())
}

// parseNames reads who signed: d=, s= and i=.
func (s *signedField) parseNames(tags []tag) *verdict {
	if a, ok := findTag(tags, "a"); ok && isAlgorithm(a) {
		s.res.Algorithm = strings.ToLower(a)
	}
	for _, t := range tags {
		if t.name == "b" {
			s.begin, s.end, s.wholeB = t.start, t.end, dropFWS(t.value)
		}
	}
	var first *verdict
	if d, ok := findTag(tags, "d"); ok {
		domain, ok := domainName(d)
		if !ok || !strings.Contains(domain, ".") {
			first = verdictf(Neutral, "d=%s is no domain", quote(d))
		} else {
			s.res.Domain = domain
		}
	}
	if sel, ok := findTag(tags, "s"); ok {
		selector, ok := domainName(sel)
		switch {
		case ok && len(selector)+len("._domainkey.")+len(s.res.Domain) <= 253:
			s.res.Selector = selector
		case first == nil:
			first = verdictf(Neutral, "s=%s is no selector", quote(sel))
		}
	}
	if s.res.Domain == "" {
		return first
	}
	i, ok := findTag(tags, "i")
	if !ok {
		s.host, s.res.Identity = s.res.Domain, "@"+s.res.Domain
		return first
	}
	identity, ok := decodeQP(i)
	at := strings.LastIndexByte(identity, '@')
	host, isName := domainName(identity[at+1:])
	switch {
	case !ok || at < 0 || !isName:
		if first == nil {
			first = verdictf(Neutral, "i=%s is no address", quote(i))
		}
	case host != s.res.Domain && !strings.HasSuffix(host, "."+s.res.Domain):
		if first == nil {
			first = verdictf(PermError, "i=%s is not of the domain that signs, d=%s", quote(i), s.res.Domain)
		}
	default:
		s.host, s.res.Identity = host, identity[:at+1]+host
	}
	return first
}

func (s *signedField) parseAlgorithm(tags []tag) *verdict {
	switch s.res.Algorithm {
	case "rsa-sha256":
		s.algorithm = "rsa"
	case "ed25519-sha256":
		s.algorithm = "ed25519"
	case "rsa-sha1":
		return verdictf(PermError, "a=rsa-sha1 is not secure, and no longer accepted (RFC 8301)")
	default:
		a, _ := findTag(tags, "a")
		return verdictf(Neutral, "a=%s is not known", quote(a))
	}
	q, ok := findTag(tags, "q")
	if ok && !has(splitList(q), "dns/txt") {
		return verdictf(Neutral, "q=%s: no way to the key that is known", quote(q))
	}
	return nil
}

func (s *signedField) parseHashes(tags []tag) *verdict {
	var err error
	b, _ := findTag(tags, "b")
	if s.b, err = decodeBase64(b); err != nil || len(s.b) == 0 {
		return verdictf(Neutral, "b=%s is no base64", quote(b))
	}
	bh, _ := findTag(tags, "bh")
	if s.bodyHash, err = decodeBase64(bh); err != nil || len(s.bodyHash) != 32 {
		return verdictf(Neutral, "bh=%s is no SHA-256 hash in base64", quote(bh))
	}
	return nil
}

func (s *signedField) parseCanon(tags []tag) *verdict {
	s.header, s.body = Simple, Simple
	c, ok := findTag(tags, "c")
	if !ok {
		return nil
	}
	header, body, two := strings.Cut(strings.ToLower(c), "/")
	s.header = Canon(header)
	if two {
		s.body = Canon(body)
	}
	for _, canon := range []Canon{s.header, s.body} {
		if canon != Simple && canon != Relaxed {
			return verdictf(Neutral, "c=%s: only simple and relaxed are known", quote(c))
		}
	}
	return nil
}

// parseTimes reads t= and x=. A signature made in the future is one of a clock that is wrong.
func (s *signedField) parseTimes(tags []tag, now time.Time) *verdict {
	signed, why := seconds(tags, "t")
	if why != nil {
		return why
	}
	expires, why := seconds(tags, "x")
	switch {
	case why != nil:
		return why
	case expires < 0:
	case signed >= expires:
		return verdictf(PermError, "the signature expires (x=) before it is made (t=)")
	case now.Unix() > expires:
		return verdictf(PermError, "the signature expired on %s (x=)", time.Unix(expires, 0).UTC().Format(time.RFC3339))
	}
	return nil
}

// seconds returns a time, -1 where there is none. One of more than 12 digits never comes
// (RFC 6376 section 3.5).
func seconds(tags []tag, name string) (int64, *verdict) {
	text, ok := findTag(tags, name)
	digits := strings.TrimLeft(text, "0")
	switch {
	case !ok:
		return -1, nil
	case !isDigits(text):
		return -1, verdictf(Neutral, "%s=%s is no time", name, quote(text))
	case digits == "":
		return 0, nil
	case len(digits) > 12:
		return never, nil
	}
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n, nil
}

func (s *signedField) parseLength(tags []tag) *verdict {
	s.length = -1
	l, ok := findTag(tags, "l")
	if !ok {
		return nil
	}
	if !isDigits(l) || len(l) > 76 {
		return verdictf(Neutral, "l=%s is no length", quote(l))
	}
	if n, err := strconv.ParseInt(l, 10, 64); err == nil {
		s.length = n
	} else {
		s.length = never
	}
	return nil
}

func (s *signedField) parseFields(tags []tag, most int) *verdict {
	h, _ := findTag(tags, "h")
	if n := strings.Count(h, ":") + 1; n > most {
		return verdictf(PermError, "h= has %d names, more than %d", n, most)
	}
	from := false
	s.names = splitList(h)
	for i, name := range s.names {
		if !isFieldName(name) {
			return verdictf(Neutral, "h= names a field %s", quote(name))
		}
		s.names[i] = strings.ToLower(name)
		from = from || s.names[i] == "from"
	}
	if !from {
		return verdictf(PermError, "From is not signed: h= does not name it")
	}
	return nil
}

// domainName returns a domain in the form that DNS has it in; one label will do.
func domainName(s string) (string, bool) {
	if s == "" || s[0] == '[' || strings.HasSuffix(s, ".") {
		return "", false
	}
	d, err := address.ASCIIDomain(s)
	return d, err == nil
}

// decodeQP decodes dkim-quoted-printable (RFC 6376 section 2.11).
func decodeQP(s string) (string, bool) {
	s = dropFWS(s)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '=' {
			if i+2 >= len(s) {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c = byte(n)
			i += 2
		}
		if c < ' ' || c == 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func isBase64(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '/' || c > '9') && c != '+' && c != '=' {
			return false
		}
	}
	return true
}

func isAlgorithm(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c != '-' && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return s != "" && len(s) <= 40
}

func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
