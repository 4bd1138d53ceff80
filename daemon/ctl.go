package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

func (c *Control) ask(ctx context.Context, method, path string, to any) (code int, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
		}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://gomilter"+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("control socket %s: %w", c.Socket, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, fmt.Errorf("control socket %s: %w", c.Socket, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusUnprocessableEntity:
	default:
		return 0, fmt.Errorf("control socket %s: %s: %s", c.Socket, resp.Status, bytes.TrimSpace(b[:min(len(b), 200)]))
	}
	if err := json.Unmarshal(b, to); err != nil {
		return 0, fmt.Errorf("control socket %s: the answer is no JSON: %w", c.Socket, err)
	}
	return resp.StatusCode, nil
}
