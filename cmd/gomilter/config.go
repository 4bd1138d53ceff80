package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/gomilter/gomilter/internal/wire"
)

type configCmd struct {
	Show     configShowCmd     `cmd:"" help:"The values in force, and where each came from."`
	Import   configImportCmd   `cmd:"" help:"Make a configuration of pymilter's."`
	Sendmail configSendmailCmd `cmd:"" help:"Lines for sendmail.mc and sendmail.cf."`
	Postfix  configPostfixCmd  `cmd:"" help:"Lines for main.cf."`
}

// attachFlags say which socket an MTA is told of.
type attachFlags struct {
	listenerFlags
	Socket string `placeholder:"SPEC" help:"Where the milter listens, in place of what the configuration says."`
	Lines  bool   `help:"Nothing but the lines, between marks by which they are found again."`
}

type configSendmailCmd struct {
	attachFlags
	Name string `default:"gomilter" help:"The milter's name in Sendmail's configuration and log."`
}

type configPostfixCmd struct {
	attachFlags
	QueueDirectory string `default:"/var/spool/postfix" placeholder:"DIR" help:"Postfix's queue_directory (default: ${default})."`
}

// socket returns the socket in its own notation and as an MTA reaches it.
func (c *attachFlags) socket() (given string, ep endpoint, err error) {
	if given = c.Socket; given == "" {
		l, err := c.one()
		if err != nil {
			return "", ep, err
		}
		given = l.Socket
	}
	ep, err = parseEndpoint(given)
	return given, ep, exit(exitUsage, err)
}

// write writes the whole text, or its lines.
func (c *attachFlags) write(w io.Writer, text *template.Template, facts map[string]any) error {
	if c.Lines {
		text = text.Lookup("lines")
		fmt.Fprintln(w, "\n# BEGIN gomilter") // the line before may have no end
		defer fmt.Fprintln(w, "# END gomilter")
	}
	return exit(exitCantCreate, text.Execute(w, facts))
}

var nameRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

func (c *configSendmailCmd) Run(std stdio) error {
	if !nameRE.MatchString(c.Name) {
		return exitf(exitUsage, "--name %q: Sendmail takes letters, digits, - and _", c.Name)
	}
	given, ep, err := c.socket()
	if err != nil {
		return err
	}
	spec := "local:" + ep.path
	switch {
	case ep.inet6:
		spec = fmt.Sprintf("inet6:%s@%s", ep.port, ep.host)
	case ep.path == "":
		spec = fmt.Sprintf("inet:%s@%s", ep.port, ep.host)
	}
	if strings.ContainsAny(spec, ",'` ") {
		return exitf(exitUsage, "socket %q: Sendmail's configuration has no way to write a comma, quote or blank in it", given)
	}
	return c.write(std.out, sendmailText, map[string]any{
		"Name": c.Name, "Spec": spec, "Path": ep.path, "Dir": filepath.Dir(ep.path), "Given": given,
	})
}

func (c *configPostfixCmd) Run(std stdio) error {
	given, ep, err := c.socket()
	if err != nil {
		return err
	}
	facts := map[string]any{"Path": ep.path, "Queue": c.QueueDirectory, "Given": given}
	switch {
	case ep.path != "":
		facts["Spec"] = "unix:" + ep.path
		// smtpd works in the queue directory, and mostly cannot see beyond it.
		if rel, err := filepath.Rel(c.QueueDirectory, ep.path); err == nil && filepath.IsLocal(rel) {
			facts["Spec"], facts["Inside"] = "unix:"+rel, true
		} else {
			facts["Better"] = filepath.Join(c.QueueDirectory, "gomilter", filepath.Base(ep.path))
		}
	case strings.Contains(ep.host, ":"):
		facts["Spec"], facts["Inet6"] = fmt.Sprintf("inet:[%s]:%s", ep.host, ep.port), true
	default:
		facts["Spec"] = fmt.Sprintf("inet:%s:%s", ep.host, ep.port)
	}
	if strings.ContainsAny(facts["Spec"].(string), ", {}$") {
		return exitf(exitUsage, "socket %q: Postfix's configuration has no way to write a comma, brace, dollar or blank in it", given)
	}
	return c.write(std.out, postfixText, facts)
}

// An endpoint is what an MTA connects to: a path, or a host and a port.
type endpoint struct {
	path, host, port string
	inet6            bool
}

func parseEndpoint(spec string) (endpoint, error) {
	network, address, err := wire.ParseAddr(spec)
	if err != nil {
		return endpoint{}, err
	}
	switch network {
	case "fd":
		return endpoint{}, fmt.Errorf("socket %q: an MTA needs the socket's own name, not a descriptor of the milter", spec)
	case "unix":
		if !filepath.IsAbs(address) {
			return endpoint{}, fmt.Errorf("socket %q: an MTA needs the path from the root on", spec)
		}
		return endpoint{path: filepath.Clean(address)}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return endpoint{}, fmt.Errorf("socket %q: %w", spec, err)
	}
	a, err := netip.ParseAddr(host)
	ep := endpoint{host: host, port: port, inet6: network == "tcp6" || err == nil && a.Is6()}
	if host == "" || err == nil && a.IsUnspecified() { // it listens everywhere: the MTA takes the short way
		ep.host = "127.0.0.1"
		if ep.inet6 {
			ep.host = "::1"
		}
	}
	return ep, nil
}

var sendmailText = template.Must(template.New("sendmail").Parse(`# Attach {{.Name}} at {{.Given}} to Sendmail.

## sendmail.mc, above the first MAILER line:

INPUT_MAIL_FILTER(` + "`{{.Name}}', `S={{.Spec}}, F=T, T=C:5m;S:20s;R:5m;E:5m'" + `)

Then make a sendmail.cf of it and restart, on Debian: sendmailconfig
elsewhere: make -C /etc/mail && systemctl restart sendmail

## Or the same in sendmail.cf:

{{block "lines" .}}O InputMailFilters={{.Name}}
X{{.Name}}, S={{.Spec}}, F=T, T=C:5m;S:20s;R:5m;E:5m
O Milter.macros.connect=j, _, {daemon_name}, {if_name}, {if_addr}
O Milter.macros.helo={tls_version}, {cipher}, {cipher_bits}, {cert_subject}, {cert_issuer}
O Milter.macros.envfrom=i, {auth_type}, {auth_authen}, {auth_ssf}, {auth_author}, {mail_mailer}, {mail_host}, {mail_addr}
O Milter.macros.envrcpt={rcpt_mailer}, {rcpt_host}, {rcpt_addr}
O Milter.macros.eom={msg_id}
{{end}}
The Milter.macros lines are those of every sendmail.cf that was made with a filter; without any, milters get
no queue id and no user. A sendmail.cf that is made of a sendmail.mc loses lines that stand in it alone.
Where InputMailFilters names others already, add {{.Name}} behind them: O InputMailFilters=other,{{.Name}}
## gomilter.toml:

[[listener]]
socket = "{{.Given}}"
chain = ["attachments", "html"] # or whatever filters it has
{{- if .Path}}

## The socket

Sendmail refuses ("unsafe") a socket in a directory that group or others may write to.
{{.Dir}} should belong to the user that gomilter runs as, with mode 0755 or less.
A Sendmail that runs as root can always connect; one with RunAsUser needs a group of that user in
the [[listener]], as in group = "smmsp".
{{- end}}

## What the letters mean

F=T    gomilter gone, slow or broken: clients are told "451 4.3.2 Please try again later".
       F=R would refuse their mail, and with neither letter it would pass unfiltered.
T=     C connect, S send, R wait for one reply, E wait for the end of message. R bounds each reply;
       progress does not extend E.

## While gomilter is stopped

No mail is lost and none passes unfiltered: clients get 451 and keep the message in their queue,
usually for some days. Mail submitted on this machine waits in the queue of the submission
program (mailq -Ac). "systemctl restart gomilter" costs nobody more than one retry.

## Undo

Take the lines out again, make sendmail.cf, restart Sendmail, and only then stop gomilter.

## Try it first, without Sendmail

gomilter mta --socket {{.Given}} --profile sendmail --from me@example.com --rcpt you@example.com message.eml
`))

var postfixText = template.Must(template.New("postfix").Parse(`# Attach gomilter at {{.Given}} to Postfix.

## main.cf:

{{block "lines" .}}smtpd_milters = {{.Spec}}
non_smtpd_milters = $smtpd_milters
milter_default_action = tempfail
milter_protocol = 6
milter_connect_timeout = 30s
milter_command_timeout = 30s
milter_content_timeout = 300s
{{end}}
Where smtpd_milters names others already, add this one behind them, with a comma between.
Then: postfix check && postfix reload
{{- if .Inet6}}
Postfix uses IPv6 only with inet_protocols = all.
{{- end}}

## gomilter.toml:

[[listener]]
socket = "{{.Given}}"
{{- if .Path}}
group = "postfix"
{{- end}}
chain = ["attachments", "html"] # or whatever filters it has
{{- if .Inside}}

## The socket

The path is relative to the queue directory {{.Queue}}, so that it is found
both by a chrooted smtpd (Debian's default) and by one that is not. The user postfix must be
able to write to the socket, whose mode is 0660: hence the group.
{{- else if .Path}}

## The socket

An smtpd that runs chrooted (a "y" in the chroot column of master.cf, Debian's default) sees nothing
outside {{.Queue}} and would not find {{.Path}}. Either set that column
to "n", or let gomilter listen inside and give Postfix the path relative to the queue directory:

socket = "unix:{{.Better}}"
gomilter config postfix --socket unix:{{.Better}} --queue-directory {{.Queue}}

The user postfix must be able to write to the socket, whose mode is 0660: hence the group.
{{- end}}

## What the lines mean

smtpd_milters            mail that comes by SMTP
non_smtpd_milters        mail submitted on this machine with the sendmail command; leave the line out to
                         spare it. A filter cannot refuse a single recipient there, and own bounces pass unseen.
milter_default_action    gomilter gone, slow or broken: clients are told "451 4.7.1 Service unavailable - try again
                         later". Set it: newer versions of Postfix default to "shutdown", which drops the client.
                         "accept" would let mail pass unfiltered. It holds for all milters; for this one alone write
                         smtpd_milters = { {{.Spec}}, default_action=tempfail }
milter_content_timeout   how long gomilter may take for the end of a message; its progress messages start it anew

## While gomilter is stopped

No mail is lost and none passes unfiltered: clients get 451 and keep the message in their queue,
usually for some days. Mail submitted on this machine waits in the maildrop queue (mailq).
"systemctl restart gomilter" costs nobody more than one retry.

## Undo

Take the lines out again (postconf -X smtpd_milters non_smtpd_milters milter_default_action, where nothing else
needs them), postfix reload, and only then stop gomilter.

## Try it first, without Postfix

gomilter mta --socket {{.Given}} --profile postfix --from me@example.com --rcpt you@example.com message.eml
`))
