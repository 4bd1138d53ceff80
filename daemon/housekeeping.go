package daemon

import (
	"context"
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

// keepHouse removes originals that are too old, now and every hour.
func (d *Daemon) keepHouse(ctx context.Context) {
	t := time.NewTicker(purgeInterval)
	defer t.Stop()
	var clock clockWatch
	for {
		if jump := clock.look(time.Now(), time.Since(d.started)); jump != 0 {
			d.log.Warn("the clock was set; no originals are removed for a day", "by", jump.Round(time.Second))
		}
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

// A clockWatch notices that the wall clock was set, by the clock that is never.
type clockWatch struct {
	wall  time.Time     // at the last look, without the other clock
	up    time.Duration // then, by the clock that is never set
	until time.Duration // it rests
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
