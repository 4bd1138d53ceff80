package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A screen is a standard error that is read while it is written.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	blocked chan struct{} // nil for a screen that takes everything
}

func (s *screen) Write(b []byte) (int, error) {
	if s.blocked != nil {
		<-s.blocked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// read returns what was written since the last call, without the time.
func (s *screen) read() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.text.Reset()
	return timeStamp.ReplaceAllString(s.text.String(), "")
}

// startWithAlarm returns a Log of a file that writes to a destination of the test.
func startWithAlarm(dest destination, o Options) *Log {
	l := &Log{o: o, format: o.Format, maxLine: 8 << 10, maxValue: 1 << 10, headed: true}
	l.o.To = "/var/log/x"
	l.queue.init(1 << 10)
	l.alarm = l.newAlarm()
	l.writer.alarm = l.alarm
	l.writer.start(&l.queue, dest, time.Second, l.gap)
	return l
}

func TestLogThatCannotBeWrittenIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &disk{}, &screen{}
		l := startWithAlarm(&stream{w: d}, Options{Stderr: s})
		put := func(n int) {
			for range n {
				l.put(noTime, 0, "line", nil)
			}
			synctest.Wait()
		}
		expect := func(when, want string) {
			t.Helper()
			if got := s.read(); got != want {
				t.Errorf("%s\n got %s\nwant %s", when, got, want)
			}
		}
		expect("before", "")
		put(1)
		expect("at once", "level=ERROR msg=\"the log cannot be written\" to=/var/log/x err=\"no space left on device\" waiting=1 lost=0\n")
		put(2)
		if l.Waiting() != 3 {
			t.Errorf("%d lines wait, want 3", l.Waiting())
		}
		time.Sleep(59 * time.Second)
		put(97)
		expect("within the minute", "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		expect("after a minute", fmt.Sprintf("level=ERROR msg=\"the log cannot be written\" to=/var/log/x err=\"no space left on device\" waiting=%d lost=%d\n", 100-l.Lost(), l.Lost()))
		if l.Lost() == 0 {
			t.Error("no line is lost")
		}

		d.free(1 << 20)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := s.read(); !strings.HasPrefix(got, "level=WARN msg=\"the log is written again\" to=/var/log/x waiting=") || strings.Count(got, "\n") != 1 {
			t.Errorf("with room again %s", got)
		}
		if l.Waiting() != 0 || l.Err() != nil {
			t.Errorf("%d lines wait, err = %v", l.Waiting(), l.Err())
		}

		for range 10 { // a disk that has room now and then fills no screen
			d.free(-d.room)
			put(1)
			d.free(1 << 20)
			time.Sleep(2 * time.Second)
			put(1)
		}
		expect("now and then", "")
		time.Sleep(time.Minute)
		d.free(-d.room)
		put(1)
		if got := s.read(); strings.Count(got, "cannot be written") != 1 {
			t.Errorf("a minute later %s", got)
		}
		if err := l.Close(); !errors.Is(err, syscall.ENOSPC) || l.Waiting() != 0 {
			t.Errorf("Close = %v, %d lines wait", err, l.Waiting())
		}
	})
}

// A standard error that nobody reads must not hold up the log.
func TestAlarmThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &disk{}, &screen{blocked: make(chan struct{})}
		l := startWithAlarm(&stream{w: d}, Options{Stderr: s, AlarmInterval: time.Second, CloseTimeout: 3 * time.Second})
		l.put(noTime, 0, "line", nil)
		time.Sleep(10 * time.Second)
		d.free(1 << 20)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := d.String(); got != "msg=line\n" {
			t.Errorf("the log has %q", got)
		}
		began := time.Now()
		if err := l.Close(); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("Close = %v after %v", err, time.Since(began))
		}
		close(s.blocked)
		<-l.alarm.done
	})
}

// What is told goes to the real standard error, in the form of the log.
func TestAlarmOfWhatCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		o          Options
	}{
		{"full disk", `level=ERROR msg="the log cannot be written" to=/dev/full err="write /dev/full: no space left on device" waiting=1 lost=0`, Options{To: "/dev/full"}},
		{"no syslogd", `{"level":"ERROR","msg":"the log cannot be written","to":"syslog","err":"logs: syslog: dial unixgram /nonexistent: connect: no such file or directory","waiting":1,"lost":0}`,
			Options{To: "syslog", Syslog: "/nonexistent", Format: JSON}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := os.Stat(tt.o.To); err != nil && filepath.IsAbs(tt.o.To) {
				t.Skip("the system has none")
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			tt.o.Stderr = w
			l, err := Open(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			l.Logger().Info("line")
			b := make([]byte, 4096)
			r.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := r.Read(b) // while the log is open
			if got := timeStamp.ReplaceAllString(string(b[:n]), ""); err != nil || got != tt.want+"\n" {
				t.Errorf("%v\n got %s\nwant %s", err, got, tt.want)
			}
			if err := l.Close(); err == nil {
				t.Error("Close returned nil")
			}
		})
	}
}

func TestNoAlarmOfStandardErrorItself(t *testing.T) {
	s := &screen{}
	l, err := Open(Options{Stderr: s})
	if err != nil {
		t.Fatal(err)
	}
	if l.alarm != nil {
		t.Error("standard error would be told of itself")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
