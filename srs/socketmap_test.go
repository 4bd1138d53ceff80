package srs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReadNetstring(t *testing.T) {
	for _, tt := range []struct {
		name, in, want, rest string
		err                  error
	}{
		{"empty", "0:,", "", "", nil},
		{"ordinary", "5:a b c,3:", "a b c", "3:", nil},
		{"comma and colon within", "4::,:,,x", ":,:,", "x", nil},
		{"at the limit", "10:0123456789,", "0123456789", "", nil},
		{"over the limit", "11:0123456789a,", "", "", errNetstring},
		{"far over the limit", "99999999999999999999999999:", "", "", errNetstring},
		{"length of zeros", "00:,", "", "", errNetstring},
		{"leading zero", "05:a b c,", "", "", errNetstring},
		{"no length", ":a,", "", "", errNetstring},
		{"sign", "-1:,", "", "", errNetstring},
		{"blank", " 1:a,", "", "", errNetstring},
		{"no comma", "1:ab", "", "", errNetstring},
		{"nothing", "", "", "", io.EOF},
		{"cut in the length", "1", "", "", io.ErrUnexpectedEOF},
		{"cut in the text", "5:a b", "", "", io.ErrUnexpectedEOF},
		{"cut before the comma", "3:a b", "", "", io.ErrUnexpectedEOF},
		{"cut before the text", "3:", "", "", io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(tt.in))
			got, err := readNetstring(r, 10)
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Errorf("readNetstring(%q) = %q, %v, want %q, %v", tt.in, got, err, tt.want, tt.err)
			}
			if rest, _ := io.ReadAll(r); err == nil && string(rest) != tt.rest {
				t.Errorf("readNetstring(%q) leaves %q, want %q", tt.in, rest, tt.rest)
			}
		})
	}
}

func FuzzReadNetstring(f *testing.F) {
	for _, s := range []string{"", "0:,", "5:a b c,3:", "99999999999999999999:", "05:", "3:ab", "1:a;"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readNetstring(bufio.NewReader(bytes.NewReader(in)), 64)
		if err == nil && (len(got) > 64 || !bytes.HasPrefix(in, appendNetstring(nil, string(got)))) {
			t.Errorf("%q does not encode back: %q", in, got)
		}
	})
}

// A pipeListener gives out the connections that are dialled, in memory.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

// serving runs a server on a pipe within a bubble, and stops it in the end.
func serving(t *testing.T, s *Server, f func(l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		f(l)
		cancel()
		if err := <-done; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// ask writes raw text and returns one reply, or the error.
func ask(c net.Conn, raw string) (string, error) {
	if _, err := io.WriteString(c, raw); err != nil {
		return "", err
	}
	return readReply(c)
}

func readReply(c net.Conn) (string, error) {
	// One octet at a time: nothing of the next reply is taken.
	b, err := readNetstring(bufio.NewReaderSize(oneByOne{c}, 16), 1000)
	return string(b), err
}

type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

func netstring(s string) string { return string(appendNetstring(nil, s)) }

func testMaps() map[string]Lookup {
	return map[string]Lookup{
		"echo": func(ctx context.Context, key string) (string, error) { return "<" + key + ">", nil },
		"none": func(ctx context.Context, key string) (string, error) { return "", ErrNotFound },
		"gone": func(ctx context.Context, key string) (string, error) {
			return "", fmt.Errorf("%w: line\nend", ErrPermanent)
		},
		"later": func(ctx context.Context, key string) (string, error) { return "", errors.New("try again") },
		"panic": func(ctx context.Context, key string) (string, error) { panic("oh") },
		"lines": func(ctx context.Context, key string) (string, error) { return "a\r\nb", nil },
		"slow": func(ctx context.Context, key string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		},
	}
}

var quiet = slog.New(slog.DiscardHandler)

func TestAnswers(t *testing.T) {
	serving(t, &Server{Maps: testMaps(), Log: quiet}, func(l *pipeListener) {
		c := l.dial()
		defer c.Close()
		for _, tt := range []struct{ name, request, want string }{
			{"value", "echo jane@example.net", "OK <jane@example.net>"},
			{"key with blanks", "echo a  b ", "OK <a  b >"},
			{"empty key", "echo ", "OK <>"},
			{"not found", "none x", "NOTFOUND "},
			{"permanent", "gone x", "PERM srs: permanent failure: line?end"},
			{"temporary", "later x", "TEMP try again"},
			{"panic", "panic x", "TEMP internal error"},
			{"value of two lines", "lines x", "TEMP internal error"},
			{"out of time", "slow x", "TEMP context deadline exceeded"},
			{"no such map", "nomap x", "PERM no such map"},
			{"map without a name", " x", "PERM no such map"},
			{"no key", "echo", "PERM not a request"},
			{"empty", "", "PERM not a request"},
			{"another value behind all those", "echo x", "OK <x>"},
		} {
			if got, err := ask(c, netstring(tt.request)); err != nil || got != tt.want {
				t.Errorf("%s: %q is answered %q, %v, want %q", tt.name, tt.request, got, err, tt.want)
			}
		}
	})
}

func TestRequestsThatAreNone(t *testing.T) {
	for name, raw := range map[string]string{
		"no netstring": "G",
		"too long":     "101",
		"no comma":     "6:echo x;",
	} {
		t.Run(name, func(t *testing.T) {
			serving(t, &Server{Maps: testMaps(), MaxRequest: 100, Log: quiet}, func(l *pipeListener) {
				c := l.dial()
				defer c.Close()
				if got, err := ask(c, raw); err != nil || got != "PERM not a request" {
					t.Errorf("%q is answered %q, %v", raw, got, err)
				}
				if got, err := readReply(c); err != io.EOF {
					t.Errorf("after %q: %q, %v, want the end", raw, got, err)
				}
			})
		})
	}
	serving(t, &Server{Maps: testMaps(), MaxRequest: 100, Log: quiet}, func(l *pipeListener) {
		c := l.dial()
		defer c.Close()
		key := strings.Repeat("x", 95)
		if got, err := ask(c, netstring("echo "+key)); err != nil || got != "OK <"+key+">" {
			t.Errorf("a request at the limit: %q, %v", got, err)
		}
	})
}

func TestTimeouts(t *testing.T) {
	s := &Server{Maps: testMaps(), Timeout: 5 * time.Second, Idle: time.Minute, Log: quiet}
	for _, tt := range []struct {
		name string
		do   func(c net.Conn) // then the connection ends by itself
		want time.Duration
	}{
		{"silent", func(net.Conn) {}, time.Minute},
		{"silent after an answer", func(c net.Conn) { ask(c, netstring("echo x")) }, time.Minute},
		{"request cut short", func(c net.Conn) { io.WriteString(c, "6:ec") }, 5 * time.Second},
		{"request octet by octet", func(c net.Conn) {
			for range 4 {
				io.WriteString(c, "1")
				time.Sleep(time.Second)
			}
		}, 5 * time.Second},
		{"reply that nobody reads", func(c net.Conn) { io.WriteString(c, netstring("echo x")); time.Sleep(6 * time.Second) }, 6 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			serving(t, s, func(l *pipeListener) {
				c := l.dial()
				defer c.Close()
				begin := time.Now()
				tt.do(c)
				if _, err := io.ReadAll(c); err != nil {
					t.Error(err)
				}
				if got := time.Since(begin); got != tt.want {
					t.Errorf("ended after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestTooManyConnections(t *testing.T) {
	serving(t, &Server{Maps: testMaps(), MaxConns: 2, Log: quiet}, func(l *pipeListener) {
		a, b := l.dial(), l.dial()
		defer b.Close()
		for _, c := range []net.Conn{a, b} {
			if got, err := ask(c, netstring("echo x")); got != "OK <x>" {
				t.Errorf("answer %q, %v", got, err)
			}
		}
		if _, err := readReply(l.dial()); err != io.EOF {
			t.Errorf("third connection: %v, want its end", err)
		}
		a.Close()
		synctest.Wait()
		c := l.dial()
		defer c.Close()
		if got, err := ask(c, netstring("echo x")); got != "OK <x>" {
			t.Errorf("once one has gone: %q, %v", got, err)
		}
	})
}

// Serve ends idle connections and half-sent requests at once, and a request that is answered
// gets its answer.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s := &Server{Maps: testMaps(), Log: quiet}
		go func() { done <- s.Serve(ctx, l) }()
		idle, half, busy := l.dial(), l.dial(), l.dial()
		io.WriteString(half, "6:ec")
		io.WriteString(busy, netstring("slow x"))
		synctest.Wait()
		begin := time.Now()
		cancel()
		if got, err := readReply(busy); got != "TEMP context canceled" {
			t.Errorf("the request that ran: %q, %v", got, err)
		}
		for _, c := range []net.Conn{idle, half, busy} {
			if _, err := readReply(c); err != io.EOF {
				t.Errorf("connection: %v, want its end", err)
			}
		}
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("stopping took %v", took)
		}
	})
}

type failingListener struct {
	*pipeListener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return l.pipeListener.Accept()
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &failingListener{newPipeListener(), []error{syscall.EMFILE, syscall.EMFILE}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- (&Server{Maps: testMaps(), Log: quiet}).Serve(ctx, l) }()
		c := l.dial()
		if got, err := ask(c, netstring("echo x")); got != "OK <x>" {
			t.Errorf("after a lack of descriptors: %q, %v", got, err)
		}
		c.Close()
		cancel()
		<-done

		l = &failingListener{newPipeListener(), []error{syscall.EINVAL}}
		if err := (&Server{Log: quiet}).Serve(t.Context(), l); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("Serve = %v, want what accepting gave", err)
		}
	})
}

func TestMaps(t *testing.T) {
	noon := func() time.Time { return time.Unix(20513*86400+43200, 0) }
	r, err := New(Options{Secrets: []Secret{{Key: []byte("the secret of all peers")}}, MaxLocal: 100, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	m := &Maps{Rewriter: r, Alias: "forward.example", Own: []string{"example.com"}, Sign: []string{"signed.example"},
		NoSRS: []string{"backup.example"}, Log: quiet}
	must := func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	fwd := must(r.Forward("jane@example.net", "forward.example"))
	quoted := must(r.Forward(`"jane doe"@example.net`, "forward.example"))
	signed := must(r.Sign("bob@signed.example"))
	focus := func(s string) string { return strings.Replace(s, "@", "<@", 1) + ".>" }
	for _, tt := range []struct{ name, m, key, want string }{
		{"foreign sender", "srs_forward", "jane@example.net", fwd},
		{"by Sendmail's name", "make_srs", "jane@example.net", fwd},
		{"in Sendmail's form", "make_srs", "jane<@example.net.>", focus(fwd)},
		{"in Sendmail's form without the dot", "make_srs", "jane<@example.net>", focus(fwd)},
		{"with the host it goes to", "make_srs", "mx.example.org.\x9bjane<@example.net.>", focus(fwd)},
		{"host that takes senders as they are", "make_srs", "backup.example.\x9bjane<@example.net.>", ""},
		{"host below one that does", "make_srs", "[MX.Backup.Example]\x9bjane@example.net", ""},
		{"host that is named like one", "make_srs", "notbackup.example\x9bjane@example.net", fwd},
		{"quoted sender", "srs_forward", `"jane doe"@example.net`, quoted},
		{"own sender", "srs_forward", "bob@Example.COM", ""},
		{"sender of the alias", "srs_forward", "bob@forward.example", ""},
		{"sender that is signed", "srs_forward", "bob@signed.example", signed},
		{"sender that has been signed", "srs_forward", signed, ""},
		{"sender that cannot be signed", "srs_forward", strings.Repeat("x", 99) + "@signed.example", ""},
		{"null sender", "srs_forward", "", ""},
		{"null sender with brackets", "srs_forward", "<>", ""},
		{"local part alone", "srs_forward", "jane", ""},
		{"domain alone", "srs_forward", "@example.net", ""},
		{"broken form", "make_srs", "jane<@example.net", ""},
		{"too long", "srs_forward", strings.Repeat("x", 100) + "@example.net", ""},
		{"letter with the octet of the host's end", "srs_forward", "ě@example.net", must(r.Forward("ě@example.net", "forward.example"))},

		{"bounce", "srs_reverse", fwd, "jane@example.net"},
		{"bounce by Sendmail's name and form", "reverse_srs", focus(fwd), "jane<@example.net.>"},
		{"bounce to a quoted sender", "srs_reverse", quoted, `"jane doe"@example.net`},
		{"bounce to a signed sender", "srs_reverse", signed, "bob@signed.example"},
		{"bounce in lower case", "srs_reverse", strings.ToLower(fwd), "jane@example.net"},
		{"bounce that came through us twice", "srs_reverse", must(r.Forward(fwd, "example.com")), "jane@example.net"},
		{"bounce to another's domain", "srs_reverse", strings.Replace(fwd, "forward.example", "example.org", 1), ""},
		{"ordinary recipient", "srs_reverse", "bob@example.com", ""},
		{"forged", "srs_reverse", "SRS0=aaaaaaaa=BB=example.net=jane@forward.example", ""},
		{"malformed", "srs_reverse", "SRS0=aaaaaaaa@forward.example", ""},
		{"nothing", "srs_reverse", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := m.All()[tt.m](t.Context(), tt.key)
			if got != tt.want || (tt.want == "") != (err == ErrNotFound) || tt.want != "" && err != nil {
				t.Errorf("%s %q = %q, %v, want %q", tt.m, tt.key, got, err, tt.want)
			}
		})
	}
}
