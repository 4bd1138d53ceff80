package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/gomilter/gomilter/daemon"
)

type serveCmd struct {
	settings
	dnsFlag
	AllowRoot bool `help:"Go on as root, which a filter never needs."`
}

func (*serveCmd) Help() string {
	return `The configuration says where mail servers find the filters, and what these do; gomilter check
tells what is wrong with it, docs/configuration.md has all keys. Started as root it needs user in
the configuration, and goes on as that user once its sockets are open.

SIGHUP reads the configuration anew: all of it is put in force, or nothing and the log says why.
It also opens the log file anew, after it was rotated; SIGUSR1 does only that. SIGTERM and SIGINT
let running messages finish and end it; a second one ends it at once.

    gomilter serve -c gomilter.toml`
}

func (c *serveCmd) Run(std stdio) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second ends the process at once
	hup, usr1 := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	signal.Notify(usr1, syscall.SIGUSR1)
	defer signal.Stop(hup)
	defer signal.Stop(usr1)

	names, err := c.zone()
	if err != nil {
		return err
	}
	d, err := daemon.Start(ctx, daemon.Options{Load: c.load, Resolver: names, AllowRoot: c.AllowRoot, Version: readVersion().Version, Stderr: std.err})
	if err != nil {
		return startError(err)
	}
	var signals sync.WaitGroup
	done := make(chan struct{})
	signals.Go(func() {
		for {
			select {
			case <-hup:
				d.ReopenLog()
				d.Reload() // which logs what comes of it
			case <-usr1:
				d.ReopenLog()
			case <-done:
				return
			}
		}
	})
	err = d.Wait()
	close(done)
	signals.Wait()
	return exit(exitUnavailable, err)
}

// startError gives an error of the start its exit code.
func startError(err error) error {
	switch {
	case errors.Is(err, daemon.ErrConfig):
		return exit(exitConfig, err)
	case errors.Is(err, daemon.ErrRoot), errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, err)
	}
	return exit(exitUnavailable, err)
}
