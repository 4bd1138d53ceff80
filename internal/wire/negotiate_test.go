package wire

import (
	"bytes"
	"reflect"
	"testing"
)

// lists returns macro lists by stage.
func lists(stages map[Stage]string) (m [MacroStages][]byte) {
	for stage, names := range stages {
		m[stage] = append([]byte{}, names...)
	}
	return m
}

const (
	offer6  = "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
	answer6 = "\x00\x00\x00\x06\x00\x00\x01\x1f\x00\x00\x00\x00"
)

func TestNegotiate(t *testing.T) {
	plain := Negotiation{Version: 6, Actions: 0x11f}
	with := func(stages map[Stage]string) Negotiation {
		n := plain
		n.Macros = lists(stages)
		return n
	}
	for _, tt := range []struct {
		name, in string
		want     Negotiation
		err      error
		lossy    bool // does not encode back
	}{
		{"offer of Sendmail and Postfix", offer6, Negotiation{Version: 6, Actions: CurrentActions, Protocol: CurrentProtocol}, nil, false},
		{"oldest version", "\x00\x00\x00\x02\x00\x00\x00\x3f\x00\x00\x00\x7f", Negotiation{Version: 2, Actions: V2Actions, Protocol: V2Protocol}, nil, false},
		{"version nobody defined", "\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", Negotiation{Version: 0xffffffff}, nil, false},
		{"bits nobody defined", "\x00\x00\x00\x06\xff\xff\xff\xff\xff\xff\xff\xff", Negotiation{Version: 6, Actions: 0xffffffff, Protocol: 0xffffffff}, nil, false},
		{"macro list", answer6 + "\x00\x00\x00\x05{msg_id} i\x00", with(map[Stage]string{StageEnd: "{msg_id} i"}), nil, false},
		{"empty macro list is not a missing one", answer6 + "\x00\x00\x00\x00\x00", with(map[Stage]string{StageConnect: ""}), nil, false},
		{"list for each stage", answer6 + "\x00\x00\x00\x00a\x00\x00\x00\x00\x01b\x00\x00\x00\x00\x02c\x00\x00\x00\x00\x03d\x00\x00\x00\x00\x04e\x00\x00\x00\x00\x05f\x00\x00\x00\x00\x06g\x00",
			with(map[Stage]string{StageConnect: "a", StageHelo: "b", StageMail: "c", StageRcpt: "d", StageData: "e", StageEnd: "f", StageEndOfHeaders: "g"}), nil, false},
		{"lists in another order", answer6 + "\x00\x00\x00\x06g\x00\x00\x00\x00\x00a\x00", with(map[Stage]string{StageConnect: "a", StageEndOfHeaders: "g"}), nil, true},
		{"first of two lists for a stage counts", answer6 + "\x00\x00\x00\x02a\x00\x00\x00\x00\x02b\x00", with(map[Stage]string{StageMail: "a"}), nil, true},
		{"empty first of two lists counts", answer6 + "\x00\x00\x00\x02\x00\x00\x00\x00\x02b\x00", with(map[Stage]string{StageMail: ""}), nil, true},
		{"unknown stage ends the lists", answer6 + "\x00\x00\x00\x00a\x00\x00\x00\x00\x07x\x00\x00\x00\x00\x01b\x00", with(map[Stage]string{StageConnect: "a"}), nil, true},
		{"stage with the top bit set ends the lists", answer6 + "\x80\x00\x00\x00a\x00", plain, nil, true},
		{"list without NUL ends the lists", answer6 + "\x00\x00\x00\x00a\x00\x00\x00\x00\x01b", with(map[Stage]string{StageConnect: "a"}), nil, true},
		{"stage without a list", answer6 + "\x00\x00\x00\x01", plain, nil, true},
		{"cut in the stage", answer6 + "\x00\x00", plain, nil, true},
		{"no payload", "", Negotiation{}, ErrTooShort, false},
		{"eleven bytes", offer6[:11], Negotiation{}, ErrTooShort, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Negotiate([]byte(tt.in))
			if err != tt.err || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Negotiate(%q) = %+v, %v, want %+v, %v", tt.in, got, err, tt.want, tt.err)
			}
			if out := AppendNegotiation(nil, &got); err == nil && (string(out) == tt.in) == tt.lossy {
				t.Errorf("AppendNegotiation(%+v) = %q, decoded from %q", got, out, tt.in)
			}
		})
	}
}

func TestAppendNegotiationWritesListsByStageNumber(t *testing.T) {
	n := Negotiation{Version: 6, Actions: 0x11f, Macros: lists(map[Stage]string{StageEndOfHeaders: "i", StageConnect: "", StageEnd: "{msg_id} i"})}
	want := "head" + answer6 + "\x00\x00\x00\x00\x00\x00\x00\x00\x05{msg_id} i\x00\x00\x00\x00\x06i\x00"
	if got := AppendNegotiation([]byte("head"), &n); string(got) != want {
		t.Errorf("AppendNegotiation(head, %+v) = %q, want %q", n, got, want)
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"", offer6, offer6[:11], answer6 + "\x00\x00\x00\x00\x00\x00\x00\x00\x05{msg_id} i\x00\x00\x00\x00\x06i\x00", answer6 + "\x00\x00\x00\x07x\x00",
		answer6 + "\x00\x00\x00\x02a\x00\x00\x00\x00\x02b\x00", answer6 + "\x00\x00\x00\x02a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n, err := Negotiate(in)
		if (err != nil) != (len(in) < 12) {
			t.Errorf("Negotiate(%q) error = %v", in, err)
		}
		if err != nil {
			return
		}
		out := AppendNegotiation(nil, &n)
		if len(out) > len(in) || !bytes.Equal(out[:12], in[:12]) {
			t.Errorf("%q encodes back to %q", in, out)
		}
		if again, err := Negotiate(out); err != nil || !reflect.DeepEqual(again, n) {
			t.Errorf("%q decodes to %+v, then to %+v, %v", in, n, again, err)
		}
	})
}
