package miltertest

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gomilter/gomilter/mta"
)

// A Result is what became of a message: verdict, reply, recipients, edits, envelope
// and message as [mta.Result] has them, and what the filters said on the way there.
type Result struct {
	*mta.Result

	// Answers holds all that the filters said, in order: from the connection on
	// for the first message of a session, from the end of the one before for others.
	Answers []Answer `json:"-"`

	// Agreements holds what each filter asked for when it was connected to.
	Agreements []Agreement `json:"-"`

	macros map[string]string
}

// Told returns the reply that the client was given, lines joined by LF; "" where all
// went well.
func (r *Result) Told() string { return told(r.Reply) }

// Header returns the value of the first header field of a name in the resulting
// message: without one leading blank, lines of a folded field joined by LF. It is ""
// where there is none.
func (r *Result) Header(name string) string {
	f, _ := r.Message.Header.Get(name)
	return f.Text(false)
}

// Headers returns the values of all header fields of a name, in order.
func (r *Result) Headers(name string) []string {
	var values []string
	for _, f := range r.Message.Header.All(name) {
		values = append(values, f.Text(false))
	}
	return values
}

// Body returns the body of the resulting message.
func (r *Result) Body() string { return string(r.Message.Body) }

// Raw returns the resulting message, byte for byte.
func (r *Result) Raw() string { return string(r.Message.Bytes()) }

// Rcpts returns the recipients of the resulting message.
func (r *Result) Rcpts() []string { return r.Envelope.Addresses() }

// At returns the answers given at a stage.
func (r *Result) At(st mta.Stage) []Answer {
	var at []Answer
	for _, a := range r.Answers {
		if a.Stage == st {
			at = append(at, a)
		}
	}
	return at
}

// Macro returns the value of a macro, by name without braces, and whether the MTA
// sent it to a filter, for this message or with the connection.
func (r *Result) Macro(name string) (string, bool) {
	v, ok := r.macros[bare(name)]
	return v, ok
}

// String returns the whole of it as text for people and golden files. Bytes that
// are no UTF-8, control characters, backslashes and line ends other than CRLF are
// escaped as Go has them, so that two messages read the same only if they are.
func (r *Result) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(escape(fmt.Sprintf(format, args...)) + "\n") }
	if line("verdict %v", r.Verdict); r.Stage != "" {
		line("stage %s", r.Stage)
	}
	if r.Reply != nil {
		for _, l := range r.Reply.Lines() {
			line("told %s", l)
		}
	}
	if r.Quarantine != nil {
		line("quarantine %s", *r.Quarantine)
	}
	line("from <%s>%s", r.Envelope.From, parameters(r.Envelope.FromArgs))
	for _, rcpt := range r.Envelope.Rcpts {
		line("rcpt <%s>%s", rcpt.Address, parameters(rcpt.Args))
	}
	for _, rcpt := range r.Recipients {
		if rcpt.Reply != nil {
			line("refused <%s>: %s", rcpt.Address, oneLine(rcpt.Reply))
		}
	}
	name := func(filter string) string {
		if len(r.Filters) < 2 {
			return ""
		}
		return filter + " "
	}
	for i := 0; i < len(r.Answers); {
		a, n := &r.Answers[i], 1
		for i += n; i < len(r.Answers) && r.Answers[i].String() == a.String(); i++ {
			n++
		}
		if n == 1 {
			line("answer %s%v: %s", name(a.Filter), a.Stage, a.Said())
		} else {
			line("answer %s%v ×%d: %s", name(a.Filter), a.Stage, n, a.Said())
		}
	}
	for _, e := range r.Edits {
		b.WriteString("edit " + name(e.Milter) + printable(e.Edit.String(), "") + "\n") // it quotes already
	}
	for _, f := range r.Faults {
		line("fault %v", f)
	}
	if raw := r.Raw(); raw != "" {
		b.WriteString("\n")
		lines := strings.Split(raw, "\r\n")
		for i, l := range lines {
			if i < len(lines)-1 {
				line("%s", l)
			} else if l != "" {
				line("%s\\", l)
			}
		}
	}
	return b.String()
}

func parameters(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return " " + strings.Join(list, " ")
}

// escape writes what is no printable text, and the backslash, as Go does in strings.
func escape(s string) string { return printable(s, `\`) }

func printable(s, more string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strings.ContainsRune(more, r):
			b.WriteString(`\` + s[:n])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' && r != '\t' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}
