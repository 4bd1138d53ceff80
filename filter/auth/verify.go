package auth

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/spf"
)

// verify verifies the signatures of the message as it was received. The error is one of
// reading the body.
func (a *auth) verify(ctx context.Context, t *filter.Transaction, f *found) error {
	if !a.does(DKIM) || !slices.Contains(a.DKIM.Classes, t.Class()) {
		return nil
	}
	// DMARC is asked last. A sender whose keys take long to come shall not leave it without time.
	f.dns.keep(a.DNSTime / 5)
	defer f.dns.keep(0)
	m := t.Received()
	v := dkim.Verifier{Resolver: f.dns, MaxSignatures: a.DKIM.MaxSignatures, MinRSABits: a.DKIM.MinRSABits, MaxRSABits: a.DKIM.MaxRSABits,
		MaxNames: a.DKIM.MaxNames, MaxField: a.DKIM.MaxField}
	checked, err := v.Verify(ctx, m.Header, io.NewSectionReader(m.Body, 0, m.Body.Size()))
	if err != nil {
		return err
	}
	if !t.ExactHeader() {
		blur(m.Header, checked.Signatures)
	}
	for i, r := range checked.Signatures {
		if i == maxTold {
			break
		}
		t.Explain(explainDKIM(r))
	}
	if n := len(checked.Signatures); n == 0 {
		t.Explain("dkim: none: the message has no signature")
	} else if n > maxTold {
		t.Explain(moreSignatures(n))
	}
	f.hashed, f.verified = true, len(checked.Signatures)
	checked.Signatures = append(checked.Signatures, f.dkim.Signatures...) // a relay's word
	f.dkim = checked
	filter.Tell(t, f.dkim)
	return nil
}

// blur makes failures neutral that may be those of an MTA that does not show the blanks behind
// colons: canonicalization "simple" has them signed.
func blur(h message.Header, results []dkim.Result) {
	i := 0
	for _, x := range h.All("DKIM-Signature") {
		if i == len(results) {
			return
		}
		if r := &results[i]; r.Value == dkim.Fail && isSimple(x.Value()) {
			r.Value = dkim.Neutral
			r.Why += "; the mail server does not show header fields byte for byte, as c=simple has them signed"
		}
		i++
	}
}

// isSimple reports whether a signature is over the header as it is: c= says so, or nothing
// (RFC 6376 section 3.5).
func isSimple(signature []byte) bool {
	for tag := range bytes.SplitSeq(signature, []byte(";")) {
		name, value, _ := bytes.Cut(tag, []byte("="))
		if string(bytes.TrimSpace(name)) == "c" {
			header, _, _ := strings.Cut(string(bytes.TrimSpace(value)), "/")
			return !strings.EqualFold(strings.TrimSpace(header), string(dkim.Relaxed))
		}
	}
	return true
}

// foresee asks for the policy that judge will ask for, while keys of signatures are looked up.
func (a *auth) foresee(ctx context.Context, t *filter.Transaction, f *found) {
	if !a.does(DMARC) || t.Class() != filter.External {
		return
	}
	if author, err := dmarc.Author(t.Received().Header); err == nil {
		f.dns.LookupTXT(ctx, "_dmarc."+author) // which f.dns remembers
	}
}

// judge compares the author's domain with those that SPF and DKIM found, or takes the word of a
// relay that did.
func (a *auth) judge(ctx context.Context, t *filter.Transaction, f *found) {
	relayed := f.relay != ""
	if t.Class() != filter.External && !relayed {
		return
	}
	author, err := dmarc.Author(t.Received().Header)
	switch {
	case relayed && err == nil && f.said.From == author:
		f.dmarc = f.said
	case !a.does(DMARC):
		return
	case err != nil:
		f.dmarc = dmarc.Result{Value: dmarc.PermError, Why: strings.TrimPrefix(err.Error(), "dmarc: ")}
	default:
		f.dmarc = a.checkAuthor(ctx, f, author)
		if relayed && f.spf.MailFrom.Value == "" && f.dmarc.Value != dmarc.Pass {
			return // what the relay did not say could make it pass
		}
	}
	f.judged = true
	t.Explain(explainDMARC(f))
	filter.Tell(t, f.dmarc)
}

// checkAuthor asks for the policy of an author's domain. A failure is only temporary where a
// look-up that did not end could have made it a pass.
func (a *auth) checkAuthor(ctx context.Context, f *found, author string) dmarc.Result {
	checker := dmarc.Checker{Resolver: f.dns, PublicSuffix: a.DMARC.PublicSuffix, Identifiers: a.DMARC.MaxDomains}
	passed, open := "", ""
	if r := f.spf.MailFrom; r.Source == spf.Published || r.Source == spf.Local || r.Source == spf.Relay {
		switch r.Value {
		case spf.Pass:
			passed = r.Domain
		case spf.TempError:
			open = r.Domain
		}
	}
	var signed, late []string
	for _, r := range f.dkim.Signatures {
		switch r.Value {
		case dkim.Pass:
			signed = append(signed, r.Domain)
		case dkim.TempError:
			late = append(late, r.Domain)
		}
	}
	r := checker.Check(ctx, author, passed, signed)
	if r.Value != dmarc.Fail || open == "" && len(late) == 0 {
		return r
	}
	if passed == "" {
		passed = open
	}
	if x := checker.Check(ctx, author, passed, append(signed, late...)); x.Value != dmarc.Fail {
		r.Value, r.Why = dmarc.TempError, "DNS did not answer what could have made it pass"
	}
	return r
}

// passedSPF returns the domains for which the client may send.
func (f *found) passedSPF() (domains []string) {
	for _, r := range []spf.Result{f.spf.MailFrom, f.spf.Helo} {
		if r.Value == spf.Pass && r.Source != spf.Guess && r.Domain != "" && !slices.Contains(domains, r.Domain) {
			domains = append(domains, r.Domain)
		}
	}
	return domains
}

// passedDKIM returns the domains of signatures that passed.
func (f *found) passedDKIM() (domains []string) {
	for _, r := range f.dkim.Signatures {
		if r.Value == dkim.Pass && !slices.Contains(domains, r.Domain) {
			domains = append(domains, r.Domain)
		}
	}
	return domains
}
