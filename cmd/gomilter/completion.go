package main

import (
	"github.com/alecthomas/kong"

	"github.com/gomilter/gomilter/internal/cliref"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Whose: bash, zsh or fish."`
}

func (*completionCmd) Help() string {
	return `Packages and make install put it where the shell finds it. Without:

    . <(gomilter completion bash)
    gomilter completion zsh >"$HOME/.zfunc/_gomilter"
    gomilter completion fish >"$HOME/.config/fish/completions/gomilter.fish"`
}

func (c *completionCmd) Run(std stdio, ctx *kong.Context) error {
	write := cliref.Bash
	switch c.Shell {
	case "zsh":
		write = cliref.Zsh
	case "fish":
		write = cliref.Fish
	}
	return exit(exitCantCreate, write(std.out, ctx.Model))
}
