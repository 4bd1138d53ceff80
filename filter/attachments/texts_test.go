package attachments

import (
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestBeginIsFoundInPieces(t *testing.T) {
	for in, want := range map[string]bool{"begin": true, "x\nbegin 644": true, "begi n": false, "bebegin": true, "": false, "a long text, begun": false} {
		for size := 1; size <= max(len(in), 1); size++ {
			var b beginFinder
			for s := in; s != ""; {
				n := min(size, len(s))
				if got, err := b.Write([]byte(s[:n])); got != n || err != nil {
					t.Fatal(got, err)
				}
				s = s[n:]
			}
			if b.found != want {
				t.Errorf("%q in pieces of %d: %v", in, size, b.found)
			}
		}
	}
}

func TestCalendarNames(t *testing.T) {
	long := strings.Repeat("x", 3*maxCalendarLine)
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"one", "ATTACH;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=a.exe:TVqQ\r\n", []string{"a.exe"}},
		{"the last line is not ended", "X\nATTACH;ENCODING=BASE64;FILENAME=a.exe:TVqQ", []string{"a.exe"}},
		{"in quotes", "ATTACH;VALUE=BINARY;FILENAME=\"a:b;c.exe\":TVqQ\n", []string{"a:b;c.exe"}},
		{"folded", "ATT\r\n ACH;VALUE=BI\r\n\tNARY;X-APPLE-FILENAME=a.e\r\n xe:TVqQ\r\nX:y\r\n", []string{"a.exe"}},
		{"behind a long one", "ATTACH;VALUE=BINARY;FILENAME=a.js:" + long + "\r\n " + long + "\r\nATTACH;VALUE=BINARY;FILENAME=b.js:x\r\n", []string{"a.js", "b.js"}},
		{"a link", "ATTACH;FILENAME=a.exe:https://example.com/a.exe\n", nil},
		{"no name", "ATTACH;VALUE=BINARY:TVqQ\n", nil},
		{"another property", "X-ATTACH;VALUE=BINARY;FILENAME=a.exe:x\nATTACHED;VALUE=BINARY;FILENAME=a.exe:x\n", nil},
		{"parameters beyond what is read of a line", "ATTACH;X=" + long + ";VALUE=BINARY;FILENAME=a.exe:x\n", nil},
		{"nothing", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := calendarNames(iotest.HalfReader(strings.NewReader(tt.in)))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, n := range got {
				names = append(names, n.Value)
			}
			if diff := cmp.Diff(tt.want, names); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
		})
	}
	if _, err := calendarNames(iotest.ErrReader(iotest.ErrTimeout)); err != iotest.ErrTimeout {
		t.Errorf("error %v", err)
	}
	many, err := calendarNames(strings.NewReader(strings.Repeat("ATTACH;VALUE=BINARY;FILENAME=a.txt:x\n", 5000)))
	if err != nil || len(many) != 1000 {
		t.Errorf("%d names, %v", len(many), err)
	}
}
