package milter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
)

// atEnd plays the end of a message in whose hook do is called, and returns the
// frames that leave.
func atEnd(t *testing.T, h Hooks, n wire.Negotiation, lead []string, do func(*Edits)) []string {
	t.Helper()
	h.End = func(_ context.Context, e *Edits) EndReply { do(e); return Accept }
	p := serve(t, filter(h)).dial(t)
	p.negotiate(n.Version, n.Actions, n.Protocol)
	p.write(lead...)
	p.write("E")
	var got []string
	for {
		f := p.read()
		if got = append(got, f); f == "a" {
			return got
		}
	}
}

var everything = wire.Negotiation{Version: 6, Actions: wire.CurrentActions, Protocol: wire.CurrentProtocol}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestEditFrames(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*Edits) error
		want string
	}{
		{"insert at the top", func(e *Edits) error { return e.InsertHeader(0, "X", "v") }, "i\x00\x00\x00\x00X\x00v\x00"},
		{"insert further down", func(e *Edits) error { return e.InsertHeader(7, "X", "v") }, "i\x00\x00\x00\x07X\x00v\x00"},
		{"insert past the end", func(e *Edits) error { return e.InsertHeader(1<<40, "X", "v") }, "i\x00\x01\x00\x00X\x00v\x00"},
		{"insert an empty value", func(e *Edits) error { return e.InsertHeader(0, "X", "") }, "i\x00\x00\x00\x00X\x00\x00"},
		{"add where Sendmail would not look", func(e *Edits) error { return e.AddHeader("X", "v") }, "i\x00\x01\x00\x00X\x00v\x00"},
		{"change the first", func(e *Edits) error { return e.ChangeHeader("X", 1, "v") }, "m\x00\x00\x00\x01X\x00v\x00"},
		{"change the third", func(e *Edits) error { return e.ChangeHeader("X", 3, "v") }, "m\x00\x00\x00\x03X\x00v\x00"},
		{"change to nothing", func(e *Edits) error { return e.ChangeHeader("X", 1, "") }, "m\x00\x00\x00\x01X\x00\x00"},
		{"delete", func(e *Edits) error { return e.DeleteHeader("X", 2) }, "m\x00\x00\x00\x02X\x00\x00"},
		{"fold with CRLF", func(e *Edits) error { return e.InsertHeader(0, "X", "one\r\n\ttwo\r\n three") }, "i\x00\x00\x00\x00X\x00one\n\ttwo\n three\x00"},
		{"fold with LF", func(e *Edits) error { return e.InsertHeader(0, "X", "one\n two") }, "i\x00\x00\x00\x00X\x00one\n two\x00"},
		{"fold at once", func(e *Edits) error { return e.InsertHeader(0, "X", "\n two") }, "i\x00\x00\x00\x00X\x00\n two\x00"},
		{"8-bit value", func(e *Edits) error { return e.InsertHeader(0, "X", "gr\xf6\xdfer") }, "i\x00\x00\x00\x00X\x00gr\xf6\xdfer\x00"},
		{"name of odd bytes", func(e *Edits) error { return e.InsertHeader(0, "!#$%;~", "v") }, "i\x00\x00\x00\x00!#$%;~\x00v\x00"},
		{"add a recipient", func(e *Edits) error { return e.AddRcpt("a@b") }, "+<a@b>\x00"},
		{"add a recipient in brackets", func(e *Edits) error { return e.AddRcpt("<a@b>") }, "+<a@b>\x00"},
		{"a line of 998 bytes", func(e *Edits) error {
			return e.InsertHeader(0, "X", strings.Repeat("x", 995)+"\n "+strings.Repeat("y", 997))
		},
			"i\x00\x00\x00\x00X\x00" + strings.Repeat("x", 995) + "\n " + strings.Repeat("y", 997) + "\x00"},
		{"parameters in other letters", func(e *Edits) error { return e.AddRcpt("a@b", "notify=success,Delay", "Orcpt=rfc822;x+2Bz") }, "2<a@b>\x00notify=success,Delay Orcpt=rfc822;x+2Bz\x00"},
		{"add a recipient with parameters", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY=NEVER", "ORCPT=rfc822;x") }, "2<a@b>\x00NOTIFY=NEVER ORCPT=rfc822;x\x00"},
		{"add a quoted recipient", func(e *Edits) error { return e.AddRcpt(`"a b>"@c`) }, `+<"a b>"@c>` + "\x00"},
		{"add a UTF-8 recipient", func(e *Edits) error { return e.AddRcpt("ö@ü") }, "+<ö@ü>\x00"},
		{"delete a recipient", func(e *Edits) error { return e.DeleteRcpt("a@b") }, "-<a@b>\x00"},
		{"delete a recipient with a source route", func(e *Edits) error { return e.DeleteRcpt("<@x,@y:a@b>") }, "-<@x,@y:a@b>\x00"},
		{"delete a recipient in brackets", func(e *Edits) error { return e.DeleteRcpt("<a@b>") }, "-<a@b>\x00"},
		{"change the sender", func(e *Edits) error { return e.ChangeFrom("a@b") }, "e<a@b>\x00"},
		{"change the sender with parameters", func(e *Edits) error { return e.ChangeFrom("<a@b>", "RET=HDRS", "ENVID=1") }, "e<a@b>\x00RET=HDRS ENVID=1\x00"},
		{"null sender", func(e *Edits) error { return e.ChangeFrom("") }, "e<>\x00"},
		{"null sender in brackets", func(e *Edits) error { return e.ChangeFrom("<>") }, "e<>\x00"},
		{"quarantine", func(e *Edits) error { return e.Quarantine("it smells 100%") }, "qit smells 100%\x00"},
		{"body", func(e *Edits) error { return e.ReplaceBody(strings.NewReader("new\r\n")) }, "bnew\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := atEnd(t, Hooks{}, everything, nil, func(e *Edits) { must(t, tt.do(e)) })
			if len(got) != 2 || got[0] != tt.want {
				t.Errorf("frames = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLeadingSpaceInEdits(t *testing.T) {
	do := func(e *Edits) {
		must(t, e.InsertHeader(0, "X", "v"))
		must(t, e.InsertHeader(0, "X", "one\n two"))
		must(t, e.InsertHeader(0, "X", ""))
		must(t, e.ChangeHeader("Y", 2, "v"))
		must(t, e.DeleteHeader("Y", 1))
	}
	got := atEnd(t, Hooks{LeadingSpace: true}, everything, nil, do)
	want := []string{"m\x00\x00\x00\x02Y\x00 v\x00", "m\x00\x00\x00\x01Y\x00\x00",
		"i\x00\x00\x00\x00X\x00 v\x00", "i\x00\x00\x00\x00X\x00 one\n two\x00", "i\x00\x00\x00\x00X\x00 \x00", "a"}
	if !slices.Equal(got, want) {
		t.Errorf("granted: %q", got)
	}
	n := everything
	n.Protocol &^= wire.LeadingSpace
	got = atEnd(t, Hooks{LeadingSpace: true}, n, nil, do)
	for i := range want {
		want[i] = strings.Replace(want[i], "\x00 ", "\x00", 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("not granted: %q", got)
	}
}

// ADDHEADER means the end of the header to Postfix, and to Sendmail the place of
// the first field of that name.
func TestAddHeaderChoosesItsFrame(t *testing.T) {
	h, i := "hX\x00v\x00", "i\x00\x01\x00\x00X\x00v\x00"
	seesHeaders := Hooks{Header: new(notes).hooks(nil).Header, Silent: Stages(StageHeader)}
	for _, tt := range []struct {
		name  string
		hooks Hooks
		lead  []string
		field string
		want  string
	}{
		{"Postfix by macro v", Hooks{}, []string{"DCv\x00Postfix 3.7.11\x00"}, "X", h},
		{"Postfix by macros of header", Hooks{}, []string{"DLi\x00Q\x00"}, "X", h},
		{"Postfix by macros of body", Hooks{}, []string{"DB"}, "X", h},
		{"Postfix by macros of unknown", Hooks{}, []string{"DU"}, "X", h},
		{"another v", Hooks{}, []string{"DCv\x008.17.1\x00"}, "X", i},
		{"nothing known", Hooks{}, nil, "X", i},
		{"nothing known, but Sendmail may have one of its own", Hooks{}, nil, "Date", "hDate\x00v\x00"},
		{"the same in another case", Hooks{}, nil, "MESSAGE-ID", "hMESSAGE-ID\x00v\x00"},
		{"field not in the message", seesHeaders, []string{"LY\x00\x00"}, "X", h},
		{"Received not in the message, but there is Sendmail's", seesHeaders, []string{"LY\x00\x00"}, "Received", "i\x00\x01\x00\x00Received\x00v\x00"},
		{"field in the message", seesHeaders, []string{"LX\x00\x00"}, "X", i},
		{"Sendmail's own is in the message", seesHeaders, []string{"LDate\x00\x00"}, "Date", "i\x00\x01\x00\x00Date\x00v\x00"},
		{"Sendmail's own is in the message in another case", seesHeaders, []string{"LdATe\x00\x00"}, "Date", "i\x00\x01\x00\x00Date\x00v\x00"},
		{"Sendmail's own is not in the message", seesHeaders, []string{"LX\x00\x00"}, "Date", "hDate\x00v\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lead := tt.lead
			if tt.hooks.Header != nil { // the message begins somehow
				lead = slices.Concat([]string{"LZ\x00\x00"}, lead)
			}
			got := atEnd(t, tt.hooks, everything, lead, func(e *Edits) { must(t, e.AddHeader(tt.field, "v")) })
			if got[0] != tt.want {
				t.Errorf("frame = %q, want %q", got[0], tt.want)
			}
		})
	}
	got := atEnd(t, seesHeaders, everything, []string{"LZ\x00\x00"}, func(e *Edits) {
		must(t, e.InsertHeader(0, "X", "top"))
		must(t, e.AddHeader("X", "v"))
		must(t, e.AddHeader("Y", "v"))
		must(t, e.AddHeader("y", "v"))
		must(t, e.InsertHeader(0, "Date", "top"))
		must(t, e.AddHeader("Date", "v"))
	})
	if want := []string{"i\x00\x00\x00\x00X\x00top\x00", i, "hY\x00v\x00", "i\x00\x01\x00\x00y\x00v\x00",
		"i\x00\x00\x00\x00Date\x00top\x00", "hDate\x00v\x00", "a"}; !slices.Equal(got, want) {
		t.Errorf("fields of one name: %q\nwant %q", got, want)
	}
	h, i = "hDate\x00v\x00", "i\x00\x01\x00\x00Date\x00v\x00"
	got = atEnd(t, seesHeaders, everything, []string{"LZ\x00\x00"}, func(e *Edits) {
		must(t, e.AddHeader("Date", "v"))
		must(t, e.AddHeader("Date", "v")) // now there is one of the name
	})
	if !slices.Equal(got, []string{h, i, "a"}) {
		t.Errorf("two fields of one name: %q", got)
	}
	again := filter(seesHeaders) // and none in the next message
	h2 := seesHeaders
	h2.End = func(_ context.Context, e *Edits) EndReply { must(t, e.AddHeader("Date", "v")); return Accept }
	again.New = func(*Session) Hooks { return h2 }
	p := serve(t, again).dial(t)
	p.offer()
	p.talk(">LDate\x00\x00", ">E", "<"+i, "<a", ">LY\x00\x00", ">E", "<"+h, "<a", // the next message has its own fields,
		">LDate\x00\x00", ">A", ">LY\x00\x00", ">E", "<"+h, "<a") // and the one after an abort
}

// A change of a field that is not there is an addition, as far as the server
// knows what is there.
func TestChangeHeaderBeyondTheLast(t *testing.T) {
	hooks := Hooks{Header: new(notes).hooks(nil).Header, Silent: Stages(StageHeader)}
	lead := []string{"LX\x00\x00", "Lx\x00\x00", "LXY\x00\x00"}
	do := func(e *Edits) {
		must(t, e.InsertHeader(0, "A", "1"))
		must(t, e.ChangeHeader("X", 4, "four"))
		must(t, e.DeleteHeader("X", 5))
		must(t, e.AddHeader("X", "new"))
		must(t, e.ChangeHeader("X", 3, "lost"))
		must(t, e.ChangeHeader("X", 3, "three"))
		must(t, e.ChangeHeader("Date", 1, "now"))
		must(t, e.ChangeHeader("X", 1, "one"))
		must(t, e.DeleteHeader("X", 2))
		must(t, e.ChangeHeader("Z", 1, "one"))
		must(t, e.ChangeHeader("Z", 2, "two"))
	}
	at := func(field string) string { return "i\x00\x01\x00\x00" + field }
	for v, want := range map[string][]string{
		"8.18.1":         {at("X\x00four\x00"), at("X\x00new\x00"), at("X\x00three\x00"), "hDate\x00now\x00", "hZ\x00one\x00", at("Z\x00two\x00"), "a"},
		"Postfix 3.7.11": {"hX\x00four\x00", "hX\x00new\x00", "hX\x00three\x00", "hDate\x00now\x00", "hZ\x00one\x00", "hZ\x00two\x00", "a"},
	} {
		want = slices.Concat([]string{"m\x00\x00\x00\x02X\x00\x00", "m\x00\x00\x00\x01X\x00one\x00", "i\x00\x00\x00\x00A\x001\x00"}, want)
		got := atEnd(t, hooks, everything, slices.Concat([]string{"DCv\x00" + v + "\x00"}, lead), do)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q\nwant %q", v, got, want)
		}
	}

	far := []string{"m\x00\x00\x00\x05X\x00\x00", "m\x00\x00\x00\x04X\x00four\x00", "m\x00\x00\x00\x03X\x00three\x00"}
	got := atEnd(t, Hooks{}, everything, nil, do)
	if !slices.Equal(got[:3], far) {
		t.Errorf("without a Header hook: %q", got)
	}
	spaced := hooks
	spaced.LeadingSpace = true
	got = atEnd(t, spaced, everything, lead, func(e *Edits) {
		must(t, e.ChangeHeader("X", 4, "four"))
		must(t, e.DeleteHeader("X", 5))
	})
	if !slices.Equal(got, []string{at("X\x00 four\x00"), "a"}) {
		t.Errorf("with leading space: %q", got)
	}
	only := hooks
	only.Actions = CanChangeHeaders
	got = atEnd(t, only, everything, lead, func(e *Edits) { must(t, e.ChangeHeader("X", 4, "four")) })
	if !slices.Equal(got, []string{far[1], "a"}) {
		t.Errorf("without additions granted: %q", got)
	}
}

func TestOrderOfEdits(t *testing.T) {
	got := atEnd(t, Hooks{}, everything, nil, func(e *Edits) {
		must(t, e.ReplaceBody(strings.NewReader("lost")))
		must(t, e.Quarantine("lost"))
		must(t, e.ChangeFrom("f@x"))
		must(t, e.InsertHeader(1, "B", "2"))
		must(t, e.DeleteHeader("R", 1))
		must(t, e.AddRcpt("r@x"))
		must(t, e.ChangeHeader("S", 2, "lost"))
		must(t, e.DeleteHeader("R", 3))
		must(t, e.InsertHeader(0, "A", "1"))
		must(t, e.ReplaceBody(strings.NewReader("body")))
		must(t, e.ChangeHeader("s", 2, "lost too"))
		must(t, e.DeleteRcpt("d@x"))
		must(t, e.DeleteHeader("R", 2))
		must(t, e.ChangeHeader("S", 2, "last"))
		must(t, e.ChangeHeader("S", 12, "x"))
		must(t, e.Quarantine("why"))
		must(t, e.ChangeFrom("g@x"))
	})
	want := []string{
		"m\x00\x00\x00\x0cS\x00x\x00", "m\x00\x00\x00\x03R\x00\x00", "m\x00\x00\x00\x02R\x00\x00", "m\x00\x00\x00\x02S\x00last\x00", "m\x00\x00\x00\x01R\x00\x00",
		"i\x00\x00\x00\x01B\x002\x00", "i\x00\x00\x00\x00A\x001\x00",
		"e<f@x>\x00", "+<r@x>\x00", "-<d@x>\x00", "e<g@x>\x00", "qwhy\x00", "bbody", "a",
	}
	if !slices.Equal(got, want) {
		t.Errorf("frames = %q\nwant %q", got, want)
	}
}

func TestEditsThatCannotBeMade(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*Edits) error
	}{
		{"header without a name", func(e *Edits) error { return e.AddHeader("", "v") }},
		{"colon in a name", func(e *Edits) error { return e.AddHeader("X:", "v") }},
		{"blank in a name", func(e *Edits) error { return e.InsertHeader(0, "X Y", "v") }},
		{"tab in a name", func(e *Edits) error { return e.InsertHeader(0, "X\t", "v") }},
		{"newline in a name", func(e *Edits) error { return e.ChangeHeader("X\nY", 1, "v") }},
		{"NUL in a name", func(e *Edits) error { return e.DeleteHeader("X\x00", 1) }},
		{"8-bit name", func(e *Edits) error { return e.AddHeader("Größe", "v") }},
		{"delete byte in a name", func(e *Edits) error { return e.AddHeader("X\x7f", "v") }},
		{"NUL in a value", func(e *Edits) error { return e.AddHeader("X", "a\x00b") }},
		{"bare CR in a value", func(e *Edits) error { return e.AddHeader("X", "a\rb") }},
		{"CR CR LF in a value", func(e *Edits) error { return e.AddHeader("X", "a\r\r\n b") }},
		{"another field in a value", func(e *Edits) error { return e.AddHeader("X", "a\nEvil: b") }},
		{"another field by CRLF", func(e *Edits) error { return e.InsertHeader(0, "X", "a\r\nEvil: b") }},
		{"body in a value", func(e *Edits) error { return e.ChangeHeader("X", 1, "a\n\nbody") }},
		{"newline at the end of a value", func(e *Edits) error { return e.AddHeader("X", "a\n") }},
		{"negative position", func(e *Edits) error { return e.InsertHeader(-1, "X", "v") }},
		{"field number 0", func(e *Edits) error { return e.ChangeHeader("X", 0, "v") }},
		{"negative field number", func(e *Edits) error { return e.DeleteHeader("X", -1) }},
		{"field number past all", func(e *Edits) error { return e.DeleteHeader("X", 1<<31) }},
		{"no recipient", func(e *Edits) error { return e.AddRcpt("") }},
		{"null recipient", func(e *Edits) error { return e.AddRcpt("<>") }},
		{"delete no recipient", func(e *Edits) error { return e.DeleteRcpt("<>") }},
		{"NUL in an address", func(e *Edits) error { return e.AddRcpt("a@b\x00NOTIFY=NEVER") }},
		{"newline in an address", func(e *Edits) error { return e.ChangeFrom("a@b\r\n") }},
		{"two addresses", func(e *Edits) error { return e.AddRcpt("a@b,c@d") }},
		{"blank in an address", func(e *Edits) error { return e.AddRcpt("a@b c@d") }},
		{"brackets in an address", func(e *Edits) error { return e.DeleteRcpt("a@b> <c@d") }},
		{"line of more than 998 bytes", func(e *Edits) error { return e.AddHeader("X", strings.Repeat("x", 996)) }},
		{"second line of more than 998 bytes", func(e *Edits) error { return e.AddHeader("X", "a\r\n "+strings.Repeat("x", 998)) }},
		{"two parameters in one", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY=NEVER ORCPT=rfc822;x") }},
		{"empty parameter", func(e *Edits) error { return e.ChangeFrom("a@b", "") }},
		{"NUL in a parameter", func(e *Edits) error { return e.ChangeFrom("a@b", "ENVID=x\x00") }},
		{"unknown parameter of a recipient", func(e *Edits) error { return e.AddRcpt("a@b", "FOO=bar") }},
		{"unknown parameter of a sender", func(e *Edits) error { return e.ChangeFrom("a@b", "SIZE=1") }},
		{"parameter of a sender for a recipient", func(e *Edits) error { return e.AddRcpt("a@b", "RET=FULL") }},
		{"parameter of a recipient for a sender", func(e *Edits) error { return e.ChangeFrom("a@b", "NOTIFY=NEVER") }},
		{"NOTIFY without a value", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY") }},
		{"NOTIFY of nothing", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY=") }},
		{"NOTIFY of something else", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY=SOMETIMES") }},
		{"NOTIFY of never and sometimes", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY=NEVER,DELAY") }},
		{"NOTIFY with a comma too much", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY=DELAY,") }},
		{"ORCPT without a type", func(e *Edits) error { return e.AddRcpt("a@b", "ORCPT=c@d") }},
		{"ORCPT without an address", func(e *Edits) error { return e.AddRcpt("a@b", "ORCPT=rfc822;") }},
		{"ORCPT that is no xtext", func(e *Edits) error { return e.AddRcpt("a@b", "ORCPT=rfc822;c+d") }},
		{"a parameter twice", func(e *Edits) error { return e.AddRcpt("a@b", "NOTIFY=DELAY", "notify=NEVER") }},
		{"RET of something else", func(e *Edits) error { return e.ChangeFrom("a@b", "RET=SOME") }},
		{"ENVID of nothing", func(e *Edits) error { return e.ChangeFrom("a@b", "ENVID=") }},
		{"ENVID with a blank", func(e *Edits) error { return e.ChangeFrom("a@b", "ENVID=a b") }},
		{"ENVID with an equals sign", func(e *Edits) error { return e.ChangeFrom("a@b", "ENVID=a=b") }},
		{"quarantine without a reason", func(e *Edits) error { return e.Quarantine("") }},
		{"reason of two lines", func(e *Edits) error { return e.Quarantine("a\nb") }},
		{"NUL in a reason", func(e *Edits) error { return e.Quarantine("a\x00") }},
		{"nil body", func(e *Edits) error { return e.ReplaceBody(nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := atEnd(t, Hooks{}, everything, nil, func(e *Edits) {
				if err := tt.do(e); !errors.Is(err, ErrEdit) || !strings.HasPrefix(err.Error(), "milter: ") {
					t.Errorf("error = %v, want %v", err, ErrEdit)
				}
			})
			if len(got) != 1 {
				t.Errorf("frames = %.200q", got)
			}
		})
	}
}

// edits calls every method of Edits with harmless arguments.
func edits(e *Edits) map[Actions][]error {
	return map[Actions][]error{
		CanAddHeaders:    {e.AddHeader("X", "v"), e.InsertHeader(0, "X", "v")},
		CanChangeHeaders: {e.ChangeHeader("X", 1, "v"), e.DeleteHeader("X", 1)},
		CanChangeBody:    {e.ReplaceBody(strings.NewReader("x"))},
		CanAddRcpt:       {e.AddRcpt("a@b")},
		CanAddRcptParams: {e.AddRcpt("a@b", "NOTIFY=NEVER")},
		CanDeleteRcpt:    {e.DeleteRcpt("a@b")},
		CanChangeFrom:    {e.ChangeFrom("a@b"), e.ChangeFrom("a@b", "RET=HDRS")},
		CanQuarantine:    {e.Quarantine("why")},
	}
}

func TestEditsThatAreNotGranted(t *testing.T) {
	for i := range 9 {
		only := Actions(1) << i
		for _, who := range []string{"MTA", "filter"} {
			n, h := everything, Hooks{}
			if who == "MTA" {
				n.Actions = only
			} else if h.Actions = only; only == wire.SetMacros {
				h.Actions = NoEdits
			}
			atEnd(t, h, n, nil, func(e *Edits) {
				for need, errs := range edits(e) {
					for j, err := range errs {
						switch {
						case need == only:
							must(t, err)
						case !errors.Is(err, ErrNotGranted) || !strings.Contains(err.Error(), need.String()):
							t.Errorf("the %s grants %v only: edit %v %d: %v", who, only, need, j, err)
						}
					}
				}
			})
		}
	}
}

func TestEditsAfterTheHook(t *testing.T) {
	var kept *Edits
	ended := make(chan struct{})
	var wg sync.WaitGroup
	h := Hooks{End: func(_ context.Context, e *Edits) EndReply {
		kept = e
		wg.Go(func() {
			<-ended
			for need, errs := range edits(e) {
				for i, err := range errs {
					if err != ErrEnded {
						t.Errorf("%v %d from a goroutine: %v", need, i, err)
					}
				}
			}
		})
		return Accept
	}}
	p := serve(t, filter(h)).dial(t)
	p.offer()
	p.want("a", "E")
	close(ended)
	wg.Wait()
	for need, errs := range edits(kept) {
		for i, err := range errs {
			if err != ErrEnded {
				t.Errorf("%v %d: %v", need, i, err)
			}
		}
	}
	p.want("a", "E") // and nothing of it shows
}

func TestEditsFromManyGoroutines(t *testing.T) {
	got := atEnd(t, Hooks{}, everything, nil, func(e *Edits) {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				must(t, e.InsertHeader(0, fmt.Sprintf("X-%d", i), "v"))
				must(t, e.ChangeHeader(fmt.Sprintf("Y-%d", i), 1, "v"))
				must(t, e.AddRcpt(fmt.Sprintf("%d@x", i)))
				must(t, e.Quarantine("why"))
				must(t, e.ReplaceBody(strings.NewReader("b")))
			})
		}
		wg.Wait()
	})
	seen := map[string]bool{}
	for _, f := range got {
		seen[f] = true
	}
	if len(got) != 3*50+3 || len(seen) != len(got) {
		t.Errorf("%d frames, %d different", len(got), len(seen))
	}
}

func TestEditsAreSentOnlyWithAccept(t *testing.T) {
	for _, tt := range []struct {
		reply Reply
		want  []string
	}{
		{Accept, []string{"i\x00\x00\x00\x00X\x00v\x00", "qwhy\x00", "bnew", "a"}},
		{Continue, []string{"i\x00\x00\x00\x00X\x00v\x00", "qwhy\x00", "bnew", "c"}},
		{Discard, []string{"d"}},
		{DefaultReject, []string{"r"}},
		{TempFail(451, "4.7.1", "later"), []string{"y451 4.7.1 later\x00"}},
		{nil, []string{failedFrame}},
	} {
		h := Hooks{End: func(_ context.Context, e *Edits) EndReply {
			must(t, e.InsertHeader(0, "X", "v"))
			must(t, e.Quarantine("why"))
			must(t, e.ReplaceBody(strings.NewReader("new")))
			r, _ := tt.reply.(EndReply)
			return r
		}}
		p := serve(t, filter(h)).dial(t)
		p.offer()
		p.write("E")
		p.expect(tt.want...)
		p.want(tt.want[0], "E") // the next message is the same again
		p.expect(tt.want[1:]...)
	}
}

func TestEditLimit(t *testing.T) {
	m := new(counts)
	var got error
	var size int
	s := filter(Hooks{End: func(_ context.Context, e *Edits) EndReply {
		for size = 0; got == nil; size++ {
			got = e.InsertHeader(0, "X", folded(1009)) // frames of 1024 bytes
		}
		must(t, e.AddRcpt("a@b"))
		return Accept
	}})
	s.Metrics, s.MaxEditBytes = m, 10*1024+20
	p := serve(t, s).dial(t)
	p.offer()
	p.write("E")
	for range 10 {
		if f := p.read(); f[0] != 'i' {
			t.Fatalf("got %.50q", f)
		}
	}
	p.expect("+<a@b>\x00", "a")
	if !errors.Is(got, ErrEditLimit) || size != 11 {
		t.Errorf("edit %d: %v", size, got)
	}
	if _, _, limits := m.got(); !slices.Equal(limits, []string{LimitEdits}) {
		t.Errorf("limits = %q", limits)
	}
}

// folded returns a value of n bytes in short lines.
func folded(n int) string { return strings.Repeat("x\n ", n/3) + strings.Repeat("x", n%3) }

func TestDefaultEditLimit(t *testing.T) {
	s := filter(Hooks{End: func(_ context.Context, e *Edits) EndReply {
		var err error
		n := 0
		for ; err == nil; n++ {
			err = e.ChangeHeader("X", n+1, folded(65000))
		}
		if !errors.Is(err, ErrEditLimit) || n-1 != 8<<20/65016 {
			t.Errorf("after %d edits: %v", n, err)
		}
		return Discard
	}})
	p := serve(t, s).dial(t)
	p.offer()
	p.want("d", "E")
	s = filter(Hooks{End: func(_ context.Context, e *Edits) EndReply {
		for n := range 200 {
			must(t, e.ChangeHeader("X", n+1, folded(65000)))
		}
		return Discard
	}})
	s.MaxEditBytes = -1
	p = serve(t, s).dial(t)
	p.offer()
	p.want("d", "E")
}

// One edit that is too large, or one too many, leaves those before it as they were.
func TestRefusedEditHarmsNoOther(t *testing.T) {
	long := folded(65535)
	longAddress := strings.Repeat("x", 65535)
	got := atEnd(t, Hooks{}, everything, nil, func(e *Edits) {
		must(t, e.ChangeHeader("X", 1, "first"))
		must(t, e.InsertHeader(0, "Y", "first"))
		must(t, e.AddRcpt("a@b"))
		must(t, e.Quarantine("first"))
		for name, err := range map[string]error{
			"change":     e.ChangeHeader("X", 1, long),
			"insert":     e.InsertHeader(0, "Y", long),
			"recipient":  e.DeleteRcpt(longAddress),
			"quarantine": e.Quarantine(longAddress),
		} {
			if !errors.Is(err, ErrEditLimit) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	want := []string{"m\x00\x00\x00\x01X\x00first\x00", "i\x00\x00\x00\x00Y\x00first\x00", "+<a@b>\x00", "qfirst\x00", "a"}
	if !slices.Equal(got, want) {
		t.Errorf("frames = %.300q", got)
	}
}

func TestLargestEdit(t *testing.T) {
	fits := folded(65535 - 4 - 3) // index, name, two NULs
	got := atEnd(t, Hooks{}, everything, nil, func(e *Edits) {
		must(t, e.InsertHeader(0, "X", fits))
		if err := e.InsertHeader(0, "X", fits+"x"); !errors.Is(err, ErrEditLimit) {
			t.Errorf("one byte more: %v", err)
		}
		must(t, e.Quarantine(strings.Repeat("q", 65534)))
		if err := e.Quarantine(strings.Repeat("q", 65535)); !errors.Is(err, ErrEditLimit) {
			t.Errorf("one byte more: %v", err)
		}
	})
	if len(got) != 3 || len(got[0]) != 1+65535 || len(got[1]) != 1+65535 {
		t.Errorf("%d frames", len(got))
	}
	n := everything
	n.Protocol |= wire.Data1M
	got = atEnd(t, Hooks{DataSize: 1 << 20}, n, nil, func(e *Edits) { must(t, e.InsertHeader(0, "X", fits+fits)) })
	if len(got) != 2 {
		t.Errorf("%d frames with 1 MiB granted", len(got))
	}
}
