package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/mta"
)

// A maildir is a folder of messages in the format of the same name: one file each,
// written in tmp and moved to new when it is complete and on the disk.
type maildir struct {
	dir  string
	host string
	n    atomic.Int64
}

// openMaildir makes what is missing of a maildir.
func openMaildir(dir string) (*maildir, error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return &maildir{dir: dir, host: strings.NewReplacer("/", `\057`, ":", `\072`).Replace(host)}, nil
}

// deliver stores a message with its envelope in front and returns the file's path.
// The file is complete and on the disk, or there is none.
func (m *maildir) deliver(from string, rcpts []string, msg []byte) (path string, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <%s>\n", printable(from)) // a milter may have put anything in
	for _, r := range rcpts {
		fmt.Fprintf(&b, "Delivered-To: %s\n", printable(r))
	}
	b.Write(unixLines(msg))

	now := time.Now()
	name := fmt.Sprintf("%d.M%dP%dQ%d.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), m.n.Add(1), m.host)
	tmp, final := filepath.Join(m.dir, "tmp", name), filepath.Join(m.dir, "new", name)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	_, err = f.Write(b.Bytes())
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", err
	}
	// A link fails where a rename would replace another message of that name.
	if err = os.Link(tmp, final); err != nil {
		return "", err
	}
	os.Remove(tmp)
	return final, syncDir(filepath.Dir(final))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// unixLines returns the message with LF for CRLF, as files have it here.
func unixLines(msg []byte) []byte { return bytes.ReplaceAll(msg, []byte("\r\n"), []byte("\n")) }

// A mailbox is a Maildir, and one below it for what milters want to be held.
type mailbox struct {
	inbox *maildir
	held  func() (*maildir, error)
}

func openMailbox(dir string) (*mailbox, error) {
	inbox, err := openMaildir(dir)
	if err != nil {
		return nil, err
	}
	return &mailbox{inbox, sync.OnceValues(func() (*maildir, error) { return openMaildir(filepath.Join(dir, ".Held")) })}, nil
}

// take stores what is to be delivered or held, and returns where.
func (b *mailbox) take(res *mta.Result) (path string, err error) {
	if res.Verdict != mta.Accept || len(res.Envelope.Rcpts) == 0 {
		return "", nil
	}
	dir := b.inbox
	if res.Quarantine != nil {
		if dir, err = b.held(); err != nil {
			return "", err
		}
	}
	return dir.deliver(res.Envelope.From, res.Envelope.Addresses(), res.Message.Bytes())
}
