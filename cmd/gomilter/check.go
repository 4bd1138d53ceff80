package main

import (
	"encoding/json"
	"fmt"
)

type checkCmd struct {
	settings
	JSON bool `name:"json" help:"One object for each problem."`
}

func (*checkCmd) Help() string {
	return `All errors are told at once, with file, line and column, and then what is legal but unwise.
The exit code is 0 for a configuration that can be served, warnings or not, and 78 for one that
cannot. What serving would fail on on this machine is an error too: a user or group that is not
there, and the folder of a socket or the log. Check a configuration where it is to be served.
Nothing is opened or changed.

    gomilter check -c gomilter.toml`
}

func (c *checkCmd) Run(std stdio) error {
	if c.JSON {
		return c.runJSON(std)
	}
	cfg, problems, err := c.read(std.out)
	if err != nil {
		return err
	}
	machine := cfg.CheckMachine()
	if err := tell(std.out, machine); err != nil {
		return err
	}
	problems = append(problems, machine...)
	fmt.Fprintf(std.out, "ok: %s, %s, %s\n", count(len(cfg.Listeners), "listener"), count(len(cfg.Filters), "filter"), count(len(problems), "warning"))
	return nil
}

func (c *checkCmd) runJSON(std stdio) error {
	src, err := c.load()
	if err != nil {
		return exit(exitConfig, err)
	}
	cfg, problems := src.Parse()
	if cfg != nil {
		problems = append(problems, cfg.CheckMachine()...)
	}
	out := json.NewEncoder(std.out)
	for _, p := range problems {
		severity := "error"
		if p.Warning {
			severity = "warning"
		}
		if err := out.Encode(struct {
			Severity string `json:"severity"`
			File     string `json:"file"`
			Line     int    `json:"line,omitempty"`
			Column   int    `json:"column,omitempty"`
			Key      string `json:"key,omitempty"`
			Text     string `json:"text"`
		}{severity, p.File, p.Line, p.Column, p.Key, p.Text}); err != nil {
			return err
		}
	}
	if problems.Err() != nil {
		return exitf(exitConfig, "the configuration has errors")
	}
	return nil
}

// count returns a number of things in words.
func count(n int, thing string) string {
	switch n {
	case 0:
		return "no " + thing + "s"
	case 1:
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

type configShowCmd struct {
	settings
	JSON bool `name:"json" help:"An array of objects with key, value and from."`
}

func (*configShowCmd) Help() string {
	return `Each value is shown with where it came from: a file and line, or "default". What is shown is a
configuration itself.`
}

func (c *configShowCmd) Run(std stdio) error {
	cfg, _, err := c.read(std.err)
	if err != nil {
		return err
	}
	if c.JSON {
		return cfg.ShowJSON(std.out)
	}
	return cfg.Show(std.out)
}
