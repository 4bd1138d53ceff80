package access

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/policy"
	"github.com/gomilter/gomilter/spf"
)

// What clients are told, each time what failed and what the sender's admin can do. Enhanced codes are those of RFC 7372, that
// of RFC 6376 section 6.3 for a key that cannot be had, and "7.1", refused by policy, where there is nothing wrong with the message itself.
// A DMARC fail is "7.26": both SPF and DKIM failed to show who the author is, which "7.1" would not tell.
//
// What comes from outside is printable ASCII here, and not long.

// Bytes of what comes from outside in one text.
const (
	maxQuote   = 255 // a domain, a user, a key
	maxProblem = 200
	maxTheirs  = 400 // the explanation of a domain
)

var (
	heloMissing = milter.Reject(550, "5.7.1", "Your server did not introduce itself: it has to send EHLO or HELO before MAIL (RFC 5321 section 4.1.4)")
	heloNumeric = milter.Reject(550, "5.7.1", "Your server introduces itself by an address in place of its name",
		"Its admin should set its HELO name to its host name in DNS; only an address in brackets, of its own, can stand in for that (RFC 5321 section 4.1.3)")
	heloForeign = milter.Reject(550, "5.7.1", "Your server introduces itself by a name that is not its own",
		"Its admin should set its HELO name to its host name in DNS")
)

// reply makes a refusal of what the map says; where it has no text of its own, of lines, and where it has no enhanced code,
// of the subject and detail such as "7.23".
func reply(v policy.Verdict, detail string, lines ...string) *milter.Refusal {
	code, enhanced := v.Code, v.Enhanced
	if v.Text != "" {
		lines = []string{v.Text}
	}
	if detail == "" {
		detail = "7.1"
	}
	if v.Word == policy.TempFail {
		if code == 0 {
			code = 451
		}
		if enhanced == "" {
			enhanced = "4." + detail
		}
		return milter.TempFail(code, enhanced, lines...)
	}
	if code == 0 {
		code = 550
	}
	if enhanced == "" {
		enhanced = "5." + detail
	}
	return milter.Reject(code, enhanced, lines...)
}

// locally is for what is refused though nothing is wrong with it.
const locally = "Ask the postmaster of your recipient if you think that this is a mistake"

func tellUser(v policy.Verdict, user, domain string) *milter.Refusal {
	of := "a sender of " + clean(domain, maxQuote)
	if domain == noDomain {
		of = "a sender without a domain"
	}
	return reply(v, "7.1", fmt.Sprintf("User %q may not send as %s", clean(user, maxQuote), of),
		"Set another sender address in your mail program, or ask the admin of this server")
}

func tellSPF(v policy.Verdict, r spf.Result, client netip.Addr) *milter.Refusal {
	domain := name(r.Domain, "the sender's domain")
	host := hostOf(client)
	switch value := r.Effective(); value {
	case spf.Fail:
		lines := []string{fmt.Sprintf("SPF fail: %s does not allow %s to send its mail", domain, host)}
		if r.Explanation != "" {
			lines = append(lines, fmt.Sprintf("%s explains: %q", domain, clean(r.Explanation, maxTheirs)))
		}
		return reply(v, "7.23", append(lines, remedy(domain, host))...)
	case spf.SoftFail:
		return reply(v, "7.23", fmt.Sprintf("SPF softfail: %s says that %s should not send its mail", domain, host), remedy(domain, host))
	case spf.Neutral:
		return reply(v, "7.23", fmt.Sprintf("SPF neutral: %s does not say whether %s may send its mail", domain, host), remedy(domain, host))
	case spf.None:
		return reply(v, "7.23", fmt.Sprintf("SPF none: %s does not say which hosts may send its mail", domain),
			fmt.Sprintf("Its admin can publish an SPF record (RFC 7208) that allows %s", host))
	case spf.PermError:
		return reply(v, "7.24", fmt.Sprintf("SPF permerror: the SPF record of %s cannot be understood%s", domain, because(r.Problem)),
			fmt.Sprintf("The admin of %s has to correct it (RFC 7208)", domain))
	case spf.TempError:
		return reply(v, "7.24", fmt.Sprintf("SPF temperror: DNS does not tell the SPF record of %s now%s", domain, because(r.Problem)),
			fmt.Sprintf("If this goes on, the admin of %s should look at its name servers", domain))
	default:
		return reply(v, "7.1", fmt.Sprintf("Mail of %s is not accepted here", domain), locally)
	}
}

func tellHelo(v policy.Verdict, r spf.Result, helo string, client netip.Addr) *milter.Refusal {
	domain := name(helo, "its HELO name")
	host := hostOf(client)
	own := fmt.Sprintf("The admin of %s should set its HELO name to its host name, or allow it in the SPF record of %s", host, domain)
	switch value := r.Effective(); value {
	case spf.Fail:
		lines := []string{fmt.Sprintf("SPF fail of HELO: %s does not allow %s to call itself that", domain, host)}
		if r.Explanation != "" {
			lines = append(lines, fmt.Sprintf("%s explains: %q", domain, clean(r.Explanation, maxTheirs)))
		}
		return reply(v, "7.23", append(lines, own)...)
	case spf.SoftFail:
		return reply(v, "7.23", fmt.Sprintf("SPF softfail of HELO: %s says that %s should not call itself that", domain, host), own)
	case spf.Neutral:
		return reply(v, "7.23", fmt.Sprintf("SPF neutral of HELO: %s does not say whether %s may call itself that", domain, host), own)
	case spf.None:
		return reply(v, "7.23", fmt.Sprintf("SPF none of HELO: %s does not say which hosts may call themselves that", domain), own)
	case spf.PermError:
		return reply(v, "7.24", fmt.Sprintf("SPF permerror of HELO: the SPF record of %s cannot be understood%s", domain, because(r.Problem)),
			fmt.Sprintf("The admin of %s has to correct it (RFC 7208)", domain))
	case spf.TempError:
		return reply(v, "7.24", fmt.Sprintf("SPF temperror of HELO: DNS does not tell the SPF record of %s now%s", domain, because(r.Problem)),
			fmt.Sprintf("If this goes on, the admin of %s should look at its name servers", domain))
	default:
		return reply(v, "7.1", fmt.Sprintf("Mail of hosts that are called %s is not accepted here", domain), locally)
	}
}

// remedy is what can be done where SPF does not pass.
func remedy(domain, host string) string {
	return fmt.Sprintf("Send by a mail server of %s, as your provider tells you; or its admin can allow %s in the SPF record (RFC 7208)", domain, host)
}

func tellDKIM(v policy.Verdict, r dkim.Result) *milter.Refusal {
	domain := name(r.Domain, "an unknown domain")
	key := "its DKIM key"
	if r.Selector != "" && r.Domain != "" {
		key = "the key " + clean(r.Selector, maxQuote) + "._domainkey." + domain
	}
	switch r.Value {
	case dkim.Pass:
		return reply(v, "7.1", fmt.Sprintf("Mail signed by %s is not accepted here", domain), locally)
	case dkim.TempError:
		// RFC 6376 section 6.3 names this code.
		return reply(v, "7.5", fmt.Sprintf("DKIM temperror: the signature of %s cannot be checked now; for that DNS has to tell %s", domain, key),
			fmt.Sprintf("If this goes on, the admin of %s should look at its name servers", domain))
	case dkim.Policy:
		return reply(v, "7.21", fmt.Sprintf("DKIM policy: the signature of %s is not accepted here%s", domain, because(r.Why)),
			fmt.Sprintf("The admin of %s should sign the whole of messages with a key that is strong enough (RFC 8301)", domain))
	default:
		return reply(v, "7.20", fmt.Sprintf("DKIM %s: the signature of %s is not valid%s", r.Value, domain, because(r.Why)),
			fmt.Sprintf("The admin of %s should look at %s, and whether something changes messages after they are signed", domain, key))
	}
}

func tellUnsigned(v policy.Verdict, author string) *milter.Refusal {
	domain := name(author, "its author's domain")
	return reply(v, "7.20", "DKIM none: this message has no DKIM signature", fmt.Sprintf("The admin of %s should have its mail signed (RFC 6376)", domain))
}

func tellUnmatched(v policy.Verdict, author string) *milter.Refusal {
	domain := name(author, "its author's domain")
	return reply(v, "7.22", fmt.Sprintf("DKIM none: this message is signed, but not by its author's domain %s", domain),
		fmt.Sprintf("The admin of %s should have its mail signed by its own domain (RFC 6376)", domain))
}

func tellDMARC(v policy.Verdict, r dmarc.Result) *milter.Refusal {
	domain := name(r.From, "its author's domain")
	switch r.Value {
	case dmarc.Fail:
		wish := "does not ask for it to be refused"
		if r.Policy == dmarc.WantReject || r.Policy == dmarc.WantQuarantine {
			wish = "asks for it to be treated as " + map[dmarc.Policy]string{dmarc.WantReject: "forged (p=reject)", dmarc.WantQuarantine: "suspicious (p=quarantine)"}[r.Policy]
		}
		return reply(v, "7.26", fmt.Sprintf("DMARC fail: neither SPF nor DKIM shows that this message is from %s, which %s", domain, wish),
			fmt.Sprintf("The admin of %s should have its mail signed with DKIM by its own domain; a mailing list should write its own address into From", domain))
	case dmarc.None:
		return reply(v, "7.1", fmt.Sprintf("DMARC none: %s publishes no policy for its mail", domain), "Its admin can publish a DMARC record (RFC 9989)")
	case dmarc.PermError:
		return reply(v, "7.1", fmt.Sprintf("DMARC permerror: the policy of %s cannot be found%s", domain, because(r.Why)),
			"A message has one From field with one address; the admin of its domain should look at the DMARC record (RFC 9989)")
	case dmarc.TempError:
		return reply(v, "7.26", fmt.Sprintf("DMARC temperror: DNS does not tell now what the policy of %s needs%s", domain, because(r.Why)),
			fmt.Sprintf("If this goes on, the admin of %s should look at its name servers", domain))
	default:
		return reply(v, "7.1", fmt.Sprintf("Mail from %s is not accepted here", domain), locally)
	}
}

// name returns a domain to be told, or what stands for one that there is not.
func name(domain, other string) string {
	if domain == "" {
		return other
	}
	return clean(domain, maxQuote)
}

func hostOf(client netip.Addr) string {
	if !client.IsValid() {
		return "your host"
	}
	return client.String()
}

// because adds what is known of a problem.
func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + clean(why, maxProblem) + ")"
}

// clean returns what comes from outside as printable ASCII of limited length.
func clean(s string, most int) string {
	cut := len(s) > most
	if cut {
		s = s[:most]
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	if cut {
		s += "..."
	}
	return s
}

// show returns an address or a domain for explanations.
func show(s string) string {
	if s == "" {
		return "<>"
	}
	return clean(s, maxQuote)
}
