package dmarc

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
)

// Why a message has no single author. Errors of [Author] and [Authors] wrap one of them.
var (
	ErrNoAuthor       = errors.New("dmarc: no author")
	ErrSeveralAuthors = errors.New("dmarc: several authors")
	ErrAuthorSyntax   = errors.New("dmarc: malformed From field")
)

// FromLimits bound what is read of From fields. The zero value works.
type FromLimits struct {
	Bytes     int // of one field's value; 0 means 16 KiB
	Addresses int // 0 means 20
	Depth     int // of comments within comments; 0 means 20
}

// Author returns the domain of the single author in a header, lower case and in A-labels, with the
// default [FromLimits]. The error says why there is none: no From field or several, several addresses, another
// syntax than RFC 5322 has, with the UTF-8 of RFC 6532.
//
// What clients might read in different ways is an error: a group, a source route, blanks or
// comments within a domain or a local part, text behind the address, control characters. Comments and
// quoted strings elsewhere, encoded words and the text before the angle brackets name no author, whatever
// they look like.
//
// QUIRK: taken are square brackets, or "@" within encoded words, in the name before angle brackets, and in
// place of the name an address without quotes, if it has the same domain.
//
// RFC 9989 section 5.3.1 counts domains, not addresses: [Authors] is for those who want to
// go on with several addresses of one domain, or to judge each of several.
func Author(h message.Header) (domain string, err error) { return FromLimits{}.Author(h) }

// Authors returns the domains of all addresses of all From fields, each once, in order, as [Author] writes
// them. Members of groups count. The errors are those of Author, but for [ErrSeveralAuthors], which
// stands for more addresses than the limit allows.
//
// Mail with several is outside of DMARC, which makes it a way around it. RFC 9989 section 11.5 lets a
// receiver refuse it, or check each domain and apply the strictest policy of those that fail.
func Authors(h message.Header) ([]string, error) { return FromLimits{}.Authors(h) }

// Author is [Author] with limits.
func (l FromLimits) Author(h message.Header) (string, error) {
	p, fields, err := l.read(h)
	switch {
	case err != nil && fields < 2:
		return "", err
	case fields > 1:
		return "", fmt.Errorf("%w: %d From fields", ErrSeveralAuthors, fields)
	case p.addresses > 1:
		return "", fmt.Errorf("%w: %d addresses", ErrSeveralAuthors, p.addresses)
	case p.group:
		return "", fmt.Errorf("%w: an address in a group", ErrAuthorSyntax)
	}
	return p.domains[0], nil
}

// Authors is [Authors] with limits.
func (l FromLimits) Authors(h message.Header) ([]string, error) {
	p, _, err := l.read(h)
	if err != nil {
		return nil, err
	}
	return p.domains, nil
}

// read reads all From fields up to the first that is malformed; fields is how many there are.
func (l FromLimits) read(h message.Header) (p fromParser, fields int, err error) {
	orDefault(&l.Bytes, 16<<10)
	orDefault(&l.Addresses, 20)
	orDefault(&l.Depth, 20)
	p.FromLimits = l
	for _, f := range h {
		// RFC 5322 section 4.5 has blanks before the colon as obsolete, and clients take them.
		if !f.Is("From") && !strings.EqualFold(strings.TrimRight(f.Name(), " \t"), "From") {
			continue
		}
		fields++
		if err != nil {
			continue
		}
		if len(f.Value()) > l.Bytes {
			err = fmt.Errorf("%w: more than %d bytes", ErrAuthorSyntax, l.Bytes)
			continue
		}
		p.s, p.i = f.Text(true), 0
		err = p.list()
	}
	switch {
	case err != nil:
	case fields == 0:
		err = fmt.Errorf("%w: no From field", ErrNoAuthor)
	case p.addresses == 0:
		err = fmt.Errorf("%w: no address in the From field", ErrNoAuthor)
	}
	return p, fields, err
}

// A fromParser reads s from i on and collects what it finds.
type fromParser struct {
	FromLimits
	s         string
	i         int
	domains   []string
	addresses int
	group     bool // there is a group
	inGroup   bool

	// Of the name before an address: there are square brackets outside of quotes, and an "@" in quotes
	// or in an encoded word.
	bracket, at bool
}

func (p *fromParser) errorf(at int, format string, args ...any) error {
	return fmt.Errorf("%w: %s at byte %d", ErrAuthorSyntax, fmt.Sprintf(format, args...), at)
}

// peek returns the next byte, 0 at the end.
func (p *fromParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

// list reads an address-list, in which elements may be empty (obs-addr-list).
func (p *fromParser) list() error {
	p.inGroup = false
	for {
		if err := p.skip(); err != nil {
			return err
		}
		switch c := p.peek(); {
		case p.i == len(p.s):
			if p.inGroup {
				return p.errorf(p.i, "group without end")
			}
			return nil
		case c == ',':
			p.i++
			continue
		case c == ';' && p.inGroup:
			p.i++
			p.inGroup = false
		default:
			groupBegins, err := p.mailbox()
			if err != nil {
				return err
			}
			if groupBegins {
				p.group, p.inGroup = true, true
				continue
			}
			if err = p.skip(); err != nil {
				return err
			}
		}
		if c := p.peek(); p.i < len(p.s) && c != ',' && !(c == ';' && p.inGroup) {
			return p.errorf(p.i, "text behind the address")
		}
	}
}

// mailbox reads a mailbox, or what a group begins with.
func (p *fromParser) mailbox() (groupBegins bool, err error) {
	at := p.i
	words := 0      // of the phrase
	local := true   // what was read may be a local part
	dotted := false // the last thing read is a dot
	p.bracket, p.at = false, false
	for {
		before := p.i
		if err := p.skip(); err != nil {
			return false, err
		}
		c := p.peek()
		// Blanks within a local part are obsolete, and read in different ways; those at its end are not.
		if p.i > before && words > 0 && c != '@' {
			local = false
		}
		switch {
		case p.i == len(p.s) || c == ',' || c == ';':
			return false, p.errorf(at, "a name without an address")
		case c == ':':
			if words == 0 || p.inGroup {
				return false, p.errorf(p.i, "stray ':'")
			}
			p.i++
			return true, nil
		case c == '<':
			// Some readers end the name at a bracket, and take what is quoted for an address.
			if p.bracket && p.at {
				return false, p.errorf(at, "a name with '@' and square brackets")
			}
			d, err := p.angle()
			if err != nil {
				return false, err
			}
			return false, p.add(d)
		case c == '@':
			if words == 0 || !local || dotted {
				return false, p.errorf(p.i, "no local part before '@'")
			}
			if !utf8.ValidString(p.s[at:p.i]) {
				return false, p.errorf(at, "local part that is no UTF-8")
			}
			return false, p.bare()
		case c == '.':
			if words == 0 || dotted {
				local = false
			}
			p.i++
			dotted = true
		default:
			if words > 0 && !dotted {
				local = false
			}
			plain, err := p.word()
			if err != nil {
				return false, err
			}
			local = local && plain
			words, dotted = words+1, false
		}
	}
}

// bare reads the domain of an address without angle brackets, from its "@" on.
func (p *fromParser) bare() error {
	d, err := p.domain()
	if err != nil {
		return err
	}
	if err = p.skip(); err != nil {
		return err
	}
	if p.peek() != '<' {
		return p.add(d)
	}
	at := p.i
	in, err := p.angle()
	if err != nil {
		return err
	}
	if in != d {
		return p.errorf(at, "an address of %s before one of %s", d, in)
	}
	return p.add(d)
}

// angle reads an address in angle brackets, and returns its domain.
func (p *fromParser) angle() (string, error) {
	at := p.i
	p.i++
	if err := p.skip(); err != nil {
		return "", err
	}
	switch p.peek() {
	case '>':
		return "", p.errorf(at, "no address in the brackets")
	case '@':
		return "", p.errorf(p.i, "source route")
	}
	start := p.i
	for {
		if plain, err := p.word(); err != nil {
			return "", err
		} else if !plain {
			return "", p.errorf(start, "malformed local part")
		}
		if p.peek() != '.' {
			break
		}
		p.i++
	}
	if !utf8.ValidString(p.s[start:p.i]) {
		return "", p.errorf(start, "local part that is no UTF-8")
	}
	if err := p.skip(); err != nil {
		return "", err
	}
	if p.peek() != '@' {
		return "", p.errorf(p.i, "no '@'")
	}
	d, err := p.domain()
	if err != nil {
		return "", err
	}
	if err = p.skip(); err != nil {
		return "", err
	}
	if p.peek() != '>' {
		return "", p.errorf(p.i, "no '>'")
	}
	p.i++
	return d, nil
}

// domain reads "@" and a domain, and returns it in A-labels.
func (p *fromParser) domain() (string, error) {
	p.i++
	if err := p.skip(); err != nil {
		return "", err
	}
	at := p.i
	if p.peek() == '[' {
		return "", p.errorf(at, "an address literal, which is no domain")
	}
	for p.i < len(p.s) && (isAtext(p.s[p.i]) || p.s[p.i] == '.') {
		p.i++
	}
	d := p.s[at:p.i]
	if d == "" || d[len(d)-1] == '.' {
		return "", p.errorf(p.i, "no domain")
	}
	ascii, err := address.ASCIIDomain(d)
	if err != nil {
		return "", p.errorf(at, "domain %.80q: %v", d, err)
	}
	return ascii, nil
}

// add counts an address of this domain.
func (p *fromParser) add(domain string) error {
	if p.addresses++; p.addresses > p.Addresses {
		return fmt.Errorf("%w: more than %d addresses", ErrSeveralAuthors, p.Addresses)
	}
	if !slices.Contains(p.domains, domain) {
		p.domains = append(p.domains, domain)
	}
	return nil
}

// word reads an atom or a quoted string. It is plain if a local part can hold it.
func (p *fromParser) word() (plain bool, err error) {
	at := p.i
	if p.peek() == '"' {
		err = p.quoted()
		p.at = p.at || strings.Contains(p.s[at:p.i], "@")
		return true, err
	}
	if n := encodedWord(p.s[p.i:]); n > 0 {
		p.i += n
		p.at = p.at || hidesAt(p.s[at:p.i])
		return false, nil
	}
	plain = true
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c == '[' || c == ']' {
			plain, p.bracket = false, true
		} else if !isAtext(c) {
			break
		}
		p.i++
	}
	if p.i == at {
		if c := p.peek(); p.i < len(p.s) {
			return false, p.errorf(at, "stray %q", rune(c))
		}
		return false, p.errorf(at, "the end")
	}
	return plain, nil
}

// encodedWord returns the length of the encoded word (RFC 2047) that s begins with, if nothing in it
// but "@" can be taken for a part of an address; else 0.
func encodedWord(s string) int {
	const most = 200 // RFC 2047 section 2 has 75
	if !strings.HasPrefix(s, "=?") {
		return 0
	}
	marks := 0
	for i := 2; i < min(len(s), most); i++ {
		switch c := s[i]; {
		case c == '?':
			if marks++; marks == 3 {
				if i+1 < len(s) && s[i+1] == '=' && (i+2 == len(s) || !isAtext(s[i+2])) {
					return i + 2
				}
				return 0
			}
		case !isAtext(c) && c != '.' && c != '[' && c != ']' && (c != '@' || marks < 2):
			return 0
		}
	}
	return 0
}

// hidesAt reports whether an encoded word stands for text with an "@", or for what cannot be told.
func hidesAt(word string) bool {
	d := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		// UTF-8 does not come here, and UTF-7 does by several names. Others keep ASCII as it is.
		if strings.HasPrefix(charset, "u") || strings.Contains(charset, "utf") {
			return nil, errors.ErrUnsupported
		}
		return r, nil
	}}
	text, err := d.Decode(word)
	return err != nil || strings.Contains(text, "@")
}

// isAtext reports whether a byte may be in an atom (RFC 5322 section 3.2.3, RFC 6532 section 3.2).
func isAtext(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// quoted reads a quoted string.
func (p *fromParser) quoted() error {
	at := p.i
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return nil
		case c == '\\':
			if p.i++; p.i < len(p.s) && isControl(p.s[p.i]) {
				return p.errorf(p.i, "control character")
			}
		case isControl(c):
			return p.errorf(p.i, "control character")
		}
	}
	p.i = len(p.s)
	return p.errorf(at, "quoted string without end")
}

// skip reads CFWS.
func (p *fromParser) skip() error {
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == ' ' || c == '\t' || c == '\n':
		case c == '(':
			if err := p.comment(); err != nil {
				return err
			}
			p.i--
		case isControl(c):
			return p.errorf(p.i, "control character")
		default:
			return nil
		}
	}
	return nil
}

func isControl(c byte) bool { return c < ' ' && c != '\t' && c != '\n' || c == 0x7f }

// comment reads a comment.
func (p *fromParser) comment() error {
	at, depth := p.i, 0
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '\\':
			if p.i++; p.i < len(p.s) && isControl(p.s[p.i]) {
				return p.errorf(p.i, "control character")
			}
		case c == '(':
			if depth++; depth > p.Depth {
				return p.errorf(p.i, "comments more than %d deep", p.Depth)
			}
		case c == ')':
			if depth--; depth == 0 {
				p.i++
				return nil
			}
		case isControl(c):
			return p.errorf(p.i, "control character")
		}
	}
	p.i = len(p.s)
	return p.errorf(at, "comment without end")
}

func orDefault(n *int, d int) {
	if *n <= 0 {
		*n = d
	}
}
