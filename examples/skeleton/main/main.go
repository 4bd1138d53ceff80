// Command main serves the skeleton on a socket:
//
//	go run ./examples/skeleton/main unix:/run/skeleton.sock
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
	"github.com/gomilter/gomilter/examples/skeleton"
)

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: skeleton SOCKET\nSOCKET is unix:/path, inet:port@host or inet6:port@[host]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &milter.Server{New: skeleton.New(), Name: "skeleton"}
	if err := srv.ListenAndServe(ctx, os.Args[1]); err != milter.ErrServerClosed {
		log.Fatal(err)
	}
}
