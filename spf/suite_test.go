package spf

import (
	"encoding/json"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// suiteMisses are the cases of the suite that come out otherwise than it has them, with
// the reason.
var suiteMisses = map[string]string{}

// oneOrMore reads a string, or a list of them.
type oneOrMore []string

func (l *oneOrMore) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(l))
	}
	*l = make([]string, 1)
	return json.Unmarshal(b, &(*l)[0])
}

type suite struct {
	Description string
	Tests       map[string]struct {
		Helo, Host, MailFrom string
		Result               oneOrMore
		Explanation          string
	}
	ZoneData map[string][]json.RawMessage
}

func readSuites(t testing.TB) []suite {
	b, err := os.ReadFile("testdata/rfc7208-tests.json")
	if err != nil {
		t.Fatal(err)
	}
	var suites []suite
	if err := json.Unmarshal(b, &suites); err != nil {
		t.Fatal(err)
	}
	return suites
}

// zone returns the data of a suite as a resolver. SPF stands for TXT records where a name
// has no TXT of its own.
func (s *suite) zone(t testing.TB) *fakeDNS {
	z := newFakeDNS()
	for name, records := range s.ZoneData {
		var spf []string
		hasTXT := false
		for _, raw := range records {
			if raw[0] == '"' {
				z.fail(name)
				continue
			}
			var r struct {
				A, AAAA, PTR, CNAME string
				SPF, TXT            oneOrMore
				MX                  []any
			}
			if err := json.Unmarshal(raw, &r); err != nil {
				t.Fatalf("%s: %s: %v", name, raw, err)
			}
			switch {
			case r.A != "":
				z.host(name, r.A)
			case r.AAAA != "":
				z.host(name, r.AAAA)
			case r.PTR != "":
				z.ptr(name, r.PTR)
			case r.CNAME != "":
				z.cname(name, r.CNAME)
			case r.MX != nil:
				z.mx(name, int(r.MX[0].(float64)), r.MX[1].(string))
			case r.SPF != nil:
				spf = append(spf, strings.Join(r.SPF, ""))
			case r.TXT != nil:
				hasTXT = true
				if r.TXT[0] != "NONE" {
					z.txt(name, strings.Join(r.TXT, ""))
				}
			default:
				t.Fatalf("%s: %s is of no known type", name, raw)
			}
		}
		if !hasTXT {
			z.txt(name, spf...)
		}
	}
	return z
}

func TestSuiteOfRFC7208(t *testing.T) {
	cases, right := 0, 0
	for _, s := range readSuites(t) {
		c := &Checker{Resolver: s.zone(t), Now: func() time.Time { return time.Unix(1e9, 0) }}
		for _, name := range slices.Sorted(maps.Keys(s.Tests)) {
			test := s.Tests[name]
			cases++
			got := c.Check(t.Context(), Query{IP: netip.MustParseAddr(test.Host), From: test.MailFrom, Helo: test.Helo}, MailFrom)
			want := test.Explanation
			if want == "DEFAULT" {
				want = ""
			}
			ok := slices.Contains(test.Result, string(got.Value)) && (test.Explanation == "" || got.Explanation == want)
			if ok {
				right++
			}
			switch reason, known := suiteMisses[name]; {
			case !ok && !known:
				t.Errorf("%s: %s: got %+v\nwant %v %q", s.Description, name, got, test.Result, test.Explanation)
			case ok && known:
				t.Errorf("%s: %s is right, and listed as a miss: %s", s.Description, name, reason)
			}
		}
	}
	if cases != 203 || right != cases-len(suiteMisses) {
		t.Errorf("%d of %d cases are right, want all but %d of 203", right, cases, len(suiteMisses))
	}
}
