package milter

import (
	"context"
	"net/netip"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	port := "\x12\x34"
	for _, tt := range []struct {
		name, frame string
		want        Client
	}{
		{"IPv4", "Chost\x004" + port + "192.0.2.7\x00", Client{Host: "host", Family: FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:4660")}},
		{"IPv4, port unknown", "Chost\x004\x00\x00192.0.2.7\x00", Client{Host: "host", Family: FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:0")}},
		{"name in brackets", "C[192.0.2.7]\x004" + port + "192.0.2.7\x00", Client{Host: "[192.0.2.7]", Family: FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:4660")}},
		{"IPv6 of Postfix", "Chost\x006" + port + "2001:db8::1\x00", Client{Host: "host", Family: FamilyInet6, Addr: netip.MustParseAddrPort("[2001:db8::1]:4660")}},
		{"IPv6 of Sendmail", "Chost\x006" + port + "IPv6:2001:db8::1\x00", Client{Host: "host", Family: FamilyInet6, Addr: netip.MustParseAddrPort("[2001:db8::1]:4660")}},
		{"IPv6 of Sendmail in full", "Chost\x006" + port + "IPv6:2001:db8:0:0:0:0:0:1\x00", Client{Host: "host", Family: FamilyInet6, Addr: netip.MustParseAddrPort("[2001:db8::1]:4660")}},
		{"IPv6 with a tag in another case", "Chost\x006" + port + "ipv6:::1\x00", Client{Host: "host", Family: FamilyInet6, Addr: netip.MustParseAddrPort("[::1]:4660")}},
		{"IPv6 in capitals", "Chost\x006" + port + "IPV6:2001:DB8::A\x00", Client{Host: "host", Family: FamilyInet6, Addr: netip.MustParseAddrPort("[2001:db8::a]:4660")}},
		{"IPv6 with a zone", "Chost\x006" + port + "fe80::1%eth0\x00", Client{Host: "host", Family: FamilyInet6, Addr: netip.MustParseAddrPort("[fe80::1%eth0]:4660")}},
		{"IPv4 mapped into IPv6", "Chost\x006" + port + "::ffff:192.0.2.7\x00", Client{Host: "host", Family: FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:4660")}},
		{"IPv4 mapped into IPv6, with tag", "Chost\x006" + port + "IPv6:::ffff:192.0.2.7\x00", Client{Host: "host", Family: FamilyInet, Addr: netip.MustParseAddrPort("192.0.2.7:4660")}},
		{"unix", "Clocalhost\x00L\x00\x00/run/smtp.sock\x00", Client{Host: "localhost", Family: FamilyUnix, Path: "/run/smtp.sock"}},
		{"unix without path", "Clocalhost\x00L\x00\x00\x00", Client{Host: "localhost", Family: FamilyUnix}},
		{"unknown", "Clocalhost\x00U", Client{Host: "localhost", Family: FamilyUnknown}},
		{"unknown, with bytes behind", "Clocalhost\x00U\x00\x00x\x00", Client{Host: "localhost", Family: FamilyUnknown}},
		{"host of odd bytes", "Cgr\xf6\xdf\x00U", Client{Host: "gr\xf6\xdf", Family: FamilyUnknown}},
		{"no host", "C\x00U", Client{Family: FamilyUnknown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got, inSession Client
			p := serve(t, &Server{New: func(s *Session) Hooks {
				if s.Client().Family != FamilyUnknown || s.Client().Addr.IsValid() {
					t.Errorf("before CONNECT the client is %+v", s.Client())
				}
				return Hooks{Connect: func(_ context.Context, c *Client) ConnectReply {
					got, inSession = *c, *s.Client()
					return Continue
				}}
			}}).dial(t)
			p.offer()
			p.want("c", tt.frame)
			if got != tt.want || inSession != tt.want {
				t.Errorf("client = %+v, in the session %+v, want %+v", got, inSession, tt.want)
			}
		})
	}
}

func TestClientOfTheWrongFamily(t *testing.T) {
	for _, frame := range []string{
		"Chost\x004\x00\x19::1\x00", "Chost\x004\x00\x19::ffff:192.0.2.7\x00", "Chost\x006\x00\x19192.0.2.7\x00", "Chost\x004\x00\x19IPv6:::1\x00",
		"Chost\x006\x00\x19IPv6:\x00", "Chost\x006\x00\x19\x00", "Chost\x004\x00\x19192.0.2\x00", "Chost\x004\x00\x19" + strings.Repeat("1", 5000) + "\x00",
	} {
		p := serve(t, filter(new(notes).hooks(nil))).dial(t)
		p.offer()
		p.write(frame)
		p.closed()
	}
}
