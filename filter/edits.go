package filter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/message"
)

// Edits are the changes that a filter makes of a message. The filters behind it
// see them; the MTA is told what all filters changed in the end, in as few edits
// as that takes. They are made after the hook has returned Accept or Continue, and
// dropped with any other answer, when the hook fails, and in report mode.
//
// The methods of the header and the envelope are those of [milter.Edits], with
// the same meaning: fields to change and delete are counted as this filter was
// shown them. Errors wrap milter.ErrEdit, milter.ErrNotGranted, milter.ErrEnded, or
// milter.ErrEditLimit for an edit that is larger than a packet of the MTA (64 KiB),
// or past 4 MiB of them.
type Edits struct {
	m      *mail
	needs  milter.Actions
	above  int // how many fields stand above the MTA's own Received field
	packet int // the most bytes that the MTA takes in one edit
	size   int // of those queued
	mu     sync.Mutex
	over   atomic.Bool
	whole  bool // the filter's Needs name the body
	kind   Kind // the filter's
	queue  wire.EditQueue
	tree   *message.Tree
	body   io.Reader
	hold   *string
	refuse map[string]*milter.Refusal // by address

	list    []edit.Edit
	newBody message.Source
	edited  bool
}

// AddHeader adds a header field at the end of the header.
func (e *Edits) AddHeader(name, value string) error {
	value, err := wire.CheckHeader(name, value)
	if err != nil {
		return badEdit(err)
	}
	return e.make(milter.CanAddHeaders, func() error { return e.queue.AddHeader(name, value, false, e.grow) })
}

// InsertHeader inserts a header field at a position: 0 is above the MTA's own
// Received field, 1 below it, 2 behind the first field of the message.
func (e *Edits) InsertHeader(position int, name, value string) error {
	value, err := wire.CheckHeader(name, value)
	if err == nil && position < 0 {
		err = fmt.Errorf("header position %d is negative", position)
	}
	if err != nil {
		return badEdit(err)
	}
	return e.make(milter.CanAddHeaders, func() error { return e.queue.InsertHeader(position, name, value, false, e.grow) })
}

// ChangeHeader changes the value of the n-th field with the name, 1 being the
// first; where there are fewer, it adds the field. An empty value deletes it. A filter
// that verifies deletes fields and changes none: what others wrote is not its own.
func (e *Edits) ChangeHeader(name string, n int, value string) error {
	value, err := wire.CheckHeader(name, value)
	if err == nil && n < 1 {
		err = fmt.Errorf("there is no header field number %d, the first is 1", n)
	}
	if err == nil && value != "" && e.kind == Verifies {
		err = errors.New("a filter that verifies changes no header field")
	}
	if err != nil {
		return badEdit(err)
	}
	return e.make(milter.CanChangeHeaders, func() error { return e.queue.ChangeHeader(name, n, value, false, e.grow) })
}

// DeleteHeader deletes the n-th field with the name.
func (e *Edits) DeleteHeader(name string, n int) error { return e.ChangeHeader(name, n, "") }

// AddRcpt adds a recipient, with RCPT parameters such as "NOTIFY=NEVER".
func (e *Edits) AddRcpt(addr string, params ...string) error {
	addr, args, err := wire.CheckPath(addr, params, wire.RcptParams)
	if err == nil && addr == "<>" {
		err = errors.New("a recipient needs an address")
	}
	if err != nil {
		return badEdit(err)
	}
	need, code := milter.CanAddRcpt, byte(wire.ReplyAddRcpt)
	if args != "" {
		need, code = milter.CanAddRcptParams, wire.ReplyAddRcptParams
	}
	return e.make(need, func() error { return e.queue.Path(code, addr, args, e.grow) })
}

// DeleteRcpt takes a recipient out of the envelope. A message left without any is
// delivered to nobody; the chain keeps its original.
func (e *Edits) DeleteRcpt(addr string) error {
	addr, err := wire.CheckRcpt(addr)
	if err != nil {
		return badEdit(err)
	}
	return e.make(milter.CanDeleteRcpt, func() error { return e.queue.Path(wire.ReplyDeleteRcpt, addr, "", e.grow) })
}

// ChangeFrom changes the sender in the envelope, with MAIL parameters RET and
// ENVID.
func (e *Edits) ChangeFrom(addr string, params ...string) error {
	addr, args, err := wire.CheckPath(addr, params, wire.MailParams)
	if err != nil {
		return badEdit(err)
	}
	return e.make(milter.CanChangeFrom, func() error { return e.queue.Path(wire.ReplyChangeFrom, addr, args, e.grow) })
}

// Quarantine makes the MTA hold the message in its queue. As in Postfix, the
// filters behind this one are not asked about it.
func (e *Edits) Quarantine(reason string) error {
	err := wire.CheckText("quarantine reason", reason)
	if err == nil && reason == "" {
		err = errors.New("quarantine needs a reason")
	}
	if err != nil {
		return badEdit(err)
	}
	return e.make(milter.CanQuarantine, func() error { e.hold = &reason; return nil })
}

// ReplaceBody replaces the body by what body returns until io.EOF, read after the
// hook has returned. Lines end in CRLF.
func (e *Edits) ReplaceBody(body io.Reader) error {
	if body == nil {
		return badEdit(errors.New("the new body is nil"))
	}
	return e.make(milter.CanChangeBody, func() error { e.body = body; return nil })
}

// Tree returns a copy of the message's MIME structure whose parts may be changed,
// in the order of those of Transaction.Message, until the hook returns. What changes
// in its own header, and in the body as a whole, becomes edits. They come before
// those of the other methods, which are not to name the same fields of the header.
func (e *Edits) Tree() (*message.Tree, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.allowed(milter.CanChangeBody); err != nil {
		return nil, err
	}
	if !e.whole {
		return nil, errNeedsBody
	}
	if e.tree == nil {
		t, err := e.m.now.read()
		if err != nil {
			return nil, err
		}
		e.tree = t
	}
	return e.tree, nil
}

// RefuseRcpt refuses the message for one recipient, whom RCPT has accepted
// already. The protocol knows one answer for all by now: what becomes of
// recipients who disagree is said by [Chain.Disagree].
func (e *Edits) RefuseRcpt(addr string, r *milter.Refusal) error {
	if err := judge(r); err != nil {
		return badEdit(err)
	}
	return e.make(0, func() error {
		if !slices.ContainsFunc(e.m.rcpts, func(p Path) bool { return p.Address == addr }) {
			return badEdit(fmt.Errorf("%q is no recipient", addr))
		}
		if e.refuse == nil {
			e.refuse = make(map[string]*milter.Refusal)
		}
		e.refuse[addr] = r
		return nil
	})
}

// maxEditBytes bounds the edits of one filter in one message, without a new body.
const maxEditBytes = 4 << 20

// grow judges an edit that takes n bytes on the wire and counts it.
func (e *Edits) grow(n int) error {
	if e.size += n; n-wire.HeadSize > e.packet || e.size > maxEditBytes {
		e.size -= n
		return fmt.Errorf("%w: %d bytes", milter.ErrEditLimit, n)
	}
	return nil
}

func badEdit(err error) error { return fmt.Errorf("%w: %w", milter.ErrEdit, err) }

func (e *Edits) make(need milter.Actions, do func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.allowed(need); err != nil {
		return err
	}
	return do()
}

func (e *Edits) allowed(need milter.Actions) error {
	if e.over.Load() {
		return milter.ErrEnded
	}
	if missing := need &^ e.needs; missing != 0 {
		return fmt.Errorf("%w: %s is not among the Actions of the filter's Needs", milter.ErrNotGranted, actionName(missing))
	}
	return nil
}

// actionName returns the name of a kind of edit in Go, and that of the protocol.
func actionName(a milter.Actions) string {
	names := map[milter.Actions]string{
		milter.CanAddHeaders: "CanAddHeaders", milter.CanChangeHeaders: "CanChangeHeaders", milter.CanChangeBody: "CanChangeBody",
		milter.CanAddRcpt: "CanAddRcpt", milter.CanAddRcptParams: "CanAddRcptParams", milter.CanDeleteRcpt: "CanDeleteRcpt",
		milter.CanChangeFrom: "CanChangeFrom", milter.CanQuarantine: "CanQuarantine",
	}
	return fmt.Sprintf("milter.%s (%v)", names[a], a)
}

// end makes every later call return milter.ErrEnded. The tree stays with the hook
// that was abandoned.
func (e *Edits) end() {
	e.over.Store(true)
}

// close makes every later call return milter.ErrEnded, and gives the copy of the
// tree back.
func (e *Edits) close() {
	e.over.Store(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tree != nil {
		e.tree.Close()
		e.tree = nil
	}
}

// prepare makes of what was asked for a list of edits, and reads the new body. It
// runs in the time of the hook, since readers are the filter's.
func (e *Edits) prepare() error {
	e.over.Store(true)
	e.mu.Lock() // for what a goroutine of the filter still does
	e.mu.Unlock()
	m := e.m
	e.newBody = m.now.Body
	if t := e.tree; t != nil {
		if t.HeaderEdited() {
			e.list = append(e.list, edit.DiffShown(m.now.Header, t.Header(), e.above)...)
		}
		if t.BodyEdited() {
			if err := e.readBody(t.Body()); err != nil {
				return err
			}
		}
	}
	// The order is the one in which the edits of a milter of its own would leave.
	frames := e.queue.AppendFrames(nil, wire.Ground{Postfix: true, MayAdd: true, Count: func(name string) int {
		n := 0
		for range m.now.Header.All(name) {
			n++
		}
		return n
	}})
	for len(frames) > 0 {
		size := 4 + int(binary.BigEndian.Uint32(frames))
		x, err := edit.Decode(frames[4], frames[wire.HeadSize:size])
		if err != nil {
			return err
		}
		e.list = append(e.list, x)
		frames = frames[size:]
	}
	if e.body != nil {
		if err := e.readBody(e.body); err != nil {
			return err
		}
	}
	e.edited = len(e.list) > 0
	same, err := sameBytes(e.newBody, m.now.Body)
	if err != nil {
		return err
	}
	if same {
		e.newBody = m.now.Body
	} else {
		e.edited = true
		e.list = append(e.list, edit.Edit{Action: edit.ReplaceBody, Size: e.newBody.Size()})
	}
	if e.hold != nil {
		e.list = append(e.list, edit.Edit{Action: edit.Quarantine, Value: *e.hold})
	}
	return nil
}

// sameBytes reports whether two bodies are alike. A body is replaced only when it
// changed.
func sameBytes(a, b message.Source) (bool, error) {
	if a == nil || b == nil || a == b || a.Size() != b.Size() {
		return a == b, nil
	}
	const size = 32 << 10
	p := make([]byte, 2*size) // not on the stack of every connection
	p, q := p[:size], p[size:]
	for at := int64(0); at < a.Size(); at += size {
		n := int(min(size, a.Size()-at))
		if got, err := a.ReadAt(p[:n], at); got < n {
			return false, fmt.Errorf("filter: compare bodies: %w", err)
		}
		if got, err := b.ReadAt(q[:n], at); got < n {
			return false, fmt.Errorf("filter: compare bodies: %w", err)
		}
		if !bytes.Equal(p[:n], q[:n]) {
			return false, nil
		}
	}
	return true, nil
}

func (e *Edits) readBody(r io.Reader) error {
	s := e.m.spool()
	if _, err := io.Copy(s, r); err != nil {
		return fmt.Errorf("new body: %w", err)
	}
	e.newBody = s
	return nil
}

// commit makes the edits to the message as it is so far.
func (e *Edits) commit() error {
	m := e.m
	if e.hold != nil {
		m.quarantine = e.hold
	}
	if !e.edited {
		return nil
	}
	ed := m.edit()
	ed.Begin(false)
	for _, x := range e.list {
		if x.Action == edit.ReplaceBody || x.Action == edit.Quarantine {
			continue
		}
		if err := ed.Apply(x); err != nil {
			return err
		}
	}
	m.old = append(m.old, m.now)
	m.now = &Message{Header: ed.Header(), Body: e.newBody, options: m.now.options}
	return nil
}

// above returns how many fields filters have put above the MTA's own Received field.
func (m *mail) above() int {
	if m.editor == nil {
		return 0
	}
	return m.editor.AboveOwn()
}

// edit returns the editor of the message, whose ways are Postfix's.
func (m *mail) edit() *edit.Editor {
	if m.editor == nil {
		m.editor = edit.New(edit.Postfix, message.Message{Header: m.received.Header, Break: []byte("\r\n")}, message.Field{}, edit.Envelope{})
		m.editor.SetEnvelope(m.envelope()) // each recipient that the MTA told of, however alike
		m.before = m.editor.Envelope()
	}
	return m.editor
}
