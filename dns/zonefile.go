package dns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ReadZone reads the zone file at path, see [ParseZone]. Errors are of opening and
// reading it, and ParseZone's.
func ReadZone(path string) (*Zone, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	defer f.Close()
	return ParseZone(path, f)
}

// ParseZone reads a zone; name stands in errors, before the number of the line.
//
// The format is that of master files (RFC 1035 section 5), a record a line:
//
//	NAME [TTL] [IN] TYPE DATA
//
// Types are A, AAAA, MX, TXT, PTR, NS and CNAME. Names are absolute, until a line
// "$ORIGIN example.com." says what those without a final dot are below of; "@" is the
// origin itself. A line that begins with a blank has the name of the one before it. TTLs
// and "$TTL" are read, and do nothing. A name "*.example.com" stands for those below
// example.com that are in no line. Text in TXT is in quotes, or a word; \" is a quote,
// \DDD the byte with that decimal number; several texts are one answer, joined, and each
// may be longer than the 255 bytes that it may be in DNS. Records in parentheses go on
// over several lines; ";" begins a comment. A record has 4 MiB at most.
//
// Lines that only this format has:
//
//	NAME TIMEOUT
//	NAME SERVFAIL
//	$DELAY 200ms
//
// What is asked of such a name, and is not in other lines of it, times out (at once) or
// makes the server fail. With $DELAY every answer of the zone comes that much later.
func ParseZone(name string, r io.Reader) (*Zone, error) {
	p := zoneParser{z: &Zone{name: name, names: make(map[string]*node)}, in: bufio.NewReader(r), line: 1}
	for {
		ok, err := p.record()
		if err == nil && ok {
			err = p.take()
		}
		if err != nil {
			return nil, fmt.Errorf("dns: %s:%d: %w", name, p.start, err)
		}
		if !ok {
			break
		}
	}
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("dns: %s:%w", name, err)
	}
	return p.z, nil
}

// A zoneParser reads a zone record by record.
type zoneParser struct {
	z      *Zone
	in     *bufio.Reader
	line   int
	origin string // canonical, "" for the root
	owner  string // of the record before, "" before the first

	// The record at hand.
	start  int // its first line
	indent bool
	words  []word
}

// A word is text between blanks, or between quotes.
type word struct {
	text    string
	quoted  bool
	escaped bool // it holds what was written with a backslash
}

// is reports whether the word is a keyword.
func (w word) is(keyword string) bool { return !w.quoted && strings.EqualFold(w.text, keyword) }

// maxRecord is how many bytes a record has at most, so that reading ends where no line does,
// as in /dev/zero.
const maxRecord = 4 << 20

// record reads the words of the next line that has any; it is not ok at the end.
func (p *zoneParser) record() (ok bool, err error) {
	p.words, p.indent, p.start = nil, false, p.line
	var text []byte
	var inWord, quoted, escaped bool
	depth, column := 0, 0
	end := func() {
		if inWord {
			p.words = append(p.words, word{string(text), quoted, escaped})
		}
		text, inWord, quoted, escaped = nil, false, false, false
	}
	for {
		c, err := p.in.ReadByte()
		if err == io.EOF {
			switch {
			case quoted:
				return false, errors.New("the file ends inside quotes")
			case depth > 0:
				return false, errors.New("the file ends inside parentheses")
			}
			end()
			return len(p.words) > 0, nil
		}
		if err != nil {
			return false, err
		}
		if column++; column > maxRecord {
			return false, fmt.Errorf("a record of more than %d MiB: this is no zone file", maxRecord>>20)
		}
		switch {
		case quoted && c == '"':
			end()
		case c == '\n' && quoted:
			return false, errors.New("the line ends inside quotes")
		case c == '\\':
			b, err := p.escape()
			if err != nil {
				return false, err
			}
			text, inWord, escaped = append(text, b), true, true
		case quoted:
			text = append(text, c)
		case c == '"':
			end()
			inWord, quoted = true, true
		case c == '\n':
			end()
			p.line++
			if depth > 0 {
				continue
			}
			if len(p.words) > 0 {
				return true, nil
			}
			p.start, p.indent, column = p.line, false, 0
		case c == ' ' || c == '\t' || c == '\r':
			end()
			if column == 1 {
				p.indent = true
			}
		case c == ';':
			end()
			if err := p.skipLine(); err != nil {
				return false, err
			}
		case c == '(':
			end()
			depth++
		case c == ')':
			end()
			if depth--; depth < 0 {
				return false, errors.New("a closing parenthesis without an opening one")
			}
		default:
			text, inWord = append(text, c), true
		}
	}
}

// escape reads what follows a backslash.
func (p *zoneParser) escape() (byte, error) {
	c, err := p.in.ReadByte()
	switch {
	case err == io.EOF || err == nil && c == '\n':
		return 0, errors.New("a backslash at the end of a line")
	case err != nil || c < '0' || c > '9':
		return c, err
	}
	n := int(c - '0')
	for range 2 {
		c, err := p.in.ReadByte()
		if err != nil && err != io.EOF {
			return 0, err
		}
		if err != nil || c < '0' || c > '9' {
			return 0, errors.New(`a backslash and digits: there must be three, as in \034`)
		}
		n = 10*n + int(c-'0')
	}
	if n > 255 {
		return 0, fmt.Errorf(`\%d is no byte`, n)
	}
	return byte(n), nil
}

// skipLine reads a comment up to its line's end.
func (p *zoneParser) skipLine() error {
	for {
		c, err := p.in.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case c == '\n':
			return p.in.UnreadByte()
		}
	}
}

// take puts the record at hand into the zone.
func (p *zoneParser) take() error {
	words := p.words
	if w := words[0]; !w.quoted && !w.escaped && strings.HasPrefix(w.text, "$") && !p.indent {
		return p.directive(strings.ToUpper(w.text), words[1:])
	}
	if !p.indent {
		owner, err := p.name(words[0])
		if err != nil {
			return err
		}
		p.owner, words = owner, words[1:]
	}
	if p.owner == "" {
		return errors.New("no name at the beginning of the line, and none before it")
	}
	for len(words) > 0 && (words[0].is("IN") || isTTL(words[0])) {
		words = words[1:]
	}
	if len(words) == 0 {
		return fmt.Errorf("nothing follows the name %s; write NAME TYPE DATA", p.owner)
	}
	n := p.node(p.owner)
	kind, data := words[0], words[1:]
	for failure, keyword := range map[failure]string{timesOut: "TIMEOUT", servFail: "SERVFAIL"} {
		if kind.is(keyword) {
			if len(data) > 0 {
				return fmt.Errorf("%.300q follows %s, which has no data", data[0].text, keyword)
			}
			if n.fails != answers && n.fails != failure {
				return fmt.Errorf("%s has both TIMEOUT and SERVFAIL", p.owner)
			}
			n.fails = failure
			return nil
		}
	}
	if kind.is("TXT") {
		if len(data) == 0 {
			return errors.New("TXT needs text")
		}
		var text strings.Builder
		for _, w := range data {
			text.WriteString(w.text)
		}
		n.txt = append(n.txt, text.String())
		return nil
	}
	if kind.is("MX") {
		if len(data) == 0 {
			return errors.New("MX needs a preference and a host")
		}
		pref, err := strconv.ParseUint(data[0].text, 10, 16)
		if err != nil {
			return fmt.Errorf("MX needs a preference from 0 to 65535 before its host; %.300q is none", data[0].text)
		}
		host, err := p.oneName("MX", data[1:])
		n.mx = append(n.mx, net.MX{Host: host, Pref: uint16(pref)})
		return err
	}
	return p.takeSimple(n, kind, data)
}

// takeSimple takes records whose data is one word.
func (p *zoneParser) takeSimple(n *node, kind word, data []word) (err error) {
	switch {
	case kind.is("A"), kind.is("AAAA"):
		if len(data) != 1 {
			return fmt.Errorf("%s needs one address", strings.ToUpper(kind.text))
		}
		a, err := netip.ParseAddr(data[0].text)
		if err != nil || a.Zone() != "" || a.Is4() != kind.is("A") {
			return fmt.Errorf("%.300q is no address of type %s", data[0].text, strings.ToUpper(kind.text))
		}
		n.ip = append(n.ip, a)
		return nil
	case kind.is("PTR"):
		n.ptr = append(n.ptr, "")
		n.ptr[len(n.ptr)-1], err = p.oneName("PTR", data)
	case kind.is("NS"):
		n.ns = append(n.ns, "")
		n.ns[len(n.ns)-1], err = p.oneName("NS", data)
	case kind.is("CNAME"):
		if n.cname != "" {
			return fmt.Errorf("%s has two CNAME records", p.owner)
		}
		n.cname, err = p.oneName("CNAME", data)
		if err == nil && n.cname == "." {
			return errors.New("CNAME of the root")
		}
	default:
		return fmt.Errorf("type %.300q is none of A, AAAA, MX, TXT, PTR, NS, CNAME, TIMEOUT, SERVFAIL", kind.text)
	}
	return err
}

// directive takes a line that begins with "$".
func (p *zoneParser) directive(name string, args []word) (err error) {
	if len(args) != 1 {
		return fmt.Errorf("%.300q needs one word after it", name)
	}
	arg := args[0]
	switch name {
	case "$ORIGIN":
		if arg.text == "." {
			p.origin = ""
			return nil
		}
		p.origin, err = p.name(arg)
	case "$TTL":
		if !isTTL(arg) {
			err = fmt.Errorf("%.300q is no time to live", arg.text)
		}
	case "$DELAY":
		p.z.delay, err = time.ParseDuration(arg.text)
		if err != nil || p.z.delay < 0 {
			err = fmt.Errorf(`%.300q is no time to wait; write "200ms"`, arg.text)
		}
	default:
		err = fmt.Errorf("%.300q is none of $ORIGIN, $TTL, $DELAY", name)
	}
	return err
}

// isTTL reports whether a word is a time to live: seconds, or as BIND writes it, 1h30m.
func isTTL(w word) bool {
	digits := false
	for _, c := range []byte(w.text) {
		switch {
		case '0' <= c && c <= '9':
			digits = true
		case digits && strings.IndexByte("smhdwSMHDW", c) >= 0:
		default:
			return false
		}
	}
	return digits && !w.quoted
}

// name returns the name in a word, canonical.
func (p *zoneParser) name(w word) (string, error) {
	text, err := p.absolute(w)
	if err != nil {
		return "", err
	}
	name, ok := canonical(text)
	if !ok {
		return "", fmt.Errorf("%.300q is no name: labels are 1 to %d bytes, all of it %d", text, maxLabel, maxName)
	}
	return name, nil
}

// oneName returns the one name in words, as written, with a final dot. It may hold odd
// bytes, as a server's answer may.
func (p *zoneParser) oneName(kind string, words []word) (string, error) {
	if len(words) != 1 {
		return "", fmt.Errorf("%s needs one name", kind)
	}
	text, err := p.absolute(words[0])
	if err != nil || text == "." {
		return text, err
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if len(label) == 0 || len(label) > maxLabel || len(text) > maxName+1 {
			return "", fmt.Errorf("%.300q is no name: labels are 1 to %d bytes, all of it %d", text, maxLabel, maxName)
		}
	}
	return text, nil
}

// absolute returns the name in a word with a final dot.
func (p *zoneParser) absolute(w word) (string, error) {
	switch {
	case w.text == "@" && !w.quoted && !w.escaped:
		return p.origin + ".", nil
	case w.text == "":
		return "", errors.New("a name is empty")
	case w.escaped && strings.ContainsRune(w.text, '.'):
		return "", fmt.Errorf("%.300q is a name with dots and a backslash, which are not read together", w.text)
	case strings.HasSuffix(w.text, "."):
		return w.text, nil
	case p.origin == "":
		return w.text + ".", nil
	}
	return w.text + "." + p.origin + ".", nil
}

// node returns the node of a name, which may be new.
func (p *zoneParser) node(name string) *node {
	n, ok := p.z.names[name]
	if !ok {
		n = new(node)
		p.z.names[name] = n
	}
	if n.line == 0 {
		n.line = p.start
	}
	return n
}

// finish judges what only the whole zone tells, and lets the parents of names exist. The
// error begins with the number of a line.
func (p *zoneParser) finish() error {
	owners := slices.Sorted(maps.Keys(p.z.names))
	for _, name := range owners {
		n := p.z.names[name]
		if n.cname != "" && (n.fails != answers || n.hasData()) {
			return fmt.Errorf("%d: %s has a CNAME record and others", n.line, name)
		}
		for parent, ok := up(name); ok && p.z.names[parent] == nil; parent, ok = up(parent) {
			p.z.names[parent] = new(node)
		}
	}
	return nil
}
