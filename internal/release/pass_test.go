package release

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// spoil is a filter that changes every message.
var spoil = &filter.Filter{Name: "spoil", Needs: filter.Needs{Actions: milter.CanChangeBody},
	Message: func(_ context.Context, _ *filter.Transaction, e *filter.Edits) (milter.EndReply, error) {
		return milter.Accept, e.ReplaceBody(strings.NewReader("spoilt\r\n"))
	}}

func TestPass(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		m, c := open(t, Options{})
		var log bytes.Buffer
		m.o.Log = slog.New(slog.NewTextHandler(&log, nil))
		var told []*filter.Explanation
		chain := &filter.Chain{Steps: []filter.Step{{Filter: spoil}}, Pass: m.Pass, Explain: func(x *filter.Explanation) { told = append(told, x) }, Log: slog.New(slog.DiscardHandler)}
		client := miltertest.New(t, &milter.Server{New: chain.Hooks})
		client.Profile = profile

		fresh := Field + ":" + marked(t, m, original)
		old := Field + ":" + marked(t, m, original)
		void := Field + ": " + strings.Repeat("x", 500) + "\r\n"
		spoilt := strings.SplitAfter(original, "\r\n\r\n")[0] + "spoilt\r\n"
		for _, tt := range []struct {
			name, msg, want string
			why             string // of the hook, in the explanation
			log             string
		}{
			{"without a mark", original, spoilt, "", ""},
			{"with a good mark", fresh + original, original, "released " + ref, `level=INFO msg="original released"`},
			{"with the same again", fresh + original, spoilt, "mark of a release ignored: it was used before", "level=WARN"},
			{"with a void one", void + original, spoilt, "mark of a release ignored: it has not the form of a mark", "why=\"it has not the form of a mark\""},
			{"with a good one below a void one", void + old + original, spoilt, "mark of a release ignored: it has not the form of a mark", "marks=2"},
			{"with void ones below a good one", old + strings.ToLower(void) + "X-Other: 1\r\n" + void + original, "X-Other: 1\r\n" + original, "released " + ref, "marks=3"},
		} {
			log.Reset()
			told = nil
			res := client.Send(t, miltertest.Mail{Text: tt.msg})
			if got := string(res.Message.Bytes()); res.Verdict != mta.Accept || got != tt.want {
				t.Errorf("%s: %s\n%s\nwant\n%s", tt.name, res.Verdict, got, tt.want)
			}
			why := ""
			for _, f := range told[0].Filters {
				if f.Name == "pass" {
					why = f.Why
				}
			}
			if why != tt.why {
				t.Errorf("%s: explained as %q, want %q", tt.name, why, tt.why)
			}
			if !strings.Contains(log.String(), tt.log) || tt.log == "" && log.Len() > 0 {
				t.Errorf("%s: log %q, want %q in it", tt.name, log.String(), tt.log)
			}
		}

		late := Field + ":" + marked(t, m, original)
		c.t = c.t.Add(time.Hour)
		if res := client.Send(t, miltertest.Mail{Text: late + original}); string(res.Message.Bytes()) != spoilt {
			t.Errorf("with a mark that has expired:\n%s", res.Message.Bytes())
		}

		fresh = Field + ":" + marked(t, m, original)
		if err := os.RemoveAll(filepath.Join(m.dir, usedDir)); err != nil {
			t.Fatal(err)
		}
		if res := client.Send(t, miltertest.Mail{Text: fresh + original}); res.Verdict != mta.TempFail {
			t.Errorf("when it cannot be found out whether a mark was used: %s", res.Verdict)
		}
	})
}

// A header full of marks is taken out at little cost.
func TestManyMarks(t *testing.T) {
	m, _ := open(t, Options{})
	chain := &filter.Chain{Steps: []filter.Step{{Filter: spoil}}, Pass: m.Pass, Explain: func(*filter.Explanation) {}}
	client := miltertest.New(t, &milter.Server{New: chain.Hooks})
	var b strings.Builder
	for i := range 450 {
		fmt.Fprintf(&b, "%s: %d\r\nX-%d: x\r\n", Field, i, i%50)
	}
	res := client.Send(t, miltertest.Mail{Text: b.String() + original})
	if _, left := res.Message.Header.Get(Field); left || res.Verdict != mta.Accept {
		t.Errorf("%s, marks are left: %v", res.Verdict, left)
	}
	if got, want := len(res.Message.Header), 450+4; got != want {
		t.Errorf("%d fields are left, want %d", got, want)
	}
}
