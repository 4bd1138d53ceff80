//go:build peers

package peertest_test

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/mta"
)

var profiles = []mta.Profile{mta.Sendmail, mta.Postfix}

// A talk is an SMTP session told to a filter by our mta package.
type talk struct {
	t       *testing.T
	s       *mta.Session
	told    []string // the replies that are none of success
	results []*mta.Result
	mu      sync.Mutex
	wire    []string // the filter's packets
}

var client = mta.Conn{Name: "client.example.com", Addr: netip.MustParseAddrPort("192.0.2.7:4711")}

// connect begins a talk with the filter at spec; change may alter the client.
func connect(t *testing.T, profile mta.Profile, f *peertest.Filter, change func(*mta.Client)) *talk {
	t.Helper()
	k := &talk{t: t}
	c := &mta.Client{Profile: profile, Hostname: "mx.example.net", Milters: []mta.Milter{{Name: "judged", Address: f.Spec}}}
	c.QueueID = func() string { return "QUEUE1" }
	c.Trace = func(p mta.Packet) {
		if !p.Sent {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.wire = append(k.wire, string(p.Code)+printable(string(p.Payload)))
		}
	}
	conn := client
	if change != nil {
		change(c)
	}
	s, out, err := c.Connect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k.s = s
	k.note("banner", out)
	return k
}

func (k *talk) note(command string, out mta.Outcome) bool {
	for _, f := range out.Faults {
		k.told = append(k.told, "fault "+f.Error())
	}
	if out.Reply == nil {
		return true
	}
	k.told = append(k.told, command+" "+strings.Join(out.Reply.Lines(), " / "))
	return false
}

// do notes what comes of a step.
func (k *talk) do(command string, step func(context.Context) (mta.Outcome, error)) bool {
	k.t.Helper()
	out, err := step(k.t.Context())
	if err != nil {
		k.told = append(k.told, command+" "+err.Error())
		return false
	}
	return k.note(command, out)
}

func (k *talk) helo(name string) bool {
	k.t.Helper()
	return k.do("HELO", func(ctx context.Context) (mta.Outcome, error) { return k.s.Helo(ctx, name) })
}

func (k *talk) mail(args ...string) bool {
	k.t.Helper()
	return k.do("MAIL", func(ctx context.Context) (mta.Outcome, error) { return k.s.Mail(ctx, args[0], args[1:]...) })
}

func (k *talk) rcpt(args ...string) bool {
	k.t.Helper()
	return k.do("RCPT", func(ctx context.Context) (mta.Outcome, error) { return k.s.Rcpt(ctx, args[0], args[1:]...) })
}

func (k *talk) data() bool {
	k.t.Helper()
	return k.do("DATA", k.s.Data)
}

func (k *talk) unknown(line string) bool {
	k.t.Helper()
	return k.do(line, func(ctx context.Context) (mta.Outcome, error) { return k.s.Unknown(ctx, line) })
}

func (k *talk) message(raw string) *mta.Result {
	k.t.Helper()
	res, err := k.s.Message(k.t.Context(), []byte(raw))
	if err != nil {
		k.told = append(k.told, "message "+err.Error())
		return nil
	}
	for _, f := range res.Faults {
		k.told = append(k.told, "fault "+f.Error())
	}
	if res.Reply != nil {
		k.told = append(k.told, ". "+strings.Join(res.Reply.Lines(), " / "))
	}
	k.results = append(k.results, res)
	return res
}

func (k *talk) reset() {
	k.t.Helper()
	if err := k.s.Reset(k.t.Context()); err != nil {
		k.told = append(k.told, "RSET "+err.Error())
	}
}

func (k *talk) quit() {
	k.t.Helper()
	if err := k.s.Quit(k.t.Context()); err != nil {
		k.t.Error(err)
	}
}

// send sends a message as a client does, and stops where it is refused.
func (k *talk) send(from string, rcpts []string, raw string) {
	k.t.Helper()
	if k.s.Closed() || !k.mail(from) {
		return
	}
	taken := false
	for _, to := range rcpts {
		if k.s.Closed() {
			return
		}
		taken = k.rcpt(to) || taken
	}
	if !taken || !k.data() {
		if !k.s.Closed() {
			k.reset()
		}
		return
	}
	k.message(raw)
}

// verdicts returns what became of the messages.
func (k *talk) verdicts() string {
	var all []string
	for _, r := range k.results {
		all = append(all, fmt.Sprint(r.Verdict, " ", r.Stage))
	}
	return strings.Join(all, ", ")
}

// replies are all that a filter can answer at each stage, with what our MTA makes
// of it over two messages: docs and recordings of the real ones say the same.
var replies = []struct {
	does     string // lines, later and bye stand for three kinds of reply with a text
	profile  string // only Sendmail (s) or Postfix (p)
	calls    string
	sendmail string // what the client is told beside success
	postfix  string // the same as sendmail when empty
	verdicts string
}{
	{"accept|connect", "", "connect", "", "", "accept end, accept end"},
	{"reject|connect", "", "connect", "banner 554 mx.example.net ESMTP not accepting messages; MAIL 550 5.0.0 Command rejected; MAIL 550 5.0.0 Command rejected", "banner 554 mx.example.net ESMTP not accepting connections; FOO bar 550 5.7.1 Command rejected; MAIL 550 5.7.1 Command rejected; MAIL 550 5.7.1 Command rejected", ""},
	{"tempfail|connect", "", "connect", "MAIL <tempfail>; MAIL <tempfail>", "FOO bar <tempfail>; MAIL <tempfail>; MAIL <tempfail>", ""},
	{"discard|connect", "s", "connect", "", "", "accept end, accept end"},
	{"discard|connect", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"skip|connect", "s", "connect", "", "", "accept end, accept end"},
	{"skip|connect", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|connect", "", "connect", "banner 554 mx.example.net ESMTP not accepting messages; MAIL 550 5.0.0 Command rejected; MAIL 550 5.0.0 Command rejected", "banner 554 mx.example.net ESMTP not accepting connections; FOO bar <lines>; MAIL <lines>; MAIL <lines>", ""},
	{"later|connect", "", "connect", "MAIL <tempfail>; MAIL <tempfail>", "FOO bar <later>; MAIL <later>; MAIL <later>", ""},
	{"bye|connect", "", "connect", "banner 421 4.7.0 mx.example.net closing connection", "banner 421 mx.example.net Service unavailable - try again later", ""},
	{"accept|helo", "", "connect helo", "", "", "accept end, accept end"},
	{"reject|helo", "", "connect helo", "MAIL 550 5.0.0 Command rejected; MAIL 550 5.0.0 Command rejected", "FOO bar 550 5.7.1 Command rejected; MAIL 550 5.7.1 Command rejected; MAIL 550 5.7.1 Command rejected", ""},
	{"tempfail|helo", "", "connect helo", "MAIL <tempfail>; MAIL <tempfail>", "FOO bar <tempfail>; MAIL <tempfail>; MAIL <tempfail>", ""},
	{"discard|helo", "", "ALL NEXT", "", "", "accept end, accept end"},
	{"skip|helo", "s", "connect helo", "", "", "accept end, accept end"},
	{"skip|helo", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|helo", "", "connect helo", "MAIL <lines>; MAIL <lines>", "FOO bar <lines>; MAIL <lines>; MAIL <lines>", ""},
	{"later|helo", "", "connect helo", "MAIL <later>; MAIL <later>", "FOO bar <later>; MAIL <later>; MAIL <later>", ""},
	{"bye|helo", "", "connect helo", "HELO <bye>", "", ""},
	{"accept|unknown|FOO", "s", "ALL NEXT", "", "", "accept end, accept end"},
	{"accept|unknown|FOO", "p", "ALL", "", "", "accept end, accept end"},
	{"reject|unknown|FOO", "", "ALL NEXT", "FOO bar 550 5.7.1 Command rejected", "", "accept end, accept end"},
	{"tempfail|unknown|FOO", "", "ALL NEXT", "FOO bar <tempfail>", "", "accept end, accept end"},
	{"skip|unknown|FOO", "s", "connect helo unknown", "", "", "accept end, accept end"},
	{"skip|unknown|FOO", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|unknown|FOO", "", "ALL NEXT", "FOO bar <lines>", "", "accept end, accept end"},
	{"later|unknown|FOO", "", "ALL NEXT", "FOO bar <later>", "", "accept end, accept end"},
	{"bye|unknown|FOO", "", "connect helo unknown", "FOO bar <bye>", "", ""},
	{"accept|mail|one@", "", "ALL", "", "", "accept end, accept end"},
	{"reject|mail|one@", "", "ALL", "MAIL 550 5.7.1 <one@example.com>... Command rejected", "MAIL 550 5.7.1 Command rejected", "accept end"},
	{"tempfail|mail|one@", "", "ALL", "MAIL <tempfail>", "", "accept end"},
	{"discard|mail|one@", "", "ALL", "", "", "discard mail, accept end"},
	{"skip|mail|one@", "s", "connect helo unknown mail abort", "", "", "accept end, accept end"},
	{"skip|mail|one@", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|mail|one@", "", "ALL", "MAIL <lines>", "", "accept end"},
	{"later|mail|one@", "", "ALL", "MAIL <later>", "", "accept end"},
	{"bye|mail|one@", "", "connect helo unknown mail", "MAIL <bye>", "", ""},
	{"accept|rcpt|bad@", "", "connect helo unknown mail rcpt NEXT", "", "", "accept end, accept end"},
	{"reject|rcpt|bad@", "", "ALL NEXT", "RCPT 550 5.7.1 <bad@example.net>... Command rejected", "RCPT 550 5.7.1 Command rejected", "accept end, accept end"},
	{"tempfail|rcpt|bad@", "", "ALL NEXT", "RCPT <tempfail>", "", "accept end, accept end"},
	{"discard|rcpt|bad@", "", "connect helo unknown mail rcpt abort NEXT", "", "", "discard rcpt, accept end"},
	{"skip|rcpt|bad@", "s", "connect helo unknown mail rcpt abort", "", "", "accept end, accept end"},
	{"skip|rcpt|bad@", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|rcpt|bad@", "", "ALL NEXT", "RCPT <lines>", "", "accept end, accept end"},
	{"later|rcpt|bad@", "", "ALL NEXT", "RCPT <later>", "", "accept end, accept end"},
	{"bye|rcpt|bad@", "", "connect helo unknown mail rcpt abort", "RCPT <bye>", "", ""},
	{"accept|data", "", "connect helo unknown mail rcpt data mail rcpt data", "", "", "accept end, accept end"},
	{"reject|data", "", "connect helo unknown mail rcpt data mail rcpt data", "DATA 550 5.7.1 Command rejected; DATA 550 5.7.1 Command rejected", "", ""},
	{"tempfail|data", "", "connect helo unknown mail rcpt data mail rcpt data", "DATA <tempfail>; DATA <tempfail>", "", ""},
	{"discard|data", "", "connect helo unknown mail rcpt data mail rcpt data", "", "", "discard data, discard data"},
	{"skip|data", "s", "connect helo unknown mail rcpt data abort", "", "", "accept end, accept end"},
	{"skip|data", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|data", "", "connect helo unknown mail rcpt data mail rcpt data", "DATA <lines>; DATA <lines>", "", ""},
	{"later|data", "", "connect helo unknown mail rcpt data mail rcpt data", "DATA <later>; DATA <later>", "", ""},
	{"bye|data", "", "connect helo unknown mail rcpt data", "DATA <bye>", "", ""},
	{"accept|header", "", "connect helo unknown mail rcpt data header mail rcpt data header", "", "", "accept end, accept end"},
	{"reject|header", "", "connect helo unknown mail rcpt data header mail rcpt data header", ". 554 5.7.1 Command rejected; . 554 5.7.1 Command rejected", ". 550 5.7.1 Command rejected; . 550 5.7.1 Command rejected", "reject header, reject header"},
	{"tempfail|header", "", "connect helo unknown mail rcpt data header mail rcpt data header", ". <tempfail>; . <tempfail>", "", "tempfail header, tempfail header"},
	{"discard|header", "", "connect helo unknown mail rcpt data header mail rcpt data header", "", "", "discard header, discard header"},
	{"skip|header", "s", "connect helo unknown mail rcpt data header eoh eom mail rcpt data header eoh eom", "", "", "accept end, accept end"},
	{"skip|header", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|header", "", "connect helo unknown mail rcpt data header mail rcpt data header", ". <lines>; . <lines>", "", "reject header, reject header"},
	{"later|header", "", "connect helo unknown mail rcpt data header mail rcpt data header", ". <later>; . <later>", "", "tempfail header, tempfail header"},
	{"bye|header", "", "connect helo unknown mail rcpt data header", ". <bye>", "", "tempfail header"},
	{"accept|eoh", "", "connect helo unknown mail rcpt data header eoh mail rcpt data header eoh", "", "", "accept end, accept end"},
	{"reject|eoh", "", "connect helo unknown mail rcpt data header eoh mail rcpt data header eoh", ". 554 5.7.1 Command rejected; . 554 5.7.1 Command rejected", ". 550 5.7.1 Command rejected; . 550 5.7.1 Command rejected", "reject eoh, reject eoh"},
	{"tempfail|eoh", "", "connect helo unknown mail rcpt data header eoh mail rcpt data header eoh", ". <tempfail>; . <tempfail>", "", "tempfail eoh, tempfail eoh"},
	{"discard|eoh", "", "connect helo unknown mail rcpt data header eoh mail rcpt data header eoh", "", "", "discard eoh, discard eoh"},
	{"skip|eoh", "s", "connect helo unknown mail rcpt data header eoh eom mail rcpt data header eoh eom", "", "", "accept end, accept end"},
	{"skip|eoh", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|eoh", "", "connect helo unknown mail rcpt data header eoh mail rcpt data header eoh", ". <lines>; . <lines>", "", "reject eoh, reject eoh"},
	{"later|eoh", "", "connect helo unknown mail rcpt data header eoh mail rcpt data header eoh", ". <later>; . <later>", "", "tempfail eoh, tempfail eoh"},
	{"bye|eoh", "", "connect helo unknown mail rcpt data header eoh", ". <bye>", "", "tempfail eoh"},
	{"accept|body", "", "connect helo unknown mail rcpt data header eoh body mail rcpt data header eoh body", "", "", "accept end, accept end"},
	{"reject|body", "", "connect helo unknown mail rcpt data header eoh body mail rcpt data header eoh body", ". 554 5.7.1 Command rejected; . 554 5.7.1 Command rejected", ". 550 5.7.1 Command rejected; . 550 5.7.1 Command rejected", "reject body, reject body"},
	{"tempfail|body", "", "connect helo unknown mail rcpt data header eoh body mail rcpt data header eoh body", ". <tempfail>; . <tempfail>", "", "tempfail body, tempfail body"},
	{"discard|body", "", "connect helo unknown mail rcpt data header eoh body mail rcpt data header eoh body", "", "", "discard body, discard body"},
	{"skip|body", "", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|body", "", "connect helo unknown mail rcpt data header eoh body mail rcpt data header eoh body", ". <lines>; . <lines>", "", "reject body, reject body"},
	{"later|body", "", "connect helo unknown mail rcpt data header eoh body mail rcpt data header eoh body", ". <later>; . <later>", "", "tempfail body, tempfail body"},
	{"bye|body", "", "connect helo unknown mail rcpt data header eoh body", ". <bye>", "", "tempfail body"},
	{"accept|eom", "", "ALL NEXT", "", "", "accept end, accept end"},
	{"reject|eom", "", "ALL NEXT", ". 554 5.7.1 Command rejected; . 554 5.7.1 Command rejected", ". 550 5.7.1 Command rejected; . 550 5.7.1 Command rejected", "reject end, reject end"},
	{"tempfail|eom", "", "ALL NEXT", ". <tempfail>; . <tempfail>", "", "tempfail end, tempfail end"},
	{"discard|eom", "", "ALL NEXT", "", "", "discard end, discard end"},
	{"skip|eom", "s", "ALL", "fault mta: milter judged: end: reply is not one for this stage: 's'", "", "accept end, accept end"},
	{"skip|eom", "p", "ALL NEXT", "", "", "accept end, accept end"},
	{"lines|eom", "", "ALL NEXT", ". <lines>; . <lines>", "", "reject end, reject end"},
	{"later|eom", "", "ALL NEXT", ". <later>; . <later>", "", "tempfail end, tempfail end"},
	{"bye|eom", "", "ALL", ". <bye>", "", "tempfail end"},
}

// spell writes a reply out.
func spell(does string) string {
	verb, where, _ := strings.Cut(does, "|")
	if !strings.Contains(where, "|") {
		where += "|"
	}
	switch verb {
	case "lines":
		return "reply|" + where + "|554|5.7.9|first|100%% sure|last"
	case "later":
		return "reply|" + where + "|452|4.2.2|come again"
	case "bye":
		return "reply|" + where + "|421|4.7.0|go away"
	}
	return does
}

// typed reports whether our library has a reply: what MTAs take badly it has not.
func typed(does string) bool {
	switch verb, where, _ := strings.Cut(does, "|"); verb {
	case "skip":
		return where == "body"
	case "discard":
		return where != "connect" && where != "helo" && !strings.HasPrefix(where, "rcpt") && !strings.HasPrefix(where, "unknown")
	case "accept":
		return !strings.HasPrefix(where, "unknown")
	}
	return true
}

func TestEveryReplyAtEveryStageOverOurMTA(t *testing.T) {
	const all = "connect helo unknown mail rcpt data header eoh body eom"
	const data = "From: a\r\nSubject: b\r\n\r\nHello.\r\n"
	for _, tt := range replies {
		t.Run(tt.does+tt.profile, func(t *testing.T) {
			t.Parallel()
			wire := map[string][]string{}
			for _, r := range rivals {
				if r.name == "ours" && !typed(tt.does) {
					continue
				}
				f := r.start(t, "unix", spell(tt.does))
				n := 0
				for _, p := range profiles {
					if tt.profile != "" && tt.profile[0] != p.String()[0] {
						continue
					}
					k := connect(t, p, f, nil)
					if !k.s.Closed() && k.helo("client.example.com") {
						k.unknown("FOO bar")
					}
					k.send("<one@example.com>", []string{"<bad@example.net>", "<good@example.net>"}, data)
					k.send("<two@example.com>", []string{"<good@example.net>"}, data)
					k.quit()
					n++
					who := r.name + " and " + p.String()
					want := strings.NewReplacer("ALL", all, "NEXT", strings.TrimPrefix(all, "connect helo unknown ")).Replace(tt.calls) + " close"
					got := stagesOf(calls(t, f, n))
					if tt.does == "bye|unknown|FOO" {
						// Told ABORT after an unknown command libmilter calls abort, without a
						// message; unless it notices the end of the connection first.
						got = strings.Replace(got, " abort", "", 1)
					}
					if got != want {
						t.Errorf("%s: the filter was told\n%s, want\n%s", who, got, want)
					}
					told, tempfail := tt.sendmail, "451 4.3.2 Please try again later"
					if p == mta.Postfix {
						told, tempfail = cmp.Or(tt.postfix, tt.sendmail), "451 4.7.1 Service unavailable - try again later"
					}
					told = strings.NewReplacer("<tempfail>", tempfail, "<lines>", "554-5.7.9 first / 554-5.7.9 100% sure / 554 5.7.9 last",
						"<later>", "452 4.2.2 come again", "<bye>", "421 4.7.0 go away").Replace(told)
					if got := strings.Join(k.told, "; "); got != told {
						t.Errorf("%s: the client was told\n%s, want\n%s", who, got, told)
					}
					if got := k.verdicts(); got != tt.verdicts {
						t.Errorf("%s: verdicts %q, want %q", who, got, tt.verdicts)
					}
					if other := wire[p.String()]; other != nil && !slices.Equal(k.wire[1:], other[1:]) {
						t.Errorf("%s: the filter said\n%q, want what libmilter says,\n%q", who, k.wire, other)
					}
					wire[p.String()] = k.wire
				}
			}
		})
	}
}

// outcome writes what became of editMessage: the header with its own fields as one
// letter each, then whatever is not as it was.
func outcome(k *talk, log []string) string {
	res := k.results[0]
	var fields []string
	for _, f := range res.Message.Header {
		fields = append(fields, strings.TrimSuffix(string(f.Raw()), "\r\n"))
	}
	out := strings.NewReplacer("Received: from a", "R", "Subject: one", "S", "X-N: 1", "1", "X-N: 2", "2", "X-N: 3", "3", "To: b", "T").Replace(strings.Join(fields, "|"))
	add := func(what, value, usual string) {
		if value != usual {
			out += " " + what + "=" + printable(value)
		}
	}
	if res.Verdict == mta.Accept {
		add("body", string(res.Message.Body), "body\r\n")
	}
	add("from", strings.Join(append([]string{res.Envelope.From}, res.Envelope.FromArgs...), " "), "one@example.com")
	var rcpts []string
	for _, r := range res.Envelope.Rcpts {
		rcpts = append(rcpts, strings.Join(append([]string{r.Address}, r.Args...), " "))
	}
	add("rcpts", strings.Join(rcpts, ","), "a@example.net,b@example.net")
	if res.Quarantine != nil {
		add("held", *res.Quarantine, "")
	}
	add("verdict", k.verdicts(), "accept end")
	add("told", strings.Join(k.told, "; "), "")
	for _, line := range log {
		if refused, ok := strings.CutPrefix(line, "refused "); ok {
			add("refused", refused, "")
		}
	}
	return strings.TrimPrefix(out, " ")
}

const editMessage = "Received: from a\r\nSubject: one\r\nX-N: 1\r\nX-N: 2\r\nX-N: 3\r\nTo: b\r\n\r\nbody\r\n"

// edits are all that a filter can ask for at the end of a message, with what
// becomes of editMessage.
var edits = []struct {
	does     []string
	sendmail string
	postfix  string // the same as sendmail when empty
	ours     string // with our filter and both MTAs, where that differs from libmilter
}{
	{does: []string{"addheader|X-New|v"}, sendmail: "R|S|1|2|3|T|X-New: v"},
	{does: []string{"addheader|X-N|0"}, sendmail: "R|S|X-N: 0|1|2|3|T", postfix: "R|S|1|2|3|T|X-N: 0", ours: "R|S|1|2|3|T|X-N: 0"},
	{does: []string{"insheader|0|X-New|v"}, sendmail: "X-New: v|R|S|1|2|3|T"},
	{does: []string{"insheader|1|X-New|v"}, sendmail: "X-New: v|R|S|1|2|3|T"},
	{does: []string{"insheader|3|X-New|v"}, sendmail: "X-New: v|R|S|1|2|3|T", postfix: "R|S|X-New: v|1|2|3|T"},
	{does: []string{"insheader|99|X-New|v"}, sendmail: "R|S|1|2|3|T|X-New: v"},
	{does: []string{"insheader|0|X-A|1", "insheader|1|X-B|2"}, sendmail: "X-A: 1|X-B: 2|R|S|1|2|3|T"},
	{does: []string{"chgheader|X-N|2|two"}, sendmail: "R|S|1|X-N: two|3|T"},
	{does: []string{"chgheader|X-N|9|nine"}, sendmail: "R|S|X-N: nine|1|2|3|T", postfix: "R|S|1|2|3|T|X-N: nine", ours: "R|S|1|2|3|T|X-N: nine"},
	{does: []string{"chgheader|X-Q|1|q"}, sendmail: "R|S|1|2|3|T|X-Q: q"},
	{does: []string{"chgheader|x-n|1|eins"}, sendmail: "R|S|X-N: eins|2|3|T", postfix: "R|S|x-n: eins|2|3|T"},
	{does: []string{"chgheader|Received|1|gone"}, sendmail: "Received: gone|S|1|2|3|T"},
	{does: []string{"delheader|X-N|2"}, sendmail: "R|S|1|3|T"},
	{does: []string{"delheader|X-N|9"}, sendmail: "R|S|1|2|3|T"},
	{does: []string{"delheader|X-N|1", "delheader|X-N|2"}, sendmail: "R|S|3|T", postfix: "R|S|2|T", ours: "R|S|3|T"},
	{does: []string{"delheader|X-N|2", "delheader|X-N|1"}, sendmail: "R|S|3|T"},
	{does: []string{"delheader|X-N|1", "chgheader|X-N|2|two"}, sendmail: "R|S|X-N: two|3|T", postfix: "R|S|2|X-N: two|T", ours: "R|S|X-N: two|3|T"},
	{does: []string{"chgheader|X-N|1|"}, sendmail: "R|S|2|3|T"},
	{does: []string{"addheader|X-F|one\n\ttwo\n three"}, sendmail: "R|S|1|2|3|T|X-F: one\r\n\ttwo\r\n three"},
	{does: []string{"addheader|X-8|gr\xfc\xdfe"}, sendmail: "R|S|1|2|3|T|X-8: gr\xfc\xdfe"},
	{does: []string{"addheader|X-E|"}, sendmail: "R|S|1|2|3|T|X-E: "},
	{does: []string{"addheader|X-S| v"}, sendmail: "R|S|1|2|3|T|X-S:  v"},
	{does: []string{"leadspace", "addheader|X-T|tight", "chgheader|Subject|1|two", "insheader|1|X-I|  far"}, sendmail: "X-I:  far|R|Subject:two|1|2|3|T|X-T:tight", ours: "X-I:   far|R|Subject: two|1|2|3|T|X-T: tight"},
	{does: []string{"replacebody|New body.\r\nSecond line.\r\n"}, sendmail: "R|S|1|2|3|T body=New body.\\x0d\\x0aSecond line.\\x0d\\x0a"},
	{does: []string{"replacebody|no line end"}, sendmail: "R|S|1|2|3|T body=no line end\\x0d\\x0a"},
	{does: []string{"replacebody|"}, sendmail: "R|S|1|2|3|T body="},
	{does: []string{"replacebody|one\r\n", "replacebody|two\r\n"}, sendmail: "R|S|1|2|3|T body=one\\x0d\\x0atwo\\x0d\\x0a", ours: "R|S|1|2|3|T body=two\\x0d\\x0a"},
	{does: []string{"quarantine|held by test"}, sendmail: "R|S|1|2|3|T held=held by test"},
	{does: []string{"quarantine|first", "quarantine|second"}, sendmail: "R|S|1|2|3|T held=second"},
	{does: []string{"addrcpt|<new@example.net>"}, sendmail: "R|S|1|2|3|T rcpts=a@example.net,b@example.net,new@example.net"},
	{does: []string{"addrcpt|bare@example.net"}, sendmail: "R|S|1|2|3|T rcpts=a@example.net,b@example.net,bare@example.net"},
	{does: []string{"addrcpt|<p@example.net>|NOTIFY=NEVER ORCPT=rfc822;x@y"}, sendmail: "R|S|1|2|3|T rcpts=a@example.net,b@example.net,p@example.net NOTIFY=NEVER ORCPT=rfc822;x@y"},
	{does: []string{"addrcpt|<a@example.net>"}, sendmail: "R|S|1|2|3|T", postfix: "R|S|1|2|3|T rcpts=a@example.net,b@example.net,a@example.net"},
	{does: []string{"delrcpt|<a@example.net>"}, sendmail: "R|S|1|2|3|T rcpts=b@example.net"},
	{does: []string{"delrcpt|a@example.net"}, sendmail: "R|S|1|2|3|T rcpts=b@example.net"},
	{does: []string{"delrcpt|<A@example.net>"}, sendmail: "R|S|1|2|3|T"},
	{does: []string{"delrcpt|<a@example.net>", "delrcpt|<b@example.net>"}, sendmail: "R|S|1|2|3|T rcpts="},
	{does: []string{"delrcpt|<absent@example.net>"}, sendmail: "R|S|1|2|3|T"},
	{does: []string{"chgfrom|<new@example.com>"}, sendmail: "R|S|1|2|3|T from=new@example.com"},
	{does: []string{"chgfrom|<>"}, sendmail: "R|S|1|2|3|T from="},
	{does: []string{"chgfrom|<new@example.com>|RET=HDRS ENVID=abc"}, sendmail: "R|S|1|2|3|T from=new@example.com RET=HDRS ENVID=abc"},
	{does: []string{"chgfrom|<new@example.com>|RET=SOME"}, sendmail: "R|S|1|2|3|T from=new@example.com", ours: "R|S|1|2|3|T refused=chgfrom|<new@example.com>|RET=SOME"},
	{does: []string{"addrcpt|<p@example.net>|FOO=bar"}, sendmail: "R|S|1|2|3|T", postfix: "R|S|1|2|3|T rcpts=a@example.net,b@example.net,p@example.net", ours: "R|S|1|2|3|T refused=addrcpt|<p@example.net>|FOO=bar"},
	{does: []string{"progress", "addheader|X-New|v", "progress"}, sendmail: "R|S|1|2|3|T|X-New: v"},
	{does: []string{"chgheader|Subject|1|two", "addheader|X-New|v", "insheader|0|X-Top|t", "addrcpt|<new@example.net>", "delrcpt|<a@example.net>", "chgfrom|<new@example.com>", "quarantine|why", "replacebody|New.\r\n"}, sendmail: "X-Top: t|R|Subject: two|1|2|3|T|X-New: v body=New.\\x0d\\x0a from=new@example.com rcpts=b@example.net,new@example.net held=why"},
	{does: []string{"addheader|X-New|v", "quarantine|why", "reject|eom"}, sendmail: "verdict=reject end told=. 554 5.7.1 Command rejected", postfix: "verdict=reject end told=. 550 5.7.1 Command rejected"},
	{does: []string{"addheader|X-New|v", "tempfail|eom"}, sendmail: "verdict=tempfail end told=. 451 4.3.2 Please try again later", postfix: "verdict=tempfail end told=. 451 4.7.1 Service unavailable - try again later"},
	{does: []string{"addheader|X-New|v", "discard|eom"}, sendmail: "verdict=discard end"},
	{does: []string{"addheader|X-New|v", "accept|eom"}, sendmail: "R|S|1|2|3|T|X-New: v"},
	{does: []string{"addheader|Bad Name|v"}, sendmail: "R|S|1|2|3|T|Bad Name: v", ours: "R|S|1|2|3|T refused=addheader|Bad Name|v"},
	{does: []string{"addheader|X-C|a\rb"}, sendmail: "R|S|1|2|3|T|X-C: a\rb", ours: "R|S|1|2|3|T refused=addheader|X-C|a\\x5cx0db"},
	{does: []string{"addrcpt|"}, sendmail: "R|S|1|2|3|T refused=addrcpt|"},
	{does: []string{"quarantine|"}, sendmail: "R|S|1|2|3|T refused=quarantine|"},
	{does: []string{"replacebody|one\r\n", "addheader|X-New|v", "replacebody|two\r\n"}, sendmail: "R|S|1|2|3|T|X-New: v body=one\\x0d\\x0atwo\\x0d\\x0a", postfix: "verdict=tempfail end told=fault mta: milter judged: end: configuration error: replbody 5 bytes; . 451 4.3.5 Server configuration problem - try again later", ours: "R|S|1|2|3|T|X-New: v body=two\\x0d\\x0a"},
}

func TestEveryEditOverOurMTA(t *testing.T) {
	for _, tt := range edits {
		t.Run(strings.Join(tt.does, ","), func(t *testing.T) {
			t.Parallel()
			for _, r := range rivals {
				f := r.start(t, "unix", tt.does...)
				for i, p := range profiles {
					k := connect(t, p, f, nil)
					k.helo("client.example.com")
					k.send("<one@example.com>", []string{"<a@example.net>", "<b@example.net>"}, editMessage)
					k.quit()
					want := tt.sendmail
					if p == mta.Postfix {
						want = cmp.Or(tt.postfix, want)
					}
					if r.name == "ours" {
						want = cmp.Or(tt.ours, want)
					}
					if got := outcome(k, calls(t, f, i+1)); got != want {
						t.Errorf("%s and %v: %q, want %q", r.name, p, got, want)
					}
				}
			}
		})
	}
}

func TestSilenceOverOurMTA(t *testing.T) {
	all := []string{"connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "unknown"}
	for _, tt := range []struct {
		name    string
		silent  []string
		version uint32
		wire    string // what the filter says beside OPTNEG
	}{
		{"at one stage", []string{"header"}, 6, "c c c c c c c c h c"},
		{"in the envelope", []string{"mail", "rcpt", "data"}, 6, "c c c c c c c h c"},
		{"everywhere", all, 6, "h c"},
		{"not granted", all, 4, "c c c c c c c c c c h c"},
		{"not granted by the oldest", all, 2, "c c c c c c c c h c"}, // DATA and unknown commands are not told
	} {
		t.Run(tt.name, func(t *testing.T) {
			does := []string{"addheader|X-New|v"}
			for _, stage := range tt.silent {
				does = append(does, "noreply|"+stage)
			}
			for _, r := range rivals {
				f := r.start(t, "inet", does...)
				for i, p := range profiles {
					k := connect(t, p, f, func(c *mta.Client) { c.Version = tt.version })
					k.helo("client.example.com")
					k.unknown("FOO")
					k.send("<one@example.com>", []string{"<a@example.net>"}, "A: 1\r\nB: 2\r\n\r\nbody\r\n")
					k.quit()
					var said []string
					for _, w := range k.wire[1:] {
						said = append(said, w[:1])
					}
					if got := strings.Join(said, " "); got != tt.wire || len(k.told) > 0 {
						t.Errorf("%s and %v: the filter said %q, want %q; the client was told %q", r.name, p, got, tt.wire, k.told)
					}
					if got := string(k.results[0].Message.Bytes()); got != "A: 1\r\nB: 2\r\nX-New: v\r\n\r\nbody\r\n" {
						t.Errorf("%s and %v: the message became %q", r.name, p, got)
					}
					want := "connect helo unknown mail rcpt data header eoh body eom close"
					if tt.version == 2 {
						want = "connect helo mail rcpt header eoh body eom close"
					}
					if got := stagesOf(calls(t, f, i+1)); got != want {
						t.Errorf("%s and %v: the filter was told %q, want %q", r.name, p, got, want)
					}
				}
			}
		})
	}
}

// session plays what happens in a long SMTP session: messages given up, repeated
// greetings, the null sender, a body of several chunks, and a client that is lost.
func session(t *testing.T, k *talk) {
	t.Helper()
	k.helo("first.example.com")
	k.helo("second.example.com")
	k.mail("<one@example.com>", "SIZE=1000", "BODY=8BITMIME")
	k.rcpt("<a@example.net>", "NOTIFY=NEVER")
	k.reset()
	k.unknown("FOO bar")
	k.mail("<>")
	k.rcpt("<b@example.net>")
	k.data()
	k.message("Subject:  two\r\n\tlines\r\nX-8: gr\xfc\xdfe\r\nX-E:\r\n\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 200))
	k.mail("<two@example.com>")
	k.helo("third.example.com")
	if err := k.s.StartTLS(t.Context()); err != nil {
		t.Error(err)
	}
	k.helo("third.example.com")
	k.mail("<three@example.com>")
	k.rcpt("<c@example.net>")
	k.data()
	k.message("\r\n")
	k.mail("<four@example.com>")
	k.rcpt("<d@example.net>")
	if err := k.s.Lost(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLongSessionOverOurMTA(t *testing.T) {
	const log = `connect client.example.com 192.0.2.7 4711
helo first.example.com
helo second.example.com
mail <one@example.com> SIZE=1000 BODY=8BITMIME
rcpt <a@example.net> NOTIFY=NEVER
abort
unknown FOO
mail <>
rcpt <b@example.net>
data
header Subject  two\x0a\x09lines
header X-8 gr\xfc\xdfe
header X-E@
eoh
body 65535
body 65535
body 65535
body 3395
eom
mail <two@example.com>
abort
helo third.example.com
helo third.example.com
mail <three@example.com>
rcpt <c@example.net>
data
eoh
eom
mail <four@example.com>
rcpt <d@example.net>
abort
close`
	for _, network := range []string{"unix", "inet", "inet6"} {
		for _, r := range rivals {
			t.Run(network+"/"+r.name, func(t *testing.T) {
				f := r.start(t, network)
				for i, p := range profiles {
					k := connect(t, p, f, nil)
					session(t, k)
					if len(k.told) > 0 || k.verdicts() != "accept end, accept end" {
						t.Errorf("%v: the client was told %q, verdicts %q", p, k.told, k.verdicts())
					}
					want := strings.Split(strings.Replace(log, "@\neoh", " \neoh", 1), "\n")
					if p == mta.Sendmail {
						// Between a message given up and the next it asks no filter.
						want = slices.DeleteFunc(want, func(s string) bool { return s == "unknown FOO" })
					}
					wantLines(t, p.String(), calls(t, f, i+1), want)
				}
			})
		}
	}
}

func TestMacrosOverOurMTA(t *testing.T) {
	const show = "show|j|i|{daemon_name}|{mail_addr}|{rcpt_addr}|{client_addr}|{msg_id}|{auth_authen}"
	for _, tt := range []struct {
		name              string
		does              []string
		sendmail, postfix string // which are known at each stage, a and b being recipients
	}{
		{
			"as configured", nil,
			`connect j daemon
helo j daemon
mail j i daemon from auth
rcpt j i daemon from a auth
rcpt j i daemon from b auth
data j i daemon from b auth
header j i daemon from b auth
eoh j i daemon from b auth
body j i daemon from b auth
eom j i daemon from b msgid auth`,
			`connect j daemon
helo j daemon
mail j daemon from auth
rcpt j daemon from a auth
rcpt j i daemon from b auth
data j i daemon from b auth
header j i daemon from b auth
eoh j i daemon from b auth
body j i daemon from b auth
eom j i daemon from b auth`,
		},
		{
			"as asked for",
			[]string{"macros|connect|j", "macros|helo|{client_addr}", "macros|mail|i", "macros|rcpt|{rcpt_addr} {mail_addr}", "macros|data|{daemon_name}", "macros|eoh|{auth_authen}", "macros|eom|{msg_id} {daemon_name}"},
			`connect j
helo j client
mail j i client
rcpt j i from a client
rcpt j i from b client
data j i daemon from b client
header j i daemon from b client
eoh j i daemon from b client auth
body j i daemon from b client auth
eom j i daemon from b client msgid auth`,
			`connect j
helo j client
mail j client
rcpt j from a client
rcpt j from b client
data j daemon from b client
header j daemon from b client
eoh j daemon from b client auth
body j daemon from b client auth
eom j daemon from b client auth`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range rivals {
				f := r.start(t, "unix", append(tt.does, show)...)
				for i, p := range profiles {
					k := connect(t, p, f, nil)
					k.helo("client.example.com")
					k.s.SetMacros(map[string]string{"auth_authen": "joe"})
					k.send("<one@example.com>", []string{"<a@example.net>", "<b@example.net>"}, "Message-ID: <1@example.com>\r\n\r\nbody\r\n")
					k.quit()
					daemon, want := "MTA", tt.sendmail
					if p == mta.Postfix {
						daemon, want = "mx.example.net", tt.postfix
					}
					short := strings.NewReplacer(" j=mx.example.net", " j", " i=QUEUE1", " i", " {daemon_name}="+daemon, " daemon", " {mail_addr}=one@example.com", " from",
						" {rcpt_addr}=a@example.net", " a", " {rcpt_addr}=b@example.net", " b", " {client_addr}=192.0.2.7", " client", " {msg_id}=<1@example.com>", " msgid", " {auth_authen}=joe", " auth",
						" client.example.com", "", " 192.0.2.7 4711", "", " <one@example.com>", "", " <a@example.net>", "", " <b@example.net>", "", " Message-ID <1@example.com>", "", " 6", "")
					var got []string
					for _, line := range calls(t, f, i+1) {
						if line = short.Replace(line); r.name == "ours" && p == mta.Postfix && tt.does != nil && line == "header j daemon from b client auth" {
							// Postfix sends its macros of the end of the header before every field,
							// and ours shows them there already.
							line = "header j daemon from b client"
						}
						got = append(got, line)
					}
					wantLines(t, r.name+" and "+p.String(), got[:len(got)-1], strings.Split(want, "\n")) // what is left at close each decides for itself
				}
			}
		})
	}
}

func TestClientsAsOurMTATellsOfThem(t *testing.T) {
	for _, tt := range []struct {
		conn              mta.Conn
		sendmail, postfix string
	}{
		{client, "connect client.example.com 192.0.2.7 4711", ""},
		{mta.Conn{Addr: netip.MustParseAddrPort("192.0.2.7:1")}, "connect [192.0.2.7] 192.0.2.7 1", ""},
		{mta.Conn{Name: "six.example.com", Addr: netip.MustParseAddrPort("[2001:db8::7]:25")}, "connect six.example.com 2001:db8::7 25", ""},
		{mta.Conn{Addr: netip.MustParseAddrPort("[2001:db8::7]:25")}, "connect [IPv6:2001:db8:0:0:0:0:0:7] 2001:db8::7 25", "connect [2001:db8::7] 2001:db8::7 25"},
		{mta.Conn{Name: "mapped.example.com", Addr: netip.MustParseAddrPort("[::ffff:192.0.2.7]:25")}, "connect mapped.example.com 192.0.2.7 25", ""},
		{mta.Conn{Name: "localhost", Unix: "/run/client"}, "connect localhost ? 0", ""},
		{mta.Conn{}, "connect localhost ? 0", "connect unknown ? 0"},
	} {
		for _, r := range rivals {
			f := r.start(t, "unix")
			for i, p := range profiles {
				c := &mta.Client{Profile: p, Milters: []mta.Milter{{Address: f.Spec}}}
				s, _, err := c.Connect(t.Context(), tt.conn)
				if err != nil {
					t.Fatal(err)
				}
				s.Quit(t.Context())
				want := tt.sendmail
				if p == mta.Postfix {
					want = cmp.Or(tt.postfix, want)
				}
				wantLines(t, r.name+" and "+p.String(), calls(t, f, i+1), []string{want, "close"})
			}
		}
	}
}
