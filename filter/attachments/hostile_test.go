package attachments_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/internal/archive"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/mta"
)

// cost is what a message took: bytes that it allocated, and by how much the heap grew at
// most meanwhile.
type cost struct{ allocated, peak int64 }

func (b *bench) cost(t *testing.T, in string) (cost, string) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // what is in use, not what was
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, idle := int64(m.TotalAlloc), int64(m.HeapAlloc)
	var peak atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), int64(m.HeapAlloc)-idle))
			}
		}
	}()
	what, why := outcome(b, b.sendRaw(t, in))
	close(stop)
	<-done
	runtime.ReadMemStats(&m)
	if len(why) > 100 {
		why = why[:100]
	}
	return cost{int64(m.TotalAlloc) - before, peak.Load()}, what + ", " + why
}

// What a sender writes takes memory in proportion, however it is made up: the test's own
// copies of the message are in the figures, too.
func TestHostileMessagesTakeLittleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("counts of allocations say nothing under the race detector")
	}
	several := func(n int, f func(i int) string) string {
		var s strings.Builder
		for i := range n {
			s.WriteString(f(i))
		}
		return s.String()
	}
	nested := func(n int, encoding string, code func(string) string) string {
		in := "Subject: x\nContent-Type: text/plain\n\n" + strings.Repeat("x", 100)
		if encoding == "8bit" {
			in += strings.Repeat(strings.Repeat("x", 70)+"\n", 30_000)
		}
		for range n {
			in = "Subject: x\nContent-Type: message/rfc822; name=letter\nContent-Transfer-Encoding: " + encoding + "\n\n" + code(in)
		}
		return crlf(in)
	}
	local := []byte("PK\x03\x04\x14\x00\x08\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a")
	stored := bytes.Clone(local)
	stored[8] = 0
	end := []byte("PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00")
	top := "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"cut here\"\n\n"
	for name, in := range map[string]string{
		"many parameters":        multipart(text, "Content-Type: a/b"+strings.Repeat("; a=b =c\n ", 100_000)+"\n\nx"),
		"parameters unseparated": multipart(text, strings.Repeat("Content-Type: a/b;"+strings.Repeat("a=\"\" ", 8000)+"\n", 50)+"\n\nx"),
		"quotes":                 multipart(text, strings.Repeat("Content-Disposition: a;"+strings.Repeat("\"=", 20_000)+"\n", 50)+"\n\nx"),
		"encoded words":          multipart(text, strings.Repeat("Content-Disposition: a; filename=\""+strings.Repeat("=?utf-8?q?a?= ", 2800)+"\"\n", 50)+"\n\nx"),
		"names in pieces":        multipart(text, strings.Repeat("Content-Disposition: a"+strings.Repeat("; f*1*=\"%41%41%41\"", 499)+"\n", 50)+"\n\nx"),
		"many names":             multipart(text, strings.Repeat("Content-Disposition: a"+strings.Repeat("; f=\"a%41.b\\c\"", 499)+"\n", 50)+"\n\nx"),
		"multiparts": crlf(top + several(4900, func(i int) string {
			return fmt.Sprintf("--cut here\nContent-Type: multipart/mixed; boundary=zz%d\n\nxx\n", i)
		}) + "--cut here--\n"),
		"boundaries": crlf(top + several(1500, func(int) string {
			return "--cut here\nContent-Type: multipart/mixed" + strings.Repeat("; boundary=\"a b\"", 50) + "\n\nxx\n"
		}) + "--cut here--\n"),
		"ends":                    crlf(top + "--cut here\n\n" + strings.Repeat("--cut here--\n", 300_000)),
		"ends of outer parts":     crlf("Subject: x\nMIME-Version: 1.0\n" + several(49, func(i int) string { return fmt.Sprintf("Content-Type: multipart/mixed; boundary=q%d\n\n--q%d\n", i, i) }) + "\n" + strings.Repeat("--q0-\n", 500_000)),
		"begin":                   crlf("Subject: x\n\n" + strings.Repeat("begin a\n", 400_000)),
		"begin and a line":        crlf("Subject: x\n\n" + strings.Repeat("begin a\n!\n", 300_000)),
		"begin, base64":           crlf("Subject: x\n\n" + strings.Repeat("begin-base64 644 a\n\n\n\n", 100_000)),
		"begin and blanks":        crlf("Subject: x\n\n" + strings.Repeat("begin a\n", 20_000) + strings.Repeat("\n", 300_000)),
		"begin, base64 and blank": crlf("Subject: x\n\n" + strings.Repeat("begin-base64 644 a\n"+strings.Repeat("\n", 200), 5000)),
		"yEnc":                    crlf("Subject: x\n\n" + strings.Repeat("=ybegin line=128 size=5 name=a\n", 100_000)),
		"lines that are no field": multipart(text, strings.Repeat("junk\n", 400_000)),
		"headers of a zip":        multipart(text, attached("a.zip", bytes.Repeat(local, 60_000))),
		"stored headers of a zip": multipart(text, attached("a.zip", bytes.Repeat(stored, 60_000))),
		"ends of a zip":           multipart(text, attached("a.zip", append([]byte("PK\x03\x04"), bytes.Repeat(end, 3500)...))),
		"many zips":               multipart(strings.Split(strings.Repeat(attached("a.zip", append([]byte("PK\x03\x04"), bytes.Repeat(local, 30)...))+"|", 1000), "|")[:1000]...),
		"nested, large":           nested(45, "8bit", func(s string) string { return s }),
		"names in calendars":      multipart(text, "Content-Type: text/calendar\n\n"+strings.Repeat("ATTACH;VALUE=BINARY;FILENAME=a.txt:x\n", 100_000)),
		"one long line":           multipart(text, "Content-Type: text/calendar\n\nATTACH;VALUE=BINARY;FILENAME=a"+strings.Repeat(".txt;X=", 300_000)+"\n"),
		"begin in Japanese":       multipart("Content-Type: text/plain; charset=iso-2022-jp\n\n" + strings.Repeat("begin 644 a\n", 200_000)),
		"begin in files":          multipart(strings.Split(strings.Repeat(attached("a.uue", bytes.Repeat([]byte("begin 644 a.uue\r\n#36Z0\r\n`\r\nend\r\n"), 30))+"|", 300), "|")[:300]...),
		"nested, quoted":          nested(45, "quoted-printable", func(s string) string { return s }),
		"nested, base64":          nested(24, "base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, attachments.Options{})
			got, what := b.cost(t, in)
			size := int64(len(in))
			t.Logf("%7d bytes: %4d MiB allocated, heap +%3d MiB; %s", size, got.allocated>>20, got.peak>>20, strings.TrimSpace(what))
			if got.peak > 32<<20+8*size {
				t.Errorf("the heap grew by %d MiB", got.peak>>20)
			}
			if got.allocated > 64<<20+64*size {
				t.Errorf("%d MiB were allocated", got.allocated>>20)
			}
		})
	}
}

// A counter counts what goes into the spools of archives.
type counter struct {
	*message.Spool
	n *int64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.Spool.Write(p)
	*c.n += int64(n)
	return n, err
}

// What all archives of a message unpack to is bounded once, and not for each.
func TestBombsShareOneBudget(t *testing.T) {
	zeros := bytes.Repeat([]byte{0}, 1<<20)
	bomb := gzipOf(append([]byte("PK\x03\x04"), bytes.Repeat(zeros, 8)...))
	parts := []string{text}
	for range 40 {
		parts = append(parts, attached("b.zip.gz", bomb))
	}
	var spooled, spools int64
	const most = 16 << 20
	b := newBench(t, attachments.Options{
		Actions: map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Reject, attachments.IsDamaged: attachments.Tag},
		Archives: attachments.ArchiveLimits{Unpacked: most, Spool: func() (archive.Spool, error) {
			spools++
			return counter{message.NewSpool(0, ""), &spooled}, nil
		}},
	})
	r := b.send(t, multipart(parts...))
	if r.Verdict != mta.Reject || spooled == 0 || spooled > 2*most {
		t.Errorf("%s, %d MiB unpacked into %d spools; want a refusal and %d MiB at most", r.Verdict, spooled>>20, spools, 2*most>>20)
	}
}

// The time is that of all archives, too: when it is over no other one is begun.
func TestArchivesShareOneTime(t *testing.T) {
	var now atomic.Int64
	clock := func() time.Time { return time.Unix(0, now.Add(int64(50*time.Millisecond))) } // each look takes so long
	var spools int
	parts := []string{text}
	for range 300 {
		parts = append(parts, attached("a.zip", zipOf(map[string][]byte{"a.gz": gzipOf([]byte("x"))})))
	}
	b := newBench(t, attachments.Options{
		Actions: map[attachments.Rule]attachments.Action{attachments.IsTooLarge: attachments.Reject},
		Archives: attachments.ArchiveLimits{Time: time.Second, Now: clock, Spool: func() (archive.Spool, error) {
			spools++
			return message.NewSpool(0, ""), nil
		}},
	})
	if r := b.send(t, multipart(parts...)); r.Verdict != mta.Reject || spools > 20 {
		t.Errorf("%s, %d archives were unpacked in a second of 50 ms each", r.Verdict, spools)
	}
}

// A disk that is full is a failure of the filter, and nothing is let through.
func TestFullDiskLetsNothingThrough(t *testing.T) {
	full := errors.New("no space left on device")
	b := newBench(t, attachments.Options{Archives: attachments.ArchiveLimits{Spool: func() (archive.Spool, error) { return nil, full }}})
	inner := zipOf(map[string][]byte{"x.exe": pe})
	if r := b.send(t, multipart(text, attached("a.zip", zipOf(map[string][]byte{"b.zip": inner})))); r.Verdict != mta.TempFail {
		t.Errorf("%s", r.Verdict)
	}
	b = newBench(t, attachments.Options{})
	b.chain.Dir, b.chain.Memory = "/nonexistent", -1
	if r := b.chain.Check(); r == nil {
		t.Error("a folder that is not there is right")
	}
}
