package attachments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// New returns the filter. The error wraps ErrOptions and tells all that is wrong.
func New(name string, o Options) (*filter.Filter, error) {
	f := &finder{o: o, actions: defaults, tag: cmp.Or(o.Tag, "X-Attachment-Warning"), notice: o.Notice, reply: o.Reply}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...))
	}
	if name == "" {
		bad("the filter has no name")
	}
	list := o.Extensions
	if list == nil {
		list = DefaultExtensions
	}
	for _, x := range list {
		if why := wrongExtension(strings.TrimPrefix(x, ".")); why != "" {
			bad("extension %q: %s", x, why)
		}
	}
	f.ext = newExtensions(list)
	for r, a := range o.Actions {
		switch {
		case r >= rules:
			bad("there is no rule %d", r)
		case a > Reject:
			bad("rule %v: there is no action %d", r, a)
		case a != Default:
			f.actions[r] = a
		}
	}
	if f.sealed = o.Sealed; f.sealed == Default {
		f.sealed = Quarantine
	}
	if f.sealed > Reject {
		bad("Sealed: there is no action %d", f.sealed)
	}
	for _, d := range o.RejectFrom {
		domain, err := address.ASCIIDomain(d)
		switch {
		case strings.Contains(d, "@"):
			bad("RejectFrom: %q is an address; it takes domains, such as %q", d, d[strings.LastIndexByte(d, '@')+1:])
		case err != nil:
			bad("RejectFrom: %q: %w", d, err)
		case domain == "":
			bad("RejectFrom: a domain is empty")
		default:
			f.rejectFrom = append(f.rejectFrom, domain)
		}
	}
	if err := filter.CheckTag(f.tag); err != nil {
		bad("Tag: %w", err)
	}
	if f.notice == nil {
		f.notice = DefaultNotice
	}
	if err := f.notice.Execute(io.Discard, Warning{}); err != nil {
		bad("Notice: %w", err)
	}
	if f.reply == nil {
		f.reply = milter.Reject(550, "5.7.1", "This message has an attachment that we do not accept")
	}
	if err := f.reply.Err(); err != nil {
		bad("Reply: %w", err)
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) }) // of a map
		return nil, errors.Join(errs...)
	}
	needs := milter.CanAddHeaders
	all := append(slices.Clone(f.actions[:]), f.sealed)
	if slices.Contains(all, Replace) {
		needs |= milter.CanChangeBody | milter.CanChangeHeaders | milter.CanQuarantine
	}
	if slices.Contains(all, Quarantine) {
		needs |= milter.CanQuarantine
	}
	return &filter.Filter{
		Name:    name,
		Needs:   filter.Needs{Header: true, Body: true, Originals: slices.Contains(all, Replace), Actions: needs},
		Message: f.message,
	}, nil
}

type finder struct {
	o       Options
	ext     extensions
	actions [rules]Action
	sealed  Action
	tag     string
	notice  *template.Template
	reply   *milter.Refusal

	rejectFrom []string // as address.ASCIIDomain has them
}

// rejects reports whether mail of a sender's domain is refused where others' is changed.
func (f *finder) rejects(domain string) bool {
	if ascii, err := address.ASCIIDomain(domain); err == nil {
		domain = ascii
	}
	return slices.Contains(f.rejectFrom, domain)
}

// A finding is a part that a rule met.
type finding struct {
	part   int // its place in the tree, depth first; -1 where there is no part to replace
	rule   Rule
	action Action
	sealed bool // a change would break a signature, see message.Part.Sealed
	Warning
}

// tooLarge is a finding of a limit.
func tooLarge(name, why string) finding {
	return finding{part: -1, rule: IsTooLarge, Warning: Warning{Rule: IsTooLarge, Name: name, Why: why}}
}

func (f *finder) message(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	tree, err := t.Message().Tree()
	if err != nil {
		return nil, err
	}
	found, err := f.lookAt(ctx, tree, newBudget(t, f.o.Archives))
	if err != nil {
		return nil, err
	}
	worst := Ignore
	for i := range found {
		x := &found[i]
		f.decide(x)
		if x.action == Replace && f.rejects(t.From().Domain) {
			x.action = Reject
		}
		worst = max(worst, x.action)
	}
	explain(t, found)
	if worst == Reject {
		return f.reply, nil
	}
	if worst < Quarantine {
		if tree, err = f.change(ctx, t, e, found, tree); err != nil {
			return nil, err
		}
	}
	// What the other readings show is looked for in what is left.
	others, err := f.lookOtherwise(ctx, tree, newBudget(t, f.o.Archives))
	if err != nil {
		return nil, err
	}
	var more []finding
	for _, x := range others {
		f.decide(&x)
		if x.action <= Tag && slices.ContainsFunc(found, func(y finding) bool { return x.rule == y.rule && x.Name == y.Name }) {
			continue
		}
		found, more = append(found, x), append(more, x)
		worst = max(worst, x.action)
		if x.action == Tag {
			if err := e.AddHeader(f.tag, tagText(x)); err != nil {
				return nil, err
			}
		}
	}
	explain(t, more)
	switch worst {
	case Reject:
		return f.reply, nil
	case Quarantine:
		return milter.Accept, e.Quarantine("dangerous attachment")
	}
	return milter.Accept, nil
}

// decide says what happens by a finding.
func (f *finder) decide(x *finding) {
	if x.action = f.actions[x.rule]; x.action != Replace {
		return
	}
	switch {
	case x.sealed:
		x.action = f.sealed
	case x.part < 0:
		x.action = Quarantine
	}
}

// maxExplained is how many findings explanations tell of; more are counted.
const maxExplained = 20

// explain tells of findings, the strictest first where there are many.
func explain(t *filter.Transaction, found []finding) {
	told := found
	if len(found) > maxExplained {
		told = slices.Clone(found)
		slices.SortStableFunc(told, func(a, b finding) int { return cmp.Compare(b.action, a.action) })
		told = told[:maxExplained]
	}
	for _, x := range told {
		t.Explain(fmt.Sprintf("%s (%s, %s)", x.text(), x.rule, x.action))
	}
	if n := len(found) - len(told); n > 0 {
		t.Explain(fmt.Sprintf("and %d more", n))
	}
}

// text tells of a finding in a line. What the sender wrote is in quotes, and bounded.
func (x *finding) text() string {
	in := ""
	if x.Member != "" {
		in = fmt.Sprintf(", %q in it", x.Member)
	}
	return fmt.Sprintf("%q%s: %s", x.Name, in, x.Why)
}

// lookAt tells what rules the parts of a message meet. That of a limit of reading it
// has no part: what is beyond the limit was not seen.
func (f *finder) lookAt(ctx context.Context, tree *message.Tree, b *budget) ([]finding, error) {
	var found []finding
	i := 0
	for p := range tree.Parts() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !b.part() {
			return append(found, tooLarge("message", "the messages attached to it take too much")), nil
		}
		list, err := f.look(ctx, p, b)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			x.part, x.sealed = i, p.Sealed()
			found = append(found, x)
		}
		i++
	}
	if tree.Limited() {
		found = append(found, tooLarge("message", "its structure is beyond the limits of looking at it"))
	}
	return found, nil
}

// change replaces parts and adds tags. It returns what the message is then.
func (f *finder) change(ctx context.Context, t *filter.Transaction, e *filter.Edits, found []finding, tree *message.Tree) (*message.Tree, error) {
	replace := make(map[int]finding)
	tags := 0
	for _, x := range found {
		switch x.action {
		case Replace:
			if _, ok := replace[x.part]; !ok {
				replace[x.part] = x
			}
		case Tag:
			if tags++; tags <= 10 {
				if err := e.AddHeader(f.tag, tagText(x)); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(replace) == 0 {
		return tree, nil
	}
	ref, err := t.Keep(ctx, reason(found, len(replace)))
	if err != nil {
		return nil, err
	}
	tree, err = e.Tree()
	if err != nil {
		return nil, err
	}
	for i, p := range slices.Collect(tree.Parts()) { // before any of them is changed
		if x, ok := replace[i]; ok {
			x.Ref = ref
			var text strings.Builder
			if err := f.notice.Execute(&text, x.Warning); err != nil {
				return nil, err
			}
			if err := p.Replace(message.Content{MediaType: "text/plain", Filename: "WARNING.TXT", Disposition: "inline", Text: text.String()}); err != nil {
				return nil, err
			}
		}
	}
	return tree, nil
}

// reason says in a line why the original of a message is kept of which n parts are
// replaced.
func reason(found []finding, n int) string {
	i := slices.IndexFunc(found, func(x finding) bool { return x.action == Replace })
	x := &found[i]
	why := fmt.Sprintf("%s: %s", x.rule, x.text())
	if n > 1 {
		why += fmt.Sprintf(", and %d more", n-1)
	}
	return why
}

// tagText is a header value of short ASCII lines.
func tagText(x finding) string {
	name := strings.Map(func(r rune) rune {
		if r > '~' || r < ' ' {
			return '?'
		}
		return r
	}, x.Name)
	return fmt.Sprintf("%s; %q", x.rule, name)
}

// look tells what rules a part meets. Of one that holds others only the names
// count, and where its types disagree its content.
func (f *finder) look(ctx context.Context, p *message.Part, b *budget) ([]finding, error) {
	names, kind := p.Names(), p.MediaType()
	if kind == "text/calendar" || kind == "application/ics" {
		more, err := calendarNames(p.Text())
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	shown := show(p.Filename())
	var found []finding
	for _, n := range names {
		if !isName(n) {
			continue
		}
		if n.From == "content-description" && !namedByDescription(p) {
			continue
		}
		if ext := f.ext.find(n.Value); ext != "" && (ext != "com" || n.From != "content-description") {
			if ext == "com" {
				if ok, err := noCommand(p, n.Value); ok || err != nil {
					if err != nil {
						return nil, err
					}
					continue
				}
			}
			if shown == "" || f.ext.find(p.Filename()) == "" {
				shown = show(n.Value)
			}
			found = append(found, finding{rule: ByName, Warning: Warning{Rule: ByName, Name: shown, Why: fmt.Sprintf("its name ends in .%s", ext)}})
			break
		}
	}
	if ext := typeExtension(kind, p.Filename()); len(found) == 0 && f.ext[ext] {
		found = append(found, finding{rule: ByName, Warning: Warning{Rule: ByName, Name: cmp.Or(shown, kind), Why: "its type is " + kind}})
	}
	if len(found) > 0 && f.decided(ByName) {
		return found, nil
	}
	mail := false // it was taken apart as a message, and is one
	if !p.IsLeaf() && !p.Has(message.DefectContentTypes) {
		if !strings.HasPrefix(kind, "message/") {
			return found, nil
		}
		head, err := headOf(p)
		if err != nil {
			return nil, err
		}
		raw, err := firstOf(p.Raw())
		if err != nil {
			return nil, err
		}
		// An encoding may be declared and not be there. What clients save under a name is
		// that file to them.
		if mail = beginsAsMail(head) || beginsAsMail(raw); mail && !savedAs(names) {
			return found, nil
		}
	}
	if kind == "message/partial" {
		return append(found, finding{rule: IsUnlisted, Warning: Warning{Rule: IsUnlisted, Name: kind, Why: "it is a fragment of a message"}}), nil
	}
	if shown == "" {
		shown = show(p.MediaType()) + " without a name"
	}
	if strings.HasPrefix(kind, "text/") && p.IsLeaf() && !lettersAsASCII(p.Charset()) {
		inside, err := f.lookIntoText(ctx, p, shown, b)
		if err != nil {
			return nil, err
		}
		found = append(found, inside...)
	}
	if shownTypes[kind] && p.Disposition() != "attachment" && !slices.ContainsFunc(names, isName) {
		return found, nil // what clients show, and do not save
	}
	head, err := headOf(p)
	if err != nil {
		return nil, err
	}
	if why := program(head); why != "" {
		return append(found, finding{rule: ByContent, Warning: Warning{Rule: ByContent, Name: shown, Why: "it is a " + why}}), nil
	}
	if rule, why := closed(kind, head); why != "" && !mail {
		return append(found, finding{rule: rule, Warning: Warning{Rule: rule, Name: shown, Why: why}}), nil
	}
	inside, err := f.lookInto(ctx, p, shown, names, head, mail, b)
	return append(found, inside...), err
}

// headOf returns the first bytes of what a part holds.
func headOf(p *message.Part) ([]byte, error) { return firstOf(p.Open()) }

func firstOf(r io.Reader) ([]byte, error) {
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return head[:n], err
}

var copies = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copyTo is io.Copy without a buffer for each part.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	buf := copies.Get().(*[32 << 10]byte)
	defer copies.Put(buf)
	return io.CopyBuffer(w, r, buf[:])
}

// decided reports whether no other rule could have a stricter action.
func (f *finder) decided(r Rule) bool { return f.actions[r] >= slices.Max(f.actions[:]) }
