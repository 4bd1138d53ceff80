// Command main serves the skeleton on a socket:
//
//	go run ./examples/skeleton/main unix:/run/skeleton.sock
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/skeleton"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: skeleton SOCKET")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &milter.Server{New: skeleton.New(), Name: "skeleton"}
	if err := srv.ListenAndServe(ctx, os.Args[1]); err != milter.ErrServerClosed {
		log.Fatal(err)
	}
}
