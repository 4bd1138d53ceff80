package attachments

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/internal/archive"
	"github.com/gomilter/gomilter/internal/filename"
	"github.com/gomilter/gomilter/message"
)

// aboutArchives are the rules on what is in archives.
var aboutArchives = []Rule{ByMember, IsEncrypted, IsUnlisted, IsDamaged, IsTooLarge}

// An inside is what is found in one part.
type inside struct {
	f     *finder
	b     *budget
	shown string // the part's name
	found []finding

	// Messages in an archive are looked into when its decoders have given their memory
	// back.
	letters []letter
	kept    *message.Spool // the letters; nil for none
}

// A letter is a file in an archive that is to be read.
type letter struct {
	member     string
	from, size int64 // in inside.kept
	read       reading
}

// add adds the first finding by a rule.
func (in *inside) add(rule Rule, member, why string) {
	if !slices.ContainsFunc(in.found, func(x finding) bool { return x.rule == rule }) {
		in.found = append(in.found, finding{rule: rule, Warning: Warning{Rule: rule, Name: in.shown, Member: member, Why: why}})
	}
}

// message looks into a message, or a text that files may stand in.
func (in *inside) message(ctx context.Context, src message.Source, read reading, member string) error {
	list, err := in.f.lookIntoMessage(ctx, src, read, in.b)
	for _, x := range list {
		in.add(x.rule, strings.Trim(member+"/"+x.Member, "/"), x.Why)
	}
	return err
}

// lookInto tells what an archive holds. Empty ones, as in bounces, hold nothing, and mail that
// was taken apart holds nothing but an archive.
func (f *finder) lookInto(ctx context.Context, p *message.Part, shown string, names []message.Name, head []byte, mail bool, b *budget) ([]finding, error) {
	if !slices.ContainsFunc(aboutArchives, func(r Rule) bool { return f.actions[r] != Ignore }) {
		return nil, nil
	}
	body := b.t.NewSpool()
	defer b.t.FreeSpool(body)
	if _, err := copyTo(body, p.Open()); err != nil {
		return nil, err
	}
	name := p.Filename()
	all := []string{name}
	for _, n := range names { // what some client takes for an archive is one
		if all = append(all, n.Value); archiveName(n.Value) {
			name = n.Value
		}
	}
	in := &inside{f: f, b: b, shown: shown}
	if !mail && isMessage(all, head) {
		if err := in.message(ctx, body, readMessage, ""); err != nil {
			return nil, err
		}
	}
	// Files in a text are parts of their own.
	if !mail && !strings.HasPrefix(p.MediaType(), "text/") && holdsFiles(all, head) {
		if err := in.message(ctx, body, readText, ""); err != nil {
			return nil, err
		}
	}
	if mail {
		b.unpacked += body.Size() // once more for each message around it
	}
	// A file that is none under one encoding may be one under another that is declared:
	// see lookOtherwise. Mail may be called after an archive that it is about.
	err := in.archive(ctx, body, name, mail || len(p.Encodings()) > 1)
	return in.found, err
}

// archive looks into an archive, if it is one. mayBeNone says that one that is damaged
// from the first byte is no archive at all.
func (in *inside) archive(ctx context.Context, body *message.Spool, name string, mayBeNone bool) error {
	limits, ok := in.b.left()
	if !ok {
		kind, err := archive.Detect(body)
		if err == nil && (kind != archive.None || archiveName(name)) {
			in.add(IsTooLarge, "", "looking into the archives of the message takes too much")
		}
		return err
	}
	report, err := archive.Walk(ctx, body, name, limits, in.member)
	if in.kept != nil {
		defer in.b.t.FreeSpool(in.kept)
	}
	if err != nil {
		return err
	}
	in.b.unpacked += report.Unpacked
	for _, x := range in.letters {
		if err := in.message(ctx, io.NewSectionReader(in.kept, x.from, x.size), x.read, x.member); err != nil {
			return err
		}
	}
	hollow := false
	if mayBeNone {
		kind, err := archive.Detect(body)
		if err != nil {
			return err
		}
		hollow = kind == archive.None
	}
	for _, x := range report.Findings {
		in.oddity(x, hollow)
	}
	return nil
}

// member looks at a file in an archive.
func (in *inside) member(m archive.Member) error {
	if m.Dir {
		return nil
	}
	for _, n := range append([]string{m.Name}, m.Names...) {
		if ext := in.f.ext.find(n); ext != "" {
			in.add(ByMember, memberName(m, n), fmt.Sprintf("a file in it has a name that ends in .%s", ext))
			return nil
		}
	}
	if m.Encrypted {
		return nil
	}
	head := m.Head()
	if why := program(head); why != "" {
		in.add(ByMember, memberName(m, m.Name), "a file in it is a "+why)
	}
	switch {
	case isMessage(m.Names, head):
		return in.keep(m, readMessage)
	case holdsFiles(m.Names, head):
		return in.keep(m, readText)
	}
	return nil
}

// keep puts a file aside to be read later.
func (in *inside) keep(m archive.Member, read reading) error {
	src := m.Content()
	if src == nil {
		return nil
	}
	if in.kept == nil {
		in.kept = in.b.t.NewSpool()
	}
	x := letter{memberName(m, m.Name), in.kept.Size(), src.Size(), read}
	if _, err := copyTo(in.kept, io.NewSectionReader(src, 0, x.size)); err != nil {
		return err
	}
	in.letters = append(in.letters, x)
	return nil
}

// oddity adds what an archive has that keeps it from being looked into.
func (in *inside) oddity(x archive.Finding, hollow bool) {
	member := ""
	if x.Member != "" {
		member = show(x.Member)
	}
	switch {
	case x.What == archive.Encrypted:
		in.add(IsEncrypted, member, "it is encrypted, so that nobody on the way can look into it")
	case x.What == archive.Unread:
		in.add(IsUnlisted, member, "a file in it is packed in a way that cannot be looked at")
	case x.What == archive.Unlisted:
		in.add(IsUnlisted, member, fmt.Sprintf("it is an archive of a kind (%s) that cannot be looked into", x.Kind))
	case x.What == archive.LimitHit:
		in.add(IsTooLarge, member, "looking into it takes too much ("+x.Limit.String()+")")
	case !hollow:
		in.add(IsDamaged, member, "it is damaged ("+x.What.String()+")")
	}
}

func memberName(m archive.Member, name string) string {
	return show(strings.Join(append(slices.Clone(m.Path[min(1, len(m.Path)):]), name), "/"))
}

// archiveName reports whether a name is that of an archive.
func archiveName(name string) bool {
	for _, s := range filename.Readings(name) {
		if i := strings.LastIndexByte(s, '.'); i >= 0 && slices.Contains(archiveExtensions, s[i+1:]) {
			return true
		}
	}
	return false
}

var archiveExtensions = strings.Fields("zip 7z rar tar gz tgz bz2 tbz xz txz zst lzma iso cab arj lzh lha ace z zipx")
