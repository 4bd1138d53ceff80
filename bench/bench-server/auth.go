package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
)

// authenticate finds out who sent mail by some methods, nil for all, with what the folder
// $MILTER_DNS says of names, as a chain in production does.
func authenticate(methods []auth.Method) (func(*milter.Session) milter.Hooks, error) {
	zone, err := dns.ReadZone(filepath.Join(os.Getenv("MILTER_DNS"), "zone"))
	if err != nil {
		return nil, fmt.Errorf("bench-server: %w", err)
	}
	f, err := auth.New("auth", auth.Options{ID: "mx.example.org", Methods: methods, Resolver: dns.NewCache(zone, dns.CacheOptions{})})
	if err != nil {
		return nil, fmt.Errorf("bench-server: %w", err)
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Explain: func(*filter.Explanation) {}}
	if err := chain.Check(); err != nil {
		return nil, fmt.Errorf("bench-server: %w", err)
	}
	return chain.Hooks, nil
}
