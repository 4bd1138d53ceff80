package offline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Message is one message to be tested.
type Message struct {
	File string // where it is from: a path, with "#" and its number in a mailbox file
	Name string // of a file of its own, see CheckNames
	Data []byte
	Line string // that parts it from others in a mailbox file; "" elsewhere
	Err  error  // why it cannot be read; there is no Data then
}

// An Input is what a path stands for: one message or many.
type Input struct {
	Path string

	format Format
	kind   kind
	size   int64
	files  []string // of a Maildir, from its folder
	err    error    // why it cannot be read
}

type kind uint8

const (
	aMessage kind = iota
	aMailbox
	aMaildir
	aStream // standard input or a pipe: a message or a mailbox
)

var (
	errEmpty     = errors.New("is empty")
	errDirectory = errors.New("is a folder, and no Maildir")
)

// stdinName is the name of a message from standard input.
const stdinName = "stdin.eml"

// Find returns what paths stand for: a Maildir, a mailbox file, a message; "-" is
// standard input. What cannot be read is found out as its turn comes. Of a Maildir the
// messages in new and cur are taken, in the order of their names.
func Find(f Format, paths ...string) []*Input {
	inputs := make([]*Input, len(paths))
	for i, path := range paths {
		in := &Input{Path: path, format: f}
		in.err = in.find()
		inputs[i] = in
	}
	return inputs
}

func (in *Input) find() error {
	if in.Path == "-" {
		in.kind = aStream
		return nil
	}
	info, err := os.Stat(in.Path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		in.kind = aMaildir
		return in.list()
	case !info.Mode().IsRegular():
		in.kind = aStream
		return nil
	}
	in.size = info.Size()
	switch in.format {
	case MboxRD, MboxO:
		in.kind = aMailbox
	case Auto:
		f, err := os.Open(in.Path)
		if err != nil {
			return err
		}
		defer f.Close()
		var head [5]byte
		n, err := io.ReadFull(f, head[:])
		switch {
		case isSeparator(head[:n]):
			in.kind = aMailbox
		case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
			return err
		}
	}
	return nil
}

// list lists a Maildir.
func (in *Input) list() error {
	found := false
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(in.Path, sub))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = true
		for _, e := range entries {
			if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			in.files = append(in.files, filepath.Join(sub, e.Name()))
			if info, err := e.Info(); err == nil {
				in.size += info.Size()
			}
		}
	}
	if !found {
		return &fs.PathError{Op: "read", Path: in.Path, Err: errDirectory}
	}
	slices.SortStableFunc(in.files, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	return nil
}

// Size returns the bytes of all inputs, and whether all are known.
func Size(inputs []*Input) (bytes int64, ok bool) {
	ok = true
	for _, in := range inputs {
		bytes += in.size
		ok = ok && in.kind != aStream
	}
	return bytes, ok
}

// ErrNames is in the errors of CheckNames.
var ErrNames = errors.New("two messages would have one name")

var numbered = regexp.MustCompile(`^[0-9]{6,}\.eml$`)

// CheckNames returns an error where messages would have the same name, or may: a file
// has its own, those of a mailbox file are NNNNNN.eml by their number, and one from
// standard input is stdin.eml.
func CheckNames(inputs []*Input) error {
	seen := make(map[string]string)
	var mailbox, number string
	add := func(name, path string) error {
		if before, ok := seen[name]; ok {
			return fmt.Errorf("%w, %s: %s and %s", ErrNames, name, before, path)
		}
		if seen[name] = path; numbered.MatchString(name) {
			number = path
		}
		return nil
	}
	for _, in := range inputs {
		var err error
		switch {
		case in.err != nil:
			continue
		case in.kind == aMailbox, in.kind == aStream && in.format != None:
			if mailbox != "" {
				return fmt.Errorf("%w, %s: %s and %s", ErrNames, numberName(1), mailbox, in.Path)
			}
			if mailbox = in.Path; in.kind == aStream {
				err = add(in.name(), in.Path)
			}
		case in.kind == aMaildir:
			for _, f := range in.files {
				if err = add(filepath.Base(f), filepath.Join(in.Path, f)); err != nil {
					break
				}
			}
		default:
			err = add(in.name(), in.Path)
		}
		if err != nil {
			return err
		}
	}
	if mailbox != "" && number != "" && mailbox != number {
		return fmt.Errorf("%w: %s is called as those of %s are", ErrNames, number, mailbox)
	}
	return nil
}

// name returns the name of the only message.
func (in *Input) name() string {
	if in.Path == "-" {
		return stdinName
	}
	return filepath.Base(in.Path)
}

func numberName(n int) string { return fmt.Sprintf("%06d.eml", n) }

// A reader reads inputs.
type reader struct {
	stdin io.Reader
	room  *budget
	max   int64
}

// messages yields the messages of an input, each with as much of the budget as its
// Data has room. It returns the error of yield or of ctx.
func (r *reader) messages(ctx context.Context, in *Input, yield func(*Message) error) error {
	bad := func(file string, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return yield(&Message{File: file, Err: err})
	}
	if in.err != nil {
		return bad(in.Path, in.err)
	}
	if in.kind == aMaildir {
		for _, name := range in.files {
			path := filepath.Join(in.Path, name)
			m, err := r.file(ctx, path)
			if err != nil {
				err = bad(path, err)
			} else {
				err = yield(m)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	src := io.NopCloser(r.stdin)
	if in.Path != "-" {
		if in.kind == aMessage {
			m, err := r.file(ctx, in.Path)
			if err != nil {
				return bad(in.Path, err)
			}
			return yield(m)
		}
		f, err := os.Open(in.Path)
		if err != nil {
			return bad(in.Path, err)
		}
		src = f
	}
	defer src.Close()
	br := bufio.NewReaderSize(src, mboxBuffer)
	mailbox := in.kind == aMailbox || in.format == MboxRD || in.format == MboxO
	if !mailbox && in.format == Auto {
		head, _ := br.Peek(5) // an error comes again
		mailbox = isSeparator(head)
	}
	if !mailbox {
		m, err := r.whole(ctx, in.Path, in.name(), br, -1)
		if err != nil {
			return bad(in.Path, err)
		}
		return yield(m)
	}
	box := newMbox(br, in.format)
	for n := 1; ; n++ {
		b := &buffer{ctx: ctx, room: r.room, max: r.max}
		line, err := box.next(b)
		file := fmt.Sprintf("%s#%d", in.Path, n)
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, ErrMbox):
			return bad(in.Path, err)
		case err == nil:
			err = yield(&Message{File: file, Name: numberName(n), Data: b.b, Line: line})
		default:
			over := err != ErrTooLarge
			if err = bad(file, err); over {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// file reads one message from a file.
func (r *reader) file(ctx context.Context, path string) (*Message, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int64(-1)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return r.whole(ctx, path, filepath.Base(path), f, size)
}

// whole reads one message; size is what it most likely has, -1 for unknown.
func (r *reader) whole(ctx context.Context, file, name string, src io.Reader, size int64) (*Message, error) {
	b := &buffer{ctx: ctx, room: r.room, max: r.max}
	err := b.grow(max(size, 0))
	if err == nil {
		_, err = io.Copy(b, src)
	}
	if err == nil && len(b.b) == 0 {
		err = errEmpty
	}
	if err != nil {
		b.drop()
		return nil, err
	}
	return &Message{File: file, Name: name, Data: b.b}, nil
}
