package filter

import "slices"

// Scanned is what a scanner for viruses or spam said of a message, as a fact.
type Scanned struct {
	Filter  string // the filter's name
	Scanner string // its kind: clamd, spamd, rspamd
	Server  string // that answered

	// Found says that it is bad by the scanner's own measure: infected, or spam.
	Found    bool
	Infected bool     // by a virus or the like
	Names    []string // of what infects it, or of the rules it met
	Action   string   // that the scanner advises; "" for those that advise none

	// Score is how much it looks like spam, and Threshold the score at which the
	// scanner has it for spam (rspamd: refuses it). Both are 0 for scanners for viruses.
	Score, Threshold float64
}

// Scans is the fact of all scanners that were asked about a message, in the order
// of the chain. Those that could not be reached are not in it.
type Scans []Scanned

// TellScanned adds what a scanner said to the fact Scans.
func TellScanned(t *Transaction, s Scanned) {
	scans, _ := Told[Scans](t)
	Tell(t, append(slices.Clone(scans), s))
}
