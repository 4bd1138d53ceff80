package auth

import (
	"fmt"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/policy"
	"github.com/gomilter/gomilter/spf"
)

// enforce does what the options say of a message that fails DMARC. It returns a refusal, or nil.
func (a *auth) enforce(t *filter.Transaction, e *filter.Edits, f *found) (milter.EndReply, error) {
	if !f.judged || f.dmarc.Value != dmarc.Fail || t.Class() != filter.External {
		return nil, nil
	}
	action, why := a.action(t, f)
	if why != "" {
		t.Explain(fmt.Sprintf("dmarc: %v: %s", action, why))
	}
	if action == Report {
		return nil, nil
	}
	if v, ok := filter.Told[policy.Verdict](t); ok && v.Word == policy.Whitelist {
		t.Explain(fmt.Sprintf("dmarc: not %v: the message is whitelisted", action))
		return nil, nil
	}
	switch action {
	case Reject:
		return refuse(f), nil
	case Quarantine:
		return nil, e.Quarantine("DMARC: " + unproven(f.dmarc.From))
	}
	mark := "fail; " + unproven(f.dmarc.From)
	f.wrote = append(f.wrote, fieldText(a.DMARC.Field, mark))
	return nil, e.AddHeader(a.DMARC.Field, mark)
}

// action returns what happens to a message that fails, never Published, and why.
func (a *auth) action(t *filter.Transaction, f *found) (action Action, why string) {
	if action = a.DMARC.Action; action != Report && action != Published {
		why = "whatever the policy is"
	}
	s := sender{author: f.dmarc.From, client: clientOf(t), spf: f.passedSPF(), dkim: f.passedDKIM()}
	for i, o := range a.lists {
		if what, ok := o.meets(&s); ok {
			action, why = o.action, fmt.Sprintf("override %d: %s", i+1, what)
			break
		}
	}
	if action != Published {
		return action, why
	}
	if why != "" {
		why += ", and "
	}
	why += fmt.Sprintf("the policy of %s is %s", show(f.dmarc.PolicyDomain), show(string(f.dmarc.Policy)))
	switch {
	case f.dmarc.Policy == dmarc.WantReject:
		return Reject, why
	case f.dmarc.Policy != dmarc.WantQuarantine:
		return Report, why
	case a.DMARC.Mark:
		return Tag, why
	}
	return Quarantine, why
}

// unproven says in words what a failure is.
func unproven(author string) string {
	return "neither SPF nor DKIM shows that it comes from " + plain(author)
}

// refuse returns what the client is told: what failed, and what the sender's admin can do.
func refuse(f *found) *milter.Refusal {
	author := plain(f.dmarc.From)
	var found []string
	switch of := f.spf.MailFrom; {
	case of.Source == spf.Forwarder:
	case of.Source == spf.Guess:
		found = append(found, "SPF is none")
	case of.Value == spf.Pass:
		found = append(found, "SPF passed for "+plain(of.Domain))
	case of.Value != "":
		found = append(found, "SPF is "+string(of.Value))
	}
	switch passed := f.passedDKIM(); {
	case len(passed) > 0:
		found = append(found, "DKIM passed for "+plain(passed[0]))
	case f.hashed && len(f.dkim.Signatures) > 0:
		found = append(found, "no DKIM signature is valid")
	case f.hashed:
		found = append(found, "there is no DKIM signature")
	}
	first := "This message fails DMARC: " + unproven(author)
	if len(found) > 0 {
		first += " (" + strings.Join(found, ", ") + ")"
	}
	return milter.Reject(550, "5.7.26", first, // RFC 7372 section 3.3
		"Its admin can sign mail with a DKIM key of "+author+", or have it sent from hosts that SPF of "+author+" allows and with an envelope sender there")
}

// plain returns a domain for texts that go to others: letters, digits and what else is in names.
func plain(domain string) string {
	if isDomain(domain) {
		return domain
	}
	return "its author's domain"
}
