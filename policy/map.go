package policy

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gomilter/gomilter/address"
)

// An Entry is a key and what it means.
type Entry struct {
	Key    string // such as "spf-fail:example.com", in any case; "!" stands for ":", too
	Action Action
	Line   int // of the file that it stands in, from 1; 0 for none
}

// A Table is entries of one source.
type Table struct {
	Name    string // of the file, or the rule, in explanations
	Entries []Entry

	// Rcpts says which recipients the table is for, by their addresses; nil means all.
	// It is called from several goroutines at once.
	Rcpts func(address string) bool
}

// An EntryError says which entry of a table is wrong.
type EntryError struct {
	Table string
	Index int // from 0
	Line  int // of the file, 0 for none
	Err   error
}

// Error tells the table, the line and what is wrong.
func (e *EntryError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.Table, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: entry %d: %v", e.Table, e.Index+1, e.Err)
}

// Unwrap returns what is wrong.
func (e *EntryError) Unwrap() error { return e.Err }

// ErrEntry is in the errors of entries that do not go with others, or with the recipients
// of their table.
var ErrEntry = errors.New("policy: entry is not right")

// A Verdict is what a map says of a message, and why. As a fact it is what was decided
// by policies: the word that prevailed, for filters behind that carry it out or heed it.
type Verdict struct {
	Action
	Prefix Prefix // what a check came to
	About  string // the address or the domain that it came to that of
	Key    string // that was found, as it stands in the map
	Table  string // the name of the table that has it
	Line   int    // of the table's file, 0 for none
}

// String tells the key, where it stands and what it means.
func (v Verdict) String() string {
	if v.Word == None {
		return v.Word.String()
	}
	at := v.Table
	if v.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, v.Line)
	}
	return fmt.Sprintf("%s (%s): %v", v.Key, at, v.Word)
}

// A Map finds words by keys. It may be used from several goroutines at once, and is never
// changed.
type Map struct {
	all     map[string]*entry // for all recipients
	limited []limited
	entries []*entry // in the order of the tables
}

// A limited table is for some recipients.
type limited struct {
	rcpts   func(string) bool
	entries map[string]*entry
}

type entry struct {
	verdict Verdict // without About
	limited bool
}

// New compiles tables. Where two have the same key the earlier one holds; a table with one
// key twice has to mean the same by it.
//
// The error joins an *[EntryError] for each entry that is wrong: keys that nothing is ever looked up by
// (ErrKey), a key that means two things, or a prefix that means another with the separator behind it (ErrEntry), and
// what cannot be done for some recipients only: CBV, DSN, Quarantine, Discard (ErrEntry).
func New(tables ...Table) (*Map, error) {
	m := &Map{all: make(map[string]*entry)}
	var errs []error
	for _, t := range tables {
		into := m.all
		if t.Rcpts != nil {
			into = make(map[string]*entry, len(t.Entries))
			m.limited = append(m.limited, limited{t.Rcpts, into})
		}
		own := make(map[string]Entry, len(t.Entries))
		for i, e := range t.Entries {
			folded, prefix, err := foldKey(e.Key)
			if err == nil {
				err = judge(e, t.Rcpts != nil)
			}
			if before, ok := own[folded]; ok && err == nil && before.Action != e.Action {
				err = fmt.Errorf("%w: %s is %v before, and %v here", ErrEntry, e.Key, before.Action, e.Action)
			}
			if err != nil {
				errs = append(errs, &EntryError{t.Name, i, e.Line, err})
				continue
			}
			if _, ok := own[folded]; ok {
				continue
			}
			own[folded] = e
			x := &entry{Verdict{Action: e.Action, Prefix: prefix, Key: e.Key, Table: t.Name, Line: e.Line}, t.Rcpts != nil}
			m.entries = append(m.entries, x)
			if into[folded] == nil {
				into[folded] = x
			}
		}
		for i, e := range t.Entries {
			if strings.ContainsAny(e.Key, ":!") {
				continue
			}
			// Of these two the one without the separator would never be found.
			if all, ok := own[strings.ToLower(e.Key)+":"]; ok && all.Action != e.Action {
				err := fmt.Errorf("%w: %s is %v, and %s, which goes before it and is for the same, is %v", ErrEntry, e.Key, e.Action, all.Key, all.Action)
				errs = append(errs, &EntryError{t.Name, i, e.Line, err})
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

func judge(e Entry, limited bool) error {
	switch w := e.Action.Word; {
	case w == None || int(w) >= len(wordNames):
		return fmt.Errorf("%w: %v", ErrWord, w)
	case limited && (w == CBV || w == DSN || w == Quarantine || w == Discard):
		return fmt.Errorf("%w: %v is for the message as a whole, and cannot be done for some recipients only", ErrEntry, w)
	}
	return nil
}

// All yields what the map can say, in the order of its tables, and whether it says so for
// some recipients only. About is empty.
func (m *Map) All() iter.Seq2[Verdict, bool] {
	return func(yield func(Verdict, bool) bool) {
		for _, e := range m.entries {
			if !yield(e.verdict, e.limited) {
				return
			}
		}
	}
}

// Has reports whether the map says something of an identity.
func (m *Map) Has(id Identity) bool {
	for v := range m.All() {
		if v.Prefix.Identity() == id {
			return true
		}
	}
	return false
}

// Limited reports whether a table is for some recipients only.
func (m *Map) Limited() bool { return len(m.limited) > 0 }

// maxKey bounds what is looked up, in bytes: a local part longer than half of it, which no
// server has to take (RFC 5321 section 4.5.3.1.1: 64), has no key of its own.
const maxKey = 1024

// Lookup finds what the map says of a result. about is an address, or a domain where it has
// no "@"; "" where the result is of nobody. Of P and l@a.example.com these keys are tried, and the
// first decides:
//
//	P:l@a.example.com  P:a.example.com  P:.example.com  P:.com  P:  P
//
// Of SMTPAuth, of which l is a user, two more are tried behind the first: that of the user for whatever domain, "P:l@", and
// before it, where the user's name is itself an address of the domain, as that of "jane@example.com" who sends for
// example.com, that of the address, "P:jane@example.com".
//
// Several prefixes are tried with each key in their order: "dmarc-fail-reject" and "dmarc-fail".
// Domains are compared by their A-labels, and all letters in any case.
//
// With rcpt, the address of a recipient, the tables for that recipient go before those for all, each with
// all of the keys; with "" they are left out. A result without a key gives false, which is the same as OK.
// Nothing is allocated for what is written in ASCII.
func (m *Map) Lookup(about, rcpt string, p ...Prefix) (Verdict, bool) {
	if rcpt != "" {
		for _, l := range m.limited {
			if l.rcpts(rcpt) {
				if v, ok := lookup(l.entries, about, p); ok {
					return v, true
				}
			}
		}
	}
	return lookup(m.all, about, p)
}

func lookup(entries map[string]*entry, about string, prefixes []Prefix) (Verdict, bool) {
	if len(entries) == 0 {
		return Verdict{}, false
	}
	var keys, work [maxKey]byte
	found := func(colon string, who []byte) *entry {
		for _, p := range prefixes {
			if p == "" {
				continue
			}
			key := append(append(append(work[:0], p...), colon...), who...)
			if e := entries[string(key)]; e != nil {
				return e
			}
		}
		return nil
	}
	local, domain := split(about)
	who, at, known := appendFolded(keys[:0], local, domain)
	d := who[at:] // empty where the domain is none that a key may have
	e := (*entry)(nil)
	if known && at > 0 {
		e = found(":", who)
	}
	if e == nil && local != "" && len(local) <= maxKey/2 && slices.Contains(prefixes, Prefix(SMTPAuth)) {
		var user [maxKey]byte
		if l, realm := split(local); l != "" && known {
			if own, at, ok := appendFolded(user[:0], l, realm); ok && at > 0 && bytes.Equal(own[at:], d) {
				e = found(":", own)
			}
		}
		if e == nil {
			e = found(":", append(appendLower(user[:0], local), '@'))
		}
	}
	if known {
		if e == nil {
			e = found(":", d)
		}
		for e == nil {
			i := indexDot(d)
			if i < 0 {
				break
			}
			e = found(":", d[i:])
			d = d[i+1:]
		}
	}
	if e == nil {
		e = found(":", nil)
	}
	if e == nil {
		e = found("", nil)
	}
	if e == nil {
		return Verdict{}, false
	}
	v := e.verdict
	v.About = about
	return v, true
}

// indexDot finds the first dot; an address literal has no parents.
func indexDot(d []byte) int {
	if len(d) > 0 && d[0] == '[' {
		return -1
	}
	for i, c := range d {
		if c == '.' {
			return i
		}
	}
	return -1
}

// split takes an address apart. Without an "@" it is a domain.
func split(about string) (local, domain string) {
	i := strings.LastIndexByte(about, '@')
	if i < 0 {
		return "", about
	}
	return about[:i], about[i+1:]
}

// appendFolded appends local@domain as it is in the keys of maps, or the domain where there is no local
// part; at is where the domain begins. It reports whether there is a domain that a key may have.
func appendFolded(b []byte, local, domain string) (folded []byte, at int, ok bool) {
	if n := len(domain); n > 0 && domain[n-1] == '.' {
		domain = domain[:n-1]
	}
	if domain == "" || len(domain) > maxKey/2 {
		return b, 0, false
	}
	if !plainName(domain) {
		d, err := address.ASCIIDomain(domain)
		if err != nil {
			return b, 0, false
		}
		domain = d
	}
	if len(domain) > 255 {
		return b, 0, false
	}
	if local != "" && len(local) <= maxKey/2 {
		b = append(appendLower(b, local), '@')
	}
	at = len(b)
	return appendLower(b, domain), at, true
}

// plainName reports whether a domain is the same in A-labels but for the case of its letters.
func plainName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z':
		case c == '.' && i > 0 && s[i-1] != '.':
		default:
			return false
		}
	}
	return true
}

func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return append(b, strings.ToLower(s[i:])...)
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b
}

// foldKey returns a key as it is in maps.
func foldKey(key string) (folded string, p Prefix, err error) {
	i := strings.IndexAny(key, ":!")
	if i < 0 {
		p, err = ParsePrefix(key)
		return string(p), p, err
	}
	if p, err = ParsePrefix(key[:i]); err != nil {
		return "", "", err
	}
	who := key[i+1:]
	if who == "" {
		return string(p) + ":", p, nil
	}
	if len(who) > maxKey/2 {
		return "", "", fmt.Errorf("%w: %s has more than %d bytes", ErrKey, short(key), maxKey/2)
	}
	local, domain := split(who)
	dot := ""
	if rest, ok := strings.CutPrefix(domain, "."); ok && local == "" && who[0] == '.' {
		dot, domain = ".", rest
	}
	switch {
	case domain == "" && local != "" && p.Identity() == SMTPAuth: // a user for whatever domain
		return string(p) + ":" + string(appendLower(nil, who)), p, nil
	case domain == "":
		return "", "", fmt.Errorf("%w: %s has no domain", ErrKey, short(key))
	}
	if who[0] == '@' {
		return "", "", fmt.Errorf("%w: %s has nothing before the \"@\"; a domain is written without", ErrKey, short(key))
	}
	d, err := address.ASCIIDomain(domain)
	if err != nil {
		return "", "", fmt.Errorf("%w: %s: %w", ErrKey, short(key), err)
	}
	switch id := p.Identity(); {
	case local != "" && id != SPF && id != SMTPAuth:
		return "", "", fmt.Errorf("%w: %s has an address, and %s is of domains", ErrKey, short(key), id)
	case dot != "" && d[0] == '[':
		return "", "", fmt.Errorf("%w: %s: nothing is below an address", ErrKey, short(key))
	case local != "":
		local = string(appendLower(nil, local)) + "@"
	}
	return string(p) + ":" + dot + local + strings.ToLower(d), p, nil
}

// Prefix returns the prefix of the entry's key. The error wraps ErrKey.
func (e Entry) Prefix() (Prefix, error) {
	s := e.Key
	if i := strings.IndexAny(s, ":!"); i >= 0 {
		s = s[:i]
	}
	return ParsePrefix(s)
}
