package main

import (
	"fmt"
	"io"

	"github.com/gomilter/gomilter/daemon/config"
)

// settings are the flags of verbs that read the configuration.
type settings struct {
	Config []string `short:"c" default:"/etc/gomilter/gomilter.toml" placeholder:"FILE" sep:"none" help:"The configuration (default: ${default}). May be repeated; later files win."`
}

func (s *settings) load() (*config.Source, error) { return config.Load(s.Config...) }

// read returns the configuration and all there is to say about it. The error has
// no word of its own: the problems were told to w.
func (s *settings) read(w io.Writer) (*config.Config, config.Problems, error) {
	src, err := s.load()
	if err != nil {
		return nil, nil, exit(exitConfig, err)
	}
	cfg, problems := src.Parse()
	return cfg, problems, tell(w, problems)
}

// tell writes problems. The error tells how many are errors, and has no word of its own.
func tell(w io.Writer, problems config.Problems) error {
	n := 0
	for _, p := range problems {
		word := "error"
		if p.Warning {
			word = "warning"
		} else {
			n++
		}
		fmt.Fprintf(w, "%s: %s\n", word, p.Error())
	}
	switch n {
	case 0:
		return nil
	case 1:
		return exitf(exitConfig, "the configuration has an error")
	}
	return exitf(exitConfig, "the configuration has %d errors", n)
}
