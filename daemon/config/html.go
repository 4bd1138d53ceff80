package config

import (
	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/html"
)

var htmlKind = filterKind{
	name:    "html",
	doc:     "takes scripts and other active content out of HTML",
	options: func() any { return defaultHTML() },
	build:   func(b *build) *filter.Filter { return b.filter.Options.(*HTML).build(b) },
}

// HTML is the table of a filter of kind html.
type HTML struct {
	Marker           string      `toml:"marker" doc:"begins the comment left where something was removed: letters, digits, blanks and .,:;/_()"`
	RemoveForms      bool        `toml:"remove_forms" doc:"remove the tags of forms too; their fields stay"`
	RemoveDataImages bool        `toml:"remove_data_images" doc:"remove data: URLs of images too"`
	KeepConditional  bool        `toml:"keep_conditional" doc:"keep conditional comments in which nothing active is found"`
	KeepStylesheets  bool        `toml:"keep_stylesheets" doc:"keep links to style sheets"`
	MaxSize          Size        `toml:"max_size" doc:"bytes of a page that are read; what follows is removed"`
	MaxToken         Size        `toml:"max_token" opt:"min=64" doc:"bytes of a tag or comment; a longer one is removed with all that follows"`
	MaxAttributes    int         `toml:"max_attributes" opt:"min=1" doc:"attributes of a tag; one with more is removed"`
	MaxReread        Size        `toml:"max_reread" opt:"min=1" doc:"bytes of a message that are read more than once, since readers differ in what is text and what is a tag; what would take more is removed"`
	MaxFindings      int         `toml:"max_findings" opt:"min=1" doc:"how many findings the explanation lists"`
	Sealed           html.Action `toml:"sealed" doc:"what happens by active content in a part whose change would break a signature, or that is encrypted: tag the message with a header field, and a forged signature gets by; change the part all the same; quarantine: the mail server holds the message; reject"`
	Tag              string      `toml:"tag" doc:"the header field of tag"`
	Reply            Reply       `toml:"reply" doc:"the answer of reject"`
	KeepOriginals    bool        `toml:"keep_originals" doc:"keep messages as they were before they are changed"`
}

func defaultHTML() *HTML {
	return &HTML{Marker: "removed: ", MaxSize: 64 << 20, MaxToken: 8 << 20, MaxAttributes: 512, MaxReread: 64 << 20, MaxFindings: 64, Tag: "X-Html-Warning",
		Reply: Reply{550, "5.7.1", "This message has active content in a signed part that we do not accept"}, KeepOriginals: true}
}

func (o *HTML) build(b *build) *filter.Filter {
	checkField(b, "tag", o.Tag)
	if o.MaxToken > 1<<30 {
		b.bad("max_token", "it is more than 1 GiB")
	}
	if !o.KeepOriginals && b.filter.Mode == filter.On {
		b.warn("keep_originals", "what is removed from a page is lost; with originals kept it could be found again")
	}
	reply := milter.Reject(o.Reply.Code, o.Reply.Enhanced, o.Reply.Text)
	if err := reply.Err(); err != nil {
		b.bad("reply", "%v", err)
	}
	if b.failed {
		return nil
	}
	f, err := html.New(b.filter.Name, html.FilterOptions{
		Remove: html.Options{Marker: o.Marker, RemoveForms: o.RemoveForms, RemoveDataImages: o.RemoveDataImages,
			KeepConditional: o.KeepConditional, KeepStylesheets: o.KeepStylesheets, MaxSize: int64(o.MaxSize), MaxToken: int(o.MaxToken),
			MaxAttributes: o.MaxAttributes, MaxReread: int64(o.MaxReread), MaxFindings: o.MaxFindings},
		Sealed:        o.Sealed,
		Tag:           o.Tag,
		Reply:         reply,
		DropOriginals: !o.KeepOriginals,
	})
	if err != nil {
		b.bad("", "%s", reason(err, html.ErrOptions))
		return nil
	}
	return f
}
