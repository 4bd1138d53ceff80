package html

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// FilterOptions say what the filter does with mail. The zero value works.
type FilterOptions struct {
	// Remove says what goes; its Charset, XML and Spool are those of each part.
	Remove Options

	// Sealed is what happens by active content in a part whose change would break what
	// looks like a signature, or that is encrypted. Without being told the message gets
	// a header field, and the part stays: so does one in a forged signature.
	Sealed Action

	// Tag is that header field; "" means X-Html-Warning.
	Tag string

	// Reply is what Reject answers; nil means 550 5.7.1 with a text.
	Reply *milter.Refusal

	// DropOriginals changes messages without keeping them as they were.
	DropOriginals bool
}

// ErrOptions is in the errors of [New].
var ErrOptions = errors.New("html: options are not right")

// New returns a filter that takes active content out of the HTML parts of mail, in
// attached messages too. All other bytes of the message stay. In explanations parts are
// counted as [message.Tree.Parts] has them; the message is number 1.
//
// The error wraps ErrOptions and tells all that is wrong.
func New(name string, o FilterOptions) (*filter.Filter, error) {
	f := &cleaner{FilterOptions: o}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...))
	}
	if name == "" {
		bad("the filter has no name")
	}
	if f.Tag = cmp.Or(o.Tag, "X-Html-Warning"); f.Sealed > Reject {
		bad("Sealed: there is no action %d", o.Sealed)
	}
	if err := filter.CheckTag(f.Tag); err != nil {
		bad("Tag: %w", err)
	}
	if f.Reply == nil {
		f.Reply = milter.Reject(550, "5.7.1", "This message has active content in a signed part that we do not accept")
	}
	if err := f.Reply.Err(); err != nil {
		bad("Reply: %w", err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	needs := milter.CanChangeBody | milter.CanChangeHeaders
	switch f.Sealed {
	case Tag:
		needs |= milter.CanAddHeaders
	case Quarantine:
		needs |= milter.CanQuarantine
	}
	return &filter.Filter{
		Name:    name,
		Needs:   filter.Needs{Header: true, Body: true, Originals: !o.DropOriginals, Actions: needs},
		Message: f.message,
	}, nil
}

// maxExplained is how many parts explanations tell of; more are counted.
const maxExplained = 20

type cleaner struct{ FilterOptions }

func (f *cleaner) message(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	tree, err := t.Message().Tree()
	if err != nil {
		return nil, err
	}
	var out *message.Spool // what parts become
	defer func() {
		if out != nil {
			t.FreeSpool(out)
		}
	}()
	type stretch struct{ from, size int64 }
	var changed map[int]stretch // by the part's place
	first, sealed := "", false
	explained := 0
	explain := func(why string) {
		if explained++; explained <= maxExplained {
			t.Explain(why)
		}
	}
	defer func() {
		if explained > maxExplained {
			t.Explain(fmt.Sprintf("and %d more parts", explained-maxExplained))
		}
	}()
	remove := f.Remove.withDefaults() // of which the parts share what is read again
	i := 0
	var page *message.Part // changed as a whole with all it holds
	for p := range tree.Parts() {
		i++
		if !p.IsLeaf() && !isNoMail(p) || liesIn(p, page) {
			continue
		}
		o, ok, err := partOptions(ctx, p, remove)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if o.Spool = t.NewSpool; out == nil {
			out = t.NewSpool()
		} else if len(changed) == 0 {
			if err := out.Reset(); err != nil {
				return nil, err
			}
		}
		from := out.Size()
		report, err := Remove(ctx, out, p.Open(), o)
		switch {
		case err != nil:
			return nil, err
		case report.Total == 0:
		case f.Sealed != Change && p.Sealed():
			explain(fmt.Sprintf("%s, sealed: %s (%s)", partName(i, p), report, f.Sealed))
			if sealed = true; f.Sealed == Reject {
				return f.Reply, nil
			}
		default:
			why := fmt.Sprintf("%s: %s removed", partName(i, p), report)
			explain(why)
			if changed == nil {
				changed, first = make(map[int]stretch), why
			}
			changed[i] = stretch{from, out.Size() - from}
			if !p.IsLeaf() {
				page = p
			}
		}
	}
	switch {
	case !sealed:
	case f.Sealed == Quarantine:
		return milter.Accept, e.Quarantine("active content in a signed part")
	default:
		if err := e.AddHeader(f.FilterOptions.Tag, "active content in a signed part"); err != nil {
			return nil, err
		}
	}
	if len(changed) == 0 {
		return milter.Accept, nil
	}
	if !f.DropOriginals {
		if more := len(changed) - 1; more > 0 {
			first += fmt.Sprintf(", and of %d more parts", more)
		}
		if _, err := t.Keep(ctx, first); err != nil {
			return nil, err
		}
	}
	edit, err := e.Tree()
	if err != nil {
		return nil, err
	}
	for i, p := range slices.Collect(edit.Parts()) { // before any of them is changed
		s, ok := changed[i+1]
		if !ok {
			continue
		}
		if err := setPage(p, io.NewSectionReader(out, s.from, s.size)); err != nil {
			return nil, err
		}
	}
	return milter.Accept, nil
}

// isNoMail reports whether an attached message is none, but what clients save under the
// name it has: it does not begin with a header field, or with one that is a tag. What
// begins as in a mailbox is one.
func isNoMail(p *message.Part) bool {
	if len(p.Parts) != 1 || !p.Parts[0].IsMessage() {
		return false
	}
	h := p.Parts[0].Header
	if len(h) == 0 {
		return true
	}
	name := h[0].Name()
	return name == "" && !bytes.HasPrefix(h[0].Raw(), []byte("From ")) || strings.HasPrefix(name, "<")
}

// liesIn reports whether a part lies in another.
func liesIn(p, in *message.Part) bool {
	for p = p.Parent; p != nil && in != nil; p = p.Parent {
		if p == in {
			return true
		}
	}
	return false
}

// setPage puts a page in the place of a part's body. One that was called a message is
// called a page.
func setPage(p *message.Part, body message.Source) error {
	if p.IsLeaf() {
		return p.SetBody(body)
	}
	charset, _ := p.Param("charset")
	return p.Replace(message.Content{MediaType: "text/html", Charset: charset, Filename: p.Filename(), Disposition: p.Disposition(), Body: body})
}

// partName names a part in explanations. What the sender wrote is quoted, and bounded.
func partName(i int, p *message.Part) string {
	name := cmp.Or(p.Filename(), p.MediaType())
	if r := []rune(name); len(r) > 80 {
		name = string(r[:40]) + "\u2026" + string(r[len(r)-40:])
	}
	return fmt.Sprintf("part %d (%q)", i, name)
}

// partOptions returns how a part is read; ok is unset for one that is no HTML.
func partOptions(ctx context.Context, p *message.Part, remove Options) (o Options, ok bool, err error) {
	kind := p.MediaType()
	types, charsets := otherTypes(p)
	if kind == "text/plain" && len(types) == 0 && len(p.Names()) == 0 {
		return o, false, nil
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(p.Open(), head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return o, false, err
	}
	var names []string
	for _, name := range p.Names() {
		names = append(names, name.Value)
	}
	xml := isXMLType(kind, names)
	if !IsHTML(head[:n], kind, names) && len(types) == 0 {
		if !xml {
			return o, false, nil
		}
		if page, err := isXMLPage(&ctxReader{ctx, p.Open()}); err != nil || !page {
			return o, false, err
		}
	}
	o = remove
	o.XML, o.also = xml, charsets
	if _, told := p.Param("charset"); told {
		o.Charset = p.Charset()
	}
	return o, true, nil
}

// otherTypes returns the media types of HTML that a part's Content-Type fields name
// besides the one that counts, and all charsets in them: readers take the first of
// several fields or the last, and stop at other characters.
func otherTypes(p *message.Part) (types, charsets []string) {
	fields := 0
	for _, f := range p.Header {
		if !f.Is("Content-Type") {
			continue
		}
		if fields++; fields > 20 {
			break
		}
		text := strings.ToLower(f.Text(true))
		text = text[:min(len(text), 4096)]
		for _, kind := range htmlTypeWords.FindAllString(text, 5) {
			if kind != p.MediaType() {
				types = append(types, kind)
			}
		}
		for _, m := range charsetWords.FindAllStringSubmatch(text, 5) {
			charsets = append(charsets, m[1])
		}
	}
	return types, charsets
}

var (
	htmlTypeWords = regexp.MustCompile(`\b(text|application|image)/(html|x-html|xhtml|xhtml\+xml|svg|svg\+xml)\b`)
	charsetWords  = regexp.MustCompile(`charset[ \t]*=[ \t]*["']?[ \t]*([a-z0-9_.:+-]+)`)
)

// String lists what was removed, in a line.
func (r Report) String() string {
	var kinds []string
	for i, f := range r.Findings {
		if i == 5 {
			kinds = append(kinds, "and more")
			break
		}
		kinds = append(kinds, f.String())
	}
	return fmt.Sprintf("%d of active content (%s)", r.Total, strings.Join(kinds, ", "))
}
