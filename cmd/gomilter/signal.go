package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends at SIGINT, SIGTERM or SIGHUP. A second
// SIGINT or SIGTERM ends the process at once. SIGHUP comes in swarms when a
// terminal goes, and never does that, not even when the context has ended; a
// process started to ignore it (nohup) does.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	if !signal.Ignored(syscall.SIGHUP) {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		go func() {
			select {
			case <-hup:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	context.AfterFunc(ctx, stop)
	return ctx, cancel
}
