package cases

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/internal/peertest"
)

// An Outcome is what came of a case, line by line.
type Outcome []line

// A line is one fact of an outcome. Several may have the same key.
type line struct{ key, value string }

// String returns the lines as a case file has them.
func (o Outcome) String() string {
	var b strings.Builder
	for _, l := range o {
		fmt.Fprintf(&b, "%s: %s\n", l.key, l.value)
	}
	return b.String()
}

// values returns the values of a key in their order.
func (o Outcome) values(key string) []string {
	var out []string
	for _, l := range o {
		if l.key == key {
			out = append(out, l.value)
		}
	}
	return out
}

// Check compares an outcome with what a case expects of an MTA, and returns a
// line for each difference. A profile is excused where the case says so.
func (c *Case) Check(mta string, o Outcome, profile bool) []string {
	want := make(map[string][]string)
	var keys []string
	for _, w := range c.Wants {
		if w.MTA != "" && w.MTA != mta {
			// A key that is given for one MTA has its default for the other.
			continue
		}
		if _, ok := want[w.Key]; !ok {
			keys = append(keys, w.Key)
		}
		want[w.Key] = append(want[w.Key], w.Value)
	}
	for _, key := range []string{"refused", "fault", "error", "held", "deferred"} {
		if want[key] == nil {
			want[key] = []string{}
			keys = append(keys, key)
		}
	}
	if want["delivered"] == nil {
		want["delivered"] = o.values("taken")
		keys = append(keys, "delivered")
	}
	var out []string
	for _, key := range keys {
		got, want := o.values(key), want[key]
		if len(want) == 1 && want[0] == "(none)" {
			want = nil
		}
		if profile && c.excuse(key) != "" {
			continue
		}
		if !slices.Equal(got, want) {
			out = append(out, fmt.Sprintf("%s:\n\t\tgot  %s\n\t\twant %s", key, strings.Join(got, "\n\t\t     "), strings.Join(want, "\n\t\t     ")))
		}
	}
	return out
}

// Diff returns what two outcomes of a case differ in, and the keys of excuses for
// what is not among that.
func (c *Case) Diff(real, profile Outcome) (diffs, excused []string) {
	var keys []string
	for _, l := range append(slices.Clone(real), profile...) {
		if !slices.Contains(keys, l.key) {
			keys = append(keys, l.key)
		}
	}
	for _, key := range keys {
		r, p := real.values(key), profile.values(key)
		if slices.Equal(r, p) {
			continue
		}
		if e := c.excuse(key); e != "" {
			excused = append(excused, e)
			continue
		}
		diffs = append(diffs, fmt.Sprintf("%s:\n\t\treal    %s\n\t\tprofile %s", key, strings.Join(r, "\n\t\t        "), strings.Join(p, "\n\t\t        ")))
	}
	return diffs, excused
}

// A delivery is a message as it left the MTA, or as it is held.
type delivery struct {
	from   string
	to     []string
	mail   *peertest.Mail
	reason string // it is held for; "" when it is not
}

func (d delivery) lines(prefix, host string) []line {
	out := []line{
		{prefix + "from", d.from},
		{prefix + "to", strings.Join(slices.Sorted(slices.Values(d.to)), ", ")},
	}
	header := d.mail.Header()
	out = append(out, line{prefix + "fields", strings.Join(header.Names(), " ")})
	for _, f := range header {
		value := content([]byte(f.Value))
		if strings.EqualFold(f.Name, "Received") && strings.Contains(f.Value, "by "+host) {
			value = "(own)"
		}
		out = append(out, line{prefix + "field " + f.Name, value})
	}
	return append(out, line{prefix + "body", content(d.mail.Body())})
}

// A normalizer takes out of values what is different each time.
type normalizer struct{ replace []string }

var (
	datePattern = regexp.MustCompile(`[A-Z][a-z]{2}, +\d+ [A-Z][a-z]{2} 20[2-9]\d \d\d:\d\d:\d\d (?:[-+]\d{4}(?: \([A-Z]+\))?|GMT)`)
	madeUpID    = regexp.MustCompile(`<\d{12,14}\.(?:<id>|[0-9A-Za-z]+)@<host>>`)
	hangPattern = regexp.MustCompile(`(no answer within )[\d.]+m?s`)
	portPattern = regexp.MustCompile(`(\[127\.0\.0\.1\]:)\d+`)
)

func (n *normalizer) add(old, new string) {
	if old != "" {
		n.replace = append(n.replace, old, new)
	}
}

func (n *normalizer) normalize(o Outcome) Outcome {
	r := strings.NewReplacer(n.replace...)
	for i, l := range o {
		v := r.Replace(l.value)
		v = datePattern.ReplaceAllString(v, "<date>")
		v = madeUpID.ReplaceAllString(v, "<made-up>")
		v = hangPattern.ReplaceAllString(v, "${1}<time>")
		v = portPattern.ReplaceAllString(v, "${1}<port>")
		if strings.HasSuffix(l.key, " {client_port}") && v != "0" || strings.HasSuffix(l.key, " {daemon_port}") {
			v = "<port>"
		}
		if strings.HasSuffix(l.key, " {client_connections}") && v != "0" {
			v = "<n>" // those that have just ended may count
		}
		o[i].value = v
	}
	return o
}
