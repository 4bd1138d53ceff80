package headers

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
)

// A hit is what met a rule.
type hit struct {
	field  *field // nil where there is none
	value  string
	groups []int  // in value, of a regular expression
	entry  string // that of Values which it met; "" where that says nothing
}

// meets compares values of a part. folded are the same in one case; sender is the
// domain of the envelope's sender.
func (c *rule) meets(v *values, sender string) (hit, bool) {
	compared := v.plain
	if !c.CaseSensitive && c.Match <= Glob {
		compared = v.fold()
	}
	for i, s := range compared {
		entry, groups, ok := c.test(s, sender)
		if ok && !c.Not {
			h := hit{value: v.plain[i], groups: groups}
			if entry >= 0 {
				h.entry = c.Values[entry]
			}
			return h, true
		} else if ok {
			return hit{}, false
		}
	}
	if !c.Not {
		return hit{}, false
	}
	var h hit
	if len(v.plain) > 0 {
		h.value = v.plain[0]
	}
	return h, true
}

// test compares one value. entry is the index of that of Values which it meets, -1
// where the match has none.
func (c *rule) test(s, sender string) (entry int, groups []int, ok bool) {
	switch c.Match {
	case Longer, Shorter:
		n := len(s)
		if c.Part != Raw {
			n = utf8.RuneCountInString(s)
		}
		return -1, nil, n > c.N && c.Match == Longer || n < c.N && c.Match == Shorter
	case Glob:
		for i, g := range c.globs {
			if g.match(s) {
				return i, nil, true
			}
		}
		return -1, nil, false
	case Regexp:
		for i, re := range c.regexps {
			if groups = re.FindStringSubmatchIndex(s); groups != nil {
				return i, groups, true
			}
		}
		return -1, nil, false
	case SenderDomain:
		domain := s[strings.LastIndexByte(s, '@')+1:]
		return -1, nil, domain == sender || domain != "" && strings.HasSuffix(sender, "."+domain)
	case Present, Missing, MoreThan:
		return -1, nil, true
	}
	for i, v := range c.values {
		switch c.Match {
		case Equal:
			ok = s == v
		case Contains:
			ok = strings.Contains(s, v)
		case Prefix:
			ok = strings.HasPrefix(s, v)
		case Suffix:
			ok = strings.HasSuffix(s, v)
		}
		if ok {
			return i, nil, true
		}
	}
	return -1, nil, false
}

// names reports whether the rule looks at fields of a name.
func (c *rule) names(f *field) bool {
	return slices.ContainsFunc(c.fields, func(p namePattern) bool { return p.match(f) })
}

// applies reports whether the rule is for a message, and returns the recipients
// it is for; nil means all.
func (c *rule) applies(t *filter.Transaction) (rcpts []string, ok bool) {
	if c.Classes != nil && !slices.Contains(c.Classes, t.Class()) {
		return nil, false
	}
	if len(c.rcpts) == 0 {
		return nil, true
	}
	all := true
	for _, to := range t.Rcpts() {
		if c.forRcpt(to.Address) {
			rcpts = append(rcpts, to.Address)
		} else {
			all = false
		}
	}
	if len(rcpts) == 0 {
		return nil, false
	}
	if all {
		rcpts = nil
	}
	return rcpts, true
}

func (c *rule) forRcpt(addr string) bool {
	addr = fold(addr)
	return slices.ContainsFunc(c.rcpts, func(g glob) bool { return g.match(addr) })
}

// senderDomain returns the domain of the envelope's sender, as those of addresses
// in fields are; "" for the null sender.
func senderDomain(from filter.Path) string {
	return address.Path{Domain: from.Domain}.Canonical().Domain
}
