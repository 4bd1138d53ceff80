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

func TestClockThatIsWrongAtTheStart(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		seen    time.Time
		resting bool
	}{
		"never seen":      {time.Time{}, false},
		"a moment ago":    {now.Add(-time.Minute), false},
		"some hours ago":  {now.Add(-20 * time.Hour), false},
		"years ago":       {now.AddDate(-10, 0, 0), true},
		"in the future":   {now.AddDate(0, 0, 3), true},
		"in a few hours":  {now.Add(3 * time.Hour), false},
		"after long rest": {now.AddDate(0, 0, -30), true},
	} {
		var w clockWatch
		w.begin(now, c.seen)
		w.look(now, 0)
		if w.resting() != c.resting {
			t.Errorf("%s: resting %v, want %v", name, w.resting(), c.resting)
		}
		w.look(now.Add(25*time.Hour), 25*time.Hour)
		if w.resting() {
			t.Errorf("%s: it rests after a day", name)
		}
	}
}
