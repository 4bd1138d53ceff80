package srs_test

import (
	"testing"

	"github.com/gomilter/gomilter/srs"
	"pgregory.net/rapid"
)

func TestUnsign(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"ordinary", "Jane@Example.NET", "jane@example.net"},
		{"null sender", "", ""},
		{"no address", "Postmaster", "postmaster"},
		{"SRS0", "SRS0=xyz=TT=example.net=Jane@forward.example", "jane@example.net"},
		{"SRS0 with other separators", "srs0+xyz=TT=example.net=jane=x@forward.example", "jane=x@example.net"},
		{"SRS0 of a sender of theirs", "SRS0=xyz=TT==jane@example.net", "jane@example.net"},
		{"SRS0 in no form", "SRS0=xyz=jane@forward.example", "srs0=xyz=jane@forward.example"},
		{"SRS0 of no domain", `"SRS0=xyz=TT=exa mple=jane"@forward.example`, `"srs0=xyz=tt=exa mple=jane"@forward.example`},
		{"SRS1", "SRS1=abc=first.example==xyz=TT=example.net=jane@forward.example", "jane@example.net"},
		{"SRS1 with other separators", "SRS1-abc=first.example=-xyz=TT=example.net=jane@forward.example", "jane@example.net"},
		{"SRS1 of what is no SRS0", "SRS1=abc=first.example==xyz@forward.example", "srs0=xyz@first.example"},
		{"quoted", `"SRS0=xyz=TT=example.net=jane doe"@forward.example`, `"jane doe"@example.net`},
		{"BATV", "prvs=0123abcdef=jane@example.net", "jane@example.net"},
		{"BATV in upper case", "PRVS=0123ABCDEF=Jane@example.net", "jane@example.net"},
		{"BATV of other lengths", "prvs=6123abcde5=jane@example.net", "jane@example.net"},
		{"BATV of old", "prvs=jane/0123abcdef@example.net", "jane@example.net"},
		{"BATV without value", "prvs=jane@example.net", "prvs=jane@example.net"},
		{"BATV in SRS0", "SRS0=xyz=TT=example.net=prvs=0123abcdef=jane@forward.example", "jane@example.net"},
		{"SRS0 in SRS0", "SRS0=xyz=TT=a.example=SRS0=xyz=TT=example.net=jane@forward.example", "jane@example.net"},
		{"SES", "SES=abc123=jane@example.net", "jane@example.net"},
		{"btv1", "btv1==0123abcdef==jane@example.net", "jane@example.net"},
		{"btv1 cut short", "btv1==0123abcdef=jane@example.net", "btv1==0123abcdef=jane@example.net"},
		{"msprvs1", "msprvs1=17abcXYZ=bounces-12-34@mail.example", "bounces@mail.example"},
		{"VERP with a plus", "news-bounces+bob=example.org@lists.example", "news-bounces@lists.example"},
		{"VERP with a plus and a tag", "bounces+12345-ab9d-bob=example.org@em.example", "bounces@em.example"},
		{"bounce token", "bounces+abcdef.012@em.example", "bounces@em.example"},
		{"VERP of ezmlm", "news-return-42-bob=example.org@lists.example", "news-return@lists.example"},
		{"VERP of ezmlm without recipient", "news-return-42-@lists.example", "news-return@lists.example"},
		{"VERP of qmail with a hyphen in the user", "news-return-bob-x=example.org@lists.example", "news-return@lists.example"},
		{"VERP with a number", "offers-771-bob=example.org@shop.example", "offers@shop.example"},
		{"numbers behind bounce", "bounce-20391-77@lists.example", "bounce@lists.example"},
		{"VERP in SRS0", "SRS0=xyz=TT=lists.example=news-bounces+bob=example.org@forward.example", "news-bounces@lists.example"},
		{"numbers left by a recipient", "x-return-1+bob=example.org@lists.example", "x-return@lists.example"},
		{"extension", "jane+shop@example.net", "jane+shop@example.net"},
		{"equals sign", "a=b@example.net", "a=b@example.net"},
		{"hyphens and numbers", "flight-747-400@example.net", "flight-747-400@example.net"},
		{"the word alone", "bounce@example.net", "bounce@example.net"},
		{"the word and a name", "return-desk@example.net", "return-desk@example.net"},
		{"recipient without list", "bob=example.org@lists.example", "bob=example.org@lists.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := srs.Unsign(tt.in); got != tt.want {
				t.Errorf("Unsign(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// Whatever is made here has the identity of what it was made from.
func TestUnsignWhatIsMadeHere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRewriterT(srs.Options{Secrets: secret(srs.SHA256, peerKey), MaxLocal: 200, BATV: rapid.SampledFrom([]srs.BATV{srs.BATVAccept, srs.BATVSign}).Draw(t, "BATV")})
		want := rapid.StringMatching(`[a-z][a-z0-9 ."@]{0,10}`).Draw(t, "user")
		want = srs.Unsign(quoted(want) + "@example.com")
		for a, hop := want, 0; hop < 3; hop++ {
			var err error
			if rapid.Bool().Draw(t, "sign") && hop == 0 {
				a, err = r.Sign(a)
			} else {
				a, err = r.Forward(a, rapid.SampledFrom([]string{"a.example", "b.example"}).Draw(t, "alias"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := srs.Unsign(a); got != want {
				t.Fatalf("Unsign(%q) = %q, want %q", a, got, want)
			}
		}
	})
}
