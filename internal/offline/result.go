package offline

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/mta"
)

// A Result is what became of a message. It is valid until the function that it was
// given to returns.
type Result struct {
	Message
	Result      *mta.Result         // as the MTA sees it; nil where Err is set
	Explanation *filter.Explanation // as the chain does; nil where it was not asked

	// Delivered is the message as it would be delivered or held, and as it came where
	// it would be neither. Line ends of LF alone stay, unless there are both. What no
	// filter and no MTA changed is as it came, byte for byte.
	Delivered []byte
	// Diff returns a unified diff of what the filters changed, "" for nothing: against
	// the message as it would be delivered without them.
	Diff func() string

	mail mta.Mail
}

// Filters are the filters that were asked, and why the chain as a whole failed, if it
// did.
func (r *Result) Filters() []filter.Outcome {
	list := []filter.Outcome{}
	if r.Explanation != nil {
		list = append(list, r.Explanation.Filters...)
	}
	for _, f := range r.Result.Filters {
		if f.Why != "" {
			list = append(list, filter.Outcome{Name: f.Name, Stage: r.Result.Stage, Decision: "failed", Failed: f.Why, MS: f.Milliseconds})
		}
	}
	return list
}

// Delivers reports whether the message would be delivered or held.
func (r *Result) Delivers() bool {
	return r.Result.Verdict == mta.Accept && len(r.Result.Envelope.Rcpts) > 0
}

// Took returns how long the filters took.
func (r *Result) Took() time.Duration {
	var ms float64
	for _, f := range r.Result.Filters {
		ms += f.Milliseconds
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// MarshalJSON writes a verdict as everywhere in gomilter, with the filters of the chain
// in place of the milter that they are. It is not for a Result with Err.
func (r *Result) MarshalJSON() ([]byte, error) {
	v := struct {
		File       string           `json:"file"`
		Verdict    mta.Verdict      `json:"verdict"`
		Stage      string           `json:"stage"`
		Reply      *mta.Reply       `json:"reply"`
		Quarantine *string          `json:"quarantine"`
		Recipients []mta.Recipient  `json:"recipients"`
		Edits      []mta.FilterEdit `json:"edits"`
		Envelope   mta.Envelope     `json:"envelope"`
		Filters    []filter.Outcome `json:"filters"`
		Class      *filter.Class    `json:"class,omitempty"`
		Time       *time.Time       `json:"time,omitempty"`
	}{r.File, r.Result.Verdict, r.Result.Stage, r.Result.Reply, r.Result.Quarantine, r.Result.Recipients, r.Result.Edits, r.Result.Envelope, r.Filters(), nil, nil}
	if x := r.Explanation; x != nil {
		v.Class, v.Time = &x.Class, &x.Time
	}
	return json.Marshal(v)
}

// From returns the sender as the client named it.
func (r *Result) From() string { return r.mail.From }

// Helo returns what the client said in HELO.
func (r *Result) Helo() string { return r.mail.Helo }

// Client returns the SMTP client.
func (r *Result) Client() mta.Conn { return r.mail.Conn }

// deliver fills in what would be delivered; plain is what became of the message without
// filters.
func (r *Result) deliver(plain *mta.Result) {
	r.Delivered, r.Diff = r.Data, func() string { return "" }
	if !r.Delivers() {
		return
	}
	before, after := plain.Message.Bytes(), r.Result.Message.Bytes()
	same := bytes.Equal(before, after)
	switch {
	case same && sameLines(r.Data, before):
	case bytes.Contains(r.Data, []byte("\r\n")):
		r.Delivered = after
	default:
		r.Delivered = unixLines(after)
	}
	if !same {
		r.Diff = func() string { return unified(r.File, before, after) }
	}
}

// sameLines reports whether a is b, with LF or CRLF where b has CRLF, and with or
// without the last, which SMTP adds.
func sameLines(a, b []byte) bool {
	if !bytes.HasSuffix(a, []byte("\n")) {
		b = bytes.TrimSuffix(b, []byte("\r\n"))
	}
	for {
		lineA, restA, okA := bytes.Cut(a, []byte("\n"))
		lineB, restB, okB := bytes.Cut(b, []byte("\n"))
		if okA != okB || !bytes.Equal(bytes.TrimSuffix(lineA, []byte("\r")), bytes.TrimSuffix(lineB, []byte("\r"))) {
			return false
		}
		if !okA {
			return true
		}
		a, b = restA, restB
	}
}
