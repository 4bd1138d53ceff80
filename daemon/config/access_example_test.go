package config_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomilter/gomilter/daemon/config"
)

func ExampleAccess() {
	dir, err := os.MkdirTemp("", "access")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"access": "From:spam.example REJECT\nSPF-SoftFail:.example.com REJECT\n",
		"gomilter.toml": `
[[listener]]
socket = "inet:8891@127.0.0.1"
chain = ["auth", "access"]

[filter.auth]

[filter.access]
wait = "always"

[[filter.access.rule]]
keys = ["spf-fail", "dmarc-fail-reject"]
do = "REJECT"

[[filter.access.map]]
file = "access"
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	source, err := config.Load(filepath.Join(dir, "gomilter.toml"))
	if err != nil {
		fmt.Println(err)
		return
	}
	c, problems := source.Parse()
	if err := problems.Err(); err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range c.Filters {
		if a, ok := f.Options.(*config.Access); ok {
			var wait config.AccessWait = a.Wait
			var rule config.AccessRule = a.Rules[0]
			var m config.AccessMap = a.Maps[0]
			fmt.Println(wait, rule.Keys, rule.Do, filepath.Base(m.File), m.Syntax, len(c.ListFiles()))
		}
	}
	// Output: always [spf-fail dmarc-fail-reject] REJECT access sendmail 1
}
