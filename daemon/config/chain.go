package config

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/quarantine"
)

// An Env is what filters need of the process that runs them.
type Env struct {
	// Originals is where messages are kept; it is to be nil when Config.Kept is not
	// enabled.
	Originals *quarantine.Store
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
// told already, except for an Env without what they need.
func (l *Listener) NewChain(env Env) (*filter.Chain, error) {
	return nil, fmt.Errorf("config: %w", errors.ErrUnsupported)
}
