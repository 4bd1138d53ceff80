package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/policy"
	"github.com/google/go-cmp/cmp"
)

const authMinimal = "[[listener]]\nsocket = 'fd://3'\nchain = ['auth']\n"

func TestAuthProblems(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an id that is none", "[filter.auth]\nid = 'a b'", "c.toml:5:1: filter.auth.id: \"a b\" is no authserv-id"},
		{"no method", "[filter.auth]\nmethods = []", "c.toml:5:1: filter.auth.methods: it names none"},
		{"a method that there is not", "[filter.auth]\nmethods = ['spf', 'dikm']", `c.toml:5:19: filter.auth.methods[2]: "dikm" is none of auth, iprev, spf, helo, dkim, dmarc; did you mean "dkim"?`},
		{"a method twice", "[filter.auth]\nmethods = ['spf', 'spf']", "c.toml:5:1: filter.auth.methods: spf is named twice"},
		{"more at MAIL than in all", "[filter.auth]\ndns_time = '5s'", "c.toml:4:9: filter.auth.mail_time: 6s is more than dns_time, 5s"},
		{"a guess that is no record", "[filter.auth]\nspf.guess = 'mx'", "c.toml:5:5: filter.auth.spf.guess: spf: "},
		{"a local record without a domain", "[filter.auth]\n[[filter.auth.spf.local]]\nrecord = 'v=spf1 -all'", "c.toml:5:19: filter.auth.spf.local[1].domain: it has none"},
		{"a local record without a record", "[filter.auth]\n[[filter.auth.spf.local]]\ndomain = 'example.com'", "c.toml:5:19: filter.auth.spf.local[1].record: it has none"},
		{"a local record that is none", "[filter.auth]\n[[filter.auth.spf.local]]\ndomain = 'example.com'\nrecord = 'v=spf1 ipv4:192.0.2.1'", "c.toml:5:19: filter.auth.spf.local[1]: the record for example.com: "},
		{"two local records", "[filter.auth]\nspf.local = [{domain='example.com', record='v=spf1 -all'}, {domain='Example.com.', record='v=spf1 mx -all'}]", "filter.auth.spf.local[2].domain: example.com has a record already"},
		{"a forwarder that is none", "[filter.auth]\nspf.forwarders = ['a..b']", "c.toml:5:5: filter.auth.spf.forwarders: \"a..b\" is no domain"},
		{"weak keys", "[filter.auth]\ndkim.min_rsa_bits = 512", "c.toml:5:21: filter.auth.dkim.min_rsa_bits: it has to be 1024 at least"},
		{"keys that are too small and too large", "[filter.auth]\ndkim = { min_rsa_bits = 4096, max_rsa_bits = 2048 }", "c.toml:5:10: filter.auth.dkim.min_rsa_bits: 4096 is more than max_rsa_bits, 2048"},
		{"a relay that is none", "[filter.auth]\nbelieve = ['']", "filter.auth.believe: \"\" is no authserv-id"},
		{"an override of no domain", "[filter.auth]\n[[filter.auth.dmarc.override]]\ndomains = []", "override[1].domains: it names no domain"},
		{"a mark that is From", "[filter.auth]\ndmarc.field = 'From'", "c.toml:5:7: filter.auth.dmarc.field: From has a meaning"},
		{"an action that there is not", "[filter.auth]\ndmarc.action = 'refuse'", `c.toml:5:16: filter.auth.dmarc.action: "refuse" is none of report, published, tag, quarantine, reject`},
		{"an override of nothing", "[filter.auth]\n[[filter.auth.dmarc.override]]\naction = 'reject'", "c.toml:5:21: filter.auth.dmarc.override[1]: it names no message"},
		{"an override of what is no domain", "[filter.auth]\n[[filter.auth.dmarc.override]]\ndkim = ['a b']", "c.toml:6:1: filter.auth.dmarc.override[1].dkim: \"a b\" is no domain"},
		{"a key that there is not", "[filter.auth]\ndmarc.actoin = 'report'", `c.toml:5:7: filter.auth.dmarc.actoin: there is no such key; did you mean "action"?`},

		{"DMARC of nothing", "[filter.auth]\nmethods = ['dmarc']", "warning: c.toml:5:1: filter.auth.methods: dmarc goes by spf and dkim"},
		{"an action without DMARC", "[filter.auth]\nmethods = ['spf']\ndmarc.action = 'published'", "warning: c.toml:6:1: filter.auth.dmarc: dmarc is not among the methods"},
		{"an action without DKIM", "[filter.auth]\nmethods = ['spf', 'dmarc']\ndmarc.action = 'published'", "warning: c.toml:6:1: filter.auth.dmarc: mail that passes by a method"},
		{"an action without signatures of strangers", "[filter.auth]\ndkim.class = ['trusted-relay']\ndmarc.action = 'published'", "warning: c.toml:5:6: filter.auth.dkim.class: without external"},
		{"more time than the chain has", "[filter.auth]\nmail_time = '7s'", "warning: c.toml:5:1: filter.auth.mail_time: the time of the chain"},
		{"a relay that nobody is", "[filter.auth]\nbelieve = ['mx.example.net']", "warning: c.toml:5:1: filter.auth.believe: [network] names no trusted_relays"},
		{"held before it is changed", "[filter.html]\n[filter.auth]\ndmarc.action = 'published'", "warning: c.toml:6:7: filter.auth.dmarc.action: a message that is held"},
	} {
		text := authMinimal + tt.text
		if strings.Contains(tt.text, "[filter.html]") {
			text = strings.Replace(text, "['auth']", "['auth', 'html']", 1)
		}
		_, problems := parseText(t, text)
		if got := texts(problems); !strings.Contains(got, tt.want) {
			t.Errorf("%s: problems\n%swant %s", tt.name, got, tt.want)
		}
	}
}

// A name server that is none is told of once, where it stands, however many filters ask.
func TestNameServersAreToldOfOnce(t *testing.T) {
	_, problems := parseText(t, "[[listener]]\nsocket = 'fd://3'\nchain = ['auth', 'other']\n[filter.auth]\n[filter.other]\nkind = 'auth'\n[dns]\nservers = ['ns']\n")
	want := "c.toml:8:12: dns.servers[1]: \"ns\" is no address of a name server; write \"192.0.2.53\" or \"[2001:db8::53]:5353\"\n"
	if got := texts(problems); got != want {
		t.Errorf("problems\n%swant\n%s", got, want)
	}
}

// What a table says arrives at the filter.
func TestAuthIsBuilt(t *testing.T) {
	c := parse(t, authMinimal+`
[network]
trusted_relays = ["198.51.100.0/24"]
[filter.auth]
id = "mx.example.com"
methods = ["spf", "dkim", "dmarc"]
received_spf = true
dns_time = "8s"
mail_time = "4s"
believe = ["hub.example.com"]
[filter.auth.spf]
guess = "v=spf1 a/24 mx/24 ptr"
forwarders = ["forwarder.example"]
lax = true
[[filter.auth.spf.local]]
domain = "example.net"
record = "v=spf1 mx -all"
[filter.auth.dkim]
class = ["external", "internal"]
[filter.auth.dmarc]
action = "published"
[[filter.auth.dmarc.override]]
clients = ["192.0.2.0/24"]
action = "tag"
`)
	want := &Auth{ID: "mx.example.com", Methods: []auth.Method{auth.SPF, auth.DKIM, auth.DMARC}, ReceivedSPF: true, DNSTime: 8e9, MailTime: 4e9, Believe: []string{"hub.example.com"},
		SPF: AuthSPF{Guess: "v=spf1 a/24 mx/24 ptr", Local: []AuthRecord{{"example.net", "v=spf1 mx -all"}}, Forwarders: []string{"forwarder.example"}, Lax: true,
			MaxLookups: 10, MaxVoids: 2, MaxRecord: 16 << 10},
		DKIM: AuthDKIM{Class: []filter.Class{filter.External, filter.Internal}, MaxSignatures: 10, MinRSABits: 1024, MaxRSABits: 8192, MaxNames: 1000, MaxField: 64 << 10},
		DMARC: AuthDMARC{Action: auth.Published, Field: "X-DMARC-Warning", MaxDomains: 10,
			Overrides: []AuthOverride{{Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Action: auth.Tag}}}}
	got := c.filter("auth").Options.(*Auth)
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if ids := got.tells(); len(ids) != 3 || ids[0] != policy.SPF || ids[1] != policy.DKIM || ids[2] != policy.DMARC {
		t.Errorf("it tells %v", ids)
	}
	chain, err := c.Listeners[0].NewChain(Env{Originals: nil})
	if err != nil {
		t.Fatal(err)
	}
	f := chain.Steps[0].Filter
	if f.Kind != filter.Verifies || !f.Needs.Body || f.Needs.Actions&milter.CanQuarantine == 0 {
		t.Errorf("the filter is %+v", f)
	}
}
