package scan_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/filter/scan"
	"github.com/gomilter/gomilter/miltertest"
)

// kinds are all scanners.
var kinds = []scan.Scanner{scan.Clamd, scan.Spamd, scan.Rspamd}

// wait reads until the other side hangs up, as a server does that is stuck.
func wait(c net.Conn) { io.Copy(io.Discard, c) }

// largeMail is more than a socket takes when nobody reads.
var largeMail = "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\r\n", 160_000)

// A server that does what it should not costs a try, never a verdict.
func TestHostileServers(t *testing.T) {
	for _, kind := range kinds {
		answer := map[scan.Scanner]string{scan.Clamd: clean, scan.Spamd: spamdSays("False ; 0.0 / 5.0", "SOME_RULE"), scan.Rspamd: rspamdSays(`{"score":0,"action":"no action"}`)}[kind]
		for _, tt := range []struct {
			name  string
			large bool
			serve func(c net.Conn)
			why   string // any of them
		}{
			{"closes at once", false, func(net.Conn) {}, "closed|reset|broken|EOF"},
			{"never reads", true, func(c net.Conn) { io.ReadFull(c, make([]byte, 10)); time.Sleep(400 * time.Millisecond) }, "no answer in time"},
			{"never answers", false, func(c net.Conn) { wait(c) }, "no answer in time"},
			{"half an answer, then gone", false, func(c net.Conn) { hear(kind, c); io.WriteString(c, answer[:len(answer)-4]) }, "closed"},
			{"half an answer, then stuck", false, func(c net.Conn) { hear(kind, c); io.WriteString(c, answer[:len(answer)-4]); wait(c) }, "no answer in time"},
			{"one letter", false, func(c net.Conn) { hear(kind, c); io.WriteString(c, answer[:1]) }, "closed|no sense"},
			{"nothing", false, func(c net.Conn) { hear(kind, c) }, "closed"},
			{"garbage", false, func(c net.Conn) { hear(kind, c); io.WriteString(c, "\x00\xff\x00 what?\r\n\r\n\x00") }, "no sense"},
			{"garbage of another protocol", false, func(c net.Conn) { hear(kind, c); io.WriteString(c, "220 mx.example.net ESMTP\r\n\x00\r\n") }, "no sense"},
			{"endless letters", false, func(c net.Conn) { hear(kind, c); flood(c, "", strings.Repeat("x", 1000)) }, "longer than 10000 bytes"},
			{"endless lines", false, func(c net.Conn) {
				hear(kind, c)
				flood(c, "SPAMD/1.1 0 EX_OK\r\n", "X-Field: x\r\n")
			}, "longer than 10000 bytes|no sense"},
			{"endless header", false, func(c net.Conn) {
				hear(kind, c)
				flood(c, "HTTP/1.1 200 OK\r\n", "X-Field: x\r\n")
			}, "longer than 10000 bytes|no sense"},
			{"endless body", false, func(c net.Conn) {
				hear(kind, c)
				flood(c, "HTTP/1.1 200 OK\r\n\r\n", `{"score":0,"action":"no action"}`)
			}, "longer than 10000 bytes|no sense"},
			{"endless chunks", false, func(c net.Conn) {
				hear(kind, c)
				flood(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n")
			}, "longer than 10000 bytes|no sense"},
			{"endless list", false, func(c net.Conn) {
				hear(kind, c)
				flood(c, "SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0 / 5\r\n\r\n", "RULE,")
			}, "longer than 10000 bytes|no sense"},
			{"promises too much", false, func(c net.Conn) {
				hear(kind, c)
				io.WriteString(c, strings.Replace(answer, "Content-", "Content-length: 99999999999\r\nX-", 1))
				flood(c, "", strings.Repeat("x", 1000))
			}, "longer than 10000 bytes|no sense"},
			{"drop by drop", false, func(c net.Conn) {
				hear(kind, c)
				for i := range answer {
					if _, err := io.WriteString(c, answer[i:i+1]); err != nil {
						return
					}
					time.Sleep(300 * time.Millisecond)
				}
			}, "no answer in time"},
			{"closes in the middle of the message", true, func(c net.Conn) { io.ReadFull(c, make([]byte, 10_000)) }, "closed|reset|broken|EOF"},
			{"answers in the middle of the message", true, func(c net.Conn) {
				io.ReadFull(c, make([]byte, 10_000))
				io.WriteString(c, answer)
			}, "closed|reset|broken|EOF"},
		} {
			if kind == scan.Clamd && strings.Contains(tt.name, "promises") || kind == scan.Clamd && tt.name == "endless lines" {
				continue // it has no header
			}
			t.Run(kind.String()+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				bad := newFake(t, func(_ *fake, c net.Conn) { tt.serve(c) })
				o := scan.Options{Scanner: kind, Servers: []string{bad.spec}, Retries: -1, MaxAnswer: 10_000, MaxSize: 100 << 20, Found: scan.Reject}
				slow := tt.why == "no answer in time" // only these take time
				if slow {
					o.Timeout = 200 * time.Millisecond
				}
				mail := aMail
				if tt.large {
					mail = largeMail
				}
				b := newBench(t, o)
				r := b.send(t, miltertest.Mail{Reader: strings.NewReader(mail)})
				if got := outcome(r); got != "tempfail 451 4.3.0 This message cannot be scanned now, please try again later (ref ref)" {
					t.Errorf("%s: %s", got, b.why())
				}
				known := false
				for w := range strings.SplitSeq(tt.why, "|") {
					known = known || strings.Contains(b.why(), w)
				}
				if !known || !strings.HasPrefix(b.why(), "not scanned: no "+kind.String()+" answered: "+bad.spec+": ") || !strings.HasSuffix(b.why(), ": tempfail") {
					t.Errorf("explained by %q, want %s", b.why(), tt.why)
				}
				if strings.Contains(b.why(), `"`) { // logs leave out what is in them
					t.Errorf("explained in quotes by %q", b.why())
				}
				if slow && tt.large {
					return // the next would have to be quick
				}
				// Another server is asked, and decides.
				fine := answering(t, kind, good[kind])
				o.Servers = append(o.Servers, fine.spec)
				if slow {
					o.Timeout = 2 * time.Second
				}
				b = newBench(t, o)
				if r := b.send(t, miltertest.Mail{Reader: strings.NewReader(mail)}); r.Verdict.String() != "reject" || !strings.HasPrefix(b.why(), "failed before: "+bad.spec) {
					t.Errorf("with another server: %s: %s", outcome(r), b.why())
				}
			})
		}
	}
}

// flood writes until nobody reads.
func flood(c net.Conn, first, more string) {
	if _, err := io.WriteString(c, first); err != nil {
		return
	}
	for {
		if _, err := io.WriteString(c, more); err != nil {
			return
		}
	}
}

// What is said of servers that are down, by policy.
func TestAllAreDown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := ln.Addr().String() // nobody listens there
	ln.Close()
	for _, tt := range []struct {
		action scan.Action
		want   string
		field  string
	}{
		{scan.Default, "tempfail 451 4.3.0 This message cannot be scanned now, please try again later (ref ref)", ""},
		{scan.Reject, "reject 554 5.3.0 This message cannot be scanned (ref ref)", ""},
		{scan.Accept, "accept", ""},
		{scan.Tag, "accept", "Not scanned, no scanner answered"},
		{scan.Quarantine, "accept held: not scanned: no scanner answered", "Not scanned, no scanner answered"},
	} {
		t.Run(tt.action.String(), func(t *testing.T) {
			b := newBench(t, scan.Options{Scanner: scan.Rspamd, Servers: []string{gone, "unix:/nonexistent/rspamd.sock"}, OnDown: tt.action})
			r := b.send(t, miltertest.Mail{Text: "X-Spam-Status: No\nSubject: x\n\nbody\n"})
			diff(t, "outcome", tt.want, outcome(r))
			if strings.HasPrefix(tt.want, "accept") {
				diff(t, "field", tt.field, r.Header("X-Spam-Status"))
			}
			for _, want := range []string{gone + ": dial: connect: connection refused", "unix:/nonexistent/rspamd.sock: dial: connect: no such file or directory"} {
				if !strings.Contains(b.why(), want) {
					t.Errorf("%q is not in %q", want, b.why())
				}
			}
		})
	}
}

// clamd answers that a message is too large in the middle of it, and hangs up.
func TestTooLargeInMidMessage(t *testing.T) {
	for range 5 {
		f := newFake(t, func(_ *fake, c net.Conn) {
			io.ReadFull(c, make([]byte, 100_000))
			io.WriteString(c, "INSTREAM size limit exceeded. ERROR\x00")
		})
		b := newBench(t, scan.Options{Scanner: scan.Clamd, Servers: []string{f.spec}, MaxSize: 100 << 20, OnLarge: scan.Tag})
		r := b.send(t, miltertest.Mail{Reader: strings.NewReader(largeMail)})
		if got := r.Header("X-Virus-Status"); got != "Not scanned, it is too large" || f.count() != 1 {
			t.Errorf("%q, %s: %s", got, outcome(r), b.why())
		}
	}
}
