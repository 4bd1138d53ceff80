package filter_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
)

// A filter that verifies takes out what was forged in our name and adds what is true; what
// others wrote it cannot change.
func TestVerifyingFilterAddsAndDeletes(t *testing.T) {
	for _, profile := range []mta.Profile{mta.Sendmail, mta.Postfix} {
		var changed error
		verify := &filter.Filter{
			Name: "verify", Kind: filter.Verifies,
			Needs: filter.Needs{Header: true, Actions: milter.CanAddHeaders | milter.CanChangeHeaders},
			Message: func(_ context.Context, t *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
				changed = e.ChangeHeader("Subject", 1, "another")
				return milter.Accept, errors.Join(e.DeleteHeader("X-Mark", 2), e.InsertHeader(0, "X-Mark", "true"))
			},
		}
		c := newChainTest(filter.Step{Filter: verify})
		c.client.Profile = profile
		c.mail.Data = []byte("X-Mark: kept\r\nX-Mark: forged\r\nSubject: one\r\n\r\nHello.\r\n")
		var got []string
		for _, f := range c.send(t).Message.Header {
			got = append(got, f.Name()+":"+string(f.Value()))
		}
		if want := []string{"X-Mark: true", "X-Mark: kept", "Subject: one"}; !slices.Equal(got, want) {
			t.Errorf("%v: header %q, want %q", profile, got, want)
		}
		if !errors.Is(changed, milter.ErrEdit) {
			t.Errorf("%v: ChangeHeader error = %v, want one that wraps ErrEdit", profile, changed)
		}
	}
}

// Blanks behind the colon are there where the MTA shows them, and the filter is told where it
// does not.
func TestExactHeader(t *testing.T) {
	for _, tt := range []struct {
		version uint32
		exact   bool
		value   string
	}{{6, true, "two  "}, {5, false, " two  "}, {2, false, " two  "}} {
		for _, profile := range []mta.Profile{mta.Sendmail, mta.Postfix} {
			var exact bool
			var value string
			look := &filter.Filter{
				Name: "look", Needs: filter.Needs{Header: true},
				Message: func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
					f, _ := t.Received().Header.Get("Subject")
					exact, value = t.ExactHeader(), string(f.Value())
					return milter.Accept, nil
				},
			}
			c := newChainTest(filter.Step{Filter: look})
			c.client.Profile, c.client.Version = profile, tt.version
			c.mail.Data = []byte("Subject:two  \r\n\r\nHello.\r\n")
			c.send(t)
			if exact != tt.exact || value != tt.value {
				t.Errorf("%v, version %d: exact %v, %q; want %v, %q", profile, tt.version, exact, value, tt.exact, tt.value)
			}
		}
	}
}
