package main

import (
	"io"
	"time"

	"github.com/alecthomas/kong"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/internal/cliref"
	"github.com/gomilter/gomilter/internal/roff"
)

type manCmd struct {
	Date string `placeholder:"YYYY-MM-DD" help:"The page's date (default: that of the source, where it is known)."`
	Page string `arg:"" optional:"" enum:"gomilter,gomilter.toml" default:"gomilter" help:"Which: gomilter or gomilter.toml."`
}

func (*manCmd) Help() string {
	return `It is written for man(1): gomilter man gomilter.toml | man -l -`
}

func (c *manCmd) Run(std stdio, ctx *kong.Context) error {
	v := readVersion()
	date, err := time.Parse(time.DateOnly, c.Date)
	if err != nil && c.Date != "" {
		return exit(exitUsage, err)
	}
	if c.Date == "" {
		date, _ = time.Parse(time.RFC3339, v.time) // and none where it is not known
	}
	write := writeGomilterPage
	if c.Page == "gomilter.toml" {
		write = writeConfigPage
	}
	return exit(exitCantCreate, write(std.out, ctx.Model, "gomilter "+v.Version, date))
}

func writeGomilterPage(w io.Writer, app *kong.Application, source string, date time.Time) error {
	p := roff.New(w, roff.Title{Name: "gomilter", Section: 8, Date: date, Source: source, Manual: "System Manager's Manual"})
	p.Section("name")
	p.Text("gomilter - mail filters for Sendmail and Postfix")
	p.Section("synopsis")
	p.Synopsis(cliref.Synopsis(app)...)
	p.Section("description")
	p.Text(`
A milter is a program that a mail server asks about each message while the client that sends it waits: at the connection, at HELO, for
the sender, for each recipient, and at the end of the message. It may accept, refuse, hold or change it. ` + "`gomilter serve`" + ` is a milter
with filters for attachments, active HTML, header fields and virus scanners; the other verbs attach it, try it and look after it.

Its configuration is /etc/gomilter/gomilter.toml, see gomilter.toml(5). The one it is installed with changes no mail: each filter is asked, and the log says
what it would have done. Nothing is attached to a mail server by installing gomilter.

A milter's SPEC is where it listens: unix:/path, local:/path, /path, inet:port@host, inet6:port@[host], host:port or, to serve, fd://N.
Served without a host, as in inet:port, it is open to everybody who can reach the machine.`)
	p.Section("options")
	p.Text("Each verb has its own. All have these:")
	cliref.Flags(p, app)
	p.Section("verbs")
	cliref.Verbs(p, app)
	p.Section("from nothing to a filter on live mail")
	p.Text(`
Start it, and print the lines for the mail server:

    systemctl enable --now gomilter
    gomilter config postfix
    gomilter config sendmail

Paste them, reload the mail server, and let gomilter look at what it reads:

    gomilter doctor postfix
    gomilter doctor sendmail

Watch what the filters would do. Then set mode = "on" where you like it, and:

    gomilter check && systemctl reload gomilter`)
	p.Section("signals")
	p.Text("Of `gomilter serve`:")
	p.Item("`SIGHUP`", "Read the configuration anew. All of it is put in force, or nothing, and the log says why.")
	p.Item("`SIGTERM`, `SIGINT`", "Let running messages finish, and end. A second one ends it at once.")
	p.Item("`SIGUSR1`", "Open the log file anew, after it was rotated.")
	p.Section("exit status")
	p.Text("Those of sysexits.h; verbs tell above what they mean by them.")
	for _, e := range []struct{ code, text string }{
		{"0", "All went well."},
		{"64", "A flag or an argument is wrong."},
		{"65", "A message cannot be read."},
		{"69", "A milter, the daemon or an address cannot be reached, or broke."},
		{"70", "A mistake of gomilter's own."},
		{"73", "An output cannot be written."},
		{"75", "Try again later."},
		{"77", "Not permitted; for serve also: started as root without a user to go on as."},
		{"78", "The configuration has errors."},
	} {
		p.Item("`"+e.code+"`", e.text)
	}
	p.Section("files")
	p.Item("/etc/gomilter/gomilter.toml", "The configuration, see gomilter.toml(5).")
	p.Item("/run/gomilter/control.sock", "Where gomilter ctl finds the daemon.")
	p.Item("/var/lib/gomilter", "Originals of messages that were changed or refused, and what else outlives the process.")
	p.Section("see also")
	p.Text("gomilter.toml(5), postconf(5), sendmail(8), systemctl(1)")
	return p.Flush()
}

func writeConfigPage(w io.Writer, _ *kong.Application, source string, date time.Time) error {
	p := roff.New(w, roff.Title{Name: "gomilter.toml", Section: 5, Date: date, Source: source, Manual: "File Formats Manual"})
	p.Section("name")
	p.Text("gomilter.toml - configuration of gomilter")
	p.Section("description")
	p.Text(`
The configuration of gomilter(8) is TOML. ` + "`gomilter check`" + ` tells everything that is wrong with it at once, each with file, line and key, and
warns of what is legal but unwise. ` + "`gomilter config show`" + ` prints the values in force and where each came from.

What is misspelt stops the daemon before it listens, and a reload with a mistake leaves the configuration before in force.

A listener is where mail servers find the filters; its chain names these in the order they are asked, and each is a table of its own:

    [[listener]]
    socket = "inet:8891@127.0.0.1"
    chain = ["attachments"]

    [filter.attachments]
    mode = "report"

In mode "report" a filter changes nothing, and the log says what it wanted; in mode "on" that happens.`)
	p.Section("values")
	p.Item("time", `A text with a unit: "300ms", "5s", "1h30m", "7d". Units are ms, s, m, h, d and w.`)
	p.Item("size", `Bytes, as a number or with a unit: 4096, "500 kB", "1 MiB".`)
	p.Item("permissions", `Octal digits as a text: "0660".`)
	p.Item("path", "Relative to the folder of the file it stands in.")
	p.Item("list of networks", `Addresses and networks: ["192.0.2.0/24", "2001:db8::1"].`)
	p.Item("list of strings", `An entry "file:PATH" stands for the lines of that file, which is read anew when it changes. Empty lines and those that begin with # are passed over.`)
	p.Item("secret", "The text itself, or with _file behind the key the file that holds it, or with _env the variable of the environment.")
	p.Section("keys")
	config.Manual(p)
	p.Section("files")
	p.Item("/etc/gomilter/gomilter.toml", "Where it is looked for unless --config says otherwise.")
	p.Item("/usr/share/doc/gomilter/examples", "Configurations to begin with; gomilter.toml there names every key.")
	p.Section("see also")
	p.Text("gomilter(8)")
	return p.Flush()
}
