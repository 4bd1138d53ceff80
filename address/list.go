package address

import (
	"iter"
	"strings"

	"github.com/gomilter/gomilter/internal/comment"
)

// A Mailbox is one entry of a From, To, Cc or similar header field.
type Mailbox struct {
	// Name is the display name: words, quoted strings and comments in their
	// order, a blank between them. It holds no ASCII control characters. Where an
	// entry has no address that can be read, all of its text is the name.
	Name string
	// Path is the address; the null path where there is none.
	Path Path
}

// Mailboxes walks the entries of a header field's value (RFC 5322 section 3.4 and its
// obsolete forms in section 4.4). Nothing is an error: what is between the commas is
// read as well as it can be, and entries that are empty are left out.
//
//   - The members of a group are walked like others; the group's name is dropped.
//     A semicolon separates as a comma does.
//   - An address in angle brackets makes the words around it its name, also words
//     that look like an address. Two of them in one entry are two mailboxes.
//   - Without brackets each word with an "@" is a mailbox, and the words before it are its
//     name; one atom alone is a local part.
//   - Quotes, comments and brackets that do not end are characters like others, so
//     that they hide nothing behind them.
//
// decode, unless nil, is called with each name before it is yielded and returns what
// to yield in its place; it is meant for the encoded words of RFC 2047, which are taken
// wherever they stand, also in quotes. Time grows with the length of header; memory
// with that of one entry.
func Mailboxes(header string, decode func(string) string) iter.Seq[Mailbox] {
	return func(yield func(Mailbox) bool) {
		s := listScanner{src: header}
		for s.pos < len(s.src) {
			entry := s
			angle, words := s.skipEntry()
			if words && !entry.entry(s.pos, angle, func(m Mailbox) bool {
				if decode != nil && m.Name != "" {
					m.Name = decode(m.Name)
				}
				m.Name = dropControls(m.Name)
				return yield(m)
			}) {
				return
			}
			s.pos++ // the separator
		}
	}
}

// MaxMailboxes is how many entries [ParseList] returns at most.
const MaxMailboxes = 10_000

// ParseList returns the first [MaxMailboxes] entries that [Mailboxes] walks. Who wants
// fewer or more of them calls Mailboxes.
func ParseList(header string, decode func(string) string) []Mailbox {
	var list []Mailbox
	for m := range Mailboxes(header, decode) {
		if list = append(list, m); len(list) == MaxMailboxes {
			break
		}
	}
	return list
}

// A listScanner cuts a header field into tokens.
type listScanner struct {
	src string
	pos int
	// No quoted string and no comment ends behind pos: a search that failed is not
	// made again. The searches for other ends stop at the next beginning.
	noQuote, noParen bool
}

type tokenKind byte

const (
	tokEnd     tokenKind = iota
	tokGap               // blanks and line ends
	tokComment           // text is what stands between the parentheses
	tokQuoted            // text is what stands between the quotes
	tokAngle             // text is what stands between the brackets
	tokText              // a run of other characters, or an address literal
	tokAt
	tokSep   // comma or semicolon
	tokColon // the end of a group's name
)

// next returns the token at pos and moves behind it.
func (s *listScanner) next() (kind tokenKind, text string) {
	if s.pos == len(s.src) {
		return tokEnd, ""
	}
	from := s.pos
	switch c := s.src[from]; {
	case isBlank(c):
		for s.pos < len(s.src) && isBlank(s.src[s.pos]) {
			s.pos++
		}
		return tokGap, ""
	case c == ',' || c == ';':
		s.pos++
		return tokSep, ""
	case c == ':':
		s.pos++
		return tokColon, ""
	case c == '@':
		s.pos++
		return tokAt, "@"
	case c == '(' && s.skip(s.comment(from)):
		return tokComment, s.src[from+1 : s.pos-1]
	case c == '"' && s.skip(s.quoted(from)):
		return tokQuoted, s.src[from+1 : s.pos-1]
	case c == '<' && s.skip(s.angle(from)):
		return tokAngle, s.src[from+1 : s.pos-1]
	case c == '[' && s.skip(s.square(from)), c == '=' && s.skip(encodedWord(s.src[from:])):
		return tokText, s.src[from:s.pos]
	}
	// Anything else is text, also an opening that nothing closes.
	for s.pos++; s.pos < len(s.src) && !strings.ContainsRune(" \t\r\n,;:@(\"<[=", rune(s.src[s.pos])); s.pos++ {
		if s.src[s.pos-1] == '\\' && s.pos+1 < len(s.src) {
			s.pos++
		}
	}
	return tokText, s.src[from:s.pos]
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// skip moves n bytes on and reports whether that is far.
func (s *listScanner) skip(n int) bool {
	s.pos += n
	return n > 0
}

// quoted returns the length of the quoted string that begins at a place, or 0.
func (s *listScanner) quoted(at int) int {
	if s.noQuote {
		return 0
	}
	for i := at + 1; i < len(s.src); i++ {
		switch s.src[i] {
		case '\\':
			i++
		case '"':
			return i + 1 - at
		}
	}
	s.noQuote = true
	return 0
}

// comment returns the length of the comment that begins at a place, or 0.
func (s *listScanner) comment(at int) int {
	if s.noParen {
		return 0
	}
	n := comment.Len(s.src[at:])
	s.noParen = n == 0
	return n
}

// angle returns the length of the address in brackets that begins at a place, or 0. It
// ends at the first ">"; only a local part that begins with a quote may hold one.
func (s *listScanner) angle(at int) int {
	i := at + 1
	if i < len(s.src) && s.src[i] == '"' {
		i += s.quoted(i)
	}
	for ; i < len(s.src) && s.src[i] != '<'; i++ {
		if s.src[i] == '>' {
			return i + 1 - at
		}
	}
	return 0
}

// square returns the length of the address literal that begins at a place, or 0.
func (s *listScanner) square(at int) int {
	for i := at + 1; i < len(s.src) && strings.IndexByte("[,;@<>(\"\\", s.src[i]) < 0; i++ {
		if s.src[i] == ']' {
			return i + 1 - at
		}
	}
	return 0
}

// encodedWord returns the length of the encoded word (RFC 2047) that s begins with, or
// 0. QUIRK: senders leave commas, colons, blanks and the like in it as they are.
func encodedWord(s string) int {
	if !strings.HasPrefix(s, "=?") {
		return 0
	}
	n := 2
	for part := range 3 {
		i := strings.IndexByte(s[n:], '?')
		if i < 0 || part == 1 && i != 1 || strings.ContainsAny(s[n:n+i], "<>") {
			return 0
		}
		n += i + 1
	}
	if n == len(s) || s[n] != '=' {
		return 0
	}
	return n + 1
}

// skipEntry moves pos to the end of an entry, and reports whether an address in
// brackets is in it and whether anything is. The name of a group counts as nothing.
func (s *listScanner) skipEntry() (angle, words bool) {
	for at := false; ; {
		from := s.pos
		switch kind, _ := s.next(); kind {
		case tokEnd:
			return angle, words
		case tokSep:
			s.pos = from
			return angle, words
		case tokColon:
			s.pos = from
			return angle, angle || at // addresses are no name of a group: show them
		case tokGap:
		case tokAngle:
			angle, words = true, true
		case tokAt:
			at, words = true, true
		default:
			words = true
		}
	}
}

// entry reads the entry that s stands before and that ends at a place, and yields
// its mailboxes. It returns false when yield did.
func (s listScanner) entry(end int, angle bool, yield func(Mailbox) bool) bool {
	// What ended within the entry does so again, as the searches start as they did.
	s.src = s.src[:end]
	e := entryReader{angle: angle, yield: yield}
	for !e.stop {
		kind, text := s.next()
		if kind == tokEnd {
			e.end()
			break
		}
		e.token(kind, text)
	}
	return !e.stop
}

// An entryReader makes mailboxes of the tokens of one entry.
type entryReader struct {
	angle bool // an address in brackets is among them
	yield func(Mailbox) bool
	stop  bool // yield wants no more

	held *Mailbox // the last mailbox, held back for words behind it
	name []byte   // the words since

	raw      []byte // the current word as it was written
	cooked   []byte // the same without quotes
	comments []byte // those in and behind it
	at       bool   // it has an "@"
	glue     bool   // the next token belongs to it even behind a gap
	gap      bool   // a gap is before the next token
	phrase   bool   // there were other words, or a quoted string: no local part alone
}

func (e *entryReader) token(kind tokenKind, text string) {
	switch kind {
	case tokGap:
		e.gap = true
		return
	case tokComment:
		e.comments = appendWord(e.comments, unescape(text))
		return
	case tokAngle:
		e.endWord()
		if p, ok := pathOf(text); ok {
			e.hold(p)
		} else {
			e.name = appendWord(e.name, "<"+text+">")
		}
		e.gap = false
		return
	}
	// RFC 5322 section 4.4 has blanks around the "@" and the dots of an address.
	if e.gap && !e.glue && kind != tokAt && !(kind == tokText && text[0] == '.') {
		e.endWord()
	}
	e.gap, e.glue = false, false
	switch kind {
	case tokQuoted:
		e.raw = append(append(append(e.raw, '"'), text...), '"')
		e.cooked = append(e.cooked, unescape(text)...)
		e.phrase = true
	case tokAt:
		e.raw, e.cooked = append(e.raw, '@'), append(e.cooked, '@')
		e.at, e.glue = true, true
	default:
		e.raw, e.cooked = append(e.raw, text...), append(e.cooked, unescape(text)...)
		e.glue = text == "." || e.at && text[len(text)-1] == '.'
	}
}

// endWord makes an address or a word of a name of the current word.
func (e *entryReader) endWord() {
	if len(e.raw) > 0 && !(e.at && !e.angle && e.address()) {
		e.name = appendWord(e.name, string(e.cooked))
		e.phrase = true
	}
	if len(e.comments) > 0 {
		e.name = appendWord(e.name, string(e.comments))
	}
	e.raw, e.cooked, e.comments, e.at, e.glue = e.raw[:0], e.cooked[:0], e.comments[:0], false, false
}

// address makes a mailbox of the current word. The comments in and behind it are its name.
func (e *entryReader) address() bool {
	p, ok := pathOf(strings.Trim(string(e.raw), "<>"))
	if ok {
		e.hold(p)
		e.held.Name = string(appendWord([]byte(e.held.Name), string(e.comments)))
		e.comments = e.comments[:0]
	}
	return ok
}

// hold holds a mailbox back and yields the one before it.
func (e *entryReader) hold(p Path) {
	e.release()
	e.held = &Mailbox{Name: string(e.name), Path: p}
	e.name = e.name[:0]
}

func (e *entryReader) release() {
	if e.held != nil && !e.stop {
		e.stop = !e.yield(*e.held)
	}
	e.held = nil
}

func (e *entryReader) end() {
	if len(e.raw) == 0 || e.at || e.angle || e.phrase || !e.address() {
		e.endWord()
	}
	if e.held == nil && len(e.name) > 0 {
		e.held = &Mailbox{}
	}
	if e.held != nil {
		e.held.Name = string(appendWord([]byte(e.held.Name), string(e.name)))
	}
	e.release()
}

// appendWord appends a word to a name. Brackets that hold nothing are no word.
func appendWord(name []byte, word string) []byte {
	if word = strings.Trim(word, " \t\r\n"); strings.Trim(word, "<>") == "" {
		return name
	}
	if len(name) > 0 {
		name = append(name, ' ')
	}
	return append(name, word...)
}

// pathOf reads the address of an entry: comments and blanks outside of quotes are
// no part of it (RFC 5322 section 4.4), and neither are control characters.
func pathOf(s string) (Path, bool) {
	b := make([]byte, 0, len(s))
	quoted := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s) && !isControl(s[i+1]):
			i++
			b = append(b, c, s[i])
			continue
		case quoted:
			quoted = c != '"'
		case c == '(':
			n := comment.Len(s[i:])
			if n == 0 { // it hides what is left
				n = len(s) - i
			}
			i += n - 1
			continue
		case c == '"':
			quoted = true
		case c == ' ':
			continue
		}
		if !isControl(c) {
			b = append(b, c)
		}
	}
	p, err := ParsePath(string(b))
	return p, err == nil
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

// unescape drops the backslashes of quoted pairs (RFC 5322 section 3.2.1).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
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

// dropControls makes one line of s: line ends of folding vanish as RFC 5322 section 2.2.3
// says, tabs become blanks, other control characters vanish too.
func dropControls(s string) string {
	i := 0
	for i < len(s) && !isControl(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := []byte(s[:i])
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\t':
			b = append(b, ' ')
		case !isControl(c):
			b = append(b, c)
		}
	}
	return string(b)
}
