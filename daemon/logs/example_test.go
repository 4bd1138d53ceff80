package logs_test

import (
	"log"
	"log/slog"
	"os"
	"regexp"

	"github.com/gomilter/gomilter/daemon/logs"
	"github.com/gomilter/gomilter/filter"
)

// The log of a daemon: on standard error, without the time where the journal has it.
func ExampleOpen() {
	l, err := logs.Open(logs.Options{Level: slog.LevelInfo})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	chain := &filter.Chain{Explain: l.Message, Log: l.Logger()}
	_ = chain.Hooks
	// Output:
}

func ExampleLog() {
	var l *logs.Log
	l, err := logs.Open(logs.Options{Stderr: untimed{}, Format: logs.Text, Tags: true})
	if err != nil {
		log.Fatal(err)
	}
	l.Logger().Info("reloaded", "file", "/etc/gomilter/gomilter.toml")
	l.Message(&filter.Explanation{
		Ref: "k7m2p9q4xr", Conn: "6f1c-12", QueueID: "4F2A1B3C", Client: "mx.example.net [192.0.2.1]", Verdict: "reject", Stage: "end",
		Reply:      &filter.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{"no programs (ref k7m2p9q4xr)"}},
		Recipients: []filter.Recipient{{Address: "a@example.com"}},
		From:       "x\nNOQUEUE: verdict=accept@example.net",
	})
	if err := l.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=INFO msg=reloaded file=/etc/gomilter/gomilter.toml
	// 4F2A1B3C: level=INFO msg=message conn=6f1c-12 verdict=reject stage=end tag=REJECT reply="550 5.7.1 no programs (ref k7m2p9q4xr)" ref=k7m2p9q4xr from="x\nNOQUEUE: verdict=accept@example.net" client="mx.example.net [192.0.2.1]" class=external nrcpts=1 refused=0 rcpts=a@example.com size=0 ms=0 edits=0
}

// In JSON, the same keys.
func ExampleFormat() {
	var format logs.Format = logs.JSON
	l, err := logs.Open(logs.Options{Stderr: untimed{}, Format: format})
	if err != nil {
		log.Fatal(err)
	}
	l.Logger().Warn("limit hit: recipients", "conn", "6f1c-12", "rcpts", []string{"a@example.com", "b@example.com"})
	if err := l.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"level":"WARN","msg":"limit hit: recipients","conn":"6f1c-12","rcpts":["a@example.com","b@example.com"]}
}

// untimed writes to standard output without the time.
type untimed struct{}

var stamp = regexp.MustCompile(`time=\S+ |"time":"[^"]*",`)

func (untimed) Write(b []byte) (int, error) {
	os.Stdout.Write(stamp.ReplaceAll(b, nil))
	return len(b), nil
}
