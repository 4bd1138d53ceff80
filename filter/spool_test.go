package filter_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// What a filter spools goes where the chain says, and what is in memory is bounded by
// the chain.
func TestSpoolIsThatOfTheChain(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", "/nonexistent")
	var asked bool
	f := onMessage("f", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		asked = true
		if o := tr.MIME(); o.Dir != dir || o.MaxDepth != 7 {
			t.Errorf("MIME limits %+v", o)
		}
		s := tr.NewSpool()
		if _, err := s.Write(make([]byte, 100)); err != nil || !s.InMemory() {
			t.Errorf("a little: in memory %v, %v", s.InMemory(), err)
		}
		if _, err := s.Write(make([]byte, 1)); err != nil || s.InMemory() {
			t.Errorf("more: in memory %v, %v", s.InMemory(), err)
		}
		return milter.Accept, tr.FreeSpool(s)
	})
	c := newChainTest(filter.Step{Filter: f})
	c.Memory, c.Dir, c.MIME.MaxDepth = 100, dir, 7
	c.mail.Data = []byte("Subject: x\r\n\r\n" + strings.Repeat("x", 50) + "\r\n")
	if r := c.send(t); !asked || line(r) != "accept" {
		t.Errorf("asked %v: %s", asked, line(r))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	other := t.TempDir()
	c = newChainTest(filter.Step{Filter: onMessage("f", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		if tr.MIME().Dir != other {
			t.Errorf("the folder of MIME is %q", tr.MIME().Dir)
		}
		return milter.Accept, nil
	})})
	c.Dir, c.MIME.Dir = dir, other
	c.send(t)
}
