package edit

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/message"
)

// An MTA is one whose ways an Editor follows.
type MTA uint8

// The MTAs.
const (
	Sendmail MTA = iota
	Postfix
)

// ErrConfiguration says that the MTA takes an edit for an error in its
// configuration: Postfix then breaks with the filter.
var ErrConfiguration = errors.New("edit is a configuration error to the MTA")

// An Editor holds a message while filters edit it, one after the other.
type Editor struct {
	mta      MTA
	fields   []field
	body     []byte
	env      Envelope
	added    map[string]bool // Postfix: recipients added, in lower case
	leading  bool            // values carry their leading space
	replaced bool            // this filter has replaced the body
	bodyDone bool            // and then sent something else
	reason   *string
	resent   bool // the client sent a Resent- field
	unbroken bool // the client sent no empty line behind the header
}

// A field is a header field, or the place of one.
type field struct {
	message.Field
	slot bool // Sendmail's place for a field it may make up, at the top of its list
	own  bool // the MTA's own Received field
	user bool // came from the client or a filter: counted, and shown to filters
	set  bool // has a value; deleted fields and unused places have none
}

// slots are the fields that Sendmail's configuration (cf/m4/proto.m4, the H
// lines) puts at the head of its list before those of the message. Positions
// count them although most are never written.
var slots = [...]string{"Return-Path", "Received", "Resent-Date", "Date", "Resent-From", "From", "Full-Name", "Resent-Message-Id", "Message-Id"}

const lineEnd = "\r\n"

// New returns an Editor of a message as the client sent it. own is the Received
// field that the MTA adds, which filters are not shown; positions count it also
// when it is the zero Field.
func New(mta MTA, m message.Message, own message.Field, env Envelope) *Editor {
	ed := &Editor{mta: mta, body: normal(m.Body), added: make(map[string]bool), unbroken: len(m.Break) == 0}
	received := field{Field: own, own: true, set: true}
	if mta == Sendmail {
		for _, name := range slots {
			if name == "Received" {
				received.slot = true
				ed.fields = append(ed.fields, received)
				continue
			}
			ed.fields = append(ed.fields, field{Field: message.NewField(name, "", lineEnd), slot: true})
		}
	} else {
		ed.fields = append(ed.fields, received)
	}
	for _, f := range m.Header {
		// Both write the colon at once behind the name, and CRLF at the end of lines.
		if n := len(f.Name()); f.Raw()[n] != ':' || !clean(f) {
			f = message.NewField(f.Name(), f.Text(true), lineEnd)
		}
		ed.fields = append(ed.fields, field{Field: f, user: true, set: true})
		ed.resent = ed.resent || isResent(f)
	}
	ed.env.From, ed.env.FromArgs = env.From, slices.Clone(env.FromArgs)
	for _, r := range env.Rcpts {
		// Each drops a recipient that it has; Postfix does not look at letter case.
		if !slices.ContainsFunc(ed.env.Rcpts, func(o Rcpt) bool {
			return o.Address == r.Address || mta == Postfix && strings.EqualFold(o.Address, r.Address)
		}) {
			ed.env.Rcpts = append(ed.env.Rcpts, Rcpt{r.Address, slices.Clone(r.Args)})
		}
	}
	return ed
}

// clean reports whether all lines of a field end in CRLF.
func clean(f message.Field) bool {
	raw := f.Raw()
	return bytes.HasSuffix(raw, []byte(lineEnd)) && bytes.Count(raw, []byte("\n")) == bytes.Count(raw, []byte(lineEnd))
}

// normal returns b with CRLF at the end of every line, the last included, as
// both MTAs deliver it. b stays as it is.
func normal(b []byte) []byte {
	bare := bytes.Count(b, []byte("\n")) - bytes.Count(b, []byte(lineEnd))
	if bare == 0 && (len(b) == 0 || bytes.HasSuffix(b, []byte(lineEnd))) {
		return b
	}
	out := make([]byte, 0, len(b)+bare+2)
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	if !bytes.HasSuffix(out, []byte(lineEnd)) {
		out = append(out, lineEnd...)
	}
	return out
}

// SetEnvelope puts another envelope in the place of that which New was given, and
// leaves every recipient in it.
func (ed *Editor) SetEnvelope(env Envelope) {
	ed.env = Envelope{From: env.From, FromArgs: slices.Clone(env.FromArgs)}
	for _, r := range env.Rcpts {
		ed.env.Rcpts = append(ed.env.Rcpts, Rcpt{r.Address, slices.Clone(r.Args)})
	}
}

// Begin starts the end of message of the next filter, whose values carry their
// leading space or not (HDR_LEADSPC).
func (ed *Editor) Begin(leadingSpace bool) {
	ed.leading, ed.replaced, ed.bodyDone = leadingSpace, false, false
}

// Interrupt notes a reply that is no edit, such as PROGRESS: after one, Postfix
// takes no more of a body.
func (ed *Editor) Interrupt() { ed.bodyDone = ed.replaced }

// Apply makes one edit. Edits that the MTA passes over in silence change
// nothing; ErrConfiguration is the only error.
func (ed *Editor) Apply(e Edit) error {
	if e.Action != ReplaceBody {
		ed.Interrupt()
	}
	switch e.Action {
	case AddHeader, InsertHeader, ChangeHeader, DeleteHeader:
		if e.Name == "" {
			switch {
			case ed.mta == Sendmail:
				return nil
			case e.Action == ChangeHeader || e.Action == DeleteHeader:
				return ErrConfiguration
			}
		}
		switch e.Action {
		case AddHeader:
			ed.addHeader(e.Name, e.Value)
		case InsertHeader:
			ed.insertHeader(e.Index, e.Name, e.Value)
		default:
			ed.changeHeader(e)
		}
	case AddRcpt:
		ed.addRcpt(e.Address, e.Args)
	case DeleteRcpt:
		ed.deleteRcpt(e.Address)
	case ChangeFrom:
		ed.changeFrom(e.Address, e.Args)
	case ReplaceBody:
		if ed.bodyDone && ed.mta == Postfix {
			return ErrConfiguration
		}
		if !ed.replaced {
			ed.body, ed.replaced = nil, true
		}
		ed.body = append(ed.body, e.Body...)
	case Quarantine:
		ed.reason = &e.Value
	}
	return nil
}

// newField makes a field as the MTA writes it from a name and a value of a filter.
func (ed *Editor) newField(name, value string) field {
	if !ed.leading {
		value = " " + value
	}
	if i := strings.IndexByte(value, '\n'); i >= 0 {
		// A line that does not begin with a blank would be a field of its own.
		blank := byte(' ')
		if ed.mta == Postfix {
			blank = '\t'
		}
		b := make([]byte, 0, len(value)+8)
		for i := range len(value) {
			b = append(b, value[i])
			if value[i] == '\n' && (i+1 == len(value) || value[i+1] != ' ' && value[i+1] != '\t') {
				b = append(b, blank)
			}
		}
		value = string(b)
	}
	return field{Field: message.NewField(name, value, lineEnd), user: true, set: true}
}

func (ed *Editor) addHeader(name, value string) {
	at := len(ed.fields)
	if ed.mta == Sendmail {
		// A field that Sendmail may make up gets the value.
		for i, f := range ed.fields {
			if f.Is(name) && !f.user && !f.own {
				ed.replace(i, name, value)
				return
			}
		}
		// Otherwise it goes before the first of its name, its own Received and
		// deleted ones included.
		if i := slices.IndexFunc(ed.fields, func(f field) bool { return f.Is(name) || f.own && strings.EqualFold(name, "Received") }); i >= 0 {
			at = i
		}
	}
	ed.fields = slices.Insert(ed.fields, at, ed.newField(name, value))
}

// replace gives the field at i a value. Sendmail keeps the name as it was written.
func (ed *Editor) replace(i int, name, value string) {
	if ed.mta == Sendmail {
		name = ed.fields[i].Name()
	}
	f := ed.newField(name, value)
	f.slot = ed.fields[i].slot
	ed.fields[i] = f
}

func (ed *Editor) insertHeader(index uint32, name, value string) {
	at := len(ed.fields)
	if ed.mta == Sendmail {
		// The field goes behind the one at index, so that 0 is behind Return-Path;
		// what is negative to it counts as 0.
		n := max(int(int32(index)), 0)
		if n < len(ed.fields)-1 {
			at = n + 1
		}
	} else if index < uint32(at) {
		at = int(index)
	}
	ed.fields = slices.Insert(ed.fields, at, ed.newField(name, value))
}

func (ed *Editor) changeHeader(e Edit) {
	found := -1
	if ed.mta == Sendmail {
		// Deleted fields are counted until the next filter is shown the header; what
		// is negative counts as 1, and 0 too. Past the last one it is the field that
		// Sendmail may make up, its own Received excepted.
		for i, left := 0, int32(e.Index); i < len(ed.fields); i++ {
			f := ed.fields[i]
			switch {
			case !f.Is(e.Name) || f.own:
			case !f.user:
				found = i
				continue
			default:
				left--
				if left <= 0 {
					found = i
					i = len(ed.fields)
				}
			}
		}
	} else {
		for i, left := 0, max(e.Index, 1); i < len(ed.fields) && found < 0; i++ {
			if f := ed.fields[i]; f.Is(e.Name) && !f.own {
				if left--; left == 0 {
					found = i
				}
			}
		}
	}
	switch {
	case found < 0 && e.Action == DeleteHeader:
	case found < 0:
		ed.addHeader(e.Name, e.Value)
	case e.Action == ChangeHeader:
		ed.replace(found, e.Name, e.Value)
	case ed.mta == Sendmail:
		ed.fields[found].set = false
	default:
		ed.fields = slices.Delete(ed.fields, found, found+1)
	}
}

// Header returns the fields that the next filter is shown, and forgets what
// Sendmail forgets when it shows them: deleted fields count no more. The MTA's
// own Received field is not among them.
func (ed *Editor) Header() message.Header {
	h := make(message.Header, 0, len(ed.fields))
	for i := range ed.fields {
		f := &ed.fields[i]
		if !f.set {
			f.user = false
		}
		if f.user {
			h = append(h, f.Field)
		}
	}
	return h
}

// AboveOwn returns how many of the fields that Header returns stand above the MTA's
// own Received field.
func (ed *Editor) AboveOwn() (n int) {
	for _, f := range ed.fields {
		switch {
		case f.own:
			return n
		case f.set && f.user:
			n++
		}
	}
	return n
}

// Body returns the body as the next filter is shown it.
func (ed *Editor) Body() []byte {
	ed.body = normal(ed.body)
	return ed.body
}

// Envelope returns the envelope as it stands.
func (ed *Editor) Envelope() Envelope { return ed.env }

// Quarantine returns the last reason for a quarantine, and whether there is one.
func (ed *Editor) Quarantine() (reason string, ok bool) {
	if ed.reason == nil {
		return "", false
	}
	return *ed.reason, true
}

// Message returns the message as the MTA delivers it, but for what delivery
// itself changes: lines that are too long are not broken, and addresses not
// rewritten. The own Received field is there if own is set and New was given one.
func (ed *Editor) Message(own bool) message.Message {
	h := make(message.Header, 0, len(ed.fields))
	for _, f := range ed.fields {
		switch {
		case !f.set, f.own && (!own || len(f.Raw()) == 0):
		case ed.mta == Sendmail && !ed.relayed(f):
		default:
			h = append(h, f.Field)
		}
	}
	out := message.Message{Header: h, Break: []byte(lineEnd), Body: ed.Body()}
	if ed.mta == Postfix && ed.unbroken && len(out.Body) == 0 {
		out.Break = nil
	}
	return out
}

// relayed reports whether Sendmail writes a field when it relays by SMTP.
func (ed *Editor) relayed(f field) bool {
	for _, name := range [...]string{"Bcc", "Return-Path", "Full-Name"} {
		if f.Is(name) {
			return false
		}
	}
	return ed.resent || !isResent(f.Field)
}

func isResent(f message.Field) bool {
	const prefix = "Resent-"
	name := f.Name()
	return len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// MakeUp adds a field that the MTA makes up where the client sent none of the
// name: Postfix at the end of the header, where filters see it, Sendmail in its
// place at the top, where they do not.
func (ed *Editor) MakeUp(name, value string) {
	if slices.ContainsFunc(ed.fields, func(f field) bool { return f.user && f.Is(name) }) {
		return
	}
	f := message.NewField(name, " "+value, lineEnd)
	if ed.mta == Postfix {
		ed.fields = append(ed.fields, field{Field: f, user: true, set: true})
		return
	}
	if i := slices.IndexFunc(ed.fields, func(f field) bool { return f.slot && f.Is(name) }); i >= 0 {
		ed.fields[i].Field, ed.fields[i].set = f, true
	}
}
