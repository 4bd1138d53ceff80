package dsn

import "testing"

func TestNotify(t *testing.T) {
	for _, tt := range []struct {
		in, out string
		wants   string // f, d, s of those wanted
		err     error
	}{
		{"", "", "fd", nil},
		{"NEVER", "NEVER", "", nil},
		{"FAILURE", "FAILURE", "f", nil},
		{"delay", "DELAY", "d", nil},
		{"SUCCESS,FAILURE", "SUCCESS,FAILURE", "fs", nil},
		{"FAILURE,SUCCESS,DELAY", "SUCCESS,FAILURE,DELAY", "fds", nil},
		{"NEVER,DELAY", "", "", ErrNotify},
		{"DELAY,", "", "", ErrNotify},
		{",DELAY", "", "", ErrNotify},
		{"SOON", "", "", ErrNotify},
		{"FAILURE DELAY", "", "", ErrNotify},
	} {
		n, err := ParseNotify(tt.in)
		if err != tt.err {
			t.Errorf("ParseNotify(%q) error %v, want %v", tt.in, err, tt.err)
		}
		if err != nil {
			continue
		}
		got := ""
		for _, a := range []Action{Failed, Delayed, Delivered, "", "done"} {
			if n.Wants(a) {
				got += map[Action]string{Failed: "f", Delayed: "d", Delivered: "s"}[a]
			}
		}
		if n.Wants(Relayed) != n.Wants(Delivered) || n.Wants(Expanded) != n.Wants(Delivered) {
			t.Errorf("%q wants to hear of some deliveries only", tt.in)
		}
		if n.String() != tt.out || got != tt.wants {
			t.Errorf("ParseNotify(%q) = %q, wants %q; want %q, %q", tt.in, n, got, tt.out, tt.wants)
		}
	}
}

func TestEachRecipientHasItsOwnNotify(t *testing.T) {
	rcpts := []Recipient{
		{Address: path("a@example.com"), Action: Delayed, Notify: NotifyDelay},
		{Address: path("b@example.com"), Action: Delayed, Notify: NotifyFailure},
		{Address: path("c@example.com"), Action: Delayed, Notify: NotifyNever},
	}
	for always, want := range map[bool]int{false: 1, true: 2} {
		got := Concerned(rcpts, always)
		if len(got) != want || got[0].Address != rcpts[0].Address {
			t.Errorf("Concerned(always %v) = %v", always, got)
		}
	}
}
