package edit

import (
	"encoding/json"
	"slices"
	"strings"
)

// An Envelope is the sender and the recipients of a message.
type Envelope struct {
	From     string   // without angle brackets; "" is the null sender
	FromArgs []string // ESMTP parameters, such as "RET=HDRS"
	Rcpts    []Rcpt
}

// A Rcpt is a recipient.
type Rcpt struct {
	Address string // without angle brackets
	Args    []string
}

// Addresses returns the addresses of the recipients.
func (e Envelope) Addresses() []string {
	a := make([]string, len(e.Rcpts))
	for i, r := range e.Rcpts {
		a[i] = r.Address
	}
	return a
}

// MarshalJSON writes the addresses: from and rcpts. One that is no UTF-8 makes
// its member from_b64 or rcpts_b64.
func (e Envelope) MarshalJSON() ([]byte, error) {
	b := appendText([]byte{'{'}, "from", e.From)
	list := []byte{'['}
	binary := false
	for i, r := range e.Rcpts {
		if i > 0 {
			list = append(list, ',')
		}
		member := appendText([]byte{'{'}, "", r.Address)
		binary = binary || strings.HasPrefix(string(member), `{"_b64"`)
		list = append(list, member[strings.IndexByte(string(member), ':')+1:]...)
	}
	list = append(list, ']')
	if binary {
		raw := make([][]byte, len(e.Rcpts))
		for i, r := range e.Rcpts {
			raw[i] = []byte(r.Address)
		}
		all, err := json.Marshal(raw)
		return append(append(append(b, `,"rcpts_b64":`...), all...), '}'), err
	}
	return append(append(append(b, `,"rcpts":`...), list...), '}'), nil
}

// ParseAddress returns the address in what a client or a filter wrote, without
// angle brackets and what stands around them; ok is false for the null address.
// Without brackets it ends at the first comma, as both MTAs have it.
func ParseAddress(s string) (addr string, ok bool) {
	if i := strings.IndexByte(s, '<'); i >= 0 {
		s, _, _ = strings.Cut(s[i+1:], ">")
	} else {
		s, _, _ = strings.Cut(s, ",")
	}
	s = strings.Trim(s, " \t\r\n")
	return s, s != ""
}

// split cuts a list of addresses at its commas, those in quotes and in angle
// brackets left alone.
func split(s string) (parts []string) {
	depth, quoted, start := 0, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			depth++
		case c == '>':
			depth--
		case c == ',' && depth <= 0:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

func (ed *Editor) addRcpt(address, args string) {
	if ed.mta == Postfix {
		// One address. It is left out when a filter has added it before, in any letter
		// case, but not when it is one of the client's: that makes two copies.
		addr, ok := ParseAddress(address)
		if fold := strings.ToLower(addr); ok && !ed.added[fold] {
			ed.added[fold] = true
			ed.env.Rcpts = append(ed.env.Rcpts, Rcpt{addr, postfixArgs(args, "NOTIFY", "ORCPT")})
		}
		return
	}
	// Sendmail reads a list, drops an address it has, and with a parameter that it
	// does not take the whole edit.
	params, valid := sendmailArgs(args, "NOTIFY", "ORCPT")
	if !valid {
		return
	}
	for _, one := range split(address) {
		addr, ok := ParseAddress(one)
		if ok && !slices.ContainsFunc(ed.env.Rcpts, func(r Rcpt) bool { return r.Address == addr }) {
			ed.env.Rcpts = append(ed.env.Rcpts, Rcpt{addr, params})
		}
	}
}

// deleteRcpt takes out what is spelt the same: both MTAs mind letter case, in
// the domain too. Sendmail does not for local users, whom it cannot know here.
func (ed *Editor) deleteRcpt(address string) {
	addr, ok := ParseAddress(address)
	if !ok {
		return
	}
	ed.env.Rcpts = slices.DeleteFunc(slices.Clone(ed.env.Rcpts), func(r Rcpt) bool { return r.Address == addr })
	delete(ed.added, strings.ToLower(addr))
}

func (ed *Editor) changeFrom(address, args string) {
	addr, _ := ParseAddress(address)
	if ed.mta == Sendmail && strings.Trim(address, " ") == "" {
		return
	}
	ed.env.From = addr
	var params []string
	if ed.mta == Postfix {
		params = postfixArgs(args, "RET", "ENVID")
	} else {
		// The sender changes whatever the parameters are; they count up to a bad one.
		params, _ = sendmailArgs(args, "SIZE", "BODY", "RET", "ENVID", "AUTH", "BY")
	}
	for _, p := range params {
		key, _, _ := strings.Cut(p, "=")
		ed.env.FromArgs = append(slices.DeleteFunc(slices.Clone(ed.env.FromArgs), func(o string) bool {
			k, _, _ := strings.Cut(o, "=")
			return strings.EqualFold(k, key)
		}), p)
	}
}

// postfixArgs returns the parameters that Postfix takes; it passes over others.
func postfixArgs(args string, keys ...string) (params []string) {
	for p := range strings.FieldsSeq(args) {
		if p, ok := param(p, keys); ok {
			params = append(params, p)
		} else if key, _, _ := strings.Cut(p, "="); slices.Contains(keys, strings.ToUpper(key)) {
			// What follows a parameter with a bad value is not looked at.
			break
		}
	}
	return params
}

// sendmailArgs returns the parameters up to the first that is not taken, and
// whether there was none such.
func sendmailArgs(args string, keys ...string) (params []string, valid bool) {
	for p := range strings.FieldsSeq(args) {
		p, ok := param(p, keys)
		if !ok {
			return params, false
		}
		params = append(params, p)
	}
	return params, true
}

// param returns a parameter in its usual spelling, if its key is one of keys
// and the value is one it may have (RFC 3461 section 4).
func param(p string, keys []string) (string, bool) {
	key, value, found := strings.Cut(p, "=")
	key = strings.ToUpper(key)
	if !found || value == "" || !slices.Contains(keys, key) {
		return p, false
	}
	switch key {
	case "NOTIFY":
		value = strings.ToUpper(value)
		if value != "NEVER" {
			for v := range strings.SplitSeq(value, ",") {
				if v != "SUCCESS" && v != "FAILURE" && v != "DELAY" {
					return p, false
				}
			}
		}
	case "RET":
		value = strings.ToUpper(value)
		if value != "HDRS" && value != "FULL" {
			return p, false
		}
	case "ORCPT":
		if !strings.Contains(value, ";") {
			return p, false
		}
	}
	return key + "=" + value, true
}
