package doctor

import (
	"errors"
	"fmt"
	"strings"
)

// A sendmailCF is what sendmail.cf says of filters and listeners. Everything else
// in it is passed over.
type sendmailCF struct {
	options map[string]cfOption // by name in lower case; the last one counts
	daemons []cfDaemon          // O DaemonPortOptions
	filters []cfFilter          // X
}

// A cfOption is an O line.
type cfOption struct {
	name, value string
	line, last  int
}

// A cfDaemon is a listener.
type cfDaemon struct {
	cfOption
	label      string
	port       string
	filters    string // of InputMailFilters
	ownFilters bool   // it has InputMailFilters, be it empty
}

// A cfFilter is an X line.
type cfFilter struct {
	name, text string // text is the whole line
	line, last int
	socket     string          // S
	flags      string          // F
	timeouts   map[byte]int64  // T, in seconds, with the defaults of those not given
	written    map[byte]string // T as written
	faults     []string
}

// Sendmail's own limits.
const (
	maxFilters      = 25 // MAXFILTERS
	maxFilterMacros = 50 // MAXFILTERMACROS
)

// parseSendmailCF reads a configuration file. A line that begins with a blank goes
// on with the one before it; # begins a comment, except after $ and \ .
func parseSendmailCF(text string) *sendmailCF {
	cf := &sendmailCF{options: make(map[string]cfOption)}
	var line strings.Builder
	number, start, last := 0, 0, 0
	done := func() {
		if start > 0 {
			cf.line(stripComment(line.String()), start, last)
		}
		line.Reset()
	}
	for l := range strings.Lines(text) {
		number++
		l = strings.TrimRight(l, "\r\n")
		if l != "" && (l[0] == ' ' || l[0] == '\t') && start > 0 {
			line.WriteString(" " + strings.TrimLeft(l, " \t"))
			last = number
			continue
		}
		done()
		start, last = number, number
		line.WriteString(l)
	}
	done()
	return cf
}

func stripComment(s string) string {
	if strings.HasPrefix(s, "#") {
		return ""
	}
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && s[i-1] != '$' && s[i-1] != '\\' {
			return strings.TrimRight(s[:i], " \t")
		}
	}
	return strings.TrimRight(s, " \t")
}

// line reads one line of the file, which may be several.
func (cf *sendmailCF) line(s string, first, last int) {
	switch {
	case strings.HasPrefix(s, "X"):
		cf.filters = append(cf.filters, parseFilter(s, first, last))
	case strings.HasPrefix(s, "O "):
		name, value, _ := strings.Cut(s[2:], "=")
		o := cfOption{name: strings.TrimSpace(name), value: strings.TrimSpace(value), line: first, last: last}
		if strings.EqualFold(o.name, "DaemonPortOptions") {
			cf.daemons = append(cf.daemons, parseDaemon(o))
			return
		}
		cf.options[strings.ToLower(o.name)] = o
	}
}

// parseDaemon reads listener options. Sendmail looks at the first letter of a key
// alone.
func parseDaemon(o cfOption) cfDaemon {
	d := cfDaemon{cfOption: o, label: o.value}
	for part := range strings.SplitSeq(o.value, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || key == "" {
			continue
		}
		switch value = strings.TrimSpace(value); key[0] {
		case 'N':
			d.label = value
		case 'P':
			d.port = value
		case 'I':
			d.filters, d.ownFilters = value, true
		}
	}
	return d
}

// submission reports whether users submit mail to the listener.
func (d cfDaemon) submission() bool {
	return isSubmissionPort(d.port) || d.port == "" && isSubmissionPort(d.label)
}

// parseFilter reads an X line: a name and equates, by their first letter.
func parseFilter(s string, first, last int) cfFilter {
	f := cfFilter{text: s, line: first, last: last, timeouts: map[byte]int64{'C': 300, 'S': 10, 'R': 10, 'E': 300}, written: make(map[byte]string)}
	rest := s[1:]
	if i := strings.IndexAny(rest, ", \t"); i >= 0 {
		f.name, rest = rest[:i], rest[i+1:]
	} else {
		f.name, rest = rest, ""
	}
	if f.name == "" {
		f.faults = append(f.faults, "it has no name")
	}
	for _, part := range munch(rest, ',') {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			f.faults = append(f.faults, shown(part)+" has no =")
			continue
		}
		value = strings.TrimSpace(value)
		switch key = strings.TrimSpace(key); {
		case strings.HasPrefix(key, "S"):
			f.socket = value
		case strings.HasPrefix(key, "F"):
			f.flags = strings.Join(strings.Fields(value), "")
		case strings.HasPrefix(key, "T"):
			f.parseTimeouts(value)
		default:
			f.faults = append(f.faults, shown(part)+" is none of S=, F= and T=")
		}
	}
	return f
}

func (f *cfFilter) parseTimeouts(value string) {
	for _, part := range munch(value, ';') {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, v, ok := strings.Cut(part, ":")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.IndexByte("CSRE", key[0]) < 0 {
			f.faults = append(f.faults, shown(part)+" in T= is none of C:, S:, R: and E:")
			continue
		}
		n, err := parseUnits(v, "s", map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400})
		if err != nil {
			f.faults = append(f.faults, fmt.Sprintf("%s in T=: %v", shown(part), err))
			continue
		}
		f.timeouts[key[0]], f.written[key[0]] = n, strings.TrimSpace(v)
	}
}

// munch splits at a delimiter that is not within quotes nor after a backslash, and
// takes both away.
func munch(s string, delimiter byte) []string {
	var out []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '"':
			quoted = !quoted
		case c == delimiter && !quoted:
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(out, b.String())
}

// filterNames splits a list of filters.
func filterNames(list string) []string {
	var out []string
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ';' }) {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// parseFilterSocket reads S= as Sendmail does, which differs from libmilter: there
// must be a host, and an IPv6 address stands without brackets.
func parseFilterSocket(s string) (path, host, port string, inet6 bool, err error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		scheme, rest = "", s
	}
	switch strings.ToLower(scheme) {
	case "", "unix", "local":
		if rest == "" {
			return "", "", "", false, errors.New("names no socket")
		}
		return rest, "", "", false, nil
	case "inet", "inet6":
		inet6 = strings.EqualFold(scheme, "inet6")
		port, host, ok := strings.Cut(rest, "@")
		if !ok || port == "" || host == "" {
			return "", "", "", inet6, errors.New("is not port@host, which Sendmail insists on")
		}
		if inet6 && strings.HasPrefix(host, "[") {
			err = errors.New("has brackets, with which Sendmail fails to connect (\"Invalid argument\")")
		}
		return "", strings.TrimPrefix(strings.Trim(host, "[]"), "IPv6:"), port, inet6, err
	}
	return "", "", "", false, errors.New("is none of local:, unix:, inet: and inet6:")
}
