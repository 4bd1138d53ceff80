package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A query is what a PromQL expression asks for, as far as tests look at it.
type query struct {
	metrics   []selector
	by        []string // all labels of by clauses
	variables []string // of Grafana
}

// A selector is a metric, with the conditions on its labels.
type selector struct {
	name     string
	matchers []matcher
	ranged   bool
	function string // that it is the argument of
}

type matcher struct{ label, op, value string }

var (
	tokens = regexp.MustCompile(`^(?:[a-zA-Z_:][\w:]*|\d+(?:\.\d+)?(?:e-?\d+)?|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[<>!=]=|=~|!~|[-+*/%^<>={}(),])`)
	// functions take what is before them in brackets; those of counters need a range.
	functions  = map[string]bool{"rate": true, "increase": true, "changes": false, "histogram_quantile": false, "time": false}
	aggregates = []string{"sum", "min", "max", "avg", "count"}
	keywords   = []string{"or", "and", "unless", "on", "ignoring", "bool"}
	variable   = regexp.MustCompile(`\$\{?(\w+)`)
)

// parseQuery reads an expression.
func parseQuery(expr string) (q query, err error) {
	var list []string
	for rest := strings.TrimSpace(expr); rest != ""; rest = strings.TrimSpace(rest) {
		x := tokens.FindString(rest)
		if x == "" {
			return q, fmt.Errorf("what is %q", rest[:1])
		}
		list, rest = append(list, x), rest[len(x):]
	}
	for _, v := range variable.FindAllStringSubmatch(expr, -1) {
		q.variables = append(q.variables, v[1])
	}
	at := func(i int) string {
		if i < len(list) {
			return list[i]
		}
		return ""
	}
	var open []string // the functions whose brackets are open
	for i := 0; i < len(list); i++ {
		x := list[i]
		switch {
		case x == "(":
			open = append(open, "")
		case x == ")":
			if len(open) == 0 {
				return q, errors.New("brackets do not match")
			}
			open = open[:len(open)-1]
		case x == "by":
			if at(i+1) != "(" {
				return q, errors.New("no labels after by")
			}
			for i += 2; at(i) != ")"; i++ {
				if at(i) == "" {
					return q, errors.New("brackets do not match")
				}
				if at(i) != "," {
					q.by = append(q.by, at(i))
				}
			}
		case slices.Contains(aggregates, x):
			if at(i+1) == "(" {
				i++
				open = append(open, x)
			}
		case slices.Contains(keywords, x):
		case x[0] == '_' || x[0] >= 'a' && x[0] <= 'z':
			if at(i+1) == "(" {
				if _, ok := functions[x]; !ok {
					return q, fmt.Errorf("no function %s", x)
				}
				i++
				open = append(open, x)
				continue
			}
			s := selector{name: x}
			if len(open) > 0 {
				s.function = open[len(open)-1]
			}
			if at(i+1) == "{" {
				for i += 2; at(i) != "}"; i++ {
					if at(i) == "," {
						continue
					}
					m := matcher{at(i), at(i + 1), at(i + 2)}
					if !strings.HasPrefix(m.value, `"`) || !slices.Contains([]string{"=", "!=", "=~", "!~"}, m.op) {
						return q, fmt.Errorf("no matcher: %v", m)
					}
					m.value = strings.Trim(m.value, `"`)
					s.matchers = append(s.matchers, m)
					i += 2
				}
			}
			if strings.HasPrefix(at(i+1), "[") {
				s.ranged = true
				i++
			}
			q.metrics = append(q.metrics, s)
		}
	}
	if len(open) > 0 {
		return q, errors.New("brackets do not match")
	}
	return q, nil
}

// baseName returns the name under which a metric is registered.
func baseName(all map[string]*known, name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && all[base] != nil && all[base].kind == "HISTOGRAM" {
			return base
		}
	}
	return name
}

// check returns what a query asks for that there is not.
func (q query) check(all map[string]*known) error {
	var errs []error
	labels := make(map[string]bool)
	for _, l := range ofTarget {
		labels[l] = true
	}
	for _, s := range q.metrics {
		base := baseName(all, s.name)
		k := all[base]
		if k == nil {
			errs = append(errs, fmt.Errorf("no metric %s", s.name))
			continue
		}
		if k.kind == "HISTOGRAM" && base == s.name {
			errs = append(errs, fmt.Errorf("%s is a histogram", s.name))
		}
		if strings.HasSuffix(s.name, "_bucket") && base != s.name {
			labels["le"] = true
		}
		counts := functions[s.function]
		if counts && !s.ranged {
			errs = append(errs, fmt.Errorf("%s of %s without a range", s.function, s.name))
		}
		if counts && k.kind == "GAUGE" {
			errs = append(errs, fmt.Errorf("%s is no counter", s.name))
		}
		for l := range k.labels {
			labels[l] = true
		}
		for _, m := range s.matchers {
			values, ok := k.labels[m.label]
			switch {
			case slices.Contains(ofTarget, m.label), ok && strings.HasPrefix(m.value, "$"):
			case !ok:
				errs = append(errs, fmt.Errorf("%s has no label %s", s.name, m.label))
			default:
				for v := range strings.SplitSeq(m.value, "|") {
					if !values[v] {
						errs = append(errs, fmt.Errorf("%s has no %s %q", s.name, m.label, v))
					}
				}
			}
		}
	}
	if len(q.metrics) == 0 {
		errs = append(errs, errors.New("no metric"))
	}
	for _, l := range q.by {
		if !labels[l] {
			errs = append(errs, fmt.Errorf("no metric has the label %s", l))
		}
	}
	return errors.Join(errs...)
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
