package metrics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/quarantine"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newMetrics(o Options) *Metrics {
	o.Now = func() time.Time { return noon }
	return New(o)
}

// series returns the values of our metrics, by name and labels. Buckets of
// histograms are left out.
func series(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "gomilter_") {
			continue
		}
		for _, x := range f.GetMetric() {
			var labels []string
			for _, l := range x.GetLabel() {
				if l.GetName() != "goversion" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			key := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			if h := x.GetHistogram(); h != nil {
				out[key+" count"], out[key+" sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
				continue
			}
			out[key] = x.GetCounter().GetValue() + x.GetGauge().GetValue()
		}
	}
	return out
}

// changes returns the series of b whose value is another than in a, and those that
// only one of them has.
func changes(a, b map[string]float64) []string {
	var out []string
	for k, v := range b {
		if old, ok := a[k]; !ok {
			out = append(out, fmt.Sprintf("+%s %v", k, v))
		} else if old != v {
			out = append(out, fmt.Sprintf("%s %v", k, v-old))
		}
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			out = append(out, "-"+k)
		}
	}
	slices.Sort(out)
	return out
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// What there is before anything happened: all of it, and at zero.
func TestAllSeriesAreThereAtZero(t *testing.T) {
	m := newMetrics(Options{Version: "1.0"})
	m.Configure(map[string][]string{"mx": {"attachments", "headers"}})
	var b strings.Builder
	all := series(t, m)
	var keys []string
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s %v\n", k, all[k])
	}
	path := filepath.Join("testdata", "zero.want")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for k, v := range all {
		switch strings.TrimRight(k, "{}") {
		case "gomilter_build_info{version=1.0", "gomilter_config_generation", "gomilter_config_last_reload_successful", "gomilter_config_last_success_timestamp_seconds", "gomilter_ready":
		default:
			if v != 0 {
				t.Errorf("%s is %v", k, v)
			}
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	m := newMetrics(Options{})
	m.Configure(map[string][]string{"mx": {"attachments"}})
	families, err := m.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "gomilter_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestEventsOfServers(t *testing.T) {
	m := newMetrics(Options{})
	m.Configure(map[string][]string{"mx": nil, "submission": nil})
	before := series(t, m)
	l := m.Listener("mx")
	l.Connection(+1)
	l.Connection(+1)
	l.Connection(-1)
	l.Verdict(milter.StageEnd, "accept", 2*time.Second)
	l.Verdict(milter.StageRcpt, "tempfail", 0)
	l.Fault(milter.StageHeader, milter.FaultPanic)
	l.Limit(milter.LimitRcpts)
	m.Listener("submission").Verdict(milter.StageAbort, "abort", 0)
	want(t, "events", changes(before, series(t, m)),
		"gomilter_connections{listener=mx} 1",
		"gomilter_connections_total{listener=mx} 2",
		"gomilter_replies_total{listener=mx,stage=end,verdict=accept} 1",
		"gomilter_replies_total{listener=mx,stage=rcpt,verdict=tempfail} 1",
		"gomilter_reply_duration_seconds{listener=mx} count 1",
		"gomilter_reply_duration_seconds{listener=mx} sum 2",
		"gomilter_faults_total{kind=panic,listener=mx,stage=header} 1",
		"gomilter_limits_total{limit=recipients,listener=mx} 1",
		"gomilter_replies_total{listener=submission,stage=abort,verdict=abort} 1")
}

// explained returns the explanation of a message.
func explained() *filter.Explanation {
	held := "held"
	return &filter.Explanation{
		Verdict: "accept", Stage: "end", Class: filter.Internal, Quarantine: &held, Kept: "ref", Size: 5000, MS: 1500,
		Recipients: []filter.Recipient{{Address: "a"}, {Address: "b", Reply: &filter.Reply{Code: 550}}, {Address: "c", Reply: &filter.Reply{Code: 450}}},
		Edits:      []edit.Edit{{Action: edit.AddHeader}, {Action: edit.AddHeader}, {Action: edit.ReplaceBody}},
		Filters: []filter.Outcome{
			{Name: "headers", Stage: "rcpt", Decision: "reject", MS: 3},
			{Name: "headers", Stage: "end", Decision: "reject", Report: true, MS: 4},
			{Name: "attachments", Stage: "end", Decision: "quarantine", MS: 500},
			{Name: "chain", Stage: "mail", Decision: "continue"},
		},
	}
}

func TestMessages(t *testing.T) {
	m := newMetrics(Options{})
	m.Configure(map[string][]string{"mx": {"headers", "attachments"}})
	before := series(t, m)
	m.Observe("mx", explained())
	want(t, "a message", changes(before, series(t, m)),
		"gomilter_messages_total{class=internal,listener=mx,verdict=accept} 1",
		"gomilter_messages_quarantined_total{listener=mx} 1",
		"gomilter_messages_kept_total{listener=mx} 1",
		"gomilter_message_duration_seconds{listener=mx} count 1",
		"gomilter_message_duration_seconds{listener=mx} sum 1.5",
		"gomilter_message_size_bytes{listener=mx} count 1",
		"gomilter_message_size_bytes{listener=mx} sum 5000",
		"gomilter_recipients_total{listener=mx,verdict=accept} 1",
		"gomilter_recipients_total{listener=mx,verdict=reject} 1",
		"gomilter_recipients_total{listener=mx,verdict=tempfail} 1",
		"gomilter_edits_total{action=addheader,listener=mx} 2",
		"gomilter_edits_total{action=replbody,listener=mx} 1",
		"gomilter_filter_decisions_total{decision=reject,filter=headers,listener=mx,mode=on} 1",
		"gomilter_filter_decisions_total{decision=reject,filter=headers,listener=mx,mode=report} 1",
		"gomilter_filter_decisions_total{decision=quarantine,filter=attachments,listener=mx,mode=on} 1",
		"gomilter_filter_duration_seconds{filter=headers,listener=mx} count 1",
		"gomilter_filter_duration_seconds{filter=headers,listener=mx} sum 0.004",
		"gomilter_filter_duration_seconds{filter=attachments,listener=mx} count 1",
		"gomilter_filter_duration_seconds{filter=attachments,listener=mx} sum 0.5")
}

// Without a configuration, as in a program of one's own, names are learnt.
func TestNamesAreLearnt(t *testing.T) {
	m := newMetrics(Options{})
	m.Observe("mine", explained())
	got := series(t, m)
	for _, k := range []string{
		"gomilter_messages_total{class=internal,listener=mine,verdict=accept}",
		"gomilter_filter_decisions_total{decision=quarantine,filter=attachments,listener=mine,mode=on}",
	} {
		if got[k] != 1 {
			t.Errorf("%s = %v, want 1", k, got[k])
		}
	}
	if v, ok := got["gomilter_faults_total{kind=hang,listener=mine,stage=end}"]; !ok || v != 0 {
		t.Errorf("other series of the listener are not there at zero")
	}
}

func TestReload(t *testing.T) {
	m := newMetrics(Options{})
	m.Configure(map[string][]string{"mx": {"headers", "attachments"}, "old": {"headers"}})
	old := m.Listener("old")
	old.Connection(+1)
	before := series(t, m)

	m.ReloadFailed()
	want(t, "a failed reload", changes(before, series(t, m)), "gomilter_config_last_reload_successful{} -1", "gomilter_config_reloads_total{result=failure} 1")

	// What is gone still counts for the conversations that go on.
	m.Configure(map[string][]string{"mx": {"headers", "html"}, "new": nil})
	m.Observe("mx", explained())
	m.Observe("old", explained())
	got := series(t, m)
	for k, v := range map[string]float64{
		"gomilter_config_generation{}":                                                                2,
		"gomilter_config_last_reload_successful{}":                                                    1,
		"gomilter_config_last_success_timestamp_seconds{}":                                            float64(noon.Unix()),
		"gomilter_config_reloads_total{result=success}":                                               1,
		"gomilter_connections{listener=old}":                                                          1,
		"gomilter_connections{listener=new}":                                                          0,
		"gomilter_messages_total{class=internal,listener=old,verdict=accept}":                         1,
		"gomilter_filter_decisions_total{decision=quarantine,filter=attachments,listener=mx,mode=on}": 1,
		"gomilter_filter_decisions_total{decision=accept,filter=html,listener=mx,mode=on}":            0,
	} {
		if x, ok := got[k]; !ok || x != v {
			t.Errorf("%s = %v, %v; want %v", k, x, ok, v)
		}
	}

	// The next time it is removed, and late events do not bring it back.
	m.Configure(map[string][]string{"mx": {"headers", "html"}, "new": nil})
	old.Connection(-1)
	old.Verdict(milter.StageEnd, "accept", 0)
	m.Observe("mx", explained())
	for k := range series(t, m) {
		if strings.Contains(k, "listener=old") || strings.Contains(k, "filter=attachments") {
			t.Errorf("%s is still there", k)
		}
	}
	m.Configure(map[string][]string{"mx": {"headers", "attachments"}, "old": nil})
	if got := series(t, m); got["gomilter_connections{listener=old}"] != 0 || got["gomilter_filter_decisions_total{decision=quarantine,filter=attachments,listener=mx,mode=on}"] != 0 {
		t.Error("names that come back do not begin at zero")
	}
	m.Configure(map[string][]string{"mx": {"headers"}, "old": nil})
	m.Configure(map[string][]string{"mx": {"headers", "attachments"}, "old": nil})
	m.Configure(map[string][]string{"mx": {"headers", "attachments"}, "old": nil})
	if _, ok := series(t, m)["gomilter_filter_duration_seconds{filter=attachments,listener=mx} count"]; !ok {
		t.Error("a filter that came back was removed")
	}
}

func TestSeriesStayBounded(t *testing.T) {
	m := newMetrics(Options{})
	for i := range 50 {
		m.Configure(map[string][]string{fmt.Sprint("listener", i): {fmt.Sprint("filter", i)}, "mx": {fmt.Sprint("filter", i)}})
	}
	one := newMetrics(Options{})
	one.Configure(map[string][]string{"listener": {"filter"}, "mx": {"filter"}})
	if n, most := len(series(t, m)), 2*len(series(t, one)); n > most {
		t.Errorf("%d series after 50 reloads, at most %d wanted", n, most)
	}
}

// Real traffic meets no label that was not there.
func TestTrafficAddsNoSeries(t *testing.T) {
	m := newMetrics(Options{})
	m.Configure(map[string][]string{"mx": {"tell"}})
	refusal := milter.Reject(550, "5.7.1", "no")
	chain := &filter.Chain{
		Explain: func(e *filter.Explanation) { m.Observe("mx", e) },
		Steps: []filter.Step{{Filter: &filter.Filter{
			Name: "tell", Needs: filter.Needs{Header: true, Body: true, Actions: milter.AllEdits},
			Rcpt: func(_ context.Context, _ *filter.Transaction, p filter.Path) (milter.RcptReply, error) {
				if p.Local == "bad" {
					return refusal, nil
				}
				return milter.Continue, nil
			},
			Message: func(_ context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
				switch t.From().Local {
				case "reject":
					return refusal, nil
				case "discard":
					return milter.Discard, nil
				case "fail":
					return nil, io.ErrUnexpectedEOF
				case "panic":
					panic("no")
				case "hold":
					return milter.Accept, e.Quarantine("x")
				case "edit":
					return milter.Accept, errors.Join(e.AddHeader("X-A", "b"), e.DeleteRcpt("<a@example.com>"), e.AddRcpt("<c@example.com>"), e.ReplaceBody(strings.NewReader("new\r\n")))
				}
				return milter.Continue, nil
			},
		}}},
	}
	before := series(t, m)
	c := miltertest.New(t, &milter.Server{New: chain.Hooks, Metrics: m.Listener("mx")})
	for _, from := range []string{"ok", "reject", "discard", "fail", "panic", "hold", "edit"} {
		c.Send(t, miltertest.Mail{From: from + "@example.net", Rcpts: []string{"a@example.com", "bad@example.com"}, Text: "Subject: x\r\n\r\nhello\r\n"})
	}
	c.Send(t, miltertest.Mail{From: "a@example.net", Rcpts: []string{"bad@example.com"}, Text: "\r\n"})
	s := c.Connect(t)
	s.Mail("<a@example.net>")
	s.Reset()
	s.Quit()
	got := series(t, m)
	for _, x := range changes(before, got) {
		if strings.HasPrefix(x, "+") {
			t.Errorf("new series %s", x)
		}
	}
	sum := 0.0
	for k, v := range got {
		if strings.HasPrefix(k, "gomilter_messages_total{") {
			sum += v
		}
	}
	if sum != 9 || got["gomilter_messages_total{class=external,listener=mx,verdict=reject}"] != 2 || got["gomilter_filter_decisions_total{decision=failed,filter=tell,listener=mx,mode=on}"] != 2 {
		t.Errorf("%v messages in\n%v", sum, changes(before, got))
	}
}

func TestValuesOfOthers(t *testing.T) {
	m := newMetrics(Options{
		Abandoned: func() int64 { return 3 },
		Repeated:  func() int64 { panic("no") },
		Kept:      func() quarantine.Usage { return quarantine.Usage{Bytes: 10, MaxBytes: 100, Entries: 2, MaxEntries: 20} },
		LogLost:   func() uint64 { return 7 },

		DNS: func() dns.CacheStats {
			return dns.CacheStats{Hits: 11, Misses: 12, Asked: 13, Errors: 14, Dropped: 15, Entries: 16}
		},
		LogWaiting: func() int { return 5 },
		Ready:      []func(context.Context) error{func(context.Context) error { return errors.New("no") }},
	})
	got := series(t, m)
	for k, v := range map[string]float64{"gomilter_abandoned_hooks{}": 3, "gomilter_kept_bytes{}": 10, "gomilter_kept_limit_bytes{}": 100, "gomilter_kept_messages{}": 2,
		"gomilter_kept_limit_messages{}": 20, "gomilter_log_lines_lost_total{}": 7, "gomilter_dns_hits_total{}": 11, "gomilter_dns_misses_total{}": 12,
		"gomilter_dns_queries_total{}": 13, "gomilter_dns_errors_total{}": 14, "gomilter_dns_dropped_total{}": 15, "gomilter_dns_entries{}": 16, "gomilter_log_lines_waiting{}": 5, "gomilter_ready{}": 0} {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
	if v := got["gomilter_repeated_failures_total{}"]; v == v {
		t.Errorf("a value that panics is %v", v)
	}
}

func TestHTTP(t *testing.T) {
	var state error
	m := newMetrics(Options{Ready: []func(context.Context) error{
		func(context.Context) error { return state },
		func(context.Context) error { return nil },
		func(context.Context) error {
			if state != nil {
				panic("broken")
			}
			return nil
		},
	}})
	m.Configure(map[string][]string{"mx": nil})
	h := m.Handler()
	for _, tt := range []struct {
		name, method, path string
		state              error
		code               int
		body               string
	}{
		{"alive", "GET", "/healthz", errors.New("no"), 200, "ok\n"},
		{"ready", "GET", "/readyz", nil, 200, "ready\n"},
		{"not ready, and why", "GET", "/readyz", errors.New("disk is full\nready"), 503, "disk is full ready\na check of readiness panicked: broken\n"},
		{"head", "HEAD", "/readyz", nil, 200, ""},
		{"metrics", "GET", "/metrics", nil, 200, ""},
		{"another method", "POST", "/metrics", nil, 405, ""},
		{"another method on health", "DELETE", "/healthz", nil, 405, ""},
		{"another path", "GET", "/", nil, 404, ""},
		{"below a path", "GET", "/metrics/x", nil, 404, ""},
		{"no profiles", "GET", "/debug/pprof/", nil, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state = tt.state
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
			if w.Code != tt.code || tt.body != "" && w.Body.String() != tt.body {
				t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.path, w.Code, w.Body, tt.code, tt.body)
			}
			if allow := w.Header().Get("Allow"); tt.code == 405 && allow != "GET, HEAD" {
				t.Errorf("Allow is %q", allow)
			}
			if tt.name == "metrics" && (!strings.Contains(w.Body.String(), `gomilter_messages_total{class="external",listener="mx",verdict="reject"} 0`) || !strings.Contains(w.Body.String(), "\ngo_goroutines ") ||
				!strings.Contains(w.Body.String(), "\nprocess_")) {
				t.Errorf("metrics are\n%s", w.Body)
			}
		})
	}
}

// A check that hangs makes the daemon unready, in time, and is not piled up.
func TestCheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		m := newMetrics(Options{ReadyTimeout: 3 * time.Second, Ready: []func(context.Context) error{func(context.Context) error { calls.Add(1); <-release; return nil }}})
		began := time.Now()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if got := m.notReady(context.Background()); !slices.Equal(got, []string{errNoAnswer.Error()}) {
					t.Errorf("not ready: %q", got)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != 3*time.Second || calls.Load() != 1 {
			t.Errorf("took %v, %d calls", took, calls.Load())
		}
		close(release)
		synctest.Wait()
		if got := m.notReady(context.Background()); got != nil || calls.Load() != 2 {
			t.Errorf("once it returns: %q, %d calls", got, calls.Load())
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	m := newMetrics(Options{})
	m.Configure(map[string][]string{"mx": {"headers"}})
	srv := httptest.NewServer(m.Handler())
	defer srv.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			l := m.Listener("mx")
			for range 300 {
				l.Connection(+1)
				m.Observe("mx", explained())
				l.Connection(-1)
			}
		})
	}
	all.Go(func() {
		for i := range 20 {
			m.Configure(map[string][]string{"mx": {"headers"}, fmt.Sprint("other", i%3): {"html"}})
			r, err := http.Get(srv.URL + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	})
	all.Wait()
	got := series(t, m)
	if got["gomilter_connections{listener=mx}"] != 0 || got["gomilter_messages_total{class=internal,listener=mx,verdict=accept}"] != 1200 {
		t.Errorf("connections %v, messages %v", got["gomilter_connections{listener=mx}"], got["gomilter_messages_total{class=internal,listener=mx,verdict=accept}"])
	}
}

func BenchmarkObserve(b *testing.B) {
	m := New(Options{})
	m.Configure(map[string][]string{"mx": {"headers", "attachments"}})
	e := explained()
	b.ReportAllocs()
	for b.Loop() {
		m.Observe("mx", e)
	}
}
