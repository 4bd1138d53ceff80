package milter

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// A hook may return while progress is on its way: the answer comes behind it, once.
func TestHookReturnsWhileProgressIsWritten(t *testing.T) {
	for range 20 {
		var c *conn
		returned := make(chan struct{})
		s := &Server{ProgressInterval: time.Millisecond, New: func(s *Session) Hooks {
			c = s.c
			return Hooks{End: func(context.Context, *Edits) EndReply {
				for !c.progressing.Load() { // the pipe takes nothing until it is read
					runtime.Gosched()
				}
				defer close(returned)
				return Accept
			}}
		}}
		p := serve(t, s).dial(t)
		p.offer()
		p.write("E")
		<-returned
		if got := p.readPast(); got != "a" { // no progress where the hook returned before it, or several
			t.Errorf("got %q", got)
		}
		p.write("Q")
		p.closed()
	}
}

// An MTA that does not even take progress has gone.
func TestProgressThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took time.Duration
		ended := make(chan error, 1)
		p := serve(t, filter(Hooks{End: func(ctx context.Context, _ *Edits) EndReply {
			began := time.Now()
			<-ctx.Done()
			took = time.Since(began)
			ended <- ctx.Err()
			return Accept
		}})).dial(t)
		p.offer()
		p.write("E")
		if err := <-ended; err != context.Canceled || took < 13*time.Second || took > 15*time.Second {
			t.Errorf("the context ended with %v after %v", err, took)
		}
	})
}

// What ends the context of a hook that has returned meanwhile leaves that of the
// next one alone.
func TestLateEndOfAContext(t *testing.T) {
	c := &conn{srv: new(Server), set: &connSet{ctx: context.Background()}}
	c.connScope.Store(newScope(context.Background()))
	late := c.guard.enter(StageHelo)
	c.guard.leave(late)
	now := c.guard.enter(StageMail)
	c.endScopes(late, context.Canceled)
	c.abandon(late, context.Canceled, &HookError{StageHelo, FaultHang, nil})
	if err := c.connScope.Load().Err(); err != nil || c.srv.abandoned.Load() != 0 {
		t.Errorf("the context ended with %v, %d hooks abandoned", err, c.srv.abandoned.Load())
	}
	c.endScopes(now, context.DeadlineExceeded)
	if err := c.connScope.Load().Err(); err != context.DeadlineExceeded {
		t.Errorf("the context ended with %v", err)
	}
	if err := c.returned(now); err != nil || c.connScope.Load().Err() != nil {
		t.Errorf("after the hook: %v, %v", err, c.connScope.Load().Err())
	}
}
