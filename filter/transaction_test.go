package filter_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

const exeMail = "From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: application/octet-stream; name=evil.exe\r\n\r\nMZ\x01evil\r\n--b--\r\n"

// A filter that looks at the message before it is there is told so, and hides
// nothing from those that look in time.
func TestMessageLookedAtTooEarly(t *testing.T) {
	peek := &filter.Filter{Name: "peek", Needs: filter.Needs{Header: true, Body: true},
		Rcpt: func(_ context.Context, tr *filter.Transaction, _ filter.Path) (milter.RcptReply, error) {
			for _, m := range []*filter.Message{tr.Message(), tr.Received()} {
				if tree, err := m.Tree(); tree != nil || !errors.Is(err, filter.ErrEarly) {
					t.Errorf("at RCPT the tree is %v, %v", tree, err)
				}
				if len(m.Header) > 0 || m.Body != nil {
					t.Errorf("at RCPT there are %d fields and a body %v", len(m.Header), m.Body)
				}
			}
			return milter.Continue, nil
		}}
	parts := 0
	look := onMessage("look", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		tree, err := tr.Message().Tree()
		if err != nil {
			return nil, err
		}
		parts = len(tree.Root.Parts)
		return milter.Accept, nil
	})
	c := newChainTest(filter.Step{Filter: peek}, filter.Step{Filter: look})
	c.mail.Data = []byte(exeMail)
	if r := c.send(t); line(r) != "accept" || parts != 2 {
		t.Errorf("%s, %d parts", line(r), parts)
	}
}

type shape interface{ area() int }
type square struct{ side int }

func (s square) area() int { return s.side * s.side }

// A fact goes by the type that it is told as.
func TestFactsOfInterfaceTypes(t *testing.T) {
	newChainTest(filter.Step{Filter: onMessage("f", func(_ context.Context, tr *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
		filter.Tell[shape](tr, square{2})
		if s, ok := filter.Told[shape](tr); !ok || s.area() != 4 {
			t.Errorf("a fact of an interface type is %v, %v", s, ok)
		}
		if s, ok := filter.Told[square](tr); ok {
			t.Errorf("a fact that was told as another type: %v", s)
		}
		filter.Tell[shape](tr, nil)
		if s, ok := filter.Told[shape](tr); !ok || s != nil {
			t.Errorf("a nil fact is %v, %v", s, ok)
		}
		return milter.Accept, nil
	})}).send(t)
}
