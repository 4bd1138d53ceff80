package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/message"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name, frame string
		want        Edit
		err         error
	}{
		{"add", "hX-A\x00v\x00", Edit{Action: AddHeader, Name: "X-A", Value: "v"}, nil},
		{"add with empty value", "hX-A\x00\x00", Edit{Action: AddHeader, Name: "X-A"}, nil},
		{"add without end", "hX-A\x00v", Edit{}, wire.ErrUnterminated},
		{"add without value", "hX-A\x00", Edit{}, wire.ErrEmptyPayload},
		{"add with too much", "hX-A\x00v\x00x", Edit{}, wire.ErrTrailingBytes},
		{"insert", "i\x00\x00\x00\x02X-A\x00v\x00", Edit{Action: InsertHeader, Index: 2, Name: "X-A", Value: "v"}, nil},
		{"insert without index", "i\x00\x00", Edit{}, wire.ErrTooShort},
		{"change", "m\x00\x00\x00\x01X-A\x00v\x00", Edit{Action: ChangeHeader, Index: 1, Name: "X-A", Value: "v"}, nil},
		{"change to nothing", "m\x00\x00\x00\x01X-A\x00\x00", Edit{Action: DeleteHeader, Index: 1, Name: "X-A"}, nil},
		{"change of no name", "m\x00\x00\x00\x01\x00v\x00", Edit{Action: ChangeHeader, Index: 1, Value: "v"}, nil},
		{"add recipient", "+<a@b>\x00", Edit{Action: AddRcpt, Address: "<a@b>"}, nil},
		{"add recipient with parameters", "2<a@b>\x00NOTIFY=NEVER\x00", Edit{Action: AddRcpt, Address: "<a@b>", Args: "NOTIFY=NEVER"}, nil},
		{"add recipient without parameters", "2<a@b>\x00", Edit{Action: AddRcpt, Address: "<a@b>"}, nil},
		{"add recipient with three strings", "2<a@b>\x00A\x00B\x00", Edit{}, wire.ErrTrailingBytes},
		{"delete recipient", "-<a@b>\x00", Edit{Action: DeleteRcpt, Address: "<a@b>"}, nil},
		{"change sender", "e<>\x00RET=HDRS\x00", Edit{Action: ChangeFrom, Address: "<>", Args: "RET=HDRS"}, nil},
		{"body", "ba\x00b", Edit{Action: ReplaceBody, Body: []byte("a\x00b")}, nil},
		{"quarantine", "qwhy\x00", Edit{Action: Quarantine, Value: "why"}, nil},
		{"quarantine without end", "qwhy", Edit{Action: Quarantine, Value: "why"}, nil},
		{"verdict", "c", Edit{}, ErrNoEdit},
		{"progress", "p", Edit{}, ErrNoEdit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode(tt.frame[0], []byte(tt.frame[1:]))
			if !errors.Is(err, tt.err) || err == nil && !equal(got, tt.want) {
				t.Errorf("Decode(%q) = %v, %v, want %v, %v", tt.frame, got, err, tt.want, tt.err)
			}
		})
	}
}

func equal(a, b Edit) bool {
	return a.Action == b.Action && a.Name == b.Name && a.Index == b.Index && a.Value == b.Value && a.Address == b.Address && a.Args == b.Args && bytes.Equal(a.Body, b.Body)
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"hA\x00b\x00", "i\x00\x00\x00\x01A\x00b\x00", "m\x00\x00\x00\x01A\x00\x00", "+<a>\x00", "2<a>\x00x=y\x00", "e<>\x00", "bx", "q\x00", "c"} {
		f.Add(s[0], []byte(s[1:]))
	}
	m := message.Parse([]byte("Received: r\r\nSubject: s\r\nA: 1\r\nA: 2\r\n\r\nbody"))
	f.Fuzz(func(t *testing.T, cmd byte, payload []byte) {
		e, err := Decode(cmd, payload)
		if err != nil {
			return
		}
		// What decodes encodes back, to frames that decode to the same.
		r := wire.NewReader(bytes.NewReader(e.AppendFrames(nil)), max(len(payload), wire.DataSize64K)+1)
		if cmd, again, err := r.Next(); err != nil {
			t.Errorf("%v encodes to %v", e, err)
		} else if got, err := Decode(cmd, again); len(e.Body) <= wire.ChunkSize && (err != nil || !equal(got, e)) {
			t.Errorf("%v encodes to %q, which decodes as %v, %v", e, again, got, err)
		}
		if b, err := json.Marshal(e); err != nil || !json.Valid(b) {
			t.Errorf("%v as JSON: %s, %v", e, b, err)
		}
		for _, mta := range []MTA{Sendmail, Postfix} {
			ed := New(mta, m, message.Field{}, Envelope{From: "s", Rcpts: []Rcpt{{Address: "r"}}})
			ed.Begin(false)
			ed.Apply(e)
			ed.Apply(e)
			out := ed.Message(true)
			if len(out.Body) > 0 && !bytes.HasSuffix(out.Body, []byte("\r\n")) {
				t.Errorf("%v leaves the body %q", e, out.Body)
			}
			if again := message.Parse(out.Header.Bytes()); e.Name == "A" && len(again.Header) != len(out.Header) {
				t.Errorf("%v leaves the header %q", e, out.Header.Bytes())
			}
		}
	})
}

func TestEditsEncodeBack(t *testing.T) {
	for _, e := range []Edit{
		{Action: AddHeader, Name: "A", Value: "b\n c"},
		{Action: InsertHeader, Index: 7, Name: "A"},
		{Action: ChangeHeader, Index: 1, Name: "A", Value: "b"},
		{Action: DeleteHeader, Index: 2, Name: "A"},
		{Action: AddRcpt, Address: "<a@b>"},
		{Action: AddRcpt, Address: "<a@b>", Args: "NOTIFY=NEVER ORCPT=rfc822;x"},
		{Action: DeleteRcpt, Address: "<a@b>"},
		{Action: ChangeFrom, Address: "<>", Args: "RET=FULL"},
		{Action: ReplaceBody, Body: []byte("a")},
		{Action: Quarantine, Value: "why"},
	} {
		r := wire.NewReader(bytes.NewReader(e.AppendFrames(nil)), wire.DataSize64K)
		cmd, payload, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(cmd, payload); err != nil || !equal(got, e) {
			t.Errorf("%v decodes as %v, %v", e, got, err)
		}
	}
	long := Edit{Action: ReplaceBody, Body: bytes.Repeat([]byte("x"), wire.ChunkSize+1)}
	r := wire.NewReader(bytes.NewReader(long.AppendFrames(nil)), wire.DataSize64K)
	for _, want := range []int{wire.ChunkSize, 1} {
		if cmd, payload, err := r.Next(); cmd != wire.ReplyReplaceBody || len(payload) != want || err != nil {
			t.Errorf("frame of a long body = %q, %d bytes, %v, want %d bytes", cmd, len(payload), err, want)
		}
	}
}

func TestEditAsJSON(t *testing.T) {
	for _, tt := range []struct {
		edit any
		want string
	}{
		{Edit{Action: AddHeader, Name: "A", Value: "<b> & c"}, `{"action":"addheader","name":"A","value":"<b> & c"}`},
		{Edit{Action: InsertHeader, Name: "A"}, `{"action":"insheader","name":"A","index":0,"value":""}`},
		{Edit{Action: ChangeHeader, Index: 1, Name: "A", Value: "gr\xfc\xdfe"}, `{"action":"chgheader","name":"A","index":1,"value_b64":"Z3L832U="}`},
		{Edit{Action: DeleteHeader, Index: 4294967295, Name: "A"}, `{"action":"delheader","name":"A","index":4294967295}`},
		{Edit{Action: AddRcpt, Address: "<a@b>", Args: "NOTIFY=NEVER"}, `{"action":"addrcpt","address":"<a@b>","args":"NOTIFY=NEVER"}`},
		{Edit{Action: DeleteRcpt, Address: "<a@b>"}, `{"action":"delrcpt","address":"<a@b>"}`},
		{Edit{Action: ChangeFrom, Address: "<>"}, `{"action":"chgfrom","address":"<>"}`},
		{Edit{Action: ReplaceBody, Body: []byte("abc")}, `{"action":"replbody","size":3}`},
		{Edit{Action: Quarantine, Value: "why"}, `{"action":"quarantine","value":"why"}`},
		{Envelope{From: "a@b", Rcpts: []Rcpt{{Address: "c@d"}, {Address: "e\"f@g"}}}, `{"from":"a@b","rcpts":["c@d","e\"f@g"]}`},
		{Envelope{}, `{"from":"","rcpts":[]}`},
		{Envelope{Rcpts: []Rcpt{{Address: "\xfc"}}}, `{"from":"","rcpts_b64":["/A=="]}`},
	} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(tt.edit); err != nil || strings.TrimSpace(b.String()) != tt.want {
			t.Errorf("%v as JSON = %s, %v, want %s", tt.edit, b.Bytes(), err, tt.want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct {
		in, addr string
		ok       bool
	}{
		{"<a@b>", "a@b", true}, {"a@b", "a@b", true}, {" a@b ", "a@b", true}, {"Joe <a@b> (c)", "a@b", true},
		{"<>", "", false}, {"", "", false}, {"a@b, c@d", "a@b", true}, {"< a@b >", "a@b", true}, {"<a@b", "a@b", true},
	} {
		if addr, ok := ParseAddress(tt.in); addr != tt.addr || ok != tt.ok {
			t.Errorf("ParseAddress(%q) = %q, %v, want %q, %v", tt.in, addr, ok, tt.addr, tt.ok)
		}
	}
}

// An Editor never changes what it was given, and what no edit touches comes out
// as it went in.
func TestUntouchedFieldsStayAsTheyAre(t *testing.T) {
	in := "X-Weird:\t a \r\n\tb\r\nSubject:s\r\nX: \xff\r\nX:2\r\n\r\nbody\r\n"
	action := rapid.SampledFrom([]Action{AddHeader, InsertHeader, ChangeHeader, DeleteHeader, AddRcpt, DeleteRcpt, ChangeFrom, ReplaceBody, Quarantine})
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(in)
		ed := New(MTA(rapid.IntRange(0, 1).Draw(t, "mta")), message.Parse(raw), message.Field{}, Envelope{From: "s@x", Rcpts: []Rcpt{{Address: "r@x"}}})
		for range rapid.IntRange(0, 8).Draw(t, "edits") {
			ed.Begin(rapid.Bool().Draw(t, "leading"))
			ed.Apply(Edit{
				Action: action.Draw(t, "action"), Index: rapid.Uint32Range(0, 12).Draw(t, "index"),
				Name: rapid.SampledFrom([]string{"X", "Y", "Received", "Date"}).Draw(t, "name"), Value: "v",
				Address: rapid.SampledFrom([]string{"<r@x>", "<q@x>", ""}).Draw(t, "address"), Body: []byte("new\n"),
			})
		}
		out := ed.Message(false)
		var rest []string
		for _, f := range out.Header {
			if f.Is("X-Weird") || f.Is("Subject") {
				rest = append(rest, string(f.Raw()))
			}
		}
		if want := []string{"X-Weird:\t a \r\n\tb\r\n", "Subject:s\r\n"}; !slices.Equal(rest, want) {
			t.Errorf("untouched fields = %q, want %q", rest, want)
		}
		if string(raw) != in {
			t.Errorf("the message given became %q", raw)
		}
	})
}

func TestNormalLineEnds(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""}, {"a", "a\r\n"}, {"a\n", "a\r\n"}, {"a\r\n", "a\r\n"}, {"a\rb\r\r\nc", "a\rb\r\r\nc\r\n"}, {"\n\n", "\r\n\r\n"}, {"a\r", "a\r\r\n"},
	} {
		if got := string(normal([]byte(tt.in))); got != tt.want {
			t.Errorf("normal(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	m := message.Parse([]byte("A : b\n c\nD: e"))
	if got, want := string(New(Sendmail, m, message.Field{}, Envelope{}).Message(true).Bytes()), "A: b\r\n c\r\nD: e\r\n\r\n"; got != want {
		t.Errorf("delivered %q, want %q", got, want)
	}
}
