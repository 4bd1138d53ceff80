package peertest

import (
	"cmp"
	"testing"
)

// A Letter is a mail to send. Its zero value goes from sender@example.com to
// rcpt@example.net.
type Letter struct {
	Helo string   // what EHLO says; empty means client.example.com
	From string   // the envelope's sender; empty means sender@example.com, "<>" means none
	To   []string // the envelope's recipients; nil means rcpt@example.net
	Data string   // header and body with CRLF; empty means a small message
}

// Send sends l over a new connection and ends it with QUIT. It returns the first
// reply that refuses, or the one to the message. A recipient that is refused
// beside others that are taken refuses nothing.
func Send(t testing.TB, addr string, l Letter) Reply {
	t.Helper()
	d := Dial(t, addr)
	defer d.Close()
	if !d.Banner.OK() {
		return d.Banner
	}
	if r := d.Cmd("EHLO " + cmp.Or(l.Helo, "client.example.com")); !r.OK() {
		return r
	}
	r := d.Send(l)
	d.Cmd("QUIT")
	return r
}

// Send sends l from MAIL on and returns what the function [Send] returns.
func (d *Dialogue) Send(l Letter) Reply {
	from, to, message := l.envelope()
	if r := d.Cmd("MAIL FROM:<" + from + ">"); !r.OK() {
		return r
	}
	var refused Reply
	taken := 0
	for _, addr := range to {
		if r := d.Cmd("RCPT TO:<" + addr + ">"); r.OK() {
			taken++
		} else if refused.Lines == nil {
			refused = r
		}
	}
	if taken == 0 {
		return refused
	}
	if r := d.Cmd("DATA"); !r.OK() {
		return r
	}
	return d.Data(message)
}

func (l Letter) envelope() (from string, to []string, message string) {
	from, to = cmp.Or(l.From, "sender@example.com"), l.To
	if from == "<>" {
		from = ""
	}
	if to == nil {
		to = []string{"rcpt@example.net"}
	}
	return from, to, cmp.Or(l.Data, plainMessage)
}

const plainMessage = "From: <sender@example.com>\r\n" +
	"To: <rcpt@example.net>\r\n" +
	"Subject: test\r\n" +
	"Message-ID: <1@client.example.com>\r\n" +
	"Date: Sun, 01 Jan 2023 00:00:00 +0000\r\n" +
	"\r\n" +
	"Hello.\r\n"
