package cliref_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gomilter/gomilter/internal/cliref"
	"github.com/gomilter/gomilter/internal/roff"
)

// gate is a program with one verb.
func gate() *kong.Application {
	return kong.Must(&struct {
		Open struct {
			Wide bool `help:"To the wall."`
		} `cmd:"" help:"Open it."`
	}{}, kong.Name("gate")).Model
}

func ExampleFish() {
	if err := cliref.Fish(os.Stdout, gate()); err != nil {
		panic(err)
	}
	// Output:
	// # fish completion of gate; made by gate completion fish
	//
	// function __gate_at
	// 	set -l at
	// 	for w in (commandline -opc)[2..-1]
	// 		switch "$at $w"
	// 			case ' open'
	// 				set at "$at $w"
	// 		end
	// 	end
	// 	test "$at" = "$argv[1]"
	// end
	//
	// complete -c gate -f
	// complete -c gate -l help -s h -d 'Show context-sensitive help'
	// complete -c gate -n '__gate_at ""' -a open -d 'Open it'
	// complete -c gate -n '__gate_at " open"' -l wide -d 'To the wall'
}

func ExampleBash() {
	var b bytes.Buffer
	if err := cliref.Bash(&b, gate()); err != nil {
		panic(err)
	}
	fmt.Println(strings.Contains(b.String(), "complete -F _gate gate"))
	// Output: true
}

func ExampleZsh() {
	var b bytes.Buffer
	if err := cliref.Zsh(&b, gate()); err != nil {
		panic(err)
	}
	fmt.Println(strings.HasPrefix(b.String(), "#compdef gate\n"))
	// Output: true
}

func ExampleSynopsis() {
	fmt.Println(cliref.Synopsis(gate()))
	// Output: [`gate open` [flags]]
}

func ExampleVerbs() {
	p := roff.New(io.Discard, roff.Title{Name: "gate", Section: 1})
	p.Section("options")
	cliref.Flags(p, gate())
	p.Section("verbs")
	cliref.Verbs(p, gate())
	fmt.Println(p.Flush())
	// Output: <nil>
}
