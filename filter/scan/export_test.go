package scan

import (
	"context"
	"errors"
	"time"
)

type brokenBody struct{}

func (brokenBody) Size() int64 { return 1 << 20 }
func (brokenBody) ReadAt(p []byte, off int64) (int, error) {
	if off < 1<<19 {
		return len(p), nil
	}
	return 0, errors.New("disk on fire")
}

// SendBroken has a message scanned that cannot be read to its end.
func SendBroken(ctx context.Context, o Options) error {
	s, err := newScan("broken", o)
	if err != nil {
		return err
	}
	l := &letter{head: []byte("Subject: x\r\n\r\n"), body: brokenBody{}, ip: "192.0.2.25", now: time.Unix(0, 0)}
	_, _, failures, err := s.pool.ask(ctx, s.scanner, l)
	if len(failures.tries) > 0 {
		return failures
	}
	return err
}
