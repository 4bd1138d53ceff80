package access

import (
	"net/netip"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/policy"
	"github.com/gomilter/gomilter/spf"
)

// noDomain stands in keys of smtp-auth where the sender has no domain.
const noDomain = "localhost.localdomain"

// sender looks up what is known at MAIL; rcpt is a recipient, or "". What the map says nothing of is
// left out.
func (a *access) sender(t *filter.Transaction, rcpt string) (found []finding) {
	switch t.Class() {
	case filter.Authenticated:
		if f, ok := a.smtpAuth(t, rcpt); ok {
			found = append(found, f)
		}
	case filter.External:
		checked, ok := filter.Told[spf.Checked](t)
		if !ok {
			return nil
		}
		found = a.senderSPF(t, rcpt, checked)
	}
	return found
}

// smtpAuth looks up whether the user may use the sender's domain.
func (a *access) smtpAuth(t *filter.Transaction, rcpt string) (finding, bool) {
	if !a.auth {
		return finding{}, false
	}
	domain := senderDomain(t)
	if domain == "" {
		domain = noDomain
	}
	v, ok := a.Map.Lookup(t.User()+"@"+domain, rcpt, policy.Prefix(policy.SMTPAuth))
	return finding{v, func(v policy.Verdict) *milter.Refusal { return tellUser(v, t.User(), domain) }}, ok
}

// senderSPF looks up what SPF came to of the sender and of the HELO name.
func (a *access) senderSPF(t *filter.Transaction, rcpt string, c spf.Checked) (found []finding) {
	client := t.Client.Addr.Addr().Unmap().WithZone("")
	from := c.MailFrom
	if a.spf && from.Value != "" {
		about := from.Sender
		if about == "" {
			about = t.From().Address
		}
		if v, ok := a.Map.Lookup(about, rcpt, policy.PrefixOf(policy.SPF, string(from.Effective()))); ok {
			if v.Word == policy.Whitelist && from.Source == spf.Guess {
				v.Action = policy.Action{Word: policy.OK} // it was our guess, and shows nothing
			}
			found = append(found, finding{v, func(v policy.Verdict) *milter.Refusal { return tellSPF(v, from, client) }})
		}
	}
	if !a.helo || c.Helo.Value == "" || t.From().Address == "" || from.Effective() == spf.Pass || from.Effective() == spf.TempError {
		return found
	}
	helo := c.Helo
	if v, ok := a.Map.Lookup(heloName(t), rcpt, policy.PrefixOf(policy.HELO, string(helo.Effective()))); ok {
		found = append(found, finding{v, func(v policy.Verdict) *milter.Refusal { return tellHelo(v, helo, t.Helo, client) }})
	}
	return found
}

// heloName returns the HELO name as a domain. What stands before an "@" in it is no local part.
func heloName(t *filter.Transaction) string {
	if strings.Contains(t.Helo, "@") {
		return ""
	}
	return t.Helo
}

// checkHelo refuses clients by how they introduce themselves; nil refuses nothing.
func (a *access) checkHelo(t *filter.Transaction) *milter.Refusal {
	if t.Class() != filter.External {
		return nil
	}
	if t.Helo == "" {
		if a.HeloMissing {
			t.Explain("no HELO before MAIL")
			return heloMissing
		}
		return nil
	}
	if a.HeloNumeric {
		if why := numeric(t.Helo, t.Client.Addr.Addr()); why != "" {
			t.Explain("HELO " + show(t.Helo) + " " + why)
			return heloNumeric
		}
	}
	for i, g := range a.names {
		if g.Match(t.Helo) {
			t.Explain("HELO " + show(t.Helo) + " is one of the names that nobody outside has: '" + a.HeloNames[i] + "'")
			return heloForeign
		}
	}
	return nil
}

// numeric says why a HELO name is an address that it should not be; "" where it is none. Nothing can be
// said against a literal where the client's address is not known.
func numeric(helo string, client netip.Addr) string {
	if _, err := netip.ParseAddr(strings.TrimSuffix(helo, ".")); err == nil {
		return "is an address without brackets"
	}
	if !strings.HasPrefix(helo, "[") {
		return ""
	}
	literal, ok := address.Path{Domain: helo}.Literal()
	switch {
	case !ok:
		return "is no address in the brackets"
	case client.IsValid() && literal != client.Unmap().WithZone(""):
		return "is another address than the client's"
	}
	return ""
}
