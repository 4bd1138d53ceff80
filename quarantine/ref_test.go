package quarantine

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func TestReferencesSortByTimeAndTellIt(t *testing.T) {
	prev := ""
	seen := map[string]bool{}
	for _, at := range []time.Time{{}, time.UnixMilli(0), time.UnixMilli(1), noon, noon.Add(time.Millisecond), noon.AddDate(100, 0, 0)} {
		for range 100 {
			ref := newRef(at)
			if !ValidRef(ref) || seen[ref] {
				t.Errorf("reference %q of %v", ref, at)
			}
			seen[ref] = true
			if at.UnixMilli() > 0 && !timeOf(ref).Equal(at.Truncate(time.Millisecond)) {
				t.Errorf("%q of %v tells %v", ref, at, timeOf(ref))
			}
			if ref[:refTime] < prev {
				t.Errorf("%q of %v sorts before %q", ref, at, prev)
			}
			prev = ref[:refTime]
		}
	}
}

// MIME-12: a reference is all that is shown of where an original is, and it is no path.
func TestReferencesFromOutside(t *testing.T) {
	s := openTest(t, Options{})
	good := newRef(noon)
	for _, ref := range []string{
		"", ".", "..", "/etc/passwd", "../" + good[3:], good[:17] + "/..", "./" + good[2:], good + ".eml", good[1:], good + "0", strings.ToUpper(good), good[:19] + "\x00", good[:19] + "/", good[:19] + "l",
		strings.Repeat("../", 6) + "ab", "                    ", good[:18] + "é",
	} {
		if ValidRef(ref) {
			t.Errorf("ValidRef(%q)", ref)
		}
		if _, _, err := s.Get(ref); !errors.Is(err, ErrRef) {
			t.Errorf("Get(%q): %v", ref, err)
		}
		if err := s.Remove(ref); !errors.Is(err, ErrRef) {
			t.Errorf("Remove(%q): %v", ref, err)
		}
	}
	if _, _, err := s.Get(good); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrRef) {
		t.Errorf("Get of nothing: %v", err)
	}
	if err := s.Remove(good); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove of nothing: %v", err)
	}
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{"", newRef(noon), "../../../../../../..", strings.Repeat("z", 20), newRef(noon) + ".eml.tmp", newRef(noon) + "/../x.json"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ValidRef(s) {
			if strings.Trim(s, alphabet) != "" || len(s) != 20 {
				t.Errorf("ValidRef(%q)", s)
			}
			timeOf(s)
		}
		if ref, kind, ok := split(s); ok && (!ValidRef(ref) || ref+kind != s || strings.ContainsAny(s, "/\\\x00")) {
			t.Errorf("split(%q) = %q, %q", s, ref, kind)
		}
	})
}

func ExampleValidRef() {
	fmt.Println(ValidRef("01hc5k3v70abcdefghjk"), ValidRef("../../etc/passwd"))
	// Output: true false
}
