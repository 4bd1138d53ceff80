package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"text/tabwriter"
	"time"

	"github.com/gomilter/gomilter/callout"
)

type calloutCmd struct {
	dnsFlag
	Addresses []string      `arg:"" name:"address" help:"What to ask about."`
	From      string        `placeholder:"ADDR" help:"The sender to name; without it the null sender, which is for senders of envelopes only."`
	Helo      string        `placeholder:"NAME" help:"The name to say, that of the address connections come from (default: what this machine calls itself)."`
	Source    []netip.Addr  `placeholder:"IP" help:"The address connections come from; may be given for IPv4 and for IPv6."`
	Timeout   time.Duration `default:"2m" help:"For all of it (default: ${default})."`
	Port      uint16        `default:"25" help:"The servers' port (default: ${default})."`
	Local     bool          `help:"Call private addresses, loopback, and others of no server on the Internet too."`
	NoTLS     bool          `name:"no-tls" help:"Leave out STARTTLS."`
	NoProbe   bool          `help:"Do not ask about a random address, too, where one is accepted."`
	JSON      bool          `name:"json" help:"Print one JSON object for each address."`
}

func (*calloutCmd) Help() string {
	return `Asks the mail servers of a domain whether they accept an address (call-back verification), and leaves before there is a
message. It is a load on servers of others, who may hold it against this machine; ask when there is a reason to.

Exit codes: 0 each address is accepted or refused; 64 a mistake in the flags; 65 the zone file cannot be read; 69 this
machine names no DNS servers; 75 of an address nothing is known, so try again.`
}

func (c *calloutCmd) Run(std stdio) error {
	r, err := c.resolver()
	if err != nil {
		return err
	}
	helo := c.Helo
	if helo == "" {
		if helo, err = os.Hostname(); err != nil {
			return exitf(exitUsage, "--helo is missing, and this machine does not know its name: %v", err)
		}
	}
	checker, err := callout.New(callout.Options{
		Resolver: r, Helo: helo, From: c.From, Source: c.Source, Local: c.Local, Port: c.Port, Clear: c.NoTLS, NoProbe: c.NoProbe,
		Total: c.Timeout, Recipients: len(c.Addresses), PerMinute: len(c.Addresses), PerServer: 1 << 10, Waiting: len(c.Addresses),
	})
	if err != nil {
		return exit(exitUsage, err)
	}
	defer checker.Close()
	ctx, stop := untilSignal()
	defer stop()
	results := checker.Ask(ctx, c.Addresses...)
	unknown := 0
	for _, res := range results {
		if res.Verdict == callout.Unknown {
			unknown++
		}
		if c.JSON {
			err = json.NewEncoder(std.out).Encode(res)
		} else {
			err = printCallout(std.out, res)
		}
		if err != nil {
			return exit(exitCantCreate, err)
		}
	}
	if unknown > 0 {
		return exitf(exitTemporary, "nothing is known of %d of %d", unknown, len(results))
	}
	return nil
}

func printCallout(out io.Writer, res callout.Result) error {
	fmt.Fprintf(out, "%s (%s): %s\n", res.Verdict, res.Reason, res.Reason.Text())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", name, value)
		}
	}
	row("address", fmt.Sprintf("%+q", res.Address))
	if res.Host != "" {
		encrypted := ""
		if res.TLS {
			encrypted = ", by TLS"
		}
		row("server", fmt.Sprintf("%s [%v]%s", res.Host, res.Addr, encrypted))
	}
	if res.Reply.Code != 0 {
		row("reply", res.Reply.String())
	}
	row("random address", string(res.Probe))
	row("problem", res.Problem)
	return w.Flush()
}
