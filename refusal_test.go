package milter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gomilter/gomilter/internal/wire"
)

func TestRefusalOnTheWire(t *testing.T) {
	words := strings.TrimSpace(strings.Repeat("word ", 120)) // 599 bytes
	for _, tt := range []struct {
		name string
		r    *Refusal
		want string // payload of the reply without its NUL
	}{
		{"code and text", Reject(550, "", "no"), "550 no"},
		{"enhanced code", Reject(550, "5.7.1", "no"), "550 5.7.1 no"},
		{"three digits in the enhanced code", Reject(554, "5.123.999", "no"), "554 5.123.999 no"},
		{"temporary", TempFail(451, "4.3.0", "later"), "451 4.3.0 later"},
		{"closing", TempFail(421, "", "bye"), "421 bye"},
		{"nothing but the code", Reject(550, ""), "550 "},
		{"codes alone", Reject(550, "5.7.1"), "550 5.7.1 "},
		{"empty text", Reject(550, "5.7.1", ""), "550 5.7.1 "},
		{"percent signs", Reject(550, "5.7.1", "100% %s %%"), "550 5.7.1 100%% %%s %%%%"},
		{"lines", Reject(550, "5.7.1", "one", "two"), "550-5.7.1 one\r\n550 5.7.1 two"},
		{"lines without enhanced code", Reject(550, "", "one", "two", "three"), "550-one\r\n550-two\r\n550 three"},
		{"newlines", Reject(550, "", "one\ntwo\r\nthree\n"), "550-one\r\n550-two\r\n550 three"},
		{"empty lines", Reject(550, "", "one\n\ntwo"), "550-one\r\n550-\r\n550 two"},
		{"tab", Reject(550, "", "a\tb"), "550 a\tb"},
		{"UTF-8", Reject(550, "", "größer 件"), "550 größer 件"},
		{"long line, cut at a blank", Reject(550, "", words), "550-" + words[:489] + "\r\n550 " + words[490:]},
		{"long word", Reject(550, "", strings.Repeat("x", 1001)), "550-" + strings.Repeat("x", 490) + "\r\n550-" + strings.Repeat("x", 490) + "\r\n550 " + strings.Repeat("x", 21)},
		{"long word of UTF-8, not cut inside", Reject(550, "", "x"+strings.Repeat("ö", 300)), "550-x" + strings.Repeat("ö", 244) + "\r\n550 " + strings.Repeat("ö", 56)},
		{"text that begins with a digit", Reject(550, "", "3 viruses"), "550 5.0.0 3 viruses"},
		{"line that begins with a digit", TempFail(451, "", "one", "2"), "451-4.0.0 one\r\n451 4.0.0 2"},
		{"32 lines", Reject(550, "", strings.Repeat("x\n", 32)), strings.Repeat("550-x\r\n", 31) + "550 x"},
		{"lowest", TempFail(400, ""), "400 "},
		{"highest", Reject(599, ""), "599 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.r.Err(); err != nil {
				t.Fatal(err)
			}
			if got := string(tt.r.answer().frame); got != string(frames("y"+tt.want+"\x00")) {
				t.Errorf("frame = %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestRefusalMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    *Refusal
	}{
		{"4yz to Reject", Reject(450, "", "x")},
		{"5yz to TempFail", TempFail(550, "", "x")},
		{"2yz", Reject(250, "", "x")},
		{"no code", Reject(0, "", "x")},
		{"negative code", Reject(-550, "", "x")},
		{"four digits", Reject(5500, "", "x")},
		{"enhanced code of class 4", Reject(550, "4.7.1", "x")},
		{"enhanced code of class 5", TempFail(450, "5.7.1", "x")},
		{"enhanced code of class 2", Reject(550, "2.0.0", "x")},
		{"enhanced code of two parts", Reject(550, "5.7", "x")},
		{"enhanced code of four parts", Reject(550, "5.7.1.1", "x")},
		{"enhanced code with four digits", Reject(550, "5.7.1000", "x")},
		{"enhanced code with an empty part", Reject(550, "5..1", "x")},
		{"enhanced code with a sign", Reject(550, "5.-7.1", "x")},
		{"enhanced code with a blank", Reject(550, "5.7.1 ", "x")},
		{"NUL", Reject(550, "", "a\x00b")},
		{"bare CR", Reject(550, "", "a\rb")},
		{"escape", Reject(550, "", "\x1b[2J")},
		{"delete", Reject(550, "", "a\x7f")},
		{"no UTF-8", Reject(550, "", "gr\xf6\xdfer")},
		{"33 lines", Reject(550, "", strings.Repeat("x\n", 33))},
		{"33 lines by cutting", Reject(550, "", strings.Repeat("x", 32*500+1))},
	} {
		if err := tt.r.Err(); !errors.Is(err, ErrReply) {
			t.Errorf("%s: Err() = %v", tt.name, err)
		}
	}
}

func TestRefusalAccessors(t *testing.T) {
	r := Reject(550, "5.7.1", "one\ntwo", "three")
	lines := r.Lines()
	if r.Code() != 550 || r.Enhanced() != "5.7.1" || !slices.Equal(lines, []string{"one", "two", "three"}) || r.Temporary() {
		t.Errorf("%d %s %q %v", r.Code(), r.Enhanced(), r.Lines(), r.Temporary())
	}
	lines[0] = "changed"
	if r.Lines()[0] != "one" {
		t.Error("Lines gives away its own slice")
	}
	for want, r := range map[string]Reply{
		"550 5.7.1 one / two / three": r,
		"421 4.3.2":                   TempFail(421, "4.3.2"),
		"reject":                      DefaultReject,
		"tempfail":                    DefaultTempFail,
		"continue":                    Continue,
		"accept":                      Accept,
		"discard":                     Discard,
		"skip":                        Skip,
	} {
		if got := r.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
	for _, r := range []Reply{AcceptMessage, AcceptConnection} {
		if got := r.String(); got != "accept" {
			t.Errorf("String() = %q", got)
		}
	}
	if !DefaultTempFail.Temporary() || DefaultTempFail.Code() != 451 || DefaultReject.Temporary() || len(DefaultReject.Lines()) != 0 {
		t.Error("accessors of the default refusals")
	}
}

// Whatever text is given, what is sent is what Sendmail and Postfix take, or there
// is an error.
func FuzzRefusal(f *testing.F) {
	f.Add(550, "5.7.1", "100% of it\r\nis bad")
	f.Add(451, "", strings.Repeat("long ", 300))
	f.Add(421, "4.3.2", "ö")
	f.Fuzz(func(t *testing.T, code int, xcode, text string) {
		make := Reject
		if code/100 == 4 {
			make = TempFail
		}
		r := make(code, xcode, text)
		if r.Err() != nil {
			if r.answer().frame != nil {
				t.Fatal("a frame in spite of an error")
			}
			return
		}
		b := r.answer().frame
		payload := string(b[wire.HeadSize:])
		if int(b[2])<<8|int(b[3]) != len(b)-4 || b[4] != 'y' || !strings.HasSuffix(payload, "\x00") || strings.Count(payload, "\x00") != 1 {
			t.Fatalf("frame = %q", b)
		}
		lines := strings.Split(strings.TrimSuffix(payload, "\x00"), "\r\n")
		if len(lines) > 32 {
			t.Fatalf("%d lines", len(lines))
		}
		var plain []string
		for i, line := range lines {
			prefix := fmt.Sprintf("%d-", code)
			if i == len(lines)-1 {
				prefix = fmt.Sprintf("%d ", code)
			}
			if xcode != "" {
				prefix += xcode + " "
			}
			rest, ok := strings.CutPrefix(line, prefix)
			undoubled := strings.ReplaceAll(rest, "%%", "")
			if !ok || strings.ContainsAny(line, "\r\n") || strings.Contains(undoubled, "%") || !utf8.ValidString(line) {
				t.Fatalf("line %q", line)
			}
			rest = strings.ReplaceAll(rest, "%%", "%")
			if len(rest) > 500 {
				t.Fatalf("line of %d bytes", len(rest))
			}
			plain = append(plain, rest)
		}
		squeeze := func(s string) string { return strings.NewReplacer(" ", "", "\n", "", "\r", "").Replace(s) }
		if got, want := squeeze(strings.Join(plain, "")), squeeze(text); got != want {
			t.Fatalf("text %q became %q", want, got)
		}
	})
}
