package cases

import "time"

// A setup is how an MTA is configured. One of each kind runs for all cases that
// name it.
type setup struct {
	filters          int
	network          string // of the filters' sockets
	action           string // what a failing filter means
	command, content time.Duration
	macros           map[string]string // lists of the configuration
	version          int               // of the protocol; 0 means the newest
	only             string            // the kind that has it, "" for both
}

var setups = map[string]setup{
	"":           {filters: 1, network: "unix", action: "tempfail"},
	"hang":       {filters: 1, network: "unix", action: "tempfail"}, // for hooks that do
	"inet":       {filters: 1, network: "inet", action: "tempfail"},
	"inet6":      {filters: 1, network: "inet6", action: "tempfail"},
	"accept":     {filters: 1, network: "unix", action: "accept"},
	"reject":     {filters: 1, network: "unix", action: "reject"},
	"shutdown":   {filters: 1, network: "unix", action: "shutdown"},
	"quarantine": {filters: 1, network: "unix", action: "quarantine", only: "postfix"},
	"version 2":  {filters: 1, network: "unix", action: "tempfail", version: 2, only: "postfix"},
	"version 3":  {filters: 1, network: "unix", action: "tempfail", version: 3, only: "postfix"},
	"version 4":  {filters: 1, network: "unix", action: "tempfail", version: 4, only: "postfix"},
	"two":        {filters: 2, network: "unix", action: "tempfail"},
	// Both count whole seconds, Sendmail by the clock: less than 3 is unreliable.
	"slow": {filters: 1, network: "unix", action: "tempfail", command: 3 * time.Second, content: 6 * time.Second},
	"macros": {filters: 1, network: "unix", action: "tempfail", macros: map[string]string{
		"connect": "j {client_addr} {client_name} {client_ptr} {client_port} {daemon_port}",
		"helo":    "{client_addr}", "mail": "i {mail_addr} {client_addr}", "rcpt": "{rcpt_addr} {client_addr}",
		"data": "i {client_addr}", "eoh": "i", "eom": "i {client_addr}",
	}},
}
