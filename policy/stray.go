package policy

import (
	"fmt"
	"strings"
)

// A Stray is one of the others' entries of a file that looks as if it were meant for this package, such as
// "spf_softfail", and "spf softfail", whose key is "spf". Maps of MTAs may have such keys: it is no more than a
// guess. Of a file no more than 100 are told.
type Stray struct {
	Key  string // cut where it is long
	Line int    // from 1
	Like Prefix // that it is nearest to
}

// maxSlips is how many letters of a prefix may be wrong, missing, too many, or two of them the wrong way round.
const maxSlips = 2

// nearest returns the prefix that a key of others looks like, "" for none.
func nearest(key, value string) Prefix {
	low := strings.ToLower(key)
	end := strings.IndexFunc(low, func(r rune) bool {
		return r != '-' && r != '_' && (r < 'a' || r > 'z')
	})
	head, rest := low, ""
	if end >= 0 {
		head, rest = low[:end], low[end:]
	}
	head = strings.ReplaceAll(head, "_", "-")
	if p := Prefix(head); checks[p].identity != "" {
		return p // with another separator behind it, or an underscore in it
	}
	if rest == "" { // "spf softfail"
		word, _ := cutWord(strings.ToLower(value))
		word, _, _ = strings.Cut(strings.ReplaceAll(word, "!", ":"), ":")
		if p := Prefix(head + "-" + word); checks[p].identity != "" {
			return p
		}
	}
	if rest != "" && rest[0] != ':' && rest[0] != '!' {
		return "" // the name of a host, or an address
	}
	best, least := Prefix(""), maxSlips+1
	for p := range checks {
		if len(head) < len(p)-maxSlips || len(head) > len(p)+maxSlips {
			continue
		}
		if n := slips(head, string(p)); n < least || n == least && p < best {
			best, least = p, n
		}
	}
	if least > maxSlips {
		return ""
	}
	return best
}

// slips returns the least number of letters that are to be put in, taken out, changed, or changed with the next,
// to make one text the other. The texts are short.
func slips(a, b string) int {
	before := make([]int, len(b)+1) // the row above the last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// Doubt tells what is odd of an entry that is right, "" for nothing: a key of SMTPAuth with a domain of one label, which may have
// been meant for a user.
func (e Entry) Doubt() string {
	p, err := e.Prefix()
	if err != nil || p.Identity() != SMTPAuth {
		return ""
	}
	i := strings.IndexAny(e.Key, ":!")
	if i < 0 || i+1 == len(e.Key) || strings.ContainsAny(e.Key[i+1:], "@.[") {
		return ""
	}
	who := short(e.Key[i+1:])
	return fmt.Sprintf("%s is a domain here; write %s%s@ for the user, or %s%s. for the domain", who, e.Key[:i+1], who, e.Key[:i+1], who)
}
