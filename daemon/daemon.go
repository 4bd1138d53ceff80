package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/daemon/logs"
	"github.com/gomilter/gomilter/daemon/metrics"
	"github.com/gomilter/gomilter/dns"
)

// Options are what a Daemon needs besides its configuration.
type Options struct {
	// Load reads the configuration: at the start, and for each reload.
	Load func() (*config.Source, error)

	// Resolver answers the filters' questions about names, in place of the servers that the
	// configuration names; nil for these.
	Resolver dns.Resolver

	// AllowRoot lets the daemon stay root where the configuration names no user.
	AllowRoot bool

	Version string    // told by metrics and the control socket
	Stderr  io.Writer // of a log that goes to stderr; nil means os.Stderr
}

// Errors of [Start] and [Daemon.Reload], to be tested with errors.Is.
var (
	// ErrRoot says that the daemon would run as root, which it never needs.
	ErrRoot = errors.New("daemon: started as root; name a user in the configuration to go on as, or insist with --allow-root")
	// ErrConfig is in the error for a configuration that cannot be used.
	ErrConfig = errors.New("daemon: the configuration cannot be used")
	// ErrRestart is in the error for a change that a running daemon cannot make.
	ErrRestart = errors.New("daemon: this takes a restart")
)

// A Daemon serves the listeners of a configuration. Another configuration can take
// the place of its own while it runs.
type Daemon struct {
	o       Options
	log     *slog.Logger
	out     atomic.Pointer[logs.Log]
	metrics *metrics.Metrics
	boss    *supervisor
	lists   *listWatcher
	disks   disks
	started time.Time

	ctx   context.Context // of the services; ends when the daemon stops
	stop  context.CancelFunc
	fatal chan error // of a service that ended by itself

	earlier    earlier
	resolvers  resolvers
	lostBefore atomic.Uint64 // lines of logs that are closed
	logs       sync.WaitGroup

	retirings sync.WaitGroup
	retiring  sync.Map // *service, those of earlier configurations

	changing sync.Mutex // held while the setup changes

	mu      sync.Mutex // of what follows, never held for long
	now     *setup
	refused error // why the last change of the configuration was refused, nil if it was not
}

// Start opens the sockets of a configuration, gives up root, and serves until
// [Daemon.Wait] returns. Errors wrap ErrConfig (the problems are joined in it),
// ErrRoot, milter.ErrSocketInUse and those of the system.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	src, err := o.Load()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	cfg, problems := src.Parse()
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var as *user.User
	if os.Geteuid() == 0 {
		switch {
		case cfg.User != "":
			if as, err = user.Lookup(cfg.User); err != nil {
				return nil, fmt.Errorf("%w: user: %w", ErrConfig, err)
			}
			if as.Uid == "0" && !o.AllowRoot {
				return nil, ErrRoot
			}
		case !o.AllowRoot:
			return nil, ErrRoot
		}
	}
	d := &Daemon{o: o, started: time.Now(), fatal: make(chan error, 1)}
	d.ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	d.log = slog.New(&logHandler{to: &d.out})
	d.boss = newSupervisor(d.log)
	d.metrics = d.newMetrics()

	next, err := d.open(src, cfg, as)
	if err != nil {
		d.stop()
		if l := d.out.Load(); l != nil {
			l.Close()
		}
		return nil, err
	}
	d.lists = new(listWatcher)
	for _, p := range problems.Warnings() {
		d.log.Warn("configuration", "problem", p.Error())
	}
	d.commit(next)
	if as != nil {
		src, err := o.Load()
		if err == nil {
			_, problems := src.Parse()
			err = problems.Err()
		}
		if err != nil {
			d.log.Warn("the configuration cannot be read as "+cfg.User+", so it cannot be reloaded", "err", err)
		}
	}
	context.AfterFunc(ctx, d.stop)
	return d, nil
}

// open makes the setup of a daemon that starts. What needs root is opened first.
func (d *Daemon) open(src *config.Source, cfg *config.Config, as *user.User) (*setup, error) {
	next := &setup{source: src, config: cfg, generation: 1, since: d.started}
	err := func() error {
		if err := next.openSockets(nil); err != nil {
			return err
		}
		if err := next.openHTTP(nil); err != nil {
			return err
		}
		if as != nil {
			if err := next.goOnAs(as); err != nil {
				return err
			}
		}
		l, err := d.openLog(cfg)
		if err != nil {
			return err
		}
		d.out.Store(l)
		return d.complete(next, nil)
	}()
	if err != nil {
		next.abandon(nil)
		return nil, err
	}
	return next, nil
}

// Wait returns when the daemon has stopped: its context ended, [Daemon.Drain] was
// called, or a socket was lost, which is the error then. Running messages finish
// first, within the time that their listener has for it.
func (d *Daemon) Wait() error {
	var err error
	var background sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	background.Go(func() { d.boss.watch(ctx, func() { d.setup() }) })
	background.Go(func() { d.keepHouse(ctx) })
	background.Go(func() { d.lists.run(ctx, d.listsChanged) })
	d.boss.ready(d.summary())
	select {
	case <-d.ctx.Done():
	case err = <-d.fatal:
		d.log.Error("a socket is lost", "err", err)
	}
	d.boss.stopping()
	d.log.Info("stopping")
	d.stop()
	cancel()
	background.Wait()

	d.changing.Lock() // a change under way is finished, and none comes after
	now := d.setup()
	d.changing.Unlock()
	for _, p := range now.places {
		p.socket.close()
	}
	for _, p := range now.places {
		<-p.service.ended
	}
	now.http.stop() // until here they tell that it stops
	now.control.stop()
	d.retirings.Wait()
	d.resolvers.close()
	d.log.Info("stopped")
	d.logs.Wait()
	return errors.Join(err, d.out.Load().Close())
}

// Drain makes the daemon stop as the end of its context does.
func (d *Daemon) Drain() { d.stop() }

// ErrStopping is returned by changes to a daemon that stops.
var ErrStopping = errors.New("daemon: it stops")

// serve runs a service until its server is stopped.
func (d *Daemon) serve(s *service) {
	go func() {
		s.serve(d.ctx)
		if !errors.Is(s.err, milter.ErrServerClosed) {
			select {
			case d.fatal <- s.err:
			default:
			}
		}
	}()
}
