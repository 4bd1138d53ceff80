package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/address"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// table makes a table of lines.
func table(t testing.TB, name string, lines ...string) Table {
	t.Helper()
	f, err := Parse(name, []byte(strings.Join(lines, "\n")), Sendmail, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return Table{Name: name, Entries: f.Entries}
}

func newMap(t testing.TB, tables ...Table) *Map {
	t.Helper()
	m, err := New(tables...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func prefix(t testing.TB, s string) Prefix {
	t.Helper()
	p, err := ParsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The table of the old system's own test. Its prefix smtp-test, which no check has, is
// spf-none here, and its word WILDCARD is DSN.
func TestTableOfTheOldSystem(t *testing.T) {
	m := newMap(t, table(t, "access",
		"SMTP-Auth:good@example.com\tOK",
		"SMTP-Auth:example.com\tREJECT",
		"SMTP-Auth:bad@localhost.localdomain\tREJECT",
		"SPF-None\tREJECT",
		"SPF-None:.baz.com\tDSN"))
	for _, tt := range []struct {
		prefix, about string
		want          Word
	}{
		{"smtp-auth", "good@example.com", OK},
		{"smtp-auth", "bad@example.com", Reject},
		{"smtp-auth", "bad@bad.example.com", None},
		{"smtp-auth", "bad@localhost.localdomain", Reject},
		{"spf-none", "any@random.com", Reject},
		{"spf-none", "foo@bar.baz.com", DSN},
	} {
		v, ok := m.Lookup(tt.about, "", prefix(t, tt.prefix))
		if v.Word != tt.want || ok != (tt.want != None) {
			t.Errorf("Lookup(%s, %s) = %v, want %v", tt.prefix, tt.about, v, tt.want)
		}
	}
}

func TestOrderOfKeys(t *testing.T) {
	keys := []string{"spf-fail:l@b.example.com", "spf-fail:b.example.com", "spf-fail:.example.com", "spf-fail:.com", "spf-fail:", "spf-fail"}
	for i, want := range keys {
		var lines []string
		for _, k := range keys[i:] {
			lines = append(lines, k+" REJECT")
		}
		m := newMap(t, table(t, "f", lines...))
		v, ok := m.Lookup("l@b.example.com", "", "spf-fail")
		if !ok || v.Key != want {
			t.Errorf("with %q the first key is %q, want %q", lines, v.Key, want)
		}
	}
}

func TestLookup(t *testing.T) {
	lines := []string{
		"SPF-Fail:Jane.Doe@Example.COM OK",
		"spf-fail:example.com 450 later",
		"spf-fail:bücher.example CBV",
		"spf-fail!.co.uk WHITELIST",
		"helo-none:[192.0.2.1] REJECT",
		"helo-none:[IPv6:2001:db8::1] REJECT",
		"helo-fail:under_score.example REJECT",
		"spf-none: DSN",
		"dkim-pass BAN",
		"smtp-auth:jane@corp.example@example.org REJECT",
		"spf-pass:ÄNNE@example.org REJECT",
	}
	m := newMap(t, table(t, "f", lines...))
	for _, tt := range []struct{ name, prefix, about, want string }{
		{"letters in another case", "spf-fail", "JANE.DOE@example.com", "SPF-Fail:Jane.Doe@Example.COM (f:1): OK"},
		{"the domain of another address", "spf-fail", "joe@example.com", "spf-fail:example.com (f:2): TEMPFAIL"},
		{"a domain in place of an address", "spf-fail", "example.com.", "spf-fail:example.com (f:2): TEMPFAIL"},
		{"a key of a domain is not for those below", "spf-fail", "joe@sub.example.com", "none"},
		{"an internationalized name as it is written", "spf-fail", "x@BÜCHER.example", "spf-fail:bücher.example (f:3): CBV"},
		{"and its A-labels", "spf-fail", "x@xn--bcher-kva.example", "spf-fail:bücher.example (f:3): CBV"},
		{"and its A-labels in capitals", "spf-fail", "x@XN--BCHER-KVA.example", "spf-fail:bücher.example (f:3): CBV"},
		{"the other separator", "spf-fail", "x@a.b.co.uk", "spf-fail!.co.uk (f:4): WHITELIST"},
		{"a parent is not its own", "spf-fail", "x@co.uk", "none"},
		{"an address literal", "helo-none", "[192.0.2.1]", "helo-none:[192.0.2.1] (f:5): REJECT"},
		{"a literal with colons", "helo-none", "[ipv6:2001:DB8:0::1]", "helo-none:[IPv6:2001:db8::1] (f:6): REJECT"},
		{"a name with an underscore", "helo-fail", "under_score.example", "helo-fail:under_score.example (f:7): REJECT"},
		{"a key without whom", "spf-none", "anybody@example.net", "spf-none: (f:8): DSN"},
		{"of nobody", "spf-none", "", "spf-none: (f:8): DSN"},
		{"of what is no domain", "spf-none", "a b!", "spf-none: (f:8): DSN"},
		{"a bare key", "dkim-pass", "example.net", "dkim-pass (f:9): BAN"},
		{"a user with an @", "smtp-auth", "jane@corp.example@example.org", "smtp-auth:jane@corp.example@example.org (f:10): REJECT"},
		{"a local part that is not ASCII", "spf-pass", "änne@example.org", "spf-pass:ÄNNE@example.org (f:11): REJECT"},
		{"another result", "spf-softfail", "example.com", "none"},
		{"a domain of empty labels", "spf-none", "x@..", "spf-none: (f:8): DSN"},
		{"a local part that no key can have", "spf-fail", strings.Repeat("x", 5000) + "@example.com", "spf-fail:example.com (f:2): TEMPFAIL"},
		{"a domain that is none", "spf-none", "x@" + strings.Repeat("a.", 5000), "spf-none: (f:8): DSN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, ok := m.Lookup(tt.about, "", prefix(t, tt.prefix))
			if got := v.String(); got != tt.want || ok != (tt.want != "none") {
				t.Errorf("Lookup(%.80q, %s) = %v, want %v", tt.about, tt.prefix, got, tt.want)
			}
			if ok && v.About != tt.about {
				t.Errorf("About = %q, want %q", v.About, tt.about)
			}
		})
	}
}

// A key of the domain itself goes before one of all domains, also where it is of the more
// general result.
func TestSeveralPrefixesAreTriedWithEachKey(t *testing.T) {
	m := newMap(t, table(t, "f", "dmarc-fail-reject REJECT", "dmarc-fail:list.example OK", "dmarc-fail CBV"))
	for about, want := range map[string]Word{"list.example": OK, "other.example": Reject} {
		if v, _ := m.Lookup(about, "", PrefixOf(DMARC, "fail-reject"), PrefixOf(DMARC, "fail")); v.Word != want {
			t.Errorf("%s: %v, want %v", about, v, want)
		}
	}
	if v, _ := m.Lookup("other.example", "", PrefixOf(DMARC, "fail-none"), PrefixOf(DMARC, "fail")); v.Word != CBV {
		t.Errorf("without a key for what is asked: %v", v)
	}
	if v, ok := m.Lookup("other.example", "", PrefixOf(DMARC, "no such")); ok {
		t.Errorf("no prefix: %v", v)
	}
}

func TestTablesForSomeRecipients(t *testing.T) {
	strict := table(t, "strict", "spf-softfail REJECT", "spf-fail:friend.example OK")
	strict.Rcpts = func(a string) bool { return a == "strict@example.org" }
	m := newMap(t, table(t, "all", "spf-softfail:example.com OK", "spf-fail REJECT"), strict, table(t, "later", "spf-fail OK", "spf-none OK"))
	for _, tt := range []struct {
		name, about, rcpt string
		prefix            Prefix
		want              string
	}{
		{"what is for all", "example.com", "", "spf-softfail", "all"},
		{"what is for all holds for others", "example.com", "joe@example.org", "spf-softfail", "all"},
		{"what is for the recipient goes before a closer key", "example.com", "strict@example.org", "spf-softfail", "strict"},
		{"and may be milder", "friend.example", "strict@example.org", "spf-fail", "strict"},
		{"where it says nothing, what is for all holds", "example.net", "strict@example.org", "spf-fail", "all"},
		{"the earlier table holds", "example.net", "", "spf-fail", "all"},
		{"the later one where the earlier says nothing", "example.net", "", "spf-none", "later"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v, _ := m.Lookup(tt.about, tt.rcpt, tt.prefix); v.Table != tt.want {
				t.Errorf("Lookup = %v, want one of table %s", v, tt.want)
			}
		})
	}
	if !m.Limited() || newMap(t, table(t, "all", "spf-fail OK")).Limited() {
		t.Error("Limited is wrong")
	}
	var got []string
	for v, some := range m.All() {
		s := v.Table + " " + v.Key
		if some {
			s += " for some"
		}
		got = append(got, s)
	}
	want := []string{"all spf-softfail:example.com", "all spf-fail", "strict spf-softfail for some", "strict spf-fail:friend.example for some", "later spf-fail", "later spf-none"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	if !m.Has(SPF) || m.Has(DKIM) {
		t.Error("Has is wrong")
	}
}

func TestNewTellsWhatIsWrong(t *testing.T) {
	some := func(string) bool { return true }
	for _, tt := range []struct {
		name  string
		table Table
		err   error
		want  string
	}{
		{"a prefix that there is not", Table{Entries: []Entry{{Key: "spf-fial:example.com", Action: Action{Word: OK}}}}, ErrKey, `"spf-fial" is none of spf-pass, spf-neutral`},
		{"no prefix", Table{Entries: []Entry{{Key: "example.com", Action: Action{Word: OK}}}}, ErrKey, "begins with none of"},
		{"no domain", Table{Entries: []Entry{{Key: "spf-fail:jane@", Action: Action{Word: OK}}}}, ErrKey, "has no domain"},
		{"a dot alone", Table{Entries: []Entry{{Key: "spf-fail:.", Action: Action{Word: OK}}}}, ErrKey, "has no domain"},
		{"an @ without an address", Table{Entries: []Entry{{Key: "spf-fail:@example.com", Action: Action{Word: OK}}}}, ErrKey, "a domain is written without"},
		{"what is no domain", Table{Entries: []Entry{{Key: "spf-fail:*.example.com", Action: Action{Word: OK}}}}, ErrKey, "address: not a domain"},
		{"an address of a signer", Table{Entries: []Entry{{Key: "DKIM-fail:jane@example.com", Action: Action{Word: OK}}}}, ErrKey, "DKIM-fail:jane@example.com has an address, and dkim is of domains"},
		{"an address of a HELO name", Table{Entries: []Entry{{Key: "helo-fail:jane@example.com", Action: Action{Word: OK}}}}, ErrKey, "helo is of domains"},
		{"an address of an author", Table{Entries: []Entry{{Key: "dmarc-fail-reject:jane@example.com", Action: Action{Word: OK}}}}, ErrKey, "dmarc is of domains"},
		{"what is below an address literal", Table{Entries: []Entry{{Key: "spf-fail:.[192.0.2.1]", Action: Action{Word: OK}}}}, ErrKey, "nothing is below an address"},
		{"a long key", Table{Entries: []Entry{{Key: "spf-fail:" + strings.Repeat("x", 600) + "@example.com", Action: Action{Word: OK}}}}, ErrKey, "more than 512 bytes"},
		{"a user of nothing", Table{Entries: []Entry{{Key: "smtp-auth:@", Action: Action{Word: OK}}}}, ErrKey, "has no domain"},
		{"users of a domain", Table{Entries: []Entry{{Key: "smtp-auth:@example.com", Action: Action{Word: OK}}}}, ErrKey, "a domain is written without"},
		{"a prefix that means two things", Table{Entries: []Entry{{Key: "SPF-fail!", Action: Action{Word: OK}}, {Key: "spf-Fail", Action: Action{Word: Reject}, Line: 7}}}, ErrEntry,
			"t:7: policy: entry is not right: spf-Fail is REJECT, and SPF-fail!, which goes before it and is for the same, is OK"},
		{"no word", Table{Entries: []Entry{{Key: "spf-fail:example.com"}}}, ErrWord, "none"},
		{"a key that means two things", Table{Entries: []Entry{{Key: "spf-fail:Example.com", Action: Action{Word: OK}}, {Key: "SPF-fail!example.com", Action: Action{Word: Reject}, Line: 7}}}, ErrEntry, "t:7: "},
		{"a call-back for some recipients", Table{Entries: []Entry{{Key: "spf-fail", Action: Action{Word: CBV}}}, Rcpts: some}, ErrEntry, "CBV is for the message as a whole"},
		{"a hold for some recipients", Table{Entries: []Entry{{Key: "spf-fail", Action: Action{Word: Quarantine}}}, Rcpts: some}, ErrEntry, "QUARANTINE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.table.Name = "t"
			m, err := New(tt.table)
			e, ok := errors.AsType[*EntryError](err)
			if m != nil || !ok || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.want) || e.Index != len(tt.table.Entries)-1 {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
		})
	}
	same := Table{Name: "t", Entries: []Entry{{Key: "spf-fail", Action: Action{Word: OK}}, {Key: "SPF-Fail", Action: Action{Word: OK}}}}
	if _, err := New(same); err != nil {
		t.Errorf("a key that means the same twice: %v", err)
	}
}

// The one that would never be found is the one that is wrong, whichever stands first; the other table may say what it wants.
func TestPrefixWithAndWithoutSeparator(t *testing.T) {
	bare, all := Entry{Key: "spf-fail", Action: Action{Word: OK}, Line: 1}, Entry{Key: "spf-fail:", Action: Action{Word: Reject}, Line: 2}
	_, err := New(Table{Name: "t", Entries: []Entry{bare, all}})
	if e, ok := errors.AsType[*EntryError](err); !ok || e.Index != 0 || e.Line != 1 || !errors.Is(err, ErrEntry) {
		t.Errorf("New = %v, want an error of line 1", err)
	}
	if _, err := New(Table{Name: "t", Entries: []Entry{bare}}, Table{Name: "u", Entries: []Entry{all}}); err != nil {
		t.Errorf("in two tables: %v", err)
	}
	all.Action = bare.Action
	if _, err := New(Table{Name: "t", Entries: []Entry{bare, all}}); err != nil {
		t.Errorf("where both mean the same: %v", err)
	}
}

// Which user may send for which domain.
func TestUsers(t *testing.T) {
	order := []string{
		"smtp-auth:ann@example.com@example.com", "smtp-auth:ann@example.com", "smtp-auth:ann@example.com@", "smtp-auth:example.com", "smtp-auth:.com",
		"smtp-auth:", "smtp-auth",
	}
	for i, want := range order {
		m := newMap(t, table(t, "f", strings.Join(order[i:], " OK\n")+" OK"))
		if v, ok := m.Lookup("ann@example.com@example.com", "", "smtp-auth"); !ok || v.Key != want {
			t.Errorf("with %q the first key is %q, want %q", order[i:], v.Key, want)
		}
	}
	m := newMap(t, table(t, "f",
		"SMTP-Auth:Jane@ REJECT", "smtp-auth:jane@example.com OK", "smtp-auth:joe@corp.example@ REJECT", "smtp-auth:joe@corp.example OK",
		"smtp-auth:eve@bücher.example OK", "smtp-auth:example.org BAN", "spf-none:jane@example.net OK", "smtp-auth:corp\\bob@ REJECT"))
	for _, tt := range []struct{ name, prefix, about, want string }{
		{"a user for the domain that he may send for", "smtp-auth", "jane@example.com", "smtp-auth:jane@example.com (f:2): OK"},
		{"and for others", "smtp-auth", "JANE@example.net", "SMTP-Auth:Jane@ (f:1): REJECT"},
		{"before what is said of the domain", "smtp-auth", "jane@example.org", "SMTP-Auth:Jane@ (f:1): REJECT"},
		{"for a domain that is none", "smtp-auth", "jane@a..b", "SMTP-Auth:Jane@ (f:1): REJECT"},
		{"for a domain that is too long", "smtp-auth", "jane@" + strings.Repeat("a.", 5000), "SMTP-Auth:Jane@ (f:1): REJECT"},
		{"for no domain", "smtp-auth", "jane@", "SMTP-Auth:Jane@ (f:1): REJECT"},
		{"a user who is an address, for his own domain", "smtp-auth", "Joe@Corp.example@corp.Example", "smtp-auth:joe@corp.example (f:4): OK"},
		{"and for others", "smtp-auth", "joe@corp.example@example.com", "smtp-auth:joe@corp.example@ (f:3): REJECT"},
		{"and for a domain below his own", "smtp-auth", "joe@corp.example@a.corp.example", "smtp-auth:joe@corp.example@ (f:3): REJECT"},
		{"a user of another domain is another", "smtp-auth", "jane@example.net@example.com", "none"},
		{"a user whose name ends alike", "smtp-auth", "xjane@example.com", "none"},
		{"a user of an internationalized domain", "smtp-auth", "eve@bücher.example@xn--bcher-kva.example", "smtp-auth:eve@bücher.example (f:5): OK"},
		{"a user with a backslash", "smtp-auth", `CORP\Bob@example.com`, `smtp-auth:corp\bob@ (f:8): REJECT`},
		{"a user that no key can have", "smtp-auth", strings.Repeat("x", 5000) + "@example.org", "smtp-auth:example.org (f:6): BAN"},
		{"an address of a sender is no user", "spf-none", "jane@example.net@example.net", "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v, _ := m.Lookup(tt.about, "", prefix(t, tt.prefix)); v.String() != tt.want {
				t.Errorf("Lookup(%.80q) = %v, want %v", tt.about, v, tt.want)
			}
		})
	}
}

func TestPrefixes(t *testing.T) {
	for p, c := range checks {
		if got := PrefixOf(c.identity, c.result); got != p {
			t.Errorf("PrefixOf(%v) = %q, want %q", c, got, p)
		}
		got, err := ParsePrefix(strings.ToUpper(string(p)))
		if err != nil || got != p || got.Identity() != c.identity {
			t.Errorf("ParsePrefix(%q) = %q of %q, %v", strings.ToUpper(string(p)), got, got.Identity(), err)
		}
	}
	if p := PrefixOf(SPF, "maybe"); p != "" || p.Identity() != "" {
		t.Errorf("PrefixOf a result that there is not = %q", p)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	some := table(t, "some", "spf-fail:nobody.example REJECT")
	some.Rcpts = func(a string) bool { return strings.HasSuffix(a, "@example.org") }
	m := newMap(t, some, table(t, "all", "spf-fail:jane@mail.example.com OK", "spf-fail:.com REJECT", "dmarc-fail OK"))
	specific, general := PrefixOf(DMARC, "fail-reject"), PrefixOf(DMARC, "fail")
	found := 0
	if n := testing.AllocsPerRun(100, func() {
		for _, about := range []string{"Jane@Mail.Example.com", "joe@a.b.c.example.com", "example.org"} {
			if _, ok := m.Lookup(about, "joe@example.org", "spf-fail"); ok {
				found++
			}
			m.Lookup(about, "", specific, general)
			m.Lookup("jane@example.org@"+"example.org", "", "smtp-auth")
		}
	}); n != 0 {
		t.Errorf("look-ups allocate %v times, want 0", n)
	}
	if found < 200 {
		t.Errorf("found %d", found)
	}
}

// Whatever the case of letters and the separator, what is looked up is found by the key of its
// own, before all others.
func TestOwnKeyIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[a-zA-Z0-9.+=]{1,20}`).Draw(t, "local")
		domain := rapid.StringMatching(`[a-zA-Z0-9]{1,8}(\.[a-zA-Z0-9]{1,8}){0,4}`).Draw(t, "domain")
		if _, err := address.ASCIIDomain(domain); err != nil {
			t.Skip(err)
		}
		fold := func(s string) string {
			if rapid.Bool().Draw(t, "upper") {
				return strings.ToUpper(s)
			}
			return strings.ToLower(s)
		}
		key := fold("spf-fail") + rapid.SampledFrom([]string{":", "!"}).Draw(t, "separator") + fold(local) + "@" + fold(domain)
		m, err := New(Table{Name: "t", Entries: []Entry{{Key: "spf-fail:" + domain, Action: Action{Word: Ban}}, {Key: key, Action: Action{Word: OK}}}})
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := m.Lookup(fold(local)+"@"+fold(domain), "", "spf-fail"); !ok || v.Key != key {
			t.Fatalf("found %v, want %s", v, key)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	m := newMap(b, table(b, "f", "spf-fail:.com REJECT", "dkim-fail OK"))
	for b.Loop() {
		m.Lookup("Jane.Doe@mail.Example.com", "", "spf-fail")
	}
}
