package milter

import (
	"fmt"
	"runtime/debug"
)

// Go runs f in a goroutine of its own. The goroutines that a hook starts with the
// go statement are the filter's, and a panic in one ends the process; a panic in
// f is logged and counted as a fault of the session, and ends nothing else.
//
// f should end with the context of the hook that starts it: neither the session
// nor the server waits for it, and what the hook was given is no longer lent once
// the hook has returned. Of the session only ID and Log may be used in it.
func (s *Session) Go(f func()) {
	st, queue := s.c.phase.stage(), s.QueueID()
	log := s.Log()
	go func() {
		defer func() {
			if v := recover(); v != nil {
				log.Error("goroutine of a hook failed", "stage", st, "kind", FaultPanic, "queue", queue, "err", fmt.Errorf("%v\n%s", v, debug.Stack()))
				s.c.srv.count(func(m Metrics) { m.Fault(st, FaultPanic) })
			}
		}()
		f()
	}()
}
