package filename_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gomilter/gomilter/internal/filename"
)

func TestReadings(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"what it seems", "a b.html", []string{"a b.html"}},
		{"capitals", "A.HTML", []string{"a.html"}},
		{"dropped at the end", "a.html. ;", []string{"a.html"}},
		{"a slash at the end", "a.html/", []string{"a.html", "a.html"}},
		{"a wildcard at the end", "a.html?", []string{"a.html"}},
		{"full width", "a.\uff48tml", []string{"a.html"}},
		{"a path", `c:\x/a.html`, []string{"c", "a.html"}},
		{"a stream", "a.html::$DATA", []string{"a.html", "$data", "a.html$data"}},
		{"cut by a NUL", "a.html\x00.txt", []string{"a.html", ".txt", "a.html.txt"}},
		{"written backwards", "a\u202elmth.x", []string{"almth.x", "x.htmla"}},
		{"an encoded dot", "a%2ehtml", []string{"a.html"}},
		{"nothing", ".;", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := filename.Readings(tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("Readings(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// Windows drops dots and blanks at the end.
func ExampleReadings() {
	fmt.Println(filename.Readings("Invoice.EXE . "))
	// Output: [invoice.exe]
}
