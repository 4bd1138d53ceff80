package daemon_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"

	"github.com/gomilter/gomilter/daemon"
	"github.com/gomilter/gomilter/mta"
)

// Filters ask the servers of [dns], and what they were told outlives a reload that leaves
// [dns] as it is.
func TestNamesAreRememberedOverReloads(t *testing.T) {
	server := func() *mockdns.Server {
		s, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{"example.com.": {TXT: []string{"v=spf1 ip4:192.0.2.1 -all"}}}, log.New(io.Discard, "", 0), false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := l.Addr().String()
	l.Close()
	conf := func(s *mockdns.Server, more string) string {
		return "dns = { servers = [\"" + s.LocalAddr().String() + "\"]" + more + " }\nhttp = { listen = \"" + web + "\" }\n" +
			"[filter.auth]\nid = \"mx.example.net\"\nmethods = [\"spf\"]\n[[listener]]\nsocket = \"unix:DIR/sock\"\nchain = [\"auth\"]\n"
	}
	first := server()
	r := start(t, conf(first, ""))
	send := func() {
		t.Helper()
		c := &mta.Client{Milters: []mta.Milter{{Address: "unix:" + r.path("sock")}}}
		res, err := c.Send(t.Context(), mta.Mail{Conn: mta.Conn{Addr: netip.MustParseAddrPort("192.0.2.1:4711")}, Helo: "client.example.com",
			From: "<a@example.com>", Rcpts: []string{"<b@example.net>"}, Data: []byte("From: a@example.com\r\n\r\nx\r\n")})
		if err != nil {
			t.Fatal(err)
		}
		if f, _ := res.Message.Header.Get("Authentication-Results"); !strings.Contains(string(f.Value()), "spf=pass") {
			t.Errorf("the message comes to %v with the results %q", res.Verdict, f.Value())
		}
	}
	metric := func(name string) string {
		t.Helper()
		resp, err := http.Get("http://" + web + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`(?m)^gomilter_dns_` + name + ` (\d+)$`).FindStringSubmatch(string(b))[1]
	}
	check := func(what, want string) {
		t.Helper()
		send()
		if got := metric("queries_total"); got != want {
			t.Errorf("%s servers were asked %s questions, want %s", what, got, want)
		}
	}
	reload := func(conf string) {
		t.Helper()
		r.configure(conf)
		if _, err := r.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", "1")
	check("for the same sender", "1")
	reload(conf(first, ", timeout = \"5s\""))
	check("after a reload", "1")
	reload(conf(server(), ""))
	check("when another server is named", "2")
	r.configure("log = { to = \"DIR/none/log\" }\n" + conf(first, ""))
	if _, err := r.Reload(); err == nil || errors.Is(err, daemon.ErrConfig) {
		t.Fatalf("a log that cannot be opened: error %v", err)
	}
	if got := metric("entries"); got != "1" {
		t.Errorf("after a configuration that was refused %s answers are remembered, want 1", got)
	}
}
