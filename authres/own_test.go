package authres

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// What UTS 46 maps to an id is that id, character by character.
func TestOwnHasWhatUTS46Maps(t *testing.T) {
	step := rune(1)
	if testing.Short() {
		step = 17
	}
	for r := rune(0x80); r <= utf8.MaxRune; r += step {
		word := "a" + string(r) + "b.example"
		id, err := uts46.ToASCII(word)
		if err != nil || !utf8.ValidRune(r) || isUnseen(r) { // Bears leaves those out
			continue
		}
		if o := newOwn(id); !o.is(word) {
			t.Errorf("%q (%U) is mapped to %q and is not that", word, r, id)
		}
	}
}

func TestOwnIsWhatToASCIIFinds(t *testing.T) {
	word := rapid.StringOfN(rapid.RuneFrom([]rune("aAxX-n.1mẞßsſäÄéеｅ。．ﬁ①㎏각가ㄱ\u0308\u0323\u0301ệê\u0345ΐςΣK𝐚Åあパﾊ")), 1, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		w := word.Draw(t, "word")
		id, err := uts46.ToASCII(w)
		if err != nil || strings.Trim(id, ". ") == "" || trimID(id) != strings.TrimSuffix(id, ".") {
			t.Skip()
		}
		labels := strings.Split(strings.TrimSuffix(id, "."), ".")
		if u, err := uts46.ToUnicode(id); err == nil {
			for i, l := range strings.Split(strings.TrimSuffix(u, "."), ".") {
				if rapid.Bool().Draw(t, "as a U-label") {
					labels[i] = strings.ToUpper(l)
				}
			}
		}
		o := newOwn(id)
		for _, w := range []string{w, id, strings.ToUpper(id), strings.Join(labels, ".")} {
			if !o.is(w) {
				t.Fatalf("%+q is not %q (%+q)", w, id, o.read)
			}
		}
	})
}

// A message of 0.9 MB with the ids of others that have to be looked at costs less than one would notice.
func TestBearsIsCheap(t *testing.T) {
	var cjk strings.Builder
	for r := '\u4e00'; cjk.Len() < 960; r += 7 {
		cjk.WriteRune(r)
	}
	value := fmt.Sprintf("%s; x", cjk.String())
	began := time.Now()
	for range 900 {
		if Bears(value, "mx.example.com") {
			t.Fatal("it is not ours")
		}
	}
	if d := time.Since(began); d > time.Second { // 40 ms; 2.2 s where each was mapped
		t.Errorf("900 ids take %v", d)
	}
}
