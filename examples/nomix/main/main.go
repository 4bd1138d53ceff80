// Command main serves the nomix sample on a socket; the internal domains follow:
//
//	go run ./examples/nomix/main unix:/run/nomix.sock corp example.com
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
	"github.com/gomilter/gomilter/examples/nomix"
)

func main() {
	if len(os.Args) < 3 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: nomix SOCKET DOMAIN...\nSOCKET is unix:/path, inet:port@host or inet6:port@[host]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &milter.Server{New: nomix.New(os.Args[2:]...), Name: "nomix"}
	if err := srv.ListenAndServe(ctx, os.Args[1]); err != milter.ErrServerClosed {
		log.Fatal(err)
	}
}
