package dsn

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/mail"
	"strings"
	"time"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
)

// ErrNoReport says that a message is no report on a delivery, as far as can be told.
var ErrNoReport = errors.New("dsn: the message is no delivery report")

// What is read of a message that others wrote, however much there is.
const (
	maxCandidates = 50      // signed things tried with Owner
	maxTexts      = 5       // texts searched for what they quote
	maxTextLine   = 2000    // bytes looked at of a line of text
	maxHeaderText = 4 << 10 // bytes looked at of one field
)

// ParseOptions are the limits of reading a report, and what the caller knows. Nil means all defaults.
type ParseOptions struct {
	// Owner, unless nil, checks a token that [Composer.Sign] may have made, and returns the address
	// it was made for. It is called with what looks like one, 50 times at most, until it returns true.
	Owner func(token string) (to address.Path, ok bool)

	NullSender bool // the message came with the null sender, as reports should

	MaxSize       int64 // bytes read of the message by Parse; 0 means 4 MiB
	MaxStatus     int64 // bytes read of the machine's part, or of a text; 0 means 256 KiB
	MaxRecipients int   // recipients returned; 0 means 1000
}

func (o *ParseOptions) or() ParseOptions {
	var p ParseOptions
	if o != nil {
		p = *o
	}
	p.MaxSize = cmp.Or(p.MaxSize, 4<<20)
	p.MaxStatus = cmp.Or(p.MaxStatus, 256<<10)
	p.MaxRecipients = cmp.Or(p.MaxRecipients, 1000)
	return p
}

// A Report is what a delivery report says. All text is UTF-8 in one line; nothing of it is
// proven, for anyone can write a report, but Owner where Ours is set.
type Report struct {
	// Format says how the report was read: "rfc3464" by its machine's part; "exim",
	// "exchange", "postfix", "qmail" or "sendmail" by the words of such a program;
	// "subject" where only FailureSubject tells, and no recipient may be known.
	Format string

	ReportingMTA string    // without its type; "" where it is not told
	EnvelopeID   string    // the ENVID that the message had
	Arrival      time.Time // of the message at the ReportingMTA; zero where it is not told
	Outcomes     []Outcome

	// OriginalID is the Message-ID of the message reported on, without brackets; ""
	// where it is not found.
	OriginalID string

	// Ours says that the report is about a notice of ours: ParseOptions.Owner knew
	// the token in it. Then Owner is the address that the notice was sent to.
	Ours  bool
	Owner address.Path

	failed bool // as the words have it, of whomever

	Limited bool // a limit was hit, and some of the report was not read
}

// Failed reports whether some recipient Failed. Of a report in words that names none
// it reports whether the words are not of a delay.
func (r *Report) Failed() bool {
	for _, o := range r.Outcomes {
		if o.Action == Failed {
			return true
		}
	}
	return len(r.Outcomes) == 0 && r.failed
}

// An Outcome is what became of one recipient.
type Outcome struct {
	Final    string // the Final-Recipient without its type, "" where it is not told
	Original string // the Original-Recipient without its type, "" where it is not told
	Action   Action // "" where it is not told, or not known as one
	Status   string // such as "5.1.1", "" where it is not told
	// Diagnostic is the reply or the words that say why, cut at 1000 bytes.
	Diagnostic string
	RemoteMTA  string    // without its type
	RetryUntil time.Time // of what is Delayed; zero where it is not told
}

// Parse reads a delivery report as an MTA delivers it: one by RFC 3464, however badly
// written, or one of the texts that Exim, Exchange, Postfix, qmail and Sendmail send or
// sent, or a message whose subject says so. A report that was attached to a message is
// none.
//
// The error is ErrNoReport, or that of src or of a temporary file.
func Parse(src message.Source, o *ParseOptions) (*Report, error) {
	opts := o.or()
	cut := src.Size() > opts.MaxSize
	if cut {
		src = io.NewSectionReader(src, 0, opts.MaxSize)
	}
	t, err := message.Read(src, &message.Options{MaxDepth: 10, MaxParts: 200, MaxHeader: 1 << 20, MaxDecoded: opts.MaxSize})
	if err != nil {
		return nil, err
	}
	defer t.Close()
	r, err := ParseTree(t, &opts)
	if r != nil && cut {
		r.Limited = true
	}
	return r, err
}

// ParseTree is Parse of a message that was read before; the tree is read only. Its
// errors are those of Parse.
func ParseTree(t *message.Tree, o *ParseOptions) (*Report, error) {
	p := &parser{opts: o.or(), r: &Report{Limited: t.Limited()}}
	var status, text *message.Part
	var quoted []*message.Part // what may be the original, or its header
	var more []*message.Part   // texts that may quote it
	for part := range t.Parts() {
		if inAttached(part) {
			continue
		}
		switch media := part.MediaType(); {
		case media == "message/delivery-status" || media == "message/global-delivery-status":
			status = cmp.Or(status, part)
		case media == "text/rfc822-headers" || media == "message/global-headers":
			quoted = append(quoted, part)
		case strings.HasPrefix(media, "message/"):
			quoted = append(quoted, part)
		case strings.HasPrefix(media, "text/") && (text == nil || text.MediaType() == "text/html" && media != "text/html"):
			text, more = part, append(more, part)
		case strings.HasPrefix(media, "text/"):
			more = append(more, part)
		}
	}
	root := t.Header()
	if status != nil {
		b, err := p.read(status.Open())
		if err != nil {
			return nil, err
		}
		p.status(b)
	}
	var words []byte
	if text != nil {
		var err error
		if words, err = p.read(text.Text()); err != nil {
			return nil, err
		}
		if text.MediaType() == "text/html" {
			words = stripTags(words)
		}
	}
	if p.r.Format == "" {
		// Nobody reads a machine's part that says nothing; the words may.
		p.words(root, words)
	}
	if p.r.Format == "" {
		return nil, ErrNoReport
	}
	for _, part := range quoted {
		if len(part.Parts) == 1 && part.Parts[0].IsMessage() {
			p.original(part.Parts[0].Header)
			continue
		}
		b, err := p.read(part.Open())
		if err != nil {
			return nil, err
		}
		p.original(message.Parse(b).Header)
	}
	p.quotedInText(words)
	if len(more) > maxTexts {
		more, p.r.Limited = more[:maxTexts], true
	}
	for _, part := range more {
		if part == text {
			continue
		}
		b, err := p.read(part.Text())
		if err != nil {
			return nil, err
		}
		p.quotedInText(b)
	}
	for _, name := range []string{"References", "In-Reply-To"} {
		for _, f := range root.All(name) {
			p.candidates(f)
		}
	}
	return p.r, nil
}

// inAttached reports whether a part lies inside an attached message: what stands
// there is not what the message itself says.
func inAttached(p *message.Part) bool {
	for p = p.Parent; p != nil; p = p.Parent {
		if p.IsMessage() && p.Parent != nil {
			return true
		}
		if !p.IsMessage() && strings.HasPrefix(p.MediaType(), "message/") {
			return true
		}
	}
	return false
}

type parser struct {
	opts  ParseOptions
	r     *Report
	tried map[string]bool
}

// read returns as much as may be read.
func (p *parser) read(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, p.opts.MaxStatus+1))
	if int64(len(b)) > p.opts.MaxStatus {
		b = b[:p.opts.MaxStatus]
		p.r.Limited = true
	}
	return b, err
}

// add appends an outcome, unless there are too many.
func (p *parser) add(o Outcome) {
	if len(p.r.Outcomes) >= p.opts.MaxRecipients {
		p.r.Limited = true
		return
	}
	p.r.Outcomes = append(p.r.Outcomes, o)
}

// status reads the machine's part: groups of fields with empty lines between them, of
// which the first is of the message (RFC 3464 section 2.1). QUIRK: the empty line
// behind the first group may be missing, as may be fields that must be there; a
// field of a recipient that comes a second time begins the next one.
func (p *parser) status(b []byte) {
	var (
		out     Outcome
		seen    = map[string]bool{}
		message = false
	)
	flush := func() {
		if out.Final != "" || out.Original != "" || out.Action != "" {
			if out.Action == "" {
				out.Action = actionOf(out.Status)
			}
			p.add(out)
		}
		out, seen = Outcome{}, map[string]bool{}
	}
	for name, value := range statusFields(b) {
		if name == "" { // an empty line
			flush()
			continue
		}
		switch name {
		case "final-recipient", "original-recipient", "action", "status":
			if seen[name] {
				flush()
			}
			seen[name] = true
		}
		switch name {
		case "reporting-mta":
			p.r.ReportingMTA = cmp.Or(p.r.ReportingMTA, untyped(value))
			message = true
		case "original-envelope-id":
			p.r.EnvelopeID = cmp.Or(p.r.EnvelopeID, value)
			message = true
		case "arrival-date":
			if p.r.Arrival.IsZero() {
				p.r.Arrival = date(value)
			}
			message = true
		case "final-recipient":
			out.Final = addressIn(value)
		case "original-recipient":
			out.Original = addressIn(value)
		case "action":
			out.Action, _ = ParseAction(value)
		case "status":
			out.Status = findStatus(value)
		case "diagnostic-code":
			out.Diagnostic = cmp.Or(out.Diagnostic, clean(untyped(value), maxDiagnostic))
		case "remote-mta":
			out.RemoteMTA = cmp.Or(out.RemoteMTA, untyped(value))
		case "will-retry-until":
			out.RetryUntil = date(value)
		}
	}
	flush()
	for i := range p.r.Outcomes {
		if o := &p.r.Outcomes[i]; o.Status == "" {
			o.Status = findStatus(o.Diagnostic)
		}
	}
	if len(p.r.Outcomes) > 0 || message {
		p.r.Format = "rfc3464"
	}
}

// statusFields walks the fields with their names in lower case and their values in
// one line of UTF-8. An empty name stands for an empty line; other lines are passed over.
func statusFields(b []byte) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		var name string
		var value []byte
		give := func() bool {
			if name == "" {
				return true
			}
			n := name
			name = ""
			return yield(n, strings.TrimSpace(clean(string(value), maxHeaderText)))
		}
		for line := range lines(b) {
			switch {
			case len(bytes.TrimSpace(line)) == 0:
				if !give() || !yield("", "") {
					return
				}
			case line[0] == ' ' || line[0] == '\t':
				if len(value) < maxHeaderText {
					value = append(append(value, ' '), bytes.TrimSpace(line)...)
				}
			default:
				if !give() {
					return
				}
				if n, v, ok := bytes.Cut(line, []byte(":")); ok && len(n) < 100 {
					name, value = strings.ToLower(string(bytes.TrimSpace(n))), bytes.Clone(v)
				}
			}
		}
		give()
	}
}

// untyped drops the type of a value, as "dns;" and "smtp;". QUIRK: it may be missing.
func untyped(s string) string {
	if kind, rest, ok := strings.Cut(s, ";"); ok && each(strings.TrimSpace(kind), func(c byte) bool { return isAtom(c) }) {
		return strings.TrimSpace(rest)
	}
	return s
}

// addressIn returns the address of a recipient's field.
func addressIn(s string) string {
	kind, rest, ok := strings.Cut(s, ";")
	addr := untyped(s)
	if ok && strings.EqualFold(strings.TrimSpace(kind), "utf-8") {
		if a, ok := decodeUTF8Addr(strings.TrimSpace(rest)); ok {
			addr = clean(a, len(a))
		}
	}
	if p, err := address.ParsePath(addr); err == nil {
		return clean(p.String(), 2*maxAddress)
	}
	return clean(addr, 2*maxAddress)
}

// actionOf guesses an action from a status.
func actionOf(status string) Action {
	switch {
	case strings.HasPrefix(status, "5"):
		return Failed
	case strings.HasPrefix(status, "4"):
		return Delayed
	case strings.HasPrefix(status, "2"):
		return Delivered
	}
	return ""
}

// date reads a date, zero where it is none.
func date(s string) time.Time {
	t, err := mail.ParseDate(s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// original looks through the header of the message reported on.
func (p *parser) original(h message.Header) {
	if id := originalID(h); id != "" && p.r.OriginalID == "" {
		p.r.OriginalID = id
	}
	for _, f := range h {
		if traced(f.Name()) {
			p.candidates(f)
		}
	}
}

// traced reports whether a field may carry a token of ours. X-Mailer and Sender are
// where older systems put it.
func traced(name string) bool {
	for _, n := range [...]string{"Message-ID", "References", "In-Reply-To", "X-Mailer", "Sender"} {
		if strings.EqualFold(name, n) {
			return true
		}
	}
	return false
}

// candidates tries what stands between angle brackets in a field.
func (p *parser) candidates(f message.Field) {
	v := f.Value()
	p.candidatesIn(string(v[:min(len(v), maxHeaderText)]))
}

func (p *parser) candidatesIn(s string) {
	if p.opts.Owner == nil || p.r.Ours {
		return
	}
	cutIDs(s, func(id string) bool {
		token, ok := tokenOf(id)
		if !ok || p.tried[token] {
			return true
		}
		if len(p.tried) >= maxCandidates {
			p.r.Limited = true
			return false
		}
		if p.tried == nil {
			p.tried = make(map[string]bool)
		}
		p.tried[token] = true
		p.r.Owner, p.r.Ours = p.opts.Owner(token)
		return !p.r.Ours
	})
}
