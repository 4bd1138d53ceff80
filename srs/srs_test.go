package srs_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/srs"
	"pgregory.net/rapid"
)

const (
	peerKey = "the secret of all peers"
	oldKey  = "the old secret of peers"
)

// noon is the middle of a day, in days since 1970.
func noon(day int64) func() time.Time {
	return func() time.Time { return time.Unix(day*86400+43200, 0) }
}

// today is 2026-03-01, the stamp BB.
const today = 20513

func secret(h srs.Hash, keys ...string) []srs.Secret {
	var out []srs.Secret
	for _, k := range keys {
		out = append(out, srs.Secret{Key: []byte(k), Hash: h})
	}
	return out
}

// newRewriter returns one with the peers' secret, and today's clock, unless o has others.
func newRewriter(t testing.TB, o srs.Options) *srs.Rewriter {
	t.Helper()
	if o.Secrets == nil {
		o.Secrets = secret(srs.SHA256, peerKey)
	}
	if o.Now == nil {
		o.Now = noon(today)
	}
	r, err := srs.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustForward(t testing.TB, r *srs.Rewriter, sender, alias string) string {
	t.Helper()
	s, err := r.Forward(sender, alias)
	if err != nil {
		t.Fatalf("Forward(%q, %q): %v", sender, alias, err)
	}
	return s
}

func mustSign(t testing.TB, r *srs.Rewriter, sender string) string {
	t.Helper()
	s, err := r.Sign(sender)
	if err != nil {
		t.Fatalf("Sign(%q): %v", sender, err)
	}
	return s
}

// What other programs made with the same secret is made here, letter by letter, and read back.
func TestForwardAsOtherProgramsDo(t *testing.T) {
	text, err := os.ReadFile("testdata/forward.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		program, sender, alias, want := f[0], f[4], f[5], f[6]
		day, err1 := strconv.ParseInt(f[1], 10, 64)
		length, err2 := strconv.Atoi(f[3])
		if err1 != nil || err2 != nil {
			t.Fatal(line)
		}
		n++
		r := newRewriter(t, srs.Options{Secrets: secret(srs.SHA1, peerKey), Separator: f[2][0], HashLength: length, MaxLocal: 200, Now: noon(day)})
		if got := mustForward(t, r, sender, alias); got != want {
			t.Errorf("%s: Forward(%q, %q) = %q, want %q", program, sender, alias, got, want)
		}
		if want == sender {
			continue
		}
		wantBack := sender
		if strings.HasPrefix(strings.ToUpper(sender), "SRS") { // SRS1 leads to the first forwarder
			tag, rest, host := "SRS0", sender[4:], "first.example"
			if strings.Contains(want, "First.Example") {
				host = "First.Example"
			}
			if sender[3] == '1' {
				rest = sender[strings.Index(sender, host)+len(host)+1:]
			}
			wantBack = tag + rest[:strings.LastIndex(rest, "@")] + "@" + host
		}
		if o, err := r.Reverse(want); err != nil || o.Address != wantBack || o.Folded || o.Key != 0 {
			t.Errorf("%s: Reverse(%q) = %+v, %v, want %q", program, want, o, err, wantBack)
		}
	}
	if n < 100 {
		t.Errorf("%d vectors, want 100 at least", n)
	}
}

func TestForward(t *testing.T) {
	r := newRewriter(t, srs.Options{MaxLocal: 200})
	for _, tt := range []struct{ name, sender, alias, want string }{
		{"null sender", "", "forward.example", ""},
		{"null sender in brackets", "<>", "forward.example", ""},
		{"sender of the alias's domain", "jane@Forward.Example", "forward.example", "jane@Forward.Example"},
		{"alias with a dot at its end", "jane@forward.example", "forward.example.", "jane@forward.example"},
		{"ordinary", "jane@example.net", "forward.example", "SRS0=HASHHASH=BB=example.net=jane@forward.example"},
		{"brackets", "<jane@example.net>", "forward.example", "SRS0=HASHHASH=BB=example.net=jane@forward.example"},
		{"domain with a dot at its end", "jane@example.net.", "forward.example", "SRS0=HASHHASH=BB=example.net=jane@forward.example"},
		{"quoted without need", `"jane"@example.net`, "forward.example", "SRS0=HASHHASH=BB=example.net=jane@forward.example"},
		{"quoted blank", `"jane doe"@example.net`, "forward.example", `"SRS0=HASHHASH=BB=example.net=jane doe"@forward.example`},
		{"quoted at sign", `"jane@home"@example.net`, "forward.example", `"SRS0=HASHHASH=BB=example.net=jane@home"@forward.example`},
		{"quoted quote", `"a\"b\\c"@example.net`, "forward.example", `"SRS0=HASHHASH=BB=example.net=a\"b\\c"@forward.example`},
		{"two dots without quotes", "a..b@example.net", "forward.example", `"SRS0=HASHHASH=BB=example.net=a..b"@forward.example`},
		{"address literal", "jane@[192.0.2.1]", "forward.example", `"SRS0=HASHHASH=BB=[192.0.2.1]=jane"@forward.example`},
		{"address literal of IPv6", "jane@[IPv6:2001:db8::1]", "forward.example", `"SRS0=HASHHASH=BB=[IPv6:2001:db8::1]=jane"@forward.example`},
		{"UTF-8", "jürgen@bücher.example", "forward.example", "SRS0=HASHHASH=BB=bücher.example=jürgen@forward.example"},
		{"SRS0 of another", "SRS0=xxxx=TT=a.example=jane@b.example", "forward.example", "SRS1=HASHHASH=b.example==xxxx=TT=a.example=jane@forward.example"},
		{"SRS0 of another with its separator", "SRS0+xxxx=TT=a.example=jane@b.example", "forward.example", "SRS1=HASHHASH=b.example=+xxxx=TT=a.example=jane@forward.example"},
		{"SRS1 of another", "SRS1=yyyy=b.example==xxxx=TT=a.example=jane@c.example", "forward.example", "SRS1=HASHHASH=b.example==xxxx=TT=a.example=jane@forward.example"},
		{"SRS1 in no form", "SRS1=yyyy=b.example@c.example", "forward.example", "SRS0=HASHHASH=BB=c.example=SRS1=yyyy=b.example@forward.example"},
		{"name that only begins like SRS0", "srs0ren@c.example", "forward.example", "SRS0=HASHHASH=BB=c.example=srs0ren@forward.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.Forward(tt.sender, tt.alias)
			if i := strings.Index(tt.want, "HASHHASH"); err == nil && i >= 0 && len(got) > i+8 {
				got = got[:i] + "HASHHASH" + got[i+8:]
			}
			if err != nil || got != tt.want {
				t.Errorf("Forward(%q, %q) = %q, %v, want %q", tt.sender, tt.alias, got, err, tt.want)
			}
		})
	}
	if got := mustForward(t, newRewriter(t, srs.Options{AlwaysRewrite: true}), "jane@forward.example", "forward.example"); !strings.HasPrefix(got, "SRS0=") {
		t.Errorf("with AlwaysRewrite: %q", got)
	}
}

func TestWhatCannotBeRewritten(t *testing.T) {
	r := newRewriter(t, srs.Options{})
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		name, sender, alias string
		err                 error
	}{
		{"no domain", "postmaster", "forward.example", srs.ErrAddress},
		{"no local part", "@example.net", "forward.example", srs.ErrAddress},
		{"empty local part in quotes", `""@example.net`, "forward.example", srs.ErrAddress},
		{"empty domain", "jane@", "forward.example", srs.ErrAddress},
		{"two dots at the end", "jane@example.net..", "forward.example", srs.ErrAddress},
		{"dot alone for the domain", "jane@.", "forward.example", srs.ErrAddress},
		{"empty label", "jane@a..b", "forward.example", srs.ErrAddress},
		{"literal without end", "jane@[192.0.2.1", "forward.example", srs.ErrAddress},
		{"equals sign in the domain", "jane@a=b", "forward.example", srs.ErrAddress},
		{"two at signs", "jane@a@b", "forward.example", srs.ErrAddress},
		{"control character", "ja\x00ne@example.net", "forward.example", srs.ErrAddress},
		{"line end in quotes", "\"ja\nne\"@example.net", "forward.example", srs.ErrAddress},
		{"quote without end", `"jane@example.net`, "forward.example", srs.ErrAddress},
		{"backslash at the end", `jane\`, "forward.example", srs.ErrAddress},
		{"bracket without end", "<jane@example.net", "forward.example", srs.ErrAddress},
		{"blank", "jane doe@example.net", "forward.example", srs.ErrAddress},
		{"no alias", "jane@example.net", "", srs.ErrAddress},
		{"alias with an address", "jane@example.net", "bob@forward.example", srs.ErrAddress},
		{"600 octets", strings.Repeat("x", 600) + "@example.net", "forward.example", srs.ErrAddress},
		{"local part over 64", strings.Repeat("x", 36) + "@example.net", "forward.example", srs.ErrTooLong},
		{"sender over 254", "j@example.net", long + "." + long[:50], srs.ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := r.Forward(tt.sender, tt.alias); !errors.Is(err, tt.err) || got != "" {
				t.Errorf("Forward(%q, %q) = %q, %v, want %v", tt.sender, tt.alias, got, err, tt.err)
			}
		})
	}
}

// A local part of 64 octets is the longest, unless told otherwise; quotes count.
func TestLongestLocalPart(t *testing.T) {
	frame := len("SRS0=HASHHASH=BB=example.net=")
	for _, tt := range []struct {
		name  string
		local string
		max   int
		fits  bool
	}{
		{"64", strings.Repeat("x", 64-frame), 0, true},
		{"65", strings.Repeat("x", 65-frame), 0, false},
		{"64 with quotes", `"` + strings.Repeat("x", 61-frame) + ` "`, 0, true},
		{"65 with quotes", `"` + strings.Repeat("x", 62-frame) + ` "`, 0, false},
		{"65 of 100", strings.Repeat("x", 65-frame), 100, true},
		{"100 of 100", strings.Repeat("x", 100-frame), 100, true},
		{"101 of 100", strings.Repeat("x", 101-frame), 100, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newRewriter(t, srs.Options{MaxLocal: tt.max}).Forward(tt.local+"@example.net", "forward.example")
			if fits := err == nil; fits != tt.fits || !fits && !errors.Is(err, srs.ErrTooLong) {
				t.Errorf("Forward = %q, %v", got, err)
			}
			if err == nil { // the limit is for what is made, not for what is read
				if _, err := newRewriter(t, srs.Options{}).Reverse(got); err != nil {
					t.Errorf("Reverse(%q): %v", got, err)
				}
			}
		})
	}
}

func TestReverse(t *testing.T) {
	r := newRewriter(t, srs.Options{BATV: srs.BATVSign})
	fwd := mustForward(t, r, "Jane@Example.NET", "forward.example")
	second := mustForward(t, newRewriter(t, srs.Options{MaxLocal: 100}), fwd, "second.example")
	plain := newRewriter(t, srs.Options{})
	signed := mustSign(t, plain, "jane@example.com")
	batv := mustSign(t, r, "jane@example.com")
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, in string
		want     srs.Original
	}{
		{"SRS0", fwd, srs.Original{Address: "Jane@Example.NET", Form: srs.FormSRS0, Made: day}},
		{"SRS0 in brackets", "<" + fwd + ">", srs.Original{Address: "Jane@Example.NET", Form: srs.FormSRS0, Made: day}},
		{"SRS0 in quotes", strings.Replace(`"`+fwd, "@", `"@`, 1), srs.Original{Address: "Jane@Example.NET", Form: srs.FormSRS0, Made: day}},
		{"SRS0 in lower case", strings.ToLower(fwd), srs.Original{Address: "jane@example.net", Form: srs.FormSRS0, Folded: true, Made: day}},
		{"SRS0 in upper case", strings.ToUpper(fwd), srs.Original{Address: "JANE@EXAMPLE.NET", Form: srs.FormSRS0, Folded: true, Made: day}},
		{"SRS1", second, srs.Original{Address: fwd, Form: srs.FormSRS1}},
		{"signed", signed, srs.Original{Address: "jane@example.com", Form: srs.FormSigned, Made: day}},
		{"BATV", batv, srs.Original{Address: "jane@example.com", Form: srs.FormBATV}},
		{"BATV in upper case", strings.ToUpper(batv), srs.Original{Address: "JANE@EXAMPLE.COM", Form: srs.FormBATV}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.Reverse(tt.in)
			if err != nil || got != tt.want {
				t.Errorf("Reverse(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
			}
			if _, err := plain.Reverse(tt.in); (err == nil) != (tt.want.Form != srs.FormBATV) {
				t.Errorf("without BATV: %v", err)
			}
			exact := newRewriter(t, srs.Options{ExactCase: true})
			if _, err := exact.Reverse(tt.in); tt.want.Folded && !errors.Is(err, srs.ErrHash) || !tt.want.Folded && errors.Is(err, srs.ErrHash) {
				t.Errorf("with ExactCase: %v", err)
			}
		})
	}
}

func TestReverseRefuses(t *testing.T) {
	r := newRewriter(t, srs.Options{BATV: srs.BATVAccept})
	for _, tt := range []struct {
		name, in string
		err      error
	}{
		{"null sender", "", srs.ErrAddress},
		{"no domain", "SRS0=xxxxxxxx=BB=example.net=jane", srs.ErrAddress},
		{"600 octets", "SRS0=" + strings.Repeat("x", 600) + "@forward.example", srs.ErrAddress},
		{"ordinary", "jane@forward.example", srs.ErrNotSRS},
		{"name that begins like SRS0", "srs0ren@forward.example", srs.ErrNotSRS},
		{"SRS0 with a digit for the separator", "SRS05xxxxxxxx=BB=example.net=jane@forward.example", srs.ErrNotSRS},
		{"SRS2", "SRS2=xxxxxxxx=BB=example.net=jane@forward.example", srs.ErrNotSRS},
		{"SES", "SES=abcdef=jane@forward.example", srs.ErrNotSRS},
		{"nothing behind SRS0", "SRS0=@forward.example", srs.ErrMalformed},
		{"three fields", "SRS0=xxxxxxxx=BB=example.net@forward.example", srs.ErrMalformed},
		{"empty user", "SRS0=xxxxxxxx=BB=example.net=@forward.example", srs.ErrMalformed},
		{"day of one digit", "SRS0=xxxxxxxx=B=example.net=jane@forward.example", srs.ErrMalformed},
		{"day that is no base32", "SRS0=xxxxxxxx=B1=example.net=jane@forward.example", srs.ErrMalformed},
		{"domain that is none", `"SRS0=xxxxxxxx=BB=exa mple=jane"@forward.example`, srs.ErrMalformed},
		{"two fields of SRS1", "SRS1=xxxxxxxx=a.example@forward.example", srs.ErrMalformed},
		{"SRS1 without host", "SRS1=xxxxxxxx===yyyy=BB=example.net=jane@forward.example", srs.ErrMalformed},
		{"SRS1 without inner separator", "SRS1=xxxxxxxx=a.example=yyyy=BB=example.net=jane@forward.example", srs.ErrMalformed},
		{"SRS1 without hash", "SRS1=a.example==yyyy=BB=example.net=jane@forward.example", srs.ErrMalformed},
		{"SRS1 with an empty hash", "SRS1==a.example==yyyy=BB=example.net=jane@forward.example", srs.ErrHash},
		{"hash of another", "SRS0=xxxxxxxx=BB=example.net=jane@forward.example", srs.ErrHash},
		{"empty hash", "SRS0==BB=example.net=jane@forward.example", srs.ErrHash},
		{"hash longer than any", "SRS0=" + strings.Repeat("x", 44) + "=BB=example.net=jane@forward.example", srs.ErrHash},
		{"old day and a bad hash", "SRS0=xxxxxxxx=AA=example.net=jane@forward.example", srs.ErrHash},
		{"prvs without value", "prvs=jane@forward.example", srs.ErrMalformed},
		{"prvs with a short value", "prvs=0123abcde=jane@forward.example", srs.ErrMalformed},
		{"prvs without user", "prvs=0123abcdef=@forward.example", srs.ErrMalformed},
		{"prvs with a day of letters", "prvs=0abcabcdef=jane@forward.example", srs.ErrMalformed},
		{"prvs with a sign", "prvs=+123abcdef=jane@forward.example", srs.ErrMalformed},
		{"prvs of another", "prvs=0523abcdef=jane@forward.example", srs.ErrHash},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := r.Reverse(tt.in); !errors.Is(err, tt.err) || got != (srs.Original{}) {
				t.Errorf("Reverse(%q) = %+v, %v, want %v", tt.in, got, err, tt.err)
			}
		})
	}
}

func TestAge(t *testing.T) {
	for _, days := range []int{1, 8, 21, 365} {
		made := newRewriter(t, srs.Options{MaxAge: time.Duration(days) * 24 * time.Hour, BATV: srs.BATVAccept})
		batv := newRewriter(t, srs.Options{MaxAge: time.Duration(days) * 24 * time.Hour, BATV: srs.BATVSign})
		forwarded, signed, prvs := mustForward(t, made, "jane@example.net", "forward.example"), mustSign(t, made, "jane@example.com"), mustSign(t, batv, "jane@example.com")
		for _, tt := range []struct {
			name  string
			later int64
			ok    bool
		}{
			{"same day", 0, true},
			{"next day", 1, true},
			{"last day", int64(days), true},
			{"the day before, as a host's clock is late", -1, true},
			{"two days before", -2, false},
			{"long after", 500, false},
			{"long before", -400, false},
		} {
			t.Run(fmt.Sprintf("%d days/%s", days, tt.name), func(t *testing.T) {
				r := newRewriter(t, srs.Options{MaxAge: time.Duration(days) * 24 * time.Hour, BATV: srs.BATVAccept, Now: noon(today + tt.later)})
				for _, a := range []string{forwarded, signed} {
					if _, err := r.Reverse(a); tt.ok && err != nil || !tt.ok && !errors.Is(err, srs.ErrExpired) {
						t.Errorf("Reverse(%q) %+d days: %v", a, tt.later, err)
					}
				}
				// How early a BATV address is cannot be seen: it has its last day.
				if _, err := r.Reverse(prvs); tt.later >= -1 && (tt.ok && err != nil || !tt.ok && !errors.Is(err, srs.ErrExpired)) {
					t.Errorf("Reverse(%q) %+d days: %v", prvs, tt.later, err)
				}
			})
		}
		for later, want := range map[int64]error{int64(days) + 1: nil, int64(days) + 2: srs.ErrExpired} {
			r := newRewriter(t, srs.Options{MaxAge: time.Duration(days) * 24 * time.Hour, BATV: srs.BATVAccept, Now: noon(today + later)})
			if _, err := r.Reverse(prvs); !errors.Is(err, want) {
				t.Errorf("BATV of %d days, %d days later: %v, want %v", days, later, err, want)
			}
			later-- // SRS grants the day for late clocks at its beginning
			r = newRewriter(t, srs.Options{MaxAge: time.Duration(days) * 24 * time.Hour, Now: noon(today + later)})
			if _, err := r.Reverse(forwarded); !errors.Is(err, want) {
				t.Errorf("SRS0 of %d days, %d days later: %v, want %v", days, later, err, want)
			}
		}
	}
}

// An address stays valid when the greatest age is lowered, as far as the new one goes.
func TestShorterAge(t *testing.T) {
	for _, use := range []srs.BATV{srs.BATVAccept, srs.BATVSign} {
		a := mustSign(t, newRewriter(t, srs.Options{BATV: use}), "jane@example.com")
		if _, err := newRewriter(t, srs.Options{BATV: srs.BATVAccept, MaxAge: 48 * time.Hour}).Reverse(a); err != nil {
			t.Errorf("Reverse(%q) after MaxAge became shorter: %v", a, err)
		}
	}
}

// Stamps stay right where their cycle begins anew, and at the ends of its digits.
func TestStampCycle(t *testing.T) {
	for _, day := range []int64{today - today%1024 - 1, today - today%1024, today - today%1024 + 31, today - today%1024 + 1023, 20999, 21000} {
		made := newRewriter(t, srs.Options{Now: noon(day), BATV: srs.BATVAccept})
		prvs := mustSign(t, newRewriter(t, srs.Options{Now: noon(day), BATV: srs.BATVSign}), "jane@example.com")
		fwd := mustForward(t, made, "jane@example.net", "forward.example")
		for later := int64(-1); later <= 21; later++ {
			r := newRewriter(t, srs.Options{Now: noon(day + later), BATV: srs.BATVAccept})
			if o, err := r.Reverse(fwd); err != nil || !o.Made.Equal(time.Unix(day*86400, 0)) {
				t.Errorf("day %d %+d: Reverse(%q) = %v, %v", day, later, fwd, o.Made, err)
			}
			if _, err := r.Reverse(prvs); err != nil {
				t.Errorf("day %d %+d: Reverse(%q): %v", day, later, prvs, err)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	for _, form := range []string{"forward", "sign", "batv"} {
		t.Run(form, func(t *testing.T) {
			make := func(keys []srs.Secret) string {
				use := srs.BATVAccept
				if form == "batv" {
					use = srs.BATVSign
				}
				r := newRewriter(t, srs.Options{Secrets: keys, BATV: use})
				if form == "forward" {
					return mustForward(t, r, "jane@example.net", "forward.example")
				}
				return mustSign(t, r, "jane@example.com")
			}
			old := make(secret(srs.SHA1, oldKey))
			both := append(secret(srs.SHA256, peerKey), secret(srs.SHA1, oldKey)...)
			fresh := make(both)
			r := newRewriter(t, srs.Options{Secrets: both, BATV: srs.BATVAccept})
			if o, err := r.Reverse(old); err != nil || o.Key != 1 {
				t.Errorf("old address: key %d, %v, want 1", o.Key, err)
			}
			if o, err := r.Reverse(fresh); err != nil || o.Key != 0 {
				t.Errorf("new address: key %d, %v, want 0", o.Key, err)
			}
			if fresh != make(secret(srs.SHA256, peerKey)) {
				t.Error("the first secret does not make the address")
			}
			gone := newRewriter(t, srs.Options{BATV: srs.BATVAccept})
			if _, err := gone.Reverse(old); !errors.Is(err, srs.ErrHash) {
				t.Errorf("once the old secret is gone: %v", err)
			}
		})
	}
}

func TestHashLength(t *testing.T) {
	long := mustForward(t, newRewriter(t, srs.Options{HashLength: 43, MaxLocal: 200}), "jane@example.net", "forward.example")
	cut := func(n int) string { return "SRS0=" + long[5:5+n] + long[5+43:] }
	for _, tt := range []struct {
		name          string
		length, least int
		have          int
		ok            bool
	}{
		{"8 of 8", 0, 0, 8, true},
		{"9 of 8", 0, 0, 9, true},
		{"43 of 8", 0, 0, 43, true},
		{"7 of 8", 0, 0, 7, false},
		{"none of 8", 0, 0, 0, false},
		{"4 while the old are accepted", 8, 4, 4, true},
		{"3 while 4 are accepted", 8, 4, 3, false},
		{"8 of 12", 12, 0, 8, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRewriter(t, srs.Options{HashLength: tt.length, HashMin: tt.least})
			if _, err := r.Reverse(cut(tt.have)); tt.ok && err != nil || !tt.ok && !errors.Is(err, srs.ErrHash) {
				t.Errorf("Reverse(%q): %v", cut(tt.have), err)
			}
		})
	}
}

func TestSign(t *testing.T) {
	r := newRewriter(t, srs.Options{BATV: srs.BATVAccept})
	batv := newRewriter(t, srs.Options{BATV: srs.BATVSign})
	signed, prvs := mustSign(t, r, "jane@Example.COM"), mustSign(t, batv, "jane@Example.COM")
	if !strings.HasPrefix(signed, "SRS0=") || !strings.HasSuffix(signed, "=BB==jane@Example.COM") {
		t.Errorf("Sign = %q", signed)
	}
	// The last day is 21 days after day 20513.
	if !strings.HasPrefix(prvs, "prvs=0534") || !strings.HasSuffix(prvs, "=jane@Example.COM") || len(prvs) != len("prvs=0534xxxxxx=jane@Example.COM") {
		t.Errorf("Sign = %q", prvs)
	}
	for _, s := range []*srs.Rewriter{r, batv} {
		for _, in := range []string{signed, prvs, mustForward(t, r, "bob@example.net", "example.com")} {
			if again := mustSign(t, s, in); again != in {
				t.Errorf("Sign(%q) = %q, want it as it is", in, again)
			}
		}
		for _, in := range []string{"", "<>"} {
			if got := mustSign(t, s, in); got != "" {
				t.Errorf("Sign(%q) = %q", in, got)
			}
		}
		for in, want := range map[string]error{
			"postmaster": srs.ErrAddress,
			"SRS0=xxxxxxxx=BB=example.net=jane@example.com": srs.ErrHash,
			"SRS0=xxxxxxxx@example.com":                     srs.ErrMalformed,
			strings.Repeat("x", 60) + "@example.com":        srs.ErrTooLong,
		} {
			if got, err := s.Sign(in); !errors.Is(err, want) || got != "" {
				t.Errorf("Sign(%q) = %q, %v, want %v", in, got, err, want)
			}
		}
	}
	// What the forms of SRS have no place for, BATV may have.
	fits := strings.Repeat("x", 48) + "@example.com"
	if _, err := r.Sign(fits); !errors.Is(err, srs.ErrTooLong) {
		t.Errorf("Sign(%q): %v", fits, err)
	}
	if _, err := batv.Sign(fits); err != nil {
		t.Errorf("Sign(%q): %v", fits, err)
	}
}

func TestUnwind(t *testing.T) {
	a := newRewriter(t, srs.Options{MaxLocal: 200})
	b := newRewriter(t, srs.Options{Secrets: secret(srs.SHA1, oldKey), MaxLocal: 200})
	first := mustForward(t, a, "jane@example.net", "a.example")
	viaB := mustForward(t, b, first, "b.example")
	twice := mustForward(t, a, viaB, "a2.example") // a, then b, then a again
	own := []string{"A.Example", "a2.example."}
	for _, tt := range []struct {
		name, in, want string
		err            error
	}{
		{"one step", first, "jane@example.net", nil},
		{"twice through us", twice, "jane@example.net", nil},
		{"signed sender that was forwarded", mustForward(t, a, mustSign(t, a, "bob@a2.example"), "a.example"), "bob@a2.example", nil},
		{"made by another", viaB, "", srs.ErrNotSRS},
		{"ordinary", "bob@a.example", "", srs.ErrNotSRS},
		{"forged within", mustForward(t, a, "SRS0=xxxxxxxx=BB=victim.example=x@a.example", "a2.example"), "", srs.ErrHash},
		{"malformed within", mustForward(t, a, "SRS0=x@a.example", "a2.example"), "", srs.ErrMalformed},
		{"no address", "bob", "", srs.ErrAddress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := a.Unwind(tt.in, own...)
			if got.Address != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Unwind(%q) = %+v, %v, want %q, %v", tt.in, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestReverseUndoesForward(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := srs.Options{
			Secrets:    secret(rapid.SampledFrom([]srs.Hash{srs.SHA1, srs.SHA256}).Draw(t, "hash"), peerKey),
			Separator:  rapid.SampledFrom([]byte("=-+\x00")).Draw(t, "separator"),
			HashLength: rapid.IntRange(4, 27).Draw(t, "length"),
			MaxLocal:   200,
			BATV:       rapid.SampledFrom([]srs.BATV{srs.BATVOff, srs.BATVAccept, srs.BATVSign}).Draw(t, "BATV"),
			Now:        noon(rapid.Int64Range(0, 40000).Draw(t, "day")),
		}
		r, err := srs.New(o)
		if err != nil {
			t.Fatal(err)
		}
		local := rapid.StringMatching(`[!-~ ]{1,40}|(srs|SRS)[01][-+=][A-Za-z0-9=.+-]{0,40}|[a-zé]{1,10}`).Draw(t, "local")
		domain := rapid.StringMatching(`[a-zA-Z0-9-]{1,8}(\.[a-z0-9-]{1,8}){0,3}`).Draw(t, "domain")
		sender := quoted(local) + "@" + domain
		out, err := r.Forward(sender, "forward.example")
		if err != nil {
			t.Fatalf("Forward(%q): %v", sender, err)
		}
		got, err := r.Reverse(out)
		if err != nil {
			t.Fatalf("Reverse(%q): %v", out, err)
		}
		want, err := newRewriterT(o).Forward(sender, domain) // as it is, but for its quotes
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case got.Form == srs.FormSRS0 && got.Address != want:
			t.Fatalf("Reverse(Forward(%q)) = %q, want %q", sender, got.Address, want)
		case got.Form == srs.FormSRS1 && !strings.HasPrefix(strings.ToUpper(local), "SRS"):
			t.Fatalf("Forward(%q) = %q", sender, out)
		case got.Form == srs.FormSRS1 && strings.EqualFold(local[:4], "SRS0") && !strings.EqualFold(got.Address, want):
			t.Fatalf("Reverse(Forward(%q)) = %q, want %q", sender, got.Address, want)
		}
		signed, err := r.Sign(sender)
		if err != nil {
			return // looks signed
		}
		if got, err := r.Reverse(signed); err != nil || got.Address != want {
			t.Fatalf("Reverse(%q) = %+v, %v, want %q", signed, got, err, want)
		}
	})
}

func newRewriterT(o srs.Options) *srs.Rewriter {
	r, err := srs.New(o)
	if err != nil {
		panic(err)
	}
	return r
}

// quoted puts any text into quotes.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func TestBadOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    srs.Options
		want string
	}{
		{"no secret", srs.Options{}, "srs: no secret"},
		{"empty secret", srs.Options{Secrets: secret(srs.SHA1, "")}, "srs: secret 1: secret of 0 octets, below 16"},
		{"short secret behind a good one", srs.Options{Secrets: secret(srs.SHA256, peerKey, "shhhh!")}, "srs: secret 2: secret of 6 octets, below 16"},
		{"nine secrets", srs.Options{Secrets: secret(srs.SHA256, strings.Fields(strings.Repeat(" 0123456789abcdef", 9))...)}, "srs: 9 secrets, of 8"},
		{"unknown hash", srs.Options{Secrets: secret(7, peerKey)}, "srs: secret 1: unknown hash 7"},
		{"separator", srs.Options{Separator: '.'}, `srs: separator '.' is none of = - +`},
		{"hash length 3", srs.Options{HashLength: 3}, "srs: hash length 3 is not in 4 to 43"},
		{"hash length 44", srs.Options{HashLength: 44}, "srs: hash length 44 is not in 4 to 43"},
		{"hash length 28 of SHA-1", srs.Options{Secrets: secret(srs.SHA1, peerKey), HashLength: 28}, "srs: hash length 28 is not in 4 to 27"},
		{"least hash length 3", srs.Options{HashMin: 3}, "srs: least hash length 3 is not in 4 to 8"},
		{"least hash length above the length", srs.Options{HashMin: 9}, "srs: least hash length 9 is not in 4 to 8"},
		{"age below 0", srs.Options{MaxAge: -time.Hour}, "srs: greatest age -1h0m0s is not in 1 to 365 days"},
		{"age over a year", srs.Options{MaxAge: 366 * 24 * time.Hour}, "srs: greatest age 8784h0m0s is not in 1 to 365 days"},
		{"local part of 63", srs.Options{MaxLocal: 63}, "srs: local part of 63 octets is not in 64 to 200"},
		{"local part of 201", srs.Options{MaxLocal: 201}, "srs: local part of 201 octets is not in 64 to 200"},
		{"BATV", srs.Options{BATV: 3}, "srs: unknown use of BATV 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Secrets == nil && tt.name != "no secret" {
				tt.o.Secrets = secret(srs.SHA256, peerKey)
			}
			if _, err := srs.New(tt.o); err == nil || err.Error() != tt.want {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseSecrets(t *testing.T) {
	got, err := srs.ParseSecrets([]byte("  the newest secret  \r\n\nsha1:the secret of all peers\nsha256:sha1:is a part of it\n"))
	if err != nil || len(got) != 3 {
		t.Fatalf("ParseSecrets = %v, %v", got, err)
	}
	for i, want := range []string{"sha256 the newest secret", "sha1 the secret of all peers", "sha256 sha1:is a part of it"} {
		if s := got[i].Hash.String() + " " + string(got[i].Key); s != want {
			t.Errorf("secret %d is %q, want %q", i, s, want)
		}
	}
	for in, want := range map[string]string{
		"":                              "srs: no secret",
		"\n \n":                         "srs: no secret",
		"\nhunter2\n":                   "srs: line 2: secret of 7 octets, below 16",
		"sha1:hunter2":                  "srs: line 1: secret of 7 octets, below 16",
		strings.Repeat(peerKey+"\n", 9): "srs: 9 secrets, of 8",
	} {
		if _, err := srs.ParseSecrets([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("ParseSecrets(%q): %v, want %q", in, err, want)
		}
	}
}

func FuzzReverse(f *testing.F) {
	r := newRewriter(f, srs.Options{Secrets: append(secret(srs.SHA256, peerKey), secret(srs.SHA1, peerKey)...), BATV: srs.BATVAccept, MaxLocal: 200})
	fwd := mustForward(f, r, `"jane doe"@example.net`, "forward.example")
	for _, s := range []string{"", fwd, mustForward(f, r, fwd, "second.example"), mustSign(f, r, "jane@example.com"), "prvs=0123abcdef=jane@example.com",
		"SRS1=x=a=@b", "SRS0====@x", `"SRS0=\`, "<srs0+a=bb=c=d@e>", "news-bounces+bob=example.org@lists.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		o, err := r.Reverse(in)
		if err != nil {
			if o != (srs.Original{}) {
				t.Errorf("Reverse(%q) = %+v with an error", in, o)
			}
			return
		}
		// Nobody finds a valid address by chance: it is one of the seeds, with its case changed.
		if _, err := r.Forward(o.Address, "another.example"); err != nil && !errors.Is(err, srs.ErrTooLong) {
			t.Errorf("Reverse(%q) = %q, which is no address: %v", in, o.Address, err)
		}
	})
}

// What can be made of a sender is read back as the same sender.
func FuzzForward(f *testing.F) {
	o := srs.Options{Secrets: secret(srs.SHA256, peerKey), MaxLocal: 200, BATV: srs.BATVSign, Now: noon(today)}
	r := newRewriter(f, o)
	for _, s := range []string{"", "<>", "jane@example.net", `"jane doe"@example.net`, "<a..b@[IPv6:2001:db8::1]>", "SRS0=aaaa=TT=example.net=jane@first.example",
		"srs0+@x", "SRS1=b=first.example==a=TT=example.net=jane@second.example", "SRS1=x@y", "prvs=0123abcdef=jane@example.net", `\@@x`, "jürgen@bücher.example."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sender string) {
		out, err := r.Forward(sender, "forward.example")
		if err != nil || out == "" {
			return
		}
		back, err := r.Reverse(out)
		if strings.HasSuffix(out, "@forward.example") && errors.Is(err, srs.ErrNotSRS) { // it was of this domain
			if again, err := r.Forward(out, "forward.example"); err != nil || again != out {
				t.Errorf("Forward(%q) = %q, %v, want it as it is", out, again, err)
			}
			return
		}
		if err != nil {
			if !strings.HasSuffix(strings.ToLower(strings.TrimSuffix(strings.Trim(sender, "<>"), ".")), "@forward.example") {
				t.Errorf("Reverse(%q), made of %q: %v", out, sender, err)
			}
			return
		}
		if again, err := r.Forward(back.Address, "forward.example"); err != nil || again != out {
			t.Errorf("%q, made of %q, leads to %q, which leads to %q, %v", out, sender, back.Address, again, err)
		}
	})
}

// What Unsign has taken apart it does not take apart again.
func FuzzUnsign(f *testing.F) {
	for _, s := range []string{"", "Jane@Example.NET", "SRS0=x=TT=example.net=jane@forward.example", "SRS1=x=a.example==y=TT=example.net=jane@b.example",
		"prvs=0123abcdef=jane@example.net", "btv1==x==jane@example.net", "x-return-1+bob=example.org@lists.example", "a-bounce-1-bounce-2@x", `"a b"@x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := srs.Unsign(in)
		if again := srs.Unsign(out); again != out {
			t.Errorf("Unsign(%q) = %q, and of that %q", in, out, again)
		}
	})
}
