package scan

import (
	"math"
	"strconv"
	"strings"
)

// show returns what a server said as printable ASCII, n bytes of it.
func show(s string, n int) string {
	cut := len(s) > n
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s[:min(len(s), n)])
	if cut {
		s += "..."
	}
	return s
}

// told returns what a server said of itself, for errors, n bytes of it. It says why a
// scanner fails and is none of the message, so it has no double quotes, in which
// explanations have what is.
func told(s string, n int) string { return "'" + strings.ReplaceAll(show(s, n), `"`, "'") + "'" }

// maxNames bounds what is told of what a scanner found.
const (
	maxNames = 20
	maxName  = 64
)

// showNames returns names for people, some of them. Blanks and brackets in them
// could be taken for something else.
func showNames(names []string) string {
	list := make([]string, 0, maxNames)
	for _, s := range names[:min(len(names), maxNames)] {
		list = append(list, showName(s))
	}
	s := strings.Join(list, ", ")
	if more := len(names) - len(list); more > 0 {
		s += " and " + strconv.Itoa(more) + " more"
	}
	return s
}

// showName returns the name of a virus or rule as letters that do no harm.
func showName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || strings.ContainsRune("()<>,;\"\\%", r) {
			return '_'
		}
		return r
	}, show(s, maxName))
}

// score writes a score as scanners do, and one that no rules add up to in a few digits.
func score(f float64) string {
	if math.Abs(f) < 1e6 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'g', 6, 64) // NaN too
}
