package attachments

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/internal/filename"
	"github.com/gomilter/gomilter/message"
)

// isMessage reports whether a file is a message that clients open: by its name, or as it
// begins with fields of which one is MIME-Version.
func isMessage(names []string, head []byte) bool {
	if slices.ContainsFunc(names, isMailName) {
		return true
	}
	const version = "mime-version:"
	i := bytes.IndexByte(head, ':')
	if i <= 0 || bytes.IndexByte(head[:i], '\n') >= 0 || !bytes.Contains(bytes.ToLower(head), []byte(version)) {
		return false
	}
	h := message.Parse(head).Header
	_, ok := h.Get("MIME-Version")
	return ok && len(h) >= 2
}

// isMailName reports whether a name is that of a message.
func isMailName(name string) bool {
	for _, s := range filename.Readings(name) {
		if strings.HasSuffix(s, ".eml") || strings.HasSuffix(s, ".mht") || strings.HasSuffix(s, ".mhtml") {
			return true
		}
	}
	return false
}

// beginsAsMail reports whether what begins with head is a message as its type says: it
// begins with a field, be it behind a line of a mailbox.
func beginsAsMail(head []byte) bool {
	head = bytes.TrimLeft(head, "\r\n")
	if bytes.HasPrefix(head, []byte("From ")) || bytes.HasPrefix(head, []byte(">From ")) {
		_, head, _ = bytes.Cut(head, []byte("\n"))
	}
	name, _, ok := bytes.Cut(head, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return ok && len(name) > 0 && len(name) < 100 && !bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// savedAs reports whether an attached message has a name under which clients save it, and
// that name is not a message's.
func savedAs(names []message.Name) bool {
	return slices.ContainsFunc(names, func(n message.Name) bool {
		return n.From != "content-description" && isName(n) && !isMailName(n.Value)
	})
}

func readMessage(src message.Source, o *message.Options) (*message.Tree, error) {
	return message.Read(src, o)
}

// A reading reads a file that holds others.
type reading func(message.Source, *message.Options) (*message.Tree, error)

// lookIntoMessage tells what is in a message that came as a file, or in a text, as far as
// the budget goes. The findings have the name of a file in it as Member.
func (f *finder) lookIntoMessage(ctx context.Context, src message.Source, read reading, b *budget) ([]finding, error) {
	b.depth++
	defer func() { b.depth-- }()
	if !b.message(src.Size()) {
		return []finding{tooLarge("", "the messages attached to it take too much")}, nil
	}
	o := b.t.MIME()
	tree, err := read(src, &o)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	found, err := f.lookAt(ctx, tree, b)
	if err != nil {
		return nil, err
	}
	others, err := f.lookOtherwise(ctx, tree, b)
	if err != nil {
		return nil, err
	}
	found = append(found, others...)
	for i := range found {
		x := &found[i]
		if x.Member = x.Name; x.part < 0 && x.rule == IsTooLarge {
			x.Member = ""
		}
		if x.rule == ByName || x.rule == ByContent {
			x.Why = "a message in it has a dangerous file: " + x.Why
			x.Warning.Rule, x.rule = ByMember, ByMember
		}
	}
	return found, nil
}

// lookOtherwise tells what rules the other readings of a message meet that its defects
// and encodings call for: what some clients show and others do not. The findings have no
// part, as there is none to most clients.
//
// Under a reading that is not the sender's an archive is damaged, so that does not count,
// nor that one cannot be looked into whose bytes were taken for lines.
// Nothing at all is found in mail that is only odd: a bare CR, or a second encoding, is
// no rule by itself.
func (f *finder) lookOtherwise(ctx context.Context, tree *message.Tree, b *budget) ([]finding, error) {
	todo := calls(tree, message.Options{})
	if len(todo) == 0 {
		return nil, nil
	}
	whole := b.t.NewSpool()
	defer b.t.FreeSpool(whole)
	if _, err := tree.WriteTo(whole); err != nil {
		return nil, err
	}
	var found []finding
	for i := 0; i < len(todo); i++ {
		if !b.message(whole.Size()) {
			return append(found, tooLarge("message", "there are too many ways to read it")), nil
		}
		list, more, err := f.lookAs(ctx, whole, todo[i], b)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
		for _, o := range more {
			if !slices.Contains(todo, o) {
				todo = append(todo, o)
			}
		}
	}
	return found, nil
}

// lookAs looks at one reading; more are the further ones that it calls for.
func (f *finder) lookAs(ctx context.Context, whole message.Source, o message.Options, b *budget) (found []finding, more []message.Options, err error) {
	limits := b.t.MIME()
	limits.BareCR, limits.BoundaryPrefix, limits.Encoding = o.BareCR, o.BoundaryPrefix, o.Encoding
	tree, err := message.Read(whole, &limits)
	if err != nil {
		return nil, nil, err
	}
	defer tree.Close()
	list, err := f.lookAt(ctx, tree, b)
	if err != nil {
		return nil, nil, err
	}
	for _, x := range list {
		if x.rule != IsDamaged && (x.rule != IsUnlisted || !o.BareCR) {
			x.part, x.Why = -1, "as some programs read the message, "+x.Why
			found = append(found, x)
		}
	}
	return found, calls(tree, o), nil
}

// calls returns the readings that a tree, read as o says, calls for, without the usual
// one: each of what it calls for, and all together.
func calls(tree *message.Tree, o message.Options) []message.Options {
	cr, prefix, encodings := []bool{o.BareCR}, []bool{o.BoundaryPrefix}, o.Encoding
	for _, d := range tree.Defects() {
		switch d.Kind {
		case message.DefectHeaderCR, message.DefectBoundaryCR, message.DefectUUEncodeCR:
			cr = []bool{false, true}
		case message.DefectBoundaryPrefix:
			prefix = []bool{false, true}
		case message.DefectEncodings, message.DefectEncoding:
			encodings = max(encodings, len(d.Part.Encodings())-1)
		}
	}
	var all []message.Options
	for n := range encodings + 1 {
		for _, c := range cr {
			for _, p := range prefix {
				if all = append(all, message.Options{BareCR: c, BoundaryPrefix: p, Encoding: n}); all[len(all)-1] == (message.Options{}) {
					all = all[:len(all)-1]
				}
			}
		}
	}
	return all
}
