package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A postfixConfig is what postconf tells.
type postfixConfig struct {
	dir      string
	command  string // "postconf", with -c where the directory is not Postfix's own
	version  version
	params   map[string]string // as they are written, those not set with their defaults
	services []*service
}

// A service is a line of master.cf.
type service struct {
	name, kind, unprivileged, chroot, program string
	options                                   map[string]string // -o
}

// id is how postconf -P and -F name the service.
func (s *service) id() string { return s.name + "/" + s.kind }

// readPostfix asks postconf.
func readPostfix(ctx context.Context, h host, o PostfixOptions) (*postfixConfig, error) {
	c := &postfixConfig{dir: o.ConfigDir, command: "postconf"}
	program := o.Postconf
	if program == "" {
		var err error
		if program, err = findProgram("postconf", "/usr/sbin", "/usr/local/sbin", "/opt/postfix/sbin"); err != nil {
			return nil, err
		}
	}
	var args []string
	if c.dir != "" {
		args = []string{"-c", c.dir}
	}
	if c.dir != "" && filepath.Clean(c.dir) != "/etc/postfix" {
		c.command += " -c " + quote(c.dir)
	}
	out, err := h.run(ctx, program, args, nil)
	if err != nil {
		return nil, err
	}
	c.params = parseParams(string(out))
	if c.version, err = parseVersion(c.params["mail_version"]); err != nil {
		return nil, fmt.Errorf("%s: mail_version: %w", program, err)
	}
	if c.dir == "" {
		c.dir = c.params["config_directory"]
	}
	if c.version.less(version{2, 9, 0}) {
		return c, nil // it has no -M
	}
	if out, err = h.run(ctx, program, append(slices.Clip(args), "-M"), nil); err != nil {
		return nil, err
	}
	c.services, err = parseServices(string(out))
	return c, err
}

// parseParams reads the output of postconf: "name = value" lines.
func parseParams(out string) map[string]string {
	params := make(map[string]string)
	for line := range strings.Lines(out) {
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); ok && name != "" {
			params[name] = strings.TrimSpace(value)
		}
	}
	return params
}

// parseServices reads the output of postconf -M: lines of master.cf, each on one
// line and without comments (master(5)).
func parseServices(out string) ([]*service, error) {
	var list []*service
	for line := range strings.Lines(out) {
		words, err := splitBraces(line, " \t\r\n")
		if err != nil {
			return nil, fmt.Errorf("master.cf: %s: %w", shown(strings.TrimSpace(line)), err)
		}
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) < 8 {
			return nil, fmt.Errorf("master.cf: %s: fewer than eight fields", shown(strings.TrimSpace(line)))
		}
		s := &service{name: words[0], kind: words[1], unprivileged: words[3], chroot: words[4],
			program: filepath.Base(words[7]), options: make(map[string]string)}
		for args := words[8:]; len(args) > 0; args = args[1:] {
			option, found := strings.CutPrefix(args[0], "-o")
			if !found {
				continue
			}
			if option == "" {
				if args = args[1:]; len(args) == 0 {
					return nil, fmt.Errorf("master.cf: %s: nothing follows -o", s.id())
				}
				option = args[0]
			}
			if strings.HasPrefix(option, "{") {
				option = strings.TrimSuffix(option[1:], "}")
			}
			name, value, _ := strings.Cut(option, "=")
			s.options[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		list = append(list, s)
	}
	return list, nil
}

// splitBraces splits a text at any of the separators that stand outside of braces.
func splitBraces(text, separators string) ([]string, error) {
	var out []string
	level, start := 0, -1
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '{':
			level++
		case c == '}' && level > 0:
			level--
		}
		if level == 0 && strings.IndexByte(separators, c) >= 0 {
			if start >= 0 {
				out = append(out, text[start:i])
			}
			start = -1
		} else if start < 0 {
			start = i
		}
	}
	if level > 0 {
		return nil, errUnbalanced
	}
	if start >= 0 {
		out = append(out, text[start:])
	}
	return out, nil
}

// raw returns a parameter as it is written for a service.
func (c *postfixConfig) raw(s *service, name string) string {
	if s != nil {
		if v, ok := s.options[name]; ok {
			return v
		}
	}
	return c.params[name]
}

// get returns a parameter as a service sees it.
func (c *postfixConfig) get(s *service, name string) (string, error) {
	x := expander{value: func(name string) string {
		if s != nil && name == "service_name" {
			return s.name
		}
		return c.raw(s, name)
	}}
	v, err := x.expand(c.raw(s, name), 0)
	if err != nil {
		return "", fmt.Errorf("%s = %s: %w", name, shown(c.raw(s, name)), err)
	}
	return strings.TrimSpace(v), nil
}

// set mends a parameter where it is written: in main.cf, or in the service that
// has one of its own.
func (c *postfixConfig) set(s *service, name, value string) []Fix {
	if s != nil {
		if _, ok := s.options[name]; ok {
			if c.version.less(version{3, 0, 0}) { // no blanks in an option before it had braces
				value = strings.ReplaceAll(value, ", ", ",")
			}
			return run(c.command + " -P " + quote(s.id()+"/"+name+"="+value))
		}
	}
	return []Fix{{File: filepath.Join(c.dir, "main.cf"), Lines: []string{strings.TrimSpace(name + " = " + value)}}}
}

// setOwn mends a parameter for a service alone.
func (c *postfixConfig) setOwn(s *service, name, value string) []Fix {
	own := service{name: s.name, kind: s.kind, options: map[string]string{name: ""}}
	return c.set(&own, name, value)
}

// submission reports whether users submit mail by the service.
func (s *service) submission() bool {
	return isSubmissionPort(s.name[strings.LastIndexByte(s.name, ':')+1:])
}

// chrooted reports whether a service runs chrooted in the queue directory. Where
// master.cf leaves it open, Postfix before 3.0, and a later one whose
// compatibility_level is below 1, takes it for a yes.
func (c *postfixConfig) chrooted(s *service) bool {
	switch s.chroot {
	case "y":
		return true
	case "n":
		return false
	}
	if c.version.less(version{3, 0, 0}) {
		return true
	}
	level, err := c.get(nil, "compatibility_level")
	v, err2 := parseVersion(level)
	return err == nil && err2 == nil && v.less(version{1, 0, 0})
}

// A version is that of a program.
type version [3]int

// parseVersion reads "3.7.11", "3.11-20260101" or "8.17.1.9".
func parseVersion(s string) (version, error) {
	var v version
	rest := s
	for i := range v {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if n == 0 || n > 6 {
			if i == 0 {
				return v, fmt.Errorf("%s is no version", shown(s))
			}
			break
		}
		v[i], _ = strconv.Atoi(rest[:n])
		if rest = rest[n:]; !strings.HasPrefix(rest, ".") {
			break
		}
		rest = rest[1:]
	}
	return v, nil
}

func (v version) less(w version) bool { return slices.Compare(v[:], w[:]) < 0 }

func (v version) String() string {
	if v[2] == 0 {
		return fmt.Sprintf("%d.%d", v[0], v[1])
	}
	return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
}

// A milterEntry is an element of smtpd_milters or non_smtpd_milters.
type milterEntry struct {
	text    string // as it is written, expanded
	address string
	options map[string]string // of an entry in braces
	names   []string          // of the options, in their order
	faults  []string
}

// parseMilters reads such a list. What is wrong with an entry is in its faults.
func parseMilters(value string) ([]milterEntry, error) {
	words, err := splitBraces(value, ", \t\r\n")
	if err != nil {
		return nil, err
	}
	var list []milterEntry
	for _, w := range words {
		e := milterEntry{text: w, address: w, options: make(map[string]string)}
		if strings.HasPrefix(w, "{") {
			inner, ok := strings.CutSuffix(w[1:], "}")
			if !ok {
				return nil, errors.New("text follows a closing brace: " + shown(w))
			}
			parts, err := splitBraces(inner, ", \t\r\n")
			if err != nil {
				return nil, err
			}
			e.address = ""
			if len(parts) > 0 {
				e.address, parts = parts[0], joinEquals(parts[1:])
			}
			for _, p := range parts {
				if strings.HasPrefix(p, "{") {
					p = strings.TrimSuffix(p[1:], "}")
				}
				name, v, ok := strings.Cut(p, "=")
				name, v = strings.TrimSpace(name), strings.TrimSpace(v)
				if !ok || !slices.Contains(milterOptions, name) {
					e.faults = append(e.faults, shown(p)+" is no option of a milter")
					continue
				}
				e.options[name] = v
				e.names = append(e.names, name)
			}
		} else if name, _, ok := strings.Cut(w, "="); ok && slices.Contains(milterOptions, name) {
			e.faults = append(e.faults, shown(w)+" is an option of one milter, which stands in braces with it")
		}
		list = append(list, e)
	}
	return list, nil
}

// joinEquals puts "name = value" back together.
func joinEquals(parts []string) []string {
	var out []string
	for i := 0; i < len(parts); i++ {
		p := parts[i]
		if i+1 < len(parts) && (strings.HasPrefix(parts[i+1], "=") || strings.HasSuffix(p, "=")) {
			i++
			p += parts[i]
			if strings.HasSuffix(p, "=") && i+1 < len(parts) {
				i++
				p += parts[i]
			}
		}
		out = append(out, p)
	}
	return out
}

var milterOptions = []string{"command_timeout", "connect_timeout", "content_timeout", "default_action", "protocol"}

// render writes the entry.
func (e milterEntry) render() string {
	if len(e.names) == 0 {
		return e.address
	}
	text := "{ " + e.address
	for _, n := range e.names {
		text += ", " + n + "=" + e.options[n]
	}
	return text + " }"
}

// parseMilterAddress reads "unix:path" or "inet:host:port". Postfix knows no other.
func parseMilterAddress(s string) (path, host, port string, err error) {
	scheme, rest, _ := strings.Cut(s, ":")
	switch strings.ToLower(scheme) {
	case "unix", "local":
		if rest == "" {
			return "", "", "", errors.New("names no path")
		}
		return rest, "", "", nil
	case "inet":
		i := strings.LastIndexByte(rest, ':')
		if i < 0 {
			return "", "", "", errors.New("is not inet:host:port")
		}
		host, port = strings.Trim(rest[:i], "[]"), rest[i+1:]
		if host == "" {
			host = "localhost"
		}
		if port == "" || strings.Contains(port, "@") {
			return "", "", "", errors.New("is not inet:host:port")
		}
		return "", host, port, nil
	}
	return "", "", "", errors.New("is neither unix:path nor inet:host:port")
}

// parseTime reads a time of Postfix: a number and a unit, s unless one stands
// there (postconf(5)). Its units are s, m, h, d and w.
func parseTime(s string, unit string) (seconds int64, err error) {
	return parseUnits(s, unit, map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400})
}

// parseUnits reads numbers with units, as in 1h30m.
func parseUnits(s string, unit string, units map[byte]int64) (seconds int64, err error) {
	rest := strings.TrimSpace(s)
	if rest == "" {
		return 0, errors.New("no time is given")
	}
	for rest != "" {
		n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if n == 0 || n > 9 {
			return 0, fmt.Errorf("%s is no time", shown(s))
		}
		v, _ := strconv.ParseInt(rest[:n], 10, 64)
		u := unit[0]
		if rest = rest[n:]; rest != "" {
			u, rest = rest[0]|0x20, rest[1:]
		}
		f, ok := units[u]
		if !ok {
			return 0, fmt.Errorf("%s is no time", shown(s))
		}
		seconds += v * f
		if seconds > 1<<40 {
			return 0, fmt.Errorf("%s is no time", shown(s))
		}
	}
	return seconds, nil
}
