package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gomilter/gomilter/daemon/metrics"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/quarantine"
)

// explain returns what is done with the explanations of a listener's messages.
func (d *Daemon) explain(listener string) func(*filter.Explanation) {
	return func(e *filter.Explanation) {
		d.out.Load().Message(e)
		d.metrics.Observe(listener, e)
	}
}

// notReady returns why new work is not taken, or could not be done, nil for
// nothing.
func (d *Daemon) notReady(ctx context.Context, now *setup) error {
	var errs []error
	if d.ctx.Err() != nil {
		errs = append(errs, ErrStopping)
	}
	for _, p := range now.places {
		if err := p.service.ready(); err != nil {
			errs = append(errs, fmt.Errorf("listener %s: %w", p.listener.Name, err))
		}
	}
	errs = append(errs, backEnds(ctx, now))
	if err := d.out.Load().Err(); err != nil {
		errs = append(errs, fmt.Errorf("log: %w", err))
	}
	if s := now.originals; s != nil && !now.config.Kept.DropOldest {
		if u := s.Used(); u.Bytes >= u.MaxBytes || u.Entries >= u.MaxEntries {
			errs = append(errs, fmt.Errorf("originals: full: %d of %d messages, %d of %d bytes", u.Entries, u.MaxEntries, u.Bytes, u.MaxBytes))
		}
	}
	return errors.Join(append(errs, d.disks.full(now.folders()))...)
}

// backEndTime is how long a filter has to find out whether its servers live.
const backEndTime = 2 * time.Second

// backEnds asks all filters at once whether the servers that mail cannot do without
// live.
func backEnds(ctx context.Context, now *setup) error {
	ctx, cancel := context.WithTimeout(ctx, backEndTime)
	defer cancel()
	var filters []*filter.Filter
	for _, p := range now.places {
		for _, s := range p.chain.Steps {
			if s.Filter.Ready != nil && s.Mode == filter.On {
				filters = append(filters, s.Filter)
			}
		}
	}
	errs := make([]error, len(filters))
	var asked sync.WaitGroup
	for i, f := range filters {
		asked.Go(func() {
			if err := f.Ready(ctx); err != nil {
				errs[i] = fmt.Errorf("filter %s: %w", f.Name, err)
			}
		})
	}
	asked.Wait()
	return errors.Join(errs...)
}

// folders returns those that must have room for messages.
func (s *setup) folders() []string {
	spool := s.config.Spool.Dir
	if spool == "" {
		spool = os.TempDir()
	}
	folders := []string{spool}
	if s.originals != nil {
		folders = append(folders, s.config.Kept.Dir)
	}
	return folders
}

// probeSize is what must have room on a disk, and probeLife how long the answer is
// good.
const (
	probeSize = 256 << 10
	probeLife = 10 * time.Second
)

// disks tell whether there is room, by writing.
type disks struct {
	mu    sync.Mutex
	asked map[string]probe
}

type probe struct {
	at  time.Time
	err error
}

// full returns the folders in which nothing can be written.
func (d *disks) full(folders []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, dir := range folders {
		p, ok := d.asked[dir]
		if !ok || time.Since(p.at) > probeLife {
			p = probe{time.Now(), writeProbe(dir)}
			if d.asked == nil || len(d.asked) > 100 {
				d.asked = make(map[string]probe)
			}
			d.asked[dir] = p
		}
		if p.err != nil {
			errs = append(errs, p.err)
		}
	}
	return errors.Join(errs...)
}

func writeProbe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, probeSize)); err != nil {
		return fmt.Errorf("%s: %w", filepath.Dir(f.Name()), err)
	}
	return nil
}

// ready returns why the daemon takes no new work.
func (d *Daemon) ready(ctx context.Context) error {
	return d.notReady(ctx, d.setup())
}

// newMetrics returns what counts, and asks the daemon what it cannot count.
func (d *Daemon) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Options{
		Version: d.o.Version,
		Abandoned: func() int64 {
			n := int64(d.earlier.abandoned())
			for _, p := range d.setup().places {
				n += int64(p.service.server.Abandoned() + p.service.chain.Load().Abandoned())
			}
			return n
		},
		Repeated: func() int64 {
			n := d.earlier.failures()
			for _, p := range d.setup().places {
				n += p.service.chain.Load().Repeated()
			}
			return n
		},
		Kept: func() quarantine.Usage {
			if store := d.setup().originals; store != nil {
				return store.Used()
			}
			return quarantine.Usage{}
		},
		DNS:        d.resolvers.stats,
		LogLost:    d.logLost,
		LogWaiting: func() int { return d.out.Load().Waiting() },
		Ready:      []func(context.Context) error{d.ready},
	})
}

// setup returns the one in force.
func (d *Daemon) setup() *setup {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}
