package daemon

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

const (
	// purgeInterval is how often originals that are too old are looked for.
	purgeInterval = time.Hour
	// jumpSize is how far a clock is set that has jumped, and jumpRest how long
	// nothing is removed then: somebody may set it right.
	jumpSize = time.Hour
	jumpRest = 24 * time.Hour
)

// keepHouse removes originals that are too old, now and every hour. Those that are
// in the way of others the store removes itself, where that is wanted.
func (d *Daemon) keepHouse(ctx context.Context) {
	t := time.NewTicker(purgeInterval)
	defer t.Stop()
	var clock clockWatch
	if gap := clock.begin(time.Now(), d.lastSeen()); gap != 0 {
		d.log.Warn("the clock may be wrong, or nothing ran for long; no originals are removed for their age for a day", "last_seen", gap.Round(time.Second))
	}
	for {
		if jump := clock.look(time.Now(), time.Since(d.started)); jump != 0 {
			d.log.Warn("the clock was set; no originals are removed for their age for a day", "by", jump.Round(time.Second))
		}
		d.see()
		if store := d.setup().originals; store != nil && !clock.resting() {
			n, bytes, err := store.Purge(ctx)
			switch {
			case err != nil && ctx.Err() == nil:
				d.log.Error("originals cannot be removed", "err", err)
			case n > 0:
				d.log.Info("old originals removed", "messages", n, "bytes", bytes)
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// seenFile is in the state folder; its time is when a daemon last looked at the
// clock.
const seenFile = "last-seen"

// lastSeen returns when that was, zero if never.
func (d *Daemon) lastSeen() time.Time {
	info, err := os.Stat(filepath.Join(d.setup().config.StateDir, seenFile))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// see takes note of the time.
func (d *Daemon) see() {
	s := d.setup()
	if s.originals == nil {
		return
	}
	path, now := filepath.Join(s.config.StateDir, seenFile), time.Now()
	err := os.Chtimes(path, now, now)
	if os.IsNotExist(err) {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err != nil {
		d.log.Warn("the time cannot be noted", "err", err)
	}
}

// A clockWatch notices that the wall clock was set, by the clock that is never.
type clockWatch struct {
	wall  time.Time     // at the last look, without the other clock
	up    time.Duration // then, by the clock that is never set
	until time.Duration // it rests
}

// begin returns how long ago, or in what future, the clock was seen last, 0 where
// that is within a day of now or never was.
func (c *clockWatch) begin(wall, seen time.Time) (gap time.Duration) {
	if gap = wall.Sub(seen); seen.IsZero() || gap.Abs() < jumpRest {
		return 0
	}
	c.until = jumpRest
	return gap
}

// look returns by how much the wall clock was set since the last look, 0 where
// that is little. up is the time since the start by the clock that is never set.
func (c *clockWatch) look(wall time.Time, up time.Duration) (jump time.Duration) {
	wall = wall.Round(0)
	if !c.wall.IsZero() {
		jump = wall.Sub(c.wall) - (up - c.up)
	}
	c.wall, c.up = wall, up
	if jump.Abs() < jumpSize {
		return 0
	}
	c.until = up + jumpRest
	return jump
}

func (c *clockWatch) resting() bool { return c.up < c.until }
