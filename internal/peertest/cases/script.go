package cases

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// clientWords are what a client step may be beside an SMTP command.
var clientWords = []string{"letter", "data", "pipeline", "raw", "starttls", "auth", "close", "sleep", "ipv6", "submission", "local", "sink"}

// A letter is a mail to send.
type letter struct {
	from   string   // with angle brackets and parameters
	to     []string // likewise
	header []string // further fields
	data   string   // all of it; "" means made of the others
	body   string
}

const (
	plainHeader = "From: <sender@example.com>\r\n" +
		"To: <rcpt@example.net>\r\n" +
		"Subject: test\r\n" +
		"Message-ID: <1@client.example.com>\r\n" +
		"Date: Mon, 01 Jan 2001 00:00:00 +0000\r\n"
	plainBody = "Hello.\r\n"
)

func parseLetter(words []string) (*letter, error) {
	l := &letter{from: "<sender@example.com>", body: plainBody}
	for len(words) > 0 {
		if len(words) < 2 {
			return nil, fmt.Errorf("a letter's %q says too little", words[0])
		}
		word, value := words[0], words[1]
		words = words[2:]
		switch word {
		case "from", "to":
			if !strings.HasPrefix(value, "<") {
				value = "<" + value + ">"
			}
			for len(words) > 0 && (strings.Contains(words[0], "=") || words[0] == "SMTPUTF8") {
				value += " " + words[0]
				words = words[1:]
			}
			if word == "from" {
				l.from = value
			} else {
				l.to = append(l.to, value)
			}
		case "header":
			l.header = append(l.header, value)
		case "body":
			l.body = value
		case "data":
			l.data = value
		default:
			return nil, fmt.Errorf("a letter has no %q", word)
		}
	}
	if l.to == nil {
		l.to = []string{"<rcpt@example.net>"}
	}
	return l, nil
}

func (l *letter) message() string {
	if l.data != "" {
		return l.data
	}
	text := plainHeader
	for _, h := range l.header {
		text += h + "\r\n"
	}
	return text + "\r\n" + l.body
}

// An answer is what the server says to a step.
type answer struct {
	code  int // 0 when the connection is closed, noCode for a line that is no reply
	lines []string
}

const noCode = 1

func (a answer) ok() bool { return a.code >= 200 && a.code < 400 }

// A server is whom the client talks to: a real MTA, or package mta in its place.
type server interface {
	dial(where string) (answer, error)
	command(line string) (answer, error)
	pipeline(lines []string) ([]answer, error)
	data(message string) (answer, error)
	raw(text string) error
	startTLS() (answer, error)
	auth(user, password string) (answer, error)
	hangUp() error
	local(l *letter) (ok bool, err error)
	refuseNext(verb, text, reply string)
}

// A player plays the steps of a case.
type player struct {
	s       server
	count   map[string]int // of each verb
	replies []string
	refused []line
	taken   int // messages
	closed  bool
}

var errEnd = errors.New("the connection is closed")

func (p *player) play(steps []Step) error {
	err := p.steps(steps)
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}

func (p *player) steps(steps []Step) error {
	where := ""
	for len(steps) > 0 && slices.Contains([]string{"ipv6", "submission", "sink"}, steps[0].Verb) {
		if st := steps[0]; st.Verb == "sink" {
			p.s.refuseNext(st.Args[0], st.Args[1], st.Args[2])
		} else {
			where = st.Verb
		}
		steps = steps[1:]
	}
	if len(steps) > 0 && steps[0].Verb == "local" {
		l, err := parseLetter(steps[0].Args)
		if err != nil {
			return err
		}
		ok, err := p.s.local(l)
		if ok {
			p.taken++
		} else {
			p.refused = append(p.refused, line{"refused", "local"})
		}
		return err
	}
	a, err := p.s.dial(where)
	if err != nil {
		return err
	}
	if _, err := p.note("banner", a, nil); err != nil {
		return err
	}
	if len(steps) == 0 {
		steps = []Step{{Verb: "letter"}}
	}
	hello := func(s Step) bool {
		return s.Verb == "EHLO" || s.Verb == "HELO" || s.Verb == "NOHELO"
	}
	if !slices.ContainsFunc(steps, hello) {
		if err := p.step(Step{Verb: "EHLO", Line: "EHLO client.example.com"}); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := p.step(s); err != nil {
			return err
		}
	}
	if last := steps[len(steps)-1].Verb; last != "QUIT" && last != "close" {
		return p.step(Step{Verb: "QUIT", Line: "QUIT"})
	}
	return nil
}

// note notes an answer under the verb it is for.
func (p *player) note(verb string, a answer, err error) (bool, error) {
	if err != nil {
		return false, fmt.Errorf("%s: %w", verb, err)
	}
	if p.count[verb]++; p.count[verb] > 1 {
		verb = fmt.Sprintf("%s%d", verb, p.count[verb])
	}
	if a.code == 0 {
		p.replies = append(p.replies, verb+" closed")
		p.closed = true
		return false, errEnd
	}
	p.replies = append(p.replies, fmt.Sprintf("%s %d", verb, a.code))
	if !a.ok() {
		p.refused = append(p.refused, line{"refused", verb + " " + strings.TrimRight(strings.Join(a.lines, " / "), " ")})
	}
	return a.ok(), nil
}

func (p *player) step(st Step) error {
	switch st.Verb {
	case "letter":
		l, err := parseLetter(st.Args)
		if err != nil {
			return err
		}
		return p.letter(l)
	case "data":
		return p.content(st.Args[0])
	case "NOHELO":
		return nil
	case "pipeline":
		answers, err := p.s.pipeline(st.Args)
		if err != nil {
			return err
		}
		for i, a := range answers {
			verb, _, _ := strings.Cut(st.Args[i], " ")
			if _, err := p.note(verb, a, nil); err != nil {
				return err
			}
		}
		return nil
	case "raw":
		return p.s.raw(st.Args[0])
	case "starttls":
		a, err := p.s.startTLS()
		_, err = p.note("STARTTLS", a, err)
		return err
	case "auth":
		a, err := p.s.auth(st.Args[0], st.Args[1])
		_, err = p.note("AUTH", a, err)
		return err
	case "close":
		return p.s.hangUp()
	case "sleep":
		d, err := time.ParseDuration(st.Args[0])
		time.Sleep(d)
		return err
	}
	_, err := p.command(st.Line)
	return err
}

func (p *player) command(line string) (bool, error) {
	a, err := p.s.command(line)
	verb, _, _ := strings.Cut(line, " ")
	return p.note(verb, a, err)
}

func (p *player) content(message string) error {
	a, err := p.s.data(message)
	ok, err := p.note(".", a, err)
	if ok {
		p.taken++
	}
	return err
}

// letter sends a mail as a polite client does, who gives up what was refused.
func (p *player) letter(l *letter) error {
	if ok, err := p.command("MAIL FROM:" + l.from); !ok {
		return err
	}
	taken := 0
	for _, to := range l.to {
		ok, err := p.command("RCPT TO:" + to)
		if err != nil {
			return err
		}
		if ok {
			taken++
		}
	}
	if taken == 0 {
		return nil
	}
	if ok, err := p.command("DATA"); !ok {
		return err
	}
	return p.content(l.message())
}
