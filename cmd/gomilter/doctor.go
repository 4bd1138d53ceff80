package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/internal/doctor"
	"github.com/gomilter/gomilter/internal/wire"
)

type doctorCmd struct {
	Postfix  doctorPostfixCmd  `cmd:"" help:"Look at Postfix's configuration."`
	Sendmail doctorSendmailCmd `cmd:"" help:"Look at Sendmail's configuration."`
}

// Help is shown below the flags.
func (*doctorCmd) Help() string {
	return "It reads the MTA's real configuration, changes nothing, and prints each fault with the line to paste or the command to run. " +
		"Run it as root: other users do not see all that the MTA sees. Where the milter listens, and how long it takes, " +
		"comes from its configuration unless flags say so. Each listener is looked for where it should be asked: one with submission = true " +
		"by the services that users submit mail to (submission, submissions, smtps, ports 587 and 465), the others everywhere else.\n\n" +
		"Exit codes: 0 there is no error, at most warnings and notes; 78 there are errors; " +
		"69 the MTA is not installed or its configuration cannot be read; 77 it may not be read; 64 a flag is wrong."
}

// doctorFlags say what our side does.
type doctorFlags struct {
	listenerFlags
	Socket       []string       `sep:"none" placeholder:"SPEC" help:"Where the milter listens, in place of what the configuration says; may be repeated."`
	StageTimeout *time.Duration `placeholder:"TIME" help:"How long the milter may take for a stage (default: as the configuration says; with --socket, 8s)."`
	EndTimeout   *time.Duration `placeholder:"TIME" help:"How long it may take for the end of a message (default: as the configuration says; with --socket, 240s)."`
	Macro        []string       `placeholder:"STAGE=NAMES" sep:"none" help:"Macros the milter reads beside the usual ones, as in connect={client_addr}; stages are connect, helo, mail, rcpt, data, eoh and end. May be repeated."`
	User         string         `help:"The user the milter runs as, for a socket that is not there yet."`
	Group        string         `help:"The group of such a socket."`
	Mode         string         `placeholder:"OCTAL" help:"The mode of such a socket, as in 0660."`
	JSON         bool           `help:"Print one JSON object for each finding."`
}

type doctorPostfixCmd struct {
	doctorFlags
	ConfigDir string `placeholder:"DIR" help:"The directory of main.cf (default: Postfix's own)."`
	Postconf  string `placeholder:"PATH" help:"The program postconf (default: it is looked for)."`
}

type doctorSendmailCmd struct {
	doctorFlags
	CF       string `name:"cf" default:"/etc/mail/sendmail.cf" placeholder:"FILE" help:"Sendmail's configuration (default: ${default})."`
	Sendmail string `placeholder:"PATH" help:"The program sendmail (default: it is looked for)."`
	Name     string `help:"The milter's name in Sendmail's configuration, where it has none yet (default: that of the listener; with --socket, gomilter)."`
}

// Help is shown below the flags.
func (*doctorPostfixCmd) Help() string { return (*doctorCmd)(nil).Help() }

// Help is shown below the flags.
func (*doctorSendmailCmd) Help() string { return (*doctorCmd)(nil).Help() }

func (c *doctorPostfixCmd) Run(std stdio) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	list, err := doctor.Postfix(context.Background(), doctor.PostfixOptions{ConfigDir: c.ConfigDir, Postconf: c.Postconf}, f)
	return c.answer(std.out, list, err, "Then: postfix check && postfix reload")
}

func (c *doctorSendmailCmd) Run(std stdio) error {
	if c.Name != "" && !nameRE.MatchString(c.Name) {
		return exitf(exitUsage, "--name %q: Sendmail takes letters, digits, - and _", c.Name)
	}
	f, err := c.filter()
	if err != nil {
		return err
	}
	list, err := doctor.Sendmail(context.Background(), doctor.SendmailOptions{CF: c.CF, Sendmail: c.Sendmail, Name: c.Name}, f)
	return c.answer(std.out, list, err, "Where sendmail.cf is made of a sendmail.mc, mend that and make it anew. Then restart Sendmail.")
}

// filter makes of the configuration and the flags what doctor is told of our side.
func (c *doctorFlags) filter() (doctor.Filter, error) {
	var f doctor.Filter
	for _, spec := range c.Socket {
		f.Listeners = append(f.Listeners, doctor.Listener{Socket: spec})
	}
	if len(c.Socket) == 0 {
		if err := c.configured(&f); err != nil {
			return f, err
		}
	}
	f.User = cmp.Or(c.User, f.User)
	for _, l := range f.Listeners {
		if _, err := doctor.ParseEndpoint(l.Socket); err != nil {
			return f, exit(exitUsage, err)
		}
	}
	for _, t := range []struct{ flag, to *time.Duration }{{c.StageTimeout, &f.StageTimeout}, {c.EndTimeout, &f.EndTimeout}} {
		if t.flag != nil && *t.flag <= 0 {
			return f, exitf(exitUsage, "--stage-timeout and --end-timeout are above zero")
		} else if t.flag != nil {
			*t.to = *t.flag
		}
	}
	if c.Mode != "" {
		n, err := strconv.ParseUint(c.Mode, 8, 9)
		if err != nil {
			return f, exitf(exitUsage, "--mode %q is no mode such as 0660", c.Mode)
		}
		for i := range f.Listeners {
			f.Listeners[i].Mode = fs.FileMode(n)
		}
	}
	for i := range f.Listeners {
		f.Listeners[i].Group = cmp.Or(c.Group, f.Listeners[i].Group)
	}
	f.Macros = doctor.DefaultMacros()
	return f, exit(exitUsage, c.addMacros(f.Macros))
}

// configured fills in what the configuration says of the listeners.
func (c *doctorFlags) configured(f *doctor.Filter) error {
	list, cfg, err := c.listeners()
	if err != nil {
		return err
	}
	f.User = cfg.User
	for _, l := range cfg.Listeners {
		aside := !slices.ContainsFunc(list, func(x config.Listener) bool { return x.Name == l.Name })
		if network, _, _ := wire.ParseAddr(l.Socket); aside && network == "fd" {
			continue
		}
		f.Listeners = append(f.Listeners, doctor.Listener{Name: milterName(l.Name), Socket: l.Socket, Submission: l.Submission, Aside: aside, Group: l.Group, Mode: l.Mode})
		if aside {
			continue
		}
		t := l.Timeouts
		if t.Stage < 0 { // none: the filters have a time all the same
			t.Stage = t.FiltersStage
		}
		if t.End < 0 {
			t.End = t.FiltersEnd
		}
		if t.Progress < 0 { // the MTA hears nothing before the end
			t.Progress = t.End
		}
		f.StageTimeout, f.EndTimeout = max(f.StageTimeout, t.Stage), max(f.EndTimeout, t.End)
		f.ProgressInterval = max(f.ProgressInterval, t.Progress)
	}
	return nil
}

func (c *doctorFlags) addMacros(to map[wire.Stage][]string) error {
	stages := make(map[string]wire.Stage)
	for s := range wire.Stage(wire.MacroStages) {
		stages[s.String()] = s
	}
	for _, arg := range c.Macro {
		name, names, ok := strings.Cut(arg, "=")
		stage, known := stages[name]
		if !ok || !known {
			return fmt.Errorf("--macro %q is not STAGE=NAMES with a stage of connect, helo, mail, rcpt, data, eoh and end", arg)
		}
		for _, m := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' }) {
			to[stage] = append(to[stage], m)
		}
	}
	return nil
}

// answer prints the findings and returns what the exit code says.
func (c *doctorFlags) answer(w io.Writer, list []doctor.Finding, err error, then string) error {
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return exit(exitPermission, err)
		}
		return exit(exitUnavailable, err)
	}
	count := make(map[doctor.Severity]int)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // && is what the admin reads
	fixed := false
	for _, f := range list {
		count[f.Severity]++
		fixed = fixed || len(f.Fixes) > 0
		if c.JSON {
			if err := enc.Encode(f); err != nil {
				return exit(exitCantCreate, err)
			}
			continue
		}
		printFinding(w, f)
	}
	if !c.JSON {
		switch {
		case len(list) == 0:
			fmt.Fprintln(w, "no faults found")
		case fixed:
			fmt.Fprintln(w, then)
		}
	}
	if n := count[doctor.Error]; n > 0 {
		return exitf(exitConfig, "found errors: %d, warnings: %d, notes: %d", n, count[doctor.Warning], count[doctor.Note])
	}
	return nil
}

func printFinding(w io.Writer, f doctor.Finding) {
	fmt.Fprintf(w, "%-8s %s", f.Severity, f.What)
	if len(f.Services) > 0 {
		fmt.Fprintf(w, " (%s)", strings.Join(f.Services, ", "))
	}
	fmt.Fprintf(w, " [%s]\n         %s\n", f.Code, f.Why)
	lines := func(head string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(w, "         %s\n", head)
		for _, l := range lines {
			fmt.Fprintf(w, "             %s\n", l)
		}
	}
	for _, fix := range f.Fixes {
		switch {
		case fix.File == "":
			lines("Run:", fix.Lines)
		case fix.Replace == 0:
			lines("Add to "+fix.File+":", fix.Lines)
		case fix.Through > fix.Replace:
			lines(fmt.Sprintf("In %s, instead of lines %d to %d:", fix.File, fix.Replace, fix.Through), fix.Lines)
		default:
			lines(fmt.Sprintf("In %s, instead of line %d:", fix.File, fix.Replace), fix.Lines)
		}
		lines("Or in sendmail.mc:", fix.MC)
	}
	fmt.Fprintln(w)
}
