package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/edit"
)

// The words that are values of labels.
var (
	stages = []milter.Stage{milter.StageConnect, milter.StageHelo, milter.StageMail, milter.StageRcpt, milter.StageData, milter.StageEndOfHeaders,
		milter.StageHeader, milter.StageBody, milter.StageEnd, milter.StageUnknown, milter.StageNegotiate, milter.StageAbort, milter.StageClose}
	faults    = []string{milter.FaultPanic, milter.FaultHang, milter.FaultAnswer, milter.FaultBody, milter.FaultOffer}
	limits    = []string{milter.LimitConns, milter.LimitRcpts, milter.LimitHeaders, milter.LimitMacros, milter.LimitEdits, milter.LimitFrame, milter.LimitBuffers, milter.LimitAbandoned}
	verdicts  = []string{"accept", "reject", "tempfail", "discard", "abort"}
	classes   = []filter.Class{filter.External, filter.TrustedRelay, filter.Internal, filter.Authenticated}
	told      = []string{"accept", "reject", "tempfail"}
	decisions = []string{"continue", "accept", "reject", "tempfail", "discard", "quarantine", "failed"}
	modes     = []filter.Mode{filter.On, filter.Report}
)

// repliesAt returns the verdicts that there can be at a stage.
func repliesAt(st milter.Stage) []string {
	switch st {
	case milter.StageNegotiate, milter.StageClose:
		return nil
	case milter.StageAbort:
		return []string{"abort"}
	case milter.StageEnd:
		return []string{"continue", "accept", "reject", "tempfail", "discard", "lost"}
	}
	return []string{"accept", "reject", "tempfail", "discard"}
}

// A listener counts what one listener does.
type listener struct {
	m       *Metrics
	name    string
	gone    bool            // from the configuration
	removed bool            // its series are no more
	fixed   bool            // filters has all that there are
	filters map[string]bool // whether each is gone from the configuration
}

// add makes the series of a listener. m.mu is locked.
func (m *Metrics) add(name string) *listener {
	l := &listener{m: m, name: name, filters: make(map[string]bool)}
	m.listeners[name] = l
	v, name := &m.vecs, label(name)
	v.connections.WithLabelValues(name)
	for _, x := range []*prometheus.CounterVec{v.connectionsTotal, v.quarantined, v.kept} {
		x.WithLabelValues(name)
	}
	for _, x := range []*prometheus.HistogramVec{v.replyTime, v.messageTime, v.messageSize} {
		x.WithLabelValues(name)
	}
	for _, st := range stages {
		for _, verdict := range repliesAt(st) {
			v.replies.WithLabelValues(name, st.String(), verdict)
		}
		for _, kind := range faults {
			v.faults.WithLabelValues(name, st.String(), kind)
		}
	}
	for _, limit := range limits {
		v.limits.WithLabelValues(name, limit)
	}
	for _, verdict := range verdicts {
		for _, class := range classes {
			v.messages.WithLabelValues(name, verdict, class.String())
		}
	}
	for _, verdict := range told {
		v.recipients.WithLabelValues(name, verdict)
	}
	for a := edit.AddHeader; a <= edit.Quarantine; a++ {
		v.edits.WithLabelValues(name, a.String())
	}
	return l
}

// configure tells which filters there are. m.mu is locked.
func (l *listener) configure(filters []string) {
	l.fixed = true
	for name, gone := range l.filters {
		if slices.Contains(filters, name) {
			continue
		}
		if l.filters[name] = true; gone {
			delete(l.filters, name)
			of := prometheus.Labels{"listener": label(l.name), "filter": label(name)}
			l.m.vecs.decisions.DeletePartialMatch(of)
			l.m.vecs.filterTime.DeletePartialMatch(of)
		}
	}
	for _, name := range filters {
		l.addFilter(name)
	}
}

func (l *listener) addFilter(name string) {
	l.filters[name] = false
	listener, filter := label(l.name), label(name)
	l.m.vecs.filterTime.WithLabelValues(listener, filter)
	for _, mode := range modes {
		for _, d := range decisions {
			l.m.vecs.decisions.WithLabelValues(listener, filter, mode.String(), d)
		}
	}
}

// remove removes the series of the listener. m.mu is locked.
func (l *listener) remove() {
	l.removed = true
	delete(l.m.listeners, l.name)
	l.m.vecs.each(func(v *prometheus.MetricVec) { v.DeletePartialMatch(prometheus.Labels{"listener": label(l.name)}) })
}

// Listener returns what counts the events of a server, to be its
// [milter.Server.Metrics]. A name that Configure did not name is added.
func (m *Metrics) Listener(name string) milter.Metrics { return m.listener(name) }

func (m *Metrics) listener(name string) *listener {
	m.mu.RLock()
	l := m.listeners[name]
	m.mu.RUnlock()
	if l != nil {
		return l
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l = m.listeners[name]; l == nil {
		l = m.add(name)
	}
	return l
}

// count counts an event unless the series are no more.
func (l *listener) count(event func(v *vecs, name string)) {
	l.m.mu.RLock()
	defer l.m.mu.RUnlock()
	if !l.removed {
		event(&l.m.vecs, label(l.name))
	}
}

// Connection implements [milter.Metrics].
func (l *listener) Connection(delta int) {
	l.count(func(v *vecs, name string) {
		v.connections.WithLabelValues(name).Add(float64(delta))
		if delta > 0 {
			v.connectionsTotal.WithLabelValues(name).Add(float64(delta))
		}
	})
}

// Verdict implements [milter.Metrics].
func (l *listener) Verdict(st milter.Stage, verdict string, took time.Duration) {
	l.count(func(v *vecs, name string) {
		v.replies.WithLabelValues(name, st.String(), verdict).Inc()
		if st == milter.StageEnd {
			v.replyTime.WithLabelValues(name).Observe(took.Seconds())
		}
	})
}

// Fault implements [milter.Metrics].
func (l *listener) Fault(st milter.Stage, kind string) {
	l.count(func(v *vecs, name string) { v.faults.WithLabelValues(name, st.String(), kind).Inc() })
}

// Limit implements [milter.Metrics].
func (l *listener) Limit(limit string) {
	l.count(func(v *vecs, name string) { v.limits.WithLabelValues(name, limit).Inc() })
}

// Observe counts a message of a listener. Explanations of a chain are to be given
// once each.
func (m *Metrics) Observe(listener string, e *filter.Explanation) {
	l := m.listener(listener)
	l.learn(e)
	l.count(func(v *vecs, name string) {
		v.messages.WithLabelValues(name, e.Verdict, e.Class.String()).Inc()
		v.messageTime.WithLabelValues(name).Observe(e.MS / 1000)
		if e.Stage == milter.StageEnd.String() && e.Size > 0 {
			v.messageSize.WithLabelValues(name).Observe(float64(e.Size))
		}
		if e.Quarantine != nil {
			v.quarantined.WithLabelValues(name).Inc()
		}
		if e.Kept != "" {
			v.kept.WithLabelValues(name).Inc()
		}
		for _, r := range e.Recipients {
			verdict := "accept"
			switch {
			case r.Reply == nil:
			case r.Reply.Code < 500:
				verdict = "tempfail"
			default:
				verdict = "reject"
			}
			v.recipients.WithLabelValues(name, verdict).Inc()
		}
		for _, x := range e.Edits {
			v.edits.WithLabelValues(name, x.Action.String()).Inc()
		}
		for _, o := range e.Filters {
			if _, ok := l.filters[o.Name]; !ok {
				continue // the chain's own words, or of a filter that is no more
			}
			mode := filter.On
			if o.Report {
				mode = filter.Report
			}
			v.decisions.WithLabelValues(name, label(o.Name), mode.String(), o.Decision).Inc()
			if o.Stage == milter.StageEnd.String() {
				v.filterTime.WithLabelValues(name, label(o.Name)).Observe(o.MS / 1000)
			}
		}
	})
}

// learn adds the filters of a listener that no configuration has named.
func (l *listener) learn(e *filter.Explanation) {
	unknown := func() bool {
		return !l.fixed && !l.removed && slices.ContainsFunc(e.Filters, func(o filter.Outcome) bool { _, ok := l.filters[o.Name]; return !ok })
	}
	l.m.mu.RLock()
	some := unknown()
	l.m.mu.RUnlock()
	if !some {
		return
	}
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if !unknown() {
		return
	}
	for _, o := range e.Filters {
		l.addFilter(o.Name)
	}
}
