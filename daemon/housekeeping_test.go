package daemon

import (
	"testing"
	"time"
)

func TestClockThatIsSet(t *testing.T) {
	var c clockWatch
	wall, up := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), time.Duration(0)
	pass := func(d time.Duration) { wall, up = wall.Add(d), up+d }
	steps := []struct {
		name    string
		set     time.Duration // of the wall clock
		passes  time.Duration
		jump    time.Duration
		resting bool
	}{
		{"at the start", 0, 0, 0, false},
		{"an hour later", 0, time.Hour, 0, false},
		{"set by a leap", 30 * time.Minute, time.Hour, 0, false},
		{"set ahead by years", 10 * 365 * 24 * time.Hour, time.Hour, 10 * 365 * 24 * time.Hour, true},
		{"soon after", 0, time.Hour, 0, true},
		{"set right again", -10 * 365 * 24 * time.Hour, time.Hour, -10 * 365 * 24 * time.Hour, true},
		{"half a day later", 0, 12 * time.Hour, 0, true},
		{"more than a day later", 0, 13 * time.Hour, 0, false},
	}
	for _, s := range steps {
		pass(s.passes)
		wall = wall.Add(s.set)
		if jump := c.look(wall, up); jump != s.jump || c.resting() != s.resting {
			t.Errorf("%s: a jump by %v, resting %v; want %v, %v", s.name, jump, c.resting(), s.jump, s.resting)
		}
	}
}
