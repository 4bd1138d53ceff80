package access

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dmarc"
	"github.com/gomilter/gomilter/policy"
	"github.com/gomilter/gomilter/spf"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew")

var client = netip.MustParseAddr("192.0.2.25")

// every calls f with each refusal that there is, for REJECT and TEMPFAIL.
func every(spfDomain, helo, signer, from, user, theirs string, f func(what string, r *milter.Refusal)) {
	for _, w := range []policy.Word{policy.Reject, policy.TempFail} {
		v := policy.Verdict{Action: policy.Action{Word: w}}
		tell := func(what string, r *milter.Refusal) { f(fmt.Sprintf("%v %s", w, what), r) }
		for _, x := range []spf.Value{spf.Pass, spf.Fail, spf.SoftFail, spf.Neutral, spf.None, spf.PermError, spf.TempError} {
			r := spf.Result{Value: x, Domain: spfDomain}
			if x == spf.Fail {
				r.Explanation = theirs
			}
			if x == spf.PermError || x == spf.TempError {
				r.Problem = theirs
			}
			tell("spf-"+string(x), tellSPF(v, r, client))
			tell("helo-"+string(x), tellHelo(v, r, helo, client))
		}
		for _, x := range []dkim.Value{dkim.Pass, dkim.Fail, dkim.Policy, dkim.Neutral, dkim.PermError, dkim.TempError} {
			tell("dkim-"+string(x), tellDKIM(v, dkim.Result{Value: x, Domain: signer, Selector: "s1", Why: theirs}))
		}
		tell("dkim-none", tellUnsigned(v, from))
		tell("dkim-none beside signatures of others", tellUnmatched(v, from))
		tell("dkim-neutral of nobody", tellDKIM(v, dkim.Result{Value: dkim.Neutral, Why: theirs}))
		for _, x := range []dmarc.Value{dmarc.Pass, dmarc.Fail, dmarc.None, dmarc.PermError, dmarc.TempError} {
			tell("dmarc-"+string(x), tellDMARC(v, dmarc.Result{Value: x, From: from, Why: theirs}))
		}
		tell("dmarc-fail-quarantine", tellDMARC(v, dmarc.Result{Value: dmarc.Fail, From: from, Policy: dmarc.WantQuarantine}))
		tell("dmarc-fail-reject", tellDMARC(v, dmarc.Result{Value: dmarc.Fail, From: from, Policy: dmarc.WantReject}))
		tell("smtp-auth", tellUser(v, user, from))
		tell("smtp-auth without a domain", tellUser(v, user, noDomain))
	}
	f("no HELO", heloMissing)
	f("numeric HELO", heloNumeric)
	f("HELO name of another", heloForeign)
}

func TestTexts(t *testing.T) {
	var b strings.Builder
	every("example.org", "mx.example.org", "example.net", "example.com", "jane", "see https://example.org/why", func(what string, r *milter.Refusal) {
		if err := r.Err(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		fmt.Fprintf(&b, "%s\n", what)
		for _, l := range r.Lines() {
			fmt.Fprintf(&b, "\t%d %s %s\n", r.Code(), r.Enhanced(), l)
		}
	})
	const name = "testdata/texts.want"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("go test -update writes %s anew (-want +got):\n%s", name, diff)
	}
}

// Whatever a sender, his domain or his DNS says, there is a reply, it is ASCII on few lines, and says what
// is to be said of the client.
func TestTextsOfHostileSenders(t *testing.T) {
	for _, s := range []string{
		"", "a\r\n550 5.7.1 forged", "\x00\x1b[2J", strings.Repeat("x", 100_000), strings.Repeat("ü", 300), "\xff\xfe", `"`, "%s%n%d", strings.Repeat("\n", 500),
	} {
		every(s, s, s, s, s, s, func(what string, r *milter.Refusal) {
			if err := r.Err(); err != nil {
				t.Errorf("%s of %.20q: %v", what, s, err)
				return
			}
			size := 0
			for _, l := range r.Lines() {
				size += len(l)
				if strings.ContainsFunc(l, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
					t.Errorf("%s of %.20q: %q is not printable ASCII", what, s, l)
				}
			}
			if size > 2500 || len(r.Lines()) > 8 {
				t.Errorf("%s of %.20q: %d bytes on %d lines", what, s, size, len(r.Lines()))
			}
		})
	}
}

func TestOwnTextsAndCodes(t *testing.T) {
	for _, tt := range []struct {
		in, want string
	}{
		{"REJECT", "550 5.7.23 SPF softfail: "},
		{"TEMPFAIL", "451 4.7.23 SPF softfail: "},
		{"BAN", "550 5.7.23 SPF softfail: "},
		{"REJECT 554 5.7.0", "554 5.7.0 SPF softfail: "},
		{"REJECT no", "550 5.7.23 no"},
		{"550 no", "550 5.7.23 no"},
		{"ERROR:5.1.8:553 no", "553 5.1.8 no"},
		{"450 4.2.0 later", "450 4.2.0 later"},
		{"BAN 554 never again", "554 5.7.23 never again"},
	} {
		a, err := policy.ParseAction(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		r := tellSPF(policy.Verdict{Action: a}, spf.Result{Value: spf.SoftFail, Domain: "example.org"}, client)
		if got := r.String(); !strings.HasPrefix(got, tt.want) || r.Err() != nil {
			t.Errorf("%s: %q (%v), want %q", tt.in, got, r.Err(), tt.want)
		}
	}
}
