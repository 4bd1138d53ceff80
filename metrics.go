package milter

import "time"

// Metrics is told what a server does, to count it. Its methods are called from
// many goroutines and must not wait.
type Metrics interface {
	// Connection is told of each connection's beginning (+1) and end (-1).
	Connection(delta int)

	// Verdict is told how each message ended: at which stage, with which reply
	// ("continue", "accept", "reject", "tempfail", "discard", "abort", or "lost" when a
	// new body broke off and the connection was closed), and how long its last hook
	// took. A refused recipient counts at StageRcpt, a refused connection at StageConnect
	// or StageHelo, a refused unknown command at StageUnknown.
	Verdict(stage Stage, verdict string, took time.Duration)

	// Fault is told of each failed hook; kind is one of the Fault constants.
	Fault(stage Stage, kind string)

	// Limit is told each time a limit was hit; name is one of the Limit constants.
	Limit(name string)
}

// count tells Metrics, whose panics are none of the conversation's business.
func (s *Server) count(tell func(Metrics)) {
	if s.Metrics == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.log().Error("metrics failed", "err", v)
		}
	}()
	tell(s.Metrics)
}

// Names of the limits, as told to Metrics and logged.
const (
	LimitConns     = "connections"
	LimitRcpts     = "recipients"
	LimitHeaders   = "headers"
	LimitMacros    = "macros"
	LimitEdits     = "edits"
	LimitFrame     = "frame"
	LimitBuffers   = "buffers"
	LimitAbandoned = "abandoned"
)
