package logs

import (
	"fmt"
	"strconv"
	"strings"
)

// A pair is a field as it is read from a line.
type pair struct{ key, value string }

// parseText reads a line as the package's documentation says, with the queue id as
// a pair of its own.
func parseText(s string) ([]pair, error) {
	var out []pair
	if id, rest, ok := strings.Cut(s, ": "); ok && !strings.ContainsAny(id, "= \"") {
		if id == noQueue {
			id = ""
		}
		out = append(out, pair{"queue", id})
		s = rest
	}
	for s != "" {
		var p pair
		var err error
		if p.key, s, err = parseToken(s); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(s, "=") {
			return nil, fmt.Errorf("no = before %q", s)
		}
		if p.value, s, err = parseToken(s[1:]); err != nil {
			return nil, err
		}
		if s != "" && !strings.HasPrefix(s, " ") {
			return nil, fmt.Errorf("no blank before %q", s)
		}
		s = strings.TrimPrefix(s, " ")
		out = append(out, p)
	}
	return out, nil
}

func parseToken(s string) (token, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		q, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", fmt.Errorf("%q: %w", s, err)
		}
		token, err = strconv.Unquote(q)
		return token, s[len(q):], err
	}
	end := strings.IndexAny(s, "= \"")
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return "", "", fmt.Errorf("nothing before %q", s)
	}
	return s[:end], s[end:], nil
}

// parseList reads the value of a list.
func parseList(s string) (list []string, err error) {
	for s != "" {
		var one string
		if strings.HasPrefix(s, `"`) {
			if one, s, err = parseToken(s); err != nil {
				return nil, err
			}
		} else {
			end := strings.IndexByte(s, ',')
			if end < 0 {
				end = len(s)
			}
			one, s = s[:end], s[end:]
		}
		list = append(list, one)
		if s != "" {
			if s[0] != ',' || len(s) == 1 {
				return nil, fmt.Errorf("no further element in %q", s)
			}
			s = s[1:]
		}
	}
	return list, nil
}
