package milter_test

// What docs/pymilter.md promises and no other test shows.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/examples/headerrules"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

func server(h milter.Hooks) *milter.Server {
	return &milter.Server{New: func(*milter.Session) milter.Hooks { return h }}
}

func TestClientOfEveryFamily(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		for _, tt := range []struct {
			name string
			conn mta.Conn
			want milter.Client
			host map[mta.Profile]string // where the MTAs spell it differently
		}{
			{"IPv4", mta.Conn{Name: "mx.example", Addr: netip.MustParseAddrPort("192.0.2.7:1025")},
				milter.Client{Host: "mx.example", Family: milter.FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:1025")}, nil},
			{"IPv4 without a name", mta.Conn{Addr: netip.MustParseAddrPort("192.0.2.7:1025")},
				milter.Client{Host: "[192.0.2.7]", Family: milter.FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:1025")}, nil},
			{"IPv6", mta.Conn{Name: "mx.example", Addr: netip.MustParseAddrPort("[2001:db8::7]:1025")},
				milter.Client{Host: "mx.example", Family: milter.FamilyInet6, Addr: netip.MustParseAddrPort("[2001:db8::7]:1025")}, nil},
			{"IPv6 without a name", mta.Conn{Addr: netip.MustParseAddrPort("[2001:db8::7]:1025")},
				milter.Client{Family: milter.FamilyInet6, Addr: netip.MustParseAddrPort("[2001:db8::7]:1025")},
				map[mta.Profile]string{mta.Sendmail: "[IPv6:2001:db8:0:0:0:0:0:7]", mta.Postfix: "[2001:db8::7]"}},
			{"name that is no UTF-8", mta.Conn{Name: "mx\xff", Addr: netip.MustParseAddrPort("192.0.2.7:1025")},
				milter.Client{Host: "mx\xff", Family: milter.FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:1025")}, nil},
			{"unix", mta.Conn{Name: "localhost", Unix: "/run/client"},
				milter.Client{Host: "localhost", Family: milter.FamilyUnix, Path: "/run/client"}, nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				var got milter.Client
				c := miltertest.New(t, server(milter.Hooks{Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
					got = *c
					return milter.Continue
				}}))
				c.Profile = profile
				c.ConnectFrom(t, tt.conn).Quit()
				if host := tt.host[profile]; host != "" {
					tt.want.Host = host
				}
				if got != tt.want {
					t.Errorf("client = %+v, want %+v", got, tt.want)
				}
			})
		}
	})
}

func TestEnvelopeAsHooksSeeIt(t *testing.T) {
	for _, tt := range []struct {
		command                string
		address, local, domain string
		null                   bool
		params                 string // as Params has them
	}{
		{"<joe@Example.COM>", "joe@Example.COM", "joe", "example.com", false, ""},
		{"<>", "", "", "", true, ""},
		{"<joe>", "joe", "joe", "", false, ""},
		{"joe@example.com", "joe@example.com", "joe", "example.com", false, ""},
		{"<@a.example,@b.example:joe@example.com>", "joe@example.com", "joe", "example.com", false, ""},
		{`<"odd@one"@example.com>`, `"odd@one"@example.com`, `"odd@one"`, "example.com", false, ""},
		{"<jo\xe9@example.com>", "jo\xe9@example.com", "jo\xe9", "example.com", false, ""},
		{"<joe@example.com> SIZE=12 body=8BITMIME SMTPUTF8", "joe@example.com", "joe", "example.com", false, "SIZE=12 BODY=8BITMIME SMTPUTF8="},
		{"<joe@example.com> A=b=c A=d", "joe@example.com", "joe", "example.com", false, "A=b=c A=d"},
	} {
		t.Run(tt.command, func(t *testing.T) {
			var raw, got, params string
			var rawParams []string
			c := miltertest.New(t, server(milter.Hooks{Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
				raw = string(m.Raw())
				got = fmt.Sprintf("%q %q %q %v", m.Address(), m.Local(), m.Domain(), m.Null())
				for name, value := range m.Params() {
					params += " " + name + "=" + value
				}
				for p := range m.RawParams() {
					rawParams = append(rawParams, string(p))
				}
				if _, ok := m.Param("none"); ok {
					t.Error("a parameter is there that was not given")
				}
				if v, ok := m.Param("a"); ok && v != "b=c" {
					t.Errorf("Param(a) = %q, want the first", v)
				}
				if v, ok := m.Param("smtputf8"); v != "" || ok != strings.Contains(tt.command, "SMTPUTF8") {
					t.Errorf("Param(smtputf8) = %q, %v", v, ok)
				}
				return milter.Continue
			}}))
			fields := strings.Fields(tt.command)
			c.Connect(t).Mail(fields[0], fields[1:]...)
			if raw != fields[0] || !slices.Equal(rawParams, fields[1:]) {
				t.Errorf("raw = %q %q, want %q", raw, rawParams, fields)
			}
			if want := fmt.Sprintf("%q %q %q %v", tt.address, tt.local, tt.domain, tt.null); got != want {
				t.Errorf("address, local, domain, null = %s, want %s", got, want)
			}
			if strings.TrimSpace(params) != tt.params {
				t.Errorf("parameters = %q, want %q", params, tt.params)
			}
		})
	}
}

func TestHeaderAsHooksSeeIt(t *testing.T) {
	const field = "X-Field: one\r\n\ttwo\xff"
	for _, leading := range []bool{false, true} {
		miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
			raw := "one\n\ttwo\xff"
			if leading {
				raw = " " + raw
			}
			calls := 0
			c := miltertest.New(t, server(milter.Hooks{LeadingSpace: leading, Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
				calls++
				if h.Name() != "X-Field" || string(h.NameBytes()) != "X-Field" || !h.Is("x-field") || h.Is("X-Fiel") {
					t.Errorf("name = %q", h.Name())
				}
				if got := string(h.Raw()); got != raw {
					t.Errorf("raw = %q, want %q", got, raw)
				}
				if h.Value() != "one\n\ttwo\xff" || string(h.ValueBytes()) != h.Value() {
					t.Errorf("value = %q, %q", h.Value(), h.ValueBytes())
				}
				return milter.Continue
			}}))
			c.Profile = profile
			c.Send(t, miltertest.Mail{Text: field + "\r\n\r\n"})
			if calls != 1 {
				t.Errorf("%d fields, want 1", calls)
			}
		})
	}
}

func TestMacrosByName(t *testing.T) {
	calls := 0
	c := miltertest.New(t, &milter.Server{New: func(s *milter.Session) milter.Hooks {
		return milter.Hooks{
			Macros: map[milter.Stage][]string{milter.StageConnect: {"{j}", "_", "{odd}", "{daemon_port}"}},
			Connect: func(context.Context, *milter.Client) milter.ConnectReply {
				for name, want := range map[string]string{"j": "mta.example", "{j}": "mta.example", "odd": "\xff", "{odd}": "\xff", "{daemon_port}": "587", "{none}": "", "": ""} {
					if got, ok := s.Macro(name); got != want || ok != (want != "") {
						t.Errorf("Macro(%q) = %q, %v, want %q", name, got, ok, want)
					}
				}
				calls++
				return milter.Continue
			},
		}
	}})
	c.Macros = map[string]string{"odd": "\xff", "daemon_port": "587"}
	c.Connect(t)
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

// New is asked for each connection, so that a configuration may be replaced while
// the filter serves: connections that are open keep theirs.
func TestNewMayChangeItsMind(t *testing.T) {
	var hooks atomic.Pointer[milter.Hooks]
	refusing := func(text string) *milter.Hooks {
		return &milter.Hooks{Mail: func(context.Context, *milter.Mail) milter.MailReply { return milter.Reject(550, "5.7.1", text) }}
	}
	hooks.Store(refusing("old"))
	c := miltertest.New(t, &milter.Server{New: func(*milter.Session) milter.Hooks { return *hooks.Load() }})
	before := c.Connect(t)
	hooks.Store(refusing("new"))
	if got := before.Mail("<a@example.com>").Told(); got != "550 5.7.1 old" {
		t.Errorf("the open connection is told %q", got)
	}
	if got := c.Connect(t).Mail("<a@example.com>").Told(); got != "550 5.7.1 new" {
		t.Errorf("the next connection is told %q", got)
	}
}

func TestSessionIDsAreUniqueAcrossRestarts(t *testing.T) {
	seen := map[string]bool{}
	for range 2 { // each server stands for a run
		var book strings.Builder
		c := miltertest.New(t, &milter.Server{
			Log: slog.New(slog.NewTextHandler(&book, nil)),
			New: func(s *milter.Session) milter.Hooks {
				if seen[s.ID()] {
					t.Errorf("id %s was given twice", s.ID())
				}
				seen[s.ID()] = true
				s.Log().Info("hello")
				return milter.Hooks{}
			},
		})
		c.Send(t, miltertest.Mail{})
		c.Send(t, miltertest.Mail{})
		for id := range seen {
			if strings.Contains(book.String(), "conn="+id) {
				book.Reset()
			}
		}
		if book.Len() > 0 {
			t.Errorf("log lines without the connection's id:\n%s", &book)
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d ids, want 4", len(seen))
	}
}

func TestRejectedRecipientsOnRequest(t *testing.T) {
	for _, asked := range []bool{false, true} {
		var seen []string
		c := miltertest.New(t, server(milter.Hooks{RejectedRcpts: asked, Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
			seen = append(seen, fmt.Sprint(r.Address(), " ", r.Rejected()))
			return milter.Continue
		}}))
		s := c.Connect(t)
		s.Helo("client.example")
		s.Mail("<a@example.com>")
		s.RcptRefused("<gone@example.net>", mta.Reply{Code: 550, Enhanced: "5.1.1", Text: []string{"no such user"}})
		s.Rcpt("<b@example.net>")
		want := []string{"b@example.net false"}
		if asked {
			want = []string{"gone@example.net true", "b@example.net false"}
		}
		if !slices.Equal(seen, want) {
			t.Errorf("asked %v: the hook saw %q, want %q", asked, seen, want)
		}
	}
}

// The header-rule sample logs messages that come to nothing, too.
func TestSampleLogsMessagesGivenUp(t *testing.T) {
	var book strings.Builder
	c := miltertest.New(t, &milter.Server{New: headerrules.New(headerrules.Rules...), Log: slog.New(slog.NewTextHandler(&book, nil))})
	s := c.Connect(t)
	s.Helo("client.example")
	s.Mail("<ann@example.com>")
	s.Rcpt("<bob@example.net>")
	s.Reset()
	s.Quit()
	if got := book.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "from=ann@example.com") || !strings.Contains(got, "verdict=none") {
		t.Errorf("log = %s", got)
	}
}

// brokenListener fails for good.
type brokenListener struct{ net.Listener }

var errBroken = errors.New("broken for good")

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }

func TestServeReturnsWhyItEnded(t *testing.T) {
	ln, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server(milter.Hooks{})
	s.Log = slog.New(slog.DiscardHandler)
	if err := s.Serve(t.Context(), brokenListener{ln}); !errors.Is(err, errBroken) {
		t.Errorf("Serve = %v, want the listener's error", err)
	}
	if err := s.ListenAndServe(t.Context(), "tcp:25"); err == nil || errors.Is(err, milter.ErrServerClosed) {
		t.Errorf("ListenAndServe on what is no socket = %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.ListenAndServe(ctx, "inet:0@127.0.0.1"); err != milter.ErrServerClosed {
		t.Errorf("ListenAndServe with an ended context = %v, want %v", err, milter.ErrServerClosed)
	}
}
