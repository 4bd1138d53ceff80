package milter_test

// What docs/pymilter.md promises and no other test shows.

import (
	"context"
	"fmt"
	"log/slog"
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
