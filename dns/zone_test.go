package dns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, text string) *Zone {
	t.Helper()
	z, err := ParseZone("test.zone", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestZoneAnswers(t *testing.T) {
	z, err := ReadZone("testdata/example.zone")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ ask, want string }{
		{"TXT example.com", "v=spf1 mx -all"},
		{"TXT Example.COM.", "v=spf1 mx -all"},
		{"TXT k._domainkey.example.com", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
		{"TXT escapes.example.com", "say \"hi\"; \\ A\xffr"},
		{"TXT several.example.com", "first, second third, fourth, "},
		{"TXT mail.example.com", "not found"},
		{"TXT nothing.example.com", "not found"},
		{"TXT alias.example.com", "v=spf1 mx -all"},
		{"TXT time.example.com", "answers"},
		{"TXT late.example.com", "temporary"},
		{"TXT broken.example.com", "temporary"},
		{"TXT alias-of-late.example.com", "temporary"},
		{"MX example.com", "10 b.example.com., 10 a.example.com., 20 mail.example.org."},
		{"MX null.example.com", "0 ."},
		{"MX odd.example.com", "10 ok.example.com."},
		{"MX allodd.example.com", "of no use"},
		{"IP mail.example.com", "192.0.2.1, 192.0.2.2, 2001:db8::1"},
		{"IP4 mail.example.com", "192.0.2.1, 192.0.2.2"},
		{"IP6 mail.example.com", "2001:db8::1"},
		{"IP6 outside", "not found"},
		{"IP 192.0.2.1", "not found"},
		{"IP outside", "192.0.2.99"},
		{"PTR 192.0.2.1", "mail.example.com., Other.example.com."},
		{"PTR ::ffff:192.0.2.1", "mail.example.com., Other.example.com."},
		{"PTR 2001:db8::1", "mail.example.com."},
		{"PTR 192.0.2.2", "of no use"},
		{"PTR 192.0.2.3", "mail.example.com."}, // RFC 2317
		{"PTR 192.0.2.4", "not found"},
		{"PTR mail.example.com", "not found"},
		{"NS example.com", "ns1.example.com., ns2.example.net."},
		{"NS mail.example.com", "not found"},
		{"CNAME alias.example.com", "example.com."},
		{"CNAME mail.example.com", "mail.example.com."},
		{"CNAME example.com", "not found"}, // as net.Resolver: without an address there is no host
		{"CNAME dangling.example.com", "nowhere.example.net."},
		{"CNAME nothing.example.com", "not found"},
		{"IP dangling.example.com", "not found"},
		{"TXT c0.example.com", "not found"},
		{"TXT c1.example.com", "at the end"}, // ten aliases
		{"TXT c2.example.com", "at the end"},
		{"TXT loop1.example.com", "temporary"},
		{"CNAME loop1.example.com", "temporary"},
		{"IP self.example.com", "temporary"},
		{"TXT d0.example.com", "temporary"}, // eleven
		{"TXT x.wild.example.com", "any"},
		{"TXT x.y.wild.example.com", "any"},
		{"TXT wild.example.com", "not found"},
		{"TXT there.wild.example.com", "not found"},
		{"TXT x.there.wild.example.com", "not found"},
		{"EXISTS example.com", "true"},
		{"EXISTS _domainkey.example.com", "true"}, // an empty non-terminal
		{"EXISTS com", "true"},
		{"EXISTS nothing.example.com", "false"},
		{"EXISTS alias.example.com", "true"},
		{"EXISTS dangling.example.com", "true"},
		{"EXISTS loop1.example.com", "true"},
		{"EXISTS late.example.com", "temporary"},
		{"EXISTS broken.example.com", "temporary"},
		{"EXISTS time.example.com", "true"},
		{"EXISTS x.wild.example.com", "true"},
		{"EXISTS x.there.wild.example.com", "false"},
		{"EXISTS ", "false"},
	} {
		if got := put(t.Context(), z, tt.ask); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.ask, got, tt.want)
		}
	}
}

func TestZoneFileErrors(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tt := range []struct{ name, in, want string }{
		{"name alone", "a.example\n", "1: nothing follows the name a.example; write NAME TYPE DATA"},
		{"name and TTL alone", "a.example 300 IN\n", "1: nothing follows the name a.example; write NAME TYPE DATA"},
		{"no name before", "\n\n  IN A 192.0.2.1", "3: no name at the beginning of the line, and none before it"},
		{"unknown type", "a SRV 0 0 25 b", `1: type "SRV" is none of A, AAAA, MX, TXT, PTR, NS, CNAME, TIMEOUT, SERVFAIL`},
		{"a class that is none", "a CH TXT x", `1: type "CH" is none of A, AAAA, MX, TXT, PTR, NS, CNAME, TIMEOUT, SERVFAIL`},
		{"no address", "; c\na A 192.0.2", `2: "192.0.2" is no address of type A`},
		{"address of the other type", "a A 2001:db8::1", `1: "2001:db8::1" is no address of type A`},
		{"address of the other type 6", "a AAAA 192.0.2.1", `1: "192.0.2.1" is no address of type AAAA`},
		{"scoped", "a AAAA fe80::1%eth0", `1: "fe80::1%eth0" is no address of type AAAA`},
		{"two addresses", "a A 192.0.2.1 192.0.2.2", "1: A needs one address"},
		{"no text", "a TXT", "1: TXT needs text"},
		{"no preference", "a MX mail.example", `1: MX needs a preference from 0 to 65535 before its host; "mail.example" is none`},
		{"preference too high", "a MX 65536 b", `1: MX needs a preference from 0 to 65535 before its host; "65536" is none`},
		{"MX of nothing", "a MX", "1: MX needs a preference and a host"},
		{"MX without host", "a MX 10", "1: MX needs one name"},
		{"PTR of two", "a PTR b c", "1: PTR needs one name"},
		{"long label", long + " A 192.0.2.1", `1: "` + long + `." is no name: labels are 1 to 63 bytes, all of it 253`},
		{"long label in data", "a NS " + long, `1: "` + long + `." is no name: labels are 1 to 63 bytes, all of it 253`},
		{"long name by origin", "$ORIGIN " + strings.Repeat("b.", 120) + "\n" + strings.Repeat("a", 20) + " A 192.0.2.1", `2: "` + strings.Repeat("a", 20) + "." + strings.Repeat("b.", 120) + `" is no name: labels are 1 to 63 bytes, all of it 253`},
		{"empty label", "a..b A 192.0.2.1", `1: "a..b." is no name: labels are 1 to 63 bytes, all of it 253`},
		{"empty name", `"" A 192.0.2.1`, "1: a name is empty"},
		{"dot in a label", `a\.b A 192.0.2.1`, `1: "a.b" is a name with dots and a backslash, which are not read together`},
		{"odd bytes in a name", `a\032b A 192.0.2.1`, `1: "a b." is no name: labels are 1 to 63 bytes, all of it 253`},
		{"the root", "@ A 192.0.2.1", `1: "." is no name: labels are 1 to 63 bytes, all of it 253`},
		{"quotes over a line", "a TXT \"b\nc\"", "1: the line ends inside quotes"},
		{"quotes to the end", "\na TXT \"b", "2: the file ends inside quotes"},
		{"parenthesis to the end", "a TXT (\n\"b\"\n", "1: the file ends inside parentheses"},
		{"parenthesis from nowhere", "a TXT b )", "1: a closing parenthesis without an opening one"},
		{"two digits", `a TXT "\12"`, `1: a backslash and digits: there must be three, as in \034`},
		{"no byte", `a TXT "\256"`, `1: \256 is no byte`},
		{"backslash at the end", "a TXT b\\\nc", "1: a backslash at the end of a line"},
		{"backslash and the end", `a TXT b\`, "1: a backslash at the end of a line"},
		{"digits and the end", `a TXT b\1`, `1: a backslash and digits: there must be three, as in \034`},
		{"unknown directive", "$INCLUDE x", `1: "$INCLUDE" is none of $ORIGIN, $TTL, $DELAY`},
		{"directive alone", "$ORIGIN", `1: "$ORIGIN" needs one word after it`},
		{"unknown directive for a terminal", "$\x1b[31m x", `1: "$\x1b[31M" is none of $ORIGIN, $TTL, $DELAY`},
		{"bad delay", "$DELAY 200", `1: "200" is no time to wait; write "200ms"`},
		{"negative delay", "$DELAY -1s", `1: "-1s" is no time to wait; write "200ms"`},
		{"bad TTL", "$TTL soon", `1: "soon" is no time to live`},
		{"alias and more", "b A 192.0.2.1\n\na TXT x\na CNAME b", "3: a has a CNAME record and others"},
		{"alias that fails", "a CNAME b\na TIMEOUT", "1: a has a CNAME record and others"},
		{"two aliases", "a CNAME b\na CNAME c", "2: a has two CNAME records"},
		{"alias of the root", "a CNAME .", "1: CNAME of the root"},
		{"fails in two ways", "a TIMEOUT\na SERVFAIL", "2: a has both TIMEOUT and SERVFAIL"},
		{"failure with data", "a TIMEOUT 10s", `1: "10s" follows TIMEOUT, which has no data`},
		{"line after parentheses", "a TXT (\nb\n)\nc X", `4: type "X" is none of A, AAAA, MX, TXT, PTR, NS, CNAME, TIMEOUT, SERVFAIL`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z, err := ParseZone("x.zone", strings.NewReader(tt.in))
			if want := "dns: x.zone:" + tt.want; err == nil || err.Error() != want || z != nil {
				t.Errorf("%q:\n got %v\nwant %s", tt.in, err, want)
			}
		})
	}
}

// endless is a file such as /dev/zero.
type endless string

func (e endless) Read(b []byte) (int, error) {
	for n := 0; n < len(b); n += len(e) {
		copy(b[n:], e)
	}
	return len(b), nil
}

func TestZoneFileWithoutEnd(t *testing.T) {
	for _, text := range []endless{"\x00", `"`, "(\n", "a\\b", "a ", " ", "\t"} {
		_, err := ParseZone("x", text)
		if err == nil || len(err.Error()) > 500 {
			t.Errorf("%q without end: %.1000v", text, err)
		}
	}
	if _, err := ParseZone("x", strings.NewReader("a TXT \""+strings.Repeat("b", 2<<20)+"\"")); err != nil {
		t.Errorf("2 MiB of text: %v", err)
	}
	if _, err := ParseZone("x", strings.NewReader(strings.Repeat("b", 1<<20)+" A 192.0.2.1")); err == nil || len(err.Error()) > 500 {
		t.Errorf("a name of 1 MiB: %.1000v", err)
	}
}

func TestZoneThatCannotBeRead(t *testing.T) {
	if _, err := ReadZone(filepath.Join(t.TempDir(), "none.zone")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	if _, err := ParseZone("x", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a A 192.0.2.1")))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error is %v", err)
	}
	if _, err := ParseZone("x", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(";comment")))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error is %v", err)
	}
}

func TestZoneTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zone(t, "$DELAY 200ms\na.example TXT x\nb.example TIMEOUT\n")
		for _, ask := range []string{"TXT a.example", "TXT b.example", "MX a.example", "NS a.example", "IP a.example", "CNAME a.example", "PTR 192.0.2.1", "EXISTS a.example"} {
			start := time.Now()
			put(t.Context(), z, ask)
			if took := time.Since(start); took != 200*time.Millisecond {
				t.Errorf("%s took %v", ask, took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			start = time.Now()
			if got := put(ctx, z, ask); got != "temporary" || time.Since(start) != 50*time.Millisecond {
				t.Errorf("%s with less time: %s after %v", ask, got, time.Since(start))
			}
			cancel()
		}
	})
}

// Nobody waits for a name that times out, and it is told as a timeout.
func TestZoneTimesOutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zone(t, "a.example TIMEOUT\n")
		start := time.Now()
		_, err := z.LookupTXT(t.Context(), "a.example")
		ne, ok := err.(interface{ Timeout() bool })
		if !ok || !ne.Timeout() || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// What is written as a master file has it is read as it was.
func TestZoneTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "text")
		var b strings.Builder
		b.WriteString("a.example 60 IN TXT (")
		for i, c := range text {
			if i%100 == 0 {
				if i > 0 {
					b.WriteString(`"`)
				}
				b.WriteString("\n \"")
			}
			switch {
			case c == '"' || c == '\\':
				b.Write([]byte{'\\', c})
			case c < ' ' || c >= 0x7f || rapid.IntRange(0, 9).Draw(t, "escape") == 0:
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		if len(text) == 0 {
			b.WriteString(`"`)
		}
		b.WriteString("\" ) ; comment \"\n")
		z, err := ParseZone("x", strings.NewReader(b.String()))
		if err != nil {
			t.Fatalf("%s: %v", b.String(), err)
		}
		if got, err := z.LookupTXT(context.Background(), "a.example"); err != nil || got[0] != string(text) {
			t.Fatalf("%q %v, want %q", got, err, text)
		}
	})
}

func FuzzZone(f *testing.F) {
	// Short ones: longer take the fuzzer a minute each to make smaller.
	f.Add("a.example 300 IN MX 10 b.example\n 1h TXT \"a\\\"\"", "a.example")
	f.Add("a TIMEOUT\nb SERVFAIL\nc NS @\n1.2.0.192.in-addr.arpa PTR \"x y\"\nd AAAA ::1", "192.0.2.1")
	f.Add("a.example CNAME b.example\nb.example CNAME a.example", "a.example")
	f.Add("$ORIGIN a\n*.b 1h IN TXT \"\\034\" (\n c ) ; x", "z.b.a")
	f.Fuzz(func(t *testing.T, text, name string) {
		z, err := ParseZone("x", strings.NewReader(text))
		if err != nil {
			if z != nil || !strings.HasPrefix(err.Error(), "dns: x:") {
				t.Errorf("%v", err)
			}
			return
		}
		z.delay = 0
		for name := range z.names {
			if canon, ok := canonical(name); !ok || canon != name {
				t.Errorf("holds %q", name)
			}
		}
		for _, kind := range []string{"TXT", "MX", "IP", "NS", "CNAME", "PTR", "EXISTS"} {
			put(t.Context(), z, kind+" "+name)
		}
		MailHosts(t.Context(), z, name)
	})
}
