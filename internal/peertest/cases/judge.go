package cases

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
)

// A Judge plays cases of one setup: on a real MTA, or on package mta.
type Judge struct {
	Kind     peertest.Kind
	setup    setup
	switches []*peertest.Switch
	mta      *peertest.MTA // nil for the profile
}

// NewReal starts a real MTA for the cases of a setup.
func NewReal(t testing.TB, kind peertest.Kind, name string) *Judge {
	j := newJudge(t, kind, name)
	s := j.setup
	cfg := peertest.Config{Macros: s.macros}
	for _, sw := range j.switches {
		cfg.Milters = append(cfg.Milters, peertest.Milter{
			Spec: sw.Spec, DefaultAction: s.action,
			ConnectTimeout: s.command, CommandTimeout: s.command, ContentTimeout: s.content,
		})
	}
	if s.version != 0 {
		cfg.Extra = map[peertest.Kind][]string{kind: {fmt.Sprintf("milter_protocol = %d", s.version)}}
	}
	if name == "" {
		cfg.NonSMTPMilters = cfg.Milters
		cfg.FilterBounces, cfg.TLS, cfg.IPv6, cfg.Submission = true, true, true, true
		cfg.Auth = map[string]string{"joe": "secret"}
	}
	j.mta = peertest.Start(t, kind, cfg)
	return j
}

func newJudge(t testing.TB, kind peertest.Kind, name string) *Judge {
	j := &Judge{Kind: kind, setup: setups[name]}
	for range j.setup.filters {
		j.switches = append(j.switches, peertest.NewSwitch(t, j.setup.network))
	}
	return j
}

// Play plays a case and returns what came of it.
func (j *Judge) Play(t testing.TB, c *Case) (Outcome, error) {
	var filters []*filter
	for i := range c.Filters {
		plan := &c.Filters[i]
		switch {
		case plan.Absent:
		case plan.Gone:
			defer hide(t, j.switches[i].Spec)()
		default:
			filters = append(filters, plan.serve(j.switches[i].Listen(t), j.hurry()))
		}
	}
	norm := new(normalizer)
	out, err := j.converse(t, c, norm)
	n := 0
	for i := range c.Filters {
		if c.Filters[i].Absent || c.Filters[i].Gone {
			continue
		}
		rec, ferr := filters[n].end()
		n++
		err = errors.Join(err, ferr)
		for _, l := range rec.outcome() {
			if i > 0 && l.key != "fault" {
				l.key = fmt.Sprintf("filter%d %s", i+1, l.key)
			}
			if _, name, _ := strings.Cut(l.key, "macro "); strings.HasSuffix(name, " i") && l.value != "(gone)" {
				norm.add(l.value, "<id>")
			}
			out = append(out, l)
		}
	}
	return norm.normalize(out), err
}

// hurry is how many times faster time passes: only the real MTAs' clocks cannot be
// told to.
func (j *Judge) hurry() time.Duration {
	if j.mta == nil && j.setup.command > 0 {
		return 4
	}
	return 1
}

func (j *Judge) converse(t testing.TB, c *Case, norm *normalizer) (Outcome, error) {
	if j.mta != nil {
		return j.converseReal(t, c, norm)
	}
	return j.converseProfile(t, c, norm)
}

// replies returns what the client was told.
func (p *player) outcome() (out Outcome) {
	out = append(out, line{"replies", strings.Join(p.replies, ", ")})
	out = append(out, p.refused...)
	return append(out, line{"taken", fmt.Sprint(p.taken)})
}

// hide takes a unix socket away until the returned function is called.
func hide(t testing.TB, spec string) func() {
	path, ok := strings.CutPrefix(spec, "unix:")
	if !ok {
		t.Fatalf("%s is no unix socket, and only those can be gone", spec)
	}
	if err := os.Rename(path, path+"x"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(path+"x", path); err != nil {
			t.Fatal(err)
		}
	}
}

func (j *Judge) converseReal(t testing.TB, c *Case, norm *normalizer) (Outcome, error) {
	m := j.mta
	norm.add(m.Host, "<host>")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	// A message that was taken is waited for before the next is sent, so that they
	// arrive in their order.
	s := &realServer{t: t, mta: m, settle: func() error { return j.settle(ctx, t) }}
	p := &player{s: s, count: make(map[string]int)}
	err := p.play(c.Steps)
	if s.d != nil {
		s.d.Close()
	}
	out := p.outcome()
	err = errors.Join(err, s.settle())
	m.Sink.Answer(nil)
	if err != nil {
		return out, err
	}
	mails := m.Sink.Take()
	out = append(out, line{"delivered", fmt.Sprint(len(mails))})
	for i, mail := range mails {
		d := delivery{from: path(mail.From, c), mail: mail}
		for _, to := range mail.Rcpts {
			d.to = append(d.to, path(to, c))
		}
		out = append(out, d.lines(nth("mail", i), m.Host)...)
	}
	if len(mails) >= p.taken && s.d != nil {
		return out, nil
	}
	queue := m.Queue(t)
	for i, q := range queue {
		norm.add(q.ID, "<id>")
		if q.State != peertest.Quarantined {
			out = append(out, line{"deferred", string(q.State) + " " + q.Reason})
			continue
		}
		out = append(out, line{"held", heldFor(j.Kind, q.Reason)})
		var text strings.Builder
		if j.Kind == peertest.Sendmail && len(q.Header) > 0 && q.Header[0].Name == "Return-Path" {
			q.Header = q.Header[1:] // for local delivery; it is not sent on
		}
		for _, f := range q.Header {
			fmt.Fprintf(&text, "%s:%s\r\n", f.Name, strings.ReplaceAll(f.Value, "\n", "\r\n"))
		}
		text.WriteString("\r\n" + strings.ReplaceAll(string(q.Body), "\n", "\r\n"))
		d := delivery{from: "<" + q.Sender + ">", mail: &peertest.Mail{Data: []byte(text.String())}}
		for _, to := range q.Rcpts {
			d.to = append(d.to, "<"+to+">")
		}
		out = append(out, d.lines("held "+nth("mail", i), m.Host)...)
	}
	if len(queue) > 0 {
		err = m.Purge()
	}
	return out, err
}

// settle waits until no mail is on its way any more. Sendmail notes in a queue
// file what a filter said to an unknown command, so that a mail which was not
// tried yet looks like one that was tried in vain.
func (j *Judge) settle(ctx context.Context, t testing.TB) error {
	for range 1000 {
		if err := j.mta.Settle(ctx); err != nil || j.Kind != peertest.Sendmail {
			return err
		}
		deferred := func(q peertest.Queued) bool { return q.State == peertest.Deferred }
		if !slices.ContainsFunc(j.mta.Queue(t), deferred) {
			return nil
		}
		time.Sleep(3 * time.Millisecond)
	}
	return nil
}

func nth(what string, i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d ", what, i+1)
}

// heldFor returns the reason that an MTA keeps.
func heldFor(kind peertest.Kind, reason string) string {
	if kind == peertest.Postfix {
		return "(no reason kept)"
	}
	return reason
}

// path shows an address with its parameters, but for those that MTAs make up:
// of ORCPT those in cases that do not mention it.
func path(p peertest.Path, c *Case) string {
	text := "<>"
	if p.Addr != "" {
		text = "<" + printable(p.Addr) + ">"
	}
	for _, s := range slices.Sorted(slices.Values(p.Params)) {
		switch name, value, _ := strings.Cut(s, "="); name {
		case "SIZE", "BODY":
			continue
		case "ORCPT":
			if !strings.Contains(c.text, "ORCPT=") || strings.EqualFold(value, "rfc822;"+p.Addr) {
				continue
			}
		}
		text += " " + printable(s)
	}
	return text
}

// A realServer is an MTA at the other end of an SMTP connection.
type realServer struct {
	t      testing.TB
	mta    *peertest.MTA
	d      *peertest.Dialogue
	settle func() error
}

func toAnswer(r peertest.Reply) (answer, error) {
	switch {
	case r.Err == nil:
		return answer{r.Code, r.Lines}, nil
	case errors.Is(r.Err, io.EOF), errors.Is(r.Err, syscall.ECONNRESET), errors.Is(r.Err, syscall.EPIPE), errors.Is(r.Err, net.ErrClosed):
		return answer{}, nil
	case len(r.Lines) > 0:
		return answer{noCode, r.Lines}, nil
	}
	return answer{}, r.Err
}

func (s *realServer) dial(where string) (answer, error) {
	addr := s.mta.Addr
	switch where {
	case "ipv6":
		addr = s.mta.Addr6
	case "submission":
		addr = s.mta.Submission
	}
	if addr == "" {
		return answer{}, fmt.Errorf("the setup does not listen for %s", where)
	}
	s.d = peertest.Dial(s.t, addr)
	return toAnswer(s.d.Banner)
}

func (s *realServer) command(line string) (answer, error) { return toAnswer(s.d.Cmd(line)) }

func (s *realServer) pipeline(lines []string) (out []answer, err error) {
	for _, r := range s.d.Pipeline(lines...) {
		a, aerr := toAnswer(r)
		out, err = append(out, a), errors.Join(err, aerr)
	}
	return out, err
}

func (s *realServer) data(message string) (answer, error) {
	a, err := toAnswer(s.d.Data(message))
	if err == nil && a.ok() {
		err = s.settle()
	}
	return a, err
}

func (s *realServer) raw(text string) error { s.d.Write(text); return nil }

func (s *realServer) startTLS() (answer, error) {
	return toAnswer(s.d.StartTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}))
}

func (s *realServer) auth(user, password string) (answer, error) {
	return toAnswer(s.d.AuthPlain(user, password))
}

func (s *realServer) hangUp() error { s.d.Close(); return nil }

func (s *realServer) local(l *letter) (ok bool, err error) {
	from, _, _ := strings.Cut(strings.TrimPrefix(l.from, "<"), ">")
	if from == "" {
		from = "<>"
	}
	out := peertest.Letter{From: from, Data: l.message()}
	for _, to := range l.to {
		to, _, _ = strings.Cut(strings.TrimPrefix(to, "<"), ">")
		out.To = append(out.To, to)
	}
	// It is meant not to succeed where a filter refuses.
	if err := s.mta.SubmitLocal(out); err != nil {
		s.t.Log(err)
		return false, nil
	}
	return true, nil
}

func (s *realServer) refuseNext(verb, text, reply string) {
	s.mta.Sink.Answer(func(v, arg string) string {
		if v == verb && strings.Contains(arg, text) {
			return reply
		}
		return ""
	})
}

// String names the judge.
func (j *Judge) String() string {
	if j.mta != nil {
		return "real " + string(j.Kind)
	}
	return "mta as " + string(j.Kind)
}
