package archive

import (
	"fmt"
	"io"
	"io/fs"
)

// headSize is how much of a member's content Head shows.
const headSize = 3072

// A Member is a file, a directory or a link in an archive.
//
// Its names are bytes of the sender: they may be empty, absolute, lead upwards, hold
// any byte, and be no UTF-8.
type Member struct {
	Name      string
	Names     []string // every spelling that some program would show, Name first
	Path      []string // names of the archives it is in, the outermost first; not to be changed
	Kind      Kind     // of the archive it is in
	Size      int64    // as declared, in bytes; -1 where nothing says
	Encrypted bool     // its content is
	Dir       bool
	Link      string // where a link leads, if tar or rar tell

	content *content
}

// Head returns the first 3072 bytes of the content, unpacked now if they were not before,
// or less where there are no more. It returns nil for what is encrypted or cannot be
// read. The bytes are lent until visit returns; behind that Head returns nil.
func (m Member) Head() []byte {
	if m.content == nil {
		return nil
	}
	b := m.content.peek()
	if len(b) == 0 && !m.content.ended {
		return nil
	}
	return b[:min(len(b), headSize):min(len(b), headSize)]
}

// Content returns all of the content, unpacked into a spool now if it was not before; what
// cannot be unpacked is missing from its end, and a [Finding] tells. It returns nil for what
// is encrypted or cannot be read. It can be read until visit returns, and its errors end the
// walk.
func (m Member) Content() Source {
	if m.content == nil || m.content.closed {
		return nil
	}
	src, err := m.content.all()
	if err != nil {
		return nil
	}
	return src
}

// entry is a member as its archive lists it.
type entry struct {
	names     []string // one at least
	size      int64
	encrypted bool
	dir       bool
	link      string
	again     bool // what is inside has been listed
	borrowed  bool // the first name is that of the archive: it promises nothing of the content
	// section is the content where it lies in the archive as it is. Else open unpacks it; a
	// nil open is content that cannot be unpacked.
	section Source
	open    func() (io.ReadCloser, error)
}

// member visits e and looks into it. Its error ends the walk.
func (c *container) member(e entry) error {
	w := c.w
	if err := w.check(); err != nil {
		return err
	}
	name := e.names[0]
	if w.rep.Members >= w.l.Entries {
		return w.limit(EntriesLimit, "")
	}
	e.names = distinct(e.names)
	for _, n := range e.names {
		w.names += int64(len(n))
	}
	if w.names > w.l.NameBytes {
		return w.limit(NameLimit, "")
	}
	w.rep.Members++
	if e.size > 0 {
		if w.declared += min(e.size, w.l.Unpacked+1); w.declared > w.l.Unpacked {
			w.declared = w.l.Unpacked + 1
			w.find(Finding{What: LimitHit, Limit: DeclaredLimit, Member: name})
		}
	}
	if e.encrypted {
		w.find(Finding{What: Encrypted, Member: name})
		e.open, e.section = nil, nil
	} else if e.open == nil && e.section == nil && !e.dir && e.link == "" && e.size != 0 {
		w.find(Finding{What: Unread, Member: name})
	}
	m := Member{Name: name, Names: e.names, Path: c.path, Kind: c.kind, Size: e.size, Encrypted: e.encrypted, Dir: e.dir, Link: e.link}
	if e.open != nil || e.section != nil {
		m.content = &content{c: c, e: &e}
		defer m.content.close()
	}
	w.visiting = true
	err := w.visit(m)
	w.visiting = false
	switch {
	case w.ended:
		return errEnd
	case err == fs.SkipDir:
		return nil
	case err == fs.SkipAll:
		return w.fail(nil)
	case err != nil:
		return w.fail(err)
	case e.dir || e.again || m.content == nil:
		return nil
	}
	return m.content.nested()
}

// distinct drops names that were there before.
func distinct(names []string) []string {
	out := names[:0:0]
next:
	for _, n := range names {
		for _, o := range out {
			if n == o {
				continue next
			}
		}
		out = append(out, n)
	}
	return out
}

// content is what a member holds.
type content struct {
	c      *container
	e      *entry
	opened bool
	closed bool
	rc     io.ReadCloser
	buf    []byte // its first bytes
	ended  bool   // buf is all
	sp     Spool  // all of it, where it had to be unpacked; nil for not yet
}

// peek returns the first peekSize bytes.
func (t *content) peek() []byte {
	if !t.opened && !t.closed {
		t.opened = true
		t.c.w.judge(t.fill(), t.e.names[0])
	}
	return t.buf
}

func (t *content) fill() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	w := t.c.w
	if t.e.section != nil {
		t.rc = io.NopCloser(io.NewSectionReader(t.e.section, 0, t.e.section.Size()))
	} else if t.rc, err = t.e.open(); err != nil {
		t.rc = nil
		return err
	}
	if n := len(w.free); n > 0 {
		t.buf, w.free = w.free[n-1], w.free[:n-1]
	} else {
		t.buf = make([]byte, 0, peekSize)
	}
	r := meter{t.rc, w}
	for len(t.buf) < cap(t.buf) {
		n, err := r.Read(t.buf[len(t.buf):cap(t.buf)])
		t.buf = t.buf[:len(t.buf)+n]
		if err == io.EOF {
			t.ended = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shut closes what unpacks, so that its memory is free.
func (t *content) shut() {
	if t.rc == nil {
		return
	}
	defer func() { recover() }() // of a library that may have panicked before
	t.rc.Close()
	t.rc = nil
}

func (t *content) close() {
	t.shut()
	t.closed = true
	if t.sp != nil {
		t.sp.Close()
		t.sp = nil
	}
	if t.buf != nil {
		t.c.w.free = append(t.c.w.free, t.buf[:0])
		t.buf = nil
	}
}

// nested looks into the content where it may be an archive.
func (t *content) nested() error {
	w, name := t.c.w, t.e.names[0]
	head := t.peek()
	if w.ended {
		return errEnd
	}
	if len(head) == 0 {
		return nil
	}
	kind := detectHead(head)
	named := None
	for i, n := range t.e.names {
		if i == 0 && t.e.borrowed {
			continue
		}
		if k := kindByName(n); k != None && named == None {
			name, named = n, k
		}
	}
	switch {
	case kind == None && named == None && !program(head):
		return nil
	case len(t.c.path) >= w.l.Depth:
		if kind != None || named != None {
			w.find(Finding{What: LimitHit, Limit: DepthLimit, Member: name})
		}
		return nil
	case kind != None && !kind.Listed():
		w.names += int64(len(name))
		w.at = &container{w: w, kind: kind, path: append(t.c.path[:len(t.c.path):len(t.c.path)], name)}
		w.find(Finding{What: Unlisted})
		w.at = t.c
		return nil
	}
	src, err := t.all()
	if err != nil {
		return err
	}
	return w.look(src, name, t.c.path)
}

// all returns the content as a source. An error means that the walk has ended.
func (t *content) all() (Source, error) {
	w := t.c.w
	switch {
	case t.e.section != nil:
		return t.e.section, nil
	case t.sp != nil:
		return guarded{t.sp, w}, nil
	}
	t.peek()
	if w.ended {
		return nil, errEnd
	}
	sp, err := w.l.Spool()
	if err != nil {
		return nil, w.fail(fmt.Errorf("archive: spool: %w", err))
	}
	t.sp = sp
	if err := w.judge(t.unpack(sp), t.e.names[0]); err != nil {
		return nil, err
	}
	t.shut()
	return guarded{sp, w}, nil
}

// unpack writes all of the content to sp.
func (t *content) unpack(sp Spool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	w := t.c.w
	if _, err := sp.Write(t.buf); err != nil {
		return w.fail(fmt.Errorf("archive: spool: %w", err))
	}
	if t.ended || len(t.buf) < cap(t.buf) {
		return nil // it ended, or it broke, which has been noted
	}
	r, buf := meter{t.rc, w}, make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if _, werr := sp.Write(buf[:n]); werr != nil {
			return w.fail(fmt.Errorf("archive: spool: %w", werr))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
