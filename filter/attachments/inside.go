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
	var found []finding
	add := func(rule Rule, member, why string) {
		if !slices.ContainsFunc(found, func(x finding) bool { return x.rule == rule }) {
			found = append(found, finding{rule: rule, Warning: Warning{Rule: rule, Name: shown, Member: member, Why: why}})
		}
	}
	addMessage := func(src message.Source, read reading, member string) error {
		list, err := f.lookIntoMessage(ctx, src, read, b)
		for _, x := range list {
			add(x.rule, strings.Trim(member+"/"+x.Member, "/"), x.Why)
		}
		return err
	}
	if !mail && isMessage(all, head) {
		if err := addMessage(body, readMessage, ""); err != nil {
			return nil, err
		}
	}
	// Files in a text are parts of their own.
	if !mail && !strings.HasPrefix(p.MediaType(), "text/") && holdsFiles(all, head) {
		if err := addMessage(body, readText, ""); err != nil {
			return nil, err
		}
	}
	if mail {
		b.unpacked += body.Size() // once more for each message around it
	}
	limits, ok := b.left()
	if !ok {
		kind, err := archive.Detect(body)
		if err == nil && (kind != archive.None || archiveName(name)) {
			add(IsTooLarge, "", "looking into the archives of the message takes too much")
		}
		return found, err
	}
	// Messages in an archive are looked into when its decoders have given their memory
	// back.
	type letter struct {
		member     string
		from, size int64
		read       reading
	}
	var letters []letter
	var inside *message.Spool
	report, err := archive.Walk(ctx, body, name, limits, func(m archive.Member) error {
		if m.Dir {
			return nil
		}
		for _, n := range append([]string{m.Name}, m.Names...) {
			if ext := f.ext.find(n); ext != "" {
				add(ByMember, memberName(m, n), fmt.Sprintf("a file in it has a name that ends in .%s", ext))
				return nil
			}
		}
		if m.Encrypted {
			return nil
		}
		head := m.Head()
		if why := program(head); why != "" {
			add(ByMember, memberName(m, m.Name), "a file in it is a "+why)
		}
		var read reading
		switch {
		case isMessage(m.Names, head):
			read = readMessage
		case holdsFiles(m.Names, head):
			read = readText
		}
		if read != nil {
			if src := m.Content(); src != nil {
				if inside == nil {
					inside = b.t.NewSpool()
				}
				x := letter{memberName(m, m.Name), inside.Size(), src.Size(), read}
				if _, err := copyTo(inside, io.NewSectionReader(src, 0, x.size)); err != nil {
					return err
				}
				letters = append(letters, x)
			}
		}
		return nil
	})
	if inside != nil {
		defer b.t.FreeSpool(inside)
	}
	if err != nil {
		return nil, err
	}
	b.unpacked += report.Unpacked
	for _, x := range letters {
		if err := addMessage(io.NewSectionReader(inside, x.from, x.size), x.read, x.member); err != nil {
			return nil, err
		}
	}
	// A file that is none under one encoding may be one under another that is declared:
	// see lookOtherwise. Mail may be called after an archive that it is about.
	hollow := false
	if mail || len(p.Encodings()) > 1 {
		kind, err := archive.Detect(body)
		if err != nil {
			return nil, err
		}
		hollow = kind == archive.None
	}
	for _, x := range report.Findings {
		member := ""
		if x.Member != "" {
			member = show(x.Member)
		}
		switch {
		case x.What == archive.Encrypted:
			add(IsEncrypted, member, "it is encrypted, so that nobody on the way can look into it")
		case x.What == archive.Unread:
			add(IsUnlisted, member, "a file in it is packed in a way that cannot be looked at")
		case x.What == archive.Unlisted:
			add(IsUnlisted, member, fmt.Sprintf("it is an archive of a kind (%s) that cannot be looked into", x.Kind))
		case x.What == archive.LimitHit:
			add(IsTooLarge, member, "looking into it takes too much ("+x.Limit.String()+")")
		case hollow:
		default:
			add(IsDamaged, member, "it is damaged ("+x.What.String()+")")
		}
	}
	return found, nil
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
