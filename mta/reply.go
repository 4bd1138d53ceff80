package mta

import (
	"fmt"
	"strconv"
	"strings"
)

// A Reply is what the SMTP client is told.
type Reply struct {
	Code     int      `json:"code"`
	Enhanced string   `json:"enhanced"` // RFC 3463 status code, "" when there is none
	Text     []string `json:"text"`     // a line each

	lines []string // as sent, where the fields do not tell it all
	bye   bool     // the MTA closes the connection after it
}

// Lines returns the reply as it stands on the wire, without line ends.
func (r *Reply) Lines() []string {
	if r.lines != nil {
		return r.lines
	}
	text := r.Text
	if len(text) == 0 {
		text = []string{""}
	}
	lines := make([]string, len(text))
	for i, t := range text {
		sep := "-"
		if i == len(text)-1 {
			sep = " "
		}
		if r.Enhanced != "" {
			t = r.Enhanced + " " + t
		}
		lines[i] = strconv.Itoa(r.Code) + sep + t
	}
	return lines
}

// String returns the lines joined by LF.
func (r *Reply) String() string { return strings.Join(r.Lines(), "\n") }

// verdict returns what a refusal of the code amounts to.
func (r *Reply) verdict() Verdict {
	switch r.Code / 100 {
	case 5:
		return Reject
	case 4:
		return TempFail
	}
	return Continue
}

func reply(code int, enhanced, text string) *Reply {
	return &Reply{Code: code, Enhanced: enhanced, Text: []string{text}, bye: code == 421}
}

// parseReply reads the lines of a reply that begins with three digits.
func parseReply(lines []string) *Reply {
	r := &Reply{lines: lines}
	r.Code, _ = strconv.Atoi(lines[0][:3])
	r.bye = r.Code == 421
	for i, l := range lines {
		if len(l) > 4 {
			l = l[4:]
		} else {
			l = ""
		}
		if x := enhanced(l); x != "" && (i == 0 || x == r.Enhanced) {
			if i == 0 {
				r.Enhanced = x
			}
			l = strings.TrimPrefix(l[len(x):], " ")
		}
		r.Text = append(r.Text, l)
	}
	return r
}

// enhanced returns the status code (RFC 3463 section 2) that s begins with and a
// blank or the end follows, "" when there is none.
func enhanced(s string) string {
	if len(s) < 5 || s[0] != '2' && s[0] != '4' && s[0] != '5' {
		return ""
	}
	i := 1
	for range 2 {
		if i == len(s) || s[i] != '.' {
			return ""
		}
		i++
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == from || i > from+3 {
			return ""
		}
	}
	if i < len(s) && s[i] != ' ' {
		return ""
	}
	return s[:i]
}

// isCode reports whether s begins with the three digits of a refusal.
func isCode(s string) bool {
	return len(s) >= 3 && (s[0] == '4' || s[0] == '5') && s[1] >= '0' && s[1] <= '9' && s[2] >= '0' && s[2] <= '9'
}

// cutLines cuts a text of a filter into lines.
func cutLines(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

// A Verdict is what becomes of a step or of a message.
type Verdict uint8

// The verdicts.
const (
	Continue Verdict = iota // nothing decided yet
	Accept
	Reject
	TempFail
	Discard // the client is told that all is well, and the message dropped
)

var verdictNames = [...]string{"continue", "accept", "reject", "tempfail", "discard"}

// String returns the verdict's name in lower case, such as "tempfail".
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// MarshalText returns what String returns.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (v *Verdict) UnmarshalText(b []byte) error { return unmarshal(v, b, verdictNames[:], "verdict") }

// unmarshal finds text among names.
func unmarshal[T ~uint8](v *T, text []byte, names []string, what string) error {
	for i, name := range names {
		if name != "" && strings.EqualFold(name, string(text)) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("mta: %q is no %s", text, what)
}
