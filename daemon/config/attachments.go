package config

import (
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"
	"unicode"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
)

var attachmentsKind = filterKind{
	name:    "attachments",
	doc:     "takes dangerous attachments out, by name, by content and inside archives",
	options: func() any { return defaultAttachments() },
	build:   func(b *build) *filter.Filter { return b.filter.Options.(*Attachments).build(b) },
}

// Attachments is the table of a filter of kind attachments.
type Attachments struct {
	Extensions []string           `toml:"extensions" default:"a list of some 170" doc:"the endings of names that are dangerous; an empty list finds none"`
	Actions    AttachmentActions  `toml:"actions" doc:"what happens to a part, by what was found: ignore; tag the message with a header field; replace the part by a warning, the original being kept; quarantine: the mail server holds the message; reject"`
	Sealed     attachments.Action `toml:"sealed" doc:"what happens in place of replace to a part whose change would break a signature, or that is encrypted"`
	RejectFrom []string           `toml:"reject_from" doc:"domains of senders whose mail is refused where others' is changed"`
	Reply      Reply              `toml:"reply" doc:"the answer of reject"`
	Tag        string             `toml:"tag" doc:"the header field that tag adds"`
	Notice     string             `toml:"notice" default:"a text with name, reason and reference" doc:"the text in the place of an attachment; a Go template that knows .Name, .Member (of the file in an archive), .Why and .Ref (of the original)"`
	Archives   Archives           `toml:"archives" doc:"limits of looking into archives, of all in a message together"`
}

// AttachmentActions are what happens by what was found.
type AttachmentActions struct {
	Name      attachments.Action `toml:"name" doc:"the name has a dangerous ending"`
	Content   attachments.Action `toml:"content" doc:"a program, whatever it is called"`
	Member    attachments.Action `toml:"member" doc:"an archive holds such a file"`
	Encrypted attachments.Action `toml:"encrypted" doc:"an archive has members that cannot be looked at"`
	Unlisted  attachments.Action `toml:"unlisted" doc:"an archive cannot be looked into"`
	Damaged   attachments.Action `toml:"damaged" doc:"an archive is damaged, or is none in spite of its name"`
	Limit     attachments.Action `toml:"limit" doc:"an archive or the message is beyond a limit of looking at it"`
}

// Archives are the limits of looking into archives.
type Archives struct {
	Depth     int           `toml:"depth" opt:"min=1" doc:"archives inside archives; a .tar.gz counts for two"`
	Entries   int           `toml:"entries" opt:"min=1" doc:"members of all archives"`
	Unpacked  Size          `toml:"unpacked" doc:"what is unpacked"`
	Time      time.Duration `toml:"time" doc:"what looking may take"`
	NameBytes Size          `toml:"names" doc:"the names of all members"`
	Header    Size          `toml:"header" doc:"the header of a 7z archive"`
	Window    Size          `toml:"window" doc:"memory of the decoders"`
	OldRar    bool          `toml:"old_rar" doc:"unpack what RAR 3 and 4 have compressed, which can take 350 MB and minutes"`
}

func defaultAttachments() *Attachments {
	return &Attachments{
		Extensions: attachments.DefaultExtensions,
		Actions: AttachmentActions{Name: attachments.Replace, Content: attachments.Replace, Member: attachments.Replace,
			Encrypted: attachments.Tag, Unlisted: attachments.Tag, Damaged: attachments.Replace, Limit: attachments.Replace},
		Sealed:     attachments.Quarantine,
		RejectFrom: []string{},
		Reply:      Reply{550, "5.7.1", "This message has an attachment that we do not accept"},
		Tag:        "X-Attachment-Warning",
		Notice:     attachments.DefaultNotice.Root.String(),
		Archives: Archives{Depth: 5, Entries: 10_000, Unpacked: 1 << 30, Time: 20 * time.Second, NameBytes: 4 << 20,
			Header: 4 << 20, Window: 32 << 20},
	}
}

func (o *Attachments) build(b *build) *filter.Filter {
	a, r := o.Actions, o.Archives
	options := attachments.Options{
		Extensions: o.Extensions,
		Actions: map[attachments.Rule]attachments.Action{
			attachments.ByName: a.Name, attachments.ByContent: a.Content, attachments.ByMember: a.Member, attachments.IsEncrypted: a.Encrypted,
			attachments.IsUnlisted: a.Unlisted, attachments.IsDamaged: a.Damaged, attachments.IsTooLarge: a.Limit,
		},
		Sealed:     o.Sealed,
		RejectFrom: o.RejectFrom,
		Reply:      milter.Reject(o.Reply.Code, o.Reply.Enhanced, o.Reply.Text),
		Tag:        o.Tag,
		Archives: attachments.ArchiveLimits{Depth: r.Depth, Entries: r.Entries, Unpacked: int64(r.Unpacked), Time: r.Time,
			NameBytes: int64(r.NameBytes), Header: int64(r.Header), Window: int64(r.Window), OldRar: r.OldRar},
	}
	if len(o.Extensions) == 0 && b.filter.Mode != filter.Off {
		b.warn("extensions", "no name is dangerous then: programs get by whose content is not known")
	}
	_, wrong := attachments.New("x", attachments.Options{Extensions: o.Extensions})
	for i, x := range o.Extensions {
		if why := wrongExtension(x, wrong != nil); why != "" {
			b.bad(element("extensions", i), "%s", why)
		}
	}
	for i, domain := range o.RejectFrom {
		switch _, err := address.ASCIIDomain(domain); {
		case strings.ContainsAny(domain, ",; \t"):
			b.bad(element("reject_from", i), "%q is no domain; write one each", domain)
		case strings.ContainsAny(domain, "@*?"):
			b.bad(element("reject_from", i), "%q is no domain; write one without @ and wildcards, such as \"example.com\"", domain)
		case err != nil || domain == "":
			b.bad(element("reject_from", i), "%q is no domain", domain)
		}
	}
	if err := options.Reply.Err(); err != nil {
		b.bad("reply", "%v", err)
	}
	checkField(b, "tag", o.Tag)
	var err error
	if options.Notice, err = template.New("notice").Parse(o.Notice); err == nil {
		err = options.Notice.Execute(io.Discard, attachments.Warning{})
	}
	if err != nil {
		b.bad("notice", "%v", err)
	}
	if b.failed {
		return nil
	}
	f, err := attachments.New(b.filter.Name, options)
	if err != nil {
		b.bad("", "%s", reason(err, attachments.ErrOptions))
		return nil
	}
	return f
}

// wrongExtension says what is wrong with the ending of a name; "" for one that can be. look is
// whether one of the list is known to be wrong.
func wrongExtension(x string, look bool) string {
	switch {
	case strings.Contains(x, ",") || strings.ContainsFunc(x, unicode.IsSpace):
		return fmt.Sprintf("extension %q: it has a comma or a blank; write one ending each, as in [\"exe\", \"js\"]", x)
	case strings.ContainsAny(x, "*?"):
		return fmt.Sprintf("extension %q: endings are written without wildcards, as in \"exe\"", x)
	case look:
		if _, err := attachments.New("x", attachments.Options{Extensions: []string{x}}); err != nil {
			return reason(err, attachments.ErrOptions)
		}
	}
	return ""
}

// checkField tells of a name that no header field can have by which messages are marked.
func checkField(b *build, key, name string) {
	if err := filter.CheckTag(name); err != nil {
		b.bad(key, "%v", err)
	}
}
