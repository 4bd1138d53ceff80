package offline_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/internal/offline"
	"github.com/gomilter/gomilter/mta"
)

// folder returns a new folder with a configuration in it.
func folder() string {
	dir, err := os.MkdirTemp("", "offline-example-")
	if err != nil {
		panic(err)
	}
	const text = `
[[listener]]
socket = "unix:/run/gomilter/gomilter.sock"
chain = ["headers"]

[filter.headers]
[[filter.headers.rule]]
name = "shouting"
fields = ["Subject"]
match = "contains"
values = ["free"]
action = "reject"
text = "please do not shout"
`
	if err := os.WriteFile(filepath.Join(dir, "gomilter.toml"), []byte(text), 0o600); err != nil {
		panic(err)
	}
	return dir
}

func ExampleNew() {
	dir := folder()
	defer os.RemoveAll(dir)
	src, err := config.Load(filepath.Join(dir, "gomilter.toml"))
	if err != nil {
		panic(err)
	}
	c, _ := src.Parse()

	var t *offline.Tester
	t, err = offline.New(c, &c.Listeners[0], offline.Options{Envelope: offline.Envelope{Rcpts: []string{"<me@example.net>"}}, Profile: mta.Sendmail})
	if err != nil {
		panic(err)
	}
	defer t.Close()
	mailbox := "From ann@example.com\nSubject: lunch\n\nAt noon?\n\nFrom bob@example.com\nSubject: FREE lunch\n\n"
	var s offline.Summary
	err = t.Run(context.Background(), strings.NewReader(mailbox), offline.Find(offline.Auto, "-"), func(r *offline.Result) error {
		var m offline.Message = r.Message
		fmt.Println(m.File, r.From(), r.Result.Verdict)
		for _, f := range r.Filters() {
			fmt.Println(" ", f.Name, f.Decision)
		}
		s.Add(r)
		return nil
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Verdicts, s.Hits[offline.Hit{Filter: "headers", Decision: "reject", Rule: "shouting"}])
	var slowest offline.Slow = s.Slowest[0]
	fmt.Println(slowest.Took > 0)
	// Output:
	// -#1 <ann@example.com> accept
	//   headers continue
	// -#2 <bob@example.com> reject
	//   headers reject
	// map[accept:1 reject:1] 1
	// true
}

func ExampleCheckNames() {
	dir := folder()
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "gomilter.toml") // whatever it is
	var inputs []*offline.Input = offline.Find(offline.None, file, file)
	bytes, ok := offline.Size(inputs)
	fmt.Println(bytes > 0, ok)
	err := offline.CheckNames(inputs)
	fmt.Println(strings.ReplaceAll(err.Error(), dir+"/", ""))
	// Output:
	// true true
	// two messages would have one name, gomilter.toml: gomilter.toml and gomilter.toml
}

func ExampleFormat() {
	var f offline.Format
	fmt.Println(f.UnmarshalText([]byte("rd")), f == offline.MboxRD, offline.MboxO)
	// Output: <nil> true o
}
