package cases

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Case is one conversation and what is expected of it.
type Case struct {
	Name    string
	Place   string // file and line
	Setup   string
	Only    []string // MTAs, or "real"; nil means all
	Shows   []string // ids of docs/mta-differences.md
	Excuses []Excuse
	Filters []Plan
	Steps   []Step
	Wants   []Want
	text    string // its lines
}

// String returns where the case stands and its name.
func (c *Case) String() string { return c.Place + ": " + c.Name }

// An Excuse names what a profile may get wrong in a case.
type Excuse struct{ ID, Key string }

// A Step is one action of the client.
type Step struct {
	Verb string // in capitals: the first word of an SMTP command
	Args []string
	Line string // the command
}

// A Want is one expected line of an outcome.
type Want struct {
	MTA        string // sendmail, postfix or "" for both
	Key, Value string
}

// Load reads the case files that match a pattern.
func Load(pattern string) ([]*Case, error) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("cases: no files %s: %w", pattern, err)
	}
	var out []*Case
	names := make(map[string]string)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		list, err := Parse(filepath.Base(f), text)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if other := names[c.Name]; other != "" {
				return nil, fmt.Errorf("%s: case %q is at %s, too", c.Place, c.Name, other)
			}
			names[c.Name] = c.Place
		}
		out = append(out, list...)
	}
	return out, nil
}

// Parse reads one case file.
func Parse(name string, text []byte) ([]*Case, error) {
	var out []*Case
	var c *Case
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line := strings.TrimSpace(string(line))
		place := fmt.Sprintf("%s:%d", name, n)
		if title, ok := strings.CutPrefix(line, "=== "); ok {
			c = &Case{Name: strings.TrimSpace(title), Place: place, Filters: make([]Plan, 1)}
			out = append(out, c)
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if c == nil {
			return nil, fmt.Errorf("%s: %q stands before the first case", place, line)
		}
		if err := c.line(line); err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
	}
	for _, c := range out {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", c.Place, c.Name, err)
		}
	}
	return out, nil
}

func (c *Case) line(line string) error {
	c.text += line + "\n"
	first, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch first {
	case "want", "sendmail", "postfix":
		key, value, ok := strings.Cut(rest, ":")
		if !ok {
			return fmt.Errorf("%q has no key and colon", line)
		}
		w := Want{MTA: first, Key: strings.TrimSpace(key), Value: strings.TrimSpace(value)}
		if first == "want" {
			w.MTA = ""
		}
		c.Wants = append(c.Wants, w)
		return nil
	}
	words, err := split(rest)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return fmt.Errorf("%q says too little", line)
	}
	switch first {
	case "setup":
		c.Setup = strings.Join(words, " ")
	case "only":
		c.Only = append(c.Only, words...)
	case "shows":
		c.Shows = append(c.Shows, words...)
	case "excuse":
		c.Excuses = append(c.Excuses, Excuse{words[0], strings.Join(words[1:], " ")})
	case "filter":
		return c.Filters[0].line(words)
	case "filter2":
		if len(c.Filters) < 2 {
			c.Filters = append(c.Filters, Plan{})
		}
		return c.Filters[1].line(words)
	case "client":
		s := Step{Verb: words[0], Args: words[1:], Line: rest}
		if strings.ToLower(s.Verb) == s.Verb && !slices.Contains(clientWords, s.Verb) {
			return fmt.Errorf("the client cannot %q", s.Verb)
		}
		if s.Verb == "letter" || s.Verb == "local" {
			if _, err := parseLetter(s.Args); err != nil {
				return err
			}
		}
		c.Steps = append(c.Steps, s)
	default:
		return fmt.Errorf("unknown word %q", first)
	}
	return nil
}

func (c *Case) check() error {
	s, ok := setups[c.Setup]
	switch {
	case !ok:
		return fmt.Errorf("unknown setup %q", c.Setup)
	case len(c.Filters) > s.filters:
		return fmt.Errorf("setup %q has %d filters", c.Setup, s.filters)
	}
	for len(c.Filters) < s.filters {
		c.Filters = append(c.Filters, Plan{})
	}
	return nil
}

// split cuts a line into words; those in quotes are Go strings and may be repeated.
func split(line string) ([]string, error) {
	var out []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return out, nil
		}
		if line[0] != '"' {
			end := strings.IndexAny(line, " \t")
			if end < 0 {
				end = len(line)
			}
			out = append(out, line[:end])
			line = line[end:]
			continue
		}
		word, rest, err := quoted(line)
		if err != nil {
			return nil, err
		}
		for strings.HasPrefix(rest, `+"`) { // parts of one word
			var more string
			if more, rest, err = quoted(rest[1:]); err != nil {
				return nil, err
			}
			word += more
		}
		out, line = append(out, word), rest
	}
}

func quoted(s string) (word, rest string, err error) {
	q, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", fmt.Errorf("bad string at %s", s)
	}
	word, err = strconv.Unquote(q)
	if err != nil {
		return "", "", err
	}
	rest = s[len(q):]
	if strings.HasPrefix(rest, "*") {
		end := strings.IndexFunc(rest[1:], func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest) - 1
		}
		n, err := strconv.Atoi(rest[1 : 1+end])
		if err != nil {
			return "", "", fmt.Errorf("bad repetition at %s", s)
		}
		word, rest = strings.Repeat(word, n), rest[1+end:]
	}
	return word, rest, nil
}

// applies reports whether a case is one for an MTA.
func (c *Case) applies(mta string) bool {
	return !slices.Contains(c.Only, "sendmail") && !slices.Contains(c.Only, "postfix") || slices.Contains(c.Only, mta)
}

// profiled reports whether package mta can play a case.
func (c *Case) profiled() bool { return !slices.Contains(c.Only, "real") }

// excuse returns the key of the excuse for what a profile gets wrong about a key:
// the key itself, or one that it begins with.
func (c *Case) excuse(key string) string {
	for _, e := range c.Excuses {
		if e.Key == key || strings.HasPrefix(key, e.Key+" ") {
			return e.Key
		}
	}
	return ""
}
