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

	mu      sync.Mutex
	over    bool
	size    int // bytes queued
	changes []headerChange
	change  headerChange // just made
	buf     []byte       // frames of the changes
	adds    []byte       // frames in the order of the calls
	env     []byte
	hold    []byte
	body    io.Reader
}

// A headerChange is a CHGHEADER frame in Edits.buf.
type headerChange struct {
	name       string
	index      int
	start, end int
}

// appendIndex is larger than any number of header fields: both MTAs insert at
// the end then.
const appendIndex = 1 << 16

// AddHeader adds a header field at the end of the header.
//
// name is printable ASCII without ":" (RFC 5322 section 2.2). value is the text
// behind the colon and a blank; lines of a folded field are joined by LF or CRLF
// followed by a blank or tab. Nothing in it is encoded or folded.
//
// Where Sendmail would itself supply a field of that name (Date, From, Message-ID)
// and the message has none, this one takes its place. A filter without a Header
// hook does not know whether it has: then a From, Date or Message-ID added goes
// before one that is there.
func (e *Edits) AddHeader(name, value string) error {
	value, err := checkHeader(name, value)
	if err != nil {
		return err
	}
	return e.queue(CanAddHeaders, &e.adds, func(b []byte) []byte {
		if e.c.addsAtEnd(name) {
			b, at := wire.BeginFrame(b, wire.ReplyAddHeader)
			return wire.EndFrame(e.appendHeader(b, name, value), at)
		}
		b, at := wire.BeginFrame(b, wire.ReplyInsertHeader)
		return wire.EndFrame(e.appendHeader(appendUint32(b, appendIndex), name, value), at)
	})
}

// InsertHeader inserts a header field at a position: 0 is the top of the header,
// above the MTA's own Received field, 1 below that. Larger positions count on in
// Postfix, while Sendmail keeps the first few below its Received field, because
// it counts places of fields that it does not show. Past the end means the end.
// Fields inserted at one position come out in reverse order; positions count what
// was deleted and inserted here before.
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
	return e.queue(CanAddHeaders, &e.adds, func(b []byte) []byte {
		b, at := wire.BeginFrame(b, wire.ReplyInsertHeader)
		return wire.EndFrame(e.appendHeader(appendUint32(b, uint32(min(position, appendIndex))), name, value), at)
	})
}

// ChangeHeader changes the value of the n-th field with the name, 1 being the
// first that the filter received. The MTA's own Received field is not counted.
// Where there are fewer, the field is added: at the end by Postfix, before the
// others of that name by Sendmail. Of several changes to one field the last counts.
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
	return e.queue(CanChangeHeaders, &e.buf, func(b []byte) []byte {
		b, at := wire.BeginFrame(b, wire.ReplyChangeHeader)
		b = appendUint32(b, uint32(n))
		if value == "" {
			b = wire.AppendHeader(b, name, "")
		} else {
			b = e.appendHeader(b, name, value)
		}
		b = wire.EndFrame(b, at)
		e.change = headerChange{name, n, at, len(b)}
		return b
	})
}

// DeleteHeader deletes the n-th field with the name; see ChangeHeader. It has no
// effect where there are fewer.
func (e *Edits) DeleteHeader(name string, n int) error { return e.ChangeHeader(name, n, "") }

// AddRcpt adds a recipient to the envelope; the header stays as it is. addr may
// stand in angle brackets. params are RCPT parameters such as "NOTIFY=NEVER";
// Postfix takes NOTIFY and ORCPT.
//
// A recipient who is there already gets one copy from Sendmail and two from Postfix.
func (e *Edits) AddRcpt(addr string, params ...string) error {
	addr, args, err := checkPath(addr, params)
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
// rcpt stage reported it, with or without angle brackets; Postfix compares it
// in upper and lower case. A message left without recipients goes to nobody,
// and nobody is told.
func (e *Edits) DeleteRcpt(addr string) error {
	addr, _, err := checkPath(addr, nil)
	if err != nil {
		return err
	}
	if addr == "<>" {
		return fmt.Errorf("%w: a recipient needs an address", ErrEdit)
	}
	return e.queue(CanDeleteRcpt, &e.env, func(b []byte) []byte { return appendPath(b, wire.ReplyDeleteRcpt, addr, "") })
}

// ChangeFrom changes the sender in the envelope; "" or "<>" is the null sender.
// params are MAIL parameters; Postfix takes RET and ENVID.
func (e *Edits) ChangeFrom(addr string, params ...string) error {
	addr, args, err := checkPath(addr, params)
	if err != nil {
		return err
	}
	return e.queue(CanChangeFrom, &e.env, func(b []byte) []byte { return appendPath(b, wire.ReplyChangeFrom, addr, args) })
}

// Quarantine makes the MTA hold the message in its queue; it is not delivered
// until an admin releases it. The reason is one line, kept by Sendmail and, from
// 3.10 on, logged by Postfix. Of several reasons the last counts.
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
	n := len(b) - old
	if limit := e.c.srv.maxEditBytes(); n-wire.HeadSize > e.c.granted.Protocol.DataSize() || limit > 0 && e.size+n > limit {
		e.c.limit(LimitEdits, "bytes", e.size+n)
		return fmt.Errorf("%w: %d bytes", ErrEditLimit, e.size+n)
	}
	*buf = b
	e.size += n
	switch buf {
	case &e.buf: // of several changes to one field the last counts
		now := e.change
		e.changes = slices.DeleteFunc(e.changes, func(c headerChange) bool { return c.index == now.index && strings.EqualFold(c.name, now.name) })
		e.changes = append(e.changes, now)
	case &e.hold: // of several reasons, too
		e.hold = b[old:]
	}
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
	e.changes, e.buf, e.adds, e.env, e.hold, e.body = nil, nil, nil, nil, nil, nil
}

// appendTo appends the frames of all edits but the body. Fields of one name are
// changed from the last to the first: Postfix renumbers after a deletion, Sendmail
// does not, and this way both mean the same field.
func (e *Edits) appendTo(out []byte) []byte {
	slices.SortStableFunc(e.changes, func(a, b headerChange) int { return cmp.Compare(b.index, a.index) })
	for _, c := range e.changes {
		out = append(out, e.buf[c.start:c.end]...)
	}
	out = append(out, e.adds...)
	out = append(out, e.env...)
	return append(out, e.hold...)
}

// appendHeader appends name and value. With leading space granted, the value on
// the wire is everything behind the colon.
func (e *Edits) appendHeader(b []byte, name, value string) []byte {
	b = wire.AppendString(b, name)
	if e.c.granted.Protocol&wire.LeadingSpace != 0 {
		b = append(b, ' ')
	}
	return wire.AppendString(b, value)
}

func appendUint32(b []byte, n uint32) []byte {
	return append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func appendPath(b []byte, code byte, addr, args string) []byte {
	b, at := wire.BeginFrame(b, code)
	b = wire.AppendString(b, addr)
	if args != "" {
		b = wire.AppendString(b, args)
	}
	return wire.EndFrame(b, at)
}

// checkHeader judges a field and returns its value with LF line ends: a CR would
// be stored by the MTAs and break the field.
func checkHeader(name, value string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: header field has no name", ErrEdit)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return "", fmt.Errorf("%w: byte %q in header name %q (RFC 5322 section 2.2)", ErrEdit, c, name)
		}
	}
	if !strings.ContainsAny(value, "\r\n\x00") {
		return value, nil
	}
	value = strings.ReplaceAll(value, "\r\n", "\n")
	for i := range len(value) {
		switch c := value[i]; {
		case c == 0 || c == '\r':
			return "", fmt.Errorf("%w: byte %q in the value of %s", ErrEdit, c, name)
		case c == '\n' && (i+1 == len(value) || value[i+1] != ' ' && value[i+1] != '\t'):
			return "", fmt.Errorf("%w: a line of %s does not begin with a blank; the header would end or gain a field", ErrEdit, name)
		}
	}
	return value, nil
}

// checkPath judges an address and its parameters and returns them as they stand
// on the wire.
func checkPath(addr string, params []string) (path, args string, err error) {
	if err := checkText("address", addr); err != nil {
		return "", "", err
	}
	bare := addr
	if strings.HasPrefix(addr, "<") && strings.HasSuffix(addr, ">") {
		bare = addr[1 : len(addr)-1]
	}
	if !strings.Contains(bare, `"`) && strings.ContainsAny(bare, "<> ,") {
		return "", "", fmt.Errorf("%w: address %q (RFC 5321 section 4.1.2)", ErrEdit, addr)
	}
	for _, p := range params {
		if err := checkText("parameter", p); err != nil {
			return "", "", err
		}
		if p == "" || strings.Contains(p, " ") {
			return "", "", fmt.Errorf("%w: parameter %q is no KEYWORD=value (RFC 5321 section 4.1.2)", ErrEdit, p)
		}
	}
	return "<" + bare + ">", strings.Join(params, " "), nil
}

func checkText(what, s string) error {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			return fmt.Errorf("%w: byte %q in %s", ErrEdit, c, what)
		}
	}
	return nil
}

// addsAtEnd reports whether ADDHEADER puts a field at the end of the header.
// Postfix always does. Sendmail puts it before the first field of the same name,
// unless it replaces one of its own.
func (c *conn) addsAtEnd(name string) bool {
	switch {
	case c.postfix.Load():
		return true
	case c.granted.Protocol&wire.NoHeaders != 0: // nothing is known of the message's fields
		return sendmailOwn[strings.ToLower(name)]
	case c.seen.has(name):
		return false
	}
	c.seen.add([]byte(name))
	return true
}
