package milter

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gomilter/gomilter/internal/wire"
)

// Errors of the methods of Edits, to be tested with errors.Is. When one is
// returned, nothing was queued.
var (
	// ErrEnded says that an Edits was used after its hook had returned.
	ErrEnded = errors.New("milter: the end-of-message hook has returned")
	// ErrNotGranted says that the MTA did not grant this kind of edit, or that
	// Hooks.Actions did not ask for it.
	ErrNotGranted = errors.New("milter: kind of edit was not granted")
	// ErrEdit says that the edit cannot be made; the text says why.
	ErrEdit = errors.New("milter: edit cannot be made")
	// ErrEditLimit says that Server.MaxEditBytes would be passed.
	ErrEditLimit = errors.New("milter: too many edits")
)

// Edits are the changes a filter makes at the end of a message. They are checked
// and queued while the End hook runs and leave after it returned Accept or
// Continue; with any other answer, and when the hook fails, none leaves.
//
// Fields to change or delete are named and counted as the filter received them: a
// field deleted or added here does not move them, on both MTAs. Edits of one
// kind happen in the order of the calls; changes of the header come before
// additions, those before changes of the envelope, and the body comes last.
//
// The methods may be called from several goroutines, until the hook returns.
type Edits struct {
	c *conn

	mu    sync.Mutex
	over  bool
	size  int // bytes queued
	queue wire.EditQueue
	body  io.Reader
}

// maxFieldNumber is larger than any number of header fields.
const maxFieldNumber = 1 << 16

// AddHeader adds a header field at the end of the header. Only where an earlier
// filter deleted fields of that name, Sendmail puts it in their place.
//
// name is printable ASCII without ":" (RFC 5322 section 2.2). value is the text
// behind the colon and a blank; lines of a folded field are joined by LF or CRLF
// followed by a blank or tab. Nothing in it is encoded or folded, so that a line
// of more than 998 bytes is refused (RFC 5322 section 2.1.1): Sendmail would cut
// it.
//
// Where Sendmail would itself supply a field of that name (Date, From, Message-ID)
// and the message has none, this one takes its place. Without a Header hook the
// server does not know whether it has: then a From, Date or Message-ID added goes
// before one that is there.
func (e *Edits) AddHeader(name, value string) error {
	value, err := wire.CheckHeader(name, value)
	if err != nil {
		return badEdit(err)
	}
	return e.make(CanAddHeaders, func(leading bool) error { return e.queue.AddHeader(name, value, leading, e.grow) })
}

// InsertHeader inserts a header field at a position: 0 is the top of the header,
// above the MTA's own Received field, 1 below that. Larger positions count on in
// Postfix, while Sendmail keeps the first few below its Received field, because
// it counts places of fields that it does not show. Past the end means the end.
//
// Each insertion counts what was deleted and inserted before it, so that fields
// inserted at one position come out in reverse order, and those at 0, 1 and 2, in
// the order of the calls, all stand above the Received field.
//
// For name and value see AddHeader.
func (e *Edits) InsertHeader(position int, name, value string) error {
	value, err := wire.CheckHeader(name, value)
	if err != nil {
		return badEdit(err)
	}
	if position < 0 {
		return fmt.Errorf("%w: header position %d is negative", ErrEdit, position)
	}
	return e.make(CanAddHeaders, func(leading bool) error { return e.queue.InsertHeader(position, name, value, leading, e.grow) })
}

// ChangeHeader changes the value of the n-th field with the name, 1 being the
// first that the filter received. The MTA's own Received field is not counted.
// Where there are fewer, the field is added as by AddHeader. Of several changes to
// one field the last counts.
//
// To know how many there are takes a Header hook and CanAddHeaders. Without, the
// MTA decides: Postfix adds the field at the end, Sendmail before the others of
// that name.
//
// The blank behind the colon is not part of value, whether or not
// Hooks.LeadingSpace was granted: give it Header.Value, not Header.Raw.
//
// For name and value see AddHeader; an empty value deletes the field.
func (e *Edits) ChangeHeader(name string, n int, value string) error {
	value, err := wire.CheckHeader(name, value)
	if err != nil {
		return badEdit(err)
	}
	if n < 1 || n > maxFieldNumber {
		return fmt.Errorf("%w: there is no header field number %d, the first is 1", ErrEdit, n)
	}
	return e.make(CanChangeHeaders, func(leading bool) error { return e.queue.ChangeHeader(name, n, value, leading, e.grow) })
}

// DeleteHeader deletes the n-th field with the name; see ChangeHeader. It has no
// effect where there are fewer.
func (e *Edits) DeleteHeader(name string, n int) error { return e.ChangeHeader(name, n, "") }

// AddRcpt adds a recipient to the envelope; the header stays as it is. addr is a
// mailbox, which may stand in angle brackets. One that is not ASCII takes an MTA
// that knows SMTPUTF8; Sendmail built without it leaves the recipient out. params
// are "NOTIFY=NEVER", "NOTIFY=" and a list of SUCCESS, FAILURE and DELAY, and
// "ORCPT=" with an address (RFC 3461 section 4).
//
// A recipient who is there already gets one copy from Sendmail and two from Postfix.
func (e *Edits) AddRcpt(addr string, params ...string) error {
	addr, args, err := wire.CheckPath(addr, params, wire.RcptParams)
	if err != nil {
		return badEdit(err)
	}
	if addr == "<>" {
		return fmt.Errorf("%w: a recipient needs an address", ErrEdit)
	}
	need, code := CanAddRcpt, byte(wire.ReplyAddRcpt)
	if args != "" {
		need, code = CanAddRcptParams, wire.ReplyAddRcptParams
	}
	return e.make(need, func(bool) error { return e.queue.Path(code, addr, args, e.grow) })
}

// DeleteRcpt takes a recipient out of the envelope. addr is the address as the
// rcpt stage reported it, with or without angle brackets; the MTAs compare it
// letter by letter, upper and lower case apart, but for Sendmail's local users. It
// has no effect where there is none such. A message left without recipients goes
// to nobody, and nobody is told.
func (e *Edits) DeleteRcpt(addr string) error {
	addr, err := wire.CheckRcpt(addr)
	if err != nil {
		return badEdit(err)
	}
	return e.make(CanDeleteRcpt, func(bool) error { return e.queue.Path(wire.ReplyDeleteRcpt, addr, "", e.grow) })
}

// ChangeFrom changes the sender in the envelope; "" or "<>" is the null sender.
// params are "RET=FULL" or "RET=HDRS", and "ENVID=" with an identifier (RFC 3461
// section 4).
func (e *Edits) ChangeFrom(addr string, params ...string) error {
	addr, args, err := wire.CheckPath(addr, params, wire.MailParams)
	if err != nil {
		return badEdit(err)
	}
	return e.make(CanChangeFrom, func(bool) error { return e.queue.Path(wire.ReplyChangeFrom, addr, args, e.grow) })
}

// Quarantine makes the MTA hold the message in its queue; it is not delivered
// until an admin releases it. The reason is one line, kept by Sendmail and, from
// 3.10 on, logged by Postfix. Of several reasons the last counts. Postfix does not
// ask the filters behind this one about the message.
func (e *Edits) Quarantine(reason string) error {
	if reason == "" {
		return fmt.Errorf("%w: quarantine needs a reason", ErrEdit)
	}
	if err := wire.CheckText("quarantine reason", reason); err != nil {
		return badEdit(err)
	}
	return e.make(CanQuarantine, func(bool) error { return e.queue.Quarantine(reason, e.grow) })
}

// ReplaceBody replaces the body by what body returns until io.EOF. It is read
// after the hook has returned, within the hook's time. Lines end in CRLF (see
// CRLF for bytes where they may not); the blank line before the body is not part
// of it. Of several bodies the last counts.
//
// When reading fails before anything left, the answer is Server.OnFault's;
// later, the message is refused for now by closing the connection, whatever the
// policy says. A body that is an io.WriterTo, such as a *bytes.Reader, is written
// without being copied.
func (e *Edits) ReplaceBody(body io.Reader) error {
	if body == nil {
		return fmt.Errorf("%w: the new body is nil", ErrEdit)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.allowed(CanChangeBody); err != nil {
		return err
	}
	e.body = body
	return nil
}

// Progress tells the MTA that the filter is still at work. The server does so by
// itself every Server.ProgressInterval. Sendmail's limit for the whole end of
// the message (300 s by default) is not moved by it.
func (e *Edits) Progress() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return ErrEnded
	}
	e.c.wmu.Lock()
	defer e.c.wmu.Unlock()
	return e.c.writeProgress()
}

func (e *Edits) allowed(need Actions) error {
	if e.over {
		return ErrEnded
	}
	if missing := need &^ e.c.granted.Actions; missing != 0 {
		return fmt.Errorf("%w: %v", ErrNotGranted, missing)
	}
	return nil
}

// make queues an edit when it is allowed. do is told whether values carry the
// blank behind the colon.
func (e *Edits) make(need Actions, do func(leading bool) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.allowed(need); err != nil {
		return err
	}
	return do(e.c.granted.Protocol&wire.LeadingSpace != 0)
}

func badEdit(err error) error { return fmt.Errorf("%w: %w", ErrEdit, err) }

// grow judges a frame of n bytes and counts it.
func (e *Edits) grow(n int) error {
	if limit := e.c.srv.maxEditBytes(); n-wire.HeadSize > e.c.granted.Protocol.DataSize() || limit > 0 && e.size+n > limit {
		e.c.limit(LimitEdits, "bytes", e.size+n)
		return fmt.Errorf("%w: %d bytes", ErrEditLimit, e.size+n)
	}
	e.size += n
	return nil
}

// close makes every later call return ErrEnded.
func (e *Edits) close() {
	e.mu.Lock()
	e.over = true
	e.mu.Unlock()
}

// drop forgets what was queued, and takes nothing more.
func (e *Edits) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	e.queue, e.body = wire.EditQueue{}, nil
}

// appendTo appends the frames of all edits but the body.
func (e *Edits) appendTo(out []byte) []byte {
	g := wire.Ground{Postfix: e.c.postfix.Load(), MayAdd: e.c.granted.Actions&CanAddHeaders != 0}
	if e.c.granted.Protocol&wire.NoHeaders == 0 {
		g.Count = e.c.fields.count
	}
	return e.queue.AppendFrames(out, g)
}
