package offline

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomilter/gomilter/mta"
)

func ptr[T any](v T) *T { return &v }

func TestEnvelope(t *testing.T) {
	ip := func(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 49152) }
	outside := mta.Conn{Addr: ip("192.0.2.1")}
	delivered := "Return-Path: <bounce+1@example.com>\nX-Original-To: list@example.net\nDelivered-To: bob@example.net\nReceived: from x (y [198.51.100.1]) by z\nDelivered-To: old@example.org\n" +
		"From: Ann <ann@example.com>\nTo: other@example.net\n\nbody\nReturn-Path: <no@example.com>\n"
	for _, tt := range []struct {
		name  string
		e     Envelope
		in    string
		line  string
		from  string
		rcpts []string
		conn  mta.Conn
		helo  string
	}{
		{"what the flags say", Envelope{From: ptr("<>"), Rcpts: []string{"<r@x>"}, Conn: &mta.Conn{Name: "n", Addr: ip("2001:db8::1")}, Helo: "h"}, delivered, "", "<>", []string{"<r@x>"}, mta.Conn{Name: "n", Addr: ip("2001:db8::1")}, "h"},
		{"HELO is the client's name", Envelope{Conn: &mta.Conn{Name: "n.example", Addr: ip("2001:db8::1")}}, delivered, "", "<bounce+1@example.com>", []string{"<list@example.net>"}, mta.Conn{Name: "n.example", Addr: ip("2001:db8::1")}, "n.example"},
		{"or its address", Envelope{Conn: &mta.Conn{Addr: ip("2001:db8::1")}}, delivered, "", "<bounce+1@example.com>", []string{"<list@example.net>"}, mta.Conn{Addr: ip("2001:db8::1")}, "[IPv6:2001:db8::1]"},
		{"or localhost", Envelope{Conn: &mta.Conn{Unix: "/run/x"}}, delivered, "", "<bounce+1@example.com>", []string{"<list@example.net>"}, mta.Conn{Unix: "/run/x"}, "localhost"},
		{"what delivery added", Envelope{}, delivered, "From other@example.com Sun", "<bounce+1@example.com>", []string{"<list@example.net>"}, outside, "[192.0.2.1]"},
		{"Delivered-To", Envelope{}, strings.Replace(delivered, "X-Original-To", "X", 1), "", "<bounce+1@example.com>", []string{"<bob@example.net>"}, outside, "[192.0.2.1]"},
		{"null sender", Envelope{}, "Return-Path: <>\nFrom: a@b\nTo: c@d\n\n", "From x@y", "<>", []string{"<c@d>"}, outside, "[192.0.2.1]"},
		{"broken Return-Path", Envelope{}, "Return-Path: <a\x01b\nTo: c@d\n\n", "From x@y\n", "<x@y>", []string{"<c@d>"}, outside, "[192.0.2.1]"},
		{"null sender of an mbox", Envelope{}, "From: a@b\n\n", "From MAILER-DAEMON Sun", "<>", []string{"<rcpt@example.com>"}, outside, "[192.0.2.1]"},
		{"no address in the line of an mbox", Envelope{}, "From: \"A, B\" <a@b>, c@d\nTo: Group: x@y, \"z\" <z@y>;\nCc: X <x@y>, q\nTo: w@y\n\n", "From somebody Sun", "<a@b>", []string{"<x@y>", "<z@y>", "<w@y>", "<q>"}, outside, "[192.0.2.1]"},
		{"no envelope at all", Envelope{}, "Subject: x\n\nTo: c@d\n", "", "<sender@example.com>", []string{"<rcpt@example.com>"}, outside, "[192.0.2.1]"},
		{"no header", Envelope{}, "\nx", "", "<sender@example.com>", []string{"<rcpt@example.com>"}, outside, "[192.0.2.1]"},
		{"CRLF", Envelope{}, "From: a@b\r\nTo: c@d\r\n\r\nTo: e@f\r\n", "", "<a@b>", []string{"<c@d>"}, outside, "[192.0.2.1]"},
		{"what no client says", Envelope{}, "From: <>\nTo: <>, <@>, " + strings.Repeat("x", 600) + "@d, ok@d\n\n", "", "<sender@example.com>", []string{"<ok@d>"}, outside, "[192.0.2.1]"},
		{"client from Received", Envelope{Received: true}, delivered, "", "<bounce+1@example.com>", []string{"<list@example.net>"}, mta.Conn{Name: "y", Addr: ip("198.51.100.1")}, "x"},
		{"client from Received, HELO from the flag", Envelope{Received: true, Helo: "h"}, delivered, "", "<bounce+1@example.com>", []string{"<list@example.net>"}, mta.Conn{Name: "y", Addr: ip("198.51.100.1")}, "h"},
		{"no Received", Envelope{Received: true}, "From: a@b\n\n", "", "<a@b>", []string{"<rcpt@example.com>"}, outside, "[192.0.2.1]"},
		{"Received of a program", Envelope{Received: true}, "Received: by mx (Postfix, from userid 0)\n\tid 1; Sun\nFrom: a@b\n\n", "", "<a@b>", []string{"<rcpt@example.com>"}, outside, "[192.0.2.1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.e.mail(&Message{Data: []byte(tt.in), Line: tt.line})
			want := mta.Mail{Conn: tt.conn, Helo: tt.helo, From: tt.from, Rcpts: tt.rcpts, Data: []byte(tt.in)}
			if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestManyRecipients(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		b.WriteString("To: " + strings.Repeat("x", i%700+1) + "@y" + strings.Repeat("z", i/700) + "\n")
	}
	if got := (&Envelope{}).mail(&Message{Data: []byte(b.String())}); len(got.Rcpts) != maxRcpts {
		t.Errorf("%d recipients, want %d", len(got.Rcpts), maxRcpts)
	}
}

func TestReceived(t *testing.T) {
	for _, tt := range []struct{ in, name, addr, helo string }{
		{"from mail.example.org (mail.example.org [192.0.2.7])\r\n\tby mx.example.net (Postfix) with ESMTP id 1", "mail.example.org", "192.0.2.7", "mail.example.org"},
		{"from h (unknown [IPv6:2001:db8::7]) (using TLSv1.3) by mx", "", "2001:db8::7", "h"},
		{"from h ([192.0.2.7]) by mx.example.net (8.17.1/8.17.1) with SMTP", "", "192.0.2.7", "h"},
		{"from h (root@mail.example.org [192.0.2.7] (may be forged)) by mx", "mail.example.org", "192.0.2.7", "h"},
		{"from mail.example.org ([192.0.2.7] helo=h.example) by mx with esmtp (Exim 4)", "mail.example.org", "192.0.2.7", "h.example"},
		{"from mail.example.org (HELO h.example) (192.0.2.7) by mx with SMTP", "mail.example.org", "192.0.2.7", "h.example"},
		{"from unknown (192.0.2.7) by mx with SMTP", "", "192.0.2.7", "unknown"},
		{"by mx with SMTP", "", "", ""},
		{"from h (mail.example.org [192.0.2.777]) by mx", "", "", ""},
		{"from h by mx ([192.0.2.7])", "", "", ""},
		{"", "", "", ""},
	} {
		c, helo, ok := received(tt.in)
		if ok != (tt.addr != "") || ok && (c.Name != tt.name || c.Addr.Addr().String() != tt.addr || helo != tt.helo) {
			t.Errorf("%q: client %q %v, HELO %q, %v", tt.in, c.Name, c.Addr, helo, ok)
		}
	}
}
