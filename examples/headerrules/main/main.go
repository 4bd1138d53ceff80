// Command main serves the header-rule sample on a socket:
//
//	go run ./examples/headerrules/main unix:/run/headerrules.sock
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/headerrules"
)

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: headerrules SOCKET\nSOCKET is unix:/path, inet:port@host or inet6:port@[host]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &milter.Server{New: headerrules.New(headerrules.Rules...), Name: "headerrules"}
	if err := srv.ListenAndServe(ctx, os.Args[1]); err != milter.ErrServerClosed {
		log.Fatal(err)
	}
}
