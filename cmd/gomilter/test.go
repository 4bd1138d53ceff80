package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/offline"
	"github.com/gomilter/gomilter/mta"
)

type testCmd struct {
	settings
	dnsFlag
	Listener string      `placeholder:"NAME" help:"Whose chain to run, where the configuration has several listeners."`
	Profile  mta.Profile `default:"postfix" placeholder:"NAME" help:"Whose ways to follow: postfix or sendmail (default: ${default})."`

	From        *string           `group:"Envelope" placeholder:"ADDR" help:"Sender; \"\" is the null sender. ESMTP parameters may follow: \"<a@example.com> SIZE=100\". Default: the message's Return-Path, its line in the mbox, or its From."`
	Rcpt        []string          `group:"Envelope" placeholder:"ADDR" sep:"none" help:"Recipient, like --from. May be repeated. Default: those in the message's X-Original-To, Delivered-To, or To and Cc."`
	Client      string            `group:"Envelope" placeholder:"ADDR[:PORT]" help:"Address of the SMTP client, or unix:PATH (default: 192.0.2.1, an external one)."`
	ClientName  string            `group:"Envelope" placeholder:"NAME" help:"Its host name, as found in DNS."`
	Helo        string            `group:"Envelope" placeholder:"NAME" help:"What it says in HELO (default: its name, or its address)."`
	FromHeaders bool              `group:"Envelope" help:"Take the client from the topmost Received field of each message that has one."`
	Auth        string            `group:"Envelope" placeholder:"USER" help:"Tell that the client authenticated as this user."`
	Macro       map[string]string `group:"Envelope" placeholder:"NAME=VALUE" mapsep:"none" help:"Give a macro this value. May be repeated."`
	At          string            `group:"Envelope" placeholder:"TIME" help:"Let it be this time, such as 2026-11-22T15:04:05Z."`

	JSON   bool           `name:"json" help:"Print one JSON object for each message."`
	Diff   bool           `help:"Show what filters change as a unified diff."`
	Output string         `placeholder:"DIR" help:"Write each message as it would be delivered to a file in this folder; refused ones as they came."`
	Mbox   offline.Format `default:"auto" placeholder:"FORMAT" help:"Which FILEs are mailboxes: auto (those that begin with \"From \"), rd or o (all, with quotes as in mboxrd or mboxo), no (none) (default: ${default})."`
	Jobs   int            `short:"j" placeholder:"N" help:"Messages tested at once (default: one for each processor)."`
	File   []string       `arg:"" placeholder:"FILE" help:"A message, an mbox or a Maildir; - is standard input."`
}

func (*testCmd) Help() string {
	return `The filters of the configuration are run on messages, without an MTA and without the daemon, and
what they would do is shown. Nobody but DNS servers is contacted, and with --dns FILE not even
these; nothing is written but what --output asks for.

    gomilter test -c gomilter.toml --diff message.eml
    gomilter test -c gomilter.toml ~/Maildir | tail -20

Exit codes: 0 all messages got a verdict, whatever it is; 65 a message cannot be read (the others
are tested); 73 an output cannot be written; 78 the configuration has errors.`
}

func (c *testCmd) Run(std stdio) error {
	ctx, stop := untilSignal()
	defer stop()
	// A pipe that nobody reads any more is an error of writing, and not the end of
	// the process: there is a folder to be removed.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)
	o, err := c.options()
	if err != nil {
		return exit(exitUsage, err)
	}
	cfg, _, err := c.read(std.err)
	if err != nil {
		return err
	}
	defer cfg.CloseResolver()
	l, err := c.listener(cfg)
	if err != nil {
		return exit(exitUsage, err)
	}
	inputs := offline.Find(c.Mbox, c.File...)
	if c.Output != "" {
		if err := offline.CheckNames(inputs); err != nil {
			return exit(exitUsage, err)
		}
		if err := os.MkdirAll(c.Output, 0o700); err != nil {
			return exit(exitCantCreate, err)
		}
	}
	if o.Resolver, err = c.zone(); err != nil {
		return err
	}
	show := &testShow{c: c, std: std, began: time.Now()}
	show.bar.start(std.err, inputs)
	defer show.bar.stop()
	o.Log = slog.New(slog.NewTextHandler(&show.bar, &slog.HandlerOptions{Level: slog.LevelError}))
	t, err := offline.New(cfg, l, o)
	if err != nil {
		return exit(exitCantCreate, err)
	}
	err = t.Run(ctx, std.in, inputs, show.result)
	show.bar.stop()
	if e := t.Close(); err == nil && e != nil {
		err = exit(exitCantCreate, e)
	}
	if ctx.Err() != nil {
		return exitf(exitTemporary, "interrupted")
	}
	if err != nil {
		if _, ok := errors.AsType[*exitError](err); !ok {
			err = exit(exitTemporary, err)
		}
		return err
	}
	if err := show.summary(); err != nil {
		return exit(exitCantCreate, err)
	}
	if n := show.sum.Unread; n > 0 {
		return exitf(exitData, "%s could not be read", count(n, "message"))
	}
	return nil
}

// options are what the flags say without the configuration.
func (c *testCmd) options() (offline.Options, error) {
	o := offline.Options{Profile: c.Profile, Workers: c.Jobs, Deliver: c.Diff || c.Output != "", Macros: map[string]string{}}
	e := &o.Envelope
	switch {
	case c.Jobs < 0:
		return o, fmt.Errorf("-j %d: there is no such number of messages", c.Jobs)
	case c.JSON && c.Diff:
		return o, errors.New("--diff is for people; leave out --json")
	case c.FromHeaders && (c.Client != "" || c.ClientName != ""):
		return o, errors.New("the client is that of --client and --client-name, or that of --from-headers")
	}
	if n := slices.Index(c.File, "-"); n >= 0 && slices.Contains(c.File[n+1:], "-") {
		return o, errors.New("standard input can be read once only")
	}
	if c.Auth != "" {
		o.Macros["auth_authen"], o.Macros["auth_type"] = c.Auth, "PLAIN"
	}
	for name, value := range c.Macro {
		o.Macros[strings.TrimSuffix(strings.TrimPrefix(name, "{"), "}")] = value
	}
	e.Helo, e.Received = c.Helo, c.FromHeaders
	if c.From != nil {
		from := bracketed(*c.From)
		e.From = &from
	}
	for _, r := range c.Rcpt {
		if strings.TrimSpace(r) == "" {
			return o, errors.New("--rcpt is empty; only a sender may be")
		}
		e.Rcpts = append(e.Rcpts, bracketed(r))
	}
	if c.Client != "" || c.ClientName != "" {
		conn := mta.Conn{Name: c.ClientName}
		if path, ok := strings.CutPrefix(c.Client, "unix:"); ok {
			conn.Unix = path
		} else {
			var err error
			if conn.Addr, err = parseClient(cmp.Or(c.Client, "192.0.2.1")); err != nil {
				return o, err
			}
		}
		e.Conn = &conn
	}
	if c.At != "" {
		at, err := parseTime(c.At)
		if err != nil {
			return o, err
		}
		o.Now = func() time.Time { return at }
	}
	return o, nil
}

// parseTime reads a time; one without a zone is local.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil && t.Year() > 1970 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--at %q is no time such as 2026-11-22T15:04:05Z or 2026-11-22", s)
}

// listener returns the listener whose chain is to be run.
func (c *testCmd) listener(cfg *config.Config) (*config.Listener, error) {
	var names []string
	for i := range cfg.Listeners {
		if l := &cfg.Listeners[i]; l.Name == c.Listener || c.Listener == "" && len(cfg.Listeners) == 1 {
			return l, nil
		}
		names = append(names, cfg.Listeners[i].Name)
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("the configuration has no listener, and so no chain")
	case c.Listener == "":
		return nil, fmt.Errorf("the configuration has several listeners; name one with --listener: %s", strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("no listener is called %q; there are %s", c.Listener, strings.Join(names, ", "))
}

// A testShow shows the results.
type testShow struct {
	c     *testCmd
	std   stdio
	began time.Time
	sum   offline.Summary
	bar   testBar
}

// result shows and writes what became of a message.
func (s *testShow) result(r *offline.Result) error {
	s.sum.Add(r)
	s.bar.done(len(r.Data))
	if r.Err != nil {
		file := printable(r.File)
		if pe, ok := errors.AsType[*os.PathError](r.Err); ok && pe.Path == r.File {
			r.Err = pe.Err
		}
		_, err := fmt.Fprintf(&s.bar, "gomilter: %s: %s\n", file, printable(r.Err.Error()))
		return err
	}
	if s.c.Output != "" {
		if err := writeNew(filepath.Join(s.c.Output, r.Name), r.Delivered); err != nil {
			return exit(exitCantCreate, err)
		}
	}
	if f, ok := s.std.out.(*os.File); ok && isTerminal(f) {
		s.bar.clear()
	}
	if s.c.JSON {
		return exit(exitCantCreate, json.NewEncoder(s.std.out).Encode(r))
	}
	var b strings.Builder
	printTested(&b, r)
	if s.c.Diff {
		b.WriteString(r.Diff())
	}
	_, err := io.WriteString(s.std.out, b.String())
	return exit(exitCantCreate, err)
}

// writeNew writes a file that is not there yet.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// printTested shows a result to people: the verdict first, then what led to it.
func printTested(w io.Writer, r *offline.Result) {
	res := r.Result
	fmt.Fprintf(w, "%s: %s", printable(r.File), res.Verdict)
	if res.Stage != "" {
		fmt.Fprintf(w, " at %s", res.Stage)
	}
	if reply := refusal(res); reply != nil {
		fmt.Fprintf(w, ": %s", replyText(reply))
	}
	fmt.Fprintln(w)
	last := ""
	row := func(label, format string, args ...any) {
		if label == last {
			label = ""
		} else {
			last = label
		}
		fmt.Fprintf(w, "  %-11s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	client := r.Client().Unix
	if client == "" {
		client = strings.TrimSpace(r.Client().Name + " [" + r.Client().Addr.Addr().String() + "]")
	}
	client += ", HELO " + r.Helo()
	if r.Explanation != nil {
		client += ", " + r.Explanation.Class.String()
	}
	row("client", "%s", client)
	row("sender", "%s", r.From())
	var named []string // recipients as the client named them and nobody refused
	for _, to := range res.Recipients {
		if to.Reply == nil {
			named = append(named, to.Address)
			row("recipients", "<%s>", to.Address)
		} else {
			row("recipients", "<%s>  %s", to.Address, replyText(to.Reply))
		}
	}
	for _, f := range r.Filters() {
		row("filters", "%s", outcomeText(f))
	}
	switch {
	case res.Verdict == mta.Accept && len(res.Edits) == 0:
		row("edits", "none")
	case res.Verdict != mta.Accept && len(res.Edits) > 0:
		row("edits", "%d, dropped with the message", len(res.Edits))
	}
	for _, e := range res.Edits {
		if res.Verdict == mta.Accept {
			row("edits", "%s", e.Edit)
		}
	}
	if res.Quarantine != nil {
		row("held", "%s", *res.Quarantine)
	}
	if to := res.Envelope.Addresses(); res.Verdict == mta.Accept {
		switch {
		case len(to) == 0:
			row("goes to", "nobody: no recipient is left")
		case !slices.Equal(to, named):
			row("goes to", "<%s>", strings.Join(to, "> <"))
		}
	}
}

// outcomeText says in a line what a filter had to say.
func outcomeText(f filter.Outcome) string {
	var b strings.Builder
	b.WriteString(f.Name)
	if f.Report {
		b.WriteString(" (report)")
	}
	fmt.Fprintf(&b, "  %s at %s", f.Decision, f.Stage)
	if len(f.Edits) > 0 {
		fmt.Fprintf(&b, ", %s", count(len(f.Edits), "edit"))
	}
	fmt.Fprintf(&b, ", %.1f ms", f.MS)
	for _, s := range []string{f.Why, f.Failed} {
		if s != "" {
			fmt.Fprintf(&b, ": %s", s)
		}
	}
	return b.String()
}

// summary shows what became of many messages.
func (s *testShow) summary() error {
	sum := &s.sum
	if s.c.JSON || sum.Messages+sum.Unread < 2 {
		return nil
	}
	var b strings.Builder
	took := time.Since(s.began).Seconds()
	fmt.Fprintf(&b, "\n%s in %.2f s, %.0f/s\n", count(sum.Messages, "message"), took, float64(sum.Messages)/took)
	row := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-11s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	var verdicts []string
	for _, v := range []mta.Verdict{mta.Accept, mta.Reject, mta.TempFail, mta.Discard} {
		if n := sum.Verdicts[v.String()]; n > 0 {
			verdicts = append(verdicts, fmt.Sprintf("%s %d", v, n))
		}
	}
	row("verdicts", "%s", strings.Join(verdicts, ", "))
	row("changed", "%d", sum.Changed)
	if sum.Held > 0 {
		row("held", "%d", sum.Held)
	}
	if sum.Unread > 0 {
		row("not read", "%d", sum.Unread)
	}
	hits := slices.SortedFunc(maps.Keys(sum.Hits), func(x, y offline.Hit) int {
		return cmp.Or(cmp.Compare(x.Filter, y.Filter), cmp.Compare(sum.Hits[y], sum.Hits[x]), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Decision, y.Decision))
	})
	label := "filters"
	for _, h := range hits {
		name := h.Filter
		if h.Report {
			name += " (report)"
		}
		text := fmt.Sprintf("%s  %s %d", name, h.Decision, sum.Hits[h])
		if h.Rule != "" {
			text += "  rule " + h.Rule
		}
		row(label, "%s", text)
		label = ""
	}
	label = "slowest"
	for _, slow := range sum.Slowest {
		row(label, "%.1f ms  %s", float64(slow.Took.Microseconds())/1000, slow.File)
		label = ""
	}
	_, err := io.WriteString(s.std.out, b.String())
	return err
}
