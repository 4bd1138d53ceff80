package dmarc

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRecord(t *testing.T) {
	const mail = "mailto:dmarc-feedback@example.com"
	for _, tt := range []struct {
		name, in string
		want     Record
	}{
		// RFC 9989 appendix B.2.
		{"B.2.1 monitoring", "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com", Record{P: NoPolicy, RUA: []string{mail}}},
		{"B.2.2 failure reports", "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@example.com", Record{P: NoPolicy, RUA: []string{mail}, RUF: []string{"mailto:auth-reports@example.com"}}},
		{"B.2.3 consent of a third party", "v=DMARC1;", Record{Invalid: true, Faults: []string{"no p="}}},
		{"B.2.4 other addresses", "v=DMARC1; rua=mailto:aggregate-reports@thirdparty.example.net; ruf=mailto:failure-reports@thirdparty.example.net", Record{
			Invalid: true, RUA: []string{"mailto:aggregate-reports@thirdparty.example.net"}, RUF: []string{"mailto:failure-reports@thirdparty.example.net"}, Faults: []string{"no p="}}},
		{"B.2.5 testing", "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net; t=y", Record{
			P: WantQuarantine, Testing: true, RUA: []string{mail, "mailto:tld-test@thirdparty.example.net"}}},

		{"all tags", "v=DMARC1;p=reject;sp=quarantine;np=none;adkim=s;aspf=s;psd=n;t=y;fo=1:d:s", Record{
			P: WantReject, SP: WantQuarantine, NP: NoPolicy, StrictDKIM: true, StrictSPF: true, PSD: NotPSD, Testing: true, FO: "1:d:s"}},
		{"blanks", " v =\tDMARC1 ;\tp = reject ; psd = y;", Record{P: WantReject, PSD: IsPSD}},
		{"case of names and values", "V=DMARC1; P=Reject; ADKIM=S; t=Y", Record{P: WantReject, StrictDKIM: true, Testing: true}},
		{"only the version", "v=DMARC1", Record{Invalid: true, Faults: []string{"no p="}}},
		{"historic and unknown tags", "v=DMARC1; p=reject; pct=0; rf=afrf; ri=86400; x=y", Record{P: WantReject}},
		{"p is not the first", "v=DMARC1; sp=none; p=reject", Record{P: WantReject, SP: NoPolicy}},
		{"empty tags", "v=DMARC1;; p=reject;;", Record{P: WantReject}},
		{"bad p", "v=DMARC1; p=", Record{Invalid: true, Faults: []string{`p="" is not valid`}}},
		{"bad sp", "v=DMARC1; p=reject; sp=all", Record{P: WantReject, Invalid: true, Faults: []string{`sp="all" is not valid`}}},
		{"bad np", "v=DMARC1; p=reject; np=all", Record{P: WantReject, Invalid: true, Faults: []string{`np="all" is not valid`}}},
		{"bad letters have defaults", "v=DMARC1; p=none; adkim=x; aspf=; psd=q; t=1; fo=0:1", Record{P: NoPolicy, Faults: []string{
			`adkim="x" is not valid`, `aspf="" is not valid`, `psd="q" is not valid`, `t="1" is not valid`, `fo="0:1" is not valid`}}},
		{"fo with a letter twice", "v=DMARC1; p=none; fo=d:d", Record{P: NoPolicy, Faults: []string{`fo="d:d" is not valid`}}},
		{"no tags", "v=DMARC1; p=none; quarantine; =x; a b=c", Record{P: NoPolicy, Faults: []string{`"quarantine" is no tag`, `"=x" is no tag`, `"a b=c" is no tag`}}},
		{"twice the same", "v=DMARC1; p=reject; p=reject", Record{P: WantReject}},
		{"twice, and not the same", "v=DMARC1; p=reject; p=none; t=y; t=n", Record{Invalid: true, Faults: []string{"p= stands twice", "t= stands twice"}}},
		{"size of reports", "v=DMARC1; p=none; rua=mailto:a@example.com!10m , https://example.com/x!5", Record{P: NoPolicy, RUA: []string{"mailto:a@example.com", "https://example.com/x"}}},
		{"bad URIs", "v=DMARC1; p=none; rua=a@example.com,mailto:,mailto:b@example.com,:x,mailto:a b", Record{P: NoPolicy, RUA: []string{"mailto:b@example.com"}, Faults: []string{
			`rua="a@example.com,mailto" is not valid`}}},
		{"many URIs", "v=DMARC1; p=none; rua=" + strings.Repeat("mailto:a@b,", 11) + "mailto:c@d", Record{P: NoPolicy, RUA: strings.Split(strings.TrimSuffix(strings.Repeat("mailto:a@b,", 10), ","), ","), Faults: []string{"more than 10 URIs"}}},
		{"too long", "v=DMARC1; p=reject; x=" + strings.Repeat("y", 8200) + "; p=none", Record{P: WantReject, Faults: []string{"longer than 8192 bytes"}}},
		{"bytes above ASCII", "v=DMARC1; p=r\xffject; \xff=1", Record{Invalid: true, Faults: []string{`p="r\xffject" is not valid`, `"\xff=1" is no tag`}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.PSD == "" {
				tt.want.PSD = PSDUnknown
			}
			if tt.want.FO == "" {
				tt.want.FO = "0"
			}
			got, err := ParseRecord(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("ParseRecord(%.80q) (-want +got):\n%s", tt.in, d)
			}
		})
	}
}

func TestParseRecordOfOtherText(t *testing.T) {
	for _, in := range []string{
		"", "v", "v=", "DMARC1", "v=DMARC2; p=none", "v=dmarc1; p=none", "v=DMARC1 p=none", "v=DMARC10; p=none", "v=DMARC1.0",
		"p=none; v=DMARC1", "; v=DMARC1; p=none", "v=spf1 -all", `"v=DMARC1; p=none"`, "x=1; v=DMARC1", "vv=DMARC1",
	} {
		if _, err := ParseRecord(in); !errors.Is(err, ErrNoRecord) {
			t.Errorf("ParseRecord(%q): error %v, want %v", in, err, ErrNoRecord)
		}
	}
}

func TestRecordLimitsAreKnobs(t *testing.T) {
	const in = "v=DMARC1; p=none; rua=mailto:a@b,mailto:c@d; sp=reject"
	if r, _ := (Limits{URIs: 1}).ParseRecord(in); len(r.RUA) != 1 || r.SP != WantReject {
		t.Errorf("with one URI: %+v", r)
	}
	if r, _ := (Limits{Bytes: 20}).ParseRecord(in); r.P != NoPolicy || r.RUA != nil || r.SP != "" {
		t.Errorf("with 20 bytes: %+v", r)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	r, err := ParseRecord("v=DMARC1; p=none" + strings.Repeat("; \x1b[2J", 1000))
	if err != nil || len(r.Faults) != maxFaults {
		t.Errorf("%d faults, error %v", len(r.Faults), err)
	}
	for _, f := range r.Faults {
		if strings.Contains(f, "\x1b") {
			t.Errorf("fault %q", f)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, s := range []string{
		"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; psd=u; t=n; fo=1:d; rua=mailto:a@b!10m,https://c; ruf=mailto:d@e",
		"v = DMARC1 ;; P=x; =; \xff=\x00; p=none; p=reject",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := ParseRecord(in)
		if err != nil {
			if isRecord(in) {
				t.Errorf("%q: %v", in, err)
			}
			return
		}
		for _, p := range []Policy{r.P, r.SP, r.NP} {
			switch p {
			case "", NoPolicy, WantQuarantine, WantReject:
			default:
				t.Errorf("%q has the policy %q", in, p)
			}
		}
		if r.P == "" && !r.Invalid || len(r.RUA) > 10 || len(r.RUF) > 10 || len(r.Faults) > maxFaults {
			t.Errorf("%q is %+v", in, r)
		}
		// What was understood is understood again.
		var b strings.Builder
		b.WriteString("v=DMARC1; psd=" + string(r.PSD) + "; fo=" + r.FO)
		for name, v := range map[string]string{"p": string(r.P), "sp": string(r.SP), "np": string(r.NP), "rua": strings.Join(r.RUA, ","), "ruf": strings.Join(r.RUF, ",")} {
			if v != "" {
				b.WriteString("; " + name + "=" + v)
			}
		}
		again, err := Limits{Bytes: 1 << 20}.ParseRecord(b.String())
		r.Faults, again.Faults = nil, nil
		again.StrictDKIM, again.StrictSPF, again.Testing = r.StrictDKIM, r.StrictSPF, r.Testing
		again.Invalid = r.Invalid
		if d := cmp.Diff(r, again); d != "" || err != nil {
			t.Errorf("%q is not the same as %q: %v\n%s", in, b.String(), err, d)
		}
	})
}
