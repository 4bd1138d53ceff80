package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVisitSteersTheWalk(t *testing.T) {
	inner := string(zipped(t, file{"c.exe", payloadExe}))
	b := zipped(t, file{"a.txt", payloadText}, file{"b.zip", inner}, file{"d.txt", payloadText})
	errStop := errors.New("enough")
	for _, tt := range []struct {
		name  string
		at    string
		give  error
		names []string
		err   error
	}{
		{"go on", "", nil, []string{"a.txt", "b.zip", "c.exe", "d.txt"}, nil},
		{"do not look inside", "b.zip", fs.SkipDir, []string{"a.txt", "b.zip", "d.txt"}, nil},
		{"stop", "b.zip", fs.SkipAll, []string{"a.txt", "b.zip"}, nil},
		{"stop inside", "c.exe", fs.SkipAll, []string{"a.txt", "b.zip", "c.exe"}, nil},
		{"fail", "a.txt", errStop, []string{"a.txt"}, errStop},
		{"fail inside", "c.exe", errStop, []string{"a.txt", "b.zip", "c.exe"}, errStop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var names []string
			r, err := Walk(t.Context(), bytes.NewReader(b), "a.zip", Limits{}, func(m Member) error {
				names = append(names, m.Name)
				if m.Name == tt.at {
					return tt.give
				}
				return nil
			})
			if diff := cmp.Diff(tt.names, names); diff != "" || err != tt.err || r.Members != len(names) || len(r.Findings) > 0 {
				t.Errorf("names -want +got\n%serror %v, report %+v", diff, err, r)
			}
		})
	}
}

func TestWalkEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := zipped(t, file{"a.txt", payloadText}, file{"b.txt", payloadText})
	r, err := Walk(ctx, bytes.NewReader(b), "a.zip", Limits{}, func(m Member) error {
		cancel()
		if h := m.Head(); h != nil {
			t.Errorf("Head = %q after the context's end", h)
		}
		return nil
	})
	if err != context.Canceled || r.Members != 1 {
		t.Errorf("error %v, members %d", err, r.Members)
	}
}

// flaky can be read n times.
type flaky struct {
	Source
	n *int
}

func (f flaky) ReadAt(p []byte, off int64) (int, error) {
	if *f.n--; *f.n < 0 {
		return 0, errBroken
	}
	return f.Source.ReadAt(p, off)
}

// TestWalkReturnsErrorsOfTheSource breaks the source at each of its reads, for each kind.
func TestWalkReturnsErrorsOfTheSource(t *testing.T) {
	for _, file := range packed(t) {
		name, b := load(t, file)
		for n := 0; ; n++ {
			left := n
			_, err := Walk(t.Context(), flaky{bytes.NewReader(b), &left}, name, Limits{}, func(m Member) error {
				m.Head()
				return nil
			})
			if left >= 0 {
				if err != nil || n == 0 {
					t.Errorf("%s: error %v after %d reads", name, err, n)
				}
				break
			}
			if !errors.Is(err, errBroken) {
				t.Errorf("%s: read %d broken: error = %v", name, n, err)
			}
		}
	}
}

// brokenSpool breaks at a write.
type brokenSpool struct {
	spool
	writes *int
	closed *int
}

func (s *brokenSpool) Write(p []byte) (int, error) {
	if *s.writes--; *s.writes < 0 {
		return 0, errBroken
	}
	return s.spool.Write(p)
}

func (s *brokenSpool) Close() error {
	*s.closed++
	return s.spool.Close()
}

func TestSpoolsAreTheCallers(t *testing.T) {
	// Two archives, and a program, which is looked through as well.
	b := zipped(t, file{"b.zip", string(zipped(t, file{"c.zip", string(zipped(t, file{strings.Repeat("d", 50_000), payloadExe}))}))})
	for writes := 0; ; writes++ {
		opened, closed, left := 0, 0, writes
		r, err := Walk(t.Context(), bytes.NewReader(b), "a.zip", Limits{Spool: func() (Spool, error) {
			opened++
			return &brokenSpool{spool{memory: 1000}, &left, &closed}, nil
		}}, func(Member) error { return nil })
		if opened != closed {
			t.Errorf("%d spools opened, %d closed", opened, closed)
		}
		if left >= 0 {
			if err != nil || r.Members != 3 || opened != 3 {
				t.Errorf("error %v, report %+v, %d spools", err, r, opened)
			}
			break
		}
		if !errors.Is(err, errBroken) {
			t.Errorf("write %d broken: error = %v", writes, err)
		}
	}
	_, err := Walk(t.Context(), bytes.NewReader(b), "a.zip", Limits{Spool: func() (Spool, error) { return nil, errBroken }}, func(Member) error { return nil })
	if !errors.Is(err, errBroken) {
		t.Errorf("no spool: error = %v", err)
	}
}

func TestHeadIsLentUntilVisitReturns(t *testing.T) {
	long := strings.Repeat("MZ0123456789", 1000)
	b := zipped(t, file{"a.exe", long}, file{"b.exe", payloadExe})
	var kept []Member
	if _, err := Walk(t.Context(), bytes.NewReader(b), "a.zip", Limits{}, func(m Member) error {
		if m.Name == "a.exe" && string(m.Head()) != long[:3072] {
			t.Errorf("Head is %d bytes", len(m.Head()))
		}
		kept = append(kept, m)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, m := range kept {
		if h := m.Head(); h != nil {
			t.Errorf("%s: Head = %d bytes behind visit", m.Name, len(h))
		}
	}
	if h := (Member{}).Head(); h != nil {
		t.Errorf("Head of no member = %q", h)
	}
}

// TestAPanicOfVisitIsTheCallers wants panics of a library in, and those of visit out.
func TestAPanicOfVisitIsTheCallers(t *testing.T) {
	b := zipped(t, file{"b.zip", string(zipped(t, file{"c.exe", payloadExe}))})
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("recovered %v", p)
			}
		}()
		Walk(t.Context(), bytes.NewReader(b), "a.zip", Limits{}, func(m Member) error {
			if m.Name == "c.exe" {
				panic("mine")
			}
			return nil
		})
		t.Error("no panic came out")
	}()
}

func TestAPanicOfALibraryIsDamage(t *testing.T) {
	w := &walk{ctx: t.Context(), l: Limits{}.filled(), visit: func(m Member) error { m.Head(); return nil }}
	w.end = w.l.Now().Add(w.l.Time)
	c := &container{w: w, kind: Zip, path: []string{"a.zip"}}
	w.at = c
	for _, open := range []func() (io.ReadCloser, error){
		func() (io.ReadCloser, error) { panic("at open") },
		func() (io.ReadCloser, error) { return panics{}, nil },
	} {
		c.noted = nil
		if err := c.member(entry{names: []string{"a.zip"}, size: 10, open: open}); err != nil {
			t.Errorf("error = %v", err)
		}
	}
	c = &container{w: w, kind: ISO, path: []string{"a.iso"}} // without a source it panics
	w.at = c
	if err := c.list(); err != nil {
		t.Errorf("error = %v", err)
	}
	if n := len(w.rep.Findings); n != 3 || !w.rep.Has(Corrupt) {
		t.Errorf("findings %+v, want three of damage", w.rep.Findings)
	}
}

// panics is content whose reader panics.
type panics struct{}

func (panics) Read([]byte) (int, error) { panic("at read") }
func (panics) Close() error             { panic("at close") }

func TestFindingsNameTheArchive(t *testing.T) {
	bad := string(zipped(t, file{"c.exe", payloadExe}))
	b := zipped(t, file{"b.zip", bad[:40]})
	_, r := walked(t, b, "a.zip", Limits{})
	want := []Finding{{What: Truncated, Kind: Zip, Path: []string{"a.zip", "b.zip"}}}
	for i := range r.Findings {
		r.Findings[i].Detail, r.Findings[i].Member = "", ""
	}
	if diff := cmp.Diff(want, r.Findings); diff != "" {
		t.Errorf("findings -want +got\n%s", diff)
	}
	if r.Kind != Zip || !r.Has(Truncated) || r.Has(Corrupt) || r.Hit(DepthLimit) {
		t.Errorf("report %+v", r)
	}
}
