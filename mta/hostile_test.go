package mta

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/internal/wire"
)

// send plays one message in which a filter does its worst, and returns what became of it.
func send(t *testing.T, c *Client, dial func(context.Context) (net.Conn, error)) *Result {
	t.Helper()
	c.Milters = []Milter{{Name: "bad", Dial: dial}}
	res, err := c.Send(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestSilentFilterIsNotAwaitedForEver(t *testing.T) {
	for _, tt := range []struct {
		profile Profile
		stage   string // at which it falls silent
		want    time.Duration
	}{
		{Sendmail, "O", 10 * time.Second}, {Sendmail, "C", 10 * time.Second}, {Sendmail, "R", 10 * time.Second}, {Sendmail, "B", 10 * time.Second}, {Sendmail, "E", 10 * time.Second},
		{Postfix, "O", 30 * time.Second}, {Postfix, "C", 30 * time.Second}, {Postfix, "T", 30 * time.Second}, {Postfix, "L", 300 * time.Second}, {Postfix, "E", 300 * time.Second},
	} {
		t.Run(tt.profile.String()+"/"+tt.stage, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, plan{tt.stage: {""}})
				f.silent = tt.stage == "O"
				began := time.Now()
				res := send(t, &Client{Profile: tt.profile, Failure: FailTempFail}, f.dial)
				if got := time.Since(began); got != tt.want {
					t.Errorf("gave up after %v, want %v", got, tt.want)
				}
				if res.Verdict != TempFail || !strings.Contains(res.Filters[0].Why, "timeout") {
					t.Errorf("result %+v", res)
				}
				f.wg.Wait()
			})
		})
	}
}

func TestTimeoutsOfTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, plan{"R": {""}})
		c := &Client{Profile: Postfix, Timeouts: Timeouts{Command: time.Minute, Content: time.Hour}}
		began := time.Now()
		c.Milters = []Milter{{Dial: f.dial, Timeouts: Timeouts{Command: 3 * time.Second}}}
		if _, err := c.Send(ctx, plain); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("Send: %v after %v, want 3s", err, time.Since(began))
		}
		f.wg.Wait()
	})
}

func TestFilterThatIsNotReachedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		res := send(t, &Client{Profile: Postfix}, func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if got := time.Since(began); got != 30*time.Second || res.Verdict != TempFail {
			t.Errorf("verdict %v after %v, want tempfail after 30s", res.Verdict, got)
		}
	})
}

// dripping is a filter that at end of message sends something every so often.
func dripping(t *testing.T, b []byte, every time.Duration, times int) func(context.Context) (net.Conn, error) {
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	return func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		wg.Go(func() {
			defer theirs.Close()
			r := wire.NewReader(theirs, wire.DataSize64K)
			for {
				cmd, _, err := r.Next()
				switch {
				case err != nil:
					return
				case cmd == wire.CmdNegotiate:
					theirs.Write(wire.AppendFrame(nil, cmd, negotiation(6, 0x1ff, 0)))
				case cmd == wire.CmdEnd:
					for range times {
						time.Sleep(every)
						if _, err := theirs.Write(b); err != nil {
							return
						}
					}
					theirs.Write(wire.AppendFrame(nil, wire.ReplyContinue, ""))
				case cmd != wire.CmdMacro && cmd != wire.CmdAbort:
					theirs.Write(wire.AppendFrame(nil, wire.ReplyContinue, ""))
				}
			}
		})
		return ours, nil
	}
}

func TestProgress(t *testing.T) {
	progress := wire.AppendFrame(nil, wire.ReplyProgress, "")
	for _, tt := range []struct {
		name    string
		profile Profile
		every   time.Duration
		times   int
		verdict Verdict
		took    time.Duration
	}{
		{"each starts the wait for one packet anew", Sendmail, 9 * time.Second, 30, Accept, 270 * time.Second},
		{"none starts that for the whole anew", Sendmail, 9 * time.Second, 40, TempFail, 300 * time.Second},
		{"too slow", Sendmail, 11 * time.Second, 1, TempFail, 10 * time.Second},
		{"each starts the wait anew, for ever", Postfix, 299 * time.Second, 100, Accept, 29900 * time.Second},
	} {
		t.Run(tt.profile.String()+"/"+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				res := send(t, &Client{Profile: tt.profile, Failure: FailTempFail}, dripping(t, progress, tt.every, tt.times))
				if got := time.Since(began); res.Verdict != tt.verdict || got != tt.took {
					t.Errorf("verdict %v after %v, want %v after %v", res.Verdict, got, tt.verdict, tt.took)
				}
			})
		})
	}
}

// A packet that comes byte by byte is one wait.
func TestDrippingPacketIsNotAwaitedForEver(t *testing.T) {
	for p, want := range map[Profile]time.Duration{Sendmail: 10 * time.Second, Postfix: 300 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			dial := dripping(t, []byte{0}, time.Second, 3)
			res := send(t, &Client{Profile: p, Failure: FailTempFail}, func(ctx context.Context) (net.Conn, error) {
				nc, err := dial(ctx)
				return oneByte{nc}, err
			})
			if got := time.Since(began); res.Verdict != TempFail || got > want+3*time.Second {
				t.Errorf("%v: verdict %v after %v, want tempfail after %v", p, res.Verdict, got, want)
			}
		})
	}
}

type oneByte struct{ net.Conn }

func (c oneByte) Read(b []byte) (int, error) { return c.Conn.Read(b[:min(len(b), 1)]) }

func TestOversizedReplies(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Client
		plan string // of the end of message
		err  error
	}{
		{"length that no packet has", Client{}, "ffffffff63", wire.ErrFrameSize},
		{"length zero", Client{}, "00000000", wire.ErrEmptyFrame},
		{"above the default", Client{}, "0010004262", wire.ErrFrameSize},
		{"above the limit set", Client{MaxReply: 20}, "0000001662", wire.ErrFrameSize},
		{"too many edits", Client{MaxEdits: 3}, strings.Repeat(strings.TrimSuffix(frames('c', Edit{Action: edit.AddHeader, Name: "X"}), "0000000163"), 4) + "0000000163", ErrTooManyEdits},
		{"too many bytes of edits", Client{MaxEditSize: 100}, frames('c', Edit{Action: edit.ReplaceBody, Body: make([]byte, 101)}), ErrTooManyEdits},
	} {
		for _, p := range []Profile{Sendmail, Postfix} {
			t.Run(p.String()+"/"+tt.name, func(t *testing.T) {
				f := newFake(t, plan{"E": {tt.plan}})
				c := tt.c
				c.Profile, c.Failure = p, FailTempFail
				res := send(t, &c, f.dial)
				if res.Verdict != TempFail || len(res.Faults) != 1 || !errors.Is(res.Faults[0], tt.err) || res.Faults[0].Stage != "end" {
					t.Errorf("verdict %v, faults %v, want %v", res.Verdict, res.Faults, tt.err)
				}
			})
		}
	}
}

func TestEditsUpToTheLimit(t *testing.T) {
	f := newFake(t, plan{"E": {frames('c', Edit{Action: edit.AddHeader, Name: "X"}, Edit{Action: edit.AddHeader, Name: "X"})}})
	if res := send(t, &Client{MaxEdits: 2, MaxReply: wire.DataSize64K}, f.dial); len(res.Edits) != 2 || res.Verdict != Accept {
		t.Errorf("result %+v", res)
	}
}

// A filter that breaks off in the middle of a packet, at every byte of its answer.
func TestBrokenOffPackets(t *testing.T) {
	whole, err := hex.DecodeString(frames('c', Edit{Action: edit.AddHeader, Name: "X", Value: "v"}))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		for _, p := range []Profile{Sendmail, Postfix} {
			res := send(t, &Client{Profile: p, Failure: FailTempFail}, func(context.Context) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					defer theirs.Close()
					r := wire.NewReader(theirs, wire.DataSize64K)
					for {
						cmd, _, err := r.Next()
						switch {
						case err != nil:
							return
						case cmd == wire.CmdNegotiate:
							theirs.Write(wire.AppendFrame(nil, cmd, negotiation(6, 0x1ff, 0)))
						case cmd == wire.CmdEnd:
							theirs.Write(whole[:n])
							return
						case cmd != wire.CmdMacro:
							theirs.Write(wire.AppendFrame(nil, wire.ReplyContinue, ""))
						}
					}
				}()
				return ours, nil
			})
			want := io.ErrUnexpectedEOF
			if n == 0 || n == len(whole)-5 {
				want = io.EOF
			}
			if res.Verdict != TempFail || len(res.Faults) != 1 || !errors.Is(res.Faults[0], want) {
				t.Errorf("%v, broken off behind %d bytes: verdict %v, faults %v, want %v", p, n, res.Verdict, res.Faults, want)
			}
		}
	}
}

// A header field that is too long for a packet fails the filter of Sendmail; to
// Postfix it is cut.
func TestLongHeaderField(t *testing.T) {
	m := plain
	m.Data = []byte("X: " + strings.Repeat("x", 70000) + "\r\n\r\n")
	f := newFake(t, nil)
	c := &Client{Profile: Postfix, Milters: []Milter{{Dial: f.dial}}}
	res, err := c.Send(ctx, m)
	if err != nil || res.Verdict != Accept {
		t.Fatalf("Send = %+v, %v", res, err)
	}
	for _, p := range f.packets() {
		if p.cmd == wire.CmdHeader && len(p.payload) != 60000 {
			t.Errorf("header packet of %d bytes", len(p.payload))
		}
	}
	c = &Client{Profile: Sendmail}
	if res, err := c.Send(ctx, m); err != nil || res.Reply == nil || res.Reply.String() != "552 5.6.0 Headers too large (32768 max)" {
		t.Errorf("Send = %+v, %v", res, err)
	}
}

// Whatever a filter sends, and wherever, a session ends, and in good order.
func FuzzFilter(f *testing.F) {
	f.Add(uint8(0), byte('E'), []byte("\x00\x00\x00\x01c"))
	f.Add(uint8(1), byte('C'), []byte("\x00\x00\x00\x05y421 \x00\x00\x00\x01d"))
	f.Add(uint8(1), byte('O'), []byte("\x00\x00\x00\x13O\x00\x00\x00\x06\x00\x00\x01\xff\x00\x0f\xf0\x80\x00\x00\x00\x05i\x00"))
	f.Add(uint8(0), byte('E'), []byte("\x00\x00\x00\x0am\x00\x00\x00\x01X\x00v\x00\x00\x00\x00\x03bxx\x00\x00\x00\x01p\x00\x00\x00\x04+<>\x00"))
	f.Fuzz(func(t *testing.T, profile uint8, stage byte, answer []byte) {
		synctest.Test(t, func(t *testing.T) {
			fake := newFake(t, plan{string(stage): {hex.EncodeToString(answer)}})
			if stage == wire.CmdNegotiate && len(answer) > 5 && len(answer) < 1000 {
				fake.answer = answer[5:]
			}
			c := &Client{Profile: Profile(profile % 2), Failure: Failure(profile/2) % 6, Milters: []Milter{{Name: "x", Dial: fake.dial}}}
			s, out, err := c.Connect(ctx, Conn{})
			if err != nil {
				t.Fatal(err)
			}
			check := func(r *Reply) {
				if r == nil {
					return
				}
				if r.Code < 400 || r.Code > 599 || len(r.Lines()) == 0 {
					t.Errorf("reply %+v", r)
				}
			}
			check(out.Reply)
			_, results := play(t, s, append([]string{"MAIL FROM:<a@b>"}, usualSteps...), []byte(usualData))
			for _, r := range results {
				check(r.Reply)
				if b, err := json.Marshal(r); err != nil {
					t.Errorf("%s, %v", b, err)
				}
			}
			s.Close()
			fake.wg.Wait()
		})
	})
}
