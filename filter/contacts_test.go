package filter_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
)

// In report mode a filter that contacts others is not asked at any stage.
func TestReportModeContactsNobody(t *testing.T) {
	var asked atomic.Int32
	f := &filter.Filter{Name: "outward", Contacts: true, Needs: filter.Needs{Header: true},
		Connect: func(context.Context, *filter.Connection) (milter.ConnectReply, error) {
			asked.Add(1)
			return milter.Continue, nil
		},
		Helo: func(context.Context, *filter.Connection) (milter.HeloReply, error) {
			asked.Add(1)
			return milter.Continue, nil
		},
		Mail: func(context.Context, *filter.Transaction) (milter.MailReply, error) {
			asked.Add(1)
			return milter.Continue, nil
		},
		Rcpt: func(context.Context, *filter.Transaction, filter.Path) (milter.RcptReply, error) {
			asked.Add(1)
			return milter.Continue, nil
		},
		Data: func(context.Context, *filter.Transaction) (milter.DataReply, error) {
			asked.Add(1)
			return milter.Continue, nil
		},
		Message: func(context.Context, *filter.Transaction, *filter.Edits) (milter.EndReply, error) {
			asked.Add(1)
			return milter.Accept, nil
		},
	}
	for _, tt := range []struct {
		mode  filter.Mode
		asked int32
	}{{filter.On, 8}, {filter.Report, 0}} { // once for each of three recipients
		asked.Store(0)
		c := newChainTest(filter.Step{Filter: f, Mode: tt.mode})
		if r := c.send(t); line(r) != "accept" {
			t.Errorf("%v: %s", tt.mode, line(r))
		}
		if got := asked.Load(); got != tt.asked {
			t.Errorf("%v: asked %d times, want %d", tt.mode, got, tt.asked)
		}
		x := c.told[0].String()
		if says := strings.Contains(x, `"name":"outward","stage":"end","decision":"continue","report":true,"why":"not asked: in report mode nobody is contacted"`); says != (tt.mode == filter.Report) {
			t.Errorf("%v: explanation is %s", tt.mode, x)
		}
	}
}
