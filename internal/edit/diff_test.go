package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/message"
	"pgregory.net/rapid"
)

// headerOf makes a header of lines such as "A: b".
func headerOf(lines ...string) message.Header {
	var h message.Header
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		h = append(h, message.NewField(name, value, lineEnd))
	}
	return h
}

func lines(h message.Header) (out []string) {
	for _, f := range h {
		out = append(out, strings.TrimSuffix(string(f.Raw()), lineEnd))
	}
	return out
}

func TestDiffHeader(t *testing.T) {
	base := []string{"A: 1", "B: 1", "A: 2", "C: 1"}
	for _, tt := range []struct {
		name              string
		to                []string
		own               int
		postfix, sendmail string
	}{
		{"nothing", base, 0, "", ""},
		{"added at the end", []string{"A: 1", "B: 1", "A: 2", "C: 1", "D: 1", "A: 3"}, 0, "addheader D=1, addheader A=3", ""},
		{"inserted on top", []string{"X: 1", "Y: 1", "A: 1", "B: 1", "A: 2", "C: 1"}, 2, "insheader 0 X=1, insheader 1 Y=1", ""},
		{"inserted below Received", []string{"X: 1", "A: 1", "B: 1", "A: 2", "C: 1"}, 0, "insheader 1 X=1", ""},
		{"inserted above and below Received", []string{"X: 1", "Y: 1", "A: 1", "B: 1", "A: 2", "C: 1"}, 1, "insheader 0 X=1, insheader 2 Y=1", ""},
		{"inserted in the middle", []string{"A: 1", "X: 1", "Y: 1", "B: 1", "A: 2", "C: 1"}, 0, "insheader 2 X=1, insheader 3 Y=1", "insheader 9 X=1, insheader 10 Y=1"},
		{"changed", []string{"A: 1", "B: 2", "A: 3", "C: 1"}, 0, "chgheader 2 A=3, chgheader 1 B=2", ""},
		{"changed in the spelling of its name", []string{"A: 1", "b: 1", "A: 2", "C: 1"}, 0, "delheader 1 B, insheader 2 b=1", "delheader 1 B, insheader 10 b=1"},
		{"emptied", []string{"A: 1", "B: ", "A: 2", "C: 1"}, 0, "delheader 1 B, insheader 2 B=", "delheader 1 B, insheader 10 B="},
		{"deleted", []string{"B: 1", "C: 1"}, 0, "delheader 2 A, delheader 1 A", ""},
		{"deleted, then inserted", []string{"A: 1", "A: 2", "X: 1", "C: 1"}, 0, "delheader 1 B, insheader 3 X=1", "delheader 1 B, insheader 11 X=1"},
		{"all replaced", []string{"X: 1"}, 0, "delheader 1 C, delheader 2 A, delheader 1 B, delheader 1 A, addheader X=1", ""},
		{"two values swapped", []string{"A: 2", "B: 1", "A: 1", "C: 1"}, 0, "chgheader 2 A=1, chgheader 1 A=2", ""},
		{"one of Sendmail's own at the end", append(slices.Clone(base), "Date: now"), 0, "addheader Date=now", ""},
		{"one of Sendmail's own in the middle", []string{"A: 1", "Date: now", "B: 1", "A: 2", "C: 1"}, 0, "insheader 2 Date=now", "addheader Date=now"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for mta, want := range []string{Sendmail: tt.sendmail, Postfix: tt.postfix} {
				if want == "" {
					want = tt.postfix
				}
				var got []string
				for _, e := range DiffHeader(MTA(mta), headerOf(base...), headerOf(tt.to...), tt.own) {
					s := e.Action.String()
					if e.Action != AddHeader {
						s += fmt.Sprint(" ", e.Index)
					}
					if s += " " + e.Name; e.Action != DeleteHeader {
						s += "=" + e.Value
					}
					got = append(got, s)
				}
				if g := strings.Join(got, ", "); g != want {
					t.Errorf("MTA %d: %s, want %s", mta, g, want)
				}
			}
		})
	}
}

// Whatever the two headers are, the edits make the one into the other on the MTA
// that they were made for, and are no more than the least.
func TestDiffHeaderMakesTheOtherHeader(t *testing.T) {
	field := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"A", "a", "B", "Long-Name"}).Draw(t, "name") + ": " + rapid.SampledFrom([]string{"", "1", "2", "x\n y"}).Draw(t, "value")
	})
	rapid.Check(t, func(t *rapid.T) {
		from := headerOf(rapid.SliceOfN(field, 0, 8).Draw(t, "from")...)
		var to message.Header
		if rapid.Bool().Draw(t, "related") {
			for _, f := range from {
				switch rapid.IntRange(0, 5).Draw(t, "what") {
				case 0:
				case 1:
					to = append(to, headerOf(field.Draw(t, "more"))[0], f)
				case 2:
					to = append(to, headerOf(f.Name() + ": new")[0])
				default:
					to = append(to, f)
				}
			}
		} else {
			to = headerOf(rapid.SliceOfN(field, 0, 8).Draw(t, "to")...)
		}
		own := rapid.IntRange(0, min(2, len(to))).Draw(t, "own")
		for _, mta := range []MTA{Sendmail, Postfix} {
			edits := DiffHeader(mta, from, to, own)
			if least := len(to[:own]) + distance(from, to[own:]); len(edits) != least {
				t.Errorf("%d edits from %q to %q, want %d: %v", len(edits), lines(from), lines(to), least, edits)
			}
			received := headerOf("Received: own")[0]
			ed := New(mta, message.Message{Header: from, Break: []byte(lineEnd)}, received, Envelope{From: "a@b"})
			ed.Begin(false)
			for _, e := range edits {
				if e.Action == AddHeader && mta == Sendmail { // as milter.Edits does, since ADDHEADER goes before the first of the name
					e.Action, e.Index = InsertHeader, 1<<16
				}
				if err := ed.Apply(e); err != nil {
					t.Fatal(err)
				}
			}
			want := slices.Insert(slices.Clone(to), own, received)
			if got := ed.Message(true).Header; !bytes.Equal(got.Bytes(), message.Header(want).Bytes()) {
				t.Errorf("MTA %d: %q with %v becomes %q, want %q", mta, lines(from), edits, lines(got), lines(want))
			}
		}
	})
}

// distance is the number of edits that it takes at least, found the slow way.
func distance(from, to message.Header) int {
	switch {
	case len(from) == 0:
		return len(to)
	case len(to) == 0:
		return len(from)
	case bytes.Equal(from[0].Raw(), to[0].Raw()):
		return distance(from[1:], to[1:])
	}
	d := 1 + min(distance(from[1:], to), distance(from, to[1:]))
	if from[0].Name() == to[0].Name() && to[0].Text(false) != "" {
		d = min(d, 1+distance(from[1:], to[1:]))
	}
	return d
}

func TestDiffHeaderOfManyFields(t *testing.T) {
	var from, to message.Header
	for i := range 3000 {
		from = append(from, headerOf(fmt.Sprintf("A: %d", i))...)
		to = append(to, headerOf(fmt.Sprintf("B: %d", i))...)
	}
	if n := len(DiffHeader(Postfix, from, to, 0)); n != 6000 {
		t.Errorf("%d edits", n)
	}
	to = slices.Clone(from)
	to[1500] = headerOf("A: new")[0]
	if n := len(DiffHeader(Postfix, from, to, 0)); n != 1 {
		t.Errorf("%d edits for one field of 3000", n)
	}
}

func TestDiffEnvelope(t *testing.T) {
	from := Envelope{From: "a@x", FromArgs: []string{"RET=FULL"}, Rcpts: []Rcpt{{"b@x", nil}, {"c@x", []string{"NOTIFY=NEVER"}}, {"d@x", nil}}}
	for _, tt := range []struct {
		name string
		to   Envelope
		want []Edit
	}{
		{"nothing", from, nil},
		{"sender", Envelope{"", from.FromArgs, from.Rcpts}, []Edit{{Action: ChangeFrom, Address: "<>"}}},
		{"sender's parameters", Envelope{"a@x", []string{"RET=HDRS"}, from.Rcpts}, []Edit{{Action: ChangeFrom, Address: "<a@x>", Args: "RET=HDRS"}}},
		{"recipients", Envelope{"a@x", from.FromArgs, []Rcpt{{"d@x", nil}, {"e@x", nil}, {"B@x", nil}}},
			[]Edit{{Action: DeleteRcpt, Address: "<b@x>"}, {Action: DeleteRcpt, Address: "<c@x>"}, {Action: AddRcpt, Address: "<e@x>"}, {Action: AddRcpt, Address: "<B@x>"}}},
		{"parameters of a recipient", Envelope{"a@x", from.FromArgs, []Rcpt{{"b@x", nil}, {"c@x", []string{"NOTIFY=DELAY"}}, {"d@x", nil}}},
			[]Edit{{Action: DeleteRcpt, Address: "<c@x>"}, {Action: AddRcpt, Address: "<c@x>", Args: "NOTIFY=DELAY"}}},
	} {
		if got := DiffEnvelope(from, tt.to); !slices.EqualFunc(got, tt.want, equal) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A client may name a recipient twice, and to delete an address deletes both.
func TestDiffEnvelopeOfRecipientsNamedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rcpt := rapid.Custom(func(t *rapid.T) Rcpt {
			return Rcpt{rapid.SampledFrom([]string{"a@x", "b@x"}).Draw(t, "address"), rapid.SampledFrom([][]string{nil, {"NOTIFY=NEVER"}}).Draw(t, "args")}
		})
		before := Envelope{From: "s@x", Rcpts: rapid.SliceOfN(rcpt, 0, 4).Draw(t, "client")}
		ed := New(Postfix, message.Message{}, message.Field{}, Envelope{})
		ed.SetEnvelope(before)
		for _, del := range rapid.SliceOfN(rapid.Bool(), 0, 6).Draw(t, "deletes") {
			r := rcpt.Draw(t, "edited")
			e := Edit{Action: AddRcpt, Address: r.Address, Args: strings.Join(r.Args, " ")}
			if del {
				e = Edit{Action: DeleteRcpt, Address: r.Address}
			}
			if err := ed.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		want := ed.Envelope()
		edits := DiffEnvelope(before, want)
		again := New(Postfix, message.Message{}, message.Field{}, Envelope{})
		again.SetEnvelope(before)
		for _, e := range edits {
			if err := again.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		tell := func(e Envelope) string {
			var all []string
			for _, r := range e.Rcpts {
				all = append(all, fmt.Sprint(r))
			}
			slices.Sort(all)
			return strings.Join(all, " ")
		}
		if got := again.Envelope(); tell(got) != tell(want) {
			t.Errorf("%v with %v becomes %v, want %v", before.Rcpts, edits, got.Rcpts, want.Rcpts)
		}
	})
}

// What is inserted between fields that filters put above the MTA's own Received
// field stays between them.
func TestDiffShownAboveTheOwnReceived(t *testing.T) {
	field := rapid.SampledFrom([]string{"A: 1", "A: 2", "B: 1", "a: 1", "Date: x"})
	rapid.Check(t, func(t *rapid.T) {
		ed := New(Postfix, message.Message{Header: headerOf(rapid.SliceOfN(field, 0, 5).Draw(t, "client")...), Break: []byte(lineEnd)},
			headerOf("Received: own")[0], Envelope{From: "a@b"})
		ed.Begin(false)
		for i := range rapid.IntRange(0, 3).Draw(t, "above") {
			if err := ed.Apply(Edit{Action: InsertHeader, Name: "Top", Value: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		from, above := ed.Header(), ed.AboveOwn()
		var to message.Header
		for _, f := range append(slices.Clone(from), headerOf("End: 1")...) {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
			case 1:
				to = append(to, headerOf(field.Draw(t, "more"))[0], f)
			default:
				to = append(to, f)
			}
		}
		for _, e := range DiffShown(from, to, above) {
			if err := ed.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		if got := ed.Header(); !bytes.Equal(got.Bytes(), to.Bytes()) {
			t.Errorf("%q with %d above becomes %q, want %q", lines(from), above, lines(got), lines(to))
		}
	})
}

func BenchmarkDiffHeader(b *testing.B) {
	var from message.Header
	for i := range 30 {
		from = append(from, headerOf(fmt.Sprintf("X-%d: value", i))...)
	}
	to := slices.Insert(slices.Clone(from), 0, headerOf("A: 1")...)
	to[20] = headerOf("X-19: changed")[0]
	to = append(to, headerOf("Z: 1")...)
	b.ReportAllocs()
	for b.Loop() {
		DiffHeader(Postfix, from, to, 1)
	}
}
