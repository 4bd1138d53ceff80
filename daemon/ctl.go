package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"

	"github.com/gomilter/gomilter/quarantine"
)

// A Control asks a running daemon over its control socket.
type Control struct {
	Socket string // the path
}

// maxAnswer bounds the answer of a daemon.
const maxAnswer = 64 << 20

// ErrRefused is in the error of a reload that the daemon refused.
var ErrRefused = errors.New("the configuration was refused, the one before stays in force")

// Status asks how the daemon fares.
func (c *Control) Status(ctx context.Context) (Status, error) {
	var s Status
	_, err := c.ask(ctx, "GET", "/status", &s)
	return s, err
}

// Reload makes the daemon read its configuration anew. The error wraps ErrRefused
// when the daemon did not like it, and the one before is in force.
func (c *Control) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	code, err := c.ask(ctx, "POST", "/reload", &r)
	if err == nil && code == http.StatusUnprocessableEntity {
		err = fmt.Errorf("%w: %s", ErrRefused, r.Error)
	}
	return r, err
}

// Drain makes the daemon stop once its running messages have finished.
func (c *Control) Drain(ctx context.Context) error {
	_, err := c.ask(ctx, "POST", "/drain", &struct{}{})
	return err
}

// Kept asks for the entries of the originals that are kept, newest first. An error
// is the last.
func (c *Control) Kept(ctx context.Context) iter.Seq2[quarantine.Entry, error] {
	return func(yield func(quarantine.Entry, error) bool) {
		resp, err := c.request(ctx, "GET", "/kept")
		if err != nil {
			yield(quarantine.Entry{}, err)
			return
		}
		defer resp.Body.Close()
		for in := json.NewDecoder(resp.Body); ; {
			var e quarantine.Entry
			err := in.Decode(&e)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(e, fmt.Errorf("control socket %s: %w", c.Socket, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (c *Control) ask(ctx context.Context, method, path string, to any) (code int, err error) {
	resp, err := c.request(ctx, method, path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, fmt.Errorf("control socket %s: %w", c.Socket, err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		return 0, fmt.Errorf("control socket %s: the answer is no JSON: %w", c.Socket, err)
	}
	return resp.StatusCode, nil
}

// request returns an answer that is one of a daemon's.
func (c *Control) request(ctx context.Context, method, path string) (*http.Response, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
		}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://gomilter"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", c.Socket, errors.Unwrap(err))
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusUnprocessableEntity:
		return resp, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	return nil, fmt.Errorf("control socket %s: %s: %s", c.Socket, resp.Status, bytes.TrimSpace(b))
}
