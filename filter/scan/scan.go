package scan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/wire"
)

// Options say who is asked, and what happens then. The zero value of each but
// Scanner and Servers is its default.
type Options struct {
	// Scanner is the kind of the servers.
	Scanner Scanner

	// Servers are where scanners listen, as sockets are written everywhere:
	// "unix:/path", "inet:port@host", "host:port". They are asked in this order until
	// one answers.
	Servers []string

	// RoundRobin lets each message begin with another server.
	RoundRobin bool

	// Times. All of them end before the filter's own time, so that OnDown still applies.
	Connect time.Duration // for a server to take a connection; 0 means 5 s
	Timeout time.Duration // for one server to answer; 0 means 30 s
	Total   time.Duration // for all that is tried for a message; 0 means 90 s

	// Retries is how often all servers are asked again when none answered, as while
	// a scanner loads new signatures; 0 means 2, less than 0 never. A server that
	// took too long is not asked again about the message.
	Retries int
	Pause   time.Duration // before asking again; 0 means 2 s

	// Rest is how long a server that failed is asked after all others; 0 means 1 minute.
	Rest time.Duration

	// MaxSize is how large a message may be to be scanned, in bytes; 0 means 25 MiB for
	// clamd, 512 KiB for spamd, 50 MiB for rspamd, as their own settings and clients
	// have it. clamd's own limit is seen in its answer.
	MaxSize int64
	// MaxAnswer is how long an answer may be, in bytes; 0 means 1 MiB.
	MaxAnswer int64

	// Found is what happens to a message that is bad by the scanner's own measure. It
	// means Reject for clamd, by default, and Tag for spamd and rspamd.
	Found Action
	// Scores are what happens to messages from a score on, by spamd's or rspamd's
	// count. Of those that a message reaches, the highest counts, and the stricter of
	// it and Found.
	Scores []Threshold
	// Follow does what rspamd advises, where that is stricter: "add header" is Tag,
	// "rewrite subject" TagSubject, "greylist" and "soft reject" TempFail, the others as
	// they are called.
	Follow bool
	// ApplyEdits adds and removes the header fields that rspamd asks milters to.
	// Signatures and changes of other kinds are not made.
	ApplyEdits bool

	// OnLarge is what happens to a message that is too large to be scanned; Tag by
	// default. OnDown is what happens when no server answers; TempFail by default. Both
	// are Accept, Tag, Quarantine, TempFail or Reject.
	OnLarge, OnDown Action

	// Field begins the names of header fields; "" means X-Virus for clamd and X-Spam
	// for the others. -Status, and for spam -Flag, -Score and -Level are added to it.
	Field string
	// TagClean adds them to messages that are not bad, too.
	TagClean bool
	// SubjectTag is what TagSubject writes; "" means "[VIRUS]" for clamd and "[SPAM]"
	// for the others.
	SubjectTag string

	// User is whose preferences spamd takes; "" for its own.
	User string
	// Password is rspamd's, for controllers.
	Password string

	// Edited has the message scanned as the filters before left it, instead of as it
	// was received.
	Edited bool

	// Now is the clock of Rest; nil means time.Now.
	Now func() time.Time
}

// A Threshold is what happens from a score on.
type Threshold struct {
	Score  float64
	Action Action
}

// ErrOptions is in the errors of [New].
var ErrOptions = errors.New("scan: options are not right")

// New returns the filter. It needs the whole message, and contacts nobody until
// a message comes.
//
// Where mail cannot do without the scanner, OnDown being TempFail, Reject or
// Quarantine, the filter's Ready tells whether any server answers.
//
// The error wraps ErrOptions and joins all that is wrong.
func New(name string, o Options) (*filter.Filter, error) {
	s, err := newScan(name, o)
	if err != nil {
		return nil, err
	}
	f := &filter.Filter{
		Name:     name,
		Contacts: true,
		Needs: filter.Needs{Header: true, Body: true, Actions: milter.CanAddHeaders | milter.CanChangeHeaders,
			Macros: map[milter.Stage][]string{
				milter.StageConnect: {"j", "{daemon_name}"},
				milter.StageHelo:    {"{tls_version}", "{cipher}"},
			}},
		Message: s.message,
	}
	if slices.Contains(s.actions(), Quarantine) || o.Follow {
		f.Needs.Actions |= milter.CanQuarantine
	}
	if s.o.OnDown >= Quarantine {
		f.Ready = s.ready
	}
	return f, nil
}

// A scan is the state of a filter.
type scan struct {
	o       Options // with all defaults filled in
	name    string
	scanner scanner
	pool    pool
}

// actions returns all that may happen by options.
func (s *scan) actions() []Action {
	list := []Action{s.o.Found, s.o.OnLarge, s.o.OnDown}
	for _, t := range s.o.Scores {
		list = append(list, t.Action)
	}
	return list
}

func newScan(filterName string, o Options) (*scan, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s", ErrOptions, fmt.Sprintf(format, args...)))
	}
	if filterName == "" {
		bad("the filter has no name")
	}
	s := &scan{name: filterName}
	size, field, tag, found := int64(0), "X-Spam", "[SPAM]", Tag
	switch o.Scanner {
	case Clamd:
		s.scanner, size, field, tag, found = clamd{}, 25<<20, "X-Virus", "[VIRUS]", Reject
		if len(o.Scores) > 0 {
			bad("clamd gives no scores")
		}
	case Spamd:
		s.scanner, size = spamd{user: o.User}, 512<<10
	case Rspamd:
		s.scanner, size = rspamd{password: o.Password, edits: o.ApplyEdits}, 50<<20
	default:
		bad("there is no scanner %d", o.Scanner)
	}
	if o.Scanner != Spamd && o.User != "" {
		bad("User is for spamd")
	}
	if o.Scanner != Rspamd && (o.Password != "" || o.Follow || o.ApplyEdits) {
		bad("Password, Follow and ApplyEdits are for rspamd")
	}
	if !printable(o.User) || strings.TrimSpace(o.User) != o.User {
		bad("User is not printable ASCII without blanks around it")
	}
	if !printable(o.Password) || strings.TrimSpace(o.Password) != o.Password {
		bad("Password is not printable ASCII without blanks around it")
	}
	if o.Connect < 0 || o.Timeout < 0 || o.Total < 0 || o.Pause < 0 || o.Rest < 0 || o.MaxSize < 0 || o.MaxAnswer < 0 {
		bad("a time or a limit is less than 0")
	}
	o.Connect = cmp.Or(o.Connect, 5*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.Total = cmp.Or(o.Total, 90*time.Second)
	o.Pause = cmp.Or(o.Pause, 2*time.Second)
	o.Rest = cmp.Or(o.Rest, time.Minute)
	o.MaxSize = cmp.Or(o.MaxSize, size)
	o.MaxAnswer = cmp.Or(o.MaxAnswer, 1<<20)
	if o.Retries == 0 {
		o.Retries = 2
	}
	o.Found = cmp.Or(o.Found, found)
	o.OnLarge = cmp.Or(o.OnLarge, Tag)
	o.OnDown = cmp.Or(o.OnDown, TempFail)
	o.Field = cmp.Or(o.Field, field)
	o.SubjectTag = cmp.Or(o.SubjectTag, tag)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Found > Discard {
		bad("there is no action %d", o.Found)
	}
	for _, t := range o.Scores {
		if math.IsNaN(t.Score) || math.IsInf(t.Score, 0) {
			bad("a score is %v", t.Score)
		}
		if t.Action == Default || t.Action > Discard {
			bad("score %v has no action", t.Score)
		}
	}
	o.Scores = slices.SortedStableFunc(slices.Values(o.Scores), func(a, b Threshold) int { return cmp.Compare(a.Score, b.Score) })
	for _, a := range []Action{o.OnLarge, o.OnDown} {
		if a == TagSubject || a >= Discard {
			bad("messages that were not scanned cannot have the action %v", a)
		}
	}
	if _, err := wire.CheckHeader(o.Field, "x"); err != nil || len(o.Field) > 60 {
		bad("Field %q cannot begin the name of a header field", o.Field)
	}
	if !printable(o.SubjectTag) || strings.TrimSpace(o.SubjectTag) == "" || strings.Contains(o.SubjectTag, "=?") || len(o.SubjectTag) > 60 {
		bad("SubjectTag %q is not short printable ASCII", o.SubjectTag)
	}
	s.o = o
	s.pool = pool{o: &s.o, dial: new(net.Dialer).DialContext}
	if len(o.Servers) == 0 {
		bad("there is no server")
	}
	for i, spec := range o.Servers {
		network, address, err := wire.ParseAddr(spec)
		switch {
		case err != nil:
			bad("%v", err)
			continue
		case network == "fd":
			bad("%q is no socket to connect to", spec)
		case slices.Contains(o.Servers[:i], spec):
			bad("server %q is named twice", spec)
		}
		s.pool.servers = append(s.pool.servers, &server{spec: spec, network: network, address: address})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// printable reports whether a setting is printable ASCII.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}
