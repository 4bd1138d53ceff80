package attachments

import (
	"time"

	"github.com/gomilter/gomilter/internal/archive"
)

// What looking into all archives of one message may take together, by default.
const (
	defaultTime     = 20 * time.Second
	defaultUnpacked = 1 << 30
	defaultWindow   = 32 << 20
)

// A budget is what is left of that.
type budget struct {
	limits   archive.Limits
	began    time.Time
	unpacked int64
	messages int // attached ones that were looked into
	depth    int // of the one being looked into
}

func newBudget(l archive.Limits) *budget {
	if l.Time == 0 {
		l.Time = defaultTime
	}
	if l.Unpacked == 0 {
		l.Unpacked = defaultUnpacked
	}
	if l.Window == 0 {
		l.Window = defaultWindow
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	return &budget{limits: l, began: l.Now()}
}

// left returns the limits of the next archive; false when nothing is left.
func (b *budget) left() (archive.Limits, bool) {
	l := b.limits
	l.Time -= l.Now().Sub(b.began)
	l.Unpacked -= b.unpacked
	return l, l.Time > 0 && l.Unpacked > 0
}
