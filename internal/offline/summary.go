package offline

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Summary counts the results of many messages.
type Summary struct {
	Messages int // that got a verdict
	Unread   int // that could not be read
	Verdicts map[string]int
	Held     int // by the MTA
	Changed  int // of those that are delivered or held
	Hits     map[Hit]int
	Slowest  []Slow // the slowest first
}

// A Hit is what a filter had to say of a message.
type Hit struct {
	Filter   string
	Report   bool   // it did not count
	Decision string // of the filter, "edits" where it only changed the message, or "notes"
	Rule     string // that the message met, where the filter names it
}

// A Slow is a message and how long the filters took.
type Slow struct {
	File string
	Took time.Duration
}

const (
	maxSlowest = 5
	// maxHits bounds the different hits; a message that says the like of a rule's name
	// adds to what has no rule then.
	maxHits = 1000
)

// Add counts a result.
func (s *Summary) Add(r *Result) {
	if r.Err != nil {
		s.Unread++
		return
	}
	s.Messages++
	if s.Verdicts == nil {
		s.Verdicts, s.Hits = make(map[string]int), make(map[Hit]int)
	}
	s.Verdicts[r.Result.Verdict.String()]++
	if r.Result.Quarantine != nil {
		s.Held++
	}
	if r.Delivers() && len(r.Result.Edits) > 0 {
		s.Changed++
	}
	seen := make(map[Hit]bool) // a message counts once for each
	for _, f := range r.Filters() {
		h := Hit{Filter: f.Name, Report: f.Report, Decision: f.Decision}
		if f.Decision == "continue" || f.Decision == "accept" {
			switch {
			case len(f.Edits) > 0:
				h.Decision = "edits"
			case f.Why != "":
				h.Decision = "notes"
			default:
				continue
			}
		}
		rules := rules(f.Why)
		if len(rules) == 0 {
			rules = []string{""}
		}
		for _, h.Rule = range rules {
			if _, known := s.Hits[h]; !known && len(s.Hits) >= maxHits {
				h.Rule = ""
			}
			if !seen[h] {
				seen[h] = true
				s.Hits[h]++
			}
		}
	}
	slow := Slow{r.File, r.Took()}
	i, _ := slices.BinarySearchFunc(s.Slowest, slow, func(a, b Slow) int { return cmp.Compare(b.Took, a.Took) })
	if i < maxSlowest {
		s.Slowest = slices.Insert(s.Slowest, i, slow)
		s.Slowest = s.Slowest[:min(len(s.Slowest), maxSlowest)]
	}
}

var (
	// filter/headers: rule NAME on Subject "...": reject, and rule NAME: no Date: reject.
	headersRule = regexp.MustCompile(`^rule (.+?)(?: on |: no )`)
	// filter/attachments: "x.exe": its name is dangerous (name, replace).
	attachmentsRule = regexp.MustCompile(`\(([a-z ]+), [a-z]+\)$`)
)

// rules returns the names of the rules in what a filter noted.
func rules(why string) (names []string) {
	for _, note := range notes(why) {
		m := headersRule.FindStringSubmatch(note)
		if m == nil {
			m = attachmentsRule.FindStringSubmatch(note)
		}
		if m != nil && !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// notes takes apart what [filter.Transaction.Explain] put together, but for what
// stands in quotes.
func notes(why string) (list []string) {
	quoted, from := false, 0
	for i := 0; i < len(why); i++ {
		switch c := why[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted && strings.HasPrefix(why[i:], "; "):
			list = append(list, why[from:i])
			from = i + 2
		}
	}
	return append(list, why[min(from, len(why)):])
}
