package doctor

import (
	"errors"
	"fmt"
	"strings"
)

// Limits to the expansion of a parameter of Postfix.
const (
	maxExpandDepth = 32
	maxExpandSteps = 10_000
	maxExpandBytes = 1 << 20
)

var (
	errLoop        = errors.New("parameters refer to each other in a loop")
	errConditional = errors.New("a conditional of the form ${{a} == {b} ? …} is not read here")
	errUnbalanced  = errors.New("a brace is not closed")
	errTooLarge    = errors.New("it grows beyond all measure")
)

// An expander replaces $name, ${name}, $(name), ${name?text} and ${name:text} as
// Postfix does (postconf(5), "Parameter expansion").
type expander struct {
	value func(name string) string // of a parameter as it is written, empty when there is none
	steps int
}

func (x *expander) expand(text string, depth int) (string, error) {
	if x.steps++; x.steps > maxExpandSteps {
		return "", errTooLarge
	}
	if depth > maxExpandDepth {
		return "", errLoop
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i == len(text)-1 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:i])
		text = text[i+1:]
		var value string
		var err error
		switch c := text[0]; {
		case c == '$':
			value, text = "$", text[1:]
		case c == '{' || c == '(':
			end := closing(text)
			if end < 0 {
				return "", errUnbalanced
			}
			value, err = x.reference(text[1:end], depth)
			text = text[end+1:]
		default:
			n := nameLen(text)
			if n == 0 {
				value = "$"
				break
			}
			value, err = x.expand(x.value(text[:n]), depth+1)
			text = text[n:]
		}
		if err != nil {
			return "", err
		}
		if b.WriteString(value); b.Len() > maxExpandBytes {
			return "", errTooLarge
		}
	}
	if b.Len() > maxExpandBytes {
		return "", errTooLarge
	}
	return b.String(), nil
}

// reference expands what stands between the braces.
func (x *expander) reference(text string, depth int) (string, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return "", errConditional
	}
	n := nameLen(text)
	name, rest := text[:n], text[n:]
	if n == 0 {
		return "", fmt.Errorf("%s is no name of a parameter", shown(text))
	}
	value := x.value(name)
	if rest == "" {
		return x.expand(value, depth+1)
	}
	kind, rest := rest[0], strings.TrimSpace(rest[1:])
	if kind != '?' && kind != ':' {
		return "", fmt.Errorf("%s is no reference to a parameter", shown(text))
	}
	yes, no := rest, ""
	if kind == ':' {
		yes, no = "", rest
	}
	if kind == '?' && strings.HasPrefix(rest, "{") { // ${name?{yes}:{no}}
		end := closing(rest)
		if end < 0 {
			return "", errUnbalanced
		}
		yes, no = rest[1:end], strings.TrimPrefix(strings.TrimSpace(rest[end+1:]), ":")
		no = strings.TrimSpace(no)
	}
	if strings.HasPrefix(no, "{") && closing(no) == len(no)-1 {
		no = no[1 : len(no)-1]
	}
	if value == "" {
		return x.expand(no, depth+1)
	}
	return x.expand(yes, depth+1)
}

// closing returns where the brace or parenthesis is closed that a text begins
// with, or -1.
func closing(text string) int {
	open, shut := text[0], byte('}')
	if open == '(' {
		shut = ')'
	}
	level := 0
	for i := range len(text) {
		switch text[i] {
		case open:
			level++
		case shut:
			if level--; level == 0 {
				return i
			}
		}
	}
	return -1
}

func nameLen(s string) int {
	for i := range len(s) {
		if c := s[i]; c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return i
		}
	}
	return len(s)
}
