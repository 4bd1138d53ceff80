package config_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/dkim"
)

func ExampleSign() {
	dir, err := os.MkdirTemp("", "sign")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	key, err := dkim.GenerateKey(dkim.Ed25519)
	if err != nil {
		panic(err)
	}
	if err := key.WriteFile(filepath.Join(dir, "2026.pem")); err != nil {
		panic(err)
	}
	file := filepath.Join(dir, "gomilter.toml")
	const text = `
[[listener]]
socket = "unix:/run/gomilter/gomilter.sock"
chain = ["sign"]
[filter.sign]
[[filter.sign.key]]
domain = "example.com"
selector = "2026"
file = "2026.pem"
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		panic(err)
	}
	src, err := config.Load(file)
	if err != nil {
		panic(err)
	}
	c, problems := src.Parse()
	if err := problems.Err(); err != nil {
		panic(err)
	}
	o := c.Filters[0].Options.(*config.Sign)
	var first config.SignKey = o.Keys[0]
	fmt.Println(first.Domain, first.Selector, filepath.Base(first.File), o.Header, o.Body, len(c.ListFiles()))
	// Output: example.com 2026 2026.pem relaxed relaxed 1
}
