// Command main serves the header-rule sample on a socket:
//
//	go run ./examples/headerrules/main unix:/run/headerrules.sock
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/headerrules"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: headerrules SOCKET")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &milter.Server{New: headerrules.New(headerrules.Rules...), Name: "headerrules"}
	if err := srv.ListenAndServe(ctx, os.Args[1]); err != milter.ErrServerClosed {
		log.Fatal(err)
	}
}
