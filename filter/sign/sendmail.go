package sign

import (
	"slices"
	"strings"
)

// asSendmail returns the value of a field of addresses as Sendmail writes it, but for white space that
// does not matter to who signs relaxed, and whether it is a list. It is not known of what is not plainly
// addresses: Sendmail has its own idea of that.
//
// Sendmail puts a blank behind each comma and takes away those before it, and quotes names that
// have a dot or the like (its MustQuoteChars).
func asSendmail(value string) (text string, list, known bool) {
	all, ok := tokens(value)
	if !ok {
		return "", false, false
	}
	head, inside, tail, ok := cutGroup(all)
	if !ok {
		return "", false, false
	}
	if len(trim(inside)) == 0 { // nobody is in the field, or in the group
		return value, false, true
	}
	elements := [][]token{nil}
	for _, t := range inside {
		if t.kind == ',' {
			elements = append(elements, nil)
			continue
		}
		last := &elements[len(elements)-1]
		*last = append(*last, t)
	}
	var b strings.Builder
	write(&b, head)
	for i, e := range elements {
		if i > 0 {
			b.WriteByte(',')
			if len(e) > 0 && e[0].kind != blank {
				b.WriteByte(' ')
			}
		}
		if i < len(elements)-1 && len(e) > 0 && e[len(e)-1].kind == blank {
			e = e[:len(e)-1]
		}
		if e, ok = quoteName(e); !ok {
			return "", false, false
		}
		write(&b, e)
	}
	write(&b, tail)
	return b.String(), len(elements) > 1, true
}

// A token is a part of a list of addresses (RFC 5322 section 3.2).
type token struct {
	kind byte // one of those below, or the special character that it is
	text string
}

const (
	word    = 'w' // with dots
	quoted  = '"'
	comment = '('
	literal = '['
	blank   = ' '
)

// tokens cuts a list into tokens. It is not ok where a quoted string, a comment or a literal has no end,
// or a backslash stands elsewhere.
func tokens(s string) (all []token, ok bool) {
	for len(s) > 0 {
		kind, n := byte(word), 0
		switch c := s[0]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			kind, n = blank, len(s)-len(strings.TrimLeft(s, " \t\r\n"))
		case c == quoted || c == comment || c == literal:
			kind, n = c, enclosed(s)
		case strings.IndexByte(`<>,:;@`, c) >= 0:
			kind, n = c, 1
		default:
			if n = strings.IndexAny(s, " \t\r\n\"()[]<>,:;@\\"); n < 0 {
				n = len(s)
			}
		}
		if n == 0 {
			return nil, false
		}
		all, s = append(all, token{kind, s[:n]}), s[n:]
	}
	return all, true
}

// enclosed returns how long a quoted string, comment or literal is that s begins with; 0 where it has no
// end.
func enclosed(s string) int {
	end := map[byte]byte{quoted: '"', comment: ')', literal: ']'}[s[0]]
	depth := 1
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == end:
			if depth--; depth == 0 {
				return i + 1
			}
		case c == comment && s[0] == comment:
			depth++
		}
	}
	return 0
}

func write(b *strings.Builder, list []token) {
	for _, t := range list {
		b.WriteString(t.text)
	}
}

// trim returns a list without blanks around it.
func trim(list []token) []token {
	if len(list) > 0 && list[0].kind == blank {
		list = list[1:]
	}
	if n := len(list); n > 0 && list[n-1].kind == blank {
		list = list[:n-1]
	}
	return list
}

// only reports whether all of a list are of some kinds.
func only(list []token, kinds string) bool {
	return !slices.ContainsFunc(list, func(t token) bool { return strings.IndexByte(kinds, t.kind) < 0 })
}

func index(list []token, kind byte) int {
	return slices.IndexFunc(list, func(t token) bool { return t.kind == kind })
}

// cutGroup takes the name and the end of a group from the list that is in it; of what is no group all is
// inside. It is not ok where there is more than one group.
func cutGroup(all []token) (head, inside, tail []token, ok bool) {
	colon, semicolon := index(all, ':'), index(all, ';')
	switch {
	case colon < 0 && semicolon < 0:
		return nil, all, nil, true
	case colon < 0 || semicolon < colon || !only(all[:colon], string([]byte{word, blank})) || len(trim(all[semicolon+1:])) > 0:
		return nil, nil, nil, false
	}
	head, inside, tail = all[:colon+1], all[colon+1:semicolon], all[semicolon:]
	return head, inside, tail, index(inside, ':') < 0
}

// quoteName quotes the name of an address as Sendmail does. It is not ok for what is not plainly
// an address, with or without a name or comments.
func quoteName(e []token) ([]token, bool) {
	open := index(e, '<')
	if open < 0 {
		for i, t := range e { // Sendmail sets a comment apart
			if t.kind == comment && (i > 0 && e[i-1].kind != blank || i < len(e)-1 && e[i+1].kind != blank) {
				return nil, false
			}
		}
		bare := slices.DeleteFunc(slices.Clone(e), func(t token) bool { return t.kind == comment || t.kind == blank })
		inner := trim(e)
		for len(inner) > 0 && (inner[0].kind == comment || inner[0].kind == blank) {
			inner = inner[1:]
		}
		return e, isAddress(bare) && len(inner) >= 3 && isAddress(inner[:3])
	}
	end := index(e, '>')
	if end < open || !isAddress(e[open+1:end]) || !only(e[end+1:], string([]byte{comment, blank})) {
		return nil, false
	}
	phrase := e[:open]
	if !only(phrase, string([]byte{word, quoted, comment, literal, blank, '@'})) {
		return nil, false
	}
	if !slices.ContainsFunc(phrase, func(t token) bool {
		return t.kind == '@' || t.kind == literal || t.kind == word && strings.ContainsAny(t.text, ".'")
	}) {
		return e, true
	}
	if index(phrase, quoted) >= 0 || index(phrase, comment) >= 0 || phrase[len(phrase)-1].kind != blank {
		return nil, false
	}
	mark := token{quoted, `"`}
	at := 0
	if phrase[0].kind == blank {
		at = 1
	}
	return slices.Concat(e[:at], []token{mark}, e[at:open-1], []token{mark}, e[open-1:]), true
}

// isAddress reports whether tokens are an address that Sendmail leaves as it is: with a domain that
// it does not complete, and without a route and blanks.
func isAddress(list []token) bool {
	if len(list) != 3 || list[1].kind != '@' || list[0].kind != word && list[0].kind != quoted {
		return false
	}
	domain := list[2]
	return domain.kind == literal || domain.kind == word && strings.Contains(domain.text, ".") && !strings.HasSuffix(domain.text, ".")
}
