package sign

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// A Rule is a key and whose mail is signed with it.
type Rule struct {
	Domain   string // that signs (d=)
	Selector string // under which the key is published (s=)
	Key      *dkim.Key

	// Subdomains lets the rule sign for the domains below its own, too, that have no nearer
	// rule. It is for rules without Senders and Users.
	Subdomains bool

	// Senders are those whose mail is signed, by [Options.By]: user@domain, or @domain for
	// all of a domain, with wildcards * and ?, in any case. nil means those of Domain, or
	// everybody where there are Users.
	Senders []string

	// Users are the names by which clients authenticate whose mail is signed, with
	// wildcards, in any case; nil means that it does not matter.
	Users []string
}

// A rule is a Rule made ready.
type rule struct {
	Rule
	domain, selector string
	at               string // where in DNS the key is, in lower case
	senders          []sender
}

// A sender is a pattern of addresses.
type sender struct {
	local  string // a pattern; "" for all
	domain address.HostGlob
}

// Check tells what is wrong with a rule.
func (r Rule) Check() error {
	c, err := r.compile()
	if err != nil {
		return err
	}
	return (&dkim.Signature{Domain: c.domain, Selector: c.selector, Key: r.Key}).Check()
}

func (r Rule) compile() (*rule, error) {
	c := &rule{Rule: r, selector: r.Selector}
	var err error
	if c.domain, err = address.ASCIIDomain(r.Domain); err != nil {
		return nil, fmt.Errorf("domain %q: %w", r.Domain, err)
	}
	c.at = strings.ToLower(c.selector + "._domainkey." + c.domain)
	if r.Senders != nil && len(r.Senders) == 0 || r.Users != nil && len(r.Users) == 0 {
		return nil, errors.New("a list of senders or users is empty, and nobody's mail is signed")
	}
	if r.Subdomains && (r.Senders != nil || r.Users != nil) {
		return nil, errors.New("Subdomains is for rules without Senders and Users")
	}
	for _, s := range r.Senders {
		p, err := parseSender(s)
		if err != nil {
			return nil, err
		}
		c.senders = append(c.senders, p)
	}
	for _, u := range r.Users {
		if err := CheckUser(u); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// CheckSender tells what is wrong with an element of [Rule.Senders].
func CheckSender(s string) error {
	_, err := parseSender(s)
	return err
}

// CheckUser tells what is wrong with an element of [Rule.Users].
func CheckUser(s string) error {
	if s == "" || strings.ContainsAny(s, ", \t") {
		return fmt.Errorf("user %q is empty, or has a comma or a blank; write one each", s)
	}
	return nil
}

func parseSender(s string) (sender, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || strings.ContainsAny(s, ", \t") {
		return sender{}, fmt.Errorf("sender %q should be user@domain or @domain", s)
	}
	g, err := address.ParseHostGlob(s[at+1:])
	if err != nil {
		return sender{}, fmt.Errorf("sender %q: %w", s, err)
	}
	local := strings.ToLower(s[:at])
	if local == "*" {
		local = ""
	}
	return sender{local, g}, nil
}

func (s sender) match(p address.Path) bool {
	return (s.local == "" || wildcard(s.local, strings.ToLower(p.Local))) && s.domain.Match(p.Domain)
}

// wildcard reports whether a pattern with * and ? matches the whole of s. It takes time by
// the length of one times that of the other at most.
func wildcard(pattern, s string) bool {
	star, from := -1, 0 // where the last star is, and what it was tried for
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// nearness returns how many labels a rule without Senders and Users has in common with a domain
// that it may sign for; 0 where it may not.
func (r *rule) nearness(domain string) int {
	if r.domain == domain || r.Subdomains && strings.HasSuffix(domain, "."+r.domain) {
		return strings.Count(r.domain, ".") + 1
	}
	return 0
}

// pick returns the rules that are for mail of senders, handed in by a user, in their order; of
// those of one key the first.
func (s *signer) pick(user string, senders []address.Path) []*rule {
	nearest := make([]int, len(senders))
	for i, p := range senders {
		for _, r := range s.rules {
			if r.Senders == nil && r.Users == nil {
				nearest[i] = max(nearest[i], r.nearness(p.Domain))
			}
		}
	}
	var list []*rule
	for _, r := range s.rules {
		if r.isFor(user, senders, nearest) && !slices.ContainsFunc(list, func(o *rule) bool { return o.at == r.at }) {
			list = append(list, r)
		}
	}
	return list
}

func (r *rule) isFor(user string, senders []address.Path, nearest []int) bool {
	if r.Users != nil {
		ok := false
		for _, u := range r.Users {
			ok = ok || user != "" && wildcard(strings.ToLower(u), strings.ToLower(user))
		}
		if !ok || r.Senders == nil {
			return ok
		}
	}
	for i, p := range senders {
		if r.Senders == nil {
			if n := r.nearness(p.Domain); n > 0 && n == nearest[i] {
				return true
			}
		}
		for _, s := range r.senders {
			if s.match(p) {
				return true
			}
		}
	}
	return false
}

// maxAuthors is how many addresses of a From field are looked at.
const maxAuthors = 20

// senders returns the addresses that decide, with canonical domains, or why there is none.
func (b By) senders(t *filter.Transaction, h message.Header) (list []address.Path, why string) {
	switch b {
	case Envelope:
		p, err := address.ParsePath(t.From().Address)
		if err == nil && !p.Null() {
			list = append(list, p.Canonical())
		}
		return list, ""
	case User:
		if p, err := address.ParsePath(t.User()); err == nil && p.Domain != "" {
			list = append(list, p.Canonical())
		}
		return list, ""
	}
	f, ok := h.Get("From")
	if !ok {
		return nil, "it has no From field"
	}
	for m := range address.Mailboxes(f.Text(true), nil) {
		if m.Path.Domain != "" {
			list = append(list, m.Path.Canonical())
		}
		if len(list) == maxAuthors {
			break
		}
	}
	return list, ""
}

// describe names the senders for people.
func (b By) describe(t *filter.Transaction, senders []address.Path) string {
	var names []string
	for _, p := range senders {
		names = append(names, p.String())
	}
	who := strings.Join(names, ", ")
	switch {
	case b == User && t.User() == "":
		return "a client that did not authenticate"
	case b == User:
		return fmt.Sprintf("user %q", t.User())
	case who != "" && b == From:
		return "author " + who
	case b == From:
		return "a From field without a domain"
	case who == "":
		return "sender <>"
	}
	return "sender " + who
}
