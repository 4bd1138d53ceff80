package wire

import (
	"cmp"
	"slices"
	"strings"
)

// appendIndex is larger than any number of header fields: both MTAs insert at
// the end then.
const appendIndex = 1 << 16

// An EditQueue holds the edits that a filter makes at the end of a message, but
// for the body, and puts them into the order in which they mean the same to both
// MTAs. Names, values and addresses are to be checked before.
//
// Each method is given a function that is told the size of the frame, its head
// included, and may refuse it by an error: then nothing was queued.
type EditQueue struct {
	header []headerEdit
	buf    []byte // names and values of header
	env    []byte // frames
	hold   []byte // frame
}

// A headerEdit is an edit of the header in the order of the calls. Its name and
// value, as they stand on the wire, are EditQueue.buf[start:end].
type headerEdit struct {
	op         byte // code of the reply it is made for
	number     uint32
	name       string
	start, end int
}

// AddHeader queues a field for the end of the header. With leading set, values
// carry the blank behind the colon (HDR_LEADSPC).
func (q *EditQueue) AddHeader(name, value string, leading bool, admit func(int) error) error {
	return q.queueHeader(ReplyAddHeader, appendIndex, name, value, leading, admit)
}

// InsertHeader queues a field for a place.
func (q *EditQueue) InsertHeader(position int, name, value string, leading bool, admit func(int) error) error {
	return q.queueHeader(ReplyInsertHeader, uint32(min(position, appendIndex)), name, value, leading, admit)
}

// ChangeHeader queues a change of the n-th field of a name, or with an empty
// value its deletion. Of several changes to one field the last counts.
func (q *EditQueue) ChangeHeader(name string, n int, value string, leading bool, admit func(int) error) error {
	return q.queueHeader(ReplyChangeHeader, uint32(min(n, appendIndex)), name, value, leading && value != "", admit)
}

func (q *EditQueue) queueHeader(op byte, number uint32, name, value string, leading bool, admit func(int) error) error {
	start := len(q.buf)
	b := AppendString(q.buf, name)
	if leading {
		b = append(b, ' ')
	}
	b = AppendString(b, value)
	if err := admit(HeadSize + 4 + len(b) - start); err != nil {
		return err
	}
	q.buf = b
	if op == ReplyChangeHeader {
		q.header = slices.DeleteFunc(q.header, func(h headerEdit) bool {
			return h.op == op && h.number == number && strings.EqualFold(h.name, name)
		})
	}
	q.header = append(q.header, headerEdit{op, number, name, start, len(b)})
	return nil
}

// Path queues an edit of the envelope: ReplyAddRcpt, ReplyAddRcptParams,
// ReplyDeleteRcpt or ReplyChangeFrom.
func (q *EditQueue) Path(code byte, addr, args string, admit func(int) error) error {
	b, at := BeginFrame(q.env, code)
	b = AppendString(b, addr)
	if args != "" {
		b = AppendString(b, args)
	}
	b = EndFrame(b, at)
	if err := admit(len(b) - len(q.env)); err != nil {
		return err
	}
	q.env = b
	return nil
}

// Quarantine queues a quarantine. Of several the last counts.
func (q *EditQueue) Quarantine(reason string, admit func(int) error) error {
	b, at := BeginFrame(nil, ReplyQuarantine)
	b = EndFrame(AppendString(b, reason), at)
	if err := admit(len(b)); err != nil {
		return err
	}
	q.hold = b
	return nil
}

// Empty reports whether nothing was queued.
func (q *EditQueue) Empty() bool { return len(q.header)+len(q.env)+len(q.hold) == 0 }

// A Ground is what the order and the kind of edits depend on.
type Ground struct {
	Postfix bool                  // the MTA is Postfix
	Count   func(name string) int // how many fields of a name the filter was shown; nil if it does not know
	MayAdd  bool                  // adding fields was granted
}

// AppendFrames appends the frames of all edits.
//
// Fields of one name are changed from the last to the first: Postfix renumbers
// after a deletion, Sendmail does not, and this way both mean the same field. A
// change of a field that is not there is made an addition, since each MTA has its
// own place for one. The queue is not to be added to any more.
func (q *EditQueue) AppendFrames(out []byte, g Ground) []byte {
	edits := q.header[:0]
	for _, h := range q.header {
		if g.Count != nil && g.MayAdd && h.op == ReplyChangeHeader && int(h.number) > g.Count(h.name) {
			if h.end-h.start == len(h.name)+len("\x00\x00") {
				continue // nothing to delete
			}
			h.op = ReplyAddHeader
		}
		edits = append(edits, h)
	}
	q.header = edits
	slices.SortStableFunc(edits, func(a, b headerEdit) int { return cmp.Compare(b.turn(), a.turn()) })
	for i, h := range edits {
		if h.op == ReplyAddHeader && !g.addsAtEnd(h.name, edits[:i]) {
			h.op, h.number = ReplyInsertHeader, appendIndex
		}
		b, at := BeginFrame(out, h.op)
		if h.op != ReplyAddHeader {
			b = append(b, byte(h.number>>24), byte(h.number>>16), byte(h.number>>8), byte(h.number))
		}
		out = EndFrame(append(b, q.buf[h.start:h.end]...), at)
	}
	out = append(out, q.env...)
	return append(out, q.hold...)
}

// turn tells the order of edits, the highest first: changes from the last field
// to the first, then all others.
func (h headerEdit) turn() uint32 {
	if h.op == ReplyChangeHeader {
		return h.number
	}
	return 0
}

// addsAtEnd reports whether ADDHEADER puts a field at the end of the header, or
// in the place that is Sendmail's own. Postfix always does the former. Sendmail
// puts it before the first field of the same name, its own Received included, and
// where it supplies one itself in the place of that. before are the edits that
// leave earlier.
func (g Ground) addsAtEnd(name string, before []headerEdit) bool {
	lower := strings.ToLower(name)
	switch {
	case g.Postfix:
		return true
	case g.Count != nil && g.Count(name) > 0 || lower == "received" || g.Count == nil && !sendmailOwn[lower]:
		return false
	}
	return !slices.ContainsFunc(before, func(h headerEdit) bool {
		return strings.EqualFold(h.name, name) && (h.op == ReplyAddHeader || !sendmailOwn[lower])
	})
}

// sendmailOwn are fields that Sendmail supplies itself, in lower case. It
// replaces its own by an added one, but not by an inserted one.
var sendmailOwn = map[string]bool{"date": true, "from": true, "full-name": true, "message-id": true,
	"resent-date": true, "resent-from": true, "resent-message-id": true, "return-path": true}
