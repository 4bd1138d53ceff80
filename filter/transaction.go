package filter

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/message"
)

// A Transaction is one message on its way, as one filter of a chain sees it. It
// belongs to the hook that is given it.
type Transaction struct {
	*Connection
	m      *mail
	filter string // its name
	needs  *Needs
	report bool // nothing that it does counts
	mta    milter.MTA
}

// A mail is what the filters of a chain share of a message.
type mail struct {
	chain      *Chain
	class      Class
	user       string
	queueID    string
	macros     map[string]string
	from       Path
	rcpts      []Path // accepted so far
	received   Message
	now        *Message   // as edited so far
	old        []*Message // what it was before
	editor     *edit.Editor
	before     edit.Envelope // that the editor began with
	facts      *facts
	spools     []*message.Spool
	spoolErr   error
	quarantine *string
	exact      bool                   // fields come with the blanks behind their colon
	whole      bool                   // header and body are there
	kept       atomic.Pointer[string] // reference of the original
	unkept     atomic.Bool            // the running hook asked in vain for it to be kept
	held       *milter.Refusal        // at MAIL, told at RCPT
	exempt     bool                   // authenticated: what was held at connect and HELO does not apply
	sending    bool                   // the new body is on its way
	expl       *Explanation
	shared     bool // an abandoned hook may still look at it
}

// A Path is an address of the envelope.
type Path struct {
	Raw     string   // as the client sent it, with angle brackets if it had any
	Address string   // without them and without a source route; "" is the null sender
	Local   string   // before the last "@"
	Domain  string   // behind it, ASCII letters in lower case
	Params  []string // ESMTP parameters, such as "SIZE=1000"
}

// Param returns the value of an ESMTP parameter and whether it was given; its
// name is matched in any case.
func (p Path) Param(name string) (value string, ok bool) {
	for _, s := range p.Params {
		if k, v, _ := strings.Cut(s, "="); strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// String returns the address in angle brackets.
func (p Path) String() string { return "<" + p.Address + ">" }

// Class returns who sent the message.
func (t *Transaction) Class() Class { return t.m.class }

// User returns the name the client authenticated as, "" for none.
func (t *Transaction) User() string { return t.m.user }

// QueueID returns the MTA's id of the message, "" while it has none.
func (t *Transaction) QueueID() string { return t.m.queueID }

// Macro returns the value of a macro that the filter named in its Needs.
func (t *Transaction) Macro(name string) (string, bool) {
	v, ok := t.m.macros[bareMacro(name)]
	return v, ok
}

func bareMacro(name string) string { return strings.Trim(name, "{}") }

// From returns the sender as the client gave it.
func (t *Transaction) From() Path { return t.m.from }

// MTA returns the kind of mail server that the message is in.
func (t *Transaction) MTA() milter.MTA { return t.mta }

// Rcpts returns the recipients that were not refused, as the client gave them.
// The slice is not to be changed.
func (t *Transaction) Rcpts() []Path { return t.m.rcpts }

// ErrNeeds is in the errors of what a filter asks for that its Needs do not name.
var ErrNeeds = errors.New("filter: the filter's Needs do not name what it asks for")

var (
	errNeedsBody      = fmt.Errorf("%w: Body", ErrNeeds)
	errNeedsOriginals = fmt.Errorf("%w: Originals", ErrNeeds)
)

// ErrEarly is returned by [Message.Tree] and [Transaction.Keep] before the Message
// hooks: the message is not there yet.
var ErrEarly = errors.New("filter: the message is there in Message hooks only")

// Received returns the message as it was received, whatever was edited since, as
// far as the filter's Needs name it. It is empty before the Message hooks.
func (t *Transaction) Received() *Message { return t.needed(&t.m.received) }

// Message returns the message as the filters before left it, as far as the filter's
// Needs name it. It is empty before the Message hooks.
func (t *Transaction) Message() *Message { return t.needed(t.m.now) }

// ExactHeader reports whether the MTA shows header fields byte for byte. One that does
// not know SMFIP_HDR_LEADSPC takes away blanks behind the colon; Received and Message have
// one there then, and what was signed over others is not to be told from what was changed.
func (t *Transaction) ExactHeader() bool { return t.m.exact }

// needed returns what the filter said it needs, whatever others do: its author
// shall see what is missing, and not when the chain is another.
func (t *Transaction) needed(m *Message) *Message {
	if t.needs.Body && t.m.whole {
		return m
	}
	part := &Message{err: errNeedsBody}
	part.once.Do(func() {})
	switch {
	case !t.m.whole:
		part.err = ErrEarly
	case t.needs.Header:
		part.Header = m.Header
	}
	return part
}

// Explain notes what the filter saw and which rule that met, for the explanation
// of the message.
func (t *Transaction) Explain(why string) { t.note(why) }

// A Message is header and body of a mail at one point of a chain. Its parts are not
// to be changed; [Edits.Tree] is for that.
type Message struct {
	// Header is the header without the MTA's own Received field. It is empty when the
	// filter's Needs do not name it.
	Header message.Header
	// Body is the body. It is nil when the filter's Needs do not name it.
	Body message.Source

	options *message.Options
	once    sync.Once
	tree    *message.Tree
	err     error
}

// Tree returns the message's MIME structure, which is read once for all filters. It
// belongs to the chain: it is neither to be closed nor to be edited (see
// [Edits.Tree]). The error wraps ErrNeeds or ErrEarly, or is one of reading what was
// spooled to disk.
func (m *Message) Tree() (*message.Tree, error) {
	m.once.Do(func() { m.tree, m.err = m.read() })
	return m.tree, m.err
}

func (m *Message) read() (*message.Tree, error) {
	body := m.Body
	if body == nil {
		body = strings.NewReader("")
	}
	return message.ReadTree(m.Header, []byte("\r\n"), body, m.options)
}

// WriteTo writes the message as it stands.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(append(m.Header.Bytes(), '\r', '\n'))
	if err != nil || m.Body == nil {
		return int64(n), err
	}
	k, err := io.Copy(w, io.NewSectionReader(m.Body, 0, m.Body.Size()))
	return int64(n) + k, err
}

// size returns the message's size in bytes, as far as the chain was shown it.
func (m *Message) size() (n int64) {
	for _, f := range m.Header {
		n += int64(len(f.Raw()))
	}
	if m.Body != nil {
		n += 2 + m.Body.Size()
	}
	return n
}

// close gives back what the message holds. What an abandoned hook may still look
// at is left to the garbage collector.
func (m *mail) close() error {
	if m.shared {
		return nil
	}
	var errs []error
	for _, v := range append(m.old, m.now, &m.received) {
		if v != nil && v.tree != nil {
			errs = append(errs, v.tree.Close())
			v.tree = nil
		}
	}
	for _, s := range m.spools {
		errs = append(errs, m.chain.putSpool(s))
	}
	m.spools = nil
	return errors.Join(errs...)
}

// spool returns a place for a body, closed with the message.
func (m *mail) spool() *message.Spool {
	s := m.chain.getSpool()
	m.spools = append(m.spools, s)
	return s
}

// envelope returns the envelope as it was received.
func (m *mail) envelope() edit.Envelope {
	from, _ := edit.ParseAddress(m.from.Raw)
	env := edit.Envelope{From: from, FromArgs: m.from.Params}
	for _, r := range m.rcpts {
		addr, _ := edit.ParseAddress(r.Raw)
		env.Rcpts = append(env.Rcpts, edit.Rcpt{Address: addr, Args: r.Params})
	}
	return env
}

func newPath(raw []byte, addr, local, domain string, params func(func([]byte) bool)) Path {
	p := Path{Raw: string(raw), Address: addr, Local: local, Domain: domain}
	for s := range params {
		p.Params = append(p.Params, string(s))
	}
	return p
}
