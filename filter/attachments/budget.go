package attachments

import (
	"time"

	"github.com/gomilter/gomilter/internal/archive"
	"github.com/gomilter/gomilter/message"
)

// What looking into all archives of one message, and into the messages that come with it
// as files, may take together, by default.
const (
	defaultTime     = 20 * time.Second
	defaultUnpacked = 1 << 30
	defaultWindow   = 32 << 20
	defaultEntries  = 10_000
	defaultDepth    = 5
)

// A room lends spools, and tells under which limits messages are read: a
// filter.Transaction.
type room interface {
	NewSpool() *message.Spool
	FreeSpool(*message.Spool) error
	MIME() message.Options
}

// A budget is what is left of that.
type budget struct {
	t        room
	limits   archive.Limits
	began    time.Time
	unpacked int64
	parts    int // of the messages that come as files
	depth    int // of the one being looked into
}

func newBudget(t room, l archive.Limits) *budget {
	if l.Time == 0 {
		l.Time = defaultTime
	}
	if l.Unpacked == 0 {
		l.Unpacked = defaultUnpacked
	}
	if l.Window == 0 {
		l.Window = defaultWindow
	}
	if l.Entries == 0 {
		l.Entries = defaultEntries
	}
	if l.Depth == 0 {
		l.Depth = defaultDepth
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Spool == nil {
		l.Spool = func() (archive.Spool, error) { return t.NewSpool(), nil }
	}
	return &budget{t: t, limits: l, began: l.Now()}
}

// left returns the limits of the next archive; false when nothing is left.
func (b *budget) left() (archive.Limits, bool) {
	l := b.limits
	l.Time -= l.Now().Sub(b.began)
	l.Unpacked -= b.unpacked
	return l, l.Time > 0 && l.Unpacked > 0
}

// message takes what reading a message of a size costs; false when nothing is left.
func (b *budget) message(size int64) bool {
	b.unpacked += size
	_, ok := b.left()
	return ok && b.depth <= b.limits.Depth
}

// part takes what looking at a part costs; false when nothing is left. Those of the
// message itself are free: message.Options limits them.
func (b *budget) part() bool {
	if b.depth > 0 {
		b.parts++
	}
	return b.parts <= b.limits.Entries
}
