package scan

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestClamdAnswers(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"stream: OK\x00", "clean"},
		{"stream: Win.Test.EICAR_HDB-1 FOUND\x00", "infected by Win.Test.EICAR_HDB-1"},
		{"stream: Win.Test(0123:68) FOUND\x00trailing", "infected by Win.Test_0123:68_"},
		{"stream: OK FOUND\x00", "infected by OK"},
		{"stream:  FOUND\x00", `makes no sense: 'stream:  FOUND'`},
		{"stream: FOUND\x00", `makes no sense: 'stream: FOUND'`},
		{"OK\x00", `makes no sense: 'OK'`},
		{"1: stream: OK\x00", `makes no sense: '1: stream: OK'`},
		{"stream: OK\n\x00", `makes no sense: 'stream: OK?'`},
		{"stream: OK", "the connection was closed after 10 bytes of an answer: unexpected EOF"},
		{"", "the connection was closed after 0 bytes of an answer: unexpected EOF"},
		{"INSTREAM size limit exceeded. ERROR\x00", "the message is larger than the scanner takes"},
		{"COMMAND READ TIMED OUT ERROR\x00", `it says 'COMMAND READ TIMED OUT ERROR'`},
		{"stream: Can't allocate memory ERROR\x00", `it says 'stream: Can't allocate memory ERROR'`},
		{"UNKNOWN COMMAND\x00", `makes no sense: 'UNKNOWN COMMAND'`},
		{strings.Repeat("x", 300), "the answer makes no sense: it is longer than 200 bytes"},
	} {
		answer, err := readClamd(strings.NewReader(tt.in), 200)
		var v verdict
		if err == nil {
			v, err = parseClamd(answer)
		}
		check(t, tt.in, tt.want, v, err)
	}
}

func TestSpamdAnswers(t *testing.T) {
	const ok = "SPAMD/1.1 0 EX_OK\r\n"
	for _, tt := range []struct{ in, want string }{
		{ok + "Content-length: 7\r\nSpam: True ; 7.3 / 5.0\r\n\r\nA,B,C_D", "score 7.3 of 5.0 (A, B, C_D)"},
		{ok + "spam: yes;7.25/5\r\n\r\nA, B\r\nC\r\n", "score 7.2 of 5.0 (A, B, C)"},
		{ok + "Spam: False ; -1.2 / 5.0\nContent-Length: 0\n\n", "score -1.2 of 5.0"},
		{ok + "X-Other: field\r\nSpam: No ; 0 / 5\r\n\r\n", "score 0.0 of 5.0"},
		{ok + "Spam: False ; 0 / 5\r\nContent-length: 2\r\n\r\nA,B and more", "score 0.0 of 5.0 (A)"},
		{ok + "Spam: False ; 0 / 5\r\nContent-length: 20\r\n\r\nA,B", "the connection was closed in the middle of an answer: unexpected EOF"},
		{ok + "Spam: False ; 0 / 5\r\n", "the connection was closed in the middle of an answer: unexpected EOF"},
		{ok + "Spam: False ; 0 / 5", "the connection was closed in the middle of an answer: unexpected EOF"},
		{ok + "Content-length: 0\r\n\r\n", "the answer makes no sense: it does not judge"},
		{ok + "Spam: False ; 0 / 5\r\nSpam: True ; 9 / 5\r\n\r\n", "the answer makes no sense: it judges twice"},
		{ok + "Spam: Perhaps ; 0 / 5\r\n\r\n", `the answer makes no sense: Spam: 'Perhaps ; 0 / 5'`},
		{ok + "Spam: True\r\n\r\n", `the answer makes no sense: Spam: 'True'`},
		{ok + "Spam: True ; NaN / 5\r\n\r\n", `the answer makes no sense: Spam: 'True ; NaN / 5'`},
		{ok + "Spam: True ; 7 / Inf\r\n\r\n", `the answer makes no sense: Spam: 'True ; 7 / Inf'`},
		{ok + "Content-length: -1\r\nSpam: False ; 0 / 5\r\n\r\n", `the answer makes no sense: 'Content-length: -1'`},
		{ok + "Content-length: 99999999999999999999\r\n\r\n", `the answer makes no sense: 'Content-length: 99999999999999999999'`},
		{ok + "Content-length: 1000\r\n\r\n", "the answer makes no sense: it is longer than 200 bytes"},
		{ok + "what\r\n\r\n", `the answer makes no sense: 'what'`},
		{"SPAMD/1.1 76 Bad header line: (Content-Length mismatch)\r\n", `it says 'SPAMD/1.1 76 Bad header line: (Content-Length mismatch)'`},
		{"SPAMD/1.5 0 PONG\r\n", `it says 'SPAMD/1.5 0 PONG'`},
		{"HTTP/1.1 200 OK\r\n\r\n", `the answer makes no sense: 'HTTP/1.1 200 OK'`},
		{"", "the connection was closed in the middle of an answer: unexpected EOF"},
		{strings.Repeat("x", 300), "the answer makes no sense: it is longer than 200 bytes"},
		{ok + "Spam: False ; 0 / 5\r\n\r\n" + strings.Repeat("A,", 300), "the answer makes no sense: it is longer than 200 bytes"},
	} {
		v, err := readSpamd(iotest.OneByteReader(strings.NewReader(tt.in)), 200)
		check(t, tt.in, tt.want, v, err)
	}
}

func TestRspamdAnswers(t *testing.T) {
	body := func(json string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(json), json)
	}
	for _, tt := range []struct{ in, want string }{
		{body(`{"score":7.5,"required_score":15.0,"action":"add header","symbols":{"A":{"score":1},"B":{"score":-7}}}`), "score 7.5 of 15.0, add_header (B, A)"},
		{body(`{"score":0,"required_score":null,"action":"no action","messages":["old"],"symbols":null}`), "score 0.0 of 0.0, no_action"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + `{"score":1,"action":"greylist" }` + "\r\n0\r\n\r\n", "score 1.0 of 0.0, greylist"},
		{"HTTP/1.0 200 OK\r\n\r\n" + `{"score":1,"action":"greylist"}`, "score 1.0 of 0.0, greylist"},
		{"HTTP/1.0 200 OK\r\n\r\n" + `{"score":1,"action":"grey`, `the answer makes no sense: 'unexpected end of JSON input'`},
		{body(`{"score":1}`), "the answer makes no sense: it has no score or no action"},
		{body(`{"action":"reject"}`), "the answer makes no sense: it has no score or no action"},
		{body(`{"score":1e999,"action":"reject"}`), `the answer makes no sense: 'json: cannot unmarshal number 1e999 into Go struct field rspamdAnswer.score of type float64'`},
		{body(`{"score":"1","action":"reject"}`), `the answer makes no sense: 'json: cannot unmarshal string into Go struct field rspamdAnswer.score of type float64'`},
		{body(`[]`), `the answer makes no sense: 'json: cannot unmarshal array into Go value of type scan.rspamdAnswer'`},
		{body(strings.Repeat("[", 100)), `the answer makes no sense: 'unexpected end of JSON input'`},
		{body(`{"score":1,"action":"x"`)[:60], "the connection was closed in the middle of an answer: unexpected EOF"},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 24\r\n\r\n" + `{"error":"Unauthorized"}`, `it says 403 'Unauthorized'`},
		{"HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\n{}", `it says 500 'Internal Server Error'`},
		{"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", `it says 302 'Found'`},
		{"HTTP/1.1 100 Continue\r\n\r\n", `it says 100 'Continue'`},
		{"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n", "the message is larger than the scanner takes"},
		{"HTTP/1.1 200 OK\r\n", "the connection was closed in the middle of an answer: unexpected EOF"},
		{"SPAMD/1.1 0 EX_OK\r\n\r\n", `the answer makes no sense: 'malformed HTTP status code '0''`},
		{"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: x\r\n", 100), "the answer makes no sense: it is longer than 200 bytes"},
		{body(strings.Repeat(" ", 300)), "the answer makes no sense: it is longer than 200 bytes"},
		{body(`{"score":1,"action":"x","milter":{"add_headers":{"A":7}}}`), `the answer makes no sense: field 'A' in its edits`},
		{body(`{"score":1,"action":"x","milter":{"remove_headers":{"A":"x"}}}`), `the answer makes no sense: number of 'A' in its edits`},
		{body(`{"score":1,"action":"x","milter":{"remove_headers":{"A":0.5}}}`), `the answer makes no sense: number of 'A' in its edits`},
		{body(`{"score":1,"action":"x","milter":{"remove_headers":{"A":[` + strings.Repeat("0,", 20) + `0]}}}`), "score 1.0 of 0.0, x"},
	} {
		req, err := http.NewRequest(http.MethodPost, "http://localhost/checkv2", nil)
		if err != nil {
			t.Fatal(err)
		}
		v, err := verdict{}, error(nil)
		b, err := readHTTP(iotest.OneByteReader(strings.NewReader(tt.in)), req, 200)
		if err == nil {
			v, err = rspamd{edits: true}.parse(b)
		}
		check(t, tt.in, tt.want, v, err)
	}
	if _, err := parseEdits([]byte(`{"remove_headers":{"A":[` + strings.Repeat("0,", 100) + `0]}}`)); err == nil || !strings.Contains(err.Error(), "more than 100 fields") {
		t.Errorf("error is %v", err)
	}
	if _, err := parseEdits([]byte(`{"add_headers":{"A":[` + strings.Repeat(`"x",`, 100) + `"x"]}}`)); err == nil || !strings.Contains(err.Error(), "more than 100 fields") {
		t.Errorf("error is %v", err)
	}
}

func check(t *testing.T, in, want string, v verdict, err error) {
	t.Helper()
	got := describe(v)
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "the answer ")
		want = strings.TrimPrefix(want, "the answer ")
	}
	if got != want {
		t.Errorf("%.100q:\n got %s\nwant %s", in, got, want)
	}
}

// checkVerdict is what holds of any answer that is taken.
func checkVerdict(t *testing.T, v verdict, err error) {
	t.Helper()
	if err != nil {
		if v.found || len(v.names) > 0 {
			t.Errorf("a verdict %+v beside %v", v, err)
		}
		return
	}
	if !finite(v.score) || !finite(v.threshold) || v.infected && (!v.found || len(v.names) == 0) {
		t.Errorf("verdict %+v", v)
	}
	if s := describe(v); len(s) > 2500 || show(s, len(s)) != s {
		t.Errorf("described by %q", s)
	}
	s := &scan{o: Options{Follow: true, Found: Reject}}
	for _, a := range []Action{Reject, TempFail} {
		if r := s.refuse(v, a); r.Err() != nil {
			t.Errorf("no client can be told %v: %v", r, r.Err())
		}
	}
	s.decide(v)
}

func FuzzClamd(f *testing.F) {
	for _, s := range []string{"stream: OK\x00", "stream: Eicar FOUND\x00", "INSTREAM size limit exceeded. ERROR\x00", "stream: \xff FOUND\x00", "stream: OK", "stream:  FOUND\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		answer, err := readClamd(strings.NewReader(string(in)), 1000)
		var v verdict
		if err == nil {
			v, err = parseClamd(answer)
		}
		checkVerdict(t, v, err)
		if err == nil && !v.found && !strings.HasPrefix(string(in), "stream: OK\x00") {
			t.Errorf("%q is taken for clean", in)
		}
	})
}

func FuzzSpamd(f *testing.F) {
	for _, s := range []string{
		"SPAMD/1.1 0 EX_OK\r\nContent-length: 3\r\nSpam: True ; 7.3 / 5.0\r\n\r\nA,B",
		"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -1 / 5\r\n\r\nA,B,\xff",
		"SPAMD/1.1 76 Bad header line\r\n", "SPAMD/1.5 0 PONG\r\n", "SPAMD/1.1 0 EX_OK\nContent-length: 99\nSpam: yes;1e9/-0\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := readSpamd(strings.NewReader(string(in)), 1000)
		checkVerdict(t, v, err)
		if err == nil && !strings.HasPrefix(string(in), "SPAMD/") {
			t.Errorf("%q is taken for an answer", in)
		}
	})
}

func FuzzRspamd(f *testing.F) {
	for _, s := range []string{
		`{"score":7.5,"required_score":15.0,"action":"add header","symbols":{"A":{"score":1}},"messages":{"smtp_message":"x%\r\ny"}}`,
		`{"score":1,"action":"reject","milter":{"add_headers":{"A":"x","B":{"value":"y","order":1},"C":["z",{"value":""}]},"remove_headers":{"A":0,"B":[1,-1]}}}`,
		`{"score":1,"action":"\u0000\ufffd"}`, `{"error":"x"}`, `[`, ``,
	} {
		f.Add("HTTP/1.1 200 OK\r\nContent-Length: ", []byte(s))
		f.Add("HTTP/1.1 200 OK\r\n\r\n", []byte(s))
		f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []byte(s))
	}
	f.Fuzz(func(t *testing.T, head string, body []byte) {
		if strings.HasSuffix(head, "Length: ") {
			head += fmt.Sprintf("%d\r\n\r\n", len(body))
		}
		req, err := http.NewRequest(http.MethodPost, "http://localhost/checkv2", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := strings.NewReader(head + string(body))
		b, err := readHTTP(r, req, 4000)
		if len(b) > 4000 {
			t.Errorf("%d bytes are read", len(b))
		}
		for _, in := range [][]byte{b, body} {
			v, err := rspamd{edits: true}.parse(in)
			checkVerdict(t, v, err)
			if err == nil && v.edits != nil && (len(v.edits.add) > maxFieldEdits || len(v.edits.remove) > maxFieldEdits) {
				t.Errorf("%d fields", len(v.edits.add))
			}
		}
	})
}
