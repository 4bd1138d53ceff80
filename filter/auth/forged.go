package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/authres"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/spf"
)

// The names of fields that speak in our name.
const (
	resultsField  = "Authentication-Results"
	receivedField = "Received-SPF"
)

// written are a fact of the filters' own: the fields that those of a chain before added.
type written []string

// forget takes the fields out that speak in our name and are not ours (RFC 8601 section 5):
// Authentication-Results that some reader would take for one of ours, Received-SPF, and the mark
// of messages that fail DMARC. Those of trusted relays stay unless they bear our id and are not
// believed, and those that filters of this chain wrote stay. A field of whatever name goes that
// hides such a one.
func (a *auth) forget(t *filter.Transaction, e *filter.Edits, f *found) error {
	id, trusted := a.id(t), t.Class() == filter.TrustedRelay
	before, _ := filter.Told[written](t)
	ours := slices.Concat(before, f.heard)
	counts := make(map[string]int)
	gone := make(map[string]int)
	for _, x := range t.Message().Header {
		name := x.Name()
		low := strings.ToLower(name)
		counts[low]++
		bare := strings.TrimRight(low, " \t") // RFC 5322 section 4.5: blanks before the colon
		value := string(x.Value())
		hides := a.hides(value, id)
		if !hides && (!a.speaks(bare, value, id, trusted) || slices.Contains(ours, fieldText(bare, value))) {
			continue
		}
		if gone[low]++; hides {
			t.Explain(fmt.Sprintf("taken out: %s, which hides a field in our name", show(name)))
		}
		err := e.DeleteHeader(name, counts[low])
		if errors.Is(err, milter.ErrEdit) {
			t.Explain(fmt.Sprintf("%s cannot be taken out: its name has blanks", bare))
		} else if err != nil {
			return err
		}
	}
	for _, name := range []string{resultsField, receivedField, a.DMARC.Field} {
		if n := gone[strings.ToLower(name)]; n > 0 {
			t.Explain(fmt.Sprintf("taken out: %d %s", n, name))
		}
	}
	return nil
}

// fieldText returns a field without its folds, to compare it.
func fieldText(name, value string) string {
	return strings.ToLower(name) + ": " + strings.Join(strings.Fields(value), " ")
}

// hides reports whether a value has a field that speaks in our name for readers who end lines at a CR
// alone. Over milter no value has a NUL, at which others would.
func (a *auth) hides(value, id string) bool {
	for _, rest, more := cutLine(value); more; {
		var line string
		line, rest, more = cutLine(rest)
		name, value, ok := strings.Cut(line, ":")
		if ok && a.speaks(strings.ToLower(strings.TrimRight(name, " \t")), value, id, false) {
			return true
		}
	}
	return false
}

// cutLine cuts s at a CR behind which there is no fold.
func cutLine(s string) (line, rest string, more bool) {
	for i := 0; ; {
		n := strings.IndexByte(s[i:], '\r')
		if n < 0 {
			return s, "", false
		}
		i += n + 1
		if i == len(s) || strings.IndexByte("\n \t", s[i]) < 0 {
			return s[:i-1], s[i:], true
		}
	}
}

// speaks reports whether a field speaks in our name.
func (a *auth) speaks(name, value, id string, trusted bool) bool {
	switch name {
	case strings.ToLower(resultsField):
		return authres.Bears(value, id)
	case strings.ToLower(receivedField):
		if !trusted {
			return true
		}
		f, err := spf.ParseReceivedSPF(value)
		return err != nil || authres.SameID(f.Receiver, id)
	case strings.ToLower(a.DMARC.Field):
		return a.marks()
	}
	return false
}
