package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	docsPath      = "../../docs/metrics.md"
	dashboardPath = "../../examples/grafana-dashboard.json"
	alertsPath    = "../../examples/prometheus-alerts.yml"
)

// A known is a metric that there is, with the values of its labels.
type known struct {
	kind   string // in capitals
	help   string
	labels map[string]map[string]bool
}

// ofTarget are labels that Prometheus adds.
var ofTarget = []string{"job", "instance"}

func registered(t *testing.T) map[string]*known {
	t.Helper()
	m := newMetrics(Options{Version: "1.0"})
	m.Configure(map[string][]string{"mx": {"attachments"}})
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]*known)
	for _, f := range families {
		k := &known{f.GetType().String(), f.GetHelp(), make(map[string]map[string]bool)}
		out[f.GetName()] = k
		for _, x := range f.GetMetric() {
			for _, l := range x.GetLabel() {
				if k.labels[l.GetName()] == nil {
					k.labels[l.GetName()] = make(map[string]bool)
				}
				k.labels[l.GetName()][l.GetValue()] = true
			}
		}
	}
	return out
}

func TestDocsListAllMetrics(t *testing.T) {
	var b strings.Builder
	b.WriteString("| Metric | Type | Labels | Counts |\n|---|---|---|---|\n")
	all := registered(t)
	for _, name := range sorted(all) {
		if !strings.HasPrefix(name, "gomilter_") {
			continue
		}
		k := all[name]
		var labels []string
		for _, l := range sorted(k.labels) {
			labels = append(labels, "`"+l+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(k.kind), strings.Join(labels, ", "), k.help)
	}
	data, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(data), "-update -->\n")
	_, tail, ok := strings.Cut(rest, "<!-- end -->")
	if !ok {
		t.Fatalf("%s has no place for the metrics", docsPath)
	}
	want := head + "-update -->\n" + b.String() + "<!-- end -->" + tail
	if *update {
		if err := os.WriteFile(docsPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(data) {
		t.Errorf("%s does not list the metrics as they are: run go test ./daemon/metrics -update", docsPath)
	}
	for _, name := range regexp.MustCompile(`gomilter_[a-z_]+`).FindAllString(head+tail, -1) {
		if all[name] == nil {
			t.Errorf("%s names %s, which is no metric", docsPath, name)
		}
	}
}

// unused are metrics that the dashboard shows on purpose in no panel.
var unused = map[string]string{}

func TestDashboardAsksForWhatThereIs(t *testing.T) {
	data, err := os.ReadFile(dashboardPath)
	if err != nil {
		t.Fatal(err)
	}
	var dash struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	if err := json.Unmarshal(data, &dash); err != nil {
		t.Fatal(err)
	}
	all := registered(t)
	used := make(map[string]bool)
	variables := map[string]bool{"__rate_interval": true, "__range": true}
	ask := func(where, expr, legend string) {
		q, err := parseQuery(expr)
		if err == nil {
			err = q.check(all)
		}
		for _, v := range q.variables {
			if !variables[v] {
				err = errors.Join(err, fmt.Errorf("no variable $%s", v))
			}
		}
		for _, l := range regexp.MustCompile(`{{(.*?)}}`).FindAllStringSubmatch(legend, -1) {
			if !slices.Contains(q.by, l[1]) && !(len(q.by) == 0 && slices.Contains(ofTarget, l[1])) {
				err = errors.Join(err, fmt.Errorf("the legend names %s, which the result does not have", l[1]))
			}
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, expr)
		}
		for _, m := range q.metrics {
			used[baseName(all, m.name)] = true
		}
	}
	for _, v := range dash.Templating.List {
		variables[v.Name] = true
		if v.Definition == "" {
			continue
		}
		of, ok := strings.CutPrefix(v.Definition, "label_values(")
		i := strings.LastIndex(of, ", ")
		if !ok || i < 0 {
			t.Errorf("variable %s: %s", v.Name, v.Definition)
			continue
		}
		ask("variable "+v.Name, "sum by ("+strings.TrimSuffix(of[i+2:], ")")+") ("+of[:i]+")", "")
	}
	for _, a := range dash.Annotations.List {
		ask("annotation "+a.Name, a.Expr, "")
	}
	type cell struct{ x, y int }
	at, ids := make(map[cell]string), make(map[int]bool)
	for _, p := range dash.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %s shows nothing", p.Title)
		}
		for _, x := range p.Targets {
			ask("panel "+p.Title, x.Expr, x.LegendFormat)
		}
		if ids[p.ID] {
			t.Errorf("panel %s: id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if before, ok := at[cell{x, y}]; ok || x >= 24 {
					t.Fatalf("panel %s lies on %q, or beyond the edge", p.Title, before)
				}
				at[cell{x, y}] = p.Title
			}
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "gomilter_") && !used[name] && unused[name] == "" {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	data, err := os.ReadFile(alertsPath)
	if err != nil {
		t.Fatal(err)
	}
	all := registered(t)
	all["up"] = &known{kind: "GAUGE"} // Prometheus's own
	n := 0
	for block := range strings.SplitSeq(string(data), "- alert: ") {
		name, rest, _ := strings.Cut(block, "\n")
		_, expr, ok := strings.Cut(rest, "expr: ")
		if !ok {
			continue
		}
		expr, rest, _ = strings.Cut(expr, "\n")
		q, err := parseQuery(expr)
		if err == nil {
			err = q.check(all)
		}
		for _, l := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rest, -1) {
			if len(q.by) > 0 && !slices.Contains(q.by, l[1]) || len(q.by) == 0 && !slices.Contains(ofTarget, l[1]) {
				err = errors.Join(err, fmt.Errorf("the summary names %s, which the result does not have", l[1]))
			}
		}
		if !strings.Contains(rest, "summary: ") || !strings.Contains(rest, "severity: ") {
			err = errors.Join(err, errors.New("no summary or severity"))
		}
		if n++; err != nil {
			t.Errorf("alert %s: %v\n%s", name, err, expr)
		}
	}
	if want := strings.Count(string(data), "alert:"); n != want || n < 10 {
		t.Errorf("%d alerts read, there are %d", n, want)
	}
}

// The queries of the tests above are found wanting where they are.
func TestQueriesAreChecked(t *testing.T) {
	all := registered(t)
	for _, tt := range []struct{ expr, err string }{
		{`sum by (verdict) (rate(gomilter_messages_total{listener=~"$listener"}[5m])) / 2 > 0`, ""},
		{`histogram_quantile(0.95, sum by (le, filter) (rate(gomilter_filter_duration_seconds_bucket[5m])))`, ""},
		{`gomilter_message_total`, "no metric gomilter_message_total"},
		{`gomilter_messages_total_bucket`, "no metric gomilter_messages_total_bucket"},
		{`gomilter_reply_duration_seconds`, "is a histogram"},
		{`gomilter_messages_total{filter="x"}`, "has no label filter"},
		{`gomilter_messages_total{verdict="rejected"}`, `has no verdict "rejected"`},
		{`gomilter_messages_total{verdict=~"reject|no"}`, `has no verdict "no"`},
		{`sum by (filter) (gomilter_messages_total)`, "no metric has the label filter"},
		{`sum by (le) (gomilter_messages_total)`, "no metric has the label le"},
		{`rates(gomilter_messages_total[5m])`, "no function rates"},
		{`rate(gomilter_messages_total)`, "without a range"},
		{`sum(gomilter_messages_total`, "brackets"},
		{`gomilter_messages_total{verdict=reject}`, "matcher"},
		{`gomilter_messages_total # x`, `"#"`},
		{`rate(gomilter_connections[5m])`, "is no counter"},
	} {
		q, err := parseQuery(tt.expr)
		if err == nil {
			err = q.check(all)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %v, want %q", tt.expr, err, tt.err)
		}
	}
}
