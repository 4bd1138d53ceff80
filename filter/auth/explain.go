package auth

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/spf"
)

// maxTold is how many signatures are told of one by one, in explanations and in the field.
const maxTold = 20

func moreSignatures(n int) string { return fmt.Sprintf("dkim: %d more signatures", n-maxTold) }

// maxShown is how much is shown of what others wrote.
const maxShown = 100

// show returns what others wrote, in quotes unless it is made of letters that names, addresses
// and terms of records have.
func show(s string) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "..."
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"'\;,()<>`, r)
	}) {
		return strconv.Quote(s)
	}
	return s
}

// words returns a text that others may have had a part in, cut to a length for people.
func words(s string) string {
	if len(s) > 2*maxShown {
		s = s[:2*maxShown] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// ofSPF says whose record decided, and which term of it, or what is wrong.
func ofSPF(r spf.Result) string {
	var b strings.Builder
	switch {
	case r.Source == spf.Local:
		b.WriteString("local record for " + show(r.Domain))
	case r.Source == spf.Guess:
		b.WriteString("best guess for " + show(r.Domain))
	case r.Source == spf.Forwarder:
		b.WriteString("trusted forwarder " + show(r.Domain))
	case r.Problem != "":
		return words(r.Problem)
	case r.Value == spf.None:
		return show(r.Domain) + " has no record"
	default:
		b.WriteString("record of " + show(r.Domain))
	}
	if r.Mechanism != "" && r.Value != spf.None {
		b.WriteString(", " + show(r.Mechanism))
	}
	if r.Problem != "" {
		b.WriteString(": " + words(r.Problem))
	}
	return b.String()
}

func explainSPF(r spf.Result) string {
	s := fmt.Sprintf("spf %s: %s", r.Identity, r.Value)
	if r.Sender != "" {
		s += " for " + show(r.Sender)
	}
	if of := ofSPF(r); of != "" {
		s += " (" + of + ")"
	}
	if r.Lax != "" {
		s += ", read laxly " + string(r.Lax)
	}
	return s
}

func explainReverse(r dns.Reverse) string {
	s := "iprev: " + string(r.Value)
	if r.Why == "" && r.Name != "" {
		s += ": " + show(r.Name)
	} else if r.Why != "" {
		s += ": " + words(r.Why)
	}
	return s
}

func explainDKIM(r dkim.Result) string {
	s := "dkim: " + string(r.Value)
	for _, p := range []struct{ tag, value string }{{"d", r.Domain}, {"s", r.Selector}, {"a", r.Algorithm}} {
		if p.value != "" {
			s += " " + p.tag + "=" + show(p.value)
		}
	}
	if r.KeyBits > 0 {
		s += fmt.Sprintf(", %d bits", r.KeyBits)
	}
	if r.Testing {
		s += ", testing"
	}
	if r.Why != "" {
		s += ": " + words(r.Why)
	}
	return s
}

func explainDMARC(f *found) string {
	r := f.dmarc
	s := "dmarc: " + string(r.Value)
	if r.From != "" {
		s += " for " + show(r.From)
	}
	if r.Policy != "" {
		s += ", policy " + show(string(r.Policy))
	}
	if r.PolicyDomain != "" {
		s += " of " + show(r.PolicyDomain)
	}
	if r.AlignedDomain != "" {
		s += ", aligned with " + show(r.AlignedDomain)
	}
	if r.Why != "" {
		s += ": " + words(r.Why)
	}
	return s
}

func explainTime(b *budget) string {
	asked, spent := b.used()
	return fmt.Sprintf("dns: look-ups %d, time %v", asked, spent.Round(time.Millisecond/10))
}
