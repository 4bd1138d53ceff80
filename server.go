package milter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// A Server serves a filter to MTAs. Its fields may not be changed once it serves;
// the zero value of each but New is a working default. Where a field says so, a
// negative value means no limit.
type Server struct {
	// New returns the hooks of a connection, before anything is negotiated. It is
	// called from many goroutines, once for each connection.
	New func(*Session) Hooks

	// Name is the filter's name in the reply to a failed message;
	// "gomilter" when empty.
	Name string

	// OnFault is what an MTA is told when a hook fails.
	OnFault FaultPolicy

	// Times. Negative means no limit.
	IdleTimeout      time.Duration // between two commands; 0 means 7210 s, as libmilter
	FrameTimeout     time.Duration // from the first byte of a frame to its last, and for the first frame; 0 means 60 s
	WriteTimeout     time.Duration // for one write; 0 means 10 s
	StageTimeout     time.Duration // for a hook before the end of the message; 0 means 8 s, as Sendmail waits 10
	EndTimeout       time.Duration // for the End hook and the new body; 0 means 240 s, as Sendmail waits 300
	ProgressInterval time.Duration // between signs of life from a running End hook; 0 means 3 s
	StopTimeout      time.Duration // for running messages when the server stops; 0 means 30 s

	// Limits. Negative means none.
	MaxConns       int // connections; 0 means 1000. Further ones are answered tempfail, those past twice as many closed
	MaxRcpts       int // recipients of a message; 0 means 1000. Further ones are answered 452
	MaxHeaders     int // header fields of a message; 0 means 1000. More are answered 552
	MaxHeaderBytes int // their bytes; 0 means 1 MiB. More are answered 552
	MaxMacros      int // macros at one stage; 0 means 256. Further ones, and those past 16 KiB in all, are left out
	MaxEditBytes   int // edits queued for a message without the body; 0 means 8 MiB. Further ones return ErrEditLimit
	MaxFrameBytes  int // memory of frames larger than 8 KiB that have begun to arrive, on all connections; 0 means 32 MiB. A connection that needs more is closed
	MaxAbandoned   int // hooks that overstayed and still run; 0 means 100. While there are as many, new connections are answered tempfail

	// Log is where the server tells what it can tell nobody else; nil means
	// slog.Default().
	Log *slog.Logger

	// Metrics counts, if not nil.
	Metrics Metrics

	bootOnce   sync.Once
	bootID     string
	warner     warner
	faultOnce  sync.Once
	faultReply *answer
	budgetOnce sync.Once
	budget     *wire.Budget
	lastID     atomic.Uint64
	conns      atomic.Int64
	abandoned  atomic.Int64

	mu   sync.Mutex
	sets map[*connSet]struct{}
}

// Duration and size defaults, in the order of the fields.
const (
	defaultIdleTimeout      = 7210 * time.Second
	defaultFrameTimeout     = 60 * time.Second
	defaultWriteTimeout     = 10 * time.Second
	defaultStageTimeout     = 8 * time.Second
	defaultEndTimeout       = 240 * time.Second
	defaultProgressInterval = 3 * time.Second
	defaultStopTimeout      = 30 * time.Second

	defaultMaxConns       = 1000
	defaultMaxRcpts       = 1000
	defaultMaxHeaders     = 1000
	defaultMaxHeaderBytes = 1 << 20
	defaultMaxMacros      = 256
	defaultMaxEditBytes   = 8 << 20
	defaultMaxFrameBytes  = 32 << 20
	defaultMaxAbandoned   = 100
)

// or returns the default for a zero value and 0, which means no limit, for a
// negative one.
func or[T int | time.Duration](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

func (s *Server) stageTimeout() time.Duration { return or(s.StageTimeout, defaultStageTimeout) }
func (s *Server) endTimeout() time.Duration   { return or(s.EndTimeout, defaultEndTimeout) }
func (s *Server) progressInterval() time.Duration {
	return or(s.ProgressInterval, defaultProgressInterval)
}
func (s *Server) maxRcpts() int       { return or(s.MaxRcpts, defaultMaxRcpts) }
func (s *Server) maxHeaders() int     { return or(s.MaxHeaders, defaultMaxHeaders) }
func (s *Server) maxHeaderBytes() int { return or(s.MaxHeaderBytes, defaultMaxHeaderBytes) }
func (s *Server) maxMacros() int      { return or(s.MaxMacros, defaultMaxMacros) }
func (s *Server) maxEditBytes() int   { return or(s.MaxEditBytes, defaultMaxEditBytes) }

// tick is how often the watcher looks: often enough for the shortest time.
func (s *Server) tick() time.Duration {
	tick := 250 * time.Millisecond
	for _, d := range []time.Duration{s.stageTimeout(), s.endTimeout(), s.progressInterval()} {
		if d > 0 {
			tick = min(tick, d/4)
		}
	}
	return max(tick, time.Millisecond)
}

// grace is what a hook has left to return after its context ended.
func (s *Server) grace() time.Duration {
	return min(time.Second, max(s.stageTimeout(), s.tick())/8)
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

func (s *Server) name() string {
	if s.Name != "" {
		return s.Name
	}
	return "gomilter"
}

// frameBudget returns what the connections of all listeners share, or nil.
func (s *Server) frameBudget() *wire.Budget {
	s.budgetOnce.Do(func() {
		if n := or(s.MaxFrameBytes, defaultMaxFrameBytes); n > 0 {
			s.budget = wire.NewBudget(n)
		}
	})
	return s.budget
}

// boot returns what tells the connections of this server from those of another
// run.
func (s *Server) boot() string {
	s.bootOnce.Do(func() {
		var b [4]byte
		rand.Read(b[:])
		s.bootID = hex.EncodeToString(b[:])
	})
	return s.bootID
}

// Ready returns nil while the server takes new work, and otherwise why not.
func (s *Server) Ready() error {
	if err := s.tooManyAbandoned(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for set := range s.sets {
		if !set.stopping.Load() {
			return nil
		}
	}
	return errors.New("milter: server does not serve")
}

// Abandoned returns how many hooks that overstayed their time still run.
func (s *Server) Abandoned() int { return int(s.abandoned.Load()) }

func (s *Server) tooManyAbandoned() error {
	if n, limit := s.abandoned.Load(), or(s.MaxAbandoned, defaultMaxAbandoned); limit > 0 && n >= int64(limit) {
		return fmt.Errorf("milter: %d hooks overstayed their time and still run", n)
	}
	return nil
}

// ListenAndServe listens on a socket (see Listen) and serves until ctx ends.
func (s *Server) ListenAndServe(ctx context.Context, spec string) error {
	ln, err := Listen(spec, SocketOptions{})
	if err != nil {
		return err
	}
	return s.Serve(ctx, ln)
}

// Serve serves the MTAs that connect to ln until ctx ends or Shutdown is called.
// Then it closes ln, lets running messages finish within StopTimeout, waits for
// its connections and returns ErrServerClosed. It may be called for several
// listeners.
//
// An error of Accept that will not pass is returned; running messages finish
// then, too.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if s.New == nil {
		ln.Close()
		return errors.New("milter: Server.New is nil")
	}
	set := newConnSet(s, context.WithoutCancel(ctx), ln)
	s.mu.Lock()
	if s.sets == nil {
		s.sets = make(map[*connSet]struct{})
	}
	s.sets[set] = struct{}{}
	s.mu.Unlock()
	defer context.AfterFunc(ctx, set.close)()
	var watcher sync.WaitGroup
	stopWatcher := make(chan struct{})
	watcher.Go(func() { set.watch(stopWatcher) })

	err := set.accept()

	set.close()
	set.drain(or(s.StopTimeout, defaultStopTimeout))
	close(stopWatcher)
	watcher.Wait()
	set.wg.Wait()
	s.mu.Lock()
	delete(s.sets, set)
	s.mu.Unlock()
	close(set.done)
	return err
}

// Shutdown stops every Serve of the server and waits for them; ctx bounds the
// wait, not the stopping. Running messages finish within StopTimeout.
func (s *Server) Shutdown(ctx context.Context) error {
	for {
		s.mu.Lock()
		var one *connSet
		for set := range s.sets {
			set.close()
			one = set
		}
		s.mu.Unlock()
		if one == nil {
			return nil
		}
		select {
		case <-one.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
