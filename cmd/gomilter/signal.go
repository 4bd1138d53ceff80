package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends at SIGINT, SIGTERM or SIGHUP. A second
// SIGINT or SIGTERM ends the process at once. SIGHUP comes in swarms when a
// terminal goes, and never does that; a process started to ignore it (nohup) does.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	unhup := func() {}
	if !signal.Ignored(syscall.SIGHUP) {
		ctx, unhup = signal.NotifyContext(ctx, syscall.SIGHUP)
	}
	context.AfterFunc(ctx, stop)
	return ctx, func() { unhup(); stop() }
}
