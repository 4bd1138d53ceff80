package access

import (
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/policy"
)

// A whole is a message at its end, with all that is known of it.
type whole struct {
	*access
	t       *filter.Transaction
	signed  []dkim.Result // that count
	hidden  []dkim.Result // of the author's domain, that do not count beside others that pass
	checked bool          // signatures were verified
	dmarc   dmarc.Result
	judged  bool          // DMARC was
	author  string        // domain of the author, "" where there is no single one
	vouched string        // domain that signed for the author or the sender; "" for none
	unknown []dkim.Result // that would have, and whose keys could not be had; only where vouched is ""
	notes   []string
	noted   bool // notes are complete
}

func (a *access) newWhole(t *filter.Transaction) *whole {
	w := &whole{access: a, t: t}
	if c := t.Class(); c != filter.External && c != filter.TrustedRelay {
		return w
	}
	w.dmarc, w.judged = filter.Told[dmarc.Result](t)
	if w.author = w.dmarc.From; !w.judged && t.Message().Header != nil {
		w.author, _ = dmarc.Author(t.Received().Header)
	}
	checked, ok := filter.Told[dkim.Checked](t)
	w.checked = ok
	w.signed, w.hidden = counting(checked.Signatures, w.aligned)
	sender := senderDomain(t)
	for _, s := range checked.Signatures {
		switch {
		case !w.aligned(s.Domain) && (sender == "" || s.Domain != sender):
		case s.Value == dkim.Pass && w.vouched == "":
			w.vouched = s.Domain
		case s.Value == dkim.TempError:
			w.unknown = append(w.unknown, s)
		}
	}
	if w.vouched != "" {
		w.unknown = nil
	}
	return w
}

// counting returns the signatures that are judged, those of the author's domain first: where some pass, these;
// else those of the author's domain, or all. hidden are those of the author's domain beside others that pass.
func counting(all []dkim.Result, aligned func(string) bool) (count, hidden []dkim.Result) {
	var pass, own, others []dkim.Result
	for _, authors := range []bool{true, false} {
		for _, s := range all {
			switch {
			case aligned(s.Domain) != authors:
			case s.Value == dkim.Pass:
				pass = append(pass, s)
			case s.Testing: // as if it were not there (RFC 6376 section 3.6.1)
			case authors:
				own = append(own, s)
			default:
				others = append(others, s)
			}
		}
	}
	switch {
	case pass != nil && !aligned(pass[0].Domain):
		return pass, own
	case pass != nil:
		return pass, nil
	case own != nil:
		return own, nil
	}
	return others, nil
}

// aligned reports whether a signature's domain is the author's, as relaxed alignment has it. Where the organizational domain
// is not known, that is the same domain, one above or one below.
func (w *whole) aligned(domain string) bool {
	if w.author == "" || domain == "" {
		return false
	}
	if w.dmarc.Org != "" {
		return within(domain, w.dmarc.Org)
	}
	return within(domain, w.author) || within(w.author, domain)
}

// within reports whether a domain is another or below it.
func within(domain, parent string) bool {
	rest, ok := strings.CutSuffix(domain, parent)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}

// judge returns what prevails, for a recipient or with "" for all.
func (w *whole) judge(rcpt string) finding {
	note := func(s string) {
		if !w.noted {
			w.notes = append(w.notes, s)
		}
	}
	var best finding
	for _, f := range w.sender(w.t, rcpt) {
		if !w.waits(f) || !acts(f.Word) {
			best = best.over(f)
			continue
		}
		what := explain(f, false)
		if w.vouched != "" {
			note(what + ", which does not count: DKIM shows that the message is from " + show(w.vouched))
			continue
		}
		later, s, put := w.putOff(f, rcpt)
		if put {
			by := ""
			if later.Prefix != f.Prefix {
				by = " by " + later.String()
			}
			note(what + ", which is put off" + by + ": it cannot be told now whether the signature of " + show(s.Domain) + " is valid")
		} else {
			note(what + ", which counts: DKIM does not show that the message is from its author or sender")
		}
		best = best.over(later)
	}
	for _, look := range []func(string) (finding, bool){w.lookDKIM, w.lookDMARC} {
		if f, ok := look(rcpt); ok {
			note(explain(f, false))
			best = best.over(f)
		}
	}
	w.noted = true
	return best
}

// putOff returns what becomes of a finding that waited, where nobody vouches for the message: if it refuses for good, or drops,
// and a signature could not be judged this time that would vouch for it, the client is to come again. s is that
// signature. Where the map says what is to be done of such a signature, that is heard in its place: TEMPFAIL puts off
// with its own reply, and other words do not put off.
func (w *whole) putOff(f finding, rcpt string) (later finding, s dkim.Result, put bool) {
	if f.Word != policy.Reject && f.Word != policy.Discard {
		return f, dkim.Result{}, false
	}
	for _, s := range w.unknown {
		v, ok := w.Map.Lookup(s.Domain, rcpt, policy.PrefixOf(policy.DKIM, string(dkim.TempError)))
		switch {
		case !ok:
			v = f.Verdict
			v.Action = policy.Action{Word: policy.TempFail}
		case v.Word != policy.TempFail:
			continue
		}
		return finding{v, func(v policy.Verdict) *milter.Refusal { return tellDKIM(v, s) }}, s, true
	}
	return f, dkim.Result{}, false
}

// lookDKIM returns what prevails of the signatures.
func (w *whole) lookDKIM(rcpt string) (best finding, found bool) {
	if !w.access.dkim || !w.checked {
		return finding{}, false
	}
	if len(w.signed) == 0 {
		v, ok := w.Map.Lookup(w.author, rcpt, policy.PrefixOf(policy.DKIM, string(dkim.None)))
		return finding{v, func(v policy.Verdict) *milter.Refusal { return tellUnsigned(v, w.author) }}, ok
	}
	for _, s := range w.signed {
		v, ok := w.Map.Lookup(s.Domain, rcpt, policy.PrefixOf(policy.DKIM, string(s.Value)))
		if !ok {
			continue
		}
		if v.Word == policy.Whitelist && !w.aligned(s.Domain) && !namesDomain(v.Key) {
			continue // everybody can sign with a domain of his own
		}
		best = best.over(finding{v, func(v policy.Verdict) *milter.Refusal { return tellDKIM(v, s) }})
		found = true
	}
	for _, f := range w.lookAuthor(rcpt) {
		best, found = best.over(f), true
	}
	return best, found
}

// lookAuthor returns what the map says of the author's domain by name where signatures of others count in place of
// its own: everybody can add one, and a domain that is to sign its mail is not let off by that. There is a signature
// that counts.
func (w *whole) lookAuthor(rcpt string) (found []finding) {
	if w.author == "" || w.aligned(w.signed[0].Domain) {
		return nil
	}
	for _, s := range w.hidden {
		if v, ok := w.Map.Lookup(s.Domain, rcpt, policy.PrefixOf(policy.DKIM, string(s.Value))); ok && namesDomain(v.Key) {
			found = append(found, finding{v, func(v policy.Verdict) *milter.Refusal { return tellDKIM(v, s) }})
		}
	}
	if len(w.hidden) > 0 {
		return found
	}
	if v, ok := w.Map.Lookup(w.author, rcpt, policy.PrefixOf(policy.DKIM, string(dkim.None))); ok && namesDomain(v.Key) {
		found = append(found, finding{v, func(v policy.Verdict) *milter.Refusal { return tellUnmatched(v, w.author) }})
	}
	return found
}

// namesDomain reports whether a key is for some domains, and not for any.
func namesDomain(key string) bool {
	i := strings.IndexAny(key, ":!")
	return i >= 0 && i+1 < len(key)
}

// lookDMARC returns what the map says of what DMARC came to.
func (w *whole) lookDMARC(rcpt string) (finding, bool) {
	if !w.access.dmarc || !w.judged {
		return finding{}, false
	}
	r := w.dmarc
	var asked policy.Prefix
	if r.Value == dmarc.Fail {
		asked = policy.PrefixOf(policy.DMARC, string(r.Value)+"-"+string(r.Policy))
	}
	v, ok := w.Map.Lookup(r.From, rcpt, asked, policy.PrefixOf(policy.DMARC, string(r.Value)))
	return finding{v, func(v policy.Verdict) *milter.Refusal { return tellDMARC(v, r) }}, ok
}
