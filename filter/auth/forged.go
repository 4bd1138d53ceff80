package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/authres"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
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
// believed, and those that filters of this chain wrote stay.
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
		if !a.speaks(bare, x, id, trusted) || slices.Contains(ours, fieldText(bare, string(x.Value()))) {
			continue
		}
		gone[low]++
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

// speaks reports whether a field speaks in our name.
func (a *auth) speaks(name string, x message.Field, id string, trusted bool) bool {
	switch name {
	case strings.ToLower(resultsField):
		return authres.Bears(string(x.Value()), id)
	case strings.ToLower(receivedField):
		if !trusted {
			return true
		}
		f, err := spf.ParseReceivedSPF(string(x.Value()))
		return err != nil || authres.SameID(f.Receiver, id)
	case strings.ToLower(a.DMARC.Field):
		return a.marks()
	}
	return false
}
