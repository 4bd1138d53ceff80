package html

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// FilterOptions say what the filter does with mail. The zero value works.
type FilterOptions struct {
	// Remove says what goes; its Charset and XML are those of each part.
	Remove Options

	// Sealed lets parts be changed whose change breaks a signature. Without, such a
	// message gets a header field instead.
	Sealed bool

	// Tag is that header field; "" means X-Html-Warning.
	Tag string

	// DropOriginals changes messages without keeping them as they were.
	DropOriginals bool
}

// New returns a filter that takes active content out of the HTML parts of mail, in
// attached messages too. All other bytes of the message stay.
func New(name string, o FilterOptions) *filter.Filter {
	if o.Tag == "" {
		o.Tag = "X-Html-Warning"
	}
	return &filter.Filter{
		Name: name,
		Needs: filter.Needs{Header: true, Body: true, Originals: !o.DropOriginals,
			Actions: milter.CanAddHeaders | milter.CanChangeBody | milter.CanChangeHeaders},
		Message: o.message,
	}
}

func (o FilterOptions) message(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	tree, err := t.Message().Tree()
	if err != nil {
		return nil, err
	}
	var changed map[int]*message.Spool // by the part's place
	defer func() {
		for _, s := range changed {
			s.Close()
		}
	}()
	i, sealed, room := 0, false, int64(1<<20)
	for p := range tree.Parts() {
		if p.IsLeaf() {
			clean, report, err := o.clean(p, room)
			switch {
			case err != nil:
				return nil, err
			case report.Total == 0:
			case !o.Sealed && (p.Signed() || p.Encrypted()):
				t.Explain(fmt.Sprintf("part %d, signed: %s stay", i, report))
				sealed = true
				clean.Close()
			default:
				t.Explain(fmt.Sprintf("part %d: %s removed", i, report))
				if changed == nil {
					changed = make(map[int]*message.Spool)
				}
				changed[i] = clean
				if room -= clean.Size(); room <= 0 {
					room = -1
				}
			}
		}
		i++
	}
	if sealed {
		if err := e.AddHeader(o.Tag, "active content in a signed part"); err != nil {
			return nil, err
		}
	}
	if len(changed) == 0 {
		return milter.Accept, nil
	}
	if !o.DropOriginals {
		if _, err := t.Keep(ctx, "active content removed"); err != nil {
			return nil, err
		}
	}
	edit, err := e.Tree()
	if err != nil {
		return nil, err
	}
	for i, p := range slices.Collect(edit.Parts()) { // before any of them is changed
		if s := changed[i]; s != nil {
			if err := p.SetBody(s); err != nil {
				return nil, err
			}
		}
	}
	return milter.Accept, nil
}

// clean returns a part's text without active content, when it is HTML and has any.
//
// room is how many bytes of it stay in memory, none if it is negative.
func (o FilterOptions) clean(p *message.Part, room int64) (*message.Spool, Report, error) {
	kind := p.MediaType()
	if kind == "text/plain" && len(p.Names()) == 0 {
		return nil, Report{}, nil
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(p.Open(), head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, Report{}, err
	}
	var names []string
	for _, name := range p.Names() {
		names = append(names, name.Value)
	}
	xml := isXMLType(kind, names)
	if !IsHTML(head[:n], kind, names) {
		if !xml {
			return nil, Report{}, nil
		}
		if page, err := isXMLPage(p.Open()); err != nil || !page {
			return nil, Report{}, err
		}
	}
	ro := o.Remove
	ro.XML = xml
	if _, told := p.Param("charset"); told {
		ro.Charset = p.Charset()
	}
	s := message.NewSpool(room, "")
	report, err := Remove(s, p.Open(), ro)
	if err != nil || report.Total == 0 {
		s.Close()
		return nil, report, err
	}
	return s, report, nil
}

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
