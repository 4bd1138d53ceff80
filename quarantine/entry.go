package quarantine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// An Entry tells what was kept, and why. Its text may hold any bytes.
type Entry struct {
	Ref  string    // set by Keep
	Time time.Time // set by Keep, UTC

	QueueID string
	From    string // "" for the null sender
	Rcpts   []string
	Client  string // the host that sent it, name and address as the caller likes

	Filter string // the filter that kept it
	Reason string // in a line; cut at 4 KiB
	Failed bool   // the filter broke: see Store.Failures
	Stack  string // where it did; cut at 64 KiB

	Explanation string // the reference of what tells more of the message, "" for none

	Size   int64    // of the message in bytes, set by Keep
	SHA256 [32]byte // of the message, set by Keep
}

// How much is kept of texts that others may make long.
const (
	maxStack  = 64 << 10
	maxReason = 4 << 10
)

// cut shortens a text to n bytes, and not inside a UTF-8 sequence.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// same returns a digest of what a message that is sent again has in common with
// itself: all but time, queue id and client.
func (e *Entry) same() (sum [32]byte) {
	h := sha256.New()
	for _, s := range append([]string{string(e.SHA256[:]), e.Filter, e.Reason, e.From}, e.Rcpts...) {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	h.Sum(sum[:0])
	return sum
}

// entryJSON is an Entry in its file. What is no UTF-8 stands as base64 in the member
// whose name ends so.
type entryJSON struct {
	Ref        string    `json:"ref"`
	Time       time.Time `json:"time"`
	QueueID    *string   `json:"queue_id,omitempty"`
	QueueIDB64 []byte    `json:"queue_id_b64,omitempty"`
	From       *string   `json:"from,omitempty"`
	FromB64    []byte    `json:"from_b64,omitempty"`
	Rcpts      []string  `json:"rcpts,omitempty"`
	RcptsB64   [][]byte  `json:"rcpts_b64,omitempty"`
	Client     *string   `json:"client,omitempty"`
	ClientB64  []byte    `json:"client_b64,omitempty"`
	Filter     *string   `json:"filter,omitempty"`
	FilterB64  []byte    `json:"filter_b64,omitempty"`
	Reason     *string   `json:"reason,omitempty"`
	ReasonB64  []byte    `json:"reason_b64,omitempty"`
	Failed     bool      `json:"failed,omitempty"`
	Stack      *string   `json:"stack,omitempty"`
	StackB64   []byte    `json:"stack_b64,omitempty"`
	Expl       *string   `json:"explanation,omitempty"`
	ExplB64    []byte    `json:"explanation_b64,omitempty"`
	Size       int64     `json:"size"`
	SHA256     string    `json:"sha256"`
}

// texts pairs the text members with their places in an Entry.
func (j *entryJSON) texts(e *Entry) []textMember {
	return []textMember{
		{&e.QueueID, &j.QueueID, &j.QueueIDB64},
		{&e.From, &j.From, &j.FromB64},
		{&e.Client, &j.Client, &j.ClientB64},
		{&e.Filter, &j.Filter, &j.FilterB64},
		{&e.Reason, &j.Reason, &j.ReasonB64},
		{&e.Stack, &j.Stack, &j.StackB64},
		{&e.Explanation, &j.Expl, &j.ExplB64},
	}
}

type textMember struct {
	value *string
	text  **string
	b64   *[]byte
}

// MarshalJSON writes the entry as one object. Text that is no UTF-8 is written as
// base64 in a member whose name ends in "_b64"; of the recipients all are, when one is.
// It does not fail but for a Time outside of the years 0 to 9999.
func (e Entry) MarshalJSON() ([]byte, error) {
	j := entryJSON{Ref: e.Ref, Time: e.Time, Failed: e.Failed, Size: e.Size, SHA256: hex.EncodeToString(e.SHA256[:])}
	for _, m := range j.texts(&e) {
		switch {
		case !utf8.ValidString(*m.value):
			*m.b64 = []byte(*m.value)
		case *m.value != "" || m.value == &e.From:
			*m.text = m.value
		}
	}
	j.Rcpts = e.Rcpts
	for _, r := range e.Rcpts {
		if !utf8.ValidString(r) {
			j.Rcpts = nil
			for _, r := range e.Rcpts {
				j.RcptsB64 = append(j.RcptsB64, []byte(r))
			}
			break
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(j)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// UnmarshalJSON reads what MarshalJSON writes; members it does not know are ignored. It
// returns an error for what is no such object, for a Ref that is none, for a digest
// of another length and for a size less than zero.
func (e *Entry) UnmarshalJSON(b []byte) error {
	var j entryJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	out := Entry{Ref: j.Ref, Time: j.Time, Rcpts: j.Rcpts, Failed: j.Failed, Size: j.Size}
	if !ValidRef(j.Ref) {
		return ErrRef
	}
	if n, err := hex.Decode(out.SHA256[:], []byte(j.SHA256[:min(len(j.SHA256), 64)])); err != nil || n != 32 || len(j.SHA256) != 64 {
		return errors.New("quarantine: sha256 is no digest")
	}
	if j.Size < 0 {
		return fmt.Errorf("quarantine: size %d", j.Size)
	}
	for _, m := range j.texts(&out) {
		switch {
		case *m.b64 != nil:
			*m.value = string(*m.b64)
		case *m.text != nil:
			*m.value = **m.text
		}
	}
	if j.RcptsB64 != nil {
		out.Rcpts = nil
		for _, r := range j.RcptsB64 {
			out.Rcpts = append(out.Rcpts, string(r))
		}
	}
	*e = out
	return nil
}
