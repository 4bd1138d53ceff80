package wire

import (
	"errors"
	"fmt"
	"strings"
)

// maxLine is the largest line that a message may have, its end not counted
// (RFC 5322 section 2.1.1). Sendmail cuts lines of the header from about 2300 on.
const maxLine = 998

// CheckHeader judges a field and returns its value with LF line ends: a CR would
// be stored by the MTAs and break the field.
func CheckHeader(name, value string) (string, error) {
	if name == "" {
		return "", errors.New("header field has no name")
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return "", fmt.Errorf("byte %q in header name %q (RFC 5322 section 2.2)", c, name)
		}
	}
	value = strings.ReplaceAll(value, "\r\n", "\n")
	if i := strings.IndexAny(value, "\r\x00"); i >= 0 {
		return "", fmt.Errorf("byte %q in the value of %s", value[i], name)
	}
	size := len(name) + len(": ")
	for rest, more := value, true; more; size = 0 {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		if size += len(line); size > maxLine {
			return "", fmt.Errorf("a line of %s has %d bytes, more than %d (RFC 5322 section 2.1.1)", name, size, maxLine)
		}
		if more && (rest == "" || rest[0] != ' ' && rest[0] != '\t') {
			return "", fmt.Errorf("a line of %s does not begin with a blank; the header would end or gain a field", name)
		}
	}
	return value, nil
}

// A ParamCheck judges the value of an ESMTP parameter.
type ParamCheck func(value string) bool

// Parameters of RFC 3461 sections 4.1 to 4.4 that both MTAs take from a filter.
// Postfix passes over others. Sendmail leaves out a recipient who has one and
// answers the client once too often, who then takes the reply to each command for
// that to the next; of a sender's it makes what it likes.
var (
	RcptParams = map[string]ParamCheck{
		"NOTIFY": func(v string) bool {
			if strings.EqualFold(v, "NEVER") {
				return true
			}
			for one := range strings.SplitSeq(v, ",") {
				if !strings.EqualFold(one, "SUCCESS") && !strings.EqualFold(one, "FAILURE") && !strings.EqualFold(one, "DELAY") {
					return false
				}
			}
			return true
		},
		"ORCPT": func(v string) bool {
			kind, addr, _ := strings.Cut(v, ";")
			return kind != "" && isXtext(kind) && isXtext(addr)
		},
	}
	MailParams = map[string]ParamCheck{
		"RET":   func(v string) bool { return strings.EqualFold(v, "FULL") || strings.EqualFold(v, "HDRS") },
		"ENVID": isXtext,
	}
)

func isXtext(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '=' {
			return false
		}
	}
	for rest := s; ; {
		_, after, found := strings.Cut(rest, "+")
		if !found {
			return s != ""
		}
		if len(after) < 2 || !isHexDigit(after[0]) || !isHexDigit(after[1]) {
			return false
		}
		rest = after[2:]
	}
}

// maxPath is the largest path, angle brackets included (RFC 5321 section 4.5.3.1.3).
const maxPath = 256

// CheckRcpt judges the address of a recipient who is there, which the client may
// have written with a source route, and returns it in angle brackets.
func CheckRcpt(addr string) (path string, err error) {
	if err := CheckText("address", addr); err != nil {
		return "", err
	}
	bare := unbracket(addr)
	switch {
	case bare == "":
		return "", errors.New("a recipient needs an address")
	case !strings.Contains(bare, `"`) && (strings.ContainsAny(bare, "<> ") || bare[0] != '@' && strings.Contains(bare, ",")):
		return "", badAddress(addr)
	}
	return "<" + bare + ">", nil
}

func isHexDigit(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// CheckPath judges an address and its parameters and returns them as they stand
// on the wire. "" is the null sender.
//
// What is no mailbox the MTAs leave out in silence, or bounce, or deliver to
// somebody else: to them "a b@c" is a at their own host. Dots may stand anywhere,
// since addresses like a..b@c are in use.
func CheckPath(addr string, params []string, known map[string]ParamCheck) (path, args string, err error) {
	if err := CheckText("address", addr); err != nil {
		return "", "", err
	}
	bare := unbracket(addr)
	if bare != "" && !isMailbox(bare) {
		return "", "", badAddress(addr)
	}
	if path = "<" + bare + ">"; len(path) > maxPath {
		return "", "", fmt.Errorf("address of %d bytes (RFC 5321 section 4.5.3.1.3)", len(path))
	}
	for i, p := range params {
		keyword, value, _ := strings.Cut(p, "=")
		switch valid := known[strings.ToUpper(keyword)]; {
		case valid == nil:
			return "", "", fmt.Errorf("parameter %q is none that a filter may give here (RFC 3461 section 4)", p)
		case !valid(value):
			return "", "", fmt.Errorf("parameter %q has a bad value (RFC 3461 section 4)", p)
		}
		for _, other := range params[:i] {
			if k, _, _ := strings.Cut(other, "="); strings.EqualFold(k, keyword) {
				return "", "", fmt.Errorf("parameter %q comes twice", p)
			}
		}
	}
	return path, strings.Join(params, " "), nil
}

func unbracket(addr string) string {
	if strings.HasPrefix(addr, "<") && strings.HasSuffix(addr, ">") {
		return addr[1 : len(addr)-1]
	}
	return addr
}

func badAddress(addr string) error {
	return fmt.Errorf("address %q (RFC 5321 section 4.1.2)", addr)
}

// isMailbox reports whether s is a mailbox, or the local part of one.
func isMailbox(s string) bool {
	local := len(s)
	if s[0] == '"' {
		for local = 1; local < len(s) && s[local] != '"'; local++ {
			if s[local] == '\\' {
				local++
			}
		}
		local++ // behind the quote
	} else if i := strings.IndexByte(s, '@'); i >= 0 {
		local = i
	}
	switch {
	case local == 0 || local > len(s) || s[0] != '"' && strings.ContainsAny(s[:local], `"(),:;<>[\] `):
		return false
	case local == len(s):
		return true
	case s[local] != '@':
		return false
	}
	d := s[local+1:]
	if strings.HasPrefix(d, "[") {
		return len(d) > 2 && strings.IndexAny(d[1:], `[\] `) == len(d)-2 && d[len(d)-1] == ']'
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || strings.ContainsAny(label, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~ ") {
			return false
		}
	}
	return true
}

// CheckText judges a text of one line; what names it in the error.
func CheckText(what, s string) error {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			return fmt.Errorf("byte %q in %s", c, what)
		}
	}
	return nil
}
