package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/gomilter/gomilter/spf"
)

type spfCmd struct {
	dnsFlag
	IP       netip.Addr `name:"ip" required:"" placeholder:"IP" help:"The address of the client."`
	From     string     `placeholder:"ADDR" help:"The address of MAIL FROM; without it, or empty, the null sender."`
	Helo     string     `placeholder:"NAME" help:"The name in HELO or EHLO."`
	Identity string     `enum:"mailfrom,helo" default:"mailfrom" help:"What to check: mailfrom or helo. Of the null sender mailfrom is postmaster at the HELO name."`
	Lax      bool       `help:"Tell besides what a broken record may have been meant to say."`
	JSON     bool       `name:"json" help:"Print one JSON object."`
}

func (*spfCmd) Help() string {
	return `Asks whether a client may send mail for a domain (SPF, RFC 7208): prints the result, which term of the record
decided, how many look-ups that took, what the domain says of a fail, and what is wrong with the record.

Exit codes: 0 a result, whatever it is; 64 a mistake in the flags; 65 the zone file cannot be read; 69 this machine
names no DNS servers; 75 temperror: DNS did not answer, so try again.`
}

type spfResult struct {
	Result      spf.Value    `json:"result"`
	Explanation string       `json:"explanation"`
	Mechanism   string       `json:"mechanism"`
	Lookups     int          `json:"lookups"`
	Identity    spf.Identity `json:"identity"`
	Domain      string       `json:"domain"`
	Sender      string       `json:"sender"`
	Problem     string       `json:"problem,omitempty"`
	Lax         spf.Value    `json:"lax,omitempty"`
}

func (c *spfCmd) Run(std stdio) error {
	q := spf.Query{IP: c.IP, From: c.From, Helo: c.Helo}
	if from, ok := strings.CutPrefix(q.From, "<"); ok {
		q.From = strings.TrimSuffix(from, ">")
	}
	if q.Helo == "" && (q.From == "" || c.Identity == string(spf.Helo)) {
		return exitf(exitUsage, "nothing to check: --helo is missing, or --from with an address")
	}
	r, err := c.resolver()
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	checker := spf.Checker{Resolver: r, Lax: c.Lax}
	res := checker.Check(ctx, q, spf.Identity(c.Identity))
	if c.JSON {
		err = json.NewEncoder(std.out).Encode(spfResult{res.Value, res.Explanation, res.Mechanism, res.Lookups,
			res.Identity, res.Domain, res.Sender, res.Problem, res.Lax})
	} else {
		err = printSPF(std.out, res, q)
	}
	switch {
	case err != nil:
		return exit(exitCantCreate, err)
	case res.Value == spf.TempError:
		return exitf(exitTemporary, "not decided: %s", res.Problem)
	}
	return nil
}

func printSPF(out io.Writer, res spf.Result, q spf.Query) error {
	fmt.Fprintf(out, "%s: %s\n", res.Value, res.Reason(q))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%v\n", name, value)
		}
	}
	row("identity", string(res.Identity))
	if res.Sender != "" {
		row("sender", fmt.Sprintf("%+q", res.Sender))
	}
	row("mechanism", res.Mechanism)
	row("lookups", res.Lookups)
	row("explanation", res.Explanation)
	row("problem", res.Problem)
	row("lax reading", string(res.Lax))
	return w.Flush()
}
