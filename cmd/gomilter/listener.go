package main

import (
	"strings"

	"github.com/gomilter/gomilter/daemon/config"
)

// listenerFlags find listeners of the configuration.
type listenerFlags struct {
	settings
	Listener string `placeholder:"NAME" help:"The listener of the configuration, where it has several."`
}

// listeners returns the one that is named, or all.
func (f *listenerFlags) listeners() ([]config.Listener, *config.Config, error) {
	src, err := f.load()
	if err != nil {
		return nil, nil, exitf(exitConfig, "%w (the socket can be named with --socket)", err)
	}
	cfg, problems := src.Parse()
	if err := problems.Err(); err != nil {
		return nil, nil, exitf(exitConfig, "%w\n(the socket can be named with --socket)", err)
	}
	if f.Listener == "" {
		return cfg.Listeners, cfg, nil
	}
	for i, l := range cfg.Listeners {
		if l.Name == f.Listener {
			return cfg.Listeners[i : i+1], cfg, nil
		}
	}
	return nil, nil, exitf(exitUsage, "--listener %q: the configuration has %s", f.Listener, listenerNames(cfg.Listeners))
}

// one returns the one that is named, or the only one, and whether there are others.
func (f *listenerFlags) one() (l *config.Listener, others bool, err error) {
	list, cfg, err := f.listeners()
	if err != nil {
		return nil, false, err
	}
	if len(list) > 1 {
		return nil, false, exitf(exitUsage, "the configuration has several listeners; name one with --listener: %s", listenerNames(list))
	}
	return &list[0], len(cfg.Listeners) > 1, nil
}

func listenerNames(list []config.Listener) string {
	var names []string
	for _, l := range list {
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}
