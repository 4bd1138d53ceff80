package headers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// fiftyRules are those of a busy site, thirtyFields a message of today; none matches.
func fiftyRules() (rules []Rule) {
	for i := range 10 {
		rules = append(rules,
			Rule{Fields: []string{"Subject"}, Match: Contains, Values: []string{fmt.Sprint("spam", i), "viagra", "casino"}, Action: Reject},
			Rule{Fields: []string{"From", "Reply-To"}, Part: Address, Match: Suffix, Values: []string{fmt.Sprint("@bad", i, ".example")}, Action: Reject},
			Rule{Fields: []string{"Subject"}, Match: Regexp, Values: []string{fmt.Sprintf(`\bcheap(er)?\s+(watch|pill)%d`, i)}, Action: Reject},
			Rule{Fields: []string{"X-*"}, Match: Glob, Values: []string{fmt.Sprint("*cannon", i, "*")}, Action: Reject},
			Rule{Fields: []string{fmt.Sprint("X-Spam", i)}, Match: Present, Action: Remove})
	}
	return rules
}

func thirtyFields() string {
	var b strings.Builder
	for i := range 8 {
		fmt.Fprintf(&b, "Received: from mx%d.example.com (mx%d.example.com [192.0.2.%d])\n\tby relay.example.net with ESMTPS id 4XyZ;\n\tSun, 22 Nov 2026 12:00:00 +0000\n", i, i, i)
	}
	for i := range 14 {
		fmt.Fprintf(&b, "X-Header-%d: some value with a few words, %s\n", i, strings.Repeat("and more ", i))
	}
	b.WriteString("From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.com>\nTo: a@example.net, \"B\" <b@example.net>\nSubject: =?utf-8?b?R3LDvMOfZSBhdXMgS8O2bG4=?= and the rest\n" +
		"Date: Sun, 22 Nov 2026 12:00:00 +0000\nMessage-ID: <1234567890@example.com>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nReply-To: juergen@example.com\n")
	return b.String()
}

// BenchmarkRules tries 50 rules on 30 fields, of which none matches.
func BenchmarkRules(b *testing.B) {
	s, err := newSet(fiftyRules(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	fields := message.Parse([]byte(strings.ReplaceAll(thirtyFields(), "\n", "\r\n") + "\r\n")).Header
	if len(s.rules) != 50 || len(fields) != 30 {
		b.Fatalf("%d rules on %d fields", len(s.rules), len(fields))
	}
	b.SetBytes(int64(fields.Size()))
	b.ReportAllocs()
	for b.Loop() {
		h := newHeader(fields, s, filter.Path{Address: "a@example.com", Domain: "example.com"})
		for _, c := range s.rules {
			if hits, err := h.find(b.Context(), c); err != nil || len(hits) > 0 {
				b.Fatal(hits, err)
			}
		}
	}
}

// The worst of a megabyte takes no longer than its size would have it.
func BenchmarkHostile(b *testing.B) {
	for name, piece := range map[string]string{"words": "=?a?q?x", "addresses": "a@b,", "quotes": "\"(<", "bytes": "\xff"} {
		b.Run(name, func(b *testing.B) {
			s, err := newSet(fiftyRules(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			var text strings.Builder
			for range 16 {
				fmt.Fprintf(&text, "Subject: %s\r\nFrom: %[1]s\r\nX-A: %[1]s\r\n", strings.Repeat(piece, 20_000/len(piece)))
			}
			fields := message.Parse([]byte(text.String())).Header
			b.SetBytes(int64(fields.Size()))
			for b.Loop() {
				h := newHeader(fields, s, filter.Path{})
				for _, c := range s.rules {
					if _, err := h.find(b.Context(), c); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
