package config_test

import (
	"fmt"
	"log"

	"github.com/gomilter/gomilter/daemon/config"
)

// The table of a filter that finds out who sent a message.
func ExampleAuth() {
	c, problems := load(`
[[listener]]
socket = "unix:/run/gomilter/gomilter.sock"
chain = ["auth"]

[filter.auth]
id = "mx.example.com"

[[filter.auth.spf.local]]
domain = "example.net"
record = "v=spf1 mx -all"

[filter.auth.dmarc]
action = "published"

[[filter.auth.dmarc.override]]
dkim = ["lists.example.org"]
action = "report"
`).Parse()
	if err := problems.Err(); err != nil {
		log.Fatal(err)
	}
	o := c.Filters[0].Options.(*config.Auth)
	var (
		spf      config.AuthSPF      = o.SPF
		local    config.AuthRecord   = spf.Local[0]
		dkim     config.AuthDKIM     = o.DKIM
		dmarc    config.AuthDMARC    = o.DMARC
		override config.AuthOverride = dmarc.Overrides[0]
	)
	fmt.Println(o.ID, o.Methods, local.Domain, dkim.MinRSABits, dmarc.Action, override.DKIM, override.Action)
	// Output: mx.example.com [auth iprev spf helo dkim dmarc] example.net 1024 published [lists.example.org] report
}
