package config

import (
	"cmp"
	"fmt"
	"log/slog"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/quarantine"
)

// An Env is what filters need of the process that runs them.
type Env struct {
	// Originals is where messages are kept; it is to be nil when Config.Kept is not
	// enabled.
	Originals *quarantine.Store
	// Resolver answers questions about names, in place of Config.Resolver unless nil.
	Resolver dns.Resolver
	// Log is where chains tell what they can tell nobody else; nil means
	// slog.Default().
	Log *slog.Logger
	// Explain is given the explanation of each message; nil means that Log is told.
	Explain func(*filter.Explanation)
	// NewRef names explanations; nil means ten random letters.
	NewRef func() string
	// Dir is the folder for temporary files, in place of [spool] dir, unless "".
	Dir string
}

// SocketOptions returns who may connect to the listener's socket.
func (l *Listener) SocketOptions() milter.SocketOptions {
	return milter.SocketOptions{Mode: l.Mode, Owner: l.Owner, Group: l.Group}
}

// Server returns a server with the listener's times and limits. Its New, Log and
// Metrics are nil.
func (l *Listener) Server() *milter.Server {
	t, m := l.Timeouts, l.Limits
	return &milter.Server{
		Name:             l.Name,
		OnFault:          l.OnFault,
		IdleTimeout:      t.Idle,
		FrameTimeout:     t.Frame,
		WriteTimeout:     t.Write,
		StageTimeout:     t.Stage,
		EndTimeout:       t.End,
		ProgressInterval: t.Progress,
		StopTimeout:      t.Stop,
		MaxConns:         m.Connections,
		MaxRcpts:         m.Rcpts,
		MaxHeaders:       m.Headers,
		MaxHeaderBytes:   int(m.HeaderBytes),
		MaxMacros:        m.Macros,
		MaxEditBytes:     int(m.EditBytes),
		MaxFrameBytes:    int(m.FrameBytes),
		MaxAbandoned:     m.Abandoned,
	}
}

// NewChain builds the listener's filters. What can be wrong with them Parse has
// told already, except for an Env without the originals they need.
func (l *Listener) NewChain(env Env) (*filter.Chain, error) {
	c, t, m := l.config, l.Timeouts, l.Limits
	memory := int64(c.Spool.PartsMemory)
	chain := &filter.Chain{
		Network:      filter.Network{Internal: c.Network.Internal, TrustedRelays: c.Network.TrustedRelays},
		Submission:   l.Submission,
		Immediate:    !l.HoldRejects,
		Disagree:     l.Disagree,
		StageTimeout: t.FiltersStage,
		EndTimeout:   t.FiltersEnd,
		MaxAbandoned: m.FiltersAbandoned,
		Memory:       int64(c.Spool.Memory),
		Dir:          cmp.Or(env.Dir, c.Spool.Dir),
		Originals:    env.Originals,
		MIME: message.Options{MaxDepth: m.MIMEDepth, MaxParts: m.MIMEParts, MaxHeader: int64(m.MIMEHeader), MaxDecoded: int64(m.MIMEDecoded),
			Memory: memory, Dir: cmp.Or(env.Dir, c.Spool.Dir)},
		Explain: env.Explain,
		NewRef:  env.NewRef,
		Log:     env.Log,
	}
	var problems Problems
	var before []*Filter
	for _, name := range l.Filters {
		f := c.filter(name)
		if f == nil {
			return nil, fmt.Errorf("config: no filter is called %q", name)
		}
		b := &build{env: env, config: c, filter: f, told: told(before), places: c.places, problem: func(p Problem) { problems = append(problems, p) }}
		if step, ok := b.step(); ok {
			chain.Steps = append(chain.Steps, step)
		}
		before = append(before, f)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return chain, chain.Check()
}
