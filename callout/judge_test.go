package callout

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gomilter/gomilter/internal/smtpc"
)

// What servers say, word by word, and what it says of an address.
func TestJudgeRcpt(t *testing.T) {
	for _, tt := range []struct {
		name    string
		code    int
		text    string // with the enhanced code
		from    string
		address string
		want    Reason
	}{
		{"Postfix", 550, "5.1.1 <ann@one.example>: Recipient address rejected: User unknown in relay recipient table", "", "ann@one.example", NoMailbox},
		{"Postfix, put off", 450, "4.1.1 <ann@one.example>: Recipient address rejected: unverified address: Address verification in progress", "", "ann@one.example", PutOff},
		{"Exim", 550, "Unrouteable address", "", "ann@one.example", NoMailbox},
		{"Exim, with a block list", 550, "192.0.2.9 is listed at zen.spamhaus.org", "", "ann@one.example", Policy},
		{"Exim, asking back", 550, "Sender verify failed", "", "ann@one.example", Policy},
		{"Sendmail", 550, "5.1.1 <ann@one.example>... User unknown", "", "ann@one.example", NoMailbox},
		{"Exchange", 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "", "ann@one.example", NoMailbox},
		{"Exchange Online, no such recipient", 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281) [x.example]", "", "ann@one.example", NoMailbox},
		{"Exchange Online, of us", 550, "5.7.606 Access denied, banned sending IP [192.0.2.9]", "", "ann@one.example", Policy},
		{"outlook.com", 550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", "", "ann@one.example", NoMailbox},
		{"Gmail", 550, "5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos", "", "ann@one.example", NoMailbox},
		{"Gmail, disabled", 550, "5.2.1 The email account that you tried to reach is inactive.", "", "ann@one.example", NoMailbox},
		{"Gmail, full", 552, "5.2.2 The email account that you tried to reach is over quota.", "", "ann@one.example", Unclear},
		{"Yahoo", 554, "30 Sorry, your message to ann@one.example cannot be delivered. This mailbox is disabled (554.30).", "", "ann@one.example", NoMailbox},
		{"qmail", 550, "sorry, no mailbox here by that name", "", "ann@one.example", NoMailbox},
		{"text that tells nothing", 550, "no", "", "ann@one.example", NoMailbox},
		{"554 that tells nothing", 554, "transaction failed", "", "ann@one.example", Unclear},
		{"moved", 551, "5.1.6 user has moved", "", "ann@one.example", NoMailbox},
		{"domain takes no mail", 556, "5.1.10 null MX", "", "ann@one.example", NoMailbox},
		{"syntax", 501, "5.1.3 bad recipient address syntax", "", "ann@one.example", NoMailbox},
		{"order of commands", 503, "5.5.1 need MAIL first", "", "ann@one.example", Unclear},
		{"unknown command", 500, "what", "", "ann@one.example", Unclear},
		{"relay", 550, "5.7.1 Unable to relay for ann@one.example", "", "ann@one.example", Policy},
		{"relay without a code", 554, "5.7.1 <ann@one.example>: Relay access denied", "", "ann@one.example", Policy},
		{"our HELO", 550, "5.1.1 bad HELO name", "", "ann@one.example", Policy},
		{"postgrey", 450, "4.2.0 <ann@one.example>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch", "", "ann@one.example", Greylisted},
		{"milter-greylist", 451, "4.7.1 Greylisting in action, please come back in 00:05:00", "", "ann@one.example", Greylisted},
		{"greylisting that hides its name", 451, "4.7.1 Please try again later", "", "ann@one.example", Greylisted},
		{"greylisting for good", 550, "5.7.1 Graylisted", "", "ann@one.example", Greylisted},
		{"busy", 451, "4.3.2 try again later", "", "ann@one.example", PutOff},
		{"too many recipients", 452, "4.5.3 too many recipients", "", "ann@one.example", PutOff},
		{"Postfix, null sender", 554, "5.7.1 <>: Sender address rejected: Access denied", "", "ann@one.example", NoBounces},
		{"null sender in words", 550, "5.7.1 empty envelope senders not accepted here", "", "ann@one.example", NoBounces},
		{"sender", 550, "5.7.1 <me@example.net>: Sender address rejected: Access denied", "me@example.net", "ann@one.example", NoSender},
		{"sender's domain", 553, "5.1.8 domain of sender does not resolve", "me@example.net", "ann@one.example", NoSender},
		{"null sender's domain", 553, "5.1.8 no", "", "ann@one.example", NoBounces},
		{"address with words of policy", 550, "5.1.1 <spamhaus-blocked@one.example>: user unknown", "", "spamhaus-blocked@one.example", NoMailbox},
		{"domain with words of policy", 550, "5.1.1 user unknown at greylist.example", "", "ann@greylist.example", NoMailbox},
		{"address in another case", 550, "5.1.1 SPAM@ONE.EXAMPLE unknown", "", "spam@one.example", NoMailbox},
		{"local part in brackets", 550, "5.1.1 <spf>: user unknown", "", "spf@one.example", NoMailbox},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := judgeRcpt(reply(tt.code, tt.text), tt.from, tt.address); got != tt.want {
				t.Errorf("judgeRcpt(%d %s) = %s, want %s", tt.code, tt.text, got, tt.want)
			}
		})
	}
}

// Whatever the words, nothing but 5xx to RCPT is a refusal of the address, and nothing but 250
// and 251 takes it.
func TestVerdictsByCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := smtpc.Reply{
			Code:     rapid.IntRange(200, 599).Draw(t, "code"),
			Enhanced: rapid.StringMatching(`([245]\.[0-9]{1,2}\.[0-9]{1,2})?`).Draw(t, "enhanced"),
			Lines:    rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom(mailboxWords), rapid.SampledFrom(policyWords)), 1, 3).Draw(t, "lines"),
		}
		from := rapid.SampledFrom([]string{"", "me@example.net"}).Draw(t, "from")
		verdict := judgeRcpt(r, from, "ann@one.example").Verdict()
		if verdict == Refused && !r.Permanent() || (verdict == Accepted) != (r.Code == 250 || r.Code == 251) {
			t.Errorf("%v to RCPT is %s", r, verdict)
		}
		for what, verdict := range map[string]Verdict{"MAIL": judgeMail(r, from).Verdict(), "EHLO": judgeHello(r).Verdict()} {
			if verdict != Unknown {
				t.Errorf("%v to %s is %s", r, what, verdict)
			}
		}
	})
}

func TestJudgeMail(t *testing.T) {
	for _, tt := range []struct {
		code       int
		text, from string
		want       Reason
	}{
		{550, "5.7.1 no", "", NoBounces},
		{550, "5.7.1 no", "me@example.net", NoSender},
		{550, "null senders not accepted", "", NoBounces},
		{554, "5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org", "", Policy},
		{553, "5.1.8 sender domain must exist", "me@example.net", NoSender},
		{550, "5.1.0 <spam@example.net> no", "spam@example.net", NoSender},
		{451, "4.7.1 greylisted", "", Greylisted},
		{451, "4.1.8 cannot resolve sender", "me@example.net", PutOff},
	} {
		if got := judgeMail(reply(tt.code, tt.text), tt.from); got != tt.want {
			t.Errorf("judgeMail(%d %s) = %s, want %s", tt.code, tt.text, got, tt.want)
		}
	}
}

func TestJudgeHello(t *testing.T) {
	for _, tt := range []struct {
		code int
		text string
		want Reason
	}{
		{554, "5.7.1 go away", Policy},
		{521, "no mail here", Policy},
		{421, "busy", PutOff},
		{450, "greylisted", Greylisted},
	} {
		if got := judgeHello(reply(tt.code, tt.text)); got != tt.want {
			t.Errorf("judgeHello(%d %s) = %s, want %s", tt.code, tt.text, got, tt.want)
		}
	}
}

// reply reads a reply's text as smtpc does.
func reply(code int, text string) smtpc.Reply {
	r := smtpc.Reply{Code: code, Lines: []string{text}}
	if word, rest, _ := strings.Cut(text, " "); strings.Count(word, ".") == 2 && len(word) <= 9 {
		r.Enhanced, r.Lines[0] = word, rest
	}
	return r
}
