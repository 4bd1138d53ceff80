package config

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/access"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/policy"
	"github.com/gomilter/gomilter/quarantine"
)

// withAccess is a configuration with filters auth and access; what access has in its table is to follow.
const withAccess = "[[listener]]\nsocket = 'inet:8891@127.0.0.1'\nchain = ['auth', 'access']\n[filter.auth]\n[filter.access]\n"

func TestAccessProblems(t *testing.T) {
	rule := func(s string) string { return withAccess + "[[filter.access.rule]]\n" + s }
	for _, tt := range []struct{ name, in, file, want string }{
		{"a rule that is right", rule("keys = ['spf-fail:example.com']\ndo = '550 5.7.1 no'"), "", ""},
		{"nothing to do", withAccess, "", "warning: c.toml:5:9: filter.access: it has no [[filter.access.rule]] and no [[filter.access.map]], and refuses nothing\n"},
		{"knobs alone", withAccess + "helo_missing = true", "", ""},
		{"a word that there is not", rule("keys = ['spf-fail']\ndo = 'REJCT'"), "", `c.toml:8:1: filter.access.rule[1].do: "REJCT" is none of OK, CBV, DSN, QUARANTINE, TEMPFAIL, DISCARD, REJECT, WHITELIST, BAN` + "\n"},
		{"a code that nobody can be told", rule("keys = ['spf-fail']\ndo = 'ERROR:5.7.1:250 no'"), "", "c.toml:8:1: filter.access.rule[1].do: code 250 does not refuse: only 4yz and 5yz do\n"},
		{"no word", rule("keys = ['spf-fail']"), "", "c.toml:6:17: filter.access.rule[1].do: it does nothing; write do = \"REJECT\" or another word\n"},
		{"no keys", rule("do = 'OK'"), "", "c.toml:6:17: filter.access.rule[1].keys: it has no keys; write keys = [\"spf-fail:example.com\"]\n"},
		{"a key that there is not", rule("keys = ['spf-fail', 'spf-fial:example.com']\ndo = 'OK'"), "",
			`c.toml:7:21: filter.access.rule[1].keys[2]: "spf-fial" is none of spf-pass, spf-neutral, spf-softfail, spf-fail, spf-none, spf-permerror, spf-temperror` + "\n"},
		{"a key without a domain", rule("keys = ['spf-fail:jane@']\ndo = 'OK'"), "", "c.toml:7:9: filter.access.rule[1].keys[1]: spf-fail:jane@ has no domain\n"},
		{"a key of a list in a file", rule("keys = ['file:f']\ndo = 'OK'"), "spf-fail:a.example\n\nspf-fail:b..example\n", "f:3: filter.access.rule[1].keys[2]: spf-fail:b..example: address: not a domain: a label of 0 bytes\n"},
		{"recipients that are none", rule("keys = ['spf-fail']\ndo = 'OK'\nrcpts = ['jane', '@example.com']"), "",
			`c.toml:9:10: filter.access.rule[1].rcpts[1]: "jane" has no "@"; write user@domain, @domain, or <> for the null sender` + "\n"},
		{"no recipients", rule("keys = ['spf-fail']\ndo = 'OK'\nrcpts = []"), "", "c.toml:9:1: filter.access.rule[1].rcpts: it names no recipient; leave the key out for all\n"},
		{"what cannot be done for some", rule("keys = ['spf-fail']\ndo = 'DISCARD'\nrcpts = ['@example.com']"), "",
			"c.toml:7:9: filter.access.rule[1].keys[1]: DISCARD is for the message as a whole, and cannot be done for some recipients only\n"},
		{"names of rules that are alike", rule("name = 'x'\nkeys = ['spf-fail']\ndo = 'OK'\n[[filter.access.rule]]\nname = 'x'\nkeys = ['spf-none']\ndo = 'OK'"), "",
			"c.toml:11:1: filter.access.rule[2].name: it is that of rule[1], too\n"},
		{"a name that cannot be printed", rule("name = \"x\\u0007\"\nkeys = ['spf-fail']\ndo = 'OK'"), "", "c.toml:7:1: filter.access.rule[1].name: it is longer than 100 bytes, or holds control characters\n"},
		{"a HELO name that is none", withAccess + "helo_names = ['*.example.com', 'a b']", "", "c.toml:6:32: filter.access.helo_names[2]: address: pattern \"a b\": no host name with the wildcards * and ?\n"},

		{"a map", withAccess + "[[filter.access.map]]\nfile = 'f'", "From:x RELAY\nSPF-Fail REJECT\n", ""},
		{"keys that look like ours", withAccess + "[[filter.access.map]]\nfile = 'f'", "spf_softfail REJECT\nspf-fail REJECT\nsfp-none REJECT\nFrom:x RELAY\nspf softfail REJECT\nsmtp-test!x REJECT\n",
			"warning: f:1: filter.access.map[1].file: spf_softfail is left to other programs, as one of 5 entries here; if it is meant for this filter, write spf-softfail\n" +
				"warning: f:3: filter.access.map[1].file: sfp-none is left to other programs, as one of 5 entries here; if it is meant for this filter, write spf-none\n" +
				"warning: f:5: filter.access.map[1].file: spf is left to other programs, as one of 5 entries here; if it is meant for this filter, write spf-softfail\n"},
		{"a user who is taken for a domain", withAccess + "[[filter.access.map]]\nfile = 'f'", "smtp-auth:jane REJECT\nsmtp-auth:joe@ REJECT\n",
			"warning: f:1: filter.access.map[1].file: jane is a domain here; write smtp-auth:jane@ for the user, or smtp-auth:jane. for the domain\n"},
		{"the same in a rule", rule("keys = ['spf-fail', 'smtp-auth:jane']\ndo = 'REJECT'"), "",
			"warning: c.toml:7:21: filter.access.rule[1].keys[2]: jane is a domain here; write smtp-auth:jane@ for the user, or smtp-auth:jane. for the domain\n"},
		{"a prefix that means two things", withAccess + "[[filter.access.map]]\nfile = 'f'", "spf-fail OK\nspf-fail: REJECT\n",
			"f:1: filter.access.map[1].file: spf-fail is OK, and spf-fail:, which goes before it and is for the same, is REJECT\n"},
		{"a map that is not there", withAccess + "[[filter.access.map]]\nfile = 'none'", "", "c.toml:7:1: filter.access.map[1].file: open "},
		{"no file", withAccess + "[[filter.access.map]]\nsyntax = 'postfix'", "", "c.toml:6:17: filter.access.map[1].file: it names no file; write file = \"/etc/mail/access\"\n"},
		{"a syntax that there is not", withAccess + "[[filter.access.map]]\nfile = 'f'\nsyntax = 'hash'", "spf-fail OK\n", "c.toml:8:10: filter.access.map[1].syntax: \"hash\" is none of sendmail, postfix\n"},
		{"lines that are wrong", withAccess + "[[filter.access.map]]\nfile = 'f'", "# x\nSPF-Fail REJCT\nspf-fial OK\n more\n",
			"f:2: filter.access.map[1].file: \"REJCT\" is none of OK, CBV, DSN, QUARANTINE, TEMPFAIL, DISCARD, REJECT, WHITELIST, BAN\n" +
				"f:3: filter.access.map[1].file: \"spf-fial\" is none of spf-pass, spf-neutral, spf-softfail, spf-fail, spf-none, spf-permerror, spf-temperror\n" +
				"f:4: filter.access.map[1].file: it begins with a blank, which continues a line in files of Postfix only\n"},
		{"a key that means two things", withAccess + "[[filter.access.map]]\nfile = 'f'", "spf-fail OK\nSPF-Fail REJECT\n", "f:2: filter.access.map[1].file: SPF-Fail is OK before, and REJECT here\n"},
		{"the syntax of another MTA", withAccess + "[[filter.access.map]]\nfile = 'f'\nsyntax = 'postfix'", "spf-fail 550\n  no\n", ""},
		{"a map without entries", withAccess + "[[filter.access.map]]\nfile = 'f'", "From:x RELAY\n", "c.toml:7:1: filter.access.map[1].file: DIR/f has no entries, but 1 that other programs read; leave the table out if none are meant\n"},
		{"a map twice", withAccess + "[[filter.access.map]]\nfile = 'f'\n[[filter.access.map]]\nfile = './f'", "spf-fail OK\n", "c.toml:9:1: filter.access.map[2].file: DIR/f is that of map[1], too\n"},
		{"a map for some recipients", withAccess + "[[filter.access.map]]\nfile = 'f'\nrcpts = ['@example.com']", "spf-fail OK\nspf-none CBV\n",
			"f:2: filter.access.map[1].file: CBV is for the message as a whole, and cannot be done for some recipients only\n"},
		{"a map that is too large", withAccess + "max_file = 10\n[[filter.access.map]]\nfile = 'f'", "spf-fail REJECT\n", "c.toml:8:1: filter.access.map[1].file: read DIR/f: it has more than 10 bytes\n"},
		{"a map with too many entries", withAccess + "max_entries = 1\n[[filter.access.map]]\nfile = 'f'", "spf-fail OK\nspf-none OK\n", "f: filter.access.map[1].file: it has more than 1 entries\n"},
		{"a map with a long line", withAccess + "max_line = 20\n[[filter.access.map]]\nfile = 'f'", "spf-fail REJECT no, not that\nspf-none OK\n", "f:1: filter.access.map[1].file: it has more than 20 bytes\n"},

		{"a call-back that nobody does", rule("keys = ['spf-none', 'spf-softfail:example.com']\ndo = 'CBV'"), "",
			"c.toml:7:9: filter.access.rule[1].keys[1]: spf-none: no filter behind \"access\" in the chain of listener[1] carries out CBV; write another word\n" +
				"c.toml:7:21: filter.access.rule[1].keys[2]: spf-softfail:example.com: no filter behind \"access\" in the chain of listener[1] carries out CBV; write another word\n"},
		{"a DSN of a map that nobody sends", withAccess + "[[filter.access.map]]\nfile = 'f'", "spf-fail OK\nSPF-SoftFail:.example DSN\n",
			"f:2: filter.access.map[1].file: SPF-SoftFail:.example: no filter behind \"access\" in the chain of listener[1] carries out DSN; write another word\n"},
		{"a call-back of a filter that is off", strings.Replace(rule("keys = ['spf-none']\ndo = 'CBV'"), "[filter.access]\n", "[filter.access]\nmode = 'off'\n", 1), "", ""},
		{"nobody checks", strings.Replace(rule("keys = ['spf-none', 'spf-fail', 'dmarc-fail', 'smtp-auth']\ndo = 'REJECT'"), "chain = ['auth', 'access']", "chain = ['access', 'auth']", 1), "",
			"c.toml:7:9: filter.access.rule[1].keys[1]: spf-none: no filter before \"access\" in the chain of listener[1] checks SPF; put one of kind auth before it\n" +
				"c.toml:7:33: filter.access.rule[1].keys[3]: dmarc-fail: no filter before \"access\" in the chain of listener[1] checks DMARC; put one of kind auth before it\n"},
		{"the filter that checks is off", strings.Replace(rule("keys = ['spf-none']\ndo = 'REJECT'"), "[filter.auth]\n", "[filter.auth]\nmode = 'off'\n", 1), "", "checks SPF; put one of kind auth before it\n"},
		{"it checks something else", strings.Replace(rule("keys = ['helo-none']\ndo = 'REJECT'"), "[filter.auth]\n", "[filter.auth]\nmethods = ['spf']\n", 1), "", "checks HELO; put one of kind auth before it\n"},
		{"to wait for nothing", strings.Replace(rule("keys = ['spf-none']\ndo = 'REJECT'"), "[filter.auth]\n[filter.access]\n", "[filter.auth]\nmethods = ['spf']\n[filter.access]\nwait = 'always'\n", 1), "",
			"warning: c.toml:7:1: filter.access.wait: no filter before \"access\" in the chain of listener[1] verifies DKIM: nothing cancels what waits\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "c.toml", tt.in, "f", tt.file)
			_, problems := parseFiles(t, path)
			got := strings.ReplaceAll(texts(problems), filepath.Dir(path), "DIR")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Count(got, "\n") > max(1, strings.Count(tt.want, "\n")) {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// A file of nothing else but what looks like a mistake is told of in few lines.
func TestAccessDoubtsAreNotWithoutEnd(t *testing.T) {
	path := write(t, "c.toml", withAccess+"[[filter.access.map]]\nfile = 'f'", "f", strings.Repeat("dkim_fail REJECT\nsmtp-auth:jane REJECT\n", 1000))
	_, problems := parseFiles(t, path)
	if len(problems) != 2*maxDoubts {
		t.Errorf("%d problems, want %d", len(problems), 2*maxDoubts)
	}
}

// A chain is made of what was read when the configuration was, and map files are watched.
func TestAccessMapsAreReadOnce(t *testing.T) {
	path := write(t, "c.toml", withAccess+"[[filter.access.map]]\nfile = 'f'", "f", "spf-fail REJECT\n")
	c, problems := parseFiles(t, path)
	if c == nil {
		t.Fatal(texts(problems))
	}
	f := filepath.Join(filepath.Dir(path), "f")
	if diff := cmp.Diff([]string{f}, c.ListFiles()); diff != "" {
		t.Errorf("files that are watched (-want +got):\n%s", diff)
	}
	if c.ListInfo(f) == nil {
		t.Error("nothing is known of the file before it was read")
	}
	if err := os.Remove(f); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Listeners[0].NewChain(Env{Originals: new(quarantine.Store)}); err != nil {
		t.Errorf("NewChain without the file: %v", err)
	}
}

// With auto, refusals wait where the filters before do DKIM and DMARC, and not else.
func TestAccessWaits(t *testing.T) {
	for _, tt := range []struct {
		methods, wait string
		want          bool
	}{
		{"['spf', 'dkim', 'dmarc']", "auto", true},
		{"['spf', 'dkim']", "auto", false},
		{"['spf', 'dkim']", "always", true},
		{"['spf', 'dkim', 'dmarc']", "never", false},
	} {
		c := parse(t, strings.Replace(withAccess, "[filter.auth]\n", "[filter.auth]\nmethods = "+tt.methods+"\n", 1)+
			"wait = '"+tt.wait+"'\n[[filter.access.rule]]\nkeys = ['spf-fail']\ndo = 'REJECT'")
		chain, err := c.Listeners[0].NewChain(Env{Originals: new(quarantine.Store)})
		if err != nil {
			t.Fatal(err)
		}
		if got := chain.Steps[1].Filter.Message != nil; got != tt.want {
			t.Errorf("methods %s, wait %s: it waits: %v, want %v", tt.methods, tt.wait, got, tt.want)
		}
	}
}

func TestAccessHolds(t *testing.T) {
	c := parse(t, strings.Replace(withAccess, "'auth', 'access'", "'auth', 'access', 'html'", 1)+
		"[[filter.access.rule]]\nkeys = ['spf-fail', 'spf-none']\ndo = 'QUARANTINE'\n[[filter.access.rule]]\nkeys = ['spf-pass']\ndo = 'OK'\n[filter.html]")
	if diff := cmp.Diff([]string{"rule[1].do"}, c.filter("access").holds()); diff != "" {
		t.Errorf("holds (-want +got):\n%s", diff)
	}
}

// play sends a message through a listener's chain, with names from a zone.
func playAccess(t *testing.T, c *Config, zone string, m miltertest.Mail, ip string) *filter.Explanation {
	t.Helper()
	z, err := dns.ParseZone("zone", strings.NewReader(zone))
	if err != nil {
		t.Fatal(err)
	}
	var told *filter.Explanation
	store, err := quarantine.Open(filepath.Join(t.TempDir(), "kept"), c.Kept.Options())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := c.Listeners[0].NewChain(Env{Originals: store, Dir: t.TempDir(), Resolver: z, Explain: func(x *filter.Explanation) { told = x }})
	if err != nil {
		t.Fatal(err)
	}
	m.Conn = &mta.Conn{Name: "client.example", Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 25000)}
	miltertest.NewChain(t, chain).Send(t, m)
	return told
}

// What the old applications did without an access file, by results.
func TestPoliciesOfBMS(t *testing.T) {
	c, problems := parseFiles(t, "../../examples/bms-policy.toml")
	if c == nil || len(problems) > 0 {
		t.Fatal(texts(problems))
	}
	const zone = `
fail.example TXT "v=spf1 -all"
soft.example TXT "v=spf1 ~all"
neutral.example TXT "v=spf1 ?all"
pass.example TXT "v=spf1 +all"
broken.example TXT "v=spf1 a:192.0.2.1 -all"
slow.example TIMEOUT
gmail.com TXT "v=spf1 ?all"
`
	for _, tt := range []struct{ name, helo, from, want string }{
		{"fail", "mx.none.example", "<a@fail.example>", "reject 5.7.23"},
		{"softfail: a call-back, and mail passes without", "mx.none.example", "<a@soft.example>", "accept"},
		{"neutral", "mx.none.example", "<a@neutral.example>", "accept"},
		{"none", "mx.none.example", "<a@none.example>", "accept"},
		{"pass", "mx.none.example", "<a@pass.example>", "accept"},
		{"permerror, which read laxly is a fail", "mx.none.example", "<a@broken.example>", "reject 5.7.23"},
		{"temperror", "mx.none.example", "<a@slow.example>", "tempfail 4.7.24"},
		{"HELO fail", "fail.example", "<a@none.example>", "reject 5.7.23"},
		{"HELO softfail", "soft.example", "<a@none.example>", "reject 5.7.23"},
		{"HELO neutral", "neutral.example", "<a@none.example>", "reject 5.7.23"},
		{"HELO in the name of a large provider", "gmail.com", "<a@none.example>", "reject 5.7.23"},
		{"HELO fail behind a pass", "fail.example", "<a@pass.example>", "accept"},
		{"HELO none", "mx.none.example", "<a@none.example>", "accept"},
		{"the null sender from a host that fails", "fail.example", "<>", "reject 5.7.23"},
		{"numeric HELO", "192.0.2.7", "<a@pass.example>", "reject 5.7.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := playAccess(t, c, zone, miltertest.Mail{Helo: tt.helo, From: tt.from}, "192.0.2.25")
			got := x.Verdict
			if x.Reply != nil {
				got += " " + x.Reply.Enhanced
			}
			if got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, x)
			}
		})
	}
}

// What stands behind a "#" in it is right but for what it waits for.
func TestPoliciesOfBMSThatWait(t *testing.T) {
	data, err := os.ReadFile("../../examples/bms-policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		rest, ok := strings.CutPrefix(line, "#")
		isMap := strings.Contains(rest, "access.map") || strings.HasPrefix(rest, "file =") || strings.HasPrefix(rest, "syntax =")
		if ok && rest != "" && (rest[0] == '[' || 'a' <= rest[0] && rest[0] <= 'z') && !isMap {
			line = rest
		}
		b.WriteString(line)
	}
	_, problems := parseText(t, b.String())
	if got := texts(problems); strings.Count(got, "carries out CBV") != 3 || strings.Count(got, "\n") != 3 {
		t.Errorf("problems:\n%s", got)
	}
}

// Recipients of rules are those of applies, in any case.
func TestAccessRecipients(t *testing.T) {
	c := parse(t, withAccess+"wait = 'never'\n[[filter.access.rule]]\nkeys = ['spf-fail']\ndo = 'REJECT'\nrcpts = ['Strict@example.net', '@*.example.org', '@example.com']")
	x := playAccess(t, c, `example.edu TXT "v=spf1 -all"`, miltertest.Mail{From: "<a@example.edu>",
		Rcpts: []string{"<strict@Example.net>", "<jane@example.net>", "<a@mail.example.org>", "<a@example.org>", "<b@EXAMPLE.com>"}}, "192.0.2.25")
	var refused []string
	for _, r := range x.Recipients {
		if r.Reply != nil {
			refused = append(refused, r.Address)
		}
	}
	if diff := cmp.Diff([]string{"strict@Example.net", "a@mail.example.org", "b@EXAMPLE.com"}, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s\n%s", diff, x)
	}
}

// The words of the configuration are those of the package.
func TestAccessSyntaxes(t *testing.T) {
	for i, w := range words[reflect.TypeFor[policy.Syntax]()] {
		if got := policy.Syntax(i).String(); got != w {
			t.Errorf("syntax %d is %s, and written %s", i, got, w)
		}
	}
}

// What is shown of a filter is the same filter.
func TestAccessIsShown(t *testing.T) {
	path := write(t, "c.toml", withAccess+"helo_names = ['*.example.net']\nwait = 'always'\n[[filter.access.rule]]\nkeys = ['spf-fail', 'spf-none:example.com']\ndo = '550 5.7.1 no'\nrcpts = ['@example.com']\n"+
		"[[filter.access.map]]\nfile = 'f'\nsyntax = 'postfix'\n", "f", "spf-fail OK\n")
	c, problems := parseFiles(t, path)
	if c == nil {
		t.Fatal(texts(problems))
	}
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	shown := parse(t, b.String())
	c.listInfo, shown.listInfo = nil, nil
	if diff := diffConfig(c, shown); diff != "" {
		t.Errorf("(-is +shown)\n%s\n%s", diff, b.String())
	}
}

// The filter's options are all set by the table: Map, Wait and the three of HELO. Silent is set by
// the mode.
func TestEveryOptionOfAccessHasAKey(t *testing.T) {
	if n := reflect.TypeFor[access.Options]().NumField(); n != 6 {
		t.Errorf("access.Options has %d fields, and the table knows 6: give the others a key", n)
	}
	if n := reflect.TypeFor[policy.Limits]().NumField(); n != 3 {
		t.Errorf("policy.Limits has %d fields, and the table knows 3: give the others a key", n)
	}
}
