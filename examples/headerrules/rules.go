package headerrules

import (
	"mime"
	"regexp"
	"strings"
)

// A Rule refuses messages by a header field. Match sees the value in one line,
// once as it is written and once with its encoded words (RFC 2047) decoded.
type Rule struct {
	Name, Header string
	Match        *regexp.Regexp
	Text         string // what the sender is told
}

func (r Rule) matches(value string) bool {
	written := strings.TrimSpace(strings.ReplaceAll(value, "\n", ""))
	decoded, err := new(mime.WordDecoder).DecodeHeader(written)
	return r.Match.MatchString(written) || err == nil && r.Match.MatchString(decoded)
}

// Rules are a sample; the words are those that spammers used to shout.
var Rules = []Rule{
	{"shouting", "Subject", regexp.MustCompile(`\$\$\$|XXX|!!!|\bFREE\b`), "please write a subject without shouting"},
	{"advertising", "Subject", regexp.MustCompile(`(?i)^adv[:.]|\bviagra\b`), "advertising is not wanted here"},
	{"message-id", "Message-ID", regexp.MustCompile(`^.{0,3}$`), "the Message-ID is too short to be one"},
	{"mailer", "X-Mailer", regexp.MustCompile(`(?i)^(direct email|calypso|mail bomber)$`), "this program's mail is not wanted here"},
}

// Charset returns a rule against subjects written in a character set that nobody
// here reads, such as "big5". It is not among Rules: who reads what is for you to say.
func Charset(name string) Rule {
	return Rule{"charset", "Subject", regexp.MustCompile(`(?i)^=\?` + regexp.QuoteMeta(name) + `[?*]`), "nobody here reads " + name}
}
