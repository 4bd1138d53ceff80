package miltertest

import "testing"

func TestCutterFindsFramesInPieces(t *testing.T) {
	stream := []byte("\x00\x00\x00\x01Q\x00\x00\x00\x03Bxy\x00\x00\x00\x02Hz\x00\x00\x00\x00rest")
	for size := 1; size <= len(stream); size++ {
		var c cutter
		var got []string
		for b := stream; len(b) > 0; b = b[min(size, len(b)):] {
			for cmd, payload := range c.cut(b[:min(size, len(b))]) {
				got = append(got, string(cmd)+string(payload))
			}
		}
		if len(got) != 3 || got[0] != "Q" || got[1] != "Bxy" || got[2] != "Hz" {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}

func TestOwnReply(t *testing.T) {
	for in, want := range map[string]string{
		"550 5.7.1 no\x00":                        "550 5.7.1 no",
		"550-5.7.1 100%% no\r\n550 5.7.1 two\x00": "550 5.7.1 100% no / two",
		"451 later\x00":                           "451 later",
		"550 5.7.1\x00":                           "550 5.7.1",
		"554 5.7.1.2 no code\x00":                 "554 5.7.1.2 no code",
		"x":                                       "0",
	} {
		if got := oneLine(ownReply([]byte(in))); got != want {
			t.Errorf("%q reads %q, want %q", in, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"a@example.org":              "<a@example.org>",
		" <a@example.org> SIZE=1 X ": "<a@example.org>|SIZE=1|X",
		"a@example.org SIZE=1":       "<a@example.org>|SIZE=1",
		"<>":                         "<>",
		`<"a b"@example.org>`:        `<"a b"@example.org>`,
		"<broken":                    "<broken",
	} {
		addr, params := path(in)
		for _, p := range params {
			addr += "|" + p
		}
		if addr != want {
			t.Errorf("%q is %q, want %q", in, addr, want)
		}
	}
}
