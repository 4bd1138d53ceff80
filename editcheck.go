package milter

import (
	"fmt"
	"strings"
)

// maxLine is the largest line that a message may have, its end not counted
// (RFC 5322 section 2.1.1). Sendmail cuts lines of the header from about 2300 on.
const maxLine = 998

// checkHeader judges a field and returns its value with LF line ends: a CR would
// be stored by the MTAs and break the field.
func checkHeader(name, value string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: header field has no name", ErrEdit)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return "", fmt.Errorf("%w: byte %q in header name %q (RFC 5322 section 2.2)", ErrEdit, c, name)
		}
	}
	value = strings.ReplaceAll(value, "\r\n", "\n")
	if i := strings.IndexAny(value, "\r\x00"); i >= 0 {
		return "", fmt.Errorf("%w: byte %q in the value of %s", ErrEdit, value[i], name)
	}
	size := len(name) + len(": ")
	for rest, more := value, true; more; size = 0 {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		if size += len(line); size > maxLine {
			return "", fmt.Errorf("%w: a line of %s has %d bytes, more than %d (RFC 5322 section 2.1.1)", ErrEdit, name, size, maxLine)
		}
		if more && (rest == "" || rest[0] != ' ' && rest[0] != '\t') {
			return "", fmt.Errorf("%w: a line of %s does not begin with a blank; the header would end or gain a field", ErrEdit, name)
		}
	}
	return value, nil
}

// A paramCheck judges the value of an ESMTP parameter.
type paramCheck func(value string) bool

// Parameters of RFC 3461 sections 4.1 to 4.4 that both MTAs take from a filter.
// Postfix passes over others. Sendmail leaves out a recipient who has one and
// answers the client once too often, who then takes the reply to each command for
// that to the next; of a sender's it makes what it likes.
var (
	rcptParams = map[string]paramCheck{
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
	mailParams = map[string]paramCheck{
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
	_, ok := DecodeXtext(s)
	return ok && s != ""
}

// maxPath is the largest path, angle brackets included (RFC 5321 section 4.5.3.1.3).
const maxPath = 256

// checkRcpt judges the address of a recipient who is there, which the client may
// have written with a source route, and returns it in angle brackets.
func checkRcpt(addr string) (path string, err error) {
	if err := checkText("address", addr); err != nil {
		return "", err
	}
	bare := unbracket(addr)
	switch {
	case bare == "":
		return "", fmt.Errorf("%w: a recipient needs an address", ErrEdit)
	case !strings.Contains(bare, `"`) && (strings.ContainsAny(bare, "<> ") || bare[0] != '@' && strings.Contains(bare, ",")):
		return "", badAddress(addr)
	}
	return "<" + bare + ">", nil
}

// checkPath judges an address and its parameters and returns them as they stand
// on the wire. "" is the null sender.
//
// What is no mailbox the MTAs leave out in silence, or bounce, or deliver to
// somebody else: to them "a b@c" is a at their own host. Dots may stand anywhere,
// since addresses like a..b@c are in use.
func checkPath(addr string, params []string, known map[string]paramCheck) (path, args string, err error) {
	if err := checkText("address", addr); err != nil {
		return "", "", err
	}
	bare := unbracket(addr)
	if bare != "" && !isMailbox(bare) {
		return "", "", badAddress(addr)
	}
	if path = "<" + bare + ">"; len(path) > maxPath {
		return "", "", fmt.Errorf("%w: address of %d bytes (RFC 5321 section 4.5.3.1.3)", ErrEdit, len(path))
	}
	for i, p := range params {
		keyword, value, _ := strings.Cut(p, "=")
		switch valid := known[strings.ToUpper(keyword)]; {
		case valid == nil:
			return "", "", fmt.Errorf("%w: parameter %q is none that a filter may give here (RFC 3461 section 4)", ErrEdit, p)
		case !valid(value):
			return "", "", fmt.Errorf("%w: parameter %q has a bad value (RFC 3461 section 4)", ErrEdit, p)
		}
		for _, other := range params[:i] {
			if k, _, _ := strings.Cut(other, "="); strings.EqualFold(k, keyword) {
				return "", "", fmt.Errorf("%w: parameter %q comes twice", ErrEdit, p)
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
	return fmt.Errorf("%w: address %q (RFC 5321 section 4.1.2)", ErrEdit, addr)
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

func checkText(what, s string) error {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			return fmt.Errorf("%w: byte %q in %s", ErrEdit, c, what)
		}
	}
	return nil
}
