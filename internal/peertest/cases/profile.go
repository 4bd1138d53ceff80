package cases

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/mta"
)

// NewProfile makes a judge of package mta's profile of an MTA, set up like the
// real ones.
func NewProfile(t testing.TB, kind peertest.Kind, name string) *Judge {
	return newJudge(t, kind, name)
}

// host is the name the profiles give themselves.
const host = "mta.example.org"

func (j *Judge) client() *mta.Client {
	c := &mta.Client{
		Profile:  mta.Sendmail,
		Hostname: host,
		Macros:   map[string]string{},
		Version:  uint32(j.setup.version),
		MakeUp:   true,
		Received: true,
	}
	command, content := j.setup.command/j.hurry(), j.setup.content/j.hurry()
	c.Timeouts = mta.Timeouts{Connect: command, Write: command, Command: command, Content: content}
	// All mail goes to one host, by the mailer that the real ones have for it.
	c.Route = func(addr string) (string, string, string) {
		if addr == "" {
			return "local", "", "" // the null sender's
		}
		return "relay", "[127.0.0.1]", addr
	}
	if j.Kind == peertest.Postfix {
		c.Profile = mta.Postfix
		c.Macros["client_connections"] = "0" // nobody counts
		c.Route = func(addr string) (string, string, string) { return "smtp", "[127.0.0.1]:25", addr }
	}
	if err := c.Failure.UnmarshalText([]byte(j.setup.action)); err != nil {
		panic(err)
	}
	for _, sw := range j.switches {
		c.Milters = append(c.Milters, mta.Milter{Address: sw.Spec})
	}
	if j.setup.macros != nil {
		c.Lists = make(map[mta.Stage]string)
		for name, list := range j.setup.macros {
			if name == "eom" {
				name = "end"
			}
			c.Lists[stageNames[name]] = list
		}
	}
	return c
}

func (j *Judge) converseProfile(t testing.TB, c *Case, norm *normalizer) (Outcome, error) {
	norm.add(host, "<host>")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s := &profileServer{ctx: ctx, c: c, client: j.client()}
	p := &player{s: s, count: make(map[string]int)}
	err := p.play(c.Steps)
	if s.session != nil {
		err = errors.Join(err, s.session.Close())
	}
	out := p.outcome()
	out = append(out, line{"delivered", fmt.Sprint(len(s.delivered))})
	for i, d := range s.delivered {
		out = append(out, d.lines(nth("mail", i), host)...)
	}
	for i, d := range s.held {
		out = append(out, line{"held", heldFor(j.Kind, d.reason)})
		out = append(out, d.lines("held "+nth("mail", i), host)...)
	}
	return out, err
}

// A profileServer is an SMTP server that asks package mta what an MTA would say.
type profileServer struct {
	ctx       context.Context
	c         *Case
	client    *mta.Client
	session   *mta.Session
	user      bool // the client has logged in
	delivered []delivery
	held      []delivery
}

func (s *profileServer) dial(where string) (answer, error) {
	conn := mta.Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:40000")}
	switch where {
	case "ipv6":
		conn = mta.Conn{Addr: netip.MustParseAddrPort("[::1]:40000")}
		s.client.Macros["daemon_addr"] = "::1"
		if s.client.Profile == mta.Sendmail {
			s.client.Macros["daemon_name"], s.client.Macros["if_name"] = "MTA6", "[IPv6:0:0:0:0:0:0:0:1]"
		}
	case "submission":
		s.client.Macros["daemon_name"] = map[mta.Profile]string{mta.Sendmail: "MSA", mta.Postfix: "ORIGINATING"}[s.client.Profile]
	}
	session, out, err := s.client.Connect(s.ctx, conn)
	s.session = session
	return s.answer(220, out, err)
}

// answer returns what the client is told; ok is the code when all is well.
func (s *profileServer) answer(ok int, out mta.Outcome, err error) (answer, error) {
	switch {
	case errors.Is(err, mta.ErrClosed):
		return answer{}, nil
	case err != nil:
		return answer{}, err
	case out.Reply != nil:
		return answer{out.Reply.Code, out.Reply.Lines()}, nil
	}
	return answer{ok, []string{fmt.Sprintf("%d ok", ok)}}, nil
}

// own are the refusals of the real MTAs' own rules.
var own = map[mta.Profile]map[string]mta.Reply{
	mta.Sendmail: {
		"mta-reject":   {Code: 550, Enhanced: "5.1.1", Text: []string{"recipient refused by the MTA"}},
		"mta-tempfail": {Code: 450, Enhanced: "4.2.0", Text: []string{"recipient deferred by the MTA"}},
		"mta-unknown":  {Code: 550, Enhanced: "5.1.1", Text: []string{"User unknown"}},
	},
	mta.Postfix: {
		"mta-reject":   {Code: 550, Enhanced: "5.1.1", Text: []string{"Recipient address rejected: recipient refused by the MTA"}},
		"mta-tempfail": {Code: 450, Enhanced: "4.2.0", Text: []string{"Recipient address rejected: recipient deferred by the MTA"}},
		"mta-unknown":  {Code: 550, Enhanced: "5.1.1", Text: []string{"Recipient address rejected: User unknown"}},
	},
}

func (s *profileServer) command(line string) (answer, error) {
	if s.session.Closed() {
		return answer{}, nil
	}
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		out, err := s.session.Helo(s.ctx, arg)
		return s.answer(250, out, err)
	case "MAIL":
		addr, params := cutPath(arg)
		s.session.UnsetMacros("auth_author")
		if i := slices.IndexFunc(params, func(p string) bool { return strings.HasPrefix(p, "AUTH=") }); i >= 0 && s.user {
			s.session.SetMacros(map[string]string{"auth_author": params[i][len("AUTH="):]})
		}
		out, err := s.session.Mail(s.ctx, addr, params...)
		return s.answer(250, out, err)
	case "RCPT":
		addr, params := cutPath(arg)
		local, _, _ := strings.Cut(strings.TrimPrefix(addr, "<"), "@")
		if r, ok := own[s.client.Profile][local]; ok {
			err := s.session.RcptRefused(s.ctx, addr, r, params...)
			r.Text = []string{addr + map[mta.Profile]string{mta.Sendmail: "... ", mta.Postfix: ": "}[s.client.Profile] + r.Text[0]}
			return s.answer(0, mta.Outcome{Reply: &r}, err)
		}
		out, err := s.session.Rcpt(s.ctx, addr, params...)
		return s.answer(250, out, err)
	case "DATA":
		out, err := s.session.Data(s.ctx)
		return s.answer(354, out, err)
	case "RSET":
		return s.answer(250, mta.Outcome{}, s.session.Reset(s.ctx))
	case "QUIT":
		return s.answer(221, mta.Outcome{}, s.session.Quit(s.ctx))
	case "NOOP":
		return answer{250, nil}, nil
	case "VRFY":
		return answer{252, nil}, nil
	}
	out, err := s.session.Unknown(s.ctx, line)
	if err == nil && out.Reply == nil {
		text := fmt.Sprintf("500 5.5.1 Command unrecognized: %q", line)
		if s.client.Profile == mta.Postfix {
			text = "500 5.5.2 Error: command not recognized"
		}
		return answer{500, []string{text}}, nil
	}
	return s.answer(500, out, err)
}

// cutPath parts "FROM:<a@b> SIZE=1".
func cutPath(arg string) (addr string, params []string) {
	_, arg, _ = strings.Cut(arg, ":")
	arg = strings.TrimSpace(arg)
	end := strings.IndexByte(arg, '>') + 1
	if end == 0 {
		if end = strings.IndexByte(arg, ' '); end < 0 {
			end = len(arg)
		}
	}
	return arg[:end], strings.Fields(arg[end:])
}

func (s *profileServer) pipeline(lines []string) (out []answer, err error) {
	for _, l := range lines {
		a, aerr := s.command(l)
		out, err = append(out, a), errors.Join(err, aerr)
	}
	return out, err
}

func (s *profileServer) data(text string) (answer, error) {
	if s.session.Closed() {
		return answer{}, nil
	}
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	res, err := s.session.Message(s.ctx, []byte(text))
	if err != nil || res.Reply != nil {
		var out mta.Outcome
		if res != nil {
			out.Reply = res.Reply
		}
		return s.answer(0, out, err)
	}
	s.keep(res)
	return answer{250, nil}, nil
}

// keep puts a message that was taken where it belongs.
func (s *profileServer) keep(res *mta.Result) {
	if res.Verdict == mta.Discard || len(res.Envelope.Rcpts) == 0 {
		return
	}
	d := delivery{from: s.path(res.Envelope.From, res.Envelope.FromArgs), mail: &peertest.Mail{Data: res.Message.Bytes()}}
	for _, r := range res.Envelope.Rcpts {
		d.to = append(d.to, s.path(r.Address, r.Args))
	}
	if res.Quarantine != nil {
		d.reason = *res.Quarantine
		s.held = append(s.held, d)
		return
	}
	s.delivered = append(s.delivered, d)
}

func (s *profileServer) path(addr string, args []string) string {
	return path(peertest.Path{Addr: addr, Params: args}, s.c)
}

func (s *profileServer) raw(string) error { return nil }

func (s *profileServer) startTLS() (answer, error) {
	err := s.session.StartTLS(s.ctx)
	macros := map[string]string{"tls_version": "TLSv1.2", "cipher": "ECDHE-ECDSA-AES128-GCM-SHA256", "cipher_bits": "128"}
	if s.client.Profile == mta.Sendmail {
		macros["cert_subject"], macros["cert_issuer"] = "", "" // of a client without a certificate
	}
	s.session.SetMacros(macros)
	return s.answer(220, mta.Outcome{}, err)
}

func (s *profileServer) auth(user, password string) (answer, error) {
	if password != "secret" {
		text := "535 5.7.0 authentication failed"
		if s.client.Profile == mta.Postfix {
			text = "535 5.7.8 Error: authentication failed: authentication failure"
		}
		return answer{535, []string{text}}, nil
	}
	s.user = true
	macros := map[string]string{"auth_type": "PLAIN", "auth_authen": user}
	if s.client.Profile == mta.Postfix {
		macros["auth_authen"] += "@" + host
	} else {
		macros["auth_ssf"] = "0"
	}
	s.session.SetMacros(macros)
	return answer{235, nil}, nil
}

func (s *profileServer) hangUp() error { return s.session.Lost(s.ctx) }

func (s *profileServer) local(l *letter) (ok bool, err error) {
	res, err := s.client.SendLocal(s.ctx, mta.Mail{From: l.from, Rcpts: l.to, Data: []byte(l.message())})
	if err == nil && res.Reply == nil {
		s.keep(res)
	}
	return err == nil, err
}

func (s *profileServer) refuseNext(string, string, string) {}
