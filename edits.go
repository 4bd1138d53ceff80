package milter

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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

	mu     sync.Mutex
	over   bool
	size   int // bytes queued
	header []headerEdit
	buf    []byte // names and values of header
	env    []byte // frames
	hold   []byte // frame
	body   io.Reader
}

// A headerEdit is an edit of the header in the order of the calls. Its name and
// value, as they stand on the wire, are Edits.buf[start:end].
type headerEdit struct {
	op         byte // code of the reply it is made for
	number     uint32
	name       string
	start, end int
}

// appendIndex is larger than any number of header fields: both MTAs insert at
// the end then.
const appendIndex = 1 << 16

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
	value, err := checkHeader(name, value)
	if err != nil {
		return err
	}
	return e.queueHeader(CanAddHeaders, wire.ReplyAddHeader, appendIndex, name, value)
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
	value, err := checkHeader(name, value)
	if err != nil {
		return err
	}
	if position < 0 {
		return fmt.Errorf("%w: header position %d is negative", ErrEdit, position)
	}
	return e.queueHeader(CanAddHeaders, wire.ReplyInsertHeader, uint32(min(position, appendIndex)), name, value)
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
	value, err := checkHeader(name, value)
	if err != nil {
		return err
	}
	if n < 1 || n > appendIndex {
		return fmt.Errorf("%w: there is no header field number %d, the first is 1", ErrEdit, n)
	}
	return e.queueHeader(CanChangeHeaders, wire.ReplyChangeHeader, uint32(n), name, value)
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
	addr, args, err := checkPath(addr, params, rcptParams)
	if err != nil {
		return err
	}
	if addr == "<>" {
		return fmt.Errorf("%w: a recipient needs an address", ErrEdit)
	}
	need, code := CanAddRcpt, byte(wire.ReplyAddRcpt)
	if args != "" {
		need, code = CanAddRcptParams, wire.ReplyAddRcptParams
	}
	return e.queue(need, &e.env, func(b []byte) []byte { return appendPath(b, code, addr, args) })
}

// DeleteRcpt takes a recipient out of the envelope. addr is the address as the
// rcpt stage reported it, with or without angle brackets; the MTAs compare it
// letter by letter, upper and lower case apart, but for Sendmail's local users. It
// has no effect where there is none such. A message left without recipients goes
// to nobody, and nobody is told.
func (e *Edits) DeleteRcpt(addr string) error {
	addr, err := checkRcpt(addr)
	if err != nil {
		return err
	}
	return e.queue(CanDeleteRcpt, &e.env, func(b []byte) []byte { return appendPath(b, wire.ReplyDeleteRcpt, addr, "") })
}

// ChangeFrom changes the sender in the envelope; "" or "<>" is the null sender.
// params are "RET=FULL" or "RET=HDRS", and "ENVID=" with an identifier (RFC 3461
// section 4).
func (e *Edits) ChangeFrom(addr string, params ...string) error {
	addr, args, err := checkPath(addr, params, mailParams)
	if err != nil {
		return err
	}
	return e.queue(CanChangeFrom, &e.env, func(b []byte) []byte { return appendPath(b, wire.ReplyChangeFrom, addr, args) })
}

// Quarantine makes the MTA hold the message in its queue; it is not delivered
// until an admin releases it. The reason is one line, kept by Sendmail and, from
// 3.10 on, logged by Postfix. Of several reasons the last counts. Postfix does not
// ask the filters behind this one about the message.
func (e *Edits) Quarantine(reason string) error {
	if reason == "" {
		return fmt.Errorf("%w: quarantine needs a reason", ErrEdit)
	}
	if err := checkText("quarantine reason", reason); err != nil {
		return err
	}
	return e.queue(CanQuarantine, &e.hold, func(b []byte) []byte {
		b, at := wire.BeginFrame(b, wire.ReplyQuarantine)
		return wire.EndFrame(wire.AppendString(b, reason), at)
	})
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

// queue adds a frame to one of the buffers when it is allowed and not too large.
func (e *Edits) queue(need Actions, buf *[]byte, frame func([]byte) []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.allowed(need); err != nil {
		return err
	}
	old := len(*buf)
	b := frame(*buf)
	if err := e.grow(len(b) - old); err != nil {
		return err
	}
	*buf = b
	if buf == &e.hold { // of several reasons the last counts
		e.hold = b[old:]
	}
	return nil
}

// queueHeader adds an edit of the header when it is allowed and not too large.
func (e *Edits) queueHeader(need Actions, op byte, number uint32, name, value string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.allowed(need); err != nil {
		return err
	}
	start := len(e.buf)
	b := wire.AppendString(e.buf, name)
	// With leading space granted, the value on the wire is everything behind the
	// colon; an empty one deletes.
	if e.c.granted.Protocol&wire.LeadingSpace != 0 && (value != "" || op != wire.ReplyChangeHeader) {
		b = append(b, ' ')
	}
	b = wire.AppendString(b, value)
	if err := e.grow(wire.HeadSize + 4 + len(b) - start); err != nil {
		return err
	}
	e.buf = b
	if op == wire.ReplyChangeHeader { // of several changes to one field the last counts
		e.header = slices.DeleteFunc(e.header, func(h headerEdit) bool {
			return h.op == op && h.number == number && strings.EqualFold(h.name, name)
		})
	}
	e.header = append(e.header, headerEdit{op, number, name, start, len(b)})
	return nil
}

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
	e.header, e.buf, e.env, e.hold, e.body = nil, nil, nil, nil, nil
}

// appendTo appends the frames of all edits but the body.
//
// Fields of one name are changed from the last to the first: Postfix renumbers
// after a deletion, Sendmail does not, and this way both mean the same field. A
// change of a field that is not there is made an addition, since each MTA has its
// own place for one.
func (e *Edits) appendTo(out []byte) []byte {
	known := e.c.granted.Protocol&wire.NoHeaders == 0 && e.c.granted.Actions&CanAddHeaders != 0
	edits := e.header[:0]
	for _, h := range e.header {
		if known && h.op == wire.ReplyChangeHeader && int(h.number) > e.c.fields.count(h.name) {
			if h.end-h.start == len(h.name)+len("\x00\x00") {
				continue // nothing to delete
			}
			h.op = wire.ReplyAddHeader
		}
		edits = append(edits, h)
	}
	slices.SortStableFunc(edits, func(a, b headerEdit) int { return cmp.Compare(b.turn(), a.turn()) })
	for i, h := range edits {
		if h.op == wire.ReplyAddHeader && !e.c.addsAtEnd(h.name, edits[:i]) {
			h.op, h.number = wire.ReplyInsertHeader, appendIndex
		}
		b, at := wire.BeginFrame(out, h.op)
		if h.op != wire.ReplyAddHeader {
			b = append(b, byte(h.number>>24), byte(h.number>>16), byte(h.number>>8), byte(h.number))
		}
		out = wire.EndFrame(append(b, e.buf[h.start:h.end]...), at)
	}
	out = append(out, e.env...)
	return append(out, e.hold...)
}

// turn tells the order of edits, the highest first: changes from the last field
// to the first, then all others.
func (h headerEdit) turn() uint32 {
	if h.op == wire.ReplyChangeHeader {
		return h.number
	}
	return 0
}

// addsAtEnd reports whether ADDHEADER puts a field at the end of the header, or
// in the place that is Sendmail's own. Postfix always does the former. Sendmail
// puts it before the first field of the same name, its own Received included, and
// where it supplies one itself in the place of that. before are the edits that
// leave earlier.
func (c *conn) addsAtEnd(name string, before []headerEdit) bool {
	lower := strings.ToLower(name)
	switch known := c.granted.Protocol&wire.NoHeaders == 0; {
	case c.postfix.Load():
		return true
	case c.fields.count(name) > 0 || lower == "received" || !known && !sendmailOwn[lower]:
		return false
	}
	return !slices.ContainsFunc(before, func(h headerEdit) bool {
		return strings.EqualFold(h.name, name) && (h.op == wire.ReplyAddHeader || !sendmailOwn[lower])
	})
}

func appendPath(b []byte, code byte, addr, args string) []byte {
	b, at := wire.BeginFrame(b, code)
	b = wire.AppendString(b, addr)
	if args != "" {
		b = wire.AppendString(b, args)
	}
	return wire.EndFrame(b, at)
}
