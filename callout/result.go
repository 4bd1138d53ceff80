package callout

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// A Verdict is whether an address is accepted.
type Verdict string

// The verdicts.
const (
	Accepted Verdict = "accepted" // a server of the domain took the address
	Refused  Verdict = "refused"  // a server of the domain refused it, or there is none
	Unknown  Verdict = "unknown"  // neither is known; asked later it may be
)

// A Reason is why a verdict is what it is.
type Reason string

// The reasons, by verdict.
const (
	Taken Reason = "taken" // RCPT was answered with 250 or 251

	NoMailbox  Reason = "no-mailbox"  // RCPT was refused for good, for the address
	NullMX     Reason = "null-mx"     // the domain says that it takes no mail (RFC 7505)
	NoHost     Reason = "no-host"     // the domain has no MX and no address, or does not exist
	BogusHost  Reason = "bogus-host"  // all its servers have addresses that are none on the Internet
	FraudHost  Reason = "fraud-host"  // all servers that were found call themselves by our name
	Greylisted Reason = "greylisted"  // come again later: a server that does not know us yet
	PutOff     Reason = "put-off"     // another temporary refusal
	NoBounces  Reason = "no-bounces"  // the null sender is refused, against RFC 5321 section 6.1
	NoSender   Reason = "no-sender"   // Options.From is refused
	Policy     Reason = "policy"      // we are refused: our address, our name, or that we ask
	Unclear    Reason = "unclear"     // a refusal that may mean anything
	NoAnswer   Reason = "no-answer"   // no server answered in time, and in SMTP
	NoDNS      Reason = "no-dns"      // where the servers are could not be looked up
	OwnHost    Reason = "own-host"    // mail for the domain comes to this machine
	NotAsked   Reason = "not-asked"   // no address that can be asked about
	OverBudget Reason = "over-budget" // enough was asked for now
	Pending    Reason = "pending"     // the asker's time ended first; the question goes on
	Closed     Reason = "closed"      // the Checker was closed
)

// reasons are what is known of each reason.
var reasons = map[Reason]struct {
	verdict Verdict
	keep    bool // it came of a dialogue, and is worth keeping
	text    string
}{
	Taken:      {Accepted, true, "a mail server of its domain accepts the address"},
	NoMailbox:  {Refused, true, "a mail server of its domain refuses the address"},
	NullMX:     {Refused, false, "its domain takes no mail"},
	NoHost:     {Refused, false, "its domain has no mail server"},
	BogusHost:  {Refused, false, "its domain has no mail server that can be reached"},
	FraudHost:  {Refused, true, "its domain has no mail server of its own"},
	Greylisted: {Unknown, true, "a mail server of its domain asks to come later"},
	PutOff:     {Unknown, true, "a mail server of its domain does not answer for now"},
	NoBounces:  {Unknown, true, "a mail server of its domain takes no bounces"},
	NoSender:   {Unknown, true, "a mail server of its domain refuses to be asked"},
	Policy:     {Unknown, true, "a mail server of its domain refuses to be asked"},
	Unclear:    {Unknown, true, "a mail server of its domain does not tell"},
	NoAnswer:   {Unknown, true, "no mail server of its domain answers"},
	NoDNS:      {Unknown, false, "the mail servers of its domain could not be looked up"},
	OwnHost:    {Unknown, false, "mail for its domain comes here"},
	NotAsked:   {Unknown, false, "the address cannot be asked about"},
	OverBudget: {Unknown, false, "too much was asked for now"},
	Pending:    {Unknown, false, "no mail server of its domain has answered yet"},
	Closed:     {Unknown, false, "no more is asked"},
}

// Verdict returns what a reason leads to, Unknown for one that is none.
func (r Reason) Verdict() Verdict {
	if v := reasons[r].verdict; v != "" {
		return v
	}
	return Unknown
}

// Text returns what may be said to anyone about an address: fixed, with nothing in it that
// a server said.
func (r Reason) Text() string { return reasons[r].text }

// A Reply is what a server said, or where Result.Host is empty what its part was taken by.
type Reply struct {
	Code     int    `json:"code"`     // 0 for none
	Enhanced string `json:"enhanced"` // as "5.1.1"; may be empty
	Text     string `json:"text"`     // printable, in one line; what a server says is for logs, not for other servers
}

// String returns the reply in one line.
func (r Reply) String() string {
	if r.Code == 0 {
		return "no reply"
	}
	s := strconv.Itoa(r.Code)
	for _, part := range []string{r.Enhanced, r.Text} {
		if part != "" {
			s += " " + part
		}
	}
	return s
}

// A Result is what is known of an address.
type Result struct {
	Address string     `json:"address"` // as it was asked about
	Verdict Verdict    `json:"verdict"`
	Reason  Reason     `json:"reason"`
	Reply   Reply      `json:"reply"`          // that led to the verdict
	Host    string     `json:"host,omitempty"` // whose reply it is; empty where the reply is ours
	Addr    netip.Addr `json:"addr,omitzero"`  // of the host
	TLS     bool       `json:"tls,omitempty"`
	Problem string     `json:"problem,omitempty"` // of a connection or DNS, where there is no reply
	Probe   Verdict    `json:"probe,omitempty"`   // for a random address of the domain; empty where that was not asked
	Asked   time.Time  `json:"asked"`
	Cached  bool       `json:"cached,omitempty"` // known from before
}

// CatchAll reports whether the address was accepted, and a random one of its domain as well: that
// it is accepted says little.
func (r Result) CatchAll() bool { return r.Verdict == Accepted && r.Probe == Accepted }

// String returns the result for a log, with what the server said.
func (r Result) String() string {
	s := string(r.Verdict) + " (" + string(r.Reason) + ")"
	switch {
	case r.Reply.Code != 0 && r.Host != "":
		s += fmt.Sprintf(": %s [%v] said %s", r.Host, r.Addr, r.Reply)
	case r.Reply.Code != 0:
		s += ": " + r.Reply.String()
	}
	if r.Problem != "" {
		s += ": " + r.Problem
	}
	if r.CatchAll() {
		s += ", and any other address of the domain"
	}
	if r.Cached {
		s += ", asked " + r.Asked.UTC().Format(time.DateTime)
	}
	return s
}

// because returns a result of a reason, with a reply of ours.
func because(why Reason, code int, enhanced, text string) Result {
	return Result{Verdict: why.Verdict(), Reason: why, Reply: Reply{code, enhanced, text}}
}

// encode returns a result as it is kept.
func (r Result) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		return nil // a year after 9999; it is asked again
	}
	return b
}

// maxEncoded bounds what is read of a cache, in bytes.
const maxEncoded = 64 << 10

var errEncoded = errors.New("callout: no result")

// decode reads what encode wrote.
func decode(b []byte) (Result, error) {
	var r Result
	if len(b) > maxEncoded {
		return Result{}, errEncoded
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Result{}, fmt.Errorf("%w: %w", errEncoded, err)
	}
	known, ok := reasons[r.Reason]
	if !ok || !known.keep || known.verdict != r.Verdict {
		return Result{}, errEncoded
	}
	switch r.Probe {
	case "", Accepted, Refused, Unknown:
	default:
		return Result{}, errEncoded
	}
	return r, nil
}
