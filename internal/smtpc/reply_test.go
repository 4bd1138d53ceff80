package smtpc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestReadReply(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Reply
		err      error
	}{
		{"one line", "250 ok\r\n", Reply{250, "", []string{"ok"}}, nil},
		{"LF alone", "250 ok\n", Reply{250, "", []string{"ok"}}, nil},
		{"code alone", "250\r\n", Reply{250, "", []string{""}}, nil},
		{"code and blank", "250 \r\n", Reply{250, "", []string{""}}, nil},
		{"several lines", "250-mx\r\n250-SIZE 10\r\n250 8BITMIME\r\n", Reply{250, "", []string{"mx", "SIZE 10", "8BITMIME"}}, nil},
		{"enhanced code on each line", "550-5.1.1 no\r\n550 5.1.1 such user\r\n", Reply{550, "5.1.1", []string{"no", "such user"}}, nil},
		{"another enhanced code on the second line", "550-5.1.1 no\r\n550 5.7.1 user\r\n", Reply{550, "5.1.1", []string{"no", "5.7.1 user"}}, nil},
		{"enhanced code of another class", "550 4.7.1 later\r\n", Reply{550, "4.7.1", []string{"later"}}, nil},
		{"enhanced code alone", "250 2.1.5\r\n", Reply{250, "2.1.5", []string{""}}, nil},
		{"address that begins as an enhanced code", "550 5.1.1.1 is listed\r\n", Reply{550, "", []string{"5.1.1.1 is listed"}}, nil},
		{"version that begins as an enhanced code", "220 2.0.rc1 ready\r\n", Reply{220, "", []string{"2.0.rc1 ready"}}, nil},
		{"bytes of no text", "550 a\x00b\x1b[2Jc\xff\xc3\xa9\r\n", Reply{550, "", []string{"a?b?[2Jc?\u00e9"}}, nil},
		{"text that turns round", "550 a\u202eb\r\n", Reply{550, "", []string{"a?b"}}, nil},
		{"tab", "550 a\tb\r\n", Reply{550, "", []string{"a b"}}, nil},
		{"nothing", "", Reply{}, io.ErrUnexpectedEOF},
		{"cut in a line", "250 o", Reply{}, io.ErrUnexpectedEOF},
		{"cut after a line", "250-o\r\n", Reply{}, io.ErrUnexpectedEOF},
		{"two codes", "250-a\r\n550 b\r\n", Reply{}, ErrProtocol},
		{"no code", "hello\r\n", Reply{}, ErrProtocol},
		{"code of class 1", "150 a\r\n", Reply{}, ErrProtocol},
		{"code of class 6", "650 a\r\n", Reply{}, ErrProtocol},
		{"code of four digits", "2500 a\r\n", Reply{}, ErrProtocol},
		{"code of two digits", "25 a\r\n", Reply{}, ErrProtocol},
		{"empty line", "\r\n", Reply{}, ErrProtocol},
		{"line too long", "250 " + strings.Repeat("a", maxLine) + "\r\n", Reply{}, ErrProtocol},
		{"longest line", "250 " + strings.Repeat("a", maxLine-6) + "\r\n", Reply{250, "", []string{strings.Repeat("a", maxLine-6)}}, nil},
		{"too many lines", strings.Repeat("250-a\r\n", 1000) + "250 a\r\n", Reply{}, ErrProtocol},
		{"line without end", strings.Repeat("a", 1<<20), Reply{}, ErrProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readReply(bufio.NewReader(strings.NewReader(tt.in)), 4000)
			if !errors.Is(err, tt.err) {
				t.Errorf("readReply(%.100q) error = %v, want %v", tt.in, err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("readReply(%.100q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestReplyString(t *testing.T) {
	for _, tt := range []struct {
		reply Reply
		want  string
	}{
		{Reply{}, "no reply"},
		{Reply{Code: 250}, "250"},
		{Reply{250, "2.1.5", []string{""}}, "250 2.1.5"},
		{Reply{550, "5.1.1", []string{"no", "such user"}}, "550 5.1.1 no such user"},
	} {
		if got := tt.reply.String(); got != tt.want {
			t.Errorf("%#v.String() = %q, want %q", tt.reply, got, tt.want)
		}
	}
}

// What is read is bounded and printable, and what go-smtp's client gets reads the same.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"250 ok\r\n", "550-5.1.1 no\r\n550 5.1.1 such user\r\n", "250\r\n", "421 4.7.0 bye\n", "250-\xff\x00\r\n250 \u202e\r\n",
		"550 5.1.1 5.1.1 twice\r\n", "550-5.1.1\r\n550 5.1.1 \r\n", "999 x\r\n", strings.Repeat("250-a\r\n", 100),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1000
		r := bytes.NewReader(in)
		reply, err := readReply(bufio.NewReaderSize(r, 16), limit)
		if read := len(in) - r.Len(); read > limit+16 {
			t.Errorf("read %d bytes of a reply, with a limit of %d", read, limit)
		}
		if err != nil {
			return
		}
		if reply.Code < 200 || reply.Code > 599 || len(reply.Lines) == 0 {
			t.Fatalf("readReply(%q) = %#v", in, reply)
		}
		for _, line := range append(reply.Lines, reply.Enhanced) {
			if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("readReply(%q) has a line %q", in, line)
			}
		}
		again, err := readReply(bufio.NewReader(bytes.NewReader(reply.appendWire(nil))), 4*limit)
		if err != nil || again.Code != reply.Code || len(again.Lines) != len(reply.Lines) {
			t.Errorf("%#v reads back as %#v, %v", reply, again, err)
		}
	})
}
