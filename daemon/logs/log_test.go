package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// start returns a Log that writes to a destination of the test.
func start(dest destination, o Options) *Log {
	l := &Log{o: o, maxLine: 8 << 10, maxValue: 1 << 10, headed: true}
	l.logger = slog.New(&handler{log: l})
	l.queue.init(max(o.MaxQueue, 1<<10))
	l.writer.start(&l.queue, dest, time.Second, l.gap)
	return l
}

// A disk is a file system that may be full or may hang.
type disk struct {
	mu      sync.Mutex
	text    strings.Builder
	room    int // bytes until it is full
	calls   int
	blocked chan struct{}
}

func (d *disk) Write(b []byte) (int, error) {
	if d.blocked != nil {
		<-d.blocked
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	n := min(len(b), d.room)
	d.text.Write(b[:n])
	if d.room -= n; n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *disk) String() string { d.mu.Lock(); defer d.mu.Unlock(); return d.text.String() }

func (d *disk) free(n int) { d.mu.Lock(); d.room += n; d.mu.Unlock() }

func TestLinesWaitForRoomOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: 20}
		l := start(&stream{w: d}, Options{})
		for i := range 4 {
			l.Logger().Info("line", "n", i) // 13 bytes
		}
		synctest.Wait()
		if got := d.String(); got != "msg=line n=0\nmsg=lin" || !errors.Is(l.Err(), syscall.ENOSPC) {
			t.Errorf("on a full disk are %q, err = %v", got, l.Err())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if d.calls > 15 { // the first lines may come one by one
			t.Errorf("%d tries to write in ten seconds", d.calls)
		}
		d.free(1 << 20)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got, want := d.String(), "msg=line n=0\nmsg=line n=1\nmsg=line n=2\nmsg=line n=3\n"; got != want || l.Lost() != 0 || l.Err() != nil {
			t.Errorf("later are %q, want %q; lost %d, err = %v", got, want, l.Lost(), l.Err())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// For each number of bytes at which the disk may become full, what was lost is
// counted and told in its place.
func TestLostLinesAreCountedAndTold(t *testing.T) {
	for room := range 60 {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{room: room}
			l := start(&stream{w: d}, Options{})
			log := l.Logger()
			for i := range 100 {
				log.Info("line", "n", 1000+i)
				synctest.Wait()
			}
			d.free(1 << 20)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			log.Info("line", "n", "last")
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			lines := strings.Split(strings.TrimSuffix(d.String(), "\n"), "\n")
			n := len(lines) - 2
			if n < 1 || n >= 100 || l.Lost() != uint64(100-n) {
				t.Fatalf("%d lines, %d lost", n, l.Lost())
			}
			for i := range n {
				if want := fmt.Sprintf("msg=line n=%d", 1000+i); lines[i] != want {
					t.Errorf("line %d is %q, want %q", i, lines[i], want)
				}
			}
			if want := fmt.Sprintf(`msg="log lines lost" lines=%d`, l.Lost()); lines[n] != want || lines[n+1] != "msg=line n=last" {
				t.Errorf("then come %q, want %q", lines[n:], want)
			}
		})
	}
}

func TestWhoLogsNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{blocked: make(chan struct{}), room: 1 << 20}
		l := start(&stream{w: d}, Options{CloseTimeout: 3 * time.Second})
		began := time.Now()
		for range 1000 {
			l.Logger().Info("line")
		}
		if time.Since(began) != 0 || l.Lost() < 900 || l.queue.size > l.queue.max+100 { // with the line about those that are lost
			t.Errorf("took %v, lost %d, %d bytes wait", time.Since(began), l.Lost(), l.queue.size)
		}
		if err := l.Close(); !errors.Is(err, errWaiting) || time.Since(began) != 3*time.Second {
			t.Errorf("Close = %v after %v", err, time.Since(began))
		}
		close(d.blocked)
	})
}

func TestCloseCountsWhatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(&stream{w: &disk{room: 20}}, Options{})
		for range 5 {
			l.Logger().Info("line")
		}
		synctest.Wait()
		for range 3 {
			l.Logger().Info("line")
		}
		if err := l.Close(); !errors.Is(err, syscall.ENOSPC) || l.Lost() != 6 { // 9 bytes each: two were written, the third in part
			t.Errorf("Close = %v, lost %d, want 6", err, l.Lost())
		}
		l.Logger().Info("late")
		if l.Lost() != 7 || l.Close() != nil {
			t.Errorf("lost %d after one more, want 7", l.Lost())
		}
	})
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(Options{To: path})
	if err != nil {
		t.Fatal(err)
	}
	log := l.Logger()
	log.Info("one")
	log.Debug("unseen")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	log.Info("two")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.SetLevel(slog.LevelDebug)
	log.Debug("three")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	both := read(t, path+".1") + read(t, path)
	for i, want := range []string{"level=INFO msg=one", "level=INFO msg=two", "level=DEBUG msg=three"} {
		if lines := strings.Split(both, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[i], "time=20") || !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d of %q does not end %q", i, both, want)
		}
	}
	if got := read(t, path); !strings.Contains(got, "three") || strings.Contains(got, "one") {
		t.Errorf("the new file has %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if err := l.Reopen(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Reopen of a closed log = %v", err)
	}
	if l, err = Open(Options{To: path, Level: slog.LevelError}); err != nil {
		t.Fatal(err)
	}
	l.Logger().Error("four")
	l.Close()
	if got := read(t, path); strings.Count(got, "\n") != 2 {
		t.Errorf("the file opened again has %q", got)
	}
}

func TestFileThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{To: filepath.Join(dir, "none", "log")}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open = %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{To: fifo}); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("Open of a pipe nobody reads = %v", err)
	}
	path := filepath.Join(dir, "sub", "log")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Open(Options{To: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reopen = %v", err)
	}
	l.Logger().Info("still")
	if err := l.Close(); err != nil || !strings.Contains(read(t, filepath.Join(dir, "moved", "log")), "still") {
		t.Errorf("the log did not go on in the old file: %v", err)
	}
}

func TestFullDevice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is Linux's")
	}
	l, err := Open(Options{To: "/dev/full"})
	if err != nil {
		t.Fatal(err)
	}
	l.Logger().Info("line")
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) || l.Lost() != 1 {
		t.Errorf("Close = %v, lost %d", err, l.Lost())
	}
}

func TestStderrOfTheJournal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	info, err := w.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	for _, tt := range []struct{ name, env, want string }{
		{"stream of the journal", fmt.Sprintf("%d:%d", st.Dev, st.Ino), "<3>NOQUEUE: msg=bad conn=1\n<4>msg=odd\n<6>msg=\"as ever\"\n<7>msg=small\n"},
		{"stream of another", fmt.Sprintf("%d:%d", st.Dev, st.Ino+1), ""},
		{"no stream", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("JOURNAL_STREAM", tt.env)
			l, err := Open(Options{Stderr: w, Level: slog.LevelDebug})
			if err != nil {
				t.Fatal(err)
			}
			l.Logger().Error("bad", "queue", "", "conn", 1)
			l.Logger().Warn("odd")
			l.Logger().Info("as ever")
			l.Logger().Debug("small")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4096)
			n, err := r.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(b[:n]); tt.want != "" && got != tt.want || tt.want == "" && !strings.HasPrefix(got, "NOQUEUE: time=") {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A reader of standard error that goes away ends a Go program, unless care is taken.
func TestNobodyReadsStderr(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l, err := Open(Options{Stderr: w})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	l.Logger().Info("line")
	if err := l.Close(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Close = %v", err)
	}
}

// A syslogd takes datagrams.
type syslogd struct {
	conn *net.UnixConn
}

func newSyslogd(t *testing.T, path string) *syslogd {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &syslogd{conn}
}

// stop ends it and leaves no socket.
func (s *syslogd) stop(t *testing.T) {
	path := s.conn.LocalAddr().String()
	s.conn.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func (s *syslogd) read(t *testing.T) string {
	t.Helper()
	b := make([]byte, 64<<10)
	s.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := s.conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestSyslog(t *testing.T) {
	dir, err := os.MkdirTemp("", "log") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "log")
	first := newSyslogd(t, path)
	l, err := Open(Options{To: "syslog", Syslog: path, RetryInterval: 10 * time.Millisecond, MaxLine: 1 << 20, MaxValue: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	log := l.Logger()
	log.Warn("message", "queue", "4F2A", "from", "a b\n")
	got := first.read(t)
	_, err = time.Parse(time.Stamp, got[min(len(got), 4):min(len(got), 19)])
	if want := fmt.Sprintf(" %s[%d]: 4F2A: msg=message from=\"a b\\n\"", tagName(filepath.Base(os.Args[0])), os.Getpid()); err != nil || !strings.HasPrefix(got, "<20>") || got[19:] != want {
		t.Errorf("%v\n got %q\nwant <20>(time)%q", err, got, want)
	}

	first.stop(t)
	log.Info("while it is away")
	for l.Err() == nil {
		runtime.Gosched()
	}
	second := newSyslogd(t, path)
	log.Info("and back")
	for _, want := range []string{`: msg="while it is away"`, `: msg="and back"`} {
		if got := second.read(t); !strings.HasPrefix(got, "<22>") || !strings.HasSuffix(got, want) {
			t.Errorf("a new syslogd got %q, want %q", got, want)
		}
	}

	log.Info("larger than a datagram", "v", strings.Repeat("x", 900<<10))
	if got, want := second.read(t), `msg="log lines lost" lines=1`; !strings.HasPrefix(got, "<20>") || !strings.HasSuffix(got, want) || l.Lost() != 1 {
		t.Errorf("after a line that is too large syslogd got %q, want %q; lost %d", got, want, l.Lost())
	}

	second.stop(t)
	third := newSyslogd(t, path)
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("anew")
	if got := third.read(t); !strings.HasSuffix(got, ": msg=anew") {
		t.Errorf("after Reopen syslogd got %q", got)
	}

	third.stop(t)
	log.Info("too late")
	if err := l.Close(); err == nil || l.Lost() != 2 {
		t.Errorf("Close = %v, lost %d", err, l.Lost())
	}
}

// A syslogd that does not read must not hold up anything but the lines.
func TestSyslogThatHangs(t *testing.T) {
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "log")
	newSyslogd(t, path)
	l, err := Open(Options{To: "syslog", Syslog: path, WriteTimeout: 10 * time.Millisecond, RetryInterval: time.Millisecond, MaxQueue: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		l.Logger().Info("line", "v", strings.Repeat("x", 1000))
	}
	if err := l.Close(); err == nil || l.Lost() == 0 {
		t.Errorf("Close = %v, lost %d", err, l.Lost())
	}
}

func TestOptionsAreJudged(t *testing.T) {
	for _, o := range []Options{{MaxLine: 100}, {MaxValue: 3}, {MaxQueue: -1}, {AlarmInterval: -1}, {Format: 7}, {CloseTimeout: -1}} {
		if _, err := Open(o); !errors.Is(err, ErrOptions) {
			t.Errorf("Open(%+v) = %v", o, err)
		}
	}
}

func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(Options{To: path, MaxQueue: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for g := range 8 {
		log := l.Logger().With("conn", g).WithGroup("g")
		all.Go(func() {
			for i := range 500 {
				log.Info("line\n", "n", i)
				if i%100 == 0 {
					if err := l.Reopen(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	next := make([]int, 8)
	for line := range strings.Lines(read(t, path)) {
		pairs, err := parseText(strings.TrimSuffix(line, "\n"))
		if err != nil || len(pairs) != 5 || pairs[4].key != "g.n" {
			t.Fatalf("%q: %v", line, err)
		}
		g := pairs[3].value[0] - '0'
		if pairs[4].value != fmt.Sprint(next[g]) {
			t.Fatalf("%q, want number %d", line, next[g])
		}
		next[g]++
	}
	for g, n := range next {
		if n != 500 {
			t.Errorf("writer %d: %d lines", g, n)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func BenchmarkMessage(b *testing.B) {
	l, err := Open(Options{To: "/dev/null"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e := rejected()
	b.ReportAllocs()
	for b.Loop() {
		l.Message(e)
	}
}
