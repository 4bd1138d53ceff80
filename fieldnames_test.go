package milter

import (
	"strings"
	"testing"
)

func TestFieldNames(t *testing.T) {
	f := fieldNamesPool.Get().(*fieldNames)
	long := strings.Repeat("Very-Long-", 10)
	for _, name := range []string{"Subject", "X", "subject", long, "x^", "SUBJECT", ""} {
		f.add([]byte(name))
	}
	for name, want := range map[string]int{"Subject": 3, "sUBJECT": 3, "X": 1, strings.ToUpper(long): 1, "x~": 0, "X^": 1, "Subjec": 0, "": 1} {
		if got := f.count(name); got != want {
			t.Errorf("%d fields %q, want %d", got, name, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { f.count("Content-Transfer-Encoding") }); n != 0 {
		t.Errorf("count allocates %v times", n)
	}
	var none *fieldNames
	if none.count("X") != 0 {
		t.Error("no names have one")
	}
	none.release()
	large := make(fieldNames, 2<<10)
	large.release()
	if len(large) == 0 {
		t.Error("uncommonly large room was taken back")
	}
}
