package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/policy"
)

// Options say what is refused. The zero value refuses nothing.
type Options struct {
	// Map has the policies; nil is an empty one.
	Map *policy.Map

	// Wait lets words of SPF and HELO wait until DKIM and DMARC are known. It is of use where a
	// filter before does both.
	Wait bool

	// Silent leaves no fact for other filters. It is for report mode, in which WHITELIST
	// and BAN shall not change what others do.
	Silent bool

	// These are refused at MAIL, of class External only.
	HeloNumeric bool     // a HELO name that is an IP address, or an address literal other than the client's (RFC 5321 section 4.1.3)
	HeloMissing bool     // no HELO before MAIL
	HeloNames   []string // HELO names that nobody outside has, such as our own, with wildcards (address.HostGlob)
}

// ErrOptions is in the errors of [New].
var ErrOptions = errors.New("access: options are not right")

// New returns the filter. It needs no body, and contacts nobody.
//
// The error wraps ErrOptions and joins all that is wrong: names that are no patterns for hosts, codes and texts of the
// map that no client could be told.
func New(name string, o Options) (*filter.Filter, error) {
	if o.Map == nil {
		o.Map, _ = policy.New() // without tables there is nothing to be wrong
	}
	a := &access{Options: o, spf: o.Map.Has(policy.SPF), helo: o.Map.Has(policy.HELO), auth: o.Map.Has(policy.SMTPAuth),
		dkim: o.Map.Has(policy.DKIM), dmarc: o.Map.Has(policy.DMARC)}
	var errs []error
	for i, s := range o.HeloNames {
		g, err := address.ParseHostGlob(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: HeloNames[%d]: %w", ErrOptions, i, err))
			continue
		}
		a.names = append(a.names, g)
	}
	f := &filter.Filter{Name: name, Mail: a.mail}
	for v := range o.Map.All() {
		if err := judge(v); err != nil {
			errs = append(errs, err)
		}
		switch v.Word {
		case policy.Quarantine:
			f.Needs.Actions |= milter.CanQuarantine
			f.Message = a.message
		case policy.Discard:
			if f.Message = a.message; o.Map.Limited() {
				f.Needs.Actions |= milter.CanDeleteRcpt
			}
		}
	}
	if o.Map.Limited() {
		f.Rcpt = a.rcpt
	}
	if o.Wait && (a.spf || a.helo) || a.dkim || a.dmarc {
		f.Message = a.message
		f.Needs.Header = true // for the author, where nobody told DMARC's result
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f, nil
}

// judge returns why nobody could be told what the map says.
func judge(v policy.Verdict) error {
	var err error
	switch {
	case v.Word.Refuses():
		err = reply(v, "", "x").Err()
	case v.Word == policy.Quarantine && len(v.Text) > maxReason:
		err = fmt.Errorf("the reason has more than %d bytes", maxReason)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrOptions, v, err)
	}
	return nil
}

// maxReason is the bytes of the reason that the MTA is told for holding a message.
const maxReason = 400

// An access is the state of a filter.
type access struct {
	Options
	names                        []address.HostGlob
	spf, helo, auth, dkim, dmarc bool // what the map speaks of
}

// A finding is what the map says of one check, and how to tell.
type finding struct {
	policy.Verdict
	tell func(policy.Verdict) *milter.Refusal // makes a refusal; nil where there is no finding
}

// refusal is what the client is told.
func (f finding) refusal() *milter.Refusal { return f.tell(f.Verdict) }

// over returns the one of two findings that prevails.
func (f finding) over(g finding) finding {
	if g.Word > f.Word {
		return g
	}
	return f
}

// acts reports whether a word keeps a message from its recipients.
func acts(w policy.Word) bool {
	return w.Refuses() || w == policy.Quarantine || w == policy.Discard
}

// waits reports whether a finding waits for the end of the message.
func (a *access) waits(f finding) bool {
	id := f.Prefix.Identity()
	if id != policy.SPF && id != policy.HELO {
		return false
	}
	return a.Wait && f.Word != policy.Ban
}

// mail judges what is known of the sender.
func (a *access) mail(_ context.Context, t *filter.Transaction) (milter.MailReply, error) {
	if r := a.checkHelo(t); r != nil {
		return r, nil
	}
	found := a.sender(t, "")
	for _, f := range found {
		t.Explain(explain(f, a.waits(f) && acts(f.Word)))
	}
	best := prevail(found)
	// What waits may come to nothing, and is told at the end.
	a.tell(t, prevail(slices.DeleteFunc(found, func(f finding) bool { return a.waits(f) && acts(f.Word) })))
	if !a.Map.Limited() && best.Word.Refuses() && !a.waits(best) {
		return best.refusal(), nil
	}
	return milter.Continue, nil
}

// rcpt does so for a recipient. What is for all was explained at MAIL.
func (a *access) rcpt(_ context.Context, t *filter.Transaction, to filter.Path) (milter.RcptReply, error) {
	all := a.sender(t, "")
	found := a.sender(t, to.Address)
	for _, f := range found {
		if !slices.ContainsFunc(all, func(g finding) bool { return g.Verdict == f.Verdict }) {
			t.Explain("for " + show(to.Address) + ": " + explain(f, a.waits(f) && acts(f.Word)))
		}
	}
	if best := prevail(found); best.Word.Refuses() && !a.waits(best) {
		return best.refusal(), nil
	}
	return milter.Continue, nil
}

// prevail returns the finding that prevails.
func prevail(found []finding) (best finding) {
	for _, f := range found {
		best = best.over(f)
	}
	return best
}

// tell leaves what was found for the filters behind, unless another filter of this kind found what
// prevails over it, or nobody is to be told.
func (a *access) tell(t *filter.Transaction, f finding) {
	v := f.Verdict
	if before, _ := filter.Told[policy.Verdict](t); a.Silent || v.Word <= before.Word {
		return
	}
	if (v.Word == policy.CBV || v.Word == policy.DSN) && t.From().Address == "" {
		t.Explain(fmt.Sprintf("%v is not for the null sender", v.Word))
		v.Word = policy.OK
	}
	filter.Tell(t, v)
}

// message judges all that is known, of all recipients.
func (a *access) message(_ context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	w := a.newWhole(t)
	best := w.judge("")
	for _, s := range w.notes {
		t.Explain(s)
	}
	a.tell(t, best)
	if !a.Map.Limited() {
		return a.do(t, e, best)
	}
	return a.each(t, e, w)
}

// do does what the map says of the message as a whole.
func (a *access) do(t *filter.Transaction, e *filter.Edits, f finding) (milter.EndReply, error) {
	switch {
	case f.Word.Refuses():
		return f.refusal(), nil
	case f.Word == policy.Discard:
		return milter.Discard, nil
	case f.Word == policy.Quarantine:
		if err := e.Quarantine(reason(f.Verdict)); err != nil {
			return nil, err
		}
	}
	return milter.Continue, nil
}

// maxShown is how many recipients an explanation names.
const maxShown = 5

// each does what the map says for each recipient.
func (a *access) each(t *filter.Transaction, e *filter.Edits, w *whole) (milter.EndReply, error) {
	rcpts := t.Rcpts()
	found := make([]finding, len(rcpts))
	dropped, held := 0, -1
	for i, to := range rcpts {
		found[i] = w.judge(to.Address)
		switch found[i].Word {
		case policy.Discard:
			dropped++
		case policy.Quarantine:
			held = i
		}
	}
	if dropped > 0 && dropped == len(rcpts) {
		return milter.Discard, nil
	}
	told := 0
	for i, to := range rcpts {
		f := found[i]
		var err error
		switch {
		case f.Word.Refuses():
			err = e.RefuseRcpt(to.Address, f.refusal())
		case f.Word == policy.Discard:
			err = e.DeleteRcpt(to.Raw)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if told++; told <= maxShown {
			t.Explain("for " + show(to.Address) + ": " + f.Verdict.String())
		}
	}
	if more := told - maxShown; more > 0 {
		t.Explain(fmt.Sprintf("and for %d more", more))
	}
	if held >= 0 {
		if err := e.Quarantine(reason(found[held].Verdict)); err != nil {
			return nil, err
		}
	}
	return milter.Continue, nil
}

// reason says why the MTA is to hold a message.
func reason(v policy.Verdict) string {
	if v.Text != "" {
		return v.Text
	}
	return "policy " + clean(v.Key, maxQuote)
}

// explain tells what was found for whom.
func explain(f finding, waits bool) string {
	s := fmt.Sprintf("%s of %s: %s", f.Prefix, show(f.About), f.Verdict)
	if f.About == "" {
		s = fmt.Sprintf("%s: %s", f.Prefix, f.Verdict)
	}
	if waits {
		s += ", which waits for DKIM"
	}
	return s
}

// senderDomain returns the domain of MAIL FROM, "" where it has none.
func senderDomain(t *filter.Transaction) string { return strings.ToLower(t.From().Domain) }
