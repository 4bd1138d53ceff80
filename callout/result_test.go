package callout

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// CBV-12, CBV-15: each reason has a verdict, and a text without anything of a server's.
func TestReasons(t *testing.T) {
	for why, known := range reasons {
		if why.Verdict() != known.verdict || why.Text() == "" || strings.ContainsAny(why.Text(), "%\n") {
			t.Errorf("%s: %s, %q", why, why.Verdict(), why.Text())
		}
		if why.Verdict() == Refused && why != NoMailbox && known.keep && why != FraudHost {
			t.Errorf("%s is kept as refused", why)
		}
	}
	if v := Reason("other").Verdict(); v != Unknown {
		t.Errorf("a reason that is none is %s", v)
	}
}

func TestResultString(t *testing.T) {
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	server := Result{Host: "mx.example", Addr: netip.MustParseAddr("2001:db8::1"), Reply: Reply{550, "5.1.1", "no such user"}}
	with := func(r Result, why Reason, change func(*Result)) Result {
		r.Reason, r.Verdict = why, why.Verdict()
		change(&r)
		return r
	}
	for _, tt := range []struct {
		r    Result
		want string
	}{
		{with(server, NoMailbox, func(*Result) {}), "refused (no-mailbox): mx.example [2001:db8::1] said 550 5.1.1 no such user"},
		{with(server, Taken, func(r *Result) { r.Reply, r.Probe = Reply{Code: 250}, Accepted }),
			"accepted (taken): mx.example [2001:db8::1] said 250, and any other address of the domain"},
		{with(server, NoMailbox, func(r *Result) { r.Cached, r.Asked = true, asked }),
			"refused (no-mailbox): mx.example [2001:db8::1] said 550 5.1.1 no such user, asked 2026-01-02 03:04:05"},
		{because(NullMX, 556, "5.1.10", "no"), "refused (null-mx): 556 5.1.10 no"},
		{with(Result{}, NoAnswer, func(r *Result) { r.Problem = "connect: refused" }), "unknown (no-answer): connect: refused"},
	} {
		if got := tt.r.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
	if got := (Reply{}).String(); got != "no reply" {
		t.Errorf("empty reply is %q", got)
	}
}

func TestLongRepliesAreCut(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"short", "short"},
		{strings.Repeat("a", maxText+1), strings.Repeat("a", maxText)},
		{strings.Repeat("a", maxText-1) + "\u00e9", strings.Repeat("a", maxText-1)},
	} {
		if got := clip(tt.in); got != tt.want {
			t.Errorf("clip of %d bytes has %d, want %d", len(tt.in), len(got), len(tt.want))
		}
	}
}

func TestResultsReadBack(t *testing.T) {
	var kept []Reason
	for why, known := range reasons {
		if known.keep {
			kept = append(kept, why)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		why := rapid.SampledFrom(kept).Draw(t, "reason")
		want := Result{
			Address: rapid.String().Draw(t, "address"), Verdict: why.Verdict(), Reason: why,
			Reply: Reply{rapid.IntRange(0, 599).Draw(t, "code"), rapid.String().Draw(t, "enhanced"), rapid.String().Draw(t, "text")},
			Host:  rapid.String().Draw(t, "host"), TLS: rapid.Bool().Draw(t, "tls"), Problem: rapid.String().Draw(t, "problem"),
			Probe: rapid.SampledFrom([]Verdict{"", Accepted, Refused, Unknown}).Draw(t, "probe"),
			Asked: time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "asked"), 0).UTC(),
		}
		if rapid.Bool().Draw(t, "has an address") {
			want.Addr = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr")))
		}
		got, err := decode(want.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	for _, in := range []string{
		"", "null", "{}", "[]", `{"verdict":"accepted"}`, `{"verdict":"accepted","reason":"no-mailbox"}`, `{"verdict":"refused","reason":"null-mx"}`,
		`{"verdict":"unknown","reason":"pending"}`, `{"verdict":"accepted","reason":"taken","probe":"maybe"}`,
		`{"verdict":"accepted","reason":"taken","addr":"x"}`, `{"verdict":"accepted","reason":"taken","host":"` + strings.Repeat("a", maxEncoded) + `"}`,
	} {
		if r, err := decode([]byte(in)); err == nil {
			t.Errorf("decode(%.60q) = %v", in, r)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"address":"a@one.example","verdict":"refused","reason":"no-mailbox","reply":{"code":550,"enhanced":"5.1.1","text":"no"},"host":"mx.example","addr":"192.0.2.1","asked":"2026-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"verdict":"accepted","reason":"taken","probe":"accepted","asked":"0001-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"verdict":"unknown","reason":"closed"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := decode(in)
		if err != nil {
			return
		}
		again, err := decode(r.encode())
		if err != nil {
			t.Fatalf("%q reads as %+v, which does not read back: %v", in, r, err)
		}
		if a, b := asJSON(t, r), asJSON(t, again); a != b {
			t.Errorf("%q reads as %s, and back as %s", in, a, b)
		}
	})
}

func asJSON(t *testing.T, r Result) string {
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMemory(t *testing.T) {
	now := time.Unix(0, 0)
	m := NewMemory(2, func() time.Time { return now })
	ctx := context.Background()
	get := func(key string) string {
		v, ok, err := m.Get(ctx, key)
		if err != nil || ok != (v != nil) {
			t.Errorf("Get(%s) = %q, %v, %v", key, v, ok, err)
		}
		return string(v)
	}
	m.Put(ctx, "a", []byte("1"), time.Minute)
	m.Put(ctx, "b", []byte("2"), time.Hour)
	m.Put(ctx, "a", []byte("3"), time.Minute)
	if get("a") != "3" || get("b") != "2" {
		t.Error("values are lost")
	}
	get("a")
	if m.Put(ctx, "c", []byte("4"), time.Hour); get("a") != "3" || get("b") != "" || get("c") != "4" {
		t.Error("what was not used for longest is not what is forgotten")
	}
	now = now.Add(time.Minute - 1)
	if get("a") != "3" {
		t.Error("forgotten before its term")
	}
	now = now.Add(1)
	if get("a") != "" || get("c") != "4" || len(m.kept) != 1 {
		t.Error("kept after its term")
	}
}
