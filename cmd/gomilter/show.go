package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomilter/gomilter/mta"
)

// printResult shows a result to people: the verdict first, then what led to it.
func printResult(w io.Writer, res *mta.Result) {
	fmt.Fprint(w, res.Verdict)
	if res.Stage != "" {
		fmt.Fprintf(w, " at %s", res.Stage)
	}
	if r := refusal(res); r != nil {
		fmt.Fprintf(w, ": %s", replyText(r))
	}
	fmt.Fprintln(w)
	row := func(label string, format string, args ...any) {
		fmt.Fprintf(w, "  %-11s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	var named []string // recipients as the client named them and nobody refused
	for i, r := range res.Recipients {
		label := ""
		if i == 0 {
			label = "recipients"
		}
		if r.Reply == nil {
			named = append(named, r.Address)
			row(label, "<%s>", r.Address)
		} else {
			row(label, "<%s>  %s", r.Address, replyText(r.Reply))
		}
	}
	for i, f := range res.Filters {
		label := ""
		if i == 0 {
			label = "milters"
		}
		decision := f.Decision.String()
		if f.Why != "" {
			decision = "failed" // standard error says how
		}
		row(label, "%s  %s, %.1f ms", f.Name, decision, f.Milliseconds)
	}
	switch {
	case len(res.Edits) == 0 && res.Verdict == mta.Accept:
		row("edits", "none")
	case len(res.Edits) > 0 && res.Verdict != mta.Accept:
		row("edits", "%d, dropped with the message", len(res.Edits))
	default:
		for i, e := range res.Edits {
			label := ""
			if i == 0 {
				label = "edits"
			}
			row(label, "%s", e.Edit)
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

// refusal returns what the client was told of a message, nil where all went well.
func refusal(res *mta.Result) *mta.Reply {
	if res.Verdict == mta.Accept || res.Verdict == mta.Discard {
		return nil // a reply in it is that to a recipient
	}
	return res.Reply
}

// replyText returns a reply on one line.
func replyText(r *mta.Reply) string {
	head := fmt.Sprint(r.Code)
	if r.Enhanced != "" {
		head += " " + r.Enhanced
	}
	return printable(strings.TrimRight(head+" "+strings.Join(r.Text, " / "), " "))
}

// printable escapes what a terminal might obey.
func printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}
