package policy

import (
	"fmt"
	"strings"
)

// An Identity is who is checked, and how.
type Identity string

// The identities.
const (
	SMTPAuth Identity = "smtp-auth" // which authenticated user sends for which domain
	SPF      Identity = "spf"       // of MAIL FROM
	HELO     Identity = "helo"      // SPF of the HELO name
	DKIM     Identity = "dkim"      // the domain of a signature
	DMARC    Identity = "dmarc"     // the domain of the author
)

// A Prefix begins keys: the identity and what its check came to, such as "spf-fail". That
// of SMTPAuth is "smtp-auth".
type Prefix string

// results are what the checks come to. What DMARC's fail has behind it is what the
// author's domain asks for.
var results = map[Identity][]string{
	SPF:   {"pass", "neutral", "softfail", "fail", "none", "permerror", "temperror"},
	HELO:  {"pass", "neutral", "softfail", "fail", "none", "permerror", "temperror"},
	DKIM:  {"pass", "fail", "policy", "neutral", "none", "permerror", "temperror"},
	DMARC: {"pass", "fail", "fail-none", "fail-quarantine", "fail-reject", "none", "permerror", "temperror"},
}

// A check is an identity and what it came to.
type check struct {
	identity Identity
	result   string
}

// prefixes are all that there are, by their checks; checks the other way round.
var prefixes, checks = func() (map[check]Prefix, map[Prefix]check) {
	byCheck, byPrefix := make(map[check]Prefix), make(map[Prefix]check)
	add := func(c check, p Prefix) { byCheck[c], byPrefix[p] = p, c }
	for id, all := range results {
		for _, r := range all {
			add(check{id, r}, Prefix(string(id)+"-"+r))
		}
	}
	add(check{SMTPAuth, ""}, Prefix(SMTPAuth))
	return byCheck, byPrefix
}()

// PrefixOf returns the prefix of what a check came to, as RFC 8601 calls it, and "" where no
// check comes to that. SMTPAuth has the result "".
func PrefixOf(id Identity, result string) Prefix { return prefixes[check{id, result}] }

// ParsePrefix reads a prefix in any case. The error wraps ErrKey.
func ParsePrefix(s string) (Prefix, error) {
	p := Prefix(strings.ToLower(s))
	if _, ok := checks[p]; ok {
		return p, nil
	}
	for id, all := range results {
		if strings.HasPrefix(string(p), string(id)+"-") {
			return "", fmt.Errorf("%w: %q is none of %s-%s", ErrKey, short(s), id, strings.Join(all, ", "+string(id)+"-"))
		}
	}
	return "", fmt.Errorf("%w: %q begins with none of smtp-auth, spf-RESULT, helo-RESULT, dkim-RESULT, dmarc-RESULT", ErrKey, short(s))
}

// Identity returns the identity, "" for no prefix.
func (p Prefix) Identity() Identity { return checks[p].identity }
