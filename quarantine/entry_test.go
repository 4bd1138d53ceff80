package quarantine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestEntryAsJSON(t *testing.T) {
	const ref = "01hc5k3v70abcdefghjk"
	zeros := strings.Repeat("0", 64)
	for _, tt := range []struct {
		name string
		e    Entry
		want string
	}{
		{"null sender", Entry{Ref: ref, Time: noon}, `{"ref":"` + ref + `","time":"2026-11-22T12:00:00Z","from":"","size":0,"sha256":"` + zeros + `"}`},
		{"all of it", Entry{ref, noon, "4XyZ", "a@b", []string{"c@d", "e@f"}, "mx.example [192.0.2.1]", "scan", "EICAR <test> & more", true, "goroutine 1\n", "k3m9x2p7qa", 68, [32]byte{0xab}},
			`{"ref":"` + ref + `","time":"2026-11-22T12:00:00Z","queue_id":"4XyZ","from":"a@b","rcpts":["c@d","e@f"],"client":"mx.example [192.0.2.1]","filter":"scan","reason":"EICAR <test> & more","failed":true,"stack":"goroutine 1\n","explanation":"k3m9x2p7qa","size":68,"sha256":"ab` + zeros[2:] + `"}`},
		{"bytes that are no UTF-8", Entry{Ref: ref, Time: noon, QueueID: "\xff", From: "\xfc", Rcpts: []string{"c@d", "\xfc"}, Client: "\xfc", Filter: "\xfc", Reason: "\xfc", Stack: "\xfc", Explanation: "\xfc"},
			`{"ref":"` + ref + `","time":"2026-11-22T12:00:00Z","queue_id_b64":"/w==","from_b64":"/A==","rcpts_b64":["Y0Bk","/A=="],"client_b64":"/A==","filter_b64":"/A==","reason_b64":"/A==","stack_b64":"/A==","explanation_b64":"/A==","size":0,"sha256":"` + zeros + `"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.e.MarshalJSON()
			if err != nil || string(b) != tt.want {
				t.Errorf("%+v is written %s, %v, want %s", tt.e, b, err, tt.want)
			}
			var back Entry
			if err := json.Unmarshal(b, &back); err != nil {
				t.Errorf("%s: %v", b, err)
			}
			if diff := cmp.Diff(tt.e, back); diff != "" {
				t.Errorf("%s is read otherwise: %s", b, diff)
			}
		})
	}
	for _, bad := range []string{
		"", "{}", "null", "[]", `{"ref":"../../../etc/passwd"}`,
		`{"ref":"` + ref + `","size":0}`,
		`{"ref":"` + ref + `","sha256":"` + zeros[1:] + `"}`,
		`{"ref":"` + ref + `","sha256":"` + zeros + `0"}`,
		`{"ref":"` + ref + `","sha256":"` + zeros[1:] + `x"}`,
		`{"ref":"` + ref + `","size":-1,"sha256":"` + zeros + `"}`,
		`{"ref":"` + ref + `","from_b64":"!","sha256":"` + zeros + `"}`,
	} {
		if e := (Entry{Filter: "kept"}); json.Unmarshal([]byte(bad), &e) == nil || e.Filter != "kept" {
			t.Errorf("%s is read as %+v", bad, e)
		}
	}
}

func FuzzEntryJSON(f *testing.F) {
	for _, e := range []Entry{{Ref: newRef(noon), Time: noon}, {Ref: newRef(noon), Time: noon, From: "\xff", Rcpts: []string{"\xff", "a"}, Stack: "x\x00"}} {
		b, err := e.MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"ref":"01hc5k3v70abcdefghjk","rcpts_b64":[null],"from":null,"sha256":"` + strings.Repeat("0", 64) + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Entry
		if json.Unmarshal(b, &e) != nil {
			return
		}
		if !ValidRef(e.Ref) || e.Size < 0 {
			t.Errorf("%q is read as %+v", b, e)
		}
		first, err := e.MarshalJSON()
		if err != nil {
			return // a year that RFC 3339 does not have
		}
		var again Entry
		if err := json.Unmarshal(first, &again); err != nil {
			t.Errorf("%q: %v", first, err)
		}
		if second, err := again.MarshalJSON(); err != nil || !bytes.Equal(first, second) {
			t.Errorf("%q is written %q, then %q, %v", b, first, second, err)
		}
	})
}

func ExampleEntry() {
	e := Entry{Ref: "01hc5k3v70abcdefghjk", Time: noon, Rcpts: []string{"jane@example.com"}, Filter: "attachments", Reason: "invoice.pdf.exe"}
	fmt.Println(e.Filter, "kept", e.Ref)
	// Output: attachments kept 01hc5k3v70abcdefghjk
}

func ExampleEntry_MarshalJSON() {
	e := Entry{Ref: "01hc5k3v70abcdefghjk", Time: noon, From: "j\xf6rg@example.com"}
	b, err := json.Marshal(e)
	fmt.Println(string(b[:90]), err)
	// Output: {"ref":"01hc5k3v70abcdefghjk","time":"2026-11-22T12:00:00Z","from_b64":"avZyZ0BleGFtcGxlLm <nil>
}

func ExampleEntry_UnmarshalJSON() {
	var e Entry
	err := json.Unmarshal([]byte(`{"ref":"../../etc/passwd"}`), &e)
	fmt.Println(err)
	// Output: quarantine: not a reference
}
