package wire

import "testing"

func TestCommandName(t *testing.T) {
	want := map[byte]string{
		'A': "ABORT", 'B': "BODY", 'C': "CONNECT", 'D': "MACRO", 'E': "BODYEOB", 'H': "HELO", 'K': "QUIT_NC", 'L': "HEADER",
		'M': "MAIL", 'N': "EOH", 'O': "OPTNEG", 'Q': "QUIT", 'R': "RCPT", 'T': "DATA", 'U': "UNKNOWN",
	}
	for b := range 256 {
		if got := CommandName(byte(b)); got != want[byte(b)] {
			t.Errorf("CommandName(%q) = %q, want %q", byte(b), got, want[byte(b)])
		}
	}
}
