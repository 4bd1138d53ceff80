package offline

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A read is what became of one message of an mbox.
type read struct{ line, text string }

// readMbox reads all messages of an mbox, through a buffer of a size.
func readMbox(r io.Reader, f Format, size int, most int64) (got []read, err error) {
	room := newBudget(most)
	box := newMbox(bufio.NewReaderSize(r, size), f)
	for {
		b := &buffer{ctx: context.Background(), room: room, max: most}
		line, err := box.next(b)
		switch {
		case err == io.EOF:
			if room.free != most {
				return got, errors.New("memory was not given back")
			}
			return got, nil
		case err == ErrTooLarge:
			got = append(got, read{line, "too large"})
		case err != nil:
			return got, err
		default:
			got = append(got, read{line, string(b.b)})
		}
		b.drop()
	}
}

func TestMbox(t *testing.T) {
	const sep = "From a@b Sun Nov 22 10:00:00 2026"
	for _, tt := range []struct {
		name, in string
		format   Format
		want     []read
		err      error
	}{
		{"two messages", sep + "\nA: b\n\none\n\nFrom c@d x\nA: b\n\ntwo\n\n", MboxRD, []read{{sep + "\n", "A: b\n\none\n"}, {"From c@d x\n", "A: b\n\ntwo\n"}}, nil},
		{"CRLF", sep + "\r\nA: b\r\n\r\none\r\n\r\nFrom c\r\nA: b\r\n\r\ntwo\r\n\r\n", MboxRD, []read{{sep + "\r\n", "A: b\r\n\r\none\r\n"}, {"From c\r\n", "A: b\r\n\r\ntwo\r\n"}}, nil},
		{"no empty line at the end", sep + "\nA: b\n\none\n", MboxRD, []read{{sep + "\n", "A: b\n\none\n"}}, nil},
		{"no line end at the end", sep + "\nA: b\n\none", MboxRD, []read{{sep + "\n", "A: b\n\none"}}, nil},
		{"empty lines at the end of messages", sep + "\nA: b\n\none\n\n\n\nFrom x\nA: c\n\n\n", MboxRD, []read{{sep + "\n", "A: b\n\none\n\n\n"}, {"From x\n", "A: c\n\n"}}, nil},
		{"From inside a paragraph", sep + "\nA: b\n\none\nFrom here on\n", MboxRD, []read{{sep + "\n", "A: b\n\none\nFrom here on\n"}}, nil},
		{"header alone", sep + "\nA: b\n\nFrom x\nA: c\n", MboxRD, []read{{sep + "\n", "A: b\n"}, {"From x\n", "A: c\n"}}, nil},
		{"messages of nothing", "From a\n\nFrom b\n\nFrom c", MboxRD, []read{{"From a\n", ""}, {"From b\n", ""}, {"From c", ""}}, nil},
		{"quotes of mboxrd", "From a\n\n>From x\n>>From y\n>>>From z\n> From w\n>from v\n>Frome\nx >From u\n", MboxRD, []read{{"From a\n", "\nFrom x\n>From y\n>>From z\n> From w\n>from v\n>Frome\nx >From u\n"}}, nil},
		{"quotes of mboxo", "From a\n\n>From x\n>>From y\n", MboxO, []read{{"From a\n", "\nFrom x\n>>From y\n"}}, nil},
		{"quote behind an empty line", "From a\nA: b\n\n>From x\n\n>From y\n", MboxRD, []read{{"From a\n", "A: b\n\nFrom x\n\nFrom y\n"}}, nil},
		{"bytes of all kinds", "From a\nA: \x00\xff\r\r\n\n\r\n\rx\n", MboxRD, []read{{"From a\n", "A: \x00\xff\r\r\n\n\r\n\rx\n"}}, nil},
		{"nothing", "", MboxRD, nil, nil},
		{"no mailbox", "A: b\n\none\n\nFrom x\n", MboxRD, nil, ErrMbox},
		{"cut in the first word", "Fro", MboxRD, nil, ErrMbox},
		{"a binary file", strings.Repeat("\x00", 300), MboxRD, nil, ErrMbox},
		{"a long line", "From a\n\n" + strings.Repeat("x", 300) + "From \n\nFrom b\n", MboxRD, []read{{"From a\n", "\n" + strings.Repeat("x", 300) + "From \n"}, {"From b\n", ""}}, nil},
		{"a long separator", "From " + strings.Repeat("x", 3000) + "\nA: b\n", MboxRD, []read{{"From " + strings.Repeat("x", 3000) + "\n", "A: b\n"}}, nil},
		{"one too large", "From a\nA: b\n\nFrom b\n" + strings.Repeat("0123456\n", 1000) + "\nFrom c\nA: c\n", MboxRD,
			[]read{{"From a\n", "A: b\n"}, {"From b\n", "too large"}, {"From c\n", "A: c\n"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{16, 100, mboxBuffer} {
				got, err := readMbox(strings.NewReader(tt.in), tt.format, size, 4000)
				if !errors.Is(err, tt.err) {
					t.Fatalf("buffer of %d: error %v, want %v", size, err, tt.err)
				}
				for i := range got {
					if i < len(tt.want) && strings.HasPrefix(tt.want[i].line, got[i].line) && len(got[i].line) >= min(size, maxSeparator) {
						got[i].line = tt.want[i].line // it is cut where it is long
					}
				}
				if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(read{})); d != "" {
					t.Errorf("buffer of %d (-want +got):\n%s", size, d)
				}
			}
		})
	}
}

// A reader that breaks costs the message at hand and those behind it.
func TestMboxThatBreaks(t *testing.T) {
	broken := errors.New("broken")
	text := "From a\nA: b\n\nFrom b\nA: c\n\n"
	for n := range len(text) {
		got, err := readMbox(io.MultiReader(strings.NewReader(text[:n]), errReader{broken}), MboxRD, mboxBuffer, 4000)
		if err != broken {
			t.Fatalf("after %d bytes: error %v", n, err)
		}
		if want := n >= len("From a\nA: b\n\nFrom b\n"); (len(got) == 1) != want {
			t.Errorf("after %d bytes: %d messages", n, len(got))
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

var manyQuotes = regexp.MustCompile(`>{40}`)

func FuzzMbox(f *testing.F) {
	for _, s := range []string{"From a\nA: b\n\none\n\nFrom b\nA: c\n\n>From x\n", "From \r\n\r\nFrom \r\n", "From a", "\n\nFrom b", ">From x\n\n\nFrom >"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 1 << 20
		if manyQuotes.Match(in) {
			return // a quote that is longer than the buffer is none
		}
		got, err := readMbox(bytes.NewReader(in), MboxRD, mboxBuffer, most)
		small, smallErr := readMbox(bytes.NewReader(in), MboxRD, 64, most)
		if err != smallErr || len(got) != len(small) {
			t.Fatalf("%q: %d messages, %v; with a small buffer %d, %v", in, len(got), err, len(small), smallErr)
		}
		if mailbox := bytes.HasPrefix(in, []byte("From ")); len(in) > 0 && mailbox != (err == nil) {
			t.Fatalf("%q: error %v", in, err)
		}
		size := 0
		for i, m := range got {
			if m.text != small[i].text {
				t.Fatalf("%q: message %d is %q, with a small buffer %q", in, i, m.text, small[i].text)
			}
			size += len(m.line) + len(m.text)
		}
		if size > len(in) {
			t.Fatalf("%q: %d bytes of messages from %d", in, size, len(in))
		}
		// What is put into a mailbox comes out again.
		for _, end := range []string{"\n", "\r\n"} {
			text := string(in)
			if !strings.HasSuffix(text, "\n") {
				text += end
			}
			quoted := regexp.MustCompile(`(?m)^>*From `).ReplaceAllString(text, ">$0")
			sep := "From a@b" + end
			again, err := readMbox(strings.NewReader(sep+quoted+end+sep+quoted+end), MboxRD, mboxBuffer, most)
			if d := cmp.Diff([]read{{sep, text}, {sep, text}}, again, cmp.AllowUnexported(read{})); d != "" || err != nil {
				t.Fatalf("%v (-put in +came out):\n%s", err, d)
			}
		}
	})
}
