package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/gomilter/gomilter/daemon"
	"github.com/gomilter/gomilter/daemon/config"
)

type ctlCmd struct {
	Status ctlStatusCmd `cmd:"" help:"How the daemon fares."`
	Reload ctlReloadCmd `cmd:"" help:"Read the configuration anew; a bad one is refused."`
	Drain  ctlDrainCmd  `cmd:"" help:"Stop once running messages have finished."`
	Kept   ctlKeptCmd   `cmd:"" help:"List the originals that the daemon keeps."`
}

// controlFlags find the daemon.
type controlFlags struct {
	settings
	Control string        `placeholder:"PATH" help:"The control socket (default: that of the configuration)."`
	Timeout time.Duration `default:"1m" help:"How long to wait for the answer (default: ${default})."`
}

// open returns the daemon's control, and a context for one question.
func (c *controlFlags) open() (*daemon.Control, context.Context, context.CancelFunc, error) {
	path := c.Control
	if path == "" {
		if path = c.configuredControl(); path == "" {
			return nil, nil, nil, exitf(exitConfig, "the configuration has no control socket")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	return &daemon.Control{Socket: path}, ctx, cancel, nil
}

// configuredControl returns the control socket of the configuration. One that is
// broken is no reason not to find the daemon, which runs with another: then it is
// the default, unless the configuration can be read that far.
func (c *controlFlags) configuredControl() string {
	if src, err := c.load(); err == nil {
		if cfg, _ := src.Parse(); cfg != nil {
			return cfg.Control.Socket
		}
		return src.ControlSocket()
	}
	return config.DefaultControlSocket
}

// failed gives an error of the control socket its exit code.
func failed(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return exitf(exitUnavailable, "%w: gomilter does not run", err)
	case errors.Is(err, daemon.ErrRefused):
		return exit(exitConfig, err)
	}
	return exit(exitUnavailable, err)
}

type ctlStatusCmd struct {
	controlFlags
	JSON bool `name:"json" help:"One object."`
}

func (c *ctlStatusCmd) Run(std stdio) error {
	ctl, ctx, cancel, err := c.open()
	if err != nil {
		return err
	}
	defer cancel()
	s, err := ctl.Status(ctx)
	if err != nil {
		return failed(err)
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(s)
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	state := "ready"
	if len(s.NotReady) > 0 {
		state = "NOT READY: " + strings.Join(s.NotReady, "; ")
	}
	fmt.Fprintf(w, "gomilter\t%s, process %d, since %s\n", cmp.Or(s.Version, "unknown"), s.PID, s.Started.Format(time.RFC3339))
	fmt.Fprintf(w, "state\t%s\n", state)
	fmt.Fprintf(w, "configuration\tnumber %d of %s, %s\n", s.Generation, s.Loaded.Format(time.RFC3339), strings.Join(s.Files, ", "))
	if s.Refused != "" {
		fmt.Fprintf(w, "\tthe last one was refused: %s\n", strings.ReplaceAll(s.Refused, "\n", "\n\t"))
	}
	for _, l := range s.Listeners {
		fmt.Fprintf(w, "listener\t%s at %s, %s\n", l.Name, l.Socket, count(l.Connections, "connection"))
		for _, f := range l.Filters {
			fmt.Fprintf(w, "\t%s (%s)\n", f.Name, f.Mode)
		}
	}
	if s.Earlier > 0 {
		fmt.Fprintf(w, "earlier\t%s with configurations before\n", count(s.Earlier, "connection"))
	}
	if k := s.Kept; k != nil {
		fmt.Fprintf(w, "originals\t%d of %d messages, %d of %d bytes, in %s\n", k.Messages, k.MaxMessages, k.Bytes, k.MaxBytes, k.Dir)
	}
	if s.LogLost > 0 {
		fmt.Fprintf(w, "log\t%s could not be written\n", count(int(s.LogLost), "line"))
	}
	return w.Flush()
}

type ctlReloadCmd struct{ controlFlags }

func (*ctlReloadCmd) Help() string {
	return `Conversations that have begun go on with the configuration they began with. When the new one
cannot be used nothing changes, and the exit code is 78. SIGHUP does the same, and logs.`
}

func (c *ctlReloadCmd) Run(std stdio) error {
	ctl, ctx, cancel, err := c.open()
	if err != nil {
		return err
	}
	defer cancel()
	r, err := ctl.Reload(ctx)
	for _, w := range r.Warnings {
		fmt.Fprintln(std.err, "warning: "+w)
	}
	if err != nil {
		return failed(err)
	}
	fmt.Fprintf(std.out, "configuration %d is in force\n", r.Generation)
	return nil
}

type ctlDrainCmd struct{ controlFlags }

func (c *ctlDrainCmd) Run(std stdio) error {
	ctl, ctx, cancel, err := c.open()
	if err != nil {
		return err
	}
	defer cancel()
	if err := ctl.Drain(ctx); err != nil {
		return failed(err)
	}
	fmt.Fprintln(std.out, "gomilter stops once its running messages have finished")
	return nil
}

type ctlKeptCmd struct {
	controlFlags
	JSON bool `name:"json" help:"One object for each."`
}

func (*ctlKeptCmd) Help() string {
	return `This is for those who may talk to the daemon but not read its folders; gomilter kept list does the
same and more in the folder itself.`
}

func (c *ctlKeptCmd) Run(std stdio) error {
	ctl, ctx, cancel, err := c.open()
	if err != nil {
		return err
	}
	defer cancel()
	out := json.NewEncoder(std.out)
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	n := 0
	for e, err := range ctl.Kept(ctx) {
		if err != nil {
			return failed(err)
		}
		if c.JSON {
			if err := out.Encode(e); err != nil {
				return exit(exitCantCreate, err)
			}
			continue
		}
		if n == 0 {
			fmt.Fprintln(w, keptHead)
		}
		fmt.Fprintln(w, keptRow(e))
		if n++; n%rows == 0 {
			if err := w.Flush(); err != nil {
				return exit(exitCantCreate, err)
			}
		}
	}
	return w.Flush()
}
