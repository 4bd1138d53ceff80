package srs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/srs"
)

// Nothing that was not made with the secret is accepted: every change of what was made, and
// every way by which the checks of other programs could be passed.
func TestForgeries(t *testing.T) {
	for _, h := range []srs.Hash{srs.SHA256, srs.SHA1} {
		t.Run(h.String(), func(t *testing.T) {
			ours := newRewriter(t, srs.Options{Secrets: secret(h, peerKey), MaxLocal: 200, BATV: srs.BATVAccept})
			batv := newRewriter(t, srs.Options{Secrets: secret(h, peerKey), MaxLocal: 200, BATV: srs.BATVSign})
			forwarded := mustForward(t, ours, "jane@example.net", "example.com")
			second := mustForward(t, ours, "SRS0=xxxxxxxx=BB=example.net=jane@first.example", "example.com")
			signed, prvs := mustSign(t, ours, "jane@example.com"), mustSign(t, batv, "jane@example.com")
			refused := func(name, address string) {
				t.Helper()
				for _, r := range []*srs.Rewriter{ours, batv} {
					if o, err := r.Reverse(address); err == nil {
						t.Errorf("%s: Reverse(%q) = %+v", name, address, o)
					}
				}
			}
			for _, good := range []string{forwarded, second, signed, prvs} {
				want, err := ours.Reverse(good)
				if err != nil {
					t.Fatalf("Reverse(%q): %v", good, err)
				}
				// One octet of the local part changed to any other, left out, or put in. Only what
				// means the same passes: letters in another case, another separator, a
				// backslash, one more character of the right hash.
				at := strings.LastIndexByte(good, '@')
				for i := range at {
					for c := byte('!'); c < 0x7f; c++ {
						changed, longer := good[:i]+string(c)+good[i+1:], good[:i]+string(c)+good[i:]
						if o, err := ours.Reverse(changed); err == nil && !strings.EqualFold(changed, good) && i != 4 {
							t.Errorf("%q from %q is %+v", changed, good, o)
						}
						inHash := i >= 5 && i <= 13
						if o, err := ours.Reverse(longer); err == nil && (c != '\\' && !inHash || !strings.EqualFold(o.Address, want.Address)) {
							t.Errorf("%q from %q is %+v", longer, good, o)
						}
					}
					refused("an octet left out", good[:i]+good[i+1:])
				}
				refused("the hash cut away", good[:5]+good[strings.IndexByte(good[5:], '=')+5:])
			}
			for _, other := range []*srs.Rewriter{
				newRewriter(t, srs.Options{Secrets: secret(h, oldKey), MaxLocal: 200}),
				newRewriter(t, srs.Options{Secrets: secret(1-h, peerKey), MaxLocal: 200}),
			} {
				refused("another secret or hash", mustForward(t, other, "jane@example.net", "example.com"))
				refused("another secret or hash, signed", mustSign(t, other, "jane@example.com"))
			}
			// A signed sender is that of one domain.
			refused("another domain", strings.Replace(signed, "example.com", "example.org", 1))
			refused("another domain", strings.Replace(prvs, "example.com", "example.org", 1))
			// A hash of one form is none of another.
			hash := forwarded[5:13]
			refused("forwarded as signed", "SRS0="+hash+"=BB==example.netjane@example.com")
			refused("forwarded as SRS1", "SRS1="+hash+"=bbexample.net==jane@example.com")
			refused("signed as forwarded", "SRS0="+signed[5:13]+"=BB=example.com=jane@example.com")

			// A bounce signature cannot be had by having mail forwarded: the domain "ja" and the user "ne"
			// are "jane" in a hash whose fields are joined.
			refused("signed through forwarding", strings.Replace(mustForward(t, ours, "ne@ja", "example.com"), "=ja=ne", "==jane", 1))
			// Nor from SRS1, whose fields the sender chooses altogether.
			bait := mustForward(t, ours, `"SRS0=jane@example.com"@bb`, "example.com")
			refused("signed through SRS1", "SRS0="+bait[6:14]+"=BB===jane@example.com")
			refused("BATV through SRS1", "prvs=0534"+bait[6:12]+"=jane@example.com")

			// SES with the time code that never expires, whose hash was not looked at.
			for _, ses := range []string{"SES=zzzzzzzzzzzzzzzzzzzzzz=jane@example.com", "SES=0=jane@example.com", "SES==jane@example.com"} {
				if _, err := ours.Reverse(ses); !errors.Is(err, srs.ErrNotSRS) {
					t.Errorf("Reverse(%q): %v", ses, err)
				}
			}
		})
	}
}

// With SHA256 the border between domain and user cannot be moved. With SHA1 it can, as other programs
// have it so; if they one day keep the fields apart, this test will tell.
func TestMovedBorder(t *testing.T) {
	for h, forgeable := range map[srs.Hash]bool{srs.SHA256: false, srs.SHA1: true} {
		r := newRewriter(t, srs.Options{Secrets: secret(h, peerKey)})
		moved := strings.Replace(mustForward(t, r, "jane@example.com", "forward.example"), "=example.com=jane", "=example.co=mjane", 1)
		if o, err := r.Reverse(moved); (err == nil) != forgeable || err != nil && !errors.Is(err, srs.ErrHash) {
			t.Errorf("%v: Reverse(%q) = %+v, %v", h, moved, o, err)
		}
		// From SRS1 to SRS0.
		bait := mustForward(t, r, `SRS0=jane@bbvictim.example`, "forward.example")
		moved = strings.Replace("SRS0"+bait[4:], "=bbvictim.example==jane", "=BB=victim.example==jane", 1)
		if o, err := r.Reverse(moved); (err == nil) != forgeable || err != nil && !errors.Is(err, srs.ErrHash) {
			t.Errorf("%v: Reverse(%q) = %+v, %v", h, moved, o, err)
		}
	}
}
