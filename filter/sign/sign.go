package sign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// By is whose domain decides which rules sign a message.
type By uint8

// What it may be.
const (
	From     By = iota // the author's, in the From field
	Envelope           // the sender's, as the client gave it to MAIL
	User               // that of the name by which the client authenticated, such as joe@example.com
)

// Options say what is signed. The zero value of each is its default.
type Options struct {
	Rules []Rule // none signs nothing
	By    By

	// Classes are those of the messages that are signed; nil means authenticated and
	// internal.
	Classes []filter.Class

	// Canonicalization; "" means relaxed.
	Header, Body dkim.Canon

	// Fields are the names of the fields that are signed where they are there, and From;
	// nil means dkim.DefaultFields.
	Fields []string
	// OverSign are the names of the fields that nobody may add; nil means
	// dkim.DefaultOverSign. See the package for what MTAs add.
	OverSign []string

	// Expire is how long signatures are good; 0 means for ever.
	Expire time.Duration

	// KeepMissing leaves a message without Date and Message-ID as it is.
	KeepMissing bool

	// KeepSigned leaves it at one signature by a domain: rules whose domain has signed the
	// message before do not sign it again, whether that signature is good or not.
	KeepSigned bool

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// ErrOptions is in the errors of [New].
var ErrOptions = errors.New("sign: options are not right")

// New returns the filter. It needs the whole message, and adds and changes header fields.
//
// The error wraps ErrOptions and joins all that is wrong, of rules with their number.
func New(name string, o Options) (*filter.Filter, error) {
	s := &signer{o: o, now: o.Now, classes: o.Classes}
	if s.now == nil {
		s.now = time.Now
	}
	if s.classes == nil {
		s.classes = []filter.Class{filter.Authenticated, filter.Internal}
	}
	if s.o.Fields == nil {
		s.o.Fields = dkim.DefaultFields()
	}
	if s.o.OverSign == nil {
		s.o.OverSign = dkim.DefaultOverSign()
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %w", ErrOptions, fmt.Errorf(format, args...)))
	}
	if len(s.classes) == 0 {
		bad("no class of messages is signed")
	}
	if o.By > User {
		bad("By is %d", o.By)
	}
	for _, list := range [][]string{s.o.Fields, s.o.OverSign} {
		for _, f := range list {
			if removed[strings.ToLower(f)] {
				bad("%s cannot be signed: mail servers take it out of messages, or add others", f)
			}
		}
	}
	seen := make(map[string]int)
	for i, r := range o.Rules {
		c, err := r.compile()
		if err == nil {
			how := s.signature(c, "", nil)
			err = how.Check()
		}
		if err != nil {
			bad("rule %d: %w", i+1, err)
			continue
		}
		if n := seen[c.at]; n > 0 && o.Rules[n-1].Key.Record() != r.Key.Record() {
			bad("rule %d: rule %d has another key at %s", i+1, n, c.at)
		}
		seen[c.at] = i + 1
		s.rules = append(s.rules, c)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &filter.Filter{Name: name, Kind: filter.Signs, Message: s.message,
		Needs: filter.Needs{Header: true, Body: true, Actions: milter.CanAddHeaders | milter.CanChangeHeaders,
			Macros: map[milter.Stage][]string{milter.StageConnect: {"j"}}}}, nil
}

// removed are fields that do not come through both MTAs as they are.
var removed = map[string]bool{"return-path": true, "bcc": true, "resent-bcc": true, "received": true, "apparently-to": true}

// A signer is the state of a filter.
type signer struct {
	o       Options // with all defaults filled in
	now     func() time.Time
	classes []filter.Class
	rules   []*rule
}

// signature returns how a rule signs.
func (s *signer) signature(r *rule, header dkim.Canon, h *prepared) dkim.Signature {
	how := dkim.Signature{Domain: r.domain, Selector: r.selector, Key: r.Key, Header: s.o.Header, Body: s.o.Body,
		Fields: s.o.Fields, OverSign: s.o.OverSign, Expire: s.o.Expire}
	if header != "" {
		how.Header = header
	}
	if h != nil {
		how.Fields, how.OverSign = h.names(s.o.Fields), h.names(s.o.OverSign)
	}
	return how
}

func (s *signer) message(ctx context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
	m := t.Message()
	if !slices.Contains(s.classes, t.Class()) {
		t.Explain(fmt.Sprintf("not signed: the message is %v", t.Class()))
		return milter.Continue, nil
	}
	senders, why := s.o.By.senders(t, m.Header)
	if why != "" {
		t.Explain("not signed: " + why)
		return milter.Continue, nil
	}
	rules := s.pick(t.User(), senders)
	if len(rules) == 0 {
		t.Explain("not signed: no key is for " + s.o.By.describe(t, senders))
		return milter.Continue, nil
	}
	if s.o.KeepSigned {
		rules = slices.DeleteFunc(rules, func(r *rule) bool {
			if !dkim.Signed(m.Header, r.domain) {
				return false
			}
			t.Explain("not signed again: it has a signature by " + r.domain)
			return true
		})
		if len(rules) == 0 {
			return milter.Continue, nil
		}
	}
	if n := fields(m.Header, "From"); n != 1 {
		// Without, there is nothing to sign; with two, readers disagree whose message it is.
		t.Explain(fmt.Sprintf("not signed: it has %d From fields", n))
		return milter.Continue, nil
	}
	if f, _ := m.Header.Get("From"); t.MTA() != milter.MTAPostfix {
		if _, _, known := asSendmail(f.Text(true)); !known {
			t.Explain("not signed: Sendmail may write the addresses of its From field otherwise")
			return milter.Continue, nil
		}
	}
	host, _ := t.Macro("j")
	h, err := s.prepare(t, m.Header, host, rules[0].domain)
	if err != nil {
		return nil, err
	}
	how := make([]dkim.Signature, len(rules))
	for i, r := range rules {
		how[i] = s.signature(r, h.canon, h)
	}
	lines := &longLines{r: io.NewSectionReader(m.Body, 0, m.Body.Size())}
	values, err := dkim.Sign(ctx, h.header, lines, how, s.now())
	if err == nil && lines.all != m.Body.Size() {
		err = fmt.Errorf("sign: read body: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	if err := h.edit(e); err != nil {
		return nil, err
	}
	for i := len(values) - 1; i >= 0; i-- { // the first comes to stand on top
		if err := e.InsertHeader(0, "DKIM-Signature", values[i]); err != nil {
			return nil, err
		}
	}
	for _, x := range how {
		t.Explain(fmt.Sprintf("signed by %s with selector %s, %s, %s/%s", x.Domain, x.Selector, x.Key.Algorithm(), canon(x.Header), canon(x.Body)))
	}
	for _, note := range h.notes {
		t.Explain(note)
	}
	if lines.long {
		t.Explain(fmt.Sprintf("the body has lines of more than %d bytes, which mail servers break, and the signature with them", maxLine))
	}
	return milter.Continue, nil
}

func canon(c dkim.Canon) dkim.Canon {
	if c == "" {
		return dkim.Relaxed
	}
	return c
}

// fields returns how many fields of a name there are.
func fields(h message.Header, name string) (n int) {
	for range h.All(name) {
		n++
	}
	return n
}

// maxLine is the most bytes of a line, without its CRLF (RFC 5322 section 2.1.1).
const maxLine = 998

// A longLines notes whether what is read through it has lines that are too long.
type longLines struct {
	r    io.Reader
	all  int64 // bytes read
	n    int   // of them in the line so far
	long bool
}

func (l *longLines) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.all += int64(n)
	if l.long {
		return n, err
	}
	for rest := p[:n]; len(rest) > 0; {
		i := slices.Index(rest, '\n')
		if i < 0 {
			l.n += len(rest)
			l.long = l.n > maxLine+1 // a CR may be among them
			break
		}
		if l.n+i > maxLine+1 {
			l.long = true
			break
		}
		l.n, rest = 0, rest[i+1:]
	}
	return n, err
}
