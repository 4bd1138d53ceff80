package release_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/release"
	"github.com/gomilter/gomilter/mta"
)

// The daemon's chain lets the message that "gomilter kept release" marked pass its
// filters, once.
func ExampleMarks() {
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	marks, err := release.Open(dir, release.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		log.Fatal(err)
	}

	// The daemon:
	refuse := &filter.Filter{Name: "refuse", Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
		return milter.Reject(550, "5.7.1", "not this"), nil
	}}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: refuse}}, Pass: marks.Pass, Explain: func(x *filter.Explanation) {
		fmt.Println(x.Verdict, x.Filters[0].Name, x.Filters[0].Why)
	}}
	ln, err := milter.Listen(filepath.Join(dir, "sock"), milter.SocketOptions{})
	if err != nil {
		log.Fatal(err)
	}
	srv := &milter.Server{New: chain.Hooks}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(context.Background(), ln) }()
	defer func() { srv.Shutdown(context.Background()); <-done }()

	// The admin:
	const original = "Subject: an original\r\n\r\nbody\r\n"
	mark, err := marks.Mark("01kat0000000000000zz", strings.NewReader(original))
	if err != nil {
		log.Fatal(err)
	}
	client := &mta.Client{Milters: []mta.Milter{{Address: filepath.Join(dir, "sock")}}}
	for range 2 {
		r, err := client.Send(context.Background(), mta.Mail{From: "<a@example.com>", Rcpts: []string{"<b@example.com>"}, Data: []byte(mark + original)})
		if err != nil {
			log.Fatal(err)
		}
		if r.Verdict == mta.Accept {
			fmt.Printf("%s is delivered as %q\n", release.Field, r.Message.Bytes())
		}
	}
	// Output:
	// accept pass released 01kat0000000000000zz
	// X-Gomilter-Release is delivered as "Subject: an original\r\n\r\nbody\r\n"
	// reject pass mark of a release ignored: it was used before
}
