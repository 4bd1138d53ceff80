package scan

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// rspamd is asked by HTTP, a request a connection: POST /checkv2 with the message as
// its body and the envelope in header fields, as rspamd's "Protocol" describes.
type rspamd struct {
	password string
	edits    bool // are looked at
}

func (s rspamd) request(method, path string) *http.Request {
	r := &http.Request{Method: method, URL: &url.URL{Path: path}, Host: "localhost", Header: make(http.Header), Close: true, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	r.Header.Set("User-Agent", "gomilter")
	if s.password != "" {
		r.Header.Set("Password", s.password)
	}
	return r
}

func (s rspamd) scan(c net.Conn, l *letter, max int64) (verdict, error) {
	req := s.request(http.MethodPost, "/checkv2")
	set := func(name, value string) {
		if value != "" {
			req.Header.Add(name, clean(value))
		}
	}
	set("IP", l.ip)
	set("Helo", l.helo)
	set("Hostname", l.host)
	set("From", "<"+l.from+">")
	for _, to := range l.rcpts {
		set("Rcpt", "<"+to+">")
	}
	set("User", l.user)
	set("Queue-Id", l.queue)
	set("MTA-Name", l.mta)
	set("MTA-Tag", l.daemon)
	set("TLS-Version", l.tls)
	set("TLS-Cipher", l.cipher)
	r := l.open()
	req.Body, req.ContentLength = io.NopCloser(r), l.size()
	out := &line{Writer: c}
	w := bufio.NewWriterSize(out, chunk)
	sendErr := req.Write(w)
	if sendErr == nil {
		sendErr = w.Flush()
	}
	if out.err != nil {
		sendErr = out.err
	}
	if sendErr = r.blame(sendErr); sendErr != nil {
		if _, ours := errors.AsType[*letterError](sendErr); ours {
			return verdict{}, sendErr
		}
	}
	body, err := readHTTP(c, req, max)
	if err != nil {
		return judged(verdict{}, err, sendErr)
	}
	v, err := s.parse(body)
	return judged(v, err, sendErr)
}

// clean returns a value for a field of HTTP: control characters in what the client
// of the MTA said would end it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// readHTTP returns the body of a response that says 200.
func readHTTP(r io.Reader, req *http.Request, max int64) ([]byte, error) {
	in := &line{Reader: r}
	limited := &io.LimitedReader{R: in, N: max}
	resp, err := http.ReadResponse(bufio.NewReader(limited), req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && resp.ContentLength < 0 && !slices.Contains(resp.TransferEncoding, "chunked") && limited.N == 0 {
			err = io.ErrUnexpectedEOF // its end is that of the connection, which was not seen
		}
	}
	switch {
	case err != nil && limited.N == 0:
		return nil, fmt.Errorf("%w: it is longer than %d bytes", errAnswer, max)
	case err != nil && in.err != nil && in.err != io.EOF:
		return nil, in.err
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("the connection was closed in the middle of an answer: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return nil, fmt.Errorf("%w: %s", errAnswer, told(err.Error(), 120))
	case resp.StatusCode == http.StatusRequestEntityTooLarge:
		return nil, errTooLarge
	case resp.StatusCode != http.StatusOK:
		var says struct{ Error string }
		if json.Unmarshal(body, &says) != nil || says.Error == "" {
			says.Error = http.StatusText(resp.StatusCode)
		}
		return nil, fmt.Errorf("%w %d %s", errSays, resp.StatusCode, told(says.Error, 120))
	}
	return body, nil
}

// actions are those of rspamd, and what Options.Follow makes of them.
var actions = map[string]Action{
	"no action":       Accept,
	"greylist":        TempFail,
	"soft reject":     TempFail,
	"add header":      Tag,
	"rewrite subject": TagSubject,
	"quarantine":      Quarantine,
	"reject":          Reject,
	"discard":         Discard,
}

// spamActions are advised about spam.
var spamActions = []string{"add header", "rewrite subject", "quarantine", "reject", "discard"}

// An rspamdAnswer is what we read of an answer.
type rspamdAnswer struct {
	Score    *float64 `json:"score"`
	Required *float64 `json:"required_score"`
	Action   string   `json:"action"`
	Symbols  map[string]struct {
		Score float64 `json:"score"`
	} `json:"symbols"`
	Messages json.RawMessage `json:"messages"`
	Milter   json.RawMessage `json:"milter"`
}

func (s rspamd) parse(body []byte) (v verdict, err error) {
	var a rspamdAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return v, fmt.Errorf("%w: %s", errAnswer, told(err.Error(), 120))
	}
	if a.Score == nil || a.Action == "" {
		return v, fmt.Errorf("%w: it has no score or no action", errAnswer)
	}
	v.score, v.action, v.found = *a.Score, a.Action, slices.Contains(spamActions, a.Action)
	if a.Required != nil { // a server that refuses nothing has none
		v.threshold = *a.Required
	}
	for name := range a.Symbols {
		v.names = append(v.names, name)
	}
	slices.SortFunc(v.names, func(x, y string) int { // what weighs most comes first
		return cmp.Or(cmp.Compare(math.Abs(a.Symbols[y].Score), math.Abs(a.Symbols[x].Score)), strings.Compare(x, y))
	})
	var messages struct {
		SMTP string `json:"smtp_message"`
	}
	if json.Unmarshal(a.Messages, &messages) == nil {
		v.text = messages.SMTP
	}
	if s.edits && len(a.Milter) > 0 {
		if v.edits, err = parseEdits(a.Milter); err != nil {
			return verdict{}, err
		}
	}
	return v, nil
}

func (s rspamd) ping(c net.Conn, max int64) error {
	req := s.request(http.MethodGet, "/ping")
	if err := req.Write(c); err != nil {
		return err
	}
	body, err := readHTTP(c, req, max)
	if err == nil && strings.TrimSpace(string(body)) != "pong" {
		err = fmt.Errorf("%w: %s", errAnswer, told(string(body), 120))
	}
	return err
}

// fieldEdits are the changes of header fields that rspamd asks milters for.
type fieldEdits struct {
	add    []addition
	remove []removal
}

type addition struct {
	name, value string
	place       int // as Edits.InsertHeader counts; less than 0 for the end
}

// A removal takes out the n-th field of a name; 0 are all, and less than 0 counts
// from the last.
type removal struct {
	name string
	n    int
}

// maxFieldEdits bounds either list.
const maxFieldEdits = 100

func parseEdits(raw []byte) (*fieldEdits, error) {
	bad := func(what string) error { return fmt.Errorf("%w: %s in its edits", errAnswer, show(what, 80)) }
	var m struct {
		Add    map[string]json.RawMessage `json:"add_headers"`
		Remove map[string]json.RawMessage `json:"remove_headers"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, bad(err.Error())
	}
	e := new(fieldEdits)
	for _, name := range sortedKeys(m.Add) {
		for _, x := range list(m.Add[name]) {
			a := addition{name: name, place: -1}
			var field struct {
				Value *string `json:"value"`
				Order *int    `json:"order"`
			}
			if json.Unmarshal(x, &a.value) != nil {
				if json.Unmarshal(x, &field) != nil || field.Value == nil {
					return nil, bad("field " + told(name, 60))
				}
				if a.value = *field.Value; field.Order != nil {
					a.place = *field.Order
				}
			}
			if len(e.add) == maxFieldEdits {
				return nil, bad("more than " + strconv.Itoa(maxFieldEdits) + " fields")
			}
			e.add = append(e.add, a)
		}
	}
	for _, name := range sortedKeys(m.Remove) {
		for _, x := range list(m.Remove[name]) {
			var n float64
			if json.Unmarshal(x, &n) != nil || n != math.Trunc(n) || math.Abs(n) > 1e6 {
				return nil, bad("number of " + told(name, 60))
			}
			if len(e.remove) == maxFieldEdits {
				return nil, bad("more than " + strconv.Itoa(maxFieldEdits) + " fields")
			}
			e.remove = append(e.remove, removal{name, int(n)})
		}
	}
	return e, nil
}

// list returns what an array holds, and anything else as the only one.
func list(raw json.RawMessage) []json.RawMessage {
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) == nil {
		return all
	}
	return []json.RawMessage{raw}
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
