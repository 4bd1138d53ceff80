package archive

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContent(t *testing.T) {
	long := strings.Repeat("all of it ", 20_000)
	deflated := zipped(t, file{"a.txt", long})
	broken := bytes.Clone(deflated)
	copy(broken[200:], "broken broken broken")
	for _, tt := range []struct {
		name, file string
		in         []byte
		l          Limits
		want       string
		cut        bool
		what       []What
	}{
		{"unpacked", "a.zip", deflated, Limits{}, long, false, nil},
		{"as it lies there", "a.tar", tarred(t, file{"a.txt", long}), Limits{}, long, false, nil},
		{"short", "a.zip", zipped(t, file{"a.txt", "short"}), Limits{}, "short", false, nil},
		{"nothing", "a.zip", zipped(t, file{"a.txt", ""}), Limits{}, "", false, nil},
		{"a stream", "a.gz", gzipped(t, "", []byte(long)), Limits{}, long, false, nil},
		{"broken", "a.zip", broken, Limits{}, long, true, []What{Corrupt}},
		{"beyond a limit", "a.gz", gzipped(t, "", []byte(long)), Limits{Unpacked: 150_000}, long, true, []What{LimitHit}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var kept Member
			r, err := Walk(t.Context(), bytes.NewReader(tt.in), tt.file, tt.l, func(m Member) error {
				kept = m
				for range 2 {
					src := m.Content()
					got, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
					if err != nil || string(got) != tt.want && !tt.cut || !strings.HasPrefix(tt.want, string(got)) && tt.name != "broken" || int64(len(got)) > 150_000 && tt.l.Unpacked > 0 {
						t.Errorf("Content is %d bytes, %v, want %d", len(got), err, len(tt.want))
					}
				}
				return nil
			})
			if err != nil || r.Members != 1 {
				t.Errorf("%d members, %v", r.Members, err)
			}
			checkWhat(t, r, tt.what)
			if kept.Content() != nil {
				t.Error("Content can be read behind visit")
			}
		})
	}
	if (Member{}).Content() != nil {
		t.Error("no member has content")
	}
}

// Who takes all of a member's content does not keep the walk from looking into it.
func TestContentOfAnArchive(t *testing.T) {
	var got []string
	inner := zipped(t, file{"b.txt", strings.Repeat("b", 100_000)})
	_, err := Walk(t.Context(), bytes.NewReader(zipped(t, file{"a.zip", string(inner)})), "x.zip", Limits{}, func(m Member) error {
		got = append(got, m.Name)
		if src := m.Content(); m.Name == "a.zip" && src.Size() != int64(len(inner)) {
			t.Errorf("Content is %d bytes, want %d", src.Size(), len(inner))
		}
		return nil
	})
	if diff := cmp.Diff([]string{"a.zip", "b.txt"}, got); diff != "" || err != nil {
		t.Errorf("%v, names -want +got\n%s", err, diff)
	}
}

// A spool that fails ends the walk with its error.
func TestContentWithoutRoom(t *testing.T) {
	_, err := Walk(t.Context(), bytes.NewReader(gzipped(t, "", []byte("x"))), "a.gz", Limits{Spool: func() (Spool, error) { return nil, errBroken }}, func(m Member) error {
		if src := m.Content(); src != nil {
			t.Errorf("Content = %v", src)
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), errBroken.Error()) {
		t.Errorf("error = %v", err)
	}
}
