// Package metrics counts what the daemon does, for Prometheus, and tells by HTTP
// how it is.
//
// The values of labels are the names of listeners and filters in the configuration,
// and words of the program; nothing comes from the network. All of them are there
// at zero once Metrics.Configure has named the listeners and filters, so that the
// first event is seen as an increase.
package metrics

import (
	"context"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/quarantine"
)

// Options are where the values come from that are asked for when they are wanted.
// The functions are called from several goroutines; those that are nil count as
// zero.
type Options struct {
	Version string // of the program

	Abandoned func() int64            // hooks that overstayed their time and still run
	Repeated  func() int64            // messages on which a filter failed for the third time or more
	Kept      func() quarantine.Usage // originals
	LogLost   func() uint64           // lines of the log that were lost

	// DNS is what the filters asked about names.
	DNS func() dns.CacheStats

	// LogWaiting is how many lines of the log are not yet written.
	LogWaiting func() int

	// Ready are asked whether the daemon takes messages; the error says why it does
	// not. Several requests may share an answer.
	Ready []func(context.Context) error
	// ReadyTimeout is how long they may take together; 0 means 5 seconds. One that has
	// not returned by then is not ready, and is not asked again until it returns.
	ReadyTimeout time.Duration

	// Messages of these sizes and times are told apart, in bytes and seconds; nil
	// means the defaults.
	SizeBuckets, HookBuckets, MessageBuckets []float64

	Now func() time.Time // nil means time.Now
}

// Defaults of the buckets.
var (
	sizeBuckets    = []float64{1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20}
	hookBuckets    = []float64{.001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 240}
	messageBuckets = []float64{.01, .05, .1, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}
)

// Metrics are the metrics of one daemon. They are safe for concurrent use.
type Metrics struct {
	reg   *prometheus.Registry
	now   func() time.Time
	ready []*check
	limit time.Duration

	// Events of a listener are counted with mu read-locked, so that none comes after
	// its series were removed.
	mu         sync.RWMutex
	listeners  map[string]*listener
	configured bool

	vecs             vecs
	generation       prometheus.Gauge
	reloads          *prometheus.CounterVec
	lastReload       prometheus.Gauge
	lastReloadedTime prometheus.Gauge
}

// vecs are the metrics that have the label listener.
type vecs struct {
	connections      *prometheus.GaugeVec
	connectionsTotal *prometheus.CounterVec
	replies          *prometheus.CounterVec
	replyTime        *prometheus.HistogramVec
	faults           *prometheus.CounterVec
	limits           *prometheus.CounterVec

	messages    *prometheus.CounterVec
	quarantined *prometheus.CounterVec
	kept        *prometheus.CounterVec
	recipients  *prometheus.CounterVec
	edits       *prometheus.CounterVec
	messageTime *prometheus.HistogramVec
	messageSize *prometheus.HistogramVec

	decisions  *prometheus.CounterVec
	filterTime *prometheus.HistogramVec
}

// each calls f for each of them.
func (v *vecs) each(f func(*prometheus.MetricVec)) {
	for _, x := range []*prometheus.MetricVec{v.connections.MetricVec, v.connectionsTotal.MetricVec, v.replies.MetricVec, v.replyTime.MetricVec, v.faults.MetricVec,
		v.limits.MetricVec, v.messages.MetricVec, v.quarantined.MetricVec, v.kept.MetricVec, v.recipients.MetricVec, v.edits.MetricVec, v.messageTime.MetricVec,
		v.messageSize.MetricVec, v.decisions.MetricVec, v.filterTime.MetricVec} {
		f(x)
	}
}

// New returns metrics in a registry of their own, with those of the Go runtime and
// the process.
func New(o Options) *Metrics {
	m := &Metrics{reg: prometheus.NewRegistry(), now: o.Now, listeners: make(map[string]*listener), limit: o.ReadyTimeout}
	if m.now == nil {
		m.now = time.Now
	}
	if m.limit <= 0 {
		m.limit = 5 * time.Second
	}
	for _, f := range o.Ready {
		m.ready = append(m.ready, &check{f: f})
	}
	m.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.reg.MustRegister(v)
		return v
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		m.reg.MustRegister(g)
		return g
	}
	histogram := func(name, help string, own, buckets []float64, labels ...string) *prometheus.HistogramVec {
		if own != nil {
			buckets = own
		}
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.reg.MustRegister(v)
		return v
	}
	connections := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gomilter_connections", Help: "Connections of mail servers that are open."}, []string{"listener"})
	m.reg.MustRegister(connections)
	m.vecs = vecs{
		connections:      connections,
		connectionsTotal: counter("gomilter_connections_total", "Connections of mail servers that were accepted.", "listener"),
		replies: counter("gomilter_replies_total",
			"Messages, recipients and connections by the reply that ended them and the stage at which it was given; verdict lost is a new body that broke off.", "listener", "stage", "verdict"),
		replyTime: histogram("gomilter_reply_duration_seconds", "How long the mail server waited for the reply that ended a message.", o.HookBuckets, hookBuckets, "listener"),
		faults:    counter("gomilter_faults_total", "Hooks of the protocol that failed and were contained, by how they failed.", "listener", "stage", "kind"),
		limits:    counter("gomilter_limits_total", "How often a limit was hit.", "listener", "limit"),

		messages:    counter("gomilter_messages_total", "Messages by their verdict and by who sent them.", "listener", "verdict", "class"),
		quarantined: counter("gomilter_messages_quarantined_total", "Messages that the mail server was told to hold in its queue.", "listener"),
		kept:        counter("gomilter_messages_kept_total", "Messages whose original a filter kept.", "listener"),
		recipients:  counter("gomilter_recipients_total", "Recipients by what the client was told of each; one that is accepted may go with the message.", "listener", "verdict"),
		edits:       counter("gomilter_edits_total", "Changes of messages that the mail server was asked for.", "listener", "action"),
		messageTime: histogram("gomilter_message_duration_seconds", "Time from MAIL to the end of a message, that of the client included.", o.MessageBuckets, messageBuckets, "listener"),
		messageSize: histogram("gomilter_message_size_bytes", "Size of messages that came to their end, as far as filters look at them.", o.SizeBuckets, sizeBuckets, "listener"),

		decisions: counter("gomilter_filter_decisions_total",
			"Decisions of filters, of the whole message and of the stages before as far as there was something to say; mode report is what a filter would have decided.",
			"listener", "filter", "mode", "decision"),
		filterTime: histogram("gomilter_filter_duration_seconds", "How long a filter took for a whole message.", o.HookBuckets, hookBuckets, "listener", "filter"),
	}
	m.generation = gauge("gomilter_config_generation", "How often a configuration took effect.")
	m.reloads = counter("gomilter_config_reloads_total", "Reloads of the configuration by their result.", "result")
	m.reloads.WithLabelValues("success")
	m.reloads.WithLabelValues("failure")
	m.lastReload = gauge("gomilter_config_last_reload_successful", "Whether the last configuration that was read took effect.")
	m.lastReloadedTime = gauge("gomilter_config_last_success_timestamp_seconds", "When a configuration last took effect.")

	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gomilter_build_info", Help: "Always 1; the labels tell what is running."}, []string{"version", "goversion"})
	build.WithLabelValues(label(o.Version), runtime.Version()).Set(1)
	m.reg.MustRegister(build)

	used := func(of func(quarantine.Usage) int64) func() int64 {
		return func() int64 {
			if o.Kept == nil {
				return 0
			}
			return of(o.Kept())
		}
	}
	waiting := func() int64 {
		if o.LogWaiting == nil {
			return 0
		}
		return int64(o.LogWaiting())
	}
	for _, x := range []struct {
		name, help string
		value      func() int64
	}{
		{"gomilter_abandoned_hooks", "Hooks that overstayed their time and still run.", o.Abandoned},
		{"gomilter_kept_bytes", "Size of the originals that are kept.", used(func(u quarantine.Usage) int64 { return u.Bytes })},
		{"gomilter_kept_limit_bytes", "How large the originals may be together; 0 means that none are kept.", used(func(u quarantine.Usage) int64 { return u.MaxBytes })},
		{"gomilter_kept_messages", "Originals that are kept.", used(func(u quarantine.Usage) int64 { return int64(u.Entries) })},
		{"gomilter_kept_limit_messages", "How many originals may be kept.", used(func(u quarantine.Usage) int64 { return int64(u.MaxEntries) })},
		{"gomilter_log_lines_waiting", "Lines of the log that are not yet written; they grow in number while it cannot be.", waiting},
		{"gomilter_ready", "Whether the daemon takes messages, as /readyz tells.", m.readyValue},
	} {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: x.name, Help: x.help}, safely(x.value)))
	}
	m.reg.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gomilter_log_lines_lost_total", Help: "Lines of the log that could not be written."}, safely(o.LogLost)),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gomilter_repeated_failures_total", Help: "Messages on which a filter failed for the third time or more."}, safely(o.Repeated)))
	addDNS(m.reg, o.DNS)
	return m
}

// safely makes a value of a function, which is called in a goroutine that nobody
// else looks after: NaN where it panics.
func safely[T int64 | uint64](f func() T) func() float64 {
	return func() (v float64) {
		if f == nil {
			return 0
		}
		defer func() {
			if recover() != nil {
				v = math.NaN()
			}
		}()
		return float64(f())
	}
}

// label returns a name as it may be the value of a label.
func label(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// Configure tells which listeners there are from now on and which filters the
// chain of each has: their series are there at zero. The first time is the start of
// the daemon; later ones count as reloads that succeeded.
//
// The series of names that are gone stay until the next time, for the conversations
// that are still going on with them, and are removed then.
func (m *Metrics) Configure(chains map[string][]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, l := range m.listeners {
		filters, ok := chains[name]
		switch {
		case !ok && l.gone:
			l.remove()
			continue
		case !ok:
			l.gone = true
			continue
		}
		l.gone = false
		l.configure(filters)
	}
	for name, filters := range chains {
		if m.listeners[name] == nil {
			m.add(name).configure(filters)
		}
	}
	if m.configured {
		m.reloads.WithLabelValues("success").Inc()
	}
	m.configured = true
	m.generation.Inc()
	m.lastReload.Set(1)
	m.lastReloadedTime.Set(float64(m.now().UnixMilli()) / 1000)
}

// ReloadFailed counts a configuration that was refused.
func (m *Metrics) ReloadFailed() {
	m.reloads.WithLabelValues("failure").Inc()
	m.lastReload.Set(0)
}

// readyValue is 1 when the daemon is ready.
func (m *Metrics) readyValue() int64 {
	if len(m.notReady(context.Background())) > 0 {
		return 0
	}
	return 1
}
