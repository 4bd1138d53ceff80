package auth

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomilter/gomilter/dns"
)

// counted answers questions for TXT records with answer, and counts them.
type counted struct {
	dns.Resolver
	asked  atomic.Int64
	answer func(ctx context.Context, name string) ([]string, error)
}

func (c *counted) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.asked.Add(1)
	return c.answer(ctx, name)
}

func TestTextsAreAskedForOnce(t *testing.T) {
	notFound := &net.DNSError{Err: "no such host", IsNotFound: true}
	for _, tt := range []struct {
		name    string
		records []string
		err     error
		asked   int64 // of three questions, one after the other
	}{
		{"an answer", []string{"x"}, nil, 1},
		{"no such name", nil, notFound, 1},
		{"a server that fails", nil, errors.New("SERVFAIL"), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &counted{answer: func(context.Context, string) ([]string, error) { return tt.records, tt.err }}
			b := &budget{r: c, max: time.Second}
			for _, name := range []string{"example.com", "Example.Com.", "example.com."} {
				got, err := b.LookupTXT(t.Context(), name)
				if len(got) != len(tt.records) || !errors.Is(err, tt.err) {
					t.Errorf("%s: %q, %v", name, got, err)
				}
				if len(got) > 0 {
					got[0] = "changed" // it is the caller's
				}
			}
			if n := c.asked.Load(); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
		})
	}
	t.Run("several at a time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &counted{answer: func(context.Context, string) ([]string, error) {
				time.Sleep(200 * time.Millisecond)
				return []string{"x"}, nil
			}}
			b := &budget{r: c, max: time.Second}
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					if got, err := b.LookupTXT(t.Context(), "example.com"); len(got) != 1 || err != nil {
						t.Errorf("%q, %v", got, err)
					}
				})
			}
			all.Wait()
			if n := c.asked.Load(); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
		})
	})
	t.Run("one that gives up waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &counted{answer: func(context.Context, string) ([]string, error) { time.Sleep(time.Minute); return []string{"x"}, nil }}
			b := &budget{r: c, max: time.Hour}
			var all sync.WaitGroup
			all.Go(func() { b.LookupTXT(t.Context(), "example.com") })
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := b.LookupTXT(ctx, "example.com"); !dns.IsTemporary(err) {
				t.Errorf("error = %v, want a temporary one", err)
			}
			all.Wait()
		})
	})
}
