package filter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

// keeper keeps each message and changes it.
func keeper(name string) *filter.Filter {
	return &filter.Filter{Name: name, Needs: filter.Needs{Header: true, Originals: true, Actions: milter.CanAddHeaders},
		Message: func(ctx context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
			if _, err := tr.Keep(ctx, "rule 7 met in evil.exe"); err != nil {
				return nil, err
			}
			return milter.Continue, e.AddHeader("X-Mark", name)
		}}
}

// An original that is asked for too early is not kept as an empty message, and a
// later filter's is kept.
func TestKeepBeforeTheMessageIsThere(t *testing.T) {
	early := &filter.Filter{Name: "early", Needs: filter.Needs{Originals: true},
		Rcpt: func(ctx context.Context, tr *filter.Transaction, to filter.Path) (milter.RcptReply, error) {
			if to.Local == "a" {
				if _, err := tr.Keep(ctx, "early"); !errors.Is(err, filter.ErrEarly) {
					t.Errorf("Keep at RCPT: %v", err)
				}
			}
			return milter.Continue, nil
		}}
	c := newChainTest(filter.Step{Filter: early, OnError: filter.ErrorSkip}, filter.Step{Filter: keeper("late")})
	c.Originals, c.mail.Data = openStore(t, quarantine.Options{}), []byte(exeMail)
	r := c.send(t)
	entries, texts := originals(t, c.Originals)
	if line(r) != "accept" || len(r.Envelope.Rcpts) != 2 || len(entries) != 1 || texts[0] != exeMail {
		t.Errorf("%s to %v, kept %q", line(r), r.Envelope.Rcpts, texts)
	}
	if len(entries) == 1 && (entries[0].Filter != "late" || entries[0].Reason != "rule 7 met in evil.exe" || entries[0].Explanation != c.told[0].Ref || c.told[0].Kept != entries[0].Ref) {
		t.Errorf("kept %+v, explained %s", entries[0], c.told[0])
	}
}

func TestKeepWithoutNeeds(t *testing.T) {
	c := newChainTest(filter.Step{Filter: onMessage("f", func(ctx context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		_, err := tr.Keep(ctx, "x")
		if !errors.Is(err, filter.ErrNeeds) || !strings.Contains(err.Error(), "Originals") {
			t.Errorf("Keep: %v", err)
		}
		return nil, err
	})})
	c.Originals = openStore(t, quarantine.Options{})
	c.send(t)
}

// What cannot be kept must not go on, whatever is said of failures and whether or
// not the filter minds.
func TestKeepThatFails(t *testing.T) {
	for _, minds := range []bool{true, false} {
		for _, onError := range []filter.OnError{filter.ErrorTempFail, filter.ErrorReject, filter.ErrorAccept, filter.ErrorSkip} {
			f := keeper("keeps")
			if !minds {
				f.Message = func(ctx context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
					tr.Keep(ctx, "x")
					return milter.Accept, e.AddHeader("X-Mark", "careless")
				}
			}
			c := newChainTest(filter.Step{Filter: f, OnError: onError, OnRepeat: filter.RepeatSkip}, filter.Step{Filter: mark("after")})
			c.Originals = openStore(t, quarantine.Options{MaxBytes: 10})
			for range 4 {
				if got := line(c.send(t)); got != "tempfail 452 4.3.1 Message cannot be stored now, please try again later (ref)" {
					t.Errorf("%v, error returned %v: %s", onError, minds, got)
				}
			}
			if !strings.Contains(c.told[0].String(), `"decision":"failed"`) {
				t.Errorf("explanation %s", c.told[0])
			}
		}
	}
}

// A message that filters leave without a recipient goes to nobody: it is kept, or the
// client comes again.
func TestNoRecipientIsLeft(t *testing.T) {
	drops := &filter.Filter{Name: "drops", Needs: filter.Needs{Actions: milter.CanDeleteRcpt}, Message: func(_ context.Context, tr *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		var err error
		for _, r := range tr.Rcpts() {
			err = errors.Join(err, e.DeleteRcpt(r.Raw))
		}
		return milter.Accept, err
	}}
	const later = "tempfail 452 4.3.1 Message cannot be stored now, please try again later (ref)"
	for _, tt := range []struct {
		name  string
		store *quarantine.Store
		want  string
		kept  int
	}{
		{"a place for it", openStore(t, quarantine.Options{}), "accept", 1},
		{"no place for it", nil, later, 0},
		{"a full place", openStore(t, quarantine.Options{MaxBytes: 10}), later, 0},
	} {
		c := newChainTest(filter.Step{Filter: drops})
		c.Originals = tt.store
		r := c.send(t)
		if got := line(r); got != tt.want || r.Verdict == mta.Accept && len(r.Envelope.Rcpts) != 0 {
			t.Errorf("%s: %s to %v", tt.name, got, r.Envelope.Rcpts)
		}
		if !strings.Contains(c.told[0].String(), "no recipient is left") {
			t.Errorf("%s: explanation %s", tt.name, c.told[0])
		}
		if tt.store == nil {
			continue
		}
		entries, _ := originals(t, tt.store)
		if len(entries) != tt.kept || tt.kept > 0 && c.told[0].Kept != entries[0].Ref {
			t.Errorf("%s: kept %v, explained %s", tt.name, entries, c.told[0])
		}
	}
}

// A message on which a filter failed is kept, whatever the filter looks at, and the
// explanation says where.
func TestFailedMessageIsKept(t *testing.T) {
	for _, needs := range []filter.Needs{{}, {Header: true}, {Body: true}} {
		c := newChainTest(filter.Step{Filter: &filter.Filter{Name: "bad", Needs: needs,
			Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) { panic("oops") }}})
		c.Originals = openStore(t, quarantine.Options{})
		for range 4 {
			c.send(t)
		}
		entries, texts := originals(t, c.Originals)
		if len(entries) != 3 || c.Repeated() != 2 || texts[0] != aMessage {
			t.Errorf("%+v: %d are kept, %d failed again and again: %q", needs, len(entries), c.Repeated(), texts)
			continue
		}
		x := c.told[0]
		if o := x.Filters[0]; x.Kept != entries[0].Ref || o.Kept != x.Kept || !strings.Contains(o.Failed, "oops") {
			t.Errorf("%+v: explanation %s", needs, x)
		}
	}
}

// In report mode nothing is kept, and a chain that decides by no message is not
// sent the body.
func TestBodyIsAskedForWhereItMayBeKept(t *testing.T) {
	message := func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
		return milter.Accept, nil
	}
	rcpt := func(context.Context, *filter.Transaction, filter.Path) (milter.RcptReply, error) {
		return milter.Continue, nil
	}
	for _, tt := range []struct {
		name string
		step filter.Step
		want bool
	}{
		{"Message hook", filter.Step{Filter: &filter.Filter{Name: "f", Message: message}}, true},
		{"report mode", filter.Step{Filter: &filter.Filter{Name: "f", Message: message}, Mode: filter.Report}, false},
		{"earlier hook", filter.Step{Filter: &filter.Filter{Name: "f", Rcpt: rcpt}}, false},
	} {
		c := newChainTest(tt.step)
		c.Originals = openStore(t, quarantine.Options{})
		sent := false
		c.client.Trace = func(p mta.Packet) { sent = sent || p.Sent && p.Code == 'B' }
		if c.send(t); sent != tt.want {
			t.Errorf("%s: the body is sent: %v", tt.name, sent)
		}
	}
}

// A client that is told to come again does not fill the place for originals.
func TestTriesOfOneMessageKeepOneOriginal(t *testing.T) {
	later := onMessage("later", func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
		return milter.TempFail(451, "4.7.1", "come again"), nil
	})
	c := newChainTest(filter.Step{Filter: keeper("keeps")}, filter.Step{Filter: later})
	c.Originals = openStore(t, quarantine.Options{})
	var refs []string
	for i := range 10 {
		c.client.QueueID = func() string { return fmt.Sprint("Q", i) }
		c.send(t)
		refs = append(refs, c.told[0].Kept)
	}
	c.mail.Rcpts = c.mail.Rcpts[:2]
	c.send(t)
	entries, _ := originals(t, c.Originals)
	if len(entries) != 2 || len(slices.Compact(refs)) != 1 || refs[0] == "" || refs[0] == c.told[0].Kept {
		t.Errorf("%d are kept, explained as %q and %q for other recipients", len(entries), refs, c.told[0].Kept)
	}
}

// What a filter failed on is known to the next process, and is not taken for what
// another filter failed on.
func TestFailuresAreCountedAcrossRestarts(t *testing.T) {
	dir := t.TempDir() + "/kept"
	for _, bad := range []string{"a", "b"} {
		for i, want := range []bool{false, false, true, true} {
			s, err := quarantine.Open(dir, quarantine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var steps []filter.Step
			for _, name := range []string{"a", "b"} {
				steps = append(steps, filter.Step{OnRepeat: filter.RepeatQuarantine,
					Filter: onMessage(name, func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
						if name == bad {
							panic("oops")
						}
						return milter.Continue, nil
					})})
			}
			c := newChainTest(steps...)
			c.Originals = s
			if r := c.send(t); (r.Quarantine != nil) != want {
				t.Errorf("%s, try %d: %s, held %v", bad, i+1, line(r), r.Quarantine)
			}
		}
	}
}
