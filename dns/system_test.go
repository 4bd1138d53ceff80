package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

func mock(t *testing.T, zones map[string]mockdns.Zone) *System {
	t.Helper()
	srv, err := mockdns.NewServerWithLogger(zones, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	s, err := NewSystem(srv.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var mockZones = map[string]mockdns.Zone{
	"example.com.": {
		A: []string{"192.0.2.1"}, AAAA: []string{"2001:db8::1"}, TXT: []string{"v=spf1 -all", strings.Repeat("long", 200)},
		MX: []net.MX{{Host: "b.example.com.", Pref: 20}, {Host: "a.example.com.", Pref: 10}}, NS: []net.NS{{Host: "ns.example.com."}},
	},
	"null.example.com.":         {MX: []net.MX{{Host: ".", Pref: 0}}},
	"odd.example.com.":          {MX: []net.MX{{Host: "a b.example.com.", Pref: 10}, {Host: "ok.example.com.", Pref: 20}}},
	"allodd.example.com.":       {MX: []net.MX{{Host: "a b.example.com.", Pref: 10}}, NS: []net.NS{{Host: "a b.example.com."}}},
	"_dmarc.example.com.":       {TXT: []string{"v=DMARC1; p=reject"}},
	"broken.example.com.":       {Err: errors.New("broken")},
	"alias.example.com.":        {CNAME: "example.com."},
	"1.2.0.192.in-addr.arpa.":   {PTR: []string{"example.com.", "bad name.example.com."}},
	"2.2.0.192.in-addr.arpa.":   {PTR: []string{"bad name.example.com."}},
	"underscore_.example.com.":  {A: []string{"192.0.2.9"}},
	"user+tag.example.com.":     {A: []string{"127.0.0.2"}, AAAA: []string{"2001:db8::2"}, TXT: []string{"v=spf1 +all"}},
	"[192.0.2.1].example.com.":  {A: []string{"127.0.0.3"}, TXT: []string{"x"}},
	"-a-.example.com.":          {Err: errors.New("broken")},
	"only.below.example.com.":   {A: []string{"192.0.2.8"}},
	"localhost.":                {A: []string{"192.0.2.66"}},
	"search.example.com.local.": {A: []string{"192.0.2.66"}},
}

// describe puts an answer, or what the error is, on a line.
func describe(v any, err error) string {
	switch {
	case err == nil:
	case IsNotFound(err):
		return "not found"
	case errors.Is(err, ErrAnswer):
		return "of no use"
	case IsTemporary(err):
		if de, ok := err.(*net.DNSError); !ok || !de.Temporary() {
			return fmt.Sprintf("%T %v does not say that it is temporary", err, err)
		}
		return "temporary"
	default:
		return err.Error()
	}
	switch v := v.(type) {
	case []*net.MX:
		var out []string
		for _, mx := range v {
			out = append(out, fmt.Sprintf("%d %s", mx.Pref, mx.Host))
		}
		return strings.Join(out, ", ")
	case []*net.NS:
		var out []string
		for _, ns := range v {
			out = append(out, ns.Host)
		}
		return strings.Join(out, ", ")
	case []netip.Addr:
		var out []string
		for _, a := range v {
			out = append(out, a.String())
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	case []string:
		if len(v) == 0 {
			return "nothing"
		}
		if n := len(strings.Join(v, "")); n > 100 {
			return fmt.Sprintf("%d strings of %d bytes", len(v), n)
		}
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(v)
}

// put asks r what a test wants to know, "TYPE NAME".
func put(ctx context.Context, r Resolver, q string) string {
	kind, name, _ := strings.Cut(q, " ")
	switch kind {
	case "TXT":
		v, err := r.LookupTXT(ctx, name)
		return describe(v, err)
	case "MX":
		v, err := r.LookupMX(ctx, name)
		return describe(v, err)
	case "IP":
		v, err := r.LookupNetIP(ctx, "ip", name)
		return describe(v, err)
	case "IP4":
		v, err := r.LookupNetIP(ctx, "ip4", name)
		return describe(v, err)
	case "IP6":
		v, err := r.LookupNetIP(ctx, "ip6", name)
		return describe(v, err)
	case "PTR":
		v, err := r.LookupAddr(ctx, name)
		return describe(v, err)
	case "NS":
		v, err := r.LookupNS(ctx, name)
		return describe(v, err)
	case "CNAME":
		v, err := r.LookupCNAME(ctx, name)
		return describe(v, err)
	case "EXISTS":
		exists, known, err := Exists(ctx, r, name)
		if err == nil && !known {
			return "unknown"
		}
		return describe(exists, err)
	}
	panic(kind)
}

func TestSystemAnswers(t *testing.T) {
	s := mock(t, mockZones)
	for _, tt := range []struct{ ask, want string }{
		{"TXT example.com", "2 strings of 811 bytes"},
		{"TXT EXAMPLE.com.", "2 strings of 811 bytes"},
		{"TXT _dmarc.example.com", "v=DMARC1; p=reject"},
		{"TXT null.example.com", "not found"},
		{"TXT nothing.example.com", "not found"},
		{"TXT broken.example.com", "temporary"},
		{"TXT alias.example.com", "2 strings of 811 bytes"},
		{"TXT " + strings.Repeat("a", 64) + ".example.com", "not found"},
		{"TXT a..example.com", "not found"},
		{"TXT ", "not found"},
		{"MX example.com", "10 a.example.com., 20 b.example.com."},
		{"MX null.example.com", "0 ."},
		{"MX odd.example.com", "20 ok.example.com."},
		{"MX allodd.example.com", "of no use"},
		{"MX broken.example.com", "temporary"},
		{"MX nothing.example.com", "not found"},
		{"IP4 example.com", "192.0.2.1"},
		{"IP6 example.com", "2001:db8::1"},
		{"IP example.com", "192.0.2.1, 2001:db8::1"},
		{"IP alias.example.com", "192.0.2.1, 2001:db8::1"},
		{"IP underscore_.example.com", "192.0.2.9"},
		{"IP search.example.com", "not found"},
		{"IP 192.0.2.1", "not found"},
		{"IP 2001:db8::1", "not found"},
		{"IP broken.example.com", "temporary"},
		{"IP User+Tag.example.com", "127.0.0.2, 2001:db8::2"},
		{"TXT user+tag.example.com.", "v=spf1 +all"},
		{"IP [192.0.2.1].example.com", "127.0.0.3"},
		{"TXT [192.0.2.1].example.com", "x"},
		{"IP a+b.example.com", "not found"},
		{"TXT a+b.example.com", "not found"},
		{"IP -a-.example.com", "temporary"},
		{"TXT -a-.example.com", "temporary"},
		{"IP a b.example.com", "not found"},
		{"PTR 192.0.2.1", "example.com."},
		{"PTR ::ffff:192.0.2.1", "example.com."},
		{"PTR 192.0.2.2", "of no use"},
		{"PTR 192.0.2.3", "not found"},
		{"PTR example.com", "not found"},
		{"NS example.com", "ns.example.com."},
		{"NS allodd.example.com", "of no use"},
		{"NS nothing.example.com", "not found"},
		{"CNAME alias.example.com", "example.com."},
		{"CNAME example.com", "example.com."},
		{"EXISTS example.com", "true"},
		{"EXISTS EXAMPLE.com.", "true"},
		{"EXISTS _dmarc.example.com", "true"}, // NODATA
		{"EXISTS alias.example.com", "true"},
		{"EXISTS nothing.example.com", "false"},
		{"EXISTS broken.example.com", "temporary"},
		{"EXISTS " + strings.Repeat("a", 64) + ".example.com", "false"},
		{"EXISTS a\\.b.example.com", "false"},
	} {
		if got := put(t.Context(), s, tt.ask); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.ask, got, tt.want)
		}
	}
}

// listenBoth listens by TCP and UDP at one port, which others may have by UDP.
func listenBoth(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, pc
		}
		l.Close()
		if try == 20 {
			t.Fatal(err)
		}
	}
}

// serve answers UDP and TCP on one port of loopback with what answer returns, packet by
// packet, until the test ends.
func serve(t *testing.T, answer func(network string, query []byte) [][]byte) string {
	t.Helper()
	l, pc := listenBoth(t)
	var all sync.WaitGroup
	all.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, m := range answer("udp", slices.Clone(buf[:n])) {
				pc.WriteTo(m, from)
			}
		}
	})
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				m, err := readStream(conn)
				if err != nil {
					return
				}
				for _, m := range answer("tcp", m) {
					conn.Write(m)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		pc.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// rewrite returns a reply to query: header and question of it, and what change makes.
func rewrite(t testing.TB, query []byte, change func(m *dnsmessage.Message)) []byte {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		t.Fatal(err)
	}
	m.Response, m.Additionals = true, nil
	change(&m)
	out, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// stream puts the length before a message, as TCP has it.
func stream(m []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

func nxdomain(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError }

func TestExistsAndHostileServers(t *testing.T) {
	alias := func(of string, n int) func(*dnsmessage.Message) {
		return func(m *dnsmessage.Message) {
			nxdomain(m)
			for i := range n {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(of), Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(fmt.Sprintf("a%d.example.", i))},
				})
			}
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(network string, query []byte) [][]byte
		want   string
	}{
		{"no such name", func(_ string, q []byte) [][]byte { return [][]byte{rewrite(t, q, nxdomain)} }, "false"},
		{"refused", func(_ string, q []byte) [][]byte {
			return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused })}
		}, "temporary"},
		{"no reply before forged ones", func(_ string, q []byte) [][]byte {
			forged := func(change func(*dnsmessage.Message)) []byte { return rewrite(t, q, change) }
			return [][]byte{
				{}, {0}, []byte("garbage that is long enough for a header"), q,
				forged(func(m *dnsmessage.Message) { m.ID++ }),
				forged(func(m *dnsmessage.Message) { m.Response = false }),
				forged(func(m *dnsmessage.Message) { m.OpCode = 5 }),
				forged(func(m *dnsmessage.Message) { m.Questions = nil }),
				forged(func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }),
				forged(func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("other.example.") }),
				forged(func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeTXT }),
				forged(func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }),
				forged(nxdomain),
			}
		}, "false"},
		{"name in another case", func(_ string, q []byte) [][]byte {
			return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("Example.COM."); nxdomain(m) })}
		}, "false"},
		{"a flood of forged ones", func(_ string, q []byte) (out [][]byte) {
			for range 2 * maxStray {
				out = append(out, rewrite(t, q, func(m *dnsmessage.Message) { m.ID++ }))
			}
			return out
		}, "temporary"},
		{"an alias of nothing", func(_ string, q []byte) [][]byte { return [][]byte{rewrite(t, q, alias("EXAMPLE.com.", 1))} }, "true"},
		{"an alias of another name", func(_ string, q []byte) [][]byte { return [][]byte{rewrite(t, q, alias("other.example.", 10))} }, "false"},
		{"cut short by UDP", func(network string, q []byte) [][]byte {
			if network == "udp" {
				return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.Truncated = true; nxdomain(m) })}
			}
			return [][]byte{stream(rewrite(t, q, alias("example.com.", 2000)))}
		}, "true"},
		{"by TCP a byte at a time", func(network string, q []byte) (out [][]byte) {
			if network == "udp" {
				return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.Truncated = true })}
			}
			for _, b := range stream(rewrite(t, q, nxdomain)) {
				out = append(out, []byte{b})
			}
			return out
		}, "false"},
		{"cut short by TCP too", func(network string, q []byte) [][]byte {
			m := rewrite(t, q, func(m *dnsmessage.Message) { m.Truncated = true })
			if network == "tcp" {
				m = stream(m)
			}
			return [][]byte{m}
		}, "temporary"},
		{"TCP closed in the middle", func(network string, q []byte) [][]byte {
			if network == "udp" {
				return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.Truncated = true })}
			}
			return [][]byte{stream(rewrite(t, q, nxdomain))[:10]}
		}, "temporary"},
		{"TCP with another's reply", func(network string, q []byte) [][]byte {
			if network == "udp" {
				return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.Truncated = true })}
			}
			return [][]byte{stream(rewrite(t, q, func(m *dnsmessage.Message) { m.ID++ }))}
		}, "temporary"},
		{"answers that are broken", func(_ string, q []byte) [][]byte {
			m := rewrite(t, q, nxdomain)
			binary.BigEndian.PutUint16(m[6:], 65535) // so many are announced
			return [][]byte{m}
		}, "temporary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := newSystem("testdata/quick.conf", []string{serve(t, tt.answer)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if got := put(ctx, s, "EXISTS example.com"); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if ctx.Err() != nil {
				t.Error("took all of 5 s")
			}
		})
	}
}

// Where net.Resolver follows what we ask for by TCP, and what a server makes of it.
func TestSystemByTCP(t *testing.T) {
	addr := serve(t, func(network string, q []byte) [][]byte {
		if network == "udp" {
			return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.Truncated = true })}
		}
		return [][]byte{stream(rewrite(t, q, func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.TXTResource{TXT: slices.Repeat([]string{strings.Repeat("x", 255)}, 200)},
			}}
		}))}
	})
	s, err := NewSystem(addr)
	if err != nil {
		t.Fatal(err)
	}
	if got := put(t.Context(), s, "TXT example.com"); got != "1 strings of 51000 bytes" {
		t.Error(got)
	}
}

func TestQueryHasTheFormOfRFC1035(t *testing.T) {
	ids := make(map[uint16]bool)
	var mu sync.Mutex
	var seen dnsmessage.Message
	addr := serve(t, func(_ string, q []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if err := seen.Unpack(q); err != nil {
			t.Error(err)
		}
		ids[seen.ID] = true
		return [][]byte{rewrite(t, q, nxdomain)}
	})
	s, err := NewSystem(addr)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if got := put(t.Context(), s, "EXISTS Example.com"); got != "false" {
			t.Fatal(got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) < 40 {
		t.Errorf("50 queries have %d ids", len(ids))
	}
	if d := cmp.Diff([]dnsmessage.Question{{Name: dnsmessage.MustNewName("example.com."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}, seen.Questions); d != "" || !seen.RecursionDesired {
		t.Errorf("%+v %s", seen.Header, d)
	}
	if len(seen.Additionals) != 1 || seen.Additionals[0].Header.Type != dnsmessage.TypeOPT || seen.Additionals[0].Header.Class != udpPayload {
		t.Errorf("additional section %+v", seen.Additionals)
	}
}

// silent is a server that takes packets and says nothing.
func silent(t *testing.T) string {
	return serve(t, func(string, []byte) [][]byte { return nil })
}

func TestSystemDeadServer(t *testing.T) {
	s, err := NewSystem(silent(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []string{"TXT example.com", "IP example.com", "EXISTS example.com"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		if got := put(ctx, s, ask); got != "temporary" {
			t.Errorf("%s: %s", ask, got)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", ask, took)
		}
		cancel()
	}
}

// A look-up ends with its context, not with the try it is in.
func TestSystemCancelled(t *testing.T) {
	asked := make(chan struct{}, 100)
	s, err := NewSystem(serve(t, func(string, []byte) [][]byte {
		asked <- struct{}{}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []string{"TXT example.com", "IP example.com", "PTR 192.0.2.1", "EXISTS example.com"} {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		go func() {
			<-asked
			cancel()
		}()
		if got := put(ctx, s, ask); got != "temporary" || time.Since(start) > time.Second {
			t.Errorf("%s: %s after %v", ask, got, time.Since(start))
		}
		cancel()
	}
	if n := s.turn.get(time.Now()); n != 0 {
		t.Errorf("the turn went to server %d", n)
	}
	if _, err := s.Exists(canceled(t), "example.com"); !errors.Is(err, context.Canceled) || !IsTemporary(err) {
		t.Errorf("cancelled before: %v", err)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestSystemPassesADeadServerBy(t *testing.T) {
	live := serve(t, func(_ string, q []byte) [][]byte { return [][]byte{rewrite(t, q, nxdomain)} })
	closed := func() string { // nobody listens there
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		return pc.LocalAddr().String()
	}()
	for _, ask := range []string{"TXT example.com", "IP example.com", "EXISTS example.com"} {
		s, err := newSystem("testdata/quick.conf", []string{silent(t), closed, live})
		if err != nil {
			t.Fatal(err)
		}
		want := "not found"
		if strings.HasPrefix(ask, "EXISTS") {
			want = "false"
		}
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		if got := put(ctx, s, ask); got != want {
			// net.Resolver tries as often as the system's own file says.
			if got = put(ctx, s, ask); got != want {
				t.Errorf("%s: %s", ask, got)
			}
		}
		start := time.Now()
		if got := put(ctx, s, ask); got != want || time.Since(start) > 500*time.Millisecond {
			t.Errorf("%s, when it is known who is dead: %s after %v", ask, got, time.Since(start))
		}
	}
}

func TestSystemPassesAFailingServerBy(t *testing.T) {
	for _, code := range []dnsmessage.RCode{dnsmessage.RCodeServerFailure, dnsmessage.RCodeRefused} {
		var asked atomic.Int32
		failing := serve(t, func(_ string, q []byte) [][]byte {
			asked.Add(1)
			return [][]byte{rewrite(t, q, func(m *dnsmessage.Message) { m.RCode = code })}
		})
		live := serve(t, func(_ string, q []byte) [][]byte { return [][]byte{rewrite(t, q, nxdomain)} })
		s, err := NewSystem(failing, live)
		if err != nil {
			t.Fatal(err)
		}
		for _, ask := range []string{"TXT example.com", "MX example.com", "IP example.com", "PTR 192.0.2.1", "EXISTS example.com"} {
			before := asked.Load()
			if got := put(t.Context(), s, ask); got != "not found" && got != "false" {
				t.Errorf("%v, %s: %s", code, ask, got)
			}
			// It may be the domain's failure, so the server keeps its place.
			if asked.Load() == before {
				t.Errorf("%v, %s: the first server was not asked", code, ask)
			}
		}
	}
}

func TestTurnComesBackToTheFirst(t *testing.T) {
	var turn turn
	now := time.Unix(0, 0)
	expect := func(when string, want int) {
		t.Helper()
		if got := turn.get(now); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	expect("at first", 0)
	turn.pass(0, now)
	turn.pass(0, now) // of a question that was asked at the same time
	expect("after a failure", 1)
	now = now.Add(turnLife / 2)
	turn.pass(1, now)
	expect("after another", 2)
	now = now.Add(turnLife - 1)
	expect("for a time", 2)
	now = now.Add(1)
	expect("after that", 0)
}

func TestNewSystemRefusesWhatIsNoAddress(t *testing.T) {
	for server, ok := range map[string]bool{
		"192.0.2.53": true, "192.0.2.53:5353": true, "2001:db8::53": true, "[2001:db8::53]:53": true, "fe80::1%eth0": true,
		"": false, "ns.example.com": false, "192.0.2.53:": false, "192.0.2.53:0": false, "192.0.2.53:65536": false, "192.0.2.53:domain": false, "[::1]": false, ":53": false,
	} {
		if _, err := NewSystem(server); (err == nil) != ok {
			t.Errorf("%q: %v", server, err)
		}
	}
}

func TestResolvConf(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
	}{
		{"usual", "# comment\nsearch example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions edns0 timeout:1 attempts:3\n", "[192.0.2.53:53 [2001:db8::53]:53] 1s 3"},
		{"nothing", "", "[127.0.0.1:53 [::1]:53] 2s 2"},
		{"scoped", "nameserver fe80::1%eth0\n", "[[fe80::1%eth0]:53] 2s 2"},
		{"four servers", strings.Repeat("nameserver 192.0.2.1\n", 4), "[192.0.2.1:53 192.0.2.1:53 192.0.2.1:53] 2s 2"},
		{"what is none", "nameserver\nnameserver ns.example\nnameserver 192.0.2.53\noptions timeout:x attempts: rotate\noptions\n", "[192.0.2.53:53] 2s 2"},
		{"out of bounds", "nameserver 192.0.2.53\noptions timeout:0 attempts:-1\noptions timeout:999999999999 timeout:99 attempts:99", "[192.0.2.53:53] 30s 5"},
		{"endless line", "nameserver 192.0.2.53\n" + strings.Repeat("x", 1<<20), "[192.0.2.53:53] 2s 2"},
	} {
		servers, try, attempts := parseResolvConf(strings.NewReader(tt.in))
		if got := fmt.Sprint(servers, try, attempts); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestResolvConfIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	c := &resolvConf{path: path}
	expect := func(when, want string) {
		t.Helper()
		servers, _, _ := c.get()
		if got := servers[0].Addr().String(); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	write := func(server string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte("nameserver "+server+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	expect("no file", "127.0.0.1")
	write("192.0.2.1")
	expect("a file that is new", "192.0.2.1")
	write("192.0.2.2") // of the same size
	expect("another file", "192.0.2.2")
	os.Remove(path)
	expect("no file any more", "192.0.2.2")
	write("192.0.2.3")
	expect("a file again", "192.0.2.3")
	if err := os.WriteFile(path, []byte("nameserver 192.0.2.4\n# longer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("written in place", "192.0.2.4")
	c.fixed = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.99:53")}
	expect("servers that were given", "192.0.2.99")
}

// What the system asks by default it reads from the file; nothing here asks them.
func TestSystemOfTheMachine(t *testing.T) {
	s, err := NewSystem()
	if err != nil {
		t.Fatal(err)
	}
	if servers, try, attempts := s.conf.get(); len(servers) == 0 || try <= 0 || attempts <= 0 {
		t.Errorf("%v %v %v", servers, try, attempts)
	}
	if got := put(t.Context(), s, "TXT "); got != "not found" {
		t.Error(got)
	}
}

func FuzzReply(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("example.com."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	query, err := newQuery(7, q)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query[2:])
	f.Add(rewrite(f, query[2:], nxdomain))
	f.Add(rewrite(f, query[2:], func(m *dnsmessage.Message) { m.Truncated = true }))
	f.Add(rewrite(f, query[2:], func(m *dnsmessage.Message) {
		nxdomain(m)
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.CNAMEResource{CNAME: m.Questions[0].Name},
		}}
	}))
	f.Add(rewrite(f, query[2:], func(m *dnsmessage.Message) {
		h := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}}}
	}))
	f.Fuzz(func(t *testing.T, m []byte) {
		r, err := decodeReply(m, 7, q)
		if err != nil && r != (reply{}) {
			t.Errorf("%+v beside %v", r, err)
		}
		if r.exists && (r.truncated || r.failed) || r.failed && r.rcode == dnsmessage.RCodeSuccess {
			t.Errorf("%+v", r)
		}
		if r.exists && r.answers != nil {
			found, err := r.records(q)
			for _, body := range found {
				if _, ok := body.(*dnsmessage.AResource); !ok || err != nil {
					t.Errorf("%#v, %v", body, err)
				}
			}
		}
		if err == nil && (len(m) < 12 || m[2]&0x80 == 0 || binary.BigEndian.Uint16(m) != 7 || binary.BigEndian.Uint16(m[4:]) != 1) {
			t.Errorf("took %x", m)
		}
	})
}

// What strangers may be told of a look-up that failed says nothing of whom we asked.
func TestErrorsNameNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s, err := NewSystem(addr)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCache(s, CacheOptions{})
	defer c.Close()
	for _, r := range []Resolver{s, c} {
		_, err := r.LookupTXT(t.Context(), "x.example")
		if want := "lookup x.example: no name server answers: connection refused"; err == nil || err.Error() != want {
			t.Errorf("%T: %v, want %s", r, err, want)
		}
	}
}
