package daemon

import (
	"errors"
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
	stopped    bool

	places    []*place
	originals *quarantine.Store
	marks     *release.Marks
	control   *web // nil for none
	http      *web

	controlLn, httpLn net.Listener // opened, and served from commit on
}

// A place is one listener of a configuration.
type place struct {
	listener *config.Listener
	socket   *socket
	service  *service
	chain    *filter.Chain

	fresh bool // the socket was opened for this setup
}

// find returns the place of the socket.
func (s *setup) find(spec string) *place {
	if s != nil {
		for _, p := range s.places {
			if sameSocket(p.listener.Socket, spec) {
				return p
			}
		}
	}
	return nil
}

// sameSocket reports whether two names are of one socket.
func sameSocket(a, b string) bool {
	networkA, addrA, errA := wire.ParseAddr(a)
	networkB, addrB, errB := wire.ParseAddr(b)
	if errA != nil || errB != nil || networkA == "unix" && networkB != "unix" {
		return a == b
	}
	if networkA == "unix" {
		return realPath(addrA) == realPath(addrB)
	}
	return networkA == networkB && addrA == addrB
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
	for i := range s.config.Listeners {
		l := &s.config.Listeners[i]
		p := &place{listener: l}
		if was := old.find(l.Socket); was != nil {
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
	for _, p := range s.places {
		l := p.listener
		chain, err := l.NewChain(config.Env{Originals: s.originals, Log: d.log, Explain: d.explain(l.Name)})
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
		if p.service == nil || !sameServer(old.find(l.Socket).listener, l) {
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
	old := d.now
	d.now = next
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
			d.retire(old.find(p.listener.Socket).service)
		default:
			d.repeated.Add(p.service.chain.Swap(p.chain).Repeated())
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
		if next.find(p.listener.Socket) == nil {
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
	d.retiring.Store(s, true)
	d.retirings.Go(func() {
		s.retire(d.ctx)
		d.repeated.Add(s.chain.Load().Repeated())
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
	d.change(func() (*config.Source, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.now.source, nil
	})
}

func (d *Daemon) change(load func() (*config.Source, error)) (warnings config.Problems, err error) {
	d.boss.reloading(monotonic())
	src, err := load()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrConfig, err)
	} else {
		warnings, err = d.replace(src)
	}
	if d.refused = err; err != nil {
		d.log.Error("configuration refused, the one before stays", "generation", d.now.generation, "err", err)
		d.metrics.ReloadFailed()
	} else {
		d.log.Info("configuration loaded", "generation", d.now.generation)
	}
	d.boss.ready(d.summary())
	return warnings, err
}

// maxRetiring bounds the servers of earlier configurations whose conversations go
// on.
const maxRetiring = 64

// replace changes the setup. The caller holds d.mu.
func (d *Daemon) replace(src *config.Source) (config.Problems, error) {
	old := d.now
	if old.stopped || d.ctx.Err() != nil {
		return nil, ErrServing
	}
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
	next := &setup{source: src, config: cfg, generation: old.generation + 1, since: time.Now()}
	err := errors.Join(next.openSockets(old))
	if err == nil {
		err = next.openHTTP(old)
	}
	if err == nil {
		err = d.complete(next, old)
	}
	if err == nil && cfg.Log != old.config.Log {
		l, logErr := d.openLog(cfg)
		if err = logErr; err == nil {
			defer func() {
				before := d.out.Swap(l)
				before.Close()
				d.lostBefore.Add(before.Lost())
			}()
		}
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
	return fmt.Sprintf("configuration %d, %d listeners", d.now.generation, len(d.now.places))
}

// watched returns the files whose change makes a new configuration.
func (s *setup) watched() []string {
	if !s.config.Watch.Lists {
		return nil
	}
	return s.config.ListFiles()
}
