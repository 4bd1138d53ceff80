package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/internal/doctor"
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
	Name string `help:"The milter's name in Sendmail's configuration and log (default: that of the listener; with --socket, gomilter)."`
}

type configPostfixCmd struct {
	attachFlags
	QueueDirectory string `default:"/var/spool/postfix" placeholder:"DIR" help:"Postfix's queue_directory (default: ${default})."`
}

// An attachment is what an MTA is told of.
type attachment struct {
	name       string // of the milter
	given      string // the socket, in its own notation
	ep         doctor.Endpoint
	chain      string // as the configuration has it
	group      string
	submission bool
	others     bool // other listeners are attached, too
}

// attachment returns what is to be attached.
func (c *attachFlags) attachment() (a attachment, err error) {
	a = attachment{name: "gomilter", given: c.Socket, chain: `["attachments", "html"] # or whatever filters it has`}
	if c.Socket == "" {
		var l *config.Listener
		if l, a.others, err = c.one(); err != nil {
			return a, err
		}
		a.name, a.given, a.group, a.submission = milterName(l.Name), l.Socket, l.Group, l.Submission
		quoted := make([]string, len(l.Filters))
		for i, f := range l.Filters {
			quoted[i] = strconv.Quote(f)
		}
		a.chain = "[" + strings.Join(quoted, ", ") + "]"
	}
	a.ep, err = doctor.ParseEndpoint(a.given)
	return a, exit(exitUsage, err)
}

// milterName returns what Sendmail is to call the milter of a listener: its names begin with a
// letter.
func milterName(listener string) string {
	if nameRE.MatchString(listener) {
		return listener
	}
	return "gomilter" + strings.TrimLeft("-"+listener, "-_")
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
	if c.Name != "" && !nameRE.MatchString(c.Name) {
		return exitf(exitUsage, "--name %q: Sendmail takes letters, digits, - and _", c.Name)
	}
	a, err := c.attachment()
	if err != nil {
		return err
	}
	spec := a.ep.Sendmail()
	if strings.ContainsAny(spec, ",'` ") {
		return exitf(exitUsage, "socket %q: Sendmail's configuration has no way to write a comma, quote or blank in it", a.given)
	}
	return c.write(std.out, sendmailText, map[string]any{
		"Name": cmp.Or(c.Name, a.name), "Spec": spec, "Path": a.ep.Path, "Dir": filepath.Dir(a.ep.Path), "Given": a.given, "Chain": a.chain, "Submission": a.submission,
	})
}

func (c *configPostfixCmd) Run(std stdio) error {
	a, err := c.attachment()
	if err != nil {
		return err
	}
	facts := map[string]any{"Path": a.ep.Path, "Queue": c.QueueDirectory, "Given": a.given, "Chain": a.chain, "Group": cmp.Or(a.group, "postfix"),
		"Spec": a.ep.Postfix(c.QueueDirectory), "Inet6": strings.Contains(a.ep.Host, ":"), "Submission": a.submission, "Others": a.others}
	if a.ep.Path != "" {
		// smtpd works in the queue directory, and mostly cannot see beyond it.
		if facts["Spec"] != "unix:"+a.ep.Path {
			facts["Inside"] = true
		} else {
			facts["Better"] = filepath.Join(c.QueueDirectory, "gomilter", filepath.Base(a.ep.Path))
		}
	}
	if strings.ContainsAny(facts["Spec"].(string), ", {}$") {
		return exitf(exitUsage, "socket %q: Postfix's configuration has no way to write a comma, brace, dollar or blank in it", a.given)
	}
	return c.write(std.out, postfixText, facts)
}

var sendmailText = template.Must(template.New("sendmail").Parse(`# Attach {{.Name}} at {{.Given}} to Sendmail.

## sendmail.mc, above the first MAILER line:

{{if .Submission}}MAIL_FILTER{{else}}INPUT_MAIL_FILTER{{end}}(` + "`{{.Name}}', `S={{.Spec}}, F=T, T=C:5m;S:20s;R:5m;E:5m'" + `)
{{- if .Submission}}
FEATURE(` + "`no_default_msa'" + `)
DAEMON_OPTIONS(` + "`Name=MSA, Port=587, M=Ea, InputMailFilters={{.Name}}'" + `)

Users submit mail to port 587 and, by TLS, 465: each DAEMON_OPTIONS line of such a port gets this InputMailFilters,
in place of the line above where there is one. InputMailFilters of all others stays without it.
{{- end}}

Then make a sendmail.cf of it and restart, on Debian: sendmailconfig
elsewhere: make -C /etc/mail && systemctl restart sendmail

## Or the same in sendmail.cf:

{{block "lines" .}}{{if .Submission}}# and InputMailFilters={{.Name}} at the end of each O DaemonPortOptions line of port 587 or 465, as in
# O DaemonPortOptions=Name=MSA, Port=587, M=Ea, InputMailFilters={{.Name}}
{{else}}O InputMailFilters={{.Name}}
{{end}}X{{.Name}}, S={{.Spec}}, F=T, T=C:5m;S:20s;R:5m;E:5m
O Milter.macros.connect=j, _, {daemon_name}, {if_name}, {if_addr}
O Milter.macros.helo={tls_version}, {cipher}, {cipher_bits}, {cert_subject}, {cert_issuer}
O Milter.macros.envfrom=i, {auth_type}, {auth_authen}, {auth_ssf}, {auth_author}, {mail_mailer}, {mail_host}, {mail_addr}
O Milter.macros.envrcpt={rcpt_mailer}, {rcpt_host}, {rcpt_addr}
O Milter.macros.eom={msg_id}
{{end}}
The Milter.macros lines are those of every sendmail.cf that was made with a filter; without any, milters get
no queue id and no user. A sendmail.cf that is made of a sendmail.mc loses lines that stand in it alone.
{{if .Submission}}Where InputMailFilters of a line names others already, add {{.Name}} behind them: InputMailFilters=other;{{.Name}}
{{else}}Where InputMailFilters names others already, add {{.Name}} behind them: O InputMailFilters=other,{{.Name}}
{{end}}## gomilter.toml:

[[listener]]
socket = "{{.Given}}"
{{- if .Submission}}
submission = true
{{- end}}
chain = {{.Chain}}
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

{{if .Submission}}## master.cf, below each service that users submit mail to (submission, submissions or smtps):

  -o smtpd_milters={{.Spec}}

or, for those there are:

postconf -P submission/inet/smtpd_milters={{.Spec}}
postconf -P submissions/inet/smtpd_milters={{.Spec}}

## main.cf, unless it has them already:
{{else}}## main.cf:
{{end}}
{{block "lines" .}}{{if .Submission}}# and in master.cf, below each service that users submit mail to:
#  -o smtpd_milters={{.Spec}}
{{else}}smtpd_milters = {{.Spec}}
non_smtpd_milters = $smtpd_milters
{{end}}milter_default_action = tempfail
milter_protocol = 6
milter_connect_timeout = 30s
milter_command_timeout = 30s
milter_content_timeout = 300s
{{end}}
Where smtpd_milters names others already, add this one behind them, with a comma between{{if .Submission}}, and braces
around the option: -o { smtpd_milters=inet:127.0.0.1:1, {{.Spec}} }{{end}}.
{{- if and .Others (not .Submission)}}
Services with -o smtpd_milters= of their own in master.cf ask that list alone.
{{- end}}
Then: postfix check && postfix reload
{{- if .Inet6}}
Postfix uses IPv6 only with inet_protocols = all.
{{- end}}

## gomilter.toml:

[[listener]]
socket = "{{.Given}}"
{{- if .Submission}}
submission = true
{{- end}}
{{- if .Path}}
group = "{{.Group}}"
{{- end}}
chain = {{.Chain}}
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

smtpd_milters            mail that comes by SMTP{{if .Submission}}; behind -o, by this service{{end}}
{{- if not .Submission}}
non_smtpd_milters        mail submitted on this machine with the sendmail command; leave the line out to
                         spare it. A filter cannot refuse a single recipient there, and own bounces pass unseen.
{{- end}}
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

Take the lines out again ({{if .Submission}}postconf -PX submission/inet/smtpd_milters{{else}}postconf -X smtpd_milters non_smtpd_milters milter_default_action{{end}}, where nothing else
needs them), postfix reload, and only then stop gomilter.

## Try it first, without Postfix

gomilter mta --socket {{.Given}} --profile postfix --from me@example.com --rcpt you@example.com message.eml
`))
