package headers

import (
	"fmt"
	"strconv"
	"strings"
)

// A template is text with placeholders in it.
type template []piece

// A piece is a text, or a placeholder where there is none.
type piece struct {
	text string
	what placeholder
}

// A placeholder is the number of a group of a regular expression, or one of these.
type placeholder int

const (
	wholeValue placeholder = -1 - iota
	fieldName
	envelopeFrom
)

// template reads a template of the rule.
func (c *rule) template(s string) (template, error) {
	var t template
	for s != "" {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			return append(t, piece{text: s}), nil
		}
		if i > 0 {
			t = append(t, piece{text: s[:i]})
		}
		if s = s[i+1:]; strings.HasPrefix(s, "{") {
			t = append(t, piece{text: "{"})
			s = s[1:]
			continue
		}
		name, rest, ok := strings.Cut(s, "}")
		if !ok {
			return nil, fmt.Errorf("{%s is not closed; a brace is written {{", s)
		}
		what, err := c.placeholder(name)
		if err != nil {
			return nil, err
		}
		t = append(t, piece{what: what})
		s = rest
	}
	return t, nil
}

func (c *rule) placeholder(name string) (placeholder, error) {
	switch name {
	case "from":
		return envelopeFrom, nil
	case "value", "field":
		if c.none || name == "field" && c.Part == Recipient {
			return 0, fmt.Errorf("there is no {%s} where no field was found", name)
		}
		if name == "field" {
			return fieldName, nil
		}
		if c.Not && (c.Part == Address || c.Part == DisplayName || c.Part == Charset) {
			return 0, fmt.Errorf("there is no {value} with not, of which there may be several")
		}
		return wholeValue, nil
	}
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("{%s} stands for nothing; a brace is written {{", name)
	}
	if c.Match != Regexp || c.Not || c.none {
		return 0, fmt.Errorf("{%s} is for match %v without not and none", name, Regexp)
	}
	for _, re := range c.regexps {
		if n > re.NumSubexp() {
			return 0, fmt.Errorf("there is no group {%s} in %s", name, re)
		}
	}
	return placeholder(n), nil
}

// quotes reports whether something of the message gets into the text.
func (t template) quotes() bool {
	for _, p := range t {
		if p.text == "" && p.what != envelopeFrom {
			return true
		}
	}
	return false
}

// expand puts values in the places of the placeholders.
func (t template) expand(value func(placeholder) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.text != "" {
			b.WriteString(p.text)
		} else {
			b.WriteString(value(p.what))
		}
	}
	return b.String()
}
