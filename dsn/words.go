package dsn

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/message"
)

// Subjects of messages that say that mail was not delivered. Those of the first list begin the subject.
var (
	failureBegins = []string{"failure notice", "subjectbounce", "returned mail", "undeliver", "failed", "mail failed",
		"echec de distribution", "échec de distribution", "fallo en la entrega"}
	failureHolds = regexp.MustCompile(`\bdelivery\b.*\bfail|delivery problem|not be delivered|user unknown|error sending|fehlgeschlagen`)
)

// FailureSubject reports whether the subject of a message, decoded, is one that
// programs give to messages on mail they did not deliver: in English, French, German
// or Spanish. People write such subjects too.
func FailureSubject(subject string) bool {
	s := strings.ToLower(strings.TrimSpace(clean(subject, maxHeaderText)))
	return slices.ContainsFunc(failureBegins, func(w string) bool { return strings.HasPrefix(s, w) }) || failureHolds.MatchString(s)
}

// A format is how one program writes of mail that it did not deliver.
type format struct {
	name  string
	known *regexp.Regexp // the words by which its text is known
	// recipient finds an address, and in a second group what stands behind it, in a line.
	recipient *regexp.Regexp
	begin     *regexp.Regexp // recipients stand behind such a line; nil means anywhere
	open      bool           // what is said of a recipient goes on behind an empty line
}

// addr is an address as such texts have it. It is looser than an address is.
const addr = `[^\s<>()"@]+@[^\s<>()",;:@]+`

var (
	formats = []format{
		{"qmail", regexp.MustCompile(`(?im)^Hi\. This is .*(?:program|deliver)|^This is (?:the|a) .*qmail|I wasn't able to deliver your message to the following addresses`),
			regexp.MustCompile(`^<(` + addr + `)>:\s*(.*)$`), nil, false},
		{"exim", regexp.MustCompile(`(?im)^This message was created automatically by mail delivery software`),
			regexp.MustCompile(`^\s+<?(` + addr + `)>?:?\s*(?:\(.*\))?()$`), regexp.MustCompile(`(?i)^\S.*\b(?:failed|delayed|delivered|recipients?)\b.*:\s*$`), false},
		{"exchange", regexp.MustCompile(`(?im)^\s*Your message\s*$|did not reach (?:some or all of|the following)|Delivery has failed to these recipients|could not be delivered to (?:the following|these) recipients`),
			regexp.MustCompile(`^\s*'?(?:[^<>()@]*[<(])?(?:mailto:)?(` + addr + `?)[>)']*(?:<mailto:[^<>]*>)?(?:\s+on\s+\S.*)?()\s*$`),
			regexp.MustCompile(`(?i)recipients?(?:\(s\)| or groups| or distribution lists?| could)?.*:\s*$|not reached:`), true},
		{"postfix", regexp.MustCompile(`(?im)^This is the (?:mail system at host|Postfix program at host)`),
			regexp.MustCompile(`^<(` + addr + `)>(?: \(expanded from <[^<>]*>\))?:\s*(.*)$`), nil, false},
		{"sendmail", regexp.MustCompile(`(?im)^\s*----- The following addresses had (?:permanent|transient|delivery)|^\s*----- Transcript of session follows -----`),
			regexp.MustCompile(`^\s*<?(` + addr + `)>?\s*(?:\((.*)\))?\s*$`), regexp.MustCompile(`(?i)----- The following addresses`), false},
	}
	// What follows is a copy of the message, or its header.
	copyFollows = regexp.MustCompile(`(?i)^[\s-]*(?:below this line is a copy of|this is a copy of|a copy of (?:the|your) (?:original )?message|original message (?:headers?|follows)|original (?:message|mail)|message headers? follow|returned message|unsent message|forwarded message|message header|diagnostic information for administrators)`)
	delayWords  = regexp.MustCompile(`(?i)\bdelay|has not yet been (?:delivered|sent)|not been delivered (?:yet|so far)|warning message only|will (?:keep|continue) (?:to )?try|do not need to resend|will be retried|could not send message for past`)
	finalWords  = regexp.MustCompile(`(?i)permanent (?:fatal )?error|given up|giving up`)
	replyCode   = regexp.MustCompile(`(?:^|[\s#:(])([45][0-9][0-9])(?:[ -]|$)`)
)

// words reads what programs write to people. It sets Format when it knows the words,
// or the subject.
func (p *parser) words(h message.Header, text []byte) {
	subject := ""
	if f, ok := h.Get("Subject"); ok {
		subject = f.Decoded()
	}
	head := text
	for i, line := range textLines(text) {
		if copyFollows.Match(line) && !bytes.Contains(bytes.ToLower(line), []byte("diagnostic information")) {
			head = text[:i]
			break
		}
	}
	var known *format
	failed := failedRecipients(h)
	for i := range formats {
		if formats[i].known.Match(head) {
			known = &formats[i]
			break
		}
	}
	switch {
	case known == nil && failed != nil:
		p.r.Format = "exim"
	case known == nil && FailureSubject(subject):
		p.r.Format = "subject"
	case known == nil || !p.opts.NullSender && !fromMachine(h) && !FailureSubject(subject) && failed == nil:
		// The words alone are no proof: people quote them when they ask for help.
		return
	default:
		p.r.Format = known.name
		p.recipients(known, head)
	}
	for _, a := range failed {
		if !slices.ContainsFunc(p.r.Outcomes, func(o Outcome) bool { return strings.EqualFold(o.Final, a) }) {
			p.add(Outcome{Final: a})
		}
	}
	delayed := delayWords.MatchString(subject) || delayWords.Match(head) && !finalWords.Match(head)
	p.r.failed = !delayed
	for i := range p.r.Outcomes {
		o := &p.r.Outcomes[i]
		o.Diagnostic = clean(o.Diagnostic, maxDiagnostic)
		o.Status = findStatus(o.Diagnostic)
		switch {
		case delayed:
			o.Action = Delayed
		case o.Status == "" && replyCode.MatchString(o.Diagnostic):
			// RFC 3463 section 3.1: what is not told is 0.
			o.Status = replyCode.FindStringSubmatch(o.Diagnostic)[1][:1] + ".0.0"
			o.Action = Failed
		default:
			o.Action = Failed
		}
	}
}

// recipients reads the recipients of a text, and what is said of each.
func (p *parser) recipients(f *format, text []byte) {
	begun := f.begin == nil
	var cur *Outcome
	flush := func() {
		if cur != nil && cur.Final != "" {
			last := p.r.Outcomes[max(0, len(p.r.Outcomes)-100):]
			if i := slices.IndexFunc(last, func(o Outcome) bool { return o.Final == cur.Final }); i < 0 {
				p.add(*cur)
			} else if d := &last[i].Diagnostic; len(*d) < maxDiagnostic { // named a second time
				*d = strings.TrimSpace(*d + " " + cur.Diagnostic)
			}
		}
		cur = nil
	}
	transcript := false
	for _, line := range textLines(text) {
		if !begun || f.begin != nil && f.begin.Match(line) {
			begun = begun || f.begin.Match(line)
			flush()
			transcript = false
			continue
		}
		if f.name == "sendmail" && bytes.Contains(line, []byte("----- Transcript of session")) {
			flush()
			transcript = true
			continue
		}
		if transcript {
			p.transcript(line)
			continue
		}
		if m := f.recipient.FindSubmatch(line); m != nil {
			flush()
			cur = &Outcome{Final: addressIn(strings.TrimRight(string(m[1]), ":,."))}
			if len(m) > 2 {
				cur.Diagnostic = string(m[2])
			}
			continue
		}
		switch line = bytes.TrimSpace(line); {
		case len(line) == 0 && !f.open:
			flush()
		case cur != nil && len(cur.Diagnostic) < maxDiagnostic:
			cur.Diagnostic = strings.TrimSpace(cur.Diagnostic + " " + string(line))
		}
	}
	flush()
}

// transcript reads a line of Sendmail's transcript: the reply that made the last
// recipient without a reason fail.
func (p *parser) transcript(line []byte) {
	reply, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("<<<"))
	if !ok {
		return
	}
	for i := range p.r.Outcomes {
		if o := &p.r.Outcomes[i]; o.Diagnostic == "" && replyCode.Match(reply) {
			o.Diagnostic = strings.TrimSpace(string(reply))
			return
		}
	}
}

// textLines walks the lines of a text with their places, each without its line end
// and cut at a length that patterns can be tried on.
func textLines(b []byte) func(yield func(at int, line []byte) bool) {
	return func(yield func(at int, line []byte) bool) {
		at := 0
		for line := range bytes.Lines(b) {
			start := at
			at += len(line)
			line = bytes.TrimRight(line, "\r\n")
			if !yield(start, line[:min(len(line), maxTextLine)]) {
				return
			}
		}
	}
}

// failedRecipients returns what Exim and others tell in a header field of the report.
func failedRecipients(h message.Header) []string {
	var all []string
	for _, f := range h.All("X-Failed-Recipients") {
		v := f.Value()
		for _, m := range address.ParseList(string(v[:min(len(v), maxHeaderText)]), nil) {
			if m.Path.Domain != "" {
				all = append(all, clean(m.Path.String(), 2*maxAddress))
			}
		}
	}
	return all
}

// fromMachine reports whether a message was sent by a mail system rather than by
// somebody: by who it is from, or because it says so.
func fromMachine(h message.Header) bool {
	if f, ok := h.Get("Auto-Submitted"); ok && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(f.Decoded())), "no") {
		return true
	}
	if f, ok := h.Get("Return-Path"); ok && strings.TrimSpace(f.Decoded()) == "<>" {
		return true
	}
	f, _ := h.Get("From")
	v := f.Value()
	for m := range address.Mailboxes(string(v[:min(len(v), maxHeaderText)]), nil) {
		switch local := strings.ToLower(m.Path.Local); {
		case local == "postmaster", strings.HasPrefix(local, "mailer-daemon"), strings.HasPrefix(local, "microsoftexchange"), local == "mmdf", local == "system-administrator":
			return true
		case strings.EqualFold(m.Name, "System Administrator"), strings.EqualFold(m.Name, "Mail Delivery System"), strings.EqualFold(m.Name, "Mail Delivery Subsystem"):
			return true
		}
	}
	return false
}

// quotedInText looks for the header of the message in a text that quotes it: Message-IDs and what carries tokens.
func (p *parser) quotedInText(text []byte) {
	var name string
	var value []byte
	field := func() {
		if len(value) > 0 {
			p.candidatesIn(string(value))
			if strings.EqualFold(name, "Message-ID") && p.r.OriginalID == "" {
				cutIDs(string(value), func(id string) bool {
					if isID(id) {
						p.r.OriginalID = id
					}
					return false
				})
			}
		}
		name, value = "", nil
	}
	for _, line := range textLines(text) {
		folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t')
		// Some indent the whole copy, or quote it.
		bare := bytes.TrimLeft(line, " \t>|")
		n, v, ok := bytes.Cut(bare, []byte(":"))
		switch {
		case ok && len(n) < 20 && traced(string(n)):
			field()
			name, value = string(n), bytes.Clone(v)
		case folded && name != "" && len(value) < maxHeaderText:
			value = append(append(value, ' '), bare...)
		default:
			field()
		}
	}
	field()
}

// stripTags makes a text of HTML, well enough to find addresses and replies in it:
// tags that end a line become line ends, others go, and a few entities are read.
func stripTags(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			out = append(out, b...)
			break
		}
		out = append(out, b[:i]...)
		b = b[i:]
		end := bytes.IndexByte(b[:min(len(b), 2000)], '>')
		if end < 0 {
			out = append(out, ' ')
			b = b[1:]
			continue
		}
		tag := strings.ToLower(strings.Trim(string(b[1:end]), "/ \t\r\n"))
		if tag, _, _ = strings.Cut(tag, " "); slices.Contains([]string{"br", "p", "div", "tr", "li", "h1", "h2", "h3", "table", "pre"}, tag) {
			out = append(out, '\n')
		}
		b = b[end+1:]
	}
	for _, e := range [...][2]string{{"&nbsp;", " "}, {"&#64;", "@"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", `"`}, {"&#39;", "'"}, {"&amp;", "&"}} {
		out = bytes.ReplaceAll(out, []byte(e[0]), []byte(e[1]))
	}
	return out
}
