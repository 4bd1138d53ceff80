package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/release"
	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/quarantine"
)

// A setup is what serves one configuration. Parts of it may be those of the setup
// before.
type setup struct {
	source     *config.Source
	config     *config.Config
	generation int
	since      time.Time

	places    []*place
	byKey     map[string]*place // by socketKey
	resolves  bool              // names with a resolver of its own
	originals *quarantine.Store
	marks     *release.Marks
	control   *web // nil for none
	http      *web

	controlLn, httpLn net.Listener // opened, and served from commit on
}

// A place is one listener of a configuration.
type place struct {
	listener *config.Listener
	key      string // socketKey
	socket   *socket
	service  *service
	chain    *filter.Chain

	fresh bool // the socket was opened for this setup
}

// find returns the place of a socket, nil where there is none.
func (s *setup) find(key string) *place {
	if s == nil {
		return nil
	}
	return s.byKey[key]
}

// socketKey is the same for names of one socket.
func socketKey(spec string) string {
	network, addr, err := wire.ParseAddr(spec)
	if err != nil {
		return spec
	}
	if network == "unix" {
		addr = realPath(addr)
	}
	return network + " " + addr
}

// realPath returns the path of a file in a folder without links.
func realPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// openSockets opens the sockets that old has not.
func (s *setup) openSockets(old *setup) error {
	s.byKey = make(map[string]*place, len(s.config.Listeners))
	for i := range s.config.Listeners {
		l := &s.config.Listeners[i]
		p := &place{listener: l, key: socketKey(l.Socket)}
		if was := old.find(p.key); was != nil {
			if was.listener.SocketOptions() != l.SocketOptions() {
				return fmt.Errorf("%w: mode, owner or group of %s", ErrRestart, l.Socket)
			}
			p.socket, p.service = was.socket, was.service
		} else {
			o := l.SocketOptions()
			if o.Owner == "" {
				o.Owner = s.config.User
			}
			ln, err := milter.Listen(l.Socket, o)
			if err != nil {
				return err
			}
			p.fresh, p.socket = true, newSocket(ln, nil)
		}
		s.places = append(s.places, p)
		s.byKey[p.key] = p
	}
	return nil
}

// openHTTP opens the socket for metrics, unless old has it.
func (s *setup) openHTTP(old *setup) (err error) {
	addr := s.config.HTTP.Listen
	if addr == "" {
		return nil
	}
	if old != nil && old.http != nil && old.http.addr == addr {
		s.http = old.http
		return nil
	}
	if s.httpLn, err = milter.Listen(addr, milter.SocketOptions{}); err != nil {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}

// openControl opens the control socket, unless old has it.
func (s *setup) openControl(old *setup) (err error) {
	c := s.config.Control
	if c.Socket == "" {
		return nil
	}
	if old != nil && old.control != nil && old.control.addr == c.Socket {
		if old.config.Control.Mode != c.Mode {
			return fmt.Errorf("%w: mode of the control socket", ErrRestart)
		}
		s.control = old.control
		return nil
	}
	if s.controlLn, err = milter.Listen("unix:"+c.Socket, milter.SocketOptions{Mode: c.Mode}); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// openOriginals opens the store of originals, unless old has it.
func (d *Daemon) openOriginals(s, old *setup) (err error) {
	k := s.config.Kept
	if !k.Enabled {
		return nil
	}
	if old != nil && old.originals != nil && old.config.Kept == k && old.config.StateDir == s.config.StateDir {
		s.originals, s.marks = old.originals, old.marks
		return nil
	}
	o := k.Options()
	o.Alert = func(u quarantine.Usage) {
		d.log.Error("room for originals is 80 % used", "bytes", u.Bytes, "max_bytes", u.MaxBytes, "messages", u.Entries, "max_messages", u.MaxEntries)
	}
	for _, dir := range []string{s.config.StateDir, filepath.Dir(k.Dir)} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("kept: %w", err)
		}
	}
	if s.originals, err = quarantine.Open(k.Dir, o); err != nil {
		return fmt.Errorf("kept: %w", err)
	}
	if s.marks, err = release.Open(s.config.StateDir, release.Options{Log: d.log}); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	return nil
}

// complete makes all that does not need root: what old has and stays the same is
// taken from it.
func (d *Daemon) complete(s, old *setup) error {
	if err := d.openOriginals(s, old); err != nil {
		return err
	}
	if err := s.openControl(old); err != nil {
		return err
	}
	s.resolves = old == nil || !s.config.TakeResolver(old.config)
	for _, p := range s.places {
		l := p.listener
		chain, err := l.NewChain(config.Env{Originals: s.originals, Resolver: d.o.Resolver, Log: d.log, Explain: d.explain(l.Name)})
		if err == nil && s.marks != nil && slices.ContainsFunc(chain.Steps, func(s filter.Step) bool { return s.Mode == filter.On && s.Filter.Message != nil }) {
			chain.Pass = s.marks.Pass // where originals are kept, they come again
		}
		if err == nil {
			err = chain.Check()
		}
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		p.chain = chain
		if p.service == nil || !sameServer(old.find(p.key).listener, l) {
			srv := l.Server()
			srv.Log, srv.Metrics = d.log, d.metrics.Listener(l.Name)
			p.service = newService(srv, chain, newInlet(p.socket.ln.Addr()))
		}
	}
	return nil
}

// sameServer reports whether the server of one listener serves the other.
func sameServer(a, b *config.Listener) bool {
	return a.Name == b.Name && a.OnFault == b.OnFault && a.Timeouts == b.Timeouts && a.Limits == b.Limits
}

// abandon closes what was opened for a setup that is not to serve.
func (s *setup) abandon(old *setup) {
	for _, p := range s.places {
		if p.fresh {
			p.socket.ln.Close()
		}
	}
	for _, ln := range []net.Listener{s.controlLn, s.httpLn} {
		if ln != nil {
			ln.Close()
		}
	}
}

// commit puts a complete setup in the place of the one in force. It cannot fail.
func (d *Daemon) commit(next *setup) {
	old := d.setup()
	d.mu.Lock()
	d.now = next
	d.mu.Unlock()
	if next.resolves {
		d.resolvers.add(next.config)
	}
	d.lists.watch(next.watched())
	chains := make(map[string][]string)
	for _, p := range next.places {
		chains[p.listener.Name] = p.listener.Filters
	}
	d.metrics.Configure(chains)
	for _, p := range next.places {
		switch {
		case p.fresh:
			d.serve(p.service)
			p.socket.pass(p.service.inlet)
			go p.socket.run()
			d.log.Info("serving", "listener", p.listener.Name, "socket", p.listener.Socket, "addr", p.socket.ln.Addr().String(), "chain", strings.Join(p.listener.Filters, ","))
			p.fresh = false
		case p.service.chain.Load() == p.chain: // a server of its own
			d.serve(p.service)
			p.socket.pass(p.service.inlet)
			d.retire(old.find(p.key).service)
		default:
			d.earlier.add(p.service.chain.Swap(p.chain), nil)
		}
	}
	if next.controlLn != nil {
		next.control = newWeb(next.config.Control.Socket, next.controlLn, d.controlHandler(), d.log)
	}
	if next.httpLn != nil {
		next.http = newWeb(next.config.HTTP.Listen, next.httpLn, d.metrics.Handler(), d.log)
	}
	if old == nil {
		return
	}
	for _, p := range old.places {
		if next.find(p.key) == nil {
			p.socket.close()
			d.retire(p.service)
			d.log.Info("socket closed", "listener", p.listener.Name, "socket", p.listener.Socket)
		}
	}
	// A request to reload comes over the control socket itself, and waits for its answer.
	for _, w := range [][2]*web{{old.control, next.control}, {old.http, next.http}} {
		if w[0] != w[1] {
			d.retirings.Go(w[0].stop)
		}
	}
}

// retire lets the conversations of a service end.
func (d *Daemon) retire(s *service) {
	d.earlier.add(s.chain.Load(), s.server)
	d.retiring.Store(s, true)
	d.retirings.Go(func() {
		s.retire(d.ctx)
		d.retiring.Delete(s)
	})
}

// Reload reads the configuration anew and puts it in the place of the one in
// force, all of it or, with an error, nothing. Conversations that have begun go on
// as they began. Warnings of the new configuration are logged and returned.
func (d *Daemon) Reload() (config.Problems, error) {
	return d.change(d.o.Load)
}

// listsChanged does the same with the configuration as it was read, for the lists
// in files.
func (d *Daemon) listsChanged(paths []string) {
	d.log.Info("lists changed", "files", strings.Join(paths, ","))
	d.change(func() (*config.Source, error) { return d.setup().source, nil })
}

// change makes one change at a time, each of what is to be read by then.
func (d *Daemon) change(load func() (*config.Source, error)) (warnings config.Problems, err error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	if d.ctx.Err() != nil {
		return nil, ErrStopping
	}
	d.boss.reloading(monotonic())
	src, err := load()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrConfig, err)
	} else {
		warnings, err = d.replace(src)
	}
	d.mu.Lock()
	d.refused = err
	d.mu.Unlock()
	if err != nil {
		d.log.Error("configuration refused, the one before stays", "generation", d.setup().generation, "err", err)
		d.metrics.ReloadFailed()
	} else {
		d.log.Info("configuration loaded", "generation", d.setup().generation)
	}
	d.boss.ready(d.summary())
	return warnings, err
}

const (
	// maxRetiring bounds the servers of earlier configurations whose conversations go
	// on.
	maxRetiring = 64
	// maxEarlierHooks bounds the hooks of earlier configurations that overstayed their
	// time and still run.
	maxEarlierHooks = 1000
)

// replace changes the setup. The caller holds d.changing.
func (d *Daemon) replace(src *config.Source) (config.Problems, error) {
	old := d.setup()
	cfg, problems := src.Parse()
	if err := problems.Err(); err != nil {
		return problems.Warnings(), fmt.Errorf("%w: %w", ErrConfig, err)
	}
	for _, p := range problems.Warnings() {
		d.log.Warn("configuration", "problem", p.Error())
	}
	if cfg.User != old.config.User {
		return nil, fmt.Errorf("%w: user", ErrRestart)
	}
	if n := d.retiringServices(); n >= maxRetiring {
		return nil, fmt.Errorf("daemon: conversations of %d earlier configurations still go on; try again later", n)
	}
	if n := d.earlier.abandoned(); n >= maxEarlierHooks {
		return nil, fmt.Errorf("daemon: %d hooks of earlier configurations overstayed their time and still run", n)
	}
	next := &setup{source: src, config: cfg, generation: old.generation + 1, since: time.Now()}
	err := next.openSockets(old)
	if err == nil {
		err = next.openHTTP(old)
	}
	if err == nil {
		err = d.complete(next, old)
	}
	if err == nil && cfg.Log != old.config.Log {
		err = d.changeLog(cfg)
	}
	if err != nil {
		next.abandon(old)
		return problems.Warnings(), err
	}
	d.commit(next)
	return problems.Warnings(), nil
}

func (d *Daemon) retiringServices() int {
	n := 0
	d.retiring.Range(func(any, any) bool { n++; return true })
	return n
}

// summary is what the supervisor shows.
func (d *Daemon) summary() string {
	now := d.setup()
	return fmt.Sprintf("configuration %d, %d listeners", now.generation, len(now.places))
}
