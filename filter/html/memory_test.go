package html

import (
	"context"
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomilter/gomilter/message"
)

// repeated is a text of size bytes that takes no memory.
type repeated struct {
	text string
	left int64
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for p = p[:min(int64(len(p)), r.left)]; n < len(p); {
		k := copy(p[n:], r.text[r.at:])
		r.at, n = (r.at+k)%len(r.text), n+k
	}
	r.left -= int64(n)
	return n, nil
}

// peakHeap returns how much the heap grows at most while f runs.
func peakHeap(f func()) int64 {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // little of what is counted is garbage
	runtime.GC()
	idle := heap()
	var peak atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				peak.Store(max(peak.Load(), heap()-idle))
			}
		}
	}()
	f()
	close(stop)
	<-done
	return peak.Load()
}

// The charset is the sender's choice, and must not choose how much memory a text takes.
func TestLargeTextTakesLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own, and minutes")
	}
	const plain = "<p>x\x00<script>y</script></p>"
	wide := strings.Join(strings.Split("<p>x<script>y</script></p>\u503c", ""), "\x00") + "\x00"
	for _, tt := range []struct{ charset, text string }{
		{"us-ascii", plain}, {"us-ascii", "<!--[if x]><b><![endif]-->"}, {"utf-7", "<style>@import x;a{b:url(\\6a)}/**/</style>"},
		{"utf-8", "<xmp><title><style><![CDATA[a]]></style></title></xmp>"}, {"utf-16", wide}, {"utf-16", "<\x00p\x00>\x00x\x00<\x00s\x00c\x00r\x00i\x00p\x00t\x00>\x00"}, {"utf-7", plain}, {"iso-2022-jp", plain}, {"iso-2022-kr", "<p>\x0e$B\x0fx</p>"}, {"utf-16le", "x\x00\x01\x4e"},
	} {
		size := int64(8<<20) / int64(len(tt.text)) * int64(len(tt.text))
		grown := peakHeap(func() {
			if _, err := Remove(context.Background(), io.Discard, &repeated{text: tt.text, left: size}, Options{Charset: tt.charset, MaxToken: 1 << 20}); err != nil {
				t.Errorf("%s: %v", tt.charset, err)
			}
		})
		t.Logf("%-12s %d MiB, the heap grew by %.1f MiB", tt.charset, size>>20, float64(grown)/(1<<20))
		if grown > 12<<20 {
			t.Errorf("%s %.20q: the heap grew by %d MiB", tt.charset, tt.text, grown>>20)
		}
	}
}

// A tag of very many attributes is the sender's choice too: it goes before they take memory.
func TestCrowdedTagTakesLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own, and minutes")
	}
	const size = 8<<20 - 4096 // below MaxToken
	for _, tt := range []struct {
		name, head, attr, end, want string
		most                        int64
	}{
		{"names", "<a ", "a ", ">", "<!-- removed: tag -->tail", 0},
		{"values", "<a ", "a=b ", ">", "<!-- removed: tag -->tail", 0},
		{"quoted values", "<a ", `a=">"b='>'`, ">", "<!-- removed: tag -->tail", 0},
		{"slashes", "<a ", "a/", ">", "<!-- removed: tag -->tail", 0},
		{"equals", "<a ", "= ", ">", "<!-- removed: tag -->tail", 0},
		{"different names", "<a ", "", ">", "<!-- removed: tag -->tail", 0},
		{"of a title", "<title ", "a ", "><p></title>", "<!-- removed: title -->tail", 0},
		{"of a script", "<script ", "a ", "><p></script>", "<!-- removed: script -->tail", 0},
		{"never closed", "<a ", "a ", "", "<!-- removed: tag -->", 0},
		{"of an end tag", "</a ", "a ", ">", "<!-- removed: tag -->tail", 4 * size}, // that a tokenizer holds whole
	} {
		charsets := []string{"us-ascii"}
		if strings.HasSuffix(tt.name, "names") {
			charsets = append(charsets, "utf-16", "utf-32be", "utf-7", "iso-2022-jp", "hz-gb-2312", "johab", "ibm037")
		}
		for _, charset := range charsets {
			way := readings(nil, charset)[0]
			encode := func(s string) string {
				var b strings.Builder
				w, _ := way.writer(&b)
				if way.strip != nil {
					return s
				}
				io.WriteString(w, s)
				w.Close()
				return b.String()
			}
			width := int64(len(encode("aa")) - len(encode("a")))
			var attrs io.Reader = &repeated{text: encode(tt.attr), left: size / int64(max(len(tt.attr), 1)) * int64(len(tt.attr)) * width}
			if tt.attr == "" {
				attrs = &numbered{encode: encode, left: (size - 16<<10) * width}
			}
			tail := "tail"
			if tt.end == "" {
				tail = ""
			}
			text := io.MultiReader(strings.NewReader(encode(tt.head)), attrs, strings.NewReader(encode(tt.end+tail)))
			var out strings.Builder
			grown := peakHeap(func() {
				if _, err := Remove(context.Background(), &out, text, Options{Charset: charset}); err != nil {
					t.Errorf("%s, %s: %v", tt.name, charset, err)
				}
			})
			t.Logf("%-16s %-12s the heap grew by %.1f MiB", tt.name, charset, float64(grown)/(1<<20))
			if most := max(tt.most, 6<<20); grown > most {
				t.Errorf("%s, %s: the heap grew by %d MiB", tt.name, charset, grown>>20)
			}
			if got := out.String(); got != encode(tt.want) && (charset != "johab" || got != "<!-- removed: text -->") { // it cannot be written
				t.Errorf("%s, %s: got %.80q, want %q", tt.name, charset, got, encode(tt.want))
			}
		}
	}
}

// numbered are attributes of different names.
type numbered struct {
	encode func(string) string
	left   int64
	n      int
	rest   string
}

func (r *numbered) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.left <= 0 {
			return 0, io.EOF
		}
		var b strings.Builder
		for range 1000 {
			r.n++
			b.WriteString("a" + strconv.Itoa(r.n) + " ")
		}
		r.rest = r.encode(b.String())
		r.left -= int64(len(r.rest))
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Reading ends with the context, in every encoding and pass.
func TestRemoveEndsWithItsContext(t *testing.T) {
	gone := errors.New("gone")
	for _, charset := range []string{"us-ascii", "iso-2022-jp", "utf-16", "utf-7"} {
		for _, after := range []int64{0, 100, 1 << 20} { // the last when all is read
			ctx, cancel := context.WithCancelCause(context.Background())
			text := &ending{repeated{text: "<p>x\x00<script>y</script></p>", left: 1 << 20}, after, func() { cancel(gone) }}
			if after == 0 {
				cancel(gone)
			}
			_, err := Remove(ctx, io.Discard, text, Options{Charset: charset})
			if !errors.Is(err, context.Canceled) && (charset != "us-ascii" || after < 1<<20) {
				t.Errorf("%s, over after %d bytes: %v", charset, after, err)
			}
			cancel(nil)
		}
	}
}

// An ending calls over when so much has been read of it.
type ending struct {
	repeated
	after int64
	over  func()
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.repeated.Read(p)
	if 1<<20-e.left >= e.after {
		e.over()
	}
	return n, err
}

// A disk that is full is an error, and not the end of a text.
func TestRemoveTellsOfSpoolErrors(t *testing.T) {
	for _, charset := range []string{"iso-2022-jp", "utf-16", "utf-7", "johab"} {
		o := Options{Charset: charset, Spool: func() *message.Spool { return message.NewSpool(-1, "/nonexistent") }}
		var out strings.Builder
		if _, err := Remove(context.Background(), &out, strings.NewReader("<p>x<script>y</script>"), o); err == nil || out.Len() > 0 {
			t.Errorf("%s: %q, error %v", charset, out.String(), err)
		}
		n := 0 // the first has room
		o.Spool = func() *message.Spool {
			if n++; n == 1 {
				return message.NewSpool(0, "")
			}
			return message.NewSpool(-1, "/nonexistent")
		}
		if _, err := Remove(context.Background(), &out, strings.NewReader("<p>x<script>y</script>"), o); charset != "johab" && (err == nil || out.Len() > 0) {
			t.Errorf("%s: %q, error %v", charset, out.String(), err)
		}
	}
}
