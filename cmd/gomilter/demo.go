package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/headerrules"
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

type demoCmd struct {
	Deliver string `placeholder:"DIR" help:"Deliver to this Maildir (default: a new one below the system's folder for temporary files)."`
	JSON    bool   `help:"Print one JSON object for each message."`
	Verbose bool   `short:"v" help:"Show what the filter and the SMTP server log."`
}

func (*demoCmd) Help() string {
	return `The sample filter is served on a milter socket. A small SMTP server on the loopback interface asks
it at each step, as an MTA does, and delivers to a Maildir. Messages are sent to that server by
SMTP; each line shows what became of one, and whether that is as it should be.

Exit codes: 0 everything came out right; 70 something did not, and is named.`
}

// A demoMail is a message of the demo and what should become of it.
type demoMail struct {
	name  string
	from  string
	rcpts []string
	text  string // of the message, with LF

	refused map[string]string // recipients that are, and how
	reply   string            // of the message; "" for a good one, "-" where it is not sent
	edits   []mta.Edit
	body    bool   // a new body is among the edits, too
	want    string // the message as delivered, with LF; "" where it is not
}

// demoMails returns the messages: what passes, then one for each rule.
func demoMails() []demoMail {
	mark := edit.Edit{Action: edit.AddHeader, Name: headerrules.Mark, Value: "passed"}
	head := func(id, subject string) string {
		return "From: Ann <ann@example.com>\nTo: Bob <bob@example.net>\nSubject: " + subject +
			"\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <" + id + "@example.com>\n"
	}
	bob := []string{"bob@example.net"}
	const body = "\nHello Bob,\n\n.a line that begins with a dot, and a blank at the end: \n\nAnn\n"
	const utf8 = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"

	mails := []demoMail{
		{name: "plain text", text: head("1", "Lunch") + body, want: marked(head("1", "Lunch"), body)},
		{name: "UTF-8", text: head("2", "Grüße aus Zürich — 東京") + utf8 + "\nÄÖÜ ß € 日本語 🐦\n",
			want: marked(head("2", "Grüße aus Zürich — 東京")+utf8, "\nÄÖÜ ß € 日本語 🐦\n")},
		{name: "three recipients", rcpts: []string{"bob@example.net", "carol@example.net", "dave@example.org"},
			text: head("3", "To all of you") + body, want: marked(head("3", "To all of you"), body)},
		{name: "a bounce", from: "<>", text: head("4", "Undelivered mail") + body, want: marked(head("4", "Undelivered mail"), body)},
		{name: "a mark already there", text: head("5", "I vouch for myself") + "X-Gomilter-Sample: passed, honestly\n" + body,
			edits: []mta.Edit{{Action: edit.DeleteHeader, Name: headerrules.Mark, Index: 1}, mark}, want: marked(head("5", "I vouch for myself"), body)},
		{name: "one recipient refused", rcpts: []string{"bob@example.net", "mailer-daemon@example.net"},
			refused: map[string]string{"mailer-daemon@example.net": "550 5.1.1 MAILER-DAEMON sends mail but takes none"},
			text:    head("6", "Two of you") + body, want: marked(head("6", "Two of you"), body)},
		{name: "all recipients refused", rcpts: []string{"MAILER-DAEMON@example.net"}, reply: "-",
			refused: map[string]string{"MAILER-DAEMON@example.net": "550 5.1.1 MAILER-DAEMON sends mail but takes none"}},
		{name: "rule shouting", text: head("7", "Win $$$ today") + body, reply: "550 5.7.1 please write a subject without shouting"},
		{name: "the same, encoded", text: head("8", "=?UTF-8?Q?It_is_=46REE?=") + body, reply: "550 5.7.1 please write a subject without shouting"},
		{name: "rule advertising", text: head("9", "Adv: buy now") + body, reply: "550 5.7.1 advertising is not wanted here"},
		{name: "rule message-id", text: "From: ann@example.com\nSubject: Lunch\nMessage-ID: <>\n" + body, reply: "550 5.7.1 the Message-ID is too short to be one"},
		{name: "rule mailer", text: head("10", "Lunch") + "X-Mailer: Mail Bomber\n" + body, reply: "550 5.7.1 this program's mail is not wanted here"},
	}
	mails = append(mails, demoParts(head)...)
	for i := range mails {
		m := &mails[i]
		if m.from == "" {
			m.from = "ann@example.com"
		}
		m.from = strings.Trim(m.from, "<>")
		if m.rcpts == nil {
			m.rcpts = bob
		}
		if m.edits == nil && m.want != "" {
			m.edits = []mta.Edit{mark}
		}
	}
	return mails
}

func (c *demoCmd) Run(std stdio) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return c.play(ctx, std, demoMails(), headerrules.New(headerrules.Rules...))
}

// play sends the mails through a filter and the chain behind it, and says whether
// each came out as it should.
func (c *demoCmd) play(ctx context.Context, std stdio, mails []demoMail, filter func(*milter.Session) milter.Hooks) error {
	dir, remove := c.Deliver, ""
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "gomilter-demo-"); err != nil {
			return exit(exitCantCreate, err)
		}
		remove = "\nand delete it when you have seen it:\n  rm -r " + dir
		dir = filepath.Join(dir, "Maildir")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return exit(exitCantCreate, err)
	}
	box, err := openMailbox(dir)
	if err != nil {
		return exit(exitCantCreate, err)
	}
	log := slog.New(slog.DiscardHandler)
	if c.Verbose {
		log = newLog(std.err)
	}
	kept := filepath.Join(dir, "kept")
	chain, err := demoChain(kept, log.With("at", "chain"))
	if err != nil {
		return exit(exitCantCreate, err)
	}
	d, stop, err := c.start(ctx, log, box, filter, chain.Hooks)
	if err != nil {
		return exit(exitUnavailable, err)
	}
	defer stop()
	info := std.out
	if c.JSON {
		info = std.err
	}
	fmt.Fprintf(info, "filters      the header-rule sample, on %s\n             attachments and html, in one process, on %s\nSMTP server  %s, which asks them as Postfix would\nMaildir      %s\noriginals    %s\n\n", d.sockets[0], d.sockets[1], d.addr, dir, kept)

	client, err := smtp.Dial(d.addr)
	if err != nil {
		return exit(exitUnavailable, err)
	}
	defer client.Close()
	client.CommandTimeout, client.SubmissionTimeout = 10*time.Second, time.Minute
	var wrong, delivered int
	for _, m := range mails {
		if ctx.Err() != nil {
			return exit(exitTemporary, context.Cause(ctx))
		}
		replies, err := m.send(client)
		if err != nil {
			return exitf(exitSoftware, "%s: %w", m.name, err)
		}
		var got delivery
		select {
		case got = <-d.ended:
		default:
			return exitf(exitSoftware, "%s: the SMTP server does not know of it", m.name)
		}
		got.res.File = m.name
		faults := m.compare(replies, got)
		if got.path != "" {
			delivered++
		}
		if c.JSON {
			json.NewEncoder(std.out).Encode(got.res)
		} else {
			m.show(std, replies, got, faults == nil)
			if m.body && faults == nil {
				showOriginal(ctx, std.out, chain.Originals)
			}
		}
		if faults != nil {
			wrong++
			fmt.Fprintf(std.err, "gomilter: demo: %q came out wrong:\n  %s\n", m.name, strings.ReplaceAll(errors.Join(faults...).Error(), "\n", "\n  "))
		}
	}
	if err := client.Quit(); err != nil {
		return exit(exitSoftware, err)
	}
	if wrong > 0 {
		return exitf(exitSoftware, "demo: %d of %d messages did not come out as they should", wrong, len(mails))
	}
	fmt.Fprintf(info, `
%d messages were sent, %d delivered, %d refused: all as it should be.

Look at what was delivered:
  cat %s/new/*%s
Attach filters to your own mail server; README.md has all of it, docs/filters.md has the filters:
  gomilter serve -c examples/null.toml
  gomilter config postfix -c examples/null.toml    # or: config sendmail
Or see what any milter makes of a message of yours:
  gomilter mta --socket SPEC message.eml
`, len(mails), delivered, len(mails)-delivered, dir, remove)
	return nil
}

// showOriginal tells which filter changed the last message that was changed, and why.
func showOriginal(ctx context.Context, w io.Writer, store *quarantine.Store) {
	for e, err := range store.List(ctx) { // newest first
		if err == nil {
			fmt.Fprintf(w, "%42s%s: %s\n%42sall else is as it was sent; original %s\n", "", e.Filter, printable(e.Reason), "", e.Ref)
		}
		return
	}
}

// A demo is what runs while the mails are sent.
type demo struct {
	sockets []string
	addr    string
	ended   chan delivery
}

// start serves filters and SMTP; stop ends all and waits for them.
func (c *demoCmd) start(ctx context.Context, log *slog.Logger, box *mailbox, filters ...func(*milter.Session) milter.Hooks) (d *demo, stop func(), err error) {
	tmp, err := os.MkdirTemp("", "gomilter-demo-socket-")
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{}, 1+len(filters))
	running := 0
	stop = func() {
		cancel()
		for range running {
			<-ended
		}
		os.RemoveAll(tmp)
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	d = &demo{ended: make(chan delivery, 16)}
	var milters []mta.Milter
	for i, name := range []string{"sample", "chain"}[:len(filters)] {
		socket := "unix:" + filepath.Join(tmp, name+".sock")
		ln, err := milter.Listen(socket, milter.SocketOptions{Mode: 0o600})
		if err != nil {
			return nil, nil, err
		}
		d.sockets = append(d.sockets, socket)
		milters = append(milters, mta.Milter{Name: name, Address: socket})
		running++
		go func() {
			(&milter.Server{New: filters[i], Log: log.With("at", name)}).Serve(ctx, ln)
			ended <- struct{}{}
		}()
	}
	smtpLn, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if smtpLn, err = net.Listen("tcp", "[::1]:0"); err != nil {
			return nil, nil, err
		}
	}
	d.addr = smtpLn.Addr().String()
	srv := &smtpServer{
		client: func() *mta.Client {
			return &mta.Client{Profile: mta.Postfix, Failure: mta.FailTempFail, Milters: milters}
		},
		box: box, maxSize: 10 << 20, log: log.With("at", "smtp server"),
		done: func(got delivery) { d.ended <- got },
	}
	running++
	go func() {
		srv.serve(ctx, smtpLn)
		ended <- struct{}{}
	}()
	return d, stop, nil
}

// smtpReplies are what a client was told.
type smtpReplies struct {
	refused map[string]string // recipients
	message string            // "-" when it was not sent
}

// send sends a mail. An error says that the conversation itself failed.
func (m *demoMail) send(c *smtp.Client) (r smtpReplies, err error) {
	opts := &smtp.MailOptions{}
	if strings.IndexFunc(m.text, func(r rune) bool { return r >= 0x80 }) >= 0 {
		opts.Body, opts.UTF8 = smtp.Body8BitMIME, true
	}
	if err := c.Mail(m.from, opts); err != nil {
		return r, err
	}
	r = smtpReplies{map[string]string{}, "-"}
	for _, to := range m.rcpts {
		var refusal *smtp.SMTPError
		switch err := c.Rcpt(to, nil); {
		case errors.As(err, &refusal):
			r.refused[to] = smtpErrorText(refusal)
		case err != nil:
			return r, err
		}
	}
	if len(r.refused) == len(m.rcpts) {
		return r, c.Reset()
	}
	w, err := c.Data()
	if err != nil {
		return r, err
	}
	if _, err := strings.NewReader(strings.ReplaceAll(m.text, "\n", "\r\n")).WriteTo(w); err != nil {
		return r, err
	}
	var refusal *smtp.SMTPError
	switch ok, err := w.CloseWithResponse(); {
	case errors.As(err, &refusal):
		r.message = smtpErrorText(refusal)
	case err != nil:
		return r, err
	default:
		r.message = "250 " + ok.StatusText
	}
	return r, nil
}

func smtpErrorText(e *smtp.SMTPError) string {
	x := e.EnhancedCode
	if x == smtp.NoEnhancedCode || x == smtp.EnhancedCodeNotSet {
		return fmt.Sprintf("%d %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%d %d.%d.%d %s", e.Code, x[0], x[1], x[2], e.Message)
}

// compare returns what did not come out as it should.
func (m *demoMail) compare(r smtpReplies, got delivery) (faults []error) {
	differs := func(what, got, want string) {
		if got != want {
			faults = append(faults, fmt.Errorf("%s is %q, should be %q", what, got, want))
		}
	}
	for _, to := range m.rcpts {
		differs("the reply to <"+to+">", r.refused[to], m.refused[to])
	}
	if m.reply == "" {
		if !strings.HasPrefix(r.message, "250 ") {
			differs("the reply to the message", r.message, "250 and so on")
		}
	} else {
		differs("the reply to the message", r.message, m.reply)
	}
	var edits, wantEdits strings.Builder
	body := false
	for _, e := range got.res.Edits {
		if e.Action == edit.ReplaceBody {
			body = true
			continue
		}
		fmt.Fprintln(&edits, e.Edit)
	}
	if body != m.body {
		faults = append(faults, fmt.Errorf("the body is replaced: %v, should be %v", body, m.body))
	}
	for _, e := range m.edits {
		fmt.Fprintln(&wantEdits, e)
	}
	differs("the list of edits", edits.String(), wantEdits.String())
	if m.want == "" {
		differs("the delivered file", got.path, "")
		return faults
	}
	if got.path == "" {
		return append(faults, errors.New("the message was not delivered"))
	}
	file, err := os.ReadFile(got.path)
	if err != nil {
		return append(faults, err)
	}
	envelope := "Return-Path: <" + m.from + ">\n"
	for _, to := range m.rcpts {
		if m.refused[to] == "" {
			envelope += "Delivered-To: " + to + "\n"
		}
	}
	rest, ok := bytes.CutPrefix(file, []byte(envelope))
	if !ok {
		return append(faults, fmt.Errorf("%s does not begin with the envelope %q", got.path, envelope))
	}
	// The server's own Received field is all that may stand before the message.
	if msg := message.Parse(rest); len(msg.Header) == 0 || !msg.Header[0].Is("Received") {
		faults = append(faults, fmt.Errorf("%s has no Received field on top", got.path))
	} else {
		rest = rest[len(msg.Header[0].Raw()):]
	}
	differs("the message in "+got.path, demoRef.ReplaceAllString(string(rest), "${1}REF\n"), m.want)
	return faults
}

// show prints a line for the mail, and one for each refused recipient and edit.
func (m *demoMail) show(std stdio, r smtpReplies, got delivery, ok bool) {
	sign := "ok   "
	if !ok {
		sign = "WRONG"
	}
	reply := r.message
	if reply == "-" {
		reply = r.refused[m.rcpts[len(m.rcpts)-1]]
	}
	fmt.Fprintf(std.out, "%s  %-22s  %-7s  %s\n", sign, m.name, got.res.Verdict, printable(reply))
	for _, to := range slices.Sorted(slices.Values(m.rcpts)) {
		if why := r.refused[to]; why != "" && r.message != "-" {
			fmt.Fprintf(std.out, "%40s  <%s> %s\n", "", to, printable(why))
		}
	}
	if got.res.Verdict == mta.Accept {
		for _, e := range got.res.Edits {
			fmt.Fprintf(std.out, "%40s  %s\n", "", printable(e.Edit.String()))
		}
	}
}
