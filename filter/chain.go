package filter

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/quarantine"
)

// A Chain runs filters in one process, in their order. What comes out is what the
// same filters would give as separate milters of Postfix: a filter sees what those
// before it made of the message, and the first that refuses, discards or
// quarantines decides. Its fields may not be changed once it is in use; the zero value of each
// but Steps is a working default.
type Chain struct {
	Steps   []Step
	Network Network

	// Submission says that the clients are our users, who authenticate later:
	// refusals at connect and HELO do not apply.
	Submission bool

	// Immediate answers refusals before RCPT at once. Without, they are held until
	// RCPT, so that the recipients get into the explanation and AUTH can cancel
	// those of connect and HELO.
	Immediate bool

	// Disagree is what happens where filters refuse a message for some of its
	// recipients only, after DATA.
	Disagree Disagreement

	// Times. They end before those of the milter.Server, which knows nothing of
	// single filters.
	StageTimeout time.Duration // of all filters together before the end of the message; 0 means 7 s
	EndTimeout   time.Duration // of all Message hooks together; 0 means 225 s

	// MaxAbandoned is how many hooks that overstayed their time may still run;
	// 0 means 100, less than 0 no limit. While there are as many, no hook is called
	// and messages are answered tempfail. Those in report mode are counted apart:
	// while there are as many of them, no filter in report mode is asked.
	MaxAbandoned int

	// Memory is how many bytes of a body are kept in memory, the rest in a temporary
	// file in Dir; 0 means 1 MiB, "" os.TempDir.
	Memory int64
	Dir    string

	// Originals is where messages are kept that filters change, refuse or fail on;
	// nil for nowhere: filters that need it cannot be in the chain. With it the MTA
	// sends the body as soon as one filter has a Message hook that counts, so that
	// there is something to keep when it fails.
	Originals *quarantine.Store

	// Pass is asked before the Message hooks whether a message passes without them,
	// such as an original that was released; nil lets none pass. It is shown the
	// whole message and may change and delete header fields, which is done whatever
	// it says. With why, which goes into the explanation, no Message hook is asked.
	// An error is a failure: the client is told to try again.
	Pass func(ctx context.Context, t *Transaction, e *Edits) (why string, err error)

	// MIME are the limits of reading the structure of messages.
	MIME message.Options

	// OnFailure is told of each hook that failed, also in report mode. It is called
	// from the goroutines of connections.
	OnFailure func(*Failure)

	// Explain is given the explanation of each message when it is over. It is
	// called from the goroutines of connections; nil means that Log is told.
	Explain func(*Explanation)

	// NewRef names explanations; nil means ten random letters. Tests that compare
	// whole replies set it.
	NewRef func() string

	// Log is where the chain tells what it can tell nobody else; nil means
	// slog.Default().
	Log *slog.Logger

	once      sync.Once
	plan      plan
	wrong     error        // what Check said
	abandoned atomic.Int64 // hooks that overstayed their time and still run
	ignored   atomic.Int64 // those in report mode
	repeated  atomic.Int64
	spools    sync.Pool
}

// A Step is a filter of a chain and what its admin wants of it.
type Step struct {
	Filter *Filter
	Mode   Mode

	// OnError is what happens to a message on which the filter fails. Where the
	// filter could not be asked at all, for want of time or because of MaxAbandoned,
	// and where an original could not be kept, the client is told to try again.
	OnError OnError

	// OnRepeat is what happens to a message when the filter fails on the same
	// content for the third time; it takes Chain.Originals.
	OnRepeat OnRepeat

	// Timeout is how long one hook may take, and never longer than the stage has left;
	// 0 means half of that, or all of it for the last filter that decides. In report
	// mode all filters have a quarter of the stage together. Then its context ends,
	// and half a second later it is abandoned.
	Timeout time.Duration

	// Classes are those of the messages that the filter is asked about; nil means all.
	Classes []Class

	// Applies may keep the Message hook from messages, by what is known of them
	// then; nil means that none is kept.
	Applies func(*Transaction) bool
}

// asksOf reports whether the filter is asked about messages of a class.
func (s *Step) asksOf(c Class) bool { return s.Classes == nil || slices.Contains(s.Classes, c) }

// A Mode is whether a filter's decisions count.
type Mode uint8

// The modes.
const (
	On     Mode = iota // the filter decides and edits
	Report             // it is asked, unless it contacts others, and only the explanation says what it wanted
	Off                // it is not asked
)

var modeNames = [...]string{"on", "report", "off"}

// String returns the mode as in configurations.
func (m Mode) String() string { return name(modeNames[:], int(m)) }

// MarshalText writes the mode as in configurations.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// name returns the name of a value, also of one that there is not.
func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "invalid"
}

// OnError is what happens to a message on which a filter fails.
type OnError uint8

// What may happen.
const (
	ErrorTempFail OnError = iota // the client is told to try again
	ErrorReject                  // it is refused for good
	ErrorAccept                  // it is delivered as the filters before left it; no more are asked
	ErrorSkip                    // it goes on as if the filter were not there
)

var onErrorNames = [...]string{"tempfail", "reject", "accept", "skip"}

// String returns the policy as in configurations.
func (o OnError) String() string { return name(onErrorNames[:], int(o)) }

// MarshalText writes the policy as in configurations.
func (o OnError) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// A Disagreement is what happens where a message is refused for some recipients.
type Disagreement uint8

// What may happen.
const (
	Strictest   Disagreement = iota // the message is refused for all, for good if it is for one
	Lenient                         // it is delivered to all
	DropRefused                     // it is delivered to the others
	TempFailAll                     // the client is told to try again
)

// A plan is what follows from the steps for every connection.
type plan struct {
	steps  []*Step         // those that are asked
	mime   message.Options // Chain.MIME, its files in Chain.Dir unless it says otherwise
	pass   *Step           // Chain.Pass, nil for none
	hooks  struct{ connect, helo, mail, rcpt, data, message bool }
	last   [milter.StageEnd + 1]*Step // the last one that decides, by stage
	header bool
	body   bool
	edits  milter.Actions
	macros map[milter.Stage][]string
	names  map[milter.Stage][]string // macros to take note of
	holds  bool                      // a refusal may be held
}

// silentRcpt reports whether nobody answers at RCPT.
func (p *plan) silentRcpt() bool { return !p.hooks.rcpt && !p.holds }

// Macros that every transaction has, by the stage at which they are there.
var ownMacros = map[milter.Stage][]string{
	milter.StageMail: {"i", "{auth_authen}", "{auth_type}"},
}

func (c *Chain) prepare() {
	p := &c.plan
	if p.mime = c.MIME; p.mime.Dir == "" {
		p.mime.Dir = c.Dir
	}
	wanted := make(map[milter.Stage][]string)
	for i := range c.Steps {
		s := &c.Steps[i]
		f := s.Filter
		if s.Mode == Off || f == nil {
			continue
		}
		p.steps = append(p.steps, s)
		h := &p.hooks
		h.connect = h.connect || f.Connect != nil
		h.helo = h.helo || f.Helo != nil
		h.mail = h.mail || f.Mail != nil
		h.rcpt = h.rcpt || f.Rcpt != nil
		h.data = h.data || f.Data != nil
		if s.Mode == On {
			for st := range p.last {
				if f.has(milter.Stage(st)) {
					p.last[st] = s
				}
			}
		}
		if f.Message != nil {
			h.message = true
			p.header = p.header || f.Needs.Header || f.Needs.Body || f.Needs.Originals
			p.body = p.body || f.Needs.Body || f.Needs.Originals
			if s.Mode == On {
				p.edits |= f.Needs.Actions
				p.body = p.body || c.Originals != nil // it is kept when the filter fails
			}
			if s.OnRepeat == RepeatQuarantine {
				p.edits |= milter.CanQuarantine
			}
		}
		for st, names := range f.Needs.Macros {
			for _, n := range names {
				if !slices.Contains(wanted[st], n) {
					wanted[st] = append(wanted[st], n)
				}
			}
		}
	}
	c.planPass()
	if p.edits&(milter.CanChangeHeaders|milter.CanAddHeaders|milter.CanChangeBody) != 0 {
		// What filters edit is counted in the header, and a new body changes it.
		p.header = true
		p.edits |= milter.CanChangeHeaders | milter.CanAddHeaders
	}
	if c.Disagree == DropRefused && p.hooks.message {
		p.edits |= milter.CanDeleteRcpt
	}
	p.header = p.header || p.body
	if len(wanted) > 0 {
		p.macros = maps.Clone(wanted)
		for st, own := range ownMacros {
			if list, ok := wanted[st]; ok {
				p.macros[st] = append(slices.Clone(own), slices.DeleteFunc(slices.Clone(list), func(n string) bool { return slices.Contains(own, n) })...)
			}
		}
	}
	p.names = maps.Clone(wanted)
	p.holds = !c.Immediate && (p.hooks.connect || p.hooks.helo || p.hooks.mail)
}

// Hooks returns the hooks of one connection: it is the New of a [milter.Server].
// Where Check has an error it is logged, and the server's OnFault answers for the
// chain.
func (c *Chain) Hooks(s *milter.Session) milter.Hooks {
	c.once.Do(func() {
		if c.wrong = c.Check(); c.wrong != nil {
			c.log().Error("chain is not right", "err", c.wrong)
			return
		}
		c.prepare()
	})
	if c.wrong != nil {
		return milter.Hooks{Negotiate: func(context.Context, *milter.Negotiation) error { return c.wrong }}
	}
	v := &conversation{chain: c, session: s}
	p := &c.plan
	h := milter.Hooks{
		Connect: v.connect, Helo: v.helo, Mail: v.mail, Rcpt: v.rcpt, End: v.end, Limit: v.limited, Abort: v.abort, Close: v.close,
		Actions: p.edits, Macros: p.macros, LeadingSpace: true,
	}
	if h.Actions == 0 {
		h.Actions = milter.NoEdits
	}
	h.Silent = milter.Stages(milter.StageHeader, milter.StageBody)
	if !p.hooks.connect {
		h.Silent |= milter.Stages(milter.StageConnect)
	}
	if !p.hooks.helo {
		h.Silent |= milter.Stages(milter.StageHelo)
	}
	if !p.hooks.mail && !(c.Immediate && (p.hooks.connect || p.hooks.helo)) {
		h.Silent |= milter.Stages(milter.StageMail)
	}
	if p.silentRcpt() {
		h.Silent |= milter.Stages(milter.StageRcpt)
	}
	if p.hooks.data {
		h.Data = v.data
	}
	if p.header {
		h.Header = v.header
	}
	if p.body {
		h.Body = v.body
	}
	return h
}

func (c *Chain) log() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.Default()
}

func (c *Chain) stageTimeout() time.Duration {
	if c.StageTimeout > 0 {
		return c.StageTimeout
	}
	return 7 * time.Second
}

func (c *Chain) endTimeout() time.Duration {
	if c.EndTimeout > 0 {
		return c.EndTimeout
	}
	return 225 * time.Second
}

// Abandoned returns how many hooks that overstayed their time still run.
func (c *Chain) Abandoned() int { return int(c.abandoned.Load()) }

// Ready returns nil while the chain asks its filters, and otherwise why it does
// not.
func (c *Chain) Ready() error {
	if c.tooMany(&c.abandoned) {
		return fmt.Errorf("filter: %w: %d", ErrBusy, c.abandoned.Load())
	}
	return nil
}

// count returns what counts the abandoned hooks of a mode.
func (c *Chain) count(m Mode) *atomic.Int64 {
	if m == Report {
		return &c.ignored
	}
	return &c.abandoned
}

func (c *Chain) tooMany(count *atomic.Int64) bool {
	limit := int64(c.MaxAbandoned)
	if limit == 0 {
		limit = 100
	}
	return limit > 0 && count.Load() >= limit
}

// getSpool lends a place for a body.
func (c *Chain) getSpool() *message.Spool {
	if s, ok := c.spools.Get().(*message.Spool); ok {
		return s
	}
	return message.NewSpool(c.Memory, c.Dir)
}

func (c *Chain) putSpool(s *message.Spool) error {
	if s.InMemory() {
		if err := s.Reset(); err == nil {
			c.spools.Put(s)
			return nil
		}
	}
	return s.Close()
}
