package address

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestDynamic(t *testing.T) {
	const ip = "24.91.55.201"
	for _, tt := range []struct{ name, host, ip, want string }{
		{"DYN-01 address in brackets", "[1.2.3.4]", "1.2.3.4", "100: no-name +100"},
		{"DYN-01 IPv6 in brackets", "[IPv6:2001:db8::1]", "2001:db8::1", "100: no-name +100"},
		{"DYN-01 Postfix's word for no name", "unknown", ip, "100: no-name +100"},
		{"DYN-01 empty name of an address", "", ip, "100: no-name +100"},
		{"DYN-02 no address", "mail.example.com", "", "0"},
		{"DYN-02 neither address nor name", "", "", "0"},
		{"DYN-02 bettered: the name alone tells", "h00a0c9aabbcc.example.com", "", "60: mac +60"},
		{"DYN-03 address as text", "24.91.55.201.example.com", ip, "80: address-in-name +80"},
		{"DYN-04 ordinary name of an IPv6 address", "mail.example.com", "2001:db8::1", "0"},
		{"DYN-05 all octets", "cpe-24-91-55-201.example.com", ip, "130: address-in-name +80, word:cpe +50"},
		{"DYN-05 the last three octets", "x-91-55-201-x.example.com", ip, "60: three-octets +60"},
		{"DYN-05 the first three octets", "x-24-91-55-x.example.com", ip, "60: three-octets +60"},
		{"DYN-05 digits are not split", "x9112233.example.com", "10.9.223.3", "0"},
		{"DYN-06 last octet, then the first two", "n201-24-91.example.com", ip, "50: octets-4-1-2 +50"},
		{"DYN-07 the last two octets", "n55-201.example.com", ip, "30: two-octets +30"},
		{"DYN-07 a sender in the cloud", "a8-23.smtp-out.amazonses.com", "54.240.8.23", "0: two-octets +30, role:smtp -40"},
		{"DYN-08 reversed", "201.55.91.24.example.com", ip, "80: address-in-name +80"},
		{"DYN-08 three reversed", "x-201-55-91.example.com", ip, "60: three-octets +60"},
		{"DYN-09 two reversed", "n201-55.example.com", ip, "30: two-octets +30"},
		{"DYN-10 last octet in a pattern", "h12n3c1o1033.bredband.example.com", "10.9.8.12", "60: modem +60"},
		{"DYN-10 last octet in a hardware address", "h00a0c9aabbcc.ne.client2.attbi.com", "10.9.8.0", "85: mac +60, word:client +25"},
		{"DYN-10 last octet in another pattern", "pcp012345pcs.wilm.example.com", "10.9.8.12", "60: modem +60"},
		{"DYN-11 hardware address", "h00a0c9aabbcc.ne.client2.attbi.com", ip, "85: mac +60, word:client +25"},
		{"DYN-11 hardware address in pairs", "x-00-a0-c9-aa-bb-cc.example.com", ip, "60: mac +60"},
		{"DYN-11 twelve decimal digits", "o123456789012.example.com", ip, "0"},
		{"DYN-12 bredband", "h12n3c1o10.bredband.example.com", "213.64.201.155", "60: modem +60"},
		{"DYN-13 comcast", "pcp012345pcs.wilm.example.com", ip, "60: modem +60"},
		{"DYN-14 nobody set the name", "node.no-reverse.net", ip, "60: no-reverse +60"},
		{"DYN-14 others said otherwise", "reverse-not-set.example.com", ip, "60: no-reverse +60"},
		{"DYN-15 shaw", "S0106001122334455.vs.shawcable.net", ip, "60: modem +60"},
		{"DYN-16 user", "user201.example.com", ip, "55: last-octet +30, word:user +25"},
		{"DYN-17 customer", "Cust201.example.com", ip, "55: last-octet +30, word:cust +25"},
		{"DYN-17 customer in lower case", "cust201.example.com", ip, "55: last-octet +30, word:cust +25"},
		{"DYN-18 last octet alone", "201.example.com", ip, "40: first-label +40"},
		{"DYN-19 PPP", "pppoe201.example.com", ip, "80: last-octet +30, word:pppoe +50"},
		{"DYN-20 PPP and any number", "x-ppp7.example.com", ip, "50: word:ppp +50"},
		{"DYN-21 number and last octet", "9-201.example.com", ip, "30: last-octet +30"},
		{"DYN-22 hexadecimal digits and last octet", "a1-201.example.com", ip, "30: last-octet +30"},
		{"DYN-23 pool", "p201.pool.example.com", ip, "70: letter-octet +20, word:pool +50"},
		{"DYN-24 a letter and the last octet are little", "h201.example.com", ip, "20: letter-octet +20"},
		{"DYN-25 xdsl", "xdsl-9.example.com", ip, "50: word:xdsl +50"},
		{"DYN-26 two numbers are little", "x-9-8.example.com", ip, "15: number-pair +15"},
		{"DYN-26 wiley", "wiley-268-8196.roadrunner.nf.net", ip, "15: number-pair +15"},
		{"DYN-26 no digits", "out--1.example.com", ip, "0"},
		{"DYN-27 label of access", "x.adsl.example.com", ip, "50: word:adsl +50"},
		{"DYN-27 another", "x.cable.example.com", ip, "50: word:cable +50"},
		{"DYN-27 more words", "a.dhcp.pool.example.com", ip, "100: word:dhcp +50, word:pool +50"},
		{"DYN-27 words of customers", "a.res-client.example.com", ip, "30: word:res +15, word:client +15"},
		{"DYN-27 mail server of such a provider", "smtp.adsl.example.com", ip, "10: word:adsl +50, role:smtp -40"},
		{"DYN-27 name of the owner", "www.cable.com", ip, "0"},
		{"DYN-28 the first three octets joined", "a249155x.example.com", ip, "50: joined-octets +50"},
		{"DYN-28 the last three octets joined", "a9155201.example.com", ip, "50: joined-octets +50"},
		{"DYN-28 all octets joined", "a249155201.example.com", ip, "80: address-in-name +80"},
		{"DYN-28 few digits joined", "a1234.example.com", "1.2.3.4", "0"},
		{"padded octets joined", "a024091055201.example.com", ip, "80: address-in-name +80"},
		{"the address as one number", "a408631241.example.com", ip, "80: address-in-name +80"},
		{"DYN-29 hexadecimal", "185b37c9.example.com", ip, "80: address-in-name +80"},
		{"DYN-29 hexadecimal capitals", "185B37C9.example.com", ip, "80: address-in-name +80"},
		{"DYN-29 Deutsche Telekom", "p50863492.dip0.t-ipconnect.de", "80.134.52.146", "130: address-in-name +80, word:dip +50"},
		{"DYN-30 number of a host", "post3.fabulousdealz.com", "69.60.99.112", "0"},
		{"DYN-30 mail server with the last octet", "mail201.example.com", ip, "0"},
		{"DYN-30 localhost", "localhost", ip, "0"},
		{"DYN-30 Google", "mail-ed1-f45.google.com", ip, "0"},
		{"DYN-30 Google with its address", "mail-ed1-f45.google.com", "209.85.208.45", "0"},
		{"DYN-30 a miss of old", "cbl-sd-02-79.aster.com.do", "200.88.62.79", "60: last-octet +30, word:cbl +30"},
		{"DYN-31 Ameritech", "adsl-69-208-201-177.dsl.emhril.ameritech.net", "69.208.201.177", "180: address-in-name +80, word:adsl +50, word:dsl +50"},
		{"DYN-31 Comcast", "c-71-63-151-151.hsd1.mn.comcast.net", "71.63.151.151", "80: address-in-name +80"},
		{"DYN-31 post3", "post3.fabulousdealz.com", "69.60.99.112", "0"},
		{"mail server with its address", "mta-69-60-99-112.example.com", "69.60.99.112", "40: address-in-name +80, role:mta -40"},
		{"static address", "static-69-60-99-112.example.com", "69.60.99.112", "40: address-in-name +80, role:static -40"},
		{"mapped address", "24-91-55-201.example.com", "::ffff:24.91.55.201", "80: address-in-name +80"},
		{"dot at the end", "24-91-55-201.example.com.", ip, "80: address-in-name +80"},
		{"another's address", "24-91-55-201.example.com", "192.0.2.7", "15: number-pair +15"},
		{"name under arpa", "201.55.91.24.in-addr.arpa", ip, "160: arpa-name +80, address-in-name +80"},

		{"DYN-04 nibbles", "20010db8000000000211d8fffe7d1234.example.com", "2001:db8::211:d8ff:fe7d:1234", "80: address-in-name +80"},
		{"DYN-04 padded groups", "x-2001-0db8-0000-0000-0211-d8ff-fe7d-1234.example.com", "2001:db8::211:d8ff:fe7d:1234", "80: address-in-name +80"},
		{"DYN-04 groups", "2001-db8-0-0-211-d8ff-fe7d-1234.example.com", "2001:db8::211:d8ff:fe7d:1234", "80: address-in-name +80"},
		{"DYN-04 compressed groups", "2001-db8--211-d8ff-fe7d-1234.dyn.example.com", "2001:db8::211:d8ff:fe7d:1234", "130: address-in-name +80, word:dyn +50"},
		{"DYN-04 reversed nibbles", "4.3.2.1.d.7.e.f.f.f.8.d.1.1.2.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.rev.example.com", "2001:db8::211:d8ff:fe7d:1234", "80: address-in-name +80"},
		{"DYN-04 ip6.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1", "160: arpa-name +80, address-in-name +80"},
		{"DYN-04 EUI-64", "00-11-d8-7d-12-34.example.com", "2001:db8::211:d8ff:fe7d:1234", "120: interface-in-name +60, mac +60"},
		{"DYN-04 the lower half", "0211d8fffe7d1234.example.com", "2001:db8::211:d8ff:fe7d:1234", "60: interface-in-name +60"},
		{"DYN-04 groups of the lower half", "x-211-d8ff-fe7d-1234.example.com", "2001:db8::211:d8ff:fe7d:1234", "60: interface-in-name +60"},
		{"DYN-04 the upper half", "2001-db8-17-2.example.com", "2001:db8:17:2::1", "40: prefix-in-name +40"},
		{"DYN-04 words", "x.ftth.example.com", "2001:db8::1", "50: word:ftth +50"},
		{"DYN-04 a small number is no sign", "mail1.example.com", "2001:db8::1", "0"},
		{"DYN-04 mail server with its address", "mail-2001-db8--1.example.com", "2001:db8::1", "40: address-in-name +80, role:mail -40"},
		{"DYN-04 another's address", "2001-db8--12.example.com", "2001:db8::1", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a netip.Addr
			if tt.ip != "" {
				a = netip.MustParseAddr(tt.ip)
			}
			s := Dynamic(tt.host, a)
			if got := s.String(); got != tt.want {
				t.Errorf("Dynamic(%q, %s) = %s, want %s", tt.host, tt.ip, got, tt.want)
			}
			if s.Likely() != (s.Points >= DynamicThreshold) {
				t.Errorf("%v: likely %v", s, s.Likely())
			}
		})
	}
}

// Names that the heuristic of old took for dynamic, and ordinary names.
func TestDynamicLeavesMailServersAlone(t *testing.T) {
	for _, tt := range []struct{ host, ip string }{
		{"a8-23.smtp-out.amazonses.com", "54.240.8.23"},
		{"mail-ed1-f45.google.com", "209.85.208.45"},
		{"mail-am6eur05on2045.outbound.protection.outlook.com", "40.107.22.45"},
		{"mail128-17.atl41.mandrillapp.com", "198.2.128.17"},
		{"m199-60.mailgun.net", "159.135.199.60"},
		{"o1.ptr1234.sendgrid.example.com", "192.0.2.1"},
		{"post3.fabulousdealz.com", "69.60.99.112"},
		{"mail201.example.com", "24.91.55.201"},
		{"mx.example.com", "2001:db8::25"},
		{"out--1.example.com", "192.0.2.1"},
		{"mx2.dc3.example.com", "10.1.2.3"},
		{"h201.example.com", "24.91.55.201"},
		{"localhost", "127.0.0.1"},
		{"lists.debian.org", "82.195.75.100"},
	} {
		if s := Dynamic(tt.host, netip.MustParseAddr(tt.ip)); s.Likely() {
			t.Errorf("Dynamic(%q, %s) = %v", tt.host, tt.ip, s)
		}
	}
}

func FuzzDynamic(f *testing.F) {
	v4, v6 := netip.MustParseAddr("24.91.55.201"), netip.MustParseAddr("2001:db8::211:d8ff:fe7d:1234")
	for _, s := range []string{"", ".", "[", "24-91-55-201.example.com", "h12n3c1o1033.x", "s0106001122334455.vs.x", "x-999999999999999999999", "2001-db8--211-d8ff-fe7d-1234.x.y", "\xff\x00", "ppp.ppp.ppp", "user201", "unknown"} {
		f.Add(s, v4.AsSlice())
		f.Add(s, v6.AsSlice())
	}
	f.Fuzz(func(t *testing.T, host string, ip []byte) {
		a, _ := netip.AddrFromSlice(ip)
		s := Dynamic(host, a)
		sum := 0
		for i, r := range s.Reasons {
			if sum += r.Points; r.Points == 0 || r.Rule == "" || r.Points < 0 && i == 0 {
				t.Errorf("Dynamic(%q, %v) = %v", host, a, s)
			}
		}
		if s.Points != max(0, sum) || s.Points > 400 || len(s.Reasons) > 7 {
			t.Errorf("Dynamic(%q, %v) = %v", host, a, s)
		}
		if upper := Dynamic(strings.ToUpper(host), a); isASCIIName(host) && upper.String() != s.String() {
			t.Errorf("Dynamic(%q, %v) = %v, in capitals %v", host, a, s, upper)
		}
		// An address in its own name is found, whatever stands around it.
		if a = a.Unmap(); a.Is4() && len(host) < 200 && !strings.HasPrefix(host, "[") {
			name := strings.ReplaceAll(a.String(), ".", "-") + "." + host + ".example.com"
			if s := Dynamic(name, a); len(s.Reasons) == 0 {
				t.Errorf("Dynamic(%q, %v) = %v", name, a, s)
			}
		}
	})
}

func BenchmarkDynamic(b *testing.B) {
	for _, tt := range []struct{ name, host, ip string }{
		{"generated", "adsl-69-208-201-177.dsl.emhril.ameritech.net", "69.208.201.177"},
		{"ordinary", "mx1.mail.example.com", "69.60.99.112"},
		{"IPv6", "mx1.mail.example.com", "2001:db8::25"},
		{"longest", strings.Repeat("a-1.", 63) + "b", "69.60.99.112"},
	} {
		a := netip.MustParseAddr(tt.ip)
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Dynamic(tt.host, a)
			}
		})
	}
}

func ExampleDynamic() {
	ip := netip.MustParseAddr("71.63.151.151")
	fmt.Println(Dynamic("c-71-63-151-151.hsd1.mn.comcast.net", ip))
	fmt.Println(Dynamic("mail.example.com", ip))
	// Output:
	// 80: address-in-name +80
	// 0
}

func ExampleReason() {
	fmt.Println(Reason{Rule: "mac", Points: 60})
	// Output: mac +60
}

func ExampleReason_String() {
	fmt.Println(Reason{Rule: "role:smtp", Points: -40}.String())
	// Output: role:smtp -40
}

func ExampleScore() {
	s := Dynamic("p201.pool.example.com", netip.MustParseAddr("24.91.55.201"))
	for _, r := range s.Reasons {
		fmt.Println(r.Rule, r.Points)
	}
	// Output:
	// letter-octet 20
	// word:pool 50
}

func ExampleScore_Likely() {
	s := Dynamic("a8-23.smtp-out.amazonses.com", netip.MustParseAddr("54.240.8.23"))
	fmt.Println(s.Likely(), s.Points >= DynamicThreshold)
	// Output: false false
}

func ExampleScore_String() {
	fmt.Println(Dynamic("smtp.adsl.example.com", netip.MustParseAddr("192.0.2.1")).String())
	// Output: 10: word:adsl +50, role:smtp -40
}
