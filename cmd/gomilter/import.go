package main

import (
	"fmt"
	"os"

	"github.com/gomilter/gomilter/daemon/config"
)

type configImportCmd struct {
	File string `arg:"" placeholder:"FILE" help:"The configuration of one of pymilter's applications: pymilter.cfg, spfmilter.cfg or dkim-milter.cfg."`
}

func (*configImportCmd) Help() string {
	return `The configuration of gomilter that does the same, as far as there are filters for it, goes to
standard output; to standard error go the options that were not carried over, or not as they
stood, each with the reason. The configuration ends with the same list. Files that the old one
names, such as its access file, are read, so import it where they are.

    gomilter config import pymilter.cfg >gomilter.toml
    gomilter check -c gomilter.toml

The file's name tells of which application it is; docs/commands.md says how, and what of other names.
It goes on as the user "gomilter", whom the packages make.`
}

func (c *configImportCmd) Run(std stdio) error {
	f, err := os.Open(c.File)
	if err != nil {
		return exit(exitData, err)
	}
	defer f.Close()
	toml, left, err := config.ImportPymilter(f, c.File)
	if err != nil {
		return exit(exitData, err)
	}
	for _, l := range left {
		fmt.Fprintln(std.err, "left:", l)
	}
	_, err = std.out.Write(toml)
	return exit(exitCantCreate, err)
}
