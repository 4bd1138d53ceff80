package peertest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// readSendmailQueue reads the files of a queue directory: qf holds the envelope
// and the header, hf does so for a quarantined mail, df holds the body.
func readSendmailQueue(dir string) ([]Queued, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []Queued
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, "qf") && !strings.HasPrefix(name, "hf") {
			continue
		}
		control, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // delivered in the meantime
		}
		if err != nil {
			return nil, err
		}
		q := parseSendmailControl(string(control))
		q.ID = name[2:]
		if name[0] == 'h' {
			q.State = Quarantined
		}
		q.Body, err = os.ReadFile(filepath.Join(dir, "df"+q.ID))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("body of %s: %w", q.ID, err)
		}
		out = append(out, q)
	}
	return out, nil
}

// parseSendmailControl reads a qf file: one letter a line says what it is, white
// space there continues the line before (doc/op/op.me, appendix B).
func parseSendmailControl(control string) Queued {
	q := Queued{State: Active}
	last, tried := byte(0), false
	for line := range strings.Lines(control) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		code, value := line[0], line[1:]
		switch code {
		case '.':
			return q
		case 'S':
			q.Sender = strings.Trim(value, "<>")
		case 'R': // flags:address
			_, addr, _ := strings.Cut(value, ":")
			q.Rcpts = append(q.Rcpts, strings.Trim(addr, "<>"))
		case 'q': // quarantine reason
			q.Reason = value
		case 'N': // attempts so far
			tried = value != "0"
		case 'M': // what the last attempt ended with, if there was one
			if !tried {
				break
			}
			q.State = Deferred
			if q.Reason == "" {
				q.Reason = value
			}
		case 'H': // ?mailer flags?Name: value
			if rest, ok := strings.CutPrefix(value, "?"); ok {
				_, value, _ = strings.Cut(rest, "?")
			}
			name, text, _ := strings.Cut(value, ":")
			q.Header = append(q.Header, Field{name, text})
		case ' ', '\t':
			if last == 'H' {
				q.Header[len(q.Header)-1].Value += "\n" + line
			}
			continue
		}
		last = code
	}
	return q
}
