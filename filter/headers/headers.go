package headers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// ErrEdits is in the error of the filter for messages in which rules would write
// more than Options.MaxEdits.
var ErrEdits = errors.New("headers: rules write too much")

// Options are the limits on messages. The zero value means all defaults.
type Options struct {
	// MaxValue is how many bytes of a field's value are looked at, before decoding; 0
	// means 64 KiB.
	MaxValue int
	// MaxEdits is how many bytes rules may write into the header of one message; 0
	// means 1 MiB. The filter fails on a message that takes more.
	MaxEdits int
}

// New returns a filter that goes by rules. It needs the header of messages, never
// the body, and asks for the kinds of edits that the rules make.
//
// Its errors wrap ErrRule and join all that is wrong with any of the rules: no
// fields or no action, a name that is none, a bad regular expression or template,
// edits that lack a name or a value, codes and texts that no client could be told,
// settings that do not go together.
func New(name string, rules []Rule, o Options) (*filter.Filter, error) {
	s, err := newSet(rules, o)
	if err != nil {
		return nil, err
	}
	f := &filter.Filter{Name: name}
	if len(s.rcpts) > 0 {
		f.Rcpt, f.Message = s.rcpt, s.message
	}
	if len(s.rules) > 0 {
		f.Needs.Header, f.Message = true, s.message
	}
	for _, c := range s.rules {
		f.Needs.Actions |= c.actions()
	}
	return f, nil
}

// newSet compiles rules.
func newSet(rules []Rule, o Options) (*set, error) {
	s := &set{maxValue: 64 << 10, maxEdits: 1 << 20}
	if o.MaxValue > 0 {
		s.maxValue = o.MaxValue
	}
	if o.MaxEdits > 0 {
		s.maxEdits = o.MaxEdits
	}
	var errs []error
	if o.MaxValue < 0 || o.MaxEdits < 0 {
		errs = append(errs, fmt.Errorf("%w: a limit is less than 0", ErrRule))
	}
	for i, r := range rules {
		c, err := compile(r, i)
		switch {
		case err != nil:
			errs = append(errs, err)
		case c.Part == Recipient:
			s.rcpts = append(s.rcpts, c)
		default:
			s.rules = append(s.rules, c)
		}
	}
	return s, errors.Join(errs...)
}

// actions returns the kinds of edits that the rule makes.
func (c *rule) actions() milter.Actions {
	switch c.Action {
	case Quarantine:
		return milter.CanQuarantine
	case Tag:
		return milter.CanAddHeaders | milter.CanChangeHeaders
	case Add:
		return milter.CanAddHeaders
	case Change:
		if c.Edit.Name != "" {
			return milter.CanAddHeaders | milter.CanChangeHeaders
		}
		return milter.CanChangeHeaders
	case Remove:
		return milter.CanChangeHeaders
	}
	return 0
}

// A set is the rules of a filter.
type set struct {
	rules, rcpts       []*rule
	maxValue, maxEdits int
}

// rcpt refuses recipients by rules.
func (s *set) rcpt(_ context.Context, t *filter.Transaction, to filter.Path) (milter.RcptReply, error) {
	// Who has no brackets is a recipient of local mail, which Postfix cannot refuse:
	// it would keep the message for ever. The message is refused in his place.
	if !strings.HasPrefix(to.Raw, "<") {
		return milter.Continue, nil
	}
	if r := s.refusedRcpt(t, to); r != nil {
		return r, nil
	}
	return milter.Continue, nil
}

func (s *set) refusedRcpt(t *filter.Transaction, to filter.Path) *milter.Refusal {
	addr, _ := shorten(to.Address, s.maxValue)
	v := &values{plain: []string{addr}}
	for _, c := range s.rcpts {
		if _, ok := c.applies(t); !ok {
			continue
		}
		if h, ok := c.meets(v, senderDomain(t.From())); ok {
			t.Explain(fmt.Sprintf("rule %s on recipient %s%s: %v", c.Name, quote(to.Address), h.by(), c.Action))
			return c.refuseHit(t, h)
		}
	}
	return nil
}

// message tries the rules on the header.
func (s *set) message(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	for _, to := range t.Rcpts() {
		if !strings.HasPrefix(to.Raw, "<") {
			if r := s.refusedRcpt(t, to); r != nil {
				return r, nil
			}
		}
	}
	h := newHeader(t.Message().Header, s, t.From())
	refused := make(map[string]bool) // recipients
	for _, c := range s.rules {
		rcpts, ok := c.applies(t)
		if !ok || c.Match == SenderDomain && h.sender == "" {
			continue
		}
		hits, err := h.find(ctx, c)
		if err != nil {
			return nil, err
		}
		if c.none {
			if len(hits) > 0 {
				continue
			}
			hits = []hit{{}}
		}
		if len(hits) == 0 {
			continue
		}
		if err := h.edit(c, hits); err != nil {
			return nil, err
		}
		t.Explain(explain(c, hits, h.problems, rcpts))
		if !c.Action.decides() {
			continue
		}
		if rcpts != nil {
			r := c.refuseHit(t, hits[0])
			for _, addr := range rcpts {
				if refused[addr] {
					continue // for the first rule that did
				}
				if err := e.RefuseRcpt(addr, r); err != nil {
					return nil, err
				}
				refused[addr] = true
			}
			continue
		}
		switch c.Action {
		case Discard:
			return milter.Discard, nil
		case Quarantine:
			reason := c.Text
			if reason == "" {
				reason = "header rule " + c.Name
			}
			if err := e.Quarantine(reason); err != nil {
				return nil, err
			}
			return milter.Continue, h.send(e)
		}
		return c.refuseHit(t, hits[0]), nil
	}
	return milter.Continue, h.send(e)
}

// refuseHit makes the rule's refusal of a message.
func (c *rule) refuseHit(t *filter.Transaction, h hit) *milter.Refusal {
	r := c.refuse(func(what placeholder) string { return plain(h.expand(what, t.From())) })
	if r.Err() != nil {
		return c.refusal
	}
	return r
}

// expand returns what a placeholder stands for.
func (h hit) expand(what placeholder, from filter.Path) string {
	switch what {
	case wholeValue:
		return h.value
	case fieldName:
		return h.field.name
	case envelopeFrom:
		p, err := address.ParsePath(from.Address)
		if err != nil {
			return ""
		}
		return p.Canonical().String()
	}
	if i := 2 * int(what); i+1 < len(h.groups) && h.groups[i] >= 0 {
		return h.value[h.groups[i]:h.groups[i+1]]
	}
	return ""
}

// explain says what a rule did, and why.
func explain(c *rule, hits []hit, problems []string, rcpts []string) string {
	const most = 2000 // bytes about one rule
	var b strings.Builder
	fmt.Fprintf(&b, "rule %s", c.Name)
	for i, h := range hits {
		if h.field == nil {
			fmt.Fprintf(&b, ": no %s", strings.Join(c.Fields, ", "))
			if !c.Match.fields() {
				fmt.Fprintf(&b, " that meets it")
			}
			break
		}
		if b.Len() > most {
			fmt.Fprintf(&b, " and %d more", len(hits)-i)
			break
		}
		sep := ","
		if i == 0 {
			sep = " on"
		}
		name := h.field.name
		if short, cut := shorten(name, maxName); cut || !validName(name) {
			name = quote(short)
		}
		fmt.Fprintf(&b, "%s %s %s%s", sep, name, quote(h.value), h.by())
	}
	fmt.Fprintf(&b, ": %v", c.Action)
	if rcpts != nil {
		shown := rcpts[:min(len(rcpts), 5)]
		fmt.Fprintf(&b, " for %s", quote(strings.Join(shown, ", ")))
		if n := len(rcpts) - len(shown); n > 0 {
			fmt.Fprintf(&b, " and %d more", n)
		}
	}
	for i, p := range problems {
		if i == 3 {
			fmt.Fprintf(&b, ", and %d more", len(problems)-i)
			break
		}
		fmt.Fprintf(&b, ", but %s", p)
	}
	return b.String()
}

// by says for an explanation which of the rule's Values the hit met. That is not the
// sender's but the admin's own text, and no log hides it: so it has single quotes, and
// no double quotes in it.
func (h hit) by() string {
	if h.entry == "" {
		return ""
	}
	s, cut := shorten(h.entry, 80)
	if strings.Contains(s, `"`) || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		s = strconv.Quote(s)
		s = strings.ReplaceAll(s[1:len(s)-1], `\"`, `\x22`)
	}
	if s = " by '" + s + "'"; cut {
		s += "..."
	}
	return s
}

// A header is the fields of a message on their way through the rules.
type header struct {
	set      *set
	from     filter.Path // the envelope's sender
	sender   string      // its domain
	fields   []*field
	added    []*field // in the order of the rules
	written  int      // bytes that rules wrote
	problems []string // edits of the last rule that cannot be made
}

func newHeader(fields message.Header, s *set, from filter.Path) *header {
	h := &header{set: s, from: from, sender: senderDomain(from), fields: make([]*field, 0, len(fields)+8)}
	counts := make(map[string]int)
	for _, f := range fields {
		if f.Name() == "" {
			continue // a line that is no field
		}
		x := newField(f, 0)
		key := x.folded + f.Name()[len(x.name):] // blanks at its end count for an MTA
		counts[key]++
		x.received = counts[key]
		h.fields = append(h.fields, x)
	}
	return h
}

// find returns the fields that meet a rule; where it is for one, the first.
func (h *header) find(ctx context.Context, c *rule) (hits []hit, err error) {
	var counts map[string]int
	if c.Match == MoreThan {
		counts = make(map[string]int)
	}
	for _, f := range h.fields {
		if f.gone || !c.names(f) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if c.Match == MoreThan {
			if counts[f.folded]++; counts[f.folded] <= c.N {
				continue
			}
		}
		x, ok := c.meets(f.part(c.Part, h.set.maxValue), h.sender)
		if !ok {
			continue
		}
		x.field = f
		if hits = append(hits, x); !c.each() {
			break
		}
	}
	return hits, nil
}

// edit makes the rule's edits, if it has some.
func (h *header) edit(c *rule, hits []hit) error {
	h.problems = nil
	switch c.Action {
	case Tag:
		tag := h.expand(c, hits[0])
		tagged := false
		for _, f := range h.fields {
			if f.gone || !equalASCII(f.name, "Subject") {
				continue
			}
			tagged = true
			if !h.editable(f) || strings.TrimSpace(tag) == "" || hasTag(f.part(Value, h.set.maxValue).plain[0], tag) {
				continue
			}
			if err := h.set1(f, taggedValue(f, strings.TrimSpace(tag), h.set.maxValue)); err != nil {
				return err
			}
		}
		if !tagged {
			return h.add("Subject", c.write("Subject", tag), 0)
		}
	case Add:
		return h.add(c.Edit.Name, c.write(c.Edit.Name, h.expand(c, hits[0])), c.Edit.Position)
	case Change:
		if c.Edit.Name != "" {
			return h.put(c.Edit.Name, c.write(c.Edit.Name, h.expand(c, hits[0])))
		}
		for _, x := range hits {
			if h.editable(x.field) {
				if err := h.set1(x.field, c.write(x.field.name, h.expand(c, x))); err != nil {
					return err
				}
			}
		}
	case Remove:
		if c.Edit.Name != "" {
			h.remove(c.Edit.Name)
		}
		for _, x := range hits {
			if c.Edit.Name == "" && h.editable(x.field) {
				x.field.gone = true
			}
		}
	}
	return nil
}

// write returns a text as the value of a field.
func (c *rule) write(name, text string) string {
	if c.Part == Raw {
		return rawValue(name, text)
	}
	return decodedValue(name, text)
}

// maxWrite is how many bytes of text are written into a field. Encoded they take up
// to 4.2 times the room, and have to fit a packet of the protocol, 64 KiB.
const maxWrite = 8 << 10

// expand returns the value of the rule's edit.
func (h *header) expand(c *rule, x hit) string {
	s, _ := shorten(c.value.expand(func(what placeholder) string { return x.expand(what, h.from) }), maxWrite)
	return s
}

// remove takes out the fields of a name.
func (h *header) remove(name string) {
	for _, f := range h.fields {
		if !f.gone && equalASCII(f.name, name) && h.editable(f) {
			f.gone = true
		}
	}
}

// put gives the first field of a name a value, removes the others, and adds one
// where there is none.
func (h *header) put(name, value string) error {
	first := true
	for _, f := range h.fields {
		if f.gone || !equalASCII(f.name, name) || !h.editable(f) {
			continue
		}
		if !first {
			f.gone = true
			continue
		}
		first = false
		if err := h.set1(f, value); err != nil {
			return err
		}
	}
	if first {
		return h.add(name, value, 0)
	}
	return nil
}

// set1 gives a field a value; without one the field goes.
func (h *header) set1(f *field, value string) error {
	if strings.Trim(value, " \t\n") == "" {
		f.gone = true
		return nil
	}
	if value == f.now.Text(false) {
		return nil
	}
	if err := h.grow(len(value)); err != nil {
		return err
	}
	f.set(value)
	return nil
}

// add adds a field, unless it would be empty.
func (h *header) add(name, value string, position int) error {
	if strings.Trim(value, " \t\n") == "" {
		return nil
	}
	if err := h.grow(len(name) + len(value)); err != nil {
		return err
	}
	f := newField(message.NewField(name, " "+value, "\r\n"), 0)
	f.position = position
	at := len(h.fields)
	switch {
	case position == Top:
		at = 0
	case position > 0:
		at = min(position-1, at)
	}
	h.fields = slices.Insert(h.fields, at, f)
	h.added = append(h.added, f)
	return nil
}

func (h *header) grow(n int) error {
	if h.written += n; h.written > h.set.maxEdits {
		return fmt.Errorf("%w: more than %d bytes", ErrEdits, h.set.maxEdits)
	}
	return nil
}

// editable reports whether an MTA can be told to edit a field, and notes it for the
// explanation when not.
func (h *header) editable(f *field) bool {
	if err := judgeName(f.now.Name()); err != nil {
		short, _ := shorten(f.now.Name(), maxName)
		h.problems = append(h.problems, fmt.Sprintf("%s stays: %v", quote(short), err))
		return false
	}
	return true
}

// send asks for the edits that make of the header as received the one at hand.
func (h *header) send(e *filter.Edits) error {
	for _, f := range h.fields {
		var err error
		switch {
		case f.received == 0:
		case f.gone:
			err = e.DeleteHeader(f.now.Name(), f.received)
		case f.edited && f.now.Text(false) != f.was.Text(false):
			err = e.ChangeHeader(f.now.Name(), f.received, f.now.Text(false))
		}
		if err != nil {
			return err
		}
	}
	// Each insertion counts those before it, so they are made in the rules' order.
	for _, f := range h.added {
		if f.gone {
			continue
		}
		name, value := f.now.Name(), f.now.Text(false)
		err := error(nil)
		if f.position == 0 {
			err = e.AddHeader(name, value)
		} else {
			err = e.InsertHeader(max(f.position, 0), name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
