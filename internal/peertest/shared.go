package peertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// A Rig is an MTA with a switch in front of it, as its only filter, and a sink
// behind it.
type Rig struct {
	*MTA
	Switch *Switch
}

// Shared returns the rig of one kind that all tests of a package share, starting
// it for the first. The test has it for itself until it ends: another that asks
// for it waits. It finds the log, the sink and the queue empty.
//
// Its filter is asked about local mail and bounces too, a failing one means
// tempfail, and it has TLS, IPv6, a submission service, and the user joe with the
// password secret. The package's TestMain must call [Main], which stops it.
func Shared(t testing.TB, kind Kind) *Rig {
	t.Helper()
	need(t, peersOf(kind)...)
	s := shared[kind]
	if s == nil {
		t.Fatalf("peertest: unknown kind of MTA %q", kind)
	}
	if !mainCalled {
		t.Fatal("peertest: TestMain must call peertest.Main, or the shared MTAs never stop")
	}
	s.turn.Lock()
	t.Cleanup(s.turn.Unlock)
	if s.rig == nil && s.err == nil {
		s.rig, s.err = s.start(kind)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of %s's log:\n%s", kind, s.rig.Log.tail())
		}
		if err := s.tidy(); err != nil {
			t.Error(err)
		}
	})
	return s.rig
}

// Main runs the tests of a package and then stops what they shared:
//
//	func TestMain(m *testing.M) { os.Exit(peertest.Main(m)) }
func Main(m *testing.M) int {
	mainCalled = true
	code := m.Run()
	for _, kind := range Kinds {
		if err := shared[kind].stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

var (
	mainCalled bool
	shared     = map[Kind]*sharedRig{Sendmail: new(sharedRig), Postfix: new(sharedRig)}
)

type sharedRig struct {
	turn sync.Mutex // held by the test whose turn it is; guards all below
	rig  *Rig
	err  error  // why it could not be started: nobody tries again
	dir  string // its directory, to be removed
}

func (s *sharedRig) start(kind Kind) (*Rig, error) {
	var err error
	if s.dir, err = makeDir(); err != nil {
		return nil, err
	}
	sw, err := newSwitch("unix:" + s.dir + "/m")
	if err != nil {
		return nil, err
	}
	sink, err := startSink()
	if err != nil {
		sw.stop()
		return nil, err
	}
	filter := []Milter{{Spec: sw.Spec}}
	m, err := startMTA(s.dir, kind, Config{
		Milters:        filter,
		NonSMTPMilters: filter,
		FilterBounces:  true,
		Sink:           sink,
		TLS:            true,
		Auth:           map[string]string{"joe": "secret"},
		IPv6:           haveIPv6(),
		Submission:     true,
	})
	if err != nil {
		sw.stop()
		sink.stop()
		return nil, err
	}
	return &Rig{MTA: m, Switch: sw}, nil
}

// tidy makes the rig ready for the next test.
func (s *sharedRig) tidy() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m := s.rig.MTA
	err := m.Settle(ctx)
	if queue, qerr := m.impl.queue(m); qerr != nil || len(queue) > 0 {
		err = errors.Join(err, qerr, m.Purge())
	}
	m.Sink.Answer(nil)
	m.Sink.Take()
	m.Log.Clear()
	return err
}

func (s *sharedRig) stop() error {
	if s.rig != nil {
		s.rig.Stop()
		s.rig.Switch.stop()
		s.rig.Sink.stop()
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
