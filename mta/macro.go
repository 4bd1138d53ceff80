package mta

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
)

// defaultLists are the lists of macros that each MTA is configured with.
var defaultLists = [...][wire.MacroStages]string{
	Sendmail: { // confMILTER_MACROS_*
		StageConnect:      "j _ {daemon_name} {if_name} {if_addr}",
		StageHelo:         "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
		StageMail:         "i {auth_type} {auth_authen} {auth_ssf} {auth_author} {mail_mailer} {mail_host} {mail_addr}",
		StageRcpt:         "{rcpt_mailer} {rcpt_host} {rcpt_addr}",
		StageData:         "",
		StageEndOfHeaders: "",
		StageEnd:          "{msg_id}",
	},
	Postfix: { // milter_*_macros
		StageConnect:      "j {daemon_name} {daemon_addr} v _",
		StageHelo:         "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
		StageMail:         "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
		StageRcpt:         "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
		StageData:         "i",
		StageEndOfHeaders: "i",
		StageEnd:          "i",
	},
}

// maxMacros is how many names of a list Sendmail keeps (MAXFILTERMACROS).
const maxMacros = 50

// list returns the names of the macros that a filter gets at a stage, and
// whether it gets a packet of them at all.
func (s *Session) list(f *filter, st Stage) (names []string, send bool) {
	configured := func(st Stage) string {
		if l, ok := s.c.Lists[st]; ok {
			return l
		}
		if st < wire.MacroStages {
			return defaultLists[s.c.Profile][st]
		}
		return ""
	}
	var text string
	if s.c.Profile == Sendmail {
		if st >= wire.MacroStages {
			return nil, false
		}
		asked := f.lists[st]
		if st == StageEnd {
			// At end of message Sendmail looks whether the filter asked for macros at
			// end of header, and if so takes what it asked for at end of message.
			if asked = nil; f.lists[StageEndOfHeaders] != nil {
				if asked = f.lists[StageEnd]; asked == nil {
					asked = new(string)
				}
			}
		}
		if text = configured(st); asked != nil {
			text = *asked
		}
	} else {
		switch st {
		case StageHeader:
			st = StageEndOfHeaders
		case StageBody:
			st = StageEnd
		}
		if text = configured(st); st < wire.MacroStages && f.lists[st] != nil && *f.lists[st] != "" {
			text = *f.lists[st]
		}
	}
	names = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	if s.c.Profile == Sendmail && len(names) > maxMacros {
		names = names[:maxMacros]
	}
	return names, len(names) > 0 || s.c.Profile == Postfix
}

// macros adds the packet of macros that goes before a stage.
func (s *Session) macros(f *filter, st Stage) {
	names, send := s.list(f, st)
	if !send {
		return
	}
	b := []byte{st.Cmd()}
	for _, name := range names {
		bare := strings.Trim(name, "{}")
		if s.c.Profile == Sendmail && bare == name {
			bare = name[:1] // without braces a name is one letter to Sendmail
		}
		if value, ok := s.macro(st, bare); ok {
			b = wire.AppendString(wire.AppendString(b, name), cString(value))
		}
	}
	f.frame(wire.CmdMacro, b)
}

// macro returns the value of a macro at a stage.
func (s *Session) macro(st Stage, name string) (string, bool) {
	if v, ok := s.set[name]; ok {
		return v, true
	}
	if v, ok := s.c.Macros[name]; ok {
		return v, true
	}
	sendmail := s.c.Profile == Sendmail
	if !sendmail {
		// From the header on, and for local mail from the start, cleanup speaks to the
		// filter. It knows less.
		content := st == StageHeader || st == StageEndOfHeaders || st == StageBody || st == StageEnd
		switch name {
		case "client_resolve", "client_connections", "mail_mailer", "mail_host", "rcpt_mailer", "rcpt_host":
			if content || s.local {
				return "", false
			}
		case "mail_addr", "rcpt_addr":
			if content && !s.local {
				return "", false
			}
		}
	}
	switch name {
	case "j":
		return s.host, true
	case "i":
		return s.queueID, s.queueID != ""
	case "v":
		if sendmail {
			return "8.17.1.9", true
		}
		return "Postfix 3.7.11", true
	case "_":
		return s.peer(), true
	case "daemon_name":
		if sendmail {
			return "MTA", true
		}
		return s.host, true
	case "daemon_addr":
		return "127.0.0.1", true
	case "daemon_port":
		if s.local {
			return "0", true
		}
		return "25", true
	case "client_addr":
		return s.clientAddr(st)
	case "client_name", "client_ptr":
		if s.conn.Name == "" {
			if sendmail {
				return s.literal(), true
			}
			return "unknown", true
		}
		return s.conn.Name, true
	case "client_port":
		return strconv.Itoa(int(s.conn.Addr.Port())), s.conn.Addr.IsValid() || !sendmail
	case "client_resolve":
		if s.conn.Name == "" {
			return "FAIL", true
		}
		return "OK", true
	case "client_connections":
		return "1", true
	case "if_name":
		return "localhost", sendmail && s.conn.Addr.Addr().IsLoopback()
	}
	if s.from == nil {
		return "", false
	}
	switch name {
	case "mail_mailer":
		return s.sender.mailer, true
	case "mail_host":
		return s.sender.host, true
	case "mail_addr":
		return s.sender.addr, true
	case "r":
		return "ESMTP", sendmail
	case "s":
		return s.heloName, sendmail && s.heloName != ""
	case "nrcpts":
		return strconv.Itoa(s.taken), sendmail
	case "nbadrcpts":
		return strconv.Itoa(s.refused), sendmail
	case "msg_id":
		return s.messageID, sendmail && s.messageID != ""
	case "msg_size":
		return strconv.Itoa(s.messageSize), sendmail && s.messageSize > 0
	}
	if s.to == nil {
		return "", false
	}
	switch name {
	case "rcpt_mailer":
		return s.to.mailer, true
	case "rcpt_host":
		return s.to.host, true
	case "rcpt_addr":
		return s.to.addr, true
	}
	return "", false
}

// A route is where the MTA would deliver to, or have it from.
type route struct{ mailer, host, addr string }

func (s *Session) route(address string) route {
	address, _ = edit.ParseAddress(address)
	if s.c.Route != nil {
		mailer, host, addr := s.c.Route(address)
		return route{mailer, host, addr}
	}
	at := strings.LastIndexByte(address, '@')
	host := address[at+1:]
	if s.c.Profile == Sendmail {
		switch {
		case at < 0:
			return route{"local", "", address}
		default:
			host += "." // as its rule sets leave a name they looked up
		}
		return route{"esmtp", host, address}
	}
	if at < 0 {
		host = s.host
		if address != "" {
			address += "@" + host
		}
	}
	return route{"smtp", host, address}
}

// addrText writes the client's address as the MTA does in CONNECT.
func (s *Session) addrText(a netip.Addr) string {
	if a.Is4() || s.c.Profile == Postfix {
		return a.String()
	}
	// Sendmail tags an IPv6 address, and by default compresses nothing.
	var b strings.Builder
	b.WriteString("IPv6:")
	raw := a.As16()
	for i := 0; i < len(raw); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%x", uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	return b.String()
}

// literal returns the client's address in brackets.
func (s *Session) literal() string {
	if a := s.conn.Addr.Addr(); a.IsValid() {
		return "[" + s.addrText(a) + "]"
	}
	return "localhost"
}

func (s *Session) clientAddr(st Stage) (string, bool) {
	a := s.conn.Addr.Addr()
	if !a.IsValid() {
		return "", false
	}
	text := s.addrText(a)
	if a.Is6() && s.c.Profile == Postfix {
		// cleanup, which speaks to the filter from the header on, leaves the tag out.
		switch st {
		case StageHeader, StageEndOfHeaders, StageBody, StageEnd:
		default:
			text = "IPv6:" + text
		}
	}
	return text, true
}

// peer returns macro _.
func (s *Session) peer() string {
	a := s.conn.Addr.Addr()
	name := s.conn.Name
	switch {
	case !a.IsValid():
		if name == "" {
			name = "localhost"
		}
		return name
	case name == "" && s.c.Profile == Sendmail:
		return s.literal()
	case name == "":
		name = "unknown"
	}
	return name + " [" + s.addrText(a) + "]"
}

// connectPayload returns the payload of CONNECT.
func (s *Session) connectPayload() []byte {
	c := wire.Connection{Host: []byte(cString(s.conn.Name)), Family: wire.FamilyUnknown}
	a := s.conn.Addr.Addr()
	switch {
	case a.IsValid():
		if c.Family = wire.FamilyInet6; a.Is4() {
			c.Family = wire.FamilyInet
		}
		c.Port, c.Address = s.conn.Addr.Port(), []byte(s.addrText(a))
	case s.conn.Unix != "":
		c.Family, c.Address = wire.FamilyUnix, []byte(cString(s.conn.Unix))
	}
	if len(c.Host) == 0 {
		switch {
		case a.IsValid():
			c.Host = []byte(s.literal())
		case s.c.Profile == Sendmail:
			c.Host = []byte("localhost")
		default:
			c.Host = []byte("unknown")
		}
	}
	return wire.AppendConnect(nil, c)
}
