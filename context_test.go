package milter

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type key struct{}

func TestScopeIsAContext(t *testing.T) {
	parent, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "v"))
	defer cancel()
	s := newScope(context.WithoutCancel(parent))
	if s.Value(key{}) != "v" || s.Value(1) != nil {
		t.Error("values of the parent are lost")
	}
	if _, ok := s.Deadline(); ok || s.Err() != nil || context.Cause(s) != nil {
		t.Errorf("Err = %v", s.Err())
	}
	done := s.Done()
	if done == nil || done != s.Done() {
		t.Error("Done changes")
	}
	select {
	case <-done:
		t.Error("done before the end")
	default:
	}
	s.end(context.DeadlineExceeded)
	s.end(context.Canceled) // too late
	<-done
	<-s.Done()
	if s.Err() != context.DeadlineExceeded || context.Cause(s) != context.DeadlineExceeded {
		t.Errorf("Err = %v, Cause = %v", s.Err(), context.Cause(s))
	}
	ended := newScope(context.Background())
	ended.end(context.Canceled) // before anybody asked for its channel
	<-ended.Done()
	<-ended.Done()
}

func TestScopeWithPackageContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		s := newScope(context.Background())
		child, cancel := context.WithCancel(s)
		defer cancel()
		caused, cause := context.WithCancelCause(s)
		timed, cancelTimed := context.WithTimeout(s, time.Hour)
		defer cancelTimed()
		short, cancelShort := context.WithTimeout(s, time.Second)
		defer cancelShort()
		grandchild := context.WithValue(child, key{}, 1)
		detached := context.WithoutCancel(s)
		ran, stopped := make(chan struct{}), make(chan struct{})
		context.AfterFunc(s, func() { close(ran) })
		stop := context.AfterFunc(s, func() { close(stopped) })
		if !stop() || stop() {
			t.Error("stop of AfterFunc")
		}
		gone, cancelGone := context.WithCancel(s)
		cancelGone()
		if n := waiting(s); n != 5 {
			t.Errorf("%d functions wait, want 5: those of the children that live, and one AfterFunc", n)
		}
		time.Sleep(2 * time.Second)
		if short.Err() != context.DeadlineExceeded || timed.Err() != nil || gone.Err() != context.Canceled {
			t.Errorf("before the end: %v %v %v", short.Err(), timed.Err(), gone.Err())
		}
		cause(why)
		s.end(context.Canceled)
		<-ran
		synctest.Wait()
		for name, ctx := range map[string]context.Context{"child": child, "timed": timed, "grandchild": grandchild} {
			if ctx.Err() != context.Canceled || context.Cause(ctx) != context.Canceled {
				t.Errorf("%s: %v, %v", name, ctx.Err(), context.Cause(ctx))
			}
		}
		if context.Cause(caused) != why || detached.Err() != nil {
			t.Errorf("%v, %v", context.Cause(caused), detached.Err())
		}
		select {
		case <-stopped:
			t.Error("a stopped function ran")
		default:
		}
		late := make(chan struct{})
		stopLate := context.AfterFunc(s, func() { close(late) })
		<-late
		if stopLate() {
			t.Error("stopped what had run")
		}
		again, cancelAgain := context.WithCancel(s)
		defer cancelAgain()
		if again.Err() != context.Canceled {
			t.Errorf("a child of an ended scope: %v", again.Err())
		}
	})
}

func waiting(s *scope) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.after)
}

// A timeout of the scope shows as one to its children.
func TestScopeTimeoutReachesChildren(t *testing.T) {
	s := newScope(context.Background())
	child, cancel := context.WithCancel(s)
	defer cancel()
	s.end(context.DeadlineExceeded)
	<-child.Done()
	if child.Err() != context.DeadlineExceeded {
		t.Errorf("child: %v", child.Err())
	}
}

func TestScopeConcurrently(t *testing.T) {
	for range 50 {
		s := newScope(context.Background())
		var wg sync.WaitGroup
		var ran atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				switch i % 4 {
				case 0:
					s.end(context.Canceled)
				case 1:
					<-s.Done()
				case 2:
					context.AfterFunc(s, func() { ran.Add(1) })
					child, cancel := context.WithTimeout(s, time.Minute)
					<-child.Done()
					cancel()
				case 3:
					stop := context.AfterFunc(s, func() {})
					s.Err()
					stop()
				}
			})
		}
		wg.Wait()
		for ran.Load() != 2 {
			time.Sleep(time.Microsecond)
		}
		if n := waiting(s); n != 0 {
			t.Errorf("%d functions are left", n)
		}
	}
}

// What the context of each hook lives as long as.
func TestContextsOfHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctxs := map[string]context.Context{}
		h := Hooks{
			Negotiate: func(ctx context.Context, _ *Negotiation) error { ctxs["negotiate"] = ctx; return nil },
			Connect:   func(ctx context.Context, _ *Client) ConnectReply { ctxs["connect"] = ctx; return Continue },
			Helo:      func(ctx context.Context, _ []byte) HeloReply { ctxs["helo"] = ctx; return Continue },
			Mail:      func(ctx context.Context, _ *Mail) MailReply { ctxs["mail"] = ctx; return Continue },
			Rcpt:      func(ctx context.Context, _ *Rcpt) RcptReply { ctxs["rcpt"] = ctx; return Continue },
			End:       func(ctx context.Context, _ *Edits) EndReply { ctxs["end"] = ctx; return Accept },
			Abort:     func(ctx context.Context) { ctxs["abort"] = ctx },
			Unknown:   func(ctx context.Context, _ []byte) UnknownReply { ctxs["unknown"] = ctx; return Continue },
		}
		alive := func(want string) {
			t.Helper()
			synctest.Wait()
			got := ""
			for _, name := range []string{"negotiate", "connect", "helo", "unknown", "mail", "rcpt", "end", "abort"} {
				if ctx := ctxs[name]; ctx != nil && ctx.Err() == nil {
					if ctx.Value(key{}) != "v" {
						t.Errorf("%s does not know the values of Serve's context", name)
					}
					got += " " + name
				}
			}
			if got != want {
				t.Errorf("alive:%s, want%s", got, want)
			}
		}
		s := filter(h)
		s.Log = new(logBook).logger()
		ln := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "v"))
		done := make(chan error)
		go func() { done <- s.Serve(ctx, ln) }()
		p := ln.dial(t)
		p.offer()
		p.talk(">"+connectFrame, "<c", ">"+heloFrame, "<c", ">UX\x00", "<c", ">"+mailFrame, "<c", ">"+rcptFrame, "<c")
		alive(" negotiate connect helo unknown mail rcpt")
		if ctxs["mail"] != ctxs["rcpt"] || ctxs["connect"] != ctxs["helo"] {
			t.Error("hooks of one message, or of the connection, have different contexts")
		}
		first := ctxs["mail"]
		p.want("a", "E")
		alive(" negotiate connect helo unknown")
		if first.Err() != context.Canceled {
			t.Errorf("Err = %v", first.Err())
		}
		p.talk(">"+mailFrame, "<c")
		alive(" negotiate connect helo unknown mail")
		p.write("A")
		alive(" negotiate connect helo unknown abort")
		p.talk(">"+mailFrame, "<c", ">K", ">"+connectFrame, "<c")
		alive(" connect")
		p.write("Q")
		p.closed()
		alive("")
		cancel()
		<-done
	})
}

// Until the deadline, a server that stops does not end the contexts of messages.
func TestContextOfAMessageWhileTheServerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var msg, conn context.Context
		ln, stop, done := serving(filter(Hooks{
			Connect: func(ctx context.Context, _ *Client) ConnectReply { conn = ctx; return Continue },
			Mail:    func(ctx context.Context, _ *Mail) MailReply { msg = ctx; return Continue },
		}))
		p := ln.dial(t)
		p.offer()
		p.talk(">"+connectFrame, "<c", ">"+mailFrame, "<c")
		stop()
		time.Sleep(29 * time.Second)
		if msg.Err() != nil || conn.Err() != nil {
			t.Errorf("%v, %v", msg.Err(), conn.Err())
		}
		<-done
		if msg.Err() != context.Canceled || conn.Err() != context.Canceled {
			t.Errorf("%v, %v", msg.Err(), conn.Err())
		}
	})
}

// Hooks may use their context from many goroutines, also when the hook is over.
func TestContextUsedConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	h := on(new(notes), StageHeader, func(ctx context.Context) {
		for range 4 {
			wg.Go(func() {
				child, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				stop := context.AfterFunc(ctx, func() {})
				<-child.Done()
				stop()
			})
		}
	})
	h.Silent = Stages(StageHeader)
	p := serve(t, filter(h)).dial(t)
	p.greet()
	for range 20 {
		p.talk(">"+mailFrame, "<c", ">"+rcptFrame, "<c", ">T", "<c", ">"+headerFrame, ">"+headerFrame, ">A")
	}
	p.write("Q")
	p.closed()
	wg.Wait()
}
