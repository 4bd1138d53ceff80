package auth

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/authres"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/spf"
)

// hear takes what a trusted relay wrote for facts, where Believe names it.
func (a *auth) hear(t *filter.Transaction, f *found) {
	if t.Class() != filter.TrustedRelay || len(a.Believe) == 0 {
		return
	}
	w := a.wordOf(t.Received().Header)
	for _, p := range w.problems {
		t.Explain(p)
	}
	if w.field.ID == "" && len(w.spf) == 0 {
		t.Explain("no word of a relay that is believed")
		return
	}
	if f.relay = w.field.ID; f.relay != "" {
		for _, r := range w.field.Results {
			f.take(r)
		}
		filter.Tell(t, w.field)
		t.Explain(fmt.Sprintf("by the word of %s: %s", show(f.relay), summary(w.field.Results)))
	} else {
		f.relay = w.spf[0].Receiver
	}
	f.heard = w.fields
	for _, r := range w.spf {
		f.takeSPF(r)
		t.Explain(fmt.Sprintf("by the word of %s: Received-SPF %s of %s", show(r.Receiver), r.Value, cmp.Or(r.Identity, spf.MailFrom)))
	}
	if f.spf.MailFrom.Value != "" || f.spf.Helo.Value != "" {
		filter.Tell(t, f.spf)
	}
	if len(f.dkim.Signatures) > 0 {
		filter.Tell(t, f.dkim)
	}
}

// A word is what a relay wrote.
type word struct {
	field    authres.Field     // its topmost Authentication-Results; ID is "" for none
	spf      []spf.ReceivedSPF // that are its own
	fields   []string          // that it is in, as fieldText has them
	problems []string          // with what cannot be read
}

// wordOf looks for what a relay that is believed wrote among the fields that mail servers put on
// top of a message, down to the second Received: what is below that was there when the relay
// got the message.
func (a *auth) wordOf(h message.Header) (w word) {
	believes := func(id string) bool {
		return slices.ContainsFunc(a.Believe, func(b string) bool { return authres.SameID(b, id) })
	}
	received, heard := 0, false
	for _, x := range h {
		value := string(x.Value())
		switch name := strings.ToLower(strings.TrimRight(x.Name(), " \t")); name {
		case "received":
			if received++; received > 1 {
				return w
			}
		case strings.ToLower(resultsField):
			id := authres.ID(value)
			if heard || !believes(id) {
				continue
			}
			heard = true
			if f, err := authres.Parse(value); err != nil {
				w.problems = append(w.problems, fmt.Sprintf("the word of %s cannot be read: %v", show(id), err))
			} else if believes(f.ID) {
				w.field = f
				w.fields = append(w.fields, fieldText(name, value))
			}
		case strings.ToLower(receivedField):
			if f, err := spf.ParseReceivedSPF(value); err == nil && believes(f.Receiver) && len(w.spf) < 2 {
				w.spf = append(w.spf, f)
				w.fields = append(w.fields, fieldText(name, value))
			}
		default:
			if !isTrace(name) {
				return w
			}
		}
	}
	return w
}

// isTrace reports whether a field is one that mail servers and filters put on top.
func isTrace(name string) bool {
	switch name {
	case "dkim-signature", "return-path", "delivered-to":
		return true
	}
	return strings.HasPrefix(name, "arc-") || strings.HasPrefix(name, "x-")
}

// take takes over one result.
func (f *found) take(r authres.Result) {
	property := func(kind, name string) string {
		for _, p := range r.Properties {
			if p.Type == kind && p.Name == name {
				return p.Value
			}
		}
		return ""
	}
	says := "by the word of " + f.relay
	switch r.Method {
	case "spf":
		s := spf.Result{Value: spf.Value(r.Value), Source: spf.Relay, Problem: says}
		if !slices.Contains([]spf.Value{spf.None, spf.Neutral, spf.Pass, spf.Fail, spf.SoftFail, spf.TempError, spf.PermError}, s.Value) {
			return
		}
		if from := property("smtp", "mailfrom"); from != "" {
			s.Identity, s.Sender, s.Domain = spf.MailFrom, from, domainOf(from)
			if f.spf.MailFrom.Value == "" {
				f.spf.MailFrom = s
			}
		} else if helo := property("smtp", "helo"); helo != "" {
			s.Identity, s.Sender, s.Domain = spf.Helo, "postmaster@"+helo, domainOf(helo)
			if f.spf.Helo.Value == "" {
				f.spf.Helo = s
			}
		}
	case "dkim":
		d := dkim.Result{Value: dkim.Value(r.Value), Domain: domainOf(property("header", "d")), Identity: property("header", "i"),
			Selector: property("header", "s"), Algorithm: property("header", "a"), B: property("header", "b"), Why: says}
		if d.Domain == "" {
			d.Domain = domainOf(d.Identity)
		}
		if d.Domain != "" && len(f.dkim.Signatures) < maxTold &&
			slices.Contains([]dkim.Value{dkim.Pass, dkim.Fail, dkim.Policy, dkim.Neutral, dkim.TempError, dkim.PermError}, d.Value) {
			f.dkim.Signatures = append(f.dkim.Signatures, d)
		}
	case "dmarc":
		d := dmarc.Result{Value: dmarc.Value(r.Value), From: domainOf(property("header", "from")), Policy: dmarc.Policy(property("policy", "dmarc")), Why: says}
		if f.said.Value == "" && d.From != "" && slices.Contains([]dmarc.Value{dmarc.None, dmarc.Pass, dmarc.Fail, dmarc.TempError, dmarc.PermError}, d.Value) {
			f.said = d
		}
	}
}

// takeSPF takes over a Received-SPF, where nothing is known yet of what it is about.
func (f *found) takeSPF(r spf.ReceivedSPF) {
	s := spf.Result{Value: r.Value, Identity: r.Identity, Source: spf.Relay, Mechanism: r.Mechanism, Problem: "by the word of " + r.Receiver}
	to := &f.spf.MailFrom
	if s.Identity == spf.Helo {
		to, s.Sender, s.Domain = &f.spf.Helo, "postmaster@"+r.Helo, domainOf(r.Helo)
	} else {
		s.Identity, s.Sender, s.Domain = spf.MailFrom, r.From, domainOf(r.From)
		if r.From == "" {
			s.Sender, s.Domain = "postmaster@"+r.Helo, domainOf(r.Helo)
		}
	}
	if to.Value == "" {
		*to = s
	}
}

// domainOf returns the domain of an address, or of a domain, in lower case; "" for what has not
// the form of one.
func domainOf(s string) string {
	s = strings.ToLower(s[strings.LastIndexByte(s, '@')+1:])
	if !isDomain(s) {
		return ""
	}
	return s
}

// summary tells results in short.
func summary(results []authres.Result) string {
	var all []string
	for _, r := range results {
		if len(all) == maxTold {
			all = append(all, "...")
			break
		}
		s := r.Method + "=" + r.Value
		for _, p := range r.Properties {
			switch p.Name {
			case "mailfrom", "helo", "d", "i", "from":
				s += " " + show(p.Value)
			}
		}
		all = append(all, s)
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, ", ")
}
