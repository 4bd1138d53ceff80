package auth

import (
	"strconv"
	"strings"

	"github.com/gomilter/gomilter/authres"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/spf"
)

// write adds the fields of the message: what was found, in one Authentication-Results on top of
// all, and below it what was found of SPF. Where nothing was to be found out there is none.
func (a *auth) write(t *filter.Transaction, e *filter.Edits, f *found) error {
	results := a.results(t, f)
	if a.ReceivedSPF {
		for _, r := range []spf.Result{f.spf.Helo, f.spf.MailFrom} {
			if r.Value == "" || r.Source == spf.Relay || r.Identity == spf.Helo && t.From().Address == "" && a.does(SPF) {
				continue
			}
			if err := f.put(e, receivedField, a.receivedSPF(t, r)); err != nil {
				return err
			}
		}
	}
	if len(results) == 0 {
		return nil
	}
	field := authres.Field{ID: a.id(t), Results: results}
	_, wide := t.From().Param("SMTPUTF8") // RFC 6531 section 3.4: else nobody promised to take more than ASCII
	return f.put(e, resultsField, field.Format(authres.Layout{LineEnd: "\n", UTF8: wide}))
}

// put adds a field on top.
func (f *found) put(e *filter.Edits, name, value string) error {
	f.wrote = append(f.wrote, fieldText(name, value))
	return e.InsertHeader(0, name, value)
}

// results returns all results as they are written.
func (a *auth) results(t *filter.Transaction, f *found) (list []authres.Result) {
	if t.Class() == filter.Authenticated && a.does(Auth) {
		list = append(list, authResult(t))
	}
	if f.reverse.Value != "" {
		list = append(list, reverseResult(t, f.reverse))
	}
	null := t.From().Address == ""
	if r := f.spf.MailFrom; r.Value != "" && r.Source != spf.Relay {
		list = append(list, spfResult(t, r, null))
	}
	if r := f.spf.Helo; r.Value != "" && r.Source != spf.Relay && !(null && a.does(SPF)) {
		list = append(list, spfResult(t, r, true))
	}
	if f.hashed {
		list = append(list, a.dkimResults(f)...)
	}
	if f.judged && a.does(DMARC) {
		list = append(list, dmarcResult(f))
	}
	return list
}

// authResult is that of SMTP AUTH (RFC 8601 section 2.7.4).
func authResult(t *filter.Transaction) authres.Result {
	r := authres.Result{Method: "auth", Value: "pass"}
	var how []string
	if kind, _ := t.Macro("{auth_type}"); kind != "" {
		how = append(how, words(kind))
	}
	for _, m := range []struct{ macro, name string }{{"{cipher_bits}", "sslbits"}, {"{auth_ssf}", "ssf"}} {
		if v, _ := t.Macro(m.macro); v != "" {
			how = append(how, m.name+"="+words(v))
		}
	}
	r.Comment = strings.Join(how, " ")
	return with(r, "smtp", "auth", t.User())
}

// reverseResult is that of iprev (RFC 8601 section 2.7.3).
func reverseResult(t *filter.Transaction, rev dns.Reverse) authres.Result {
	r := authres.Result{Method: "iprev", Value: string(rev.Value), Comment: words(rev.Name)}
	if rev.Name == "" {
		r.Comment = words(rev.Why)
	}
	return with(r, "policy", "iprev", clientOf(t).String())
}

// spfResult is that of SPF (RFC 8601 section 2.7.2). What MAIL FROM fell back to, it being the
// null sender, is the HELO name.
func spfResult(t *filter.Transaction, s spf.Result, helo bool) authres.Result {
	r := authres.Result{Method: "spf", Value: string(s.Value), Comment: ofSPF(s)}
	switch {
	case s.Source == spf.Guess:
		// A guess authenticates nobody (RFC 7208 section 2.6 knows it not).
		r.Value, r.Comment = string(spf.None), ofSPF(s)+": "+string(s.Value)
	case s.Source == spf.Forwarder:
		return with(r, "smtp", "mailfrom", s.Sender)
	}
	if helo {
		return with(r, "smtp", "helo", t.Helo)
	}
	return with(r, "smtp", "mailfrom", t.From().Address)
}

// dkimResults are those of the signatures (RFC 8601 section 2.7.1, RFC 6008).
func (a *auth) dkimResults(f *found) (list []authres.Result) {
	for _, s := range f.dkim.Signatures[:f.verified] {
		r := authres.Result{Method: "dkim", Value: string(s.Value), Reason: words(s.Why)}
		if s.KeyBits > 0 {
			r.Comment = strconv.Itoa(s.KeyBits) + "-bit key"
		}
		if s.Testing {
			r.Comment = strings.TrimPrefix(r.Comment+", testing", ", ")
		}
		r = with(r, "header", "d", s.Domain)
		if s.Identity != "@"+s.Domain {
			r = with(r, "header", "i", s.Identity)
		}
		r = with(r, "header", "s", s.Selector)
		r = with(r, "header", "a", s.Algorithm)
		if list = append(list, with(r, "header", "b", s.B)); len(list) == maxTold {
			break
		}
	}
	if len(list) == 0 {
		list = append(list, authres.Result{Method: "dkim", Value: string(dkim.None), Comment: "no signature"})
	}
	return list
}

// dmarcResult is that of DMARC (RFC 7489 section 11.2).
func dmarcResult(f *found) authres.Result {
	d := f.dmarc
	r := authres.Result{Method: "dmarc", Value: string(d.Value)}
	if d.Value != dmarc.Pass && d != f.said {
		r.Reason = words(d.Why)
	}
	if d.Org != "" && d.Org != d.From {
		r.Comment = "organizational domain " + words(d.Org)
	}
	if f.relay != "" {
		r.Comment = strings.TrimPrefix(r.Comment+", by the word of "+f.relay, ", ")
	}
	r = with(r, "policy", "dmarc", string(d.Policy))
	return with(r, "header", "from", d.From)
}

// with adds a property, unless it has no value.
func with(r authres.Result, kind, name, value string) authres.Result {
	if value != "" {
		r.Properties = append(r.Properties, authres.Property{Type: kind, Name: name, Value: value})
	}
	return r
}

// receivedSPF returns the value of a Received-SPF field (RFC 7208 section 9.1).
func (a *auth) receivedSPF(t *filter.Transaction, r spf.Result) string {
	f := r.ReceivedSPF(a.id(t), queryOf(t))
	if r.Source == spf.Guess { // it authenticates nobody
		f.Value, f.Extra = spf.None, map[string]string{"x-bestguess": string(r.Value)}
	}
	return f.String()
}
