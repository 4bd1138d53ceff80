package wire

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestOneString(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		err            error
	}{
		{"name", "c.example.net\x00", "c.example.net", nil},
		{"empty string", "\x00", "", nil},
		{"eight-bit bytes pass", "\xff\xfe\x00", "\xff\xfe", nil},
		{"no payload", "", "", ErrEmptyPayload},
		{"no NUL", "c.example.net", "", ErrUnterminated},
		{"bytes behind the NUL", "a\x00b", "", ErrTrailingBytes},
		{"second string", "a\x00b\x00", "", ErrTrailingBytes},
		{"second NUL", "a\x00\x00", "", ErrTrailingBytes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := OneString([]byte(tt.in))
			if string(got) != tt.want || err != tt.err {
				t.Errorf("OneString(%q) = %q, %v, want %q, %v", tt.in, got, err, tt.want, tt.err)
			}
			if err == nil && string(AppendString(nil, got)) != tt.in {
				t.Errorf("AppendString(%q) = %q, want %q", got, AppendString(nil, got), tt.in)
			}
		})
	}
}

func TestCutString(t *testing.T) {
	for _, tt := range []struct {
		name, in, want, rest string
		err                  error
	}{
		{"nothing behind", "a\x00", "a", "", nil},
		{"stops at the first NUL", "a\x00b\x00c", "a", "b\x00c", nil},
		{"empty first string", "\x00b", "", "b", nil},
		{"no bytes", "", "", "", ErrEmptyPayload},
		{"no NUL", "a", "", "", ErrUnterminated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, rest, err := CutString([]byte(tt.in))
			if string(got) != tt.want || string(rest) != tt.rest || err != tt.err {
				t.Errorf("CutString(%q) = %q, %q, %v, want %q, %q, %v", tt.in, got, rest, err, tt.want, tt.rest, tt.err)
			}
		})
	}
}

// collect keeps what a walk yields.
func collect(p []byte) (out []string) {
	for s := range Strings(p) {
		out = append(out, string(s))
	}
	return out
}

func TestEnvelope(t *testing.T) {
	for _, tt := range []struct {
		name, in, addr string
		params         []string
		err            error
	}{
		{"address in brackets", "<s@example.net>\x00", "<s@example.net>", nil, nil},
		{"address without brackets", "s@example.net\x00", "s@example.net", nil, nil},
		{"null sender in brackets", "<>\x00", "<>", nil, nil},
		{"null sender as Postfix writes it for local mail", "\x00", "", nil, nil},
		{"parameters", "<s@example.net>\x00SIZE=100\x00BODY=8BITMIME\x00", "<s@example.net>", []string{"SIZE=100", "BODY=8BITMIME"}, nil},
		{"last parameter without NUL", "<s@example.net>\x00SIZE=100\x00BODY", "<s@example.net>", []string{"SIZE=100", "BODY"}, nil},
		{"empty parameter", "<a>\x00\x00X\x00", "<a>", []string{"", "X"}, nil},
		{"arguments of ADDRCPT_PAR in one string", "<x@y>\x00NOTIFY=NEVER ORCPT=rfc822;x\x00", "<x@y>", []string{"NOTIFY=NEVER ORCPT=rfc822;x"}, nil},
		{"address and parameters in one string, Sendmail before 8.17.2", "<s@example.net> SIZE=100\x00", "<s@example.net> SIZE=100", nil, nil},
		{"no payload", "", "", nil, ErrEmptyPayload},
		{"no NUL at all", "<s@example.net>", "", nil, ErrUnterminated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr, params, err := Envelope([]byte(tt.in))
			if string(addr) != tt.addr || err != tt.err || !reflect.DeepEqual(collect(params), tt.params) {
				t.Errorf("Envelope(%q) = %q, %q, %v, want %q, %q, %v", tt.in, addr, collect(params), err, tt.addr, tt.params, tt.err)
			}
		})
	}
}

func TestStrings(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"none", "", nil},
		{"one", "a\x00", []string{"a"}},
		{"several", "a\x00bc\x00", []string{"a", "bc"}},
		{"empty ones", "\x00\x00", []string{"", ""}},
		{"last without NUL", "a\x00b", []string{"a", "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seq := Strings([]byte(tt.in))
			for range 2 { // a walk may be repeated
				var got []string
				for s := range seq {
					got = append(got, string(s))
				}
				if !reflect.DeepEqual(got, tt.want) {
					t.Errorf("Strings(%q) yields %q, want %q", tt.in, got, tt.want)
				}
			}
		})
	}
	t.Run("stops when told", func(t *testing.T) {
		for s := range Strings([]byte("a\x00b\x00")) {
			if string(s) != "a" {
				t.Errorf("walk goes on to %q", s)
			}
			break
		}
	})
}

func TestHeader(t *testing.T) {
	for _, tt := range []struct {
		name, in, field, value string
		err                    error
	}{
		{"name and value", "From\x00s@example.net\x00", "From", "s@example.net", nil},
		{"empty value", "X\x00\x00", "X", "", nil},
		{"folded value keeps LF", "Subject\x00hi\n there\x00", "Subject", "hi\n there", nil},
		{"leading space is kept", "Subject\x00 hi \x00", "Subject", " hi ", nil},
		{"eight-bit value", "X\x00\xe4\x00", "X", "\xe4", nil},
		{"no payload", "", "", "", ErrEmptyPayload},
		{"no NUL", "From", "", "", ErrUnterminated},
		{"only one string", "From\x00", "", "", ErrTooShort},
		{"value without NUL", "From\x00s@example.net", "From", "", ErrUnterminated},
		{"empty name", "\x00value\x00", "", "", ErrEmptyName},
		{"nothing but a NUL", "\x00", "", "", ErrEmptyName},
		{"bytes behind the value", "From\x00a\x00b", "From", "", ErrTrailingBytes},
		{"NUL in the value", "From\x00a\x00b\x00", "From", "", ErrTrailingBytes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, value, err := Header([]byte(tt.in))
			if err != tt.err || err == nil && (string(name) != tt.field || string(value) != tt.value) {
				t.Errorf("Header(%q) = %q, %q, %v, want %q, %q, %v", tt.in, name, value, err, tt.field, tt.value, tt.err)
			}
			if err == nil && string(AppendHeader(nil, name, value)) != tt.in {
				t.Errorf("AppendHeader(%q, %q) = %q, want %q", name, value, AppendHeader(nil, name, value), tt.in)
			}
			index, name, value, err := IndexedHeader([]byte("\x80\x00\x00\x07" + tt.in))
			if err != tt.err || err == nil && (index != 0x80000007 || string(name) != tt.field || string(value) != tt.value) {
				t.Errorf("IndexedHeader(0x80000007 %q) = %#x, %q, %q, %v, want %q, %q, %v", tt.in, index, name, value, err, tt.field, tt.value, tt.err)
			}
			if err == nil && string(AppendIndexedHeader(nil, index, name, value)) != "\x80\x00\x00\x07"+tt.in {
				t.Errorf("AppendIndexedHeader(%#x, %q, %q) = %q", index, name, value, AppendIndexedHeader(nil, index, name, value))
			}
		})
	}
}

func TestIndexedHeaderCutInTheIndex(t *testing.T) {
	for _, in := range []string{"", "\x00", "\x00\x00\x01"} {
		if _, _, _, err := IndexedHeader([]byte(in)); err != ErrTooShort {
			t.Errorf("IndexedHeader(%q) error = %v, want %v", in, err, ErrTooShort)
		}
	}
}

func TestMacros(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		cmd      byte
		want     string // name=value;
		err      error
	}{
		{"pairs", "Cj\x00mx.example.org\x00{daemon_name}\x00MTA\x00", CmdConnect, "j=mx.example.org;{daemon_name}=MTA;", nil},
		{"no pairs", "H", CmdHelo, "", nil},
		{"empty value", "M{mail_addr}\x00\x00i\x00Q1\x00", CmdMail, "{mail_addr}=;i=Q1;", nil},
		{"empty last value", "R{rcpt_host}\x00\x00", CmdRcpt, "{rcpt_host}=;", nil},
		{"last name without a value", "Ri\x00Q1\x00{rcpt_host}\x00", CmdRcpt, "i=Q1;{rcpt_host}=;", nil},
		{"last name without a NUL", "Ri\x00Q1\x00{rcpt_host}", CmdRcpt, "i=Q1;{rcpt_host}=;", nil},
		{"last value without a NUL", "Ri\x00Q1", CmdRcpt, "i=Q1;", nil},
		{"empty name", "R\x00x\x00", CmdRcpt, "=x;", nil},
		{"one NUL", "R\x00", CmdRcpt, "=;", nil},
		{"stage of Postfix that libmilter ignores", "Li\x00Q1\x00", CmdHeader, "i=Q1;", nil},
		{"stage that is no command", "!i\x00Q1\x00", '!', "i=Q1;", nil},
		{"same name twice", "Ci\x001\x00i\x002\x00", CmdConnect, "i=1;i=2;", nil},
		{"no payload", "", 0, "", ErrEmptyPayload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, pairs, err := Macros([]byte(tt.in))
			seq := Pairs(pairs)
			for range 2 { // a walk may be repeated
				got := ""
				for name, value := range seq {
					got += fmt.Sprintf("%s=%s;", name, value)
				}
				if cmd != tt.cmd || got != tt.want || err != tt.err {
					t.Errorf("Macros(%q) = %q, %q, %v, want %q, %q, %v", tt.in, cmd, got, err, tt.cmd, tt.want, tt.err)
				}
			}
		})
	}
	t.Run("walk stops when told", func(t *testing.T) {
		for name := range Pairs([]byte("a\x00b\x00c\x00d\x00")) {
			if string(name) != "a" {
				t.Errorf("walk goes on to %q", name)
			}
			break
		}
	})
}

func TestConnect(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Connection
		err      error
	}{
		{"IPv4", "[127.0.0.1]\x004\xc8\xbe127.0.0.1\x00", Connection{[]byte("[127.0.0.1]"), FamilyInet, 51390, []byte("127.0.0.1")}, nil},
		{"IPv6", "mx\x006\x00\x19::1\x00", Connection{[]byte("mx"), FamilyInet6, 25, []byte("::1")}, nil},
		{"path", "localhost\x00L\x00\x00/run/s\x00", Connection{[]byte("localhost"), FamilyUnix, 0, []byte("/run/s")}, nil},
		{"unknown family", "localhost\x00U", Connection{Host: []byte("localhost"), Family: FamilyUnknown}, nil},
		{"bytes behind an unknown family", "localhost\x00U\x00\x19::1\x00", Connection{Host: []byte("localhost"), Family: FamilyUnknown}, nil},
		{"port unknown", "mx\x004\x00\x001.2.3.4\x00", Connection{[]byte("mx"), FamilyInet, 0, []byte("1.2.3.4")}, nil},
		{"empty host", "\x004\x00\x191.2.3.4\x00", Connection{[]byte{}, FamilyInet, 25, []byte("1.2.3.4")}, nil},
		{"empty address", "mx\x004\x00\x19\x00", Connection{[]byte("mx"), FamilyInet, 25, []byte{}}, nil},
		{"bytes behind the address", "mx\x004\x00\x191.2.3.4\x00junk", Connection{[]byte("mx"), FamilyInet, 25, []byte("1.2.3.4")}, nil},
		{"no payload", "", Connection{}, ErrEmptyPayload},
		{"host without NUL", "localhost", Connection{}, ErrUnterminated},
		{"no family", "localhost\x00", Connection{}, ErrTooShort},
		{"no port", "localhost\x004", Connection{}, ErrTooShort},
		{"cut in the port", "localhost\x004\x00", Connection{}, ErrTooShort},
		{"no address", "localhost\x004\x00\x19", Connection{}, ErrTooShort},
		{"address without NUL", "localhost\x004\x00\x191.2.3.4", Connection{}, ErrUnterminated},
		{"family nobody defined", "localhost\x00X\x00\x191.2.3.4\x00", Connection{}, ErrBadFamily},
		{"family in lower case", "localhost\x00u", Connection{}, ErrBadFamily},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Connect([]byte(tt.in))
			if err != tt.err || err == nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Connect(%q) = %+v, %v, want %+v, %v", tt.in, got, err, tt.want, tt.err)
			}
			if err == nil && !strings.HasPrefix(tt.in, string(AppendConnect(nil, got))) {
				t.Errorf("AppendConnect(%+v) = %q, want the start of %q", got, AppendConnect(nil, got), tt.in)
			}
		})
	}
}

func TestConnectionAddr(t *testing.T) {
	for _, tt := range []struct {
		name   string
		family Family
		text   string
		want   string // "" for ErrBadAddress
	}{
		{"IPv4", FamilyInet, "192.0.2.1", "192.0.2.1"},
		{"IPv6 as Postfix writes it", FamilyInet6, "2001:db8::1", "2001:db8::1"},
		{"IPv6 as Sendmail writes it", FamilyInet6, "IPv6:0:0:0:0:0:0:0:1", "::1"},
		{"tag in lower case", FamilyInet6, "ipv6:2001:db8::1", "2001:db8::1"},
		{"tag in upper case", FamilyInet6, "IPV6:2001:db8::1", "2001:db8::1"},
		{"tag before a leading double colon", FamilyInet6, "IPv6:::1", "::1"},
		{"uncompressed", FamilyInet6, "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
		{"upper case digits", FamilyInet6, "2001:DB8::A", "2001:db8::a"},
		{"mapped IPv4 comes out as IPv4", FamilyInet6, "::ffff:192.0.2.1", "192.0.2.1"},
		{"mapped IPv4 behind the tag", FamilyInet6, "IPv6:::ffff:192.0.2.1", "192.0.2.1"},
		{"mapped IPv4, uncompressed", FamilyInet6, "IPv6:0:0:0:0:0:ffff:c000:201", "192.0.2.1"},
		{"zone", FamilyInet6, "fe80::1%eth0", "fe80::1%eth0"},
		{"zone behind the tag", FamilyInet6, "IPv6:fe80::1%eth0", "fe80::1%eth0"},
		{"longest spelling", FamilyInet6, "IPv6:0000:0000:0000:0000:0000:0000:255.255.255.255", "::ffff:ffff"},

		{"empty", FamilyInet, "", ""},
		{"empty IPv6", FamilyInet6, "", ""},
		{"tag alone", FamilyInet6, "IPv6:", ""},
		{"tag twice", FamilyInet6, "IPv6:IPv6:::1", ""},
		{"tag before IPv4", FamilyInet, "IPv6:192.0.2.1", ""},
		{"tag before an IPv4 address of family 6", FamilyInet6, "IPv6:192.0.2.1", ""},
		{"IPv6 of family 4", FamilyInet, "::1", ""},
		{"mapped IPv4 of family 4", FamilyInet, "::ffff:192.0.2.1", ""},
		{"IPv4 of family 6", FamilyInet6, "192.0.2.1", ""},
		{"brackets", FamilyInet6, "[::1]", ""},
		{"three octets", FamilyInet, "192.0.2", ""},
		{"leading zero", FamilyInet, "192.0.2.01", ""},
		{"blank behind", FamilyInet, "192.0.2.1 ", ""},
		{"zone without end", FamilyInet6, "fe80::1%" + strings.Repeat("x", 1000), ""},
		{"path", FamilyUnix, "/run/s", ""},
		{"path that reads like IPv6", FamilyUnix, "::1", ""},
		{"unknown family", FamilyUnknown, "", ""},
		{"unknown family with an address", FamilyUnknown, "::1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Connection{Family: tt.family, Address: []byte(tt.text)}.Addr()
			if tt.want == "" {
				if err != ErrBadAddress || got.IsValid() {
					t.Errorf("Addr of %c %q = %v, %v, want %v", tt.family, tt.text, got, err, ErrBadAddress)
				}
			} else if err != nil || got != netip.MustParseAddr(tt.want) {
				t.Errorf("Addr of %c %q = %v, %v, want %v", tt.family, tt.text, got, err, tt.want)
			}
		})
	}
}

func TestAppendConnect(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Connection
		want string
	}{
		{"IPv4", Connection{[]byte("mx"), FamilyInet, 51390, []byte("127.0.0.1")}, "mx\x004\xc8\xbe127.0.0.1\x00"},
		{"path", Connection{[]byte("mx"), FamilyUnix, 0, []byte("/s")}, "mx\x00L\x00\x00/s\x00"},
		{"unknown family has no address", Connection{[]byte("mx"), FamilyUnknown, 25, []byte("::1")}, "mx\x00U"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := AppendConnect([]byte("head"), tt.in); string(got) != "head"+tt.want {
				t.Errorf("AppendConnect(head, %+v) = %q, want %q", tt.in, got, "head"+tt.want)
			}
		})
	}
}

func TestEncodersTakeStringsAndBytes(t *testing.T) {
	if a, b := AppendString(nil, "x"), AppendString(nil, []byte("x")); !bytes.Equal(a, b) {
		t.Errorf("AppendString: %q from a string, %q from bytes", a, b)
	}
	if a, b := AppendHeader(nil, "x", "y"), AppendHeader(nil, []byte("x"), []byte("y")); !bytes.Equal(a, b) {
		t.Errorf("AppendHeader: %q from strings, %q from bytes", a, b)
	}
	if a, b := AppendIndexedHeader(nil, 1, "x", "y"), AppendIndexedHeader(nil, 1, []byte("x"), []byte("y")); !bytes.Equal(a, b) {
		t.Errorf("AppendIndexedHeader: %q from strings, %q from bytes", a, b)
	}
	if a, b := AppendFrame(nil, 'H', "x"), AppendFrame(nil, 'H', []byte("x")); !bytes.Equal(a, b) {
		t.Errorf("AppendFrame: %q from a string, %q from bytes", a, b)
	}
}

func FuzzOneString(f *testing.F) {
	for _, s := range []string{"", "\x00", "c.example.net\x00", "a\x00b", "a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := OneString(in); err == nil && !bytes.Equal(AppendString(nil, s), in) {
			t.Errorf("OneString(%q) = %q does not encode back", in, s)
		}
		s, rest, err := CutString(in)
		if err == nil && !bytes.Equal(append(AppendString(nil, s), rest...), in) {
			t.Errorf("CutString(%q) = %q, %q does not join again", in, s, rest)
		}
		if err != nil && bytes.IndexByte(in, 0) >= 0 {
			t.Errorf("CutString(%q) error = %v, though it has a NUL", in, err)
		}
	})
}

// unended reports whether b is a and at most n NULs more.
func unended(a, b []byte, n int) bool {
	tail, ok := bytes.CutPrefix(b, a)
	return ok && len(tail) <= n && bytes.Count(tail, nul) == len(tail)
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{"", "\x00", "<s@example.net>\x00", "<s@example.net>\x00SIZE=100\x00BODY=8BITMIME\x00", "<a>\x00X", "<a>\x00\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		addr, params, err := Envelope(in)
		if err != nil {
			return
		}
		out := AppendString(nil, addr)
		for s := range Strings(params) {
			out = AppendString(out, s)
		}
		if !unended(in, out, 1) {
			t.Errorf("%q does not encode back: %q", in, out)
		}
	})
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"", "\x00", "From\x00s@example.net\x00", "X\x00\x00", "\x00x\x00", "X\x00y", "X\x00y\x00z\x00", "\x00\x00\x00\x01Subject\x00new\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if name, value, err := Header(in); err == nil && !bytes.Equal(AppendHeader(nil, name, value), in) {
			t.Errorf("Header(%q) = %q, %q does not encode back", in, name, value)
		}
		if index, name, value, err := IndexedHeader(in); err == nil && !bytes.Equal(AppendIndexedHeader(nil, index, name, value), in) {
			t.Errorf("IndexedHeader(%q) = %d, %q, %q does not encode back", in, index, name, value)
		}
	})
}

func FuzzMacros(f *testing.F) {
	for _, s := range []string{"", "H", "Cj\x00mx.example.org\x00", "M{mail_addr}\x00\x00", "Ri\x00", "Ri", "R\x00", "Ri\x00Q1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		cmd, pairs, err := Macros(in)
		if err != nil {
			return
		}
		out := []byte{cmd}
		for name, value := range Pairs(pairs) {
			out = AppendString(AppendString(out, name), value)
		}
		if !unended(in, out, 2) {
			t.Errorf("%q does not encode back: %q", in, out)
		}
	})
}

func FuzzConnect(f *testing.F) {
	for _, s := range []string{"", "localhost\x00", "localhost\x00U", "localhost\x00U\x00\x19", "mx\x004\xc8\xbe127.0.0.1\x00", "mx\x006\x00\x19IPv6:::ffff:1.2.3.4\x00",
		"mx\x006\x00\x19fe80::1%eth0\x00junk", "mx\x00L\x00\x00/run/s\x00", "mx\x00X", "mx\x004\x00\x19", "mx\x00L\x00\x00::1\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := Connect(in)
		if err != nil {
			return
		}
		out := AppendConnect(nil, c)
		if !bytes.HasPrefix(in, out) {
			t.Errorf("%q does not encode back: %q", in, out)
		}
		if again, err := Connect(out); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%q decodes to %+v, then to %+v, %v", in, c, again, err)
		}
		a, err := c.Addr()
		switch {
		case err != nil && (!errors.Is(err, ErrBadAddress) || a.IsValid()):
			t.Errorf("Addr of %q = %v, %v, want %v alone", c.Address, a, err, ErrBadAddress)
		case err == nil && (!a.IsValid() || a.Is4In6() || a.Is6() && c.Family != FamilyInet6 || c.Family != FamilyInet && c.Family != FamilyInet6):
			t.Errorf("Addr of %c %q = %v", c.Family, c.Address, a)
		}
	})
}
