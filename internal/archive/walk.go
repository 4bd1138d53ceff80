package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Walk lists what is in src, which is called name, and in the archives in it, and calls
// visit for each member before it looks into it. The order is that of the archive.
//
// visit may return [fs.SkipDir], then Walk does not look into this member, or [fs.SkipAll],
// then the walk ends without an error. Any other error ends the walk and is returned.
//
// Of the errors that Walk returns otherwise, one is ctx's and the rest come from reading src
// or from the spool. The report is right up to there. A src that is no archive, and
// one that is empty or blank whatever its name, has no members and no findings.
func Walk(ctx context.Context, src Source, name string, l Limits, visit func(Member) error) (Report, error) {
	w := &walk{ctx: ctx, l: l.filled(), visit: visit}
	w.end = w.l.Now().Add(w.l.Time)
	w.at = &container{w: w, path: []string{name}}
	if int64(len(name)) > w.l.NameBytes {
		w.limit(NameLimit, "")
		return w.rep, nil
	}
	w.look(guarded{src, w}, name, nil)
	return w.rep, w.err
}

var (
	// errEnd unwinds a walk that has ended; walk.err says why, or it is nil.
	errEnd = errors.New("archive: the walk has ended")
	// errFull is returned by reads when the limit of unpacked bytes is used up.
	errFull = errors.New("archive: too many unpacked bytes")
	// errWindow says that a decoder failed which got less memory than it asked for.
	errWindow = errors.New("archive: the dictionary is too large")
	// errMethod says that nothing here unpacks a member.
	errMethod = errors.New("archive: unknown method")
	// errEntries and errHeader say that a list of members is too long to be read.
	errEntries = errors.New("archive: too many members")
	errHeader  = errors.New("archive: the header is too long")
	// errPanic says that a library panicked.
	errPanic = errors.New("archive: panic")
)

// walk is the state of one Walk.
type walk struct {
	ctx   context.Context
	l     Limits
	visit func(Member) error
	end   time.Time
	rep   Report
	at    *container // the archive that is being listed

	ended    bool
	err      error
	visiting bool // a panic is the caller's
	full     bool

	names    int64 // bytes of names so far
	declared int64
	window   int64 // bytes held by dictionaries
	free     [][]byte
	stored   []byte // of zipStoredEnd
}

// container is one archive.
type container struct {
	w     *walk
	src   Source
	name  string
	path  []string // of the archives from the outermost to this one, its own name last
	kind  Kind
	noted map[noted]bool
}

type noted struct {
	what  What
	limit Limit
}

// fail ends the walk with an error.
func (w *walk) fail(err error) error {
	if !w.ended {
		w.ended, w.err = true, err
	}
	return errEnd
}

// check ends the walk when ctx is done or the time is over.
func (w *walk) check() error {
	if w.ended {
		return errEnd
	}
	if err := w.ctx.Err(); err != nil {
		return w.fail(err)
	}
	if w.l.Now().After(w.end) {
		return w.limit(TimeLimit, "")
	}
	return nil
}

// limit notes a limit that ends the walk.
func (w *walk) limit(l Limit, member string) error {
	w.find(Finding{What: LimitHit, Limit: l, Member: member})
	w.ended = true
	return errEnd
}

// find notes f for the archive at hand.
func (w *walk) find(f Finding) {
	c, key := w.at, noted{f.What, f.Limit}
	if c.noted[key] || w.ended {
		return
	}
	if c.noted == nil {
		c.noted = map[noted]bool{}
	}
	c.noted[key] = true
	if f.Path == nil {
		f.Path = c.path
	}
	if f.Kind == None {
		f.Kind = c.kind
	}
	f.Detail = f.Detail[:min(len(f.Detail), 200)]
	w.rep.Findings = append(w.rep.Findings, f)
}

// judge turns what went wrong, at a member or in the archive itself, into a finding.
// What it returns is not nil when the walk has ended.
func (w *walk) judge(err error, member string) error {
	switch {
	case w.ended:
		return errEnd
	case err == nil, w.full: // when full, what breaks breaks of that
		return nil
	case errors.Is(err, errWindow):
		w.find(Finding{What: LimitHit, Limit: WindowLimit, Member: member})
	case errors.Is(err, errEntries):
		w.find(Finding{What: LimitHit, Limit: EntriesLimit, Member: member})
	case errors.Is(err, errHeader):
		w.find(Finding{What: LimitHit, Limit: HeaderLimit, Member: member})
	case errors.Is(err, errMethod):
		w.find(Finding{What: Unread, Member: member})
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		w.find(Finding{What: Truncated, Member: member, Detail: err.Error()})
	default:
		w.find(Finding{What: Corrupt, Member: member, Detail: err.Error()})
	}
	return nil
}

// look finds out what src is and lists it.
func (w *walk) look(src Source, name string, path []string) error {
	path = append(path[:len(path):len(path)], name)
	outer := w.at
	defer func() { w.at = outer }()
	w.at = &container{w: w, src: src, name: name, path: path}

	ks, err := detectAll(src)
	if err != nil {
		return w.judge(err, "")
	}
	if named := kindByName(name); len(ks) == 0 && named != None {
		if empty, err := blank(src); empty || err != nil {
			return w.judge(err, "")
		}
		if named != Zip { // a zip without any of its marks may still hold local headers
			f := Finding{What: Corrupt, Kind: named, Detail: "it is not what its name says"}
			if !named.Listed() { // there are images without any mark
				f.What = Unlisted
			}
			w.find(f)
			return w.judge(nil, "")
		}
		ks = []Kind{Zip}
	}
	for _, k := range ks {
		if len(path) == 1 && w.rep.Kind == None {
			w.rep.Kind = k
		}
		w.at = &container{w: w, src: src, name: name, path: path, kind: k}
		if err := w.at.list(); err != nil {
			return err
		}
	}
	return nil
}

// list calls what lists archives of this kind.
func (c *container) list() (err error) {
	w := c.w
	list := listers()[c.kind]
	if list == nil {
		w.find(Finding{What: Unlisted})
		return w.judge(nil, "")
	}
	defer func() {
		if w.visiting {
			return // it panics on
		}
		if p := recover(); p != nil {
			err = w.judge(fmt.Errorf("%w: %v", errPanic, p), "")
		}
	}()
	return w.judge(list(c), "")
}

// blank reports whether src holds nothing but white space.
func blank(src Source) (bool, error) {
	if src.Size() > 4096 {
		return false, nil
	}
	b := make([]byte, src.Size())
	n, err := readAt(src, b, 0)
	for _, c := range b[:n] {
		if c > ' ' {
			return false, err
		}
	}
	return true, err
}

// guarded is a source that ends the walk when it cannot be read, or when it is time.
type guarded struct {
	Source
	w *walk
}

func (g guarded) ReadAt(p []byte, off int64) (int, error) {
	if err := g.w.check(); err != nil {
		return 0, err
	}
	n, err := g.Source.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, g.w.fail(err)
	}
	return n, err
}

// meter counts what is unpacked.
type meter struct {
	r io.Reader
	w *walk
}

func (m meter) Read(p []byte) (int, error) {
	if err := m.w.check(); err != nil {
		return 0, err
	}
	left := m.w.l.Unpacked - m.w.rep.Unpacked
	if m.w.full || left <= 0 {
		m.w.full = true
		m.w.find(Finding{What: LimitHit, Limit: UnpackedLimit})
		return 0, errFull
	}
	n, err := m.r.Read(p[:min(int64(len(p)), left, 64<<10)])
	m.w.rep.Unpacked += int64(n)
	return n, err
}
