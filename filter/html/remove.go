package html

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/gomilter/gomilter/message"
)

// Options say how text is read and what goes besides what always does. The
// zero value works.
type Options struct {
	// Charset is the encoding the text is labelled with, a MIME name; any case,
	// and unknown names are taken for one that extends ASCII.
	Charset string
	// XML says that the text is labelled XML (application/xhtml+xml,
	// image/svg+xml). It is taken for XML also where it begins with <?xml.
	XML bool

	// Marker begins the comment left where something was removed; its name
	// follows. Bytes other than ASCII letters, digits, blanks and .,:;/_() are
	// left out. "" means "removed: ".
	Marker string

	RemoveForms      bool // remove form tags; their fields stay
	RemoveDataImages bool // remove data: URLs of PNG, JPEG, GIF and WebP images too
	KeepConditional  bool // keep conditional comments in which nothing active is found
	KeepStylesheets  bool // keep links to style sheets and @import of them

	// MaxSize is the number of bytes read; what follows them is removed. 0 means 64 MiB.
	MaxSize int64
	// MaxToken is the number of bytes one tag, comment or raw text may have. A
	// longer one is removed with all that follows. 0 means 8 MiB, the least is 64.
	MaxToken int
	// MaxAttributes is how many attributes a tag may have; one with more is
	// removed. 0 means 512.
	MaxAttributes int
	// MaxReread is the number of bytes that are read more than once: what some readers
	// take for raw text or a comment and others for markup is read as that too, and
	// what lies in that again. Each time counts as 512 bytes at least, in each charset,
	// and a Filter counts all parts of a message together. What would take more is
	// removed. 0 means 64 MiB.
	MaxReread int64
	// MaxFindings is how many findings a report lists; more are counted. 0 means 64.
	MaxFindings int

	// Spool returns an empty place for text that must be decoded, of which two are held
	// at a time; Remove closes them. nil means that they keep 1 MiB in memory, and the
	// rest in a file in [os.TempDir].
	Spool func() *message.Spool

	also   []string // other charsets the text is labelled with
	reread *int64   // what is left of MaxReread
}

func (o Options) withDefaults() Options {
	if o.Marker = strings.Map(markerByte, o.Marker); o.Marker == "" {
		o.Marker = "removed: "
	}
	if o.MaxSize <= 0 {
		o.MaxSize = 64 << 20
	}
	if o.MaxToken <= 0 {
		o.MaxToken = 8 << 20
	}
	o.MaxToken = max(o.MaxToken, 64)
	if o.MaxAttributes <= 0 {
		o.MaxAttributes = 512
	}
	if o.MaxReread <= 0 {
		o.MaxReread = 64 << 20
	}
	if o.reread == nil {
		left := o.MaxReread
		o.reread = &left
	}
	if o.MaxFindings <= 0 {
		o.MaxFindings = 64
	}
	if o.Spool == nil {
		o.Spool = func() *message.Spool { return message.NewSpool(0, "") }
	}
	return o
}

func markerByte(r rune) rune {
	if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(" .,:;/_()", r) {
		return r
	}
	return -1
}

// A Kind says what was removed.
type Kind uint8

// The kinds of findings.
const (
	Element   Kind = iota // a tag, or an element with all it holds
	Attribute             // an event handler, or another attribute that acts
	URL                   // an attribute with a URL that runs or carries code
	Style                 // CSS that runs or loads code
	Comment               // a conditional comment
	Ambiguous             // markup that readers understand differently
	Limit                 // what was over a limit of Options
)

var kindNames = [...]string{"element", "attribute", "url", "style", "comment", "ambiguous", "limit"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A Finding is one thing removed.
type Finding struct {
	Kind Kind
	// Name is the name of the element, or what the thing is called where it is
	// none: "comment", "declaration", "rest". Printable ASCII, 40 bytes at most.
	Name string
	// Attribute is the name of the attribute removed, "" where more went. As Name.
	Attribute string
	// Offset is where the token began: a byte of the text, or of its UTF-8 form
	// where it had to be decoded.
	Offset int64
}

func (f Finding) String() string {
	if f.Attribute != "" {
		return fmt.Sprintf("%s %s of %s at %d", f.Kind, f.Attribute, f.Name, f.Offset)
	}
	return fmt.Sprintf("%s %s at %d", f.Kind, f.Name, f.Offset)
}

// A Report lists what was removed.
type Report struct {
	Findings []Finding // the first Options.MaxFindings
	Total    int       // how many there were; 0 means that the text was copied as it is
}

func (r *Report) add(f Finding, limit int) {
	r.Total++
	if len(r.Findings) < limit {
		r.Findings = append(r.Findings, f)
	}
}

// headSize is how far an encoding is looked for. WHATWG's HTML section 13.2.3.2
// looks at 1024 bytes, some readers at more.
const headSize = 4096

// Remove copies HTML from r to w without its active content: every other byte
// is kept. A comment is left where more than attributes went. What Remove wrote,
// it would copy unchanged.
//
// Malformed HTML is no error; neither is what exceeds a limit, which is removed
// and reported. The errors are those of r, w, ctx and the spools, and then what was
// written is incomplete and not to be shown to anyone. r may be left unread beyond a
// limit. At no time are more than twelve times MaxToken bytes held, some 300 for each of
// MaxAttributes, and two spools where the text must be decoded.
func Remove(ctx context.Context, w io.Writer, r io.Reader, o Options) (Report, error) {
	o = o.withDefaults()
	br := bufio.NewReaderSize(&ctxReader{ctx, r}, headSize)
	head, err := br.Peek(headSize)
	if err != nil && err != io.EOF {
		return Report{}, fmt.Errorf("html: read: %w", err)
	}
	ways := readings(head, o.Charset, o.also...)
	out := bufio.NewWriter(w)
	var rep Report
	if len(ways) == 1 && ways[0].isBytes() {
		rep, err = removePass(out, br, head, o, ways, ways[0])
	} else {
		rep, err = removeDecoded(ctx, out, br, o, ways)
	}
	if err == nil {
		if ferr := out.Flush(); ferr != nil {
			err = fmt.Errorf("html: write: %w", ferr)
		}
	}
	return rep, err
}

// A ctxReader ends with its context.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// removePass reads the text in one way, which has an ASCII-compatible form.
func removePass(w io.Writer, r io.Reader, head []byte, o Options, ways []reading, way reading) (Report, error) {
	s := newScanner(w, r, o)
	s.skipsNUL = !way.wide
	s.shifts = way.isBytes() && len(ways) == 1 && !decides(o.Charset) && !bytes.HasPrefix(head, []byte("\ufeff"))
	s.xml = o.XML || isXML(head)
	for _, way := range ways {
		s.charsets = append(s.charsets, way.charset)
	}
	err := s.run()
	return s.report, err
}

func isXML(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n\f")
	return len(head) > 5 && string(head[:5]) == "<?xml" && isSpace(head[5])
}
