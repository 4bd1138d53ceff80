// Command gomilter serves mail filters to Sendmail and Postfix, and drives them
// as those would. See gomilter --help.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// The verbs; each has a file of its own.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Serve the filters of the configuration to MTAs."`
	Check   checkCmd   `cmd:"" help:"Tell what is wrong with the configuration."`
	Ctl     ctlCmd     `cmd:"" help:"Ask the running daemon, or tell it what to do."`
	Test    testCmd    `cmd:"" help:"Run the filters of the configuration on messages, and show what they would do."`
	MTA     mtaCmd     `cmd:"" name:"mta" help:"Be the MTA: put a message, or what comes by SMTP, through milters."`
	Bench   benchCmd   `cmd:"" help:"Load a milter and measure it."`
	Config  configCmd  `cmd:"" help:"Print the lines that attach a milter to an MTA."`
	Doctor  doctorCmd  `cmd:"" help:"Find out why an MTA does not use a milter as it should."`
	Kept    keptCmd    `cmd:"" help:"List, read, release and purge originals."`
	SPF     spfCmd     `cmd:"" name:"spf" help:"Check whether a client may send mail for a domain."`
	DKIM    dkimCmd    `cmd:"" name:"dkim" help:"Make keys, sign and verify messages."`
	DMARC   dmarcCmd   `cmd:"" name:"dmarc" help:"Tell which policy applies to mail of a domain."`
	Callout calloutCmd `cmd:"" help:"Ask the mail servers of a domain whether they accept an address."`
	Demo    demoCmd    `cmd:"" help:"Watch real messages go by SMTP through a filter into a Maildir."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Completion completionCmd `cmd:"" help:"Print a completion for a shell."`
	Man        manCmd        `cmd:"" hidden:"" help:"Print a page of the manual."`

	PrintVersion versionFlag `name:"version" help:"Print the version."`
}

// stdio is what a verb reads and writes: answers go to out, everything else to err.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

func main() { os.Exit(run(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})) }

// run runs one verb and returns the exit code.
func run(args []string, std stdio) (code int) {
	code = -1 // set when kong printed what was asked for
	parser, err := kong.New(new(cli),
		kong.Name("gomilter"),
		kong.Description("Mail filters for Sendmail and Postfix, and what it takes to try them.\n\n"+
			"A milter's SPEC is unix:/path, local:/path, /path, inet:port@host, inet6:port@[host], host:port or, to serve, fd://N.\n"+
			"Served without a host, as in inet:port, it is open to everybody who can reach the machine."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(c int) { code = c }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Bind(std),
		durations(),
		kong.UsageOnError(),
	)
	if err != nil {
		panic(err) // the grammar above is wrong
	}
	if len(args) > 0 && args[0] == "help" { // "help VERB" is "VERB --help"
		args = append(append([]string{}, args[1:]...), "--help")
	}
	if len(args) == 0 {
		args = []string{"--help"}
		std.out = std.err
		parser.Stdout = std.err
		defer func() { code = exitUsage }()
	}
	ctx, err := parser.Parse(args)
	switch {
	case code >= 0:
	case err != nil:
		fmt.Fprintf(std.err, "gomilter: %v\nTry \"gomilter --help\", or \"gomilter VERB --help\".\n", err)
		code = exitUsage
	default:
		code = report(std.err, ctx.Run())
	}
	return code
}
