package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// The filter refuses every message it is asked about.
func TestApplies(t *testing.T) {
	const rule = "[[filter.x.rule]]\nfields = ['Subject']\nmatch = 'present'\naction = 'reject'\n"
	client := func(ip, host string) mta.Conn {
		return mta.Conn{Name: host, Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 25)}
	}
	outside, inside := client("192.0.2.7", "mail.example.org"), client("127.0.0.1", "localhost")
	v6 := client("2001:db8::7", "[2001:db8::7]")
	m := func(from string, rcpts ...string) mta.Mail { return mta.Mail{From: from, Rcpts: rcpts} }
	for _, tt := range []struct {
		name, applies string
		conn          mta.Conn
		mail          mta.Mail
		asked         bool
	}{
		{"all without conditions", "{}", outside, m("ann@a.org", "bob@b.org"), true},
		{"class", "{ class = ['external'] }", outside, m("ann@a.org", "bob@b.org"), true},
		{"another class", "{ class = ['external'] }", inside, m("ann@a.org", "bob@b.org"), false},
		{"not a class", "{ not_class = ['internal'] }", inside, m("ann@a.org", "bob@b.org"), false},
		{"sender in any case", "{ from = ['Ann@A.org'] }", outside, m("aNN@a.ORG", "bob@b.org"), true},
		{"another sender", "{ from = ['ann@a.org'] }", outside, m("anna@a.org", "bob@b.org"), false},
		{"sender's domain", "{ from = ['@a.org'] }", outside, m("x@A.org", "bob@b.org"), true},
		{"domain below", "{ from = ['@a.org'] }", outside, m("x@b.a.org", "bob@b.org"), false},
		{"domain by wildcards", "{ from = ['*@*.a.org'] }", outside, m("x@b.a.org", "bob@b.org"), true},
		{"local part by wildcards", "{ from = ['bounce-?*@a.org'] }", outside, m("Bounce-12@a.org", "bob@b.org"), true},
		{"local part by wildcards, another", "{ from = ['bounce-?*@a.org'] }", outside, m("bounce-@a.org", "bob@b.org"), false},
		{"null sender", "{ from = ['<>'] }", outside, m("", "bob@b.org"), true},
		{"null sender is no wildcard's", "{ from = ['*@*'] }", outside, m("", "bob@b.org"), false},
		{"internationalized domain", "{ from = ['@grün.example'] }", outside, m("x@xn--grn-ioa.example", "bob@b.org"), true},
		{"not from", "{ not_from = ['@a.org'] }", outside, m("ann@a.org", "bob@b.org"), false},
		{"not from others", "{ not_from = ['@a.org'] }", outside, m("ann@c.org", "bob@b.org"), true},
		{"from and not from", "{ from = ['@a.org'], not_from = ['ann@a.org'] }", outside, m("ann@a.org", "bob@b.org"), false},
		{"from nobody", "{ from = [] }", outside, m("ann@a.org", "bob@b.org"), false},
		{"one recipient", "{ rcpts = ['bob@b.org'] }", outside, m("ann@a.org", "x@b.org", "bob@b.org"), true},
		{"no recipient", "{ rcpts = ['bob@b.org'] }", outside, m("ann@a.org", "x@b.org"), false},
		{"recipients that are excepted", "{ not_rcpts = ['@b.org'] }", outside, m("ann@a.org", "x@b.org", "y@b.org"), false},
		{"one that is not excepted", "{ not_rcpts = ['@b.org'] }", outside, m("ann@a.org", "x@b.org", "y@c.org"), true},
		{"one that is both", "{ rcpts = ['@b.org'], not_rcpts = ['x@b.org'] }", outside, m("ann@a.org", "x@b.org", "y@c.org"), false},
		{"client's network", "{ client = ['192.0.2.0/24'] }", outside, m("ann@a.org", "bob@b.org"), true},
		{"client's network of IPv6", "{ client = ['2001:db8::/32'] }", v6, m("ann@a.org", "bob@b.org"), true},
		{"families do not mix", "{ client = ['0.0.0.0/0'] }", v6, m("ann@a.org", "bob@b.org"), false},
		{"client's name", "{ client = ['*.example.org'] }", outside, m("ann@a.org", "bob@b.org"), true},
		{"another client", "{ client = ['*.example.com', '192.0.3.*'] }", outside, m("ann@a.org", "bob@b.org"), false},
		{"not the client", "{ not_client = ['192.0.2.7'] }", outside, m("ann@a.org", "bob@b.org"), false},
		{"all conditions", "{ class = ['external'], from = ['@a.org'], rcpts = ['@b.org'], client = ['192.0.2.*'] }", outside, m("ann@a.org", "bob@b.org"), true},
		{"one condition of all fails", "{ class = ['external'], from = ['@a.org'], rcpts = ['@c.org'], client = ['192.0.2.*'] }", outside, m("ann@a.org", "bob@b.org"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['x']\n[filter.x]\nkind = 'headers'\napplies = "+tt.applies+"\n"+rule)
			chain, err := c.Listeners[0].NewChain(Env{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			srv := c.Listeners[0].Server()
			srv.New, srv.Log = chain.Hooks, chain.Log
			tt.mail.Conn, tt.mail.Data = tt.conn, []byte("Subject: x\r\n\r\nbody\r\n")
			tt.mail.From = "<" + tt.mail.From + ">"
			for i, r := range tt.mail.Rcpts {
				tt.mail.Rcpts[i] = "<" + r + ">"
			}
			r, err := miltertest.New(t, srv).Client.Send(t.Context(), tt.mail)
			if err != nil {
				t.Fatal(err)
			}
			if asked := r.Verdict == mta.Reject; asked != tt.asked {
				t.Errorf("%s, mail from %s to %s: asked %v, want %v", tt.applies, tt.mail.From, tt.mail.Rcpts, asked, tt.asked)
			}
		})
	}
}

// A long list is looked up, and not walked.
func TestLongListOfAddresses(t *testing.T) {
	var list strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&list, "user%d@d%d.example\n", i, i)
	}
	path := write(t, "c.toml", minimal+"applies.from = ['file:l']", "l", list.String())
	c, problems := parseFiles(t, path)
	if c == nil {
		t.Fatal(texts(problems))
	}
	b := &build{config: c, filter: &c.Filters[0], places: c.places, problem: func(p Problem) { t.Error(p) }}
	a := newAddresses(b, "from", c.Filters[0].Applies.From)
	if len(a.exact) != 200_000 || len(a.globs) != 0 {
		t.Errorf("%d are looked up, %d walked", len(a.exact), len(a.globs))
	}
	if filepath.Base(c.ListFiles()[0]) != "l" {
		t.Errorf("list files %q", c.ListFiles())
	}
}

// What a listener is told is what its server and chain do.
func TestLimitsAreInForce(t *testing.T) {
	c := parse(t, "[network]\ninternal = ['192.0.2.0/24']\n"+minimal+"[filter.x]\nkind='headers'\n[[filter.x.rule]]\nfields=['Subject']\nmatch='present'\nclass=['internal']\naction='reject'\n"+
		"[[listener]]\nname='two'\nsocket='inet:2@127.0.0.1'\nchain=['x']\nlimits.rcpts = 1\n")
	l := &c.Listeners[1]
	chain, err := l.NewChain(Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv := l.Server()
	srv.New, srv.Log = chain.Hooks, chain.Log
	client := miltertest.New(t, srv).Client
	for code, rcpts := range map[int][]string{550: {"<b@b.org>"}, 452: {"<b@b.org>", "<c@b.org>"}} {
		r, err := client.Send(t.Context(), mta.Mail{From: "<a@a.org>", Rcpts: rcpts,
			Conn: mta.Conn{Name: "x.example", Addr: netip.MustParseAddrPort("192.0.2.7:25")}, Data: []byte("Subject: x\r\n\r\nbody\r\n")})
		if err != nil {
			t.Fatal(err)
		}
		if r.Reply == nil || r.Reply.Code != code {
			t.Errorf("internal mail to %s is answered %v, want %d", rcpts, r.Reply, code)
		}
	}
	if _, err := c.Listeners[0].NewChain(Env{}); err == nil {
		t.Error("a chain that keeps originals is built without a store")
	}
}
