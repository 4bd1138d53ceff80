package miltertest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/memconn"
	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/mta"
)

// An Answer is what one filter said to one thing it was told.
type Answer struct {
	Filter string // its name
	Stage  mta.Stage
	// Arg is what it was told, byte for byte: host and address of the client,
	// name of HELO, address and parameters, "Name: value" of a header field, a
	// chunk of the body, the unknown command.
	Arg string
	// Macros holds the macros that were sent along, by name without braces. Those
	// sent before are seen by the filter, too.
	Macros map[string]string

	// Verdict is what the filter decided: Continue for nothing yet, also where it
	// was not to answer.
	Verdict mta.Verdict
	// Reply is the filter's own code and text; nil when it gave none, and leaves
	// the words to the MTA.
	Reply *mta.Reply

	Silent   bool // it had promised not to answer here
	Skip     bool // it wants no more of the body
	Missing  bool // it should have answered and did not
	Edits    int  // replies that were edits, before the last
	Progress int  // how often it asked for patience
}

// Said returns the answer in a word, or the filter's own code and text, lines
// joined by " / ".
func (a Answer) Said() string {
	switch {
	case a.Missing:
		return "nothing"
	case a.Silent:
		return "silent"
	case a.Skip:
		return "skip"
	case a.Reply == nil:
		return a.Verdict.String()
	}
	return oneLine(a.Reply)
}

// String returns filter, stage and what was said.
func (a Answer) String() string { return fmt.Sprintf("%s %v: %s", a.Filter, a.Stage, a.Said()) }

func oneLine(r *mta.Reply) string {
	code := strconv.Itoa(r.Code)
	if r.Enhanced != "" {
		code += " " + r.Enhanced
	}
	return strings.TrimRight(code+" "+strings.Join(r.Text, " / "), " ")
}

// An Agreement is what a filter asked for when it was connected to.
type Agreement struct {
	Filter   string // its name
	Version  int
	Actions  milter.Actions
	Protocol milter.Protocol
	// Macros holds the names that it asked for, by stage. A stage that is missing
	// gets the MTA's default ones.
	Macros map[mta.Stage][]string
}

func agreement(filter string, n *wire.Negotiation) Agreement {
	a := Agreement{Filter: filter, Version: int(n.Version), Actions: n.Actions, Protocol: n.Protocol, Macros: make(map[mta.Stage][]string)}
	for st, names := range n.Macros {
		if names != nil {
			a.Macros[mta.Stage(st)] = strings.Fields(string(names))
		}
	}
	return a
}

// Told reports whether the MTA tells the filter of a stage.
func (a *Agreement) Told(st mta.Stage) bool {
	return (a.Protocol|wire.ImpliedBy(uint32(a.Version)))&st.NoBit() == 0
}

// Silent reports whether the filter promised not to answer at a stage.
func (a *Agreement) Silent(st mta.Stage) bool { return a.Protocol&st.NoReplyBit() != 0 }

// A record is what was said between an MTA and its filters in one session.
type record struct {
	answers    []Answer
	agreements []Agreement
	macros     []sentMacros
	taps       []*tap
	cut        mta.Stage // break the connections behind a command of this stage
}

type sentMacros struct {
	filter string
	stage  mta.Stage
	values map[string]string
}

const noStage = mta.Stage(255)

// recordKey is the key of the record in the context of a dial.
type recordKey struct{}

// A tap is the MTA's end of a connection to a filter, and notes what goes through.
type tap struct {
	*memconn.Conn
	rec                    *record
	filter                 string
	sentFrames, cameFrames cutter
	macros                 map[mta.Stage]map[string]string // sent ahead of their command
	agreed                 *Agreement
	pending                int // the answer that is awaited, -1 for none
}

var _ net.Conn = (*tap)(nil)

func newTap(e *memconn.Conn, rec *record, filter string) *tap {
	t := &tap{Conn: e, rec: rec, filter: filter, macros: make(map[mta.Stage]map[string]string), pending: -1}
	rec.taps = append(rec.taps, t)
	return t
}

func (t *tap) Write(b []byte) (int, error) {
	at := -len(t.sentFrames.rest)
	for cmd, payload := range t.sentFrames.cut(b) {
		t.sent(cmd, payload)
		at += wire.HeadSize + len(payload)
		if st, ok := wire.StageOf(cmd); ok && st == t.rec.cut {
			n, err := t.Conn.Write(b[:at])
			t.Conn.Close()
			if err == nil && n < len(b) {
				err = net.ErrClosed
			}
			return n, err
		}
	}
	return t.Conn.Write(b)
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	for cmd, payload := range t.cameFrames.cut(b[:n]) {
		t.came(cmd, payload)
	}
	return n, err
}

// sent notes a command.
func (t *tap) sent(cmd byte, payload []byte) {
	if cmd == wire.CmdMacro {
		cmd, pairs, err := wire.Macros(payload)
		if st, ok := wire.StageOf(cmd); ok && err == nil {
			m := make(map[string]string)
			for name, value := range wire.Pairs(pairs) {
				m[bare(string(name))] = string(value)
			}
			t.macros[st] = m
			t.rec.macros = append(t.rec.macros, sentMacros{t.filter, st, m})
		}
		return
	}
	st, ok := wire.StageOf(cmd)
	if !ok || st == wire.StageAbort || st == wire.StageClose || st == wire.StageNegotiate {
		return
	}
	a := Answer{Filter: t.filter, Stage: st, Arg: argument(st, payload), Macros: t.macros[st]}
	if a.Macros == nil {
		a.Macros = make(map[string]string)
	}
	delete(t.macros, st)
	a.Silent = t.agreed != nil && t.agreed.Silent(st)
	if a.Missing = !a.Silent; a.Missing {
		t.pending = len(t.rec.answers)
	}
	t.rec.answers = append(t.rec.answers, a)
}

// argument returns what a command tells.
func argument(st mta.Stage, p []byte) string {
	var parts []string
	switch st {
	case mta.StageConnect:
		c, err := wire.Connect(p)
		if err != nil {
			return string(p)
		}
		parts = append(parts, string(c.Host))
		switch c.Family {
		case wire.FamilyInet, wire.FamilyInet6:
			parts = append(parts, net.JoinHostPort(string(c.Address), strconv.Itoa(int(c.Port))))
		case wire.FamilyUnix:
			parts = append(parts, string(c.Address))
		}
		return strings.Join(parts, " ")
	case mta.StageHeader:
		if name, value, err := wire.Header(p); err == nil {
			return string(name) + ": " + string(value)
		}
		return string(p)
	case mta.StageBody:
		return string(p)
	}
	for s := range wire.Strings(p) {
		parts = append(parts, string(s))
	}
	return strings.Join(parts, " ")
}

// came notes a reply.
func (t *tap) came(cmd byte, payload []byte) {
	if cmd == wire.CmdNegotiate && t.agreed == nil {
		n, err := wire.Negotiate(payload)
		if err != nil {
			return
		}
		a := agreement(t.filter, &n)
		t.agreed = &a
		t.rec.agreements = append(t.rec.agreements, a)
		return
	}
	if t.pending < 0 {
		return
	}
	a := &t.rec.answers[t.pending]
	switch cmd {
	case wire.ReplyProgress:
		a.Progress++
		return
	case wire.ReplyContinue:
	case wire.ReplyAccept:
		a.Verdict = mta.Accept
	case wire.ReplyReject:
		a.Verdict = mta.Reject
	case wire.ReplyTempFail:
		a.Verdict = mta.TempFail
	case wire.ReplyDiscard:
		a.Verdict = mta.Discard
	case wire.ReplySkip:
		a.Skip = true
	case wire.ReplyCode:
		a.Reply, a.Verdict = ownReply(payload), mta.Reject
		if a.Reply.Code/100 == 4 {
			a.Verdict = mta.TempFail
		}
	default:
		a.Edits++
		return
	}
	a.Missing = false
	t.pending = -1
}

// ownReply reads the code and text of a filter.
func ownReply(p []byte) *mta.Reply {
	r := new(mta.Reply)
	text := strings.ReplaceAll(string(bytes.TrimRight(p, "\x00")), "%%", "%")
	for i, l := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if len(l) >= 3 && i == 0 {
			r.Code, _ = strconv.Atoi(l[:3])
		}
		l = l[min(len(l), 4):]
		if x, rest, _ := strings.Cut(l, " "); isEnhanced(x) && (i == 0 || x == r.Enhanced) {
			r.Enhanced, l = x, rest
		}
		r.Text = append(r.Text, l)
	}
	return r
}

// isEnhanced reports whether s is a status code of RFC 3463 section 2.
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return false
	}
	for _, p := range parts {
		if len(p) < 1 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// bare returns the name of a macro without braces.
func bare(name string) string {
	if len(name) > 2 && name[0] == '{' && name[len(name)-1] == '}' {
		return name[1 : len(name)-1]
	}
	return name
}

// visible returns the macros that a filter was sent since the mark, the last value
// of each, together with those of the connection.
func (r *record) visible(mark int) map[string]string {
	seen := make(map[string]string)
	for i, m := range r.macros {
		if i >= mark || m.stage == mta.StageConnect || m.stage == mta.StageHelo {
			maps.Copy(seen, m.values)
		}
	}
	return seen
}

// A cutter cuts a stream into frames.
type cutter struct{ rest []byte }

// cut yields the frames that end in b.
func (c *cutter) cut(b []byte) func(yield func(byte, []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		c.rest = append(c.rest, b...)
		for len(c.rest) >= wire.HeadSize {
			n := int(binary.BigEndian.Uint32(c.rest))
			if n < 1 || len(c.rest)-4 < n {
				return
			}
			frame := c.rest[4 : 4+n]
			c.rest = c.rest[4+n:]
			if !yield(frame[0], frame[1:]) {
				return
			}
		}
		if len(c.rest) == 0 {
			c.rest = nil
		}
	}
}
