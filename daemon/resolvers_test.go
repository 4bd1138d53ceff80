package daemon

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/dns"
)

// However often the servers change, no more than some resolvers are remembered, and all that they
// counted.
func TestFewResolversAreRemembered(t *testing.T) {
	s, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{"example.com.": {TXT: []string{"x"}}}, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(t.TempDir(), "c.toml")
	var r resolvers
	for i := range 3 * maxResolvers {
		text := fmt.Appendf(nil, "[dns]\nservers = [%q]\nlife = '%dm'\n[[listener]]\nsocket = 'fd://3'\nchain = ['auth']\n[filter.auth]\n", s.LocalAddr(), i+1)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		c, problems := src.Parse()
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		r.add(c)
		cache, err := c.Resolver()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := cache.LookupTXT(t.Context(), "example.com"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(r.list) != maxResolvers {
		t.Errorf("%d are remembered, want %d", len(r.list), maxResolvers)
	}
	want := dns.CacheStats{Hits: 3 * maxResolvers, Misses: 3 * maxResolvers, Asked: 3 * maxResolvers, Entries: 1}
	got := r.stats()
	want.Bytes = got.Bytes // about
	if got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	r.close()
	last, err := r.list[maxResolvers-1].Resolver()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := last.LookupTXT(t.Context(), "example.org"); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("once closed, it answers with error %v", err)
	}
}
