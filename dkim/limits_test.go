package dkim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	f() // what is made once
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileMessages(t *testing.T) {
	many := func(n int, s string) string { return strings.Repeat(s, n) }
	tags := "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; "
	good, _, _ := strings.Cut(forge(t, someTags, someHeader, someBody), "From: Ann")
	for _, tt := range []struct {
		name   string
		msg    string
		want   map[Value]int
		why    string // of the last one
		memory uint64 // bytes that may be allocated at most
	}{
		{"100 signatures", many(100, good) + someHeader + "\r\n" + someBody, map[Value]int{Pass: 10, Policy: 90}, "only the topmost 10", 512 << 10},
		{"10 000 signatures", many(10_000, "DKIM-Signature: x\r\n") + someHeader + "\r\n", map[Value]int{Neutral: 10, Policy: 9990}, "only the topmost 10", 8 << 20},
		{"10 000 names", forge(t, tags+"h=from"+many(9999, ":a"), someHeader, someBody), map[Value]int{PermError: 1}, "h= has 10000 names, more than 1000", 256 << 10},
		{"as many names as are allowed", forge(t, tags+"h=from"+many(999, ":to"), someHeader, someBody), map[Value]int{Pass: 1}, "", 256 << 10},
		{"as many names, in a header of 5000 fields", forge(t, tags+"h=from"+many(999, ":x"), someHeader+many(5000, "X: y\r\n"), someBody), map[Value]int{Pass: 1}, "", 512 << 10},
		{"a signature of 1 MB", "DKIM-Signature: v=1; b=" + many(1<<20, "A") + "\r\n" + someHeader + "\r\n", map[Value]int{PermError: 1}, "bytes, more than 65536", 64 << 10},
		{"a signature of as much as is allowed", forge(t, someTags+"; zz="+many(64<<10-600, "a"), someHeader, someBody), map[Value]int{Pass: 1}, "", 1 << 20},
		{"30 000 tags", "DKIM-Signature: " + many(30_000, "a;") + "\r\n" + someHeader + "\r\n", map[Value]int{Neutral: 1}, "has no \"=\"", 512 << 10},
		{"30 000 tags that differ", "DKIM-Signature: " + strings.Join(letters(6000), "=;") + "\r\n" + someHeader + "\r\n", map[Value]int{Neutral: 1}, "more than 100 tags", 512 << 10},
		{"a signed field of 1 MB", forge(t, someTags, someHeader+"Subject: "+many(1<<20, "x ")+"\r\n", someBody), map[Value]int{Pass: 1}, "", 16 << 20},
		{"empty lines, simple", forge(t, "v=1; a=rsa-sha256; d=example.com; s=rsa; h=from", someHeader, many(4<<20, "\r\n")+"x"), map[Value]int{Pass: 1}, "", 256 << 10},
		{"empty lines, relaxed", forge(t, someTags, someHeader, many(4<<20, "\r\n")+"x"), map[Value]int{Pass: 1}, "", 256 << 10},
		{"blanks, relaxed", forge(t, someTags, someHeader, many(8<<20, " ")+"x"), map[Value]int{Pass: 1}, "", 256 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := message.Parse([]byte(tt.msg))
			v := &Verifier{Resolver: keys()}
			var got []Result
			n := allocated(func() {
				c, err := v.Verify(t.Context(), m.Header, struct{ io.Reader }{bytes.NewReader(m.Body)})
				if err != nil {
					t.Fatal(err)
				}
				got = c.Signatures
			})
			count := make(map[Value]int)
			for _, r := range got {
				count[r.Value]++
			}
			if fmt.Sprint(count) != fmt.Sprint(tt.want) {
				t.Errorf("results %v, want %v; the first is %+v", count, tt.want, got[0])
			}
			if last := got[len(got)-1]; !strings.Contains(last.Why, tt.why) {
				t.Errorf("last: %q, want %q", last.Why, tt.why)
			}
			if n > tt.memory && !raceEnabled {
				t.Errorf("%d bytes are allocated, %d may be", n, tt.memory)
			}
		})
	}
}

func TestLimitsCanBeSet(t *testing.T) {
	one := forge(t, someTags, someHeader, someBody)
	two := one[:strings.Index(one, "From: Ann")] + one
	for _, tt := range []struct {
		name string
		v    Verifier
		msg  string
		want []Value
	}{
		{"signatures", Verifier{MaxSignatures: 1}, two, []Value{Pass, Policy}},
		{"signatures enough", Verifier{MaxSignatures: 2}, two, []Value{Pass, Pass}},
		{"names", Verifier{MaxNames: 2}, one, []Value{PermError}},
		{"names enough", Verifier{MaxNames: 3}, one, []Value{Pass}},
		{"bytes", Verifier{MaxField: 100}, one, []Value{PermError}},
		{"bits", Verifier{MaxRSABits: 2047}, one, []Value{Policy}},
		{"bits, more than usual", Verifier{MinRSABits: 2049}, one, []Value{Policy}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.v.Resolver = keys()
			var got []Value
			for _, r := range verify(t, &tt.v, tt.msg) {
				got = append(got, r.Value)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// Texts as large as DNS has them, and larger.
func TestHostileKeyRecords(t *testing.T) {
	m := message.Parse([]byte(forge(t, someTags, someHeader, someBody)))
	for name, texts := range map[string][]string{
		"a text of 1 MB":     {"v=DKIM1; n=" + strings.Repeat("a", 1<<20) + "; p="},
		"a key of 1 MB":      {"v=DKIM1; p=" + strings.Repeat("AAAA", 1<<18)},
		"a number of 1 MB":   {oddRecord(8<<20, 65537)},
		"10 000 texts":       make([]string, 10_000),
		"10 000 keys":        strings.Split(strings.Repeat("p=|", 10_000), "|"),
		"tags and no end":    {"v=DKIM1; " + strings.Repeat("a=", 1<<19)},
		"semicolons":         {strings.Repeat(";", 1<<20)},
		"blanks in base64":   {"p=" + strings.Repeat("A \t", 1<<18)},
		"flags without end":  {"t=" + strings.Repeat("s:", 1<<18) + "; " + keyRecord()[len("v=DKIM1; "):]},
		"hashes without end": {"h=" + strings.Repeat(":", 1<<18) + "; " + keyRecord()[len("v=DKIM1; "):]},
	} {
		t.Run(name, func(t *testing.T) {
			v := &Verifier{Resolver: &zone{texts: map[string][]string{"rsa._domainkey.example.com": texts}}}
			n := allocated(func() {
				c, err := v.Verify(t.Context(), m.Header, bytes.NewReader(m.Body))
				if err != nil || len(c.Signatures) != 1 || c.Signatures[0].Value == TempError || len(c.Signatures[0].Why) > 300 {
					t.Errorf("%+v, %v", c, err)
				}
			})
			if n > 16<<20 && !raceEnabled {
				t.Errorf("%d bytes are allocated", n)
			}
		})
	}
}

func TestKeyLookups(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want Value
		why  string
	}{
		{"no such name", &net.DNSError{Err: "no such host", IsNotFound: true}, PermError, "no key for signature"},
		{"timeout", &net.DNSError{Err: "i/o timeout", IsTimeout: true}, TempError, "could not be looked up: lookup"},
		{"server fails", &net.DNSError{Err: "server misbehaving", IsTemporary: true}, TempError, "could not be looked up"},
		{"something else", errors.New("cable cut"), TempError, "cable cut"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := &zone{errs: map[string]error{"rsa._domainkey.example.com": tt.err}}
			got := verify(t, &Verifier{Resolver: z}, forge(t, someTags, someHeader, someBody))[0]
			if got.Value != tt.want || !strings.Contains(got.Why, tt.why) || got.Domain != "example.com" {
				t.Errorf("%+v, want %s, %q", got, tt.want, tt.why)
			}
		})
	}
}

// A crowd is how many look-ups run at a time; each takes a second.
type crowd struct {
	dns.Resolver
	mu        sync.Mutex
	now, most int
	asked     []string
}

func (c *crowd) LookupTXT(_ context.Context, name string) ([]string, error) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.asked = append(c.asked, name)
	c.mu.Unlock()
	time.Sleep(time.Second)
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
	return nil, nil
}

// One message is to leave others their share of look-ups.
func TestKeysAtATime(t *testing.T) {
	var header strings.Builder
	for i := range 10 {
		fmt.Fprintf(&header, "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s%d; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n", i)
	}
	for _, tt := range []struct{ parallel, most, seconds int }{{0, 3, 4}, {1, 1, 10}, {4, 4, 3}, {100, 10, 1}, {-1, 1, 10}} {
		synctest.Test(t, func(t *testing.T) {
			c, start := &crowd{}, time.Now()
			verify(t, &Verifier{Resolver: c, Parallel: tt.parallel}, header.String()+someHeader+"\r\n"+someBody)
			if took := time.Since(start); c.most != tt.most || took != time.Duration(tt.seconds)*time.Second || len(c.asked) != 10 {
				t.Errorf("Parallel %d: %d at a time, took %v for %d", tt.parallel, c.most, took, len(c.asked))
			}
			if tt.most == 1 && !slices.IsSorted(c.asked) {
				t.Errorf("not in the order of the header: %v", c.asked)
			}
		})
	}
}

// Every way out leaves no goroutine behind.
func TestVerifyEndsWhatItStarts(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	m := message.Parse([]byte(forge(t, someTags, someHeader, someBody)))
	broken := errors.New("disk broken")

	t.Run("the body cannot be read", func(t *testing.T) {
		// The look-up does not come back by itself: Verify has to end it.
		v := &Verifier{Resolver: &zone{wait: true}}
		c, err := v.Verify(t.Context(), m.Header, io.MultiReader(bytes.NewReader(m.Body[:5]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "dkim: read the body: ") || len(c.Signatures) != 0 {
			t.Errorf("%+v, error %v", c, err)
		}
	})
	t.Run("the body cannot be read as its time ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := (&Verifier{Resolver: &zone{wait: true}}).Verify(ctx, m.Header, readFunc(func([]byte) (int, error) { cancel(); return 0, ctx.Err() }))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no time at all", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c, err := (&Verifier{Resolver: &zone{wait: true}}).Verify(ctx, m.Header, bytes.NewReader(m.Body))
		if err != nil || len(c.Signatures) != 1 || c.Signatures[0].Value != TempError || !strings.Contains(c.Signatures[0].Why, "context canceled") {
			t.Errorf("%+v, error %v", c, err)
		}
	})
	t.Run("time ends inside the body, the key is there", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		left := 3
		c, err := (&Verifier{Resolver: keys()}).Verify(ctx, m.Header, readFunc(func(p []byte) (int, error) {
			if left--; left == 0 {
				cancel(errors.New("stage is over"))
			}
			if left < -100 {
				t.Fatal("the body is read on and on")
			}
			return copy(p, "abc"), nil
		}))
		if err != nil || c.Signatures[0].Value != TempError || !strings.Contains(c.Signatures[0].Why, "stage is over") {
			t.Errorf("%+v, error %v", c, err)
		}
	})
	t.Run("time ends while the key is looked up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := (&Verifier{Resolver: &zone{wait: true}}).Verify(ctx, m.Header, readFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }))
		if err != nil || c.Signatures[0].Value != TempError || !strings.Contains(c.Signatures[0].Why, "could not be looked up: context canceled") {
			t.Errorf("%+v, error %v", c, err)
		}
	})
}

// What breaks in the goroutine of a look-up costs a signature, not the program.
func TestResolverPanics(t *testing.T) {
	two := forge(t, strings.Replace(someTags, "s=rsa", "s=gone", 1), someHeader, someBody)
	field, _, _ := strings.Cut(two, "From: Ann")
	msg := field + forge(t, someTags, someHeader, someBody)
	got := verify(t, &Verifier{Resolver: panicking{Resolver: keys(), at: "gone._domainkey.example.com."}}, msg)
	if len(got) != 2 || got[0].Value != TempError || !strings.Contains(got[0].Why, "could not be looked up: the resolver panics: cable cut") || got[1].Value != Pass {
		t.Errorf("%+v", got)
	}
}

// A panicking resolver panics at one name.
type panicking struct {
	dns.Resolver
	at string
}

func (r panicking) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if name == r.at {
		panic("cable cut")
	}
	return r.Resolver.LookupTXT(ctx, name)
}

// A panic while the body is read is the caller's, and leaves no goroutine behind.
func TestReadingPanics(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	m := message.Parse([]byte(forge(t, someTags, someHeader, someBody)))
	var came bool
	z := &zone{wait: true}
	func() {
		defer func() { came = recover() == "disk gone" }()
		(&Verifier{Resolver: z}).Verify(t.Context(), m.Header, readFunc(func([]byte) (int, error) { panic("disk gone") }))
	}()
	if !came {
		t.Error("the panic got lost")
	}
	if len(z.asked) != 1 { // a race, were it not waited for
		t.Errorf("asked %q", z.asked)
	}
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// Where no signature depends on the body it is not read, and nothing is looked up.
func TestBodyIsLeftAlone(t *testing.T) {
	for _, header := range []string{"From: a@example.com\r\n", "DKIM-Signature: broken\r\n", "DKIM-Signature: v=1; a=rsa-sha1; b=AAAA; bh=AAAA; d=example.com; s=rsa; h=from\r\n", ""} {
		z := keys()
		c, err := (&Verifier{Resolver: z}).Verify(t.Context(), message.Parse([]byte(header+"\r\n")).Header, iotest.ErrReader(errors.New("was read")))
		if err != nil || len(c.Signatures) != strings.Count(header, "DKIM-Signature") || z.asked != nil {
			t.Errorf("%q: %+v, %v, asked %q", header, c, err, z.asked)
		}
	}
}
