package headers

import (
	"strings"
	"testing"
)

// A log hides what stands in double quotes, which is the sender's: what the admin wrote
// must neither be in some nor hold one.
func TestByNamesTheEntryOfTheList(t *testing.T) {
	for _, tt := range []struct{ entry, want string }{
		{"", ""},
		{"viagra", ` by 'viagra'`},
		{`^adv[:.]|\bviagra\b`, ` by '^adv[:.]|\bviagra\b'`},
		{"Größe", ` by 'Größe'`},
		{`a "b" \"c`, ` by 'a \x22b\x22 \\\x22c'`},
		{"a\nb\u202e", ` by 'a\nb\u202e'`},
		{strings.Repeat("x", 81), ` by '` + strings.Repeat("x", 80) + `'...`},
	} {
		if got := (hit{entry: tt.entry}).by(); got != tt.want {
			t.Errorf("by of %q\n got %s\nwant %s", tt.entry, got, tt.want)
		}
	}
}

func TestMeetsTellsTheEntryOfTheList(t *testing.T) {
	for _, tt := range []struct {
		match Match
		not   bool
		want  string
	}{
		{Equal, false, "Cheap Stuff"}, {Contains, false, "CHEAP"}, {Prefix, false, "CHEAP"}, {Suffix, false, "STUFF"}, {Glob, false, "Cheap*"},
		{Regexp, false, "x|chea(p)"}, {Equal, true, ""},
	} {
		list := map[Match][]string{Equal: {"other", "Cheap Stuff"}, Contains: {"other", "CHEAP"}, Prefix: {"heap", "CHEAP", "Che"}, Suffix: {"cheap", "STUFF"},
			Glob: {"cheap", "Cheap*"}, Regexp: {"y", "x|chea(p)"}}[tt.match]
		if tt.not {
			list = []string{"other"}
		}
		c, err := compile(Rule{Fields: []string{"Subject"}, Match: tt.match, Values: list, Not: tt.not, Action: Note}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := c.meets(&values{plain: []string{"cheap stuff"}}, ""); !ok || h.entry != tt.want {
			t.Errorf("%v, not %v: met %v by %q, want %q", tt.match, tt.not, ok, h.entry, tt.want)
		}
	}
}
