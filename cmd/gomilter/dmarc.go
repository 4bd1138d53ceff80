package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gomilter/gomilter/dmarc"
)

type dmarcCmd struct {
	dnsFlag
	Domain       string `arg:"" help:"The domain of an author, as behind the @ in From."`
	PublicSuffix bool   `help:"Find the organizational domain by the list of public suffixes, as RFC 7489 did."`
	JSON         bool   `name:"json" help:"Print one JSON object."`
}

func (*dmarcCmd) Help() string {
	return `Tells what a domain asks to be done with mail in its name that fails (DMARC, RFC 9989): the policy, where its
record is, the organizational domain, and each name that was asked for and what it said.

Exit codes: 0 an answer, also that there is no policy; 64 a mistake in the flags; 65 the zone file cannot be read; 69 this
machine names no DNS servers; 75 DNS did not answer, so try again.`
}

// dmarcResult is the answer in JSON; lists are never null.
type dmarcResult struct {
	Domain       string       `json:"domain"`
	Result       dmarc.Value  `json:"result"` // none, temperror or permerror where there is no policy; else ""
	Policy       dmarc.Policy `json:"policy"`
	Tag          string       `json:"tag"`
	PolicyDomain string       `json:"policy_domain"`
	Org          string       `json:"org"`
	Exists       bool         `json:"exists"`
	Record       *dmarcRecord `json:"record"`
	Why          string       `json:"why"`
	Queries      int          `json:"queries"`
	Walk         []dmarcStep  `json:"walk"`
}

type dmarcRecord struct {
	Text   string       `json:"text"`
	P      dmarc.Policy `json:"p"`
	SP     dmarc.Policy `json:"sp"`
	NP     dmarc.Policy `json:"np"`
	ADKIM  string       `json:"adkim"`
	ASPF   string       `json:"aspf"`
	PSD    dmarc.PSD    `json:"psd"`
	T      string       `json:"t"`
	RUA    []string     `json:"rua"`
	RUF    []string     `json:"ruf"`
	FO     string       `json:"fo"`
	Faults []string     `json:"faults"`
}

type dmarcStep struct {
	Name   string `json:"name"`
	Record string `json:"record"` // "" where there is none
	Why    string `json:"why"`
}

func (c *dmarcCmd) Run(std stdio) error {
	r, err := c.resolver()
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	checker := dmarc.Checker{Resolver: r, PublicSuffix: c.PublicSuffix}
	p := checker.Lookup(ctx, c.Domain)
	if p.Domain == "" {
		return exitf(exitUsage, "%+q is no domain", c.Domain)
	}
	if c.JSON {
		err = json.NewEncoder(std.out).Encode(newDMARCResult(&p))
	} else {
		err = printDMARC(std.out, &p)
	}
	switch {
	case err != nil:
		return exit(exitCantCreate, err)
	case p.Value == dmarc.TempError:
		return exitf(exitTemporary, "not decided: %s", printable(p.Why))
	}
	return nil
}

func newDMARCResult(p *dmarc.Policies) dmarcResult {
	res := dmarcResult{
		Domain: p.Domain, Result: p.Value, Policy: p.Policy, Tag: p.Tag, PolicyDomain: p.PolicyDomain, Org: p.Org,
		Exists: p.Exists, Why: p.Why, Queries: p.Queries, Walk: []dmarcStep{},
	}
	if r := p.Record; r != nil {
		res.Record = &dmarcRecord{
			Text: p.Text, P: r.P, SP: r.SP, NP: r.NP, ADKIM: letter(r.StrictDKIM, "s", "r"), ASPF: letter(r.StrictSPF, "s", "r"),
			PSD: r.PSD, T: letter(r.Testing, "y", "n"), RUA: append([]string{}, r.RUA...), RUF: append([]string{}, r.RUF...),
			FO: r.FO, Faults: append([]string{}, r.Faults...),
		}
	}
	for _, s := range p.Walk {
		res.Walk = append(res.Walk, dmarcStep{s.Name, s.Text, s.Why})
	}
	return res
}

func letter(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func printDMARC(out io.Writer, p *dmarc.Policies) error {
	switch p.Value {
	case "":
		lowered := ""
		if p.Record.Testing {
			lowered = ", one step lowered by t=y"
		}
		fmt.Fprintf(out, "%s: %s, by %s= of %s%s\n", p.Domain, p.Policy, p.Tag, p.PolicyDomain, lowered)
	case dmarc.None:
		fmt.Fprintln(out, printable(p.Why))
	default:
		fmt.Fprintf(out, "%s: %s: %s\n", p.Domain, p.Value, printable(p.Why))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", name, printable(value))
		}
	}
	row("org domain", p.Org)
	if r := p.Record; r != nil {
		row("record", "_dmarc."+p.PolicyDomain)
		if p.Value == "" {
			row("because", p.Why)
		}
		tags := []string{
			"p=" + string(r.P), "sp=" + string(r.SP), "np=" + string(r.NP),
			"psd=" + string(r.PSD), "t=" + letter(r.Testing, "y", "n"),
		}
		var written []string
		for _, t := range tags {
			if !strings.HasSuffix(t, "=") {
				written = append(written, t)
			}
		}
		row("tags", strings.Join(written, " "))
		row("alignment", "DKIM "+letter(r.StrictDKIM, "strict", "relaxed")+", SPF "+letter(r.StrictSPF, "strict", "relaxed"))
		for _, u := range r.RUA {
			row("rua", u)
		}
		for _, u := range r.RUF {
			row("ruf", u)
		}
		for _, f := range r.Faults {
			row("fault", f)
		}
	}
	row("queries", fmt.Sprint(p.Queries))
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range p.Walk {
		said := s.Text
		if s.Record == nil {
			said = s.Why
		}
		fmt.Fprintf(w, "  %s\t%s\n", printable(s.Name), printable(said))
	}
	return w.Flush()
}
