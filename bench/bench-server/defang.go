package main

import (
	"fmt"
	"os"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/quarantine"
)

// defang keeps originals and replaces dangerous attachments, as a chain in
// production does; what it kept is removed at the end.
func defang() (hooks func(*milter.Session) milter.Hooks, clean func(), err error) {
	dir, err := os.MkdirTemp("", "bench-kept-")
	if err != nil {
		return nil, nil, err
	}
	clean = func() { os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			clean()
		}
	}()
	// The load sends the same mails again and again. Originals are too old at once
	// to be found again, so that each costs what a new one does.
	store, err := quarantine.Open(dir, quarantine.Options{MaxBytes: 64 << 30, MaxEntries: 1 << 30, MaxAge: 1})
	if err != nil {
		return nil, nil, err
	}
	f, err := attachments.New("attachments", attachments.Options{})
	if err != nil {
		return nil, nil, err
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Originals: store, Explain: func(*filter.Explanation) {}}
	if err := chain.Check(); err != nil {
		return nil, nil, fmt.Errorf("bench-server: %w", err)
	}
	return chain.Hooks, clean, nil
}
