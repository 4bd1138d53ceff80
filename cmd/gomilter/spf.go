package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/spf"
)

type spfCmd struct {
	dnsFlag
	IP       string `name:"ip" required:"" placeholder:"IP" help:"The address of the client."`
	From     string `placeholder:"ADDR" help:"The address of MAIL FROM; without it, or empty, the null sender."`
	Helo     string `placeholder:"NAME" help:"The name in HELO or EHLO."`
	Identity string `enum:"mailfrom,helo" default:"mailfrom" help:"What to check: mailfrom or helo. Of the null sender mailfrom is postmaster at the HELO name."`
	Lax      bool   `help:"Tell besides what a broken record may have been meant to say."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
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
	ip, err := netip.ParseAddr(c.IP)
	if err != nil {
		return exitf(exitUsage, "--ip %q is no address such as 192.0.2.1 or 2001:db8::1", c.IP)
	}
	q := spf.Query{IP: ip, From: c.From, Helo: c.Helo}
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
		err = printSPF(std.out, res, q, publishedSPF(ctx, r, res.Domain))
	}
	switch {
	case err != nil:
		return exit(exitCantCreate, err)
	case res.Value == spf.TempError:
		return exitf(exitTemporary, "not decided: %s", res.Problem)
	}
	return nil
}

// publishedSPF returns the SPF records of a domain, as far as they fit in a line.
func publishedSPF(ctx context.Context, r dns.Resolver, domain string) string {
	txts, err := r.LookupTXT(ctx, domain)
	switch {
	case domain == "" || err != nil && !dns.IsNotFound(err):
		return ""
	case err != nil:
		if exists, known, _ := dns.Exists(ctx, r, domain); known && !exists {
			return "none, there is no " + domain
		}
	}
	var records []string
	for _, txt := range txts {
		if version, _, _ := strings.Cut(txt, " "); strings.EqualFold(version, "v=spf1") {
			records = append(records, fmt.Sprintf("%.1000q", txt))
		}
	}
	if records == nil {
		return "none of " + domain
	}
	return strings.Join(records[:min(len(records), 3)], ", ")
}

func printSPF(out io.Writer, res spf.Result, q spf.Query, published string) error {
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
	row("record", published)
	row("mechanism", res.Mechanism)
	row("lookups", res.Lookups)
	row("explanation", res.Explanation)
	row("problem", res.Problem)
	row("lax reading", string(res.Lax))
	return w.Flush()
}
