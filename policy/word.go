package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Word is what a map says. Of several words about a message the greater one holds.
type Word uint8

// The words. A later one prevails over those before it.
const (
	None       Word = iota // the map says nothing, which is the same as OK
	OK                     // nothing is wrong
	CBV                    // ask the sender's mail server whether the sender exists; refuse the message when not
	DSN                    // the same, by a message to the sender that tells what was found
	Quarantine             // let the MTA hold the message in its queue
	TempFail               // refuse for now
	Discard                // drop the message, and tell the client that it was delivered
	Reject                 // refuse for good, unless something better is known of the message
	Whitelist              // accept, whatever else was found, and let the filters behind be lenient
	Ban                    // refuse for good whatever else was found, and count it against the sender
)

var wordNames = [...]string{"", "OK", "CBV", "DSN", "QUARANTINE", "TEMPFAIL", "DISCARD", "REJECT", "WHITELIST", "BAN"}

// String returns the word as in maps, "none" for None.
func (w Word) String() string {
	switch {
	case w == None:
		return "none"
	case int(w) < len(wordNames):
		return wordNames[w]
	}
	return fmt.Sprintf("unknown (%d)", uint8(w))
}

// MarshalText returns what String does.
func (w Word) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Refuses reports whether the client is told that the message is refused.
func (w Word) Refuses() bool { return w == TempFail || w == Reject || w == Ban }

// Errors of what maps say.
var (
	// ErrWord is in the error of a word that there is not, or whose text no client
	// could be told.
	ErrWord = errors.New("policy: not a word of policies")
	// ErrKey is in the error of a key that nothing is ever looked up by.
	ErrKey = errors.New("policy: not a key")
)

// maxText is the bytes of the text behind a word.
const maxText = 1000

// An Action is a word and what the client is told.
type Action struct {
	Word     Word
	Code     int    // of SMTP; 0 where the map does not say
	Enhanced string // of RFC 3463; "" where the map does not say
	Text     string // what the client is told, or why a message is held; "" where the map does not say
}

// ParseAction reads what stands behind a key: a word, with a text behind it if it
// refuses or holds; or a reply as Sendmail and Postfix have it, which is REJECT or
// TEMPFAIL by its code:
//
//	OK
//	REJECT use the server of your provider
//	550 5.7.1 use the server of your provider
//	ERROR:5.7.1:550 use the server of your provider
//	450 try again later
//	QUARANTINE:looked at by hand
//
// The error wraps ErrWord: another word, a text behind one that has none, a code that is
// not 4yz or 5yz or goes not with the word, an enhanced code of another class, control
// characters, no UTF-8, more than 1000 bytes.
func ParseAction(s string) (Action, error) {
	a, err := parseAction(strings.TrimSpace(s))
	if err != nil {
		return Action{}, fmt.Errorf("%w: %w", ErrWord, err)
	}
	return a, nil
}

func parseAction(s string) (Action, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) || !utf8.ValidString(s) {
		return Action{}, errors.New("it holds control characters, or is no UTF-8")
	}
	if rest, ok := cutFold(s, "ERROR:"); ok {
		return parseError(rest)
	}
	if len(s) > 0 && '0' <= s[0] && s[0] <= '9' {
		return parseReply(s)
	}
	name, text, _ := strings.Cut(s, " ")
	if i := strings.IndexAny(name, ":\t"); i >= 0 {
		name, text = s[:i], s[i+1:]
	}
	text = strings.Trim(unquote(strings.TrimSpace(text)), " \t")
	i := slices.IndexFunc(wordNames[:], func(w string) bool { return strings.EqualFold(w, name) })
	if i <= 0 {
		if name == "" {
			return Action{}, errors.New("there is no word")
		}
		return Action{}, fmt.Errorf("%s is none of %s", strconv.Quote(short(name)), strings.Join(wordNames[1:], ", "))
	}
	a := Action{Word: Word(i)}
	switch {
	case text == "":
		return a, nil
	case a.Word == Quarantine:
		a.Text = text
	case !a.Word.Refuses():
		return Action{}, fmt.Errorf("%v has no text behind it, as here %s", a.Word, strconv.Quote(short(text)))
	default:
		if err := a.reply(text); err != nil {
			return Action{}, err
		}
		if a.Code != 0 && (a.Code < 500) != (a.Word == TempFail) {
			return Action{}, fmt.Errorf("%v does not go with code %d", a.Word, a.Code)
		}
	}
	return a, a.judge()
}

// parseError reads what stands behind ERROR: in Sendmail's access files, D.S.N:CODE text or
// CODE text, with or without quotes.
func parseError(s string) (Action, error) {
	s = unquote(s)
	var enhanced string
	if x, rest, ok := strings.Cut(s, ":"); ok && isEnhanced(x) {
		enhanced, s = x, unquote(rest)
	}
	a, err := parseReply(s)
	switch {
	case err != nil:
		return Action{}, err
	case enhanced != "" && a.Enhanced != "":
		return Action{}, errors.New("it has two enhanced codes")
	case enhanced != "":
		a.Enhanced = enhanced
	}
	return a, a.judge()
}

// parseReply reads a code and a text.
func parseReply(s string) (Action, error) {
	var a Action
	if err := a.reply(s); err != nil {
		return Action{}, err
	}
	switch {
	case a.Code == 0:
		return Action{}, errors.New("a reply begins with a code of three digits, such as 550")
	case a.Code < 500:
		a.Word = TempFail
	default:
		a.Word = Reject
	}
	return a, a.judge()
}

// reply takes [CODE] [D.S.N] [text] apart.
func (a *Action) reply(s string) error {
	word, rest := cutWord(s)
	if len(word) == 3 && strings.Trim(word, "0123456789") == "" {
		if word[0] != '4' && word[0] != '5' {
			return fmt.Errorf("code %s does not refuse: only 4yz and 5yz do", word)
		}
		a.Code, _ = strconv.Atoi(word)
		s = rest
		word, rest = cutWord(s)
	}
	if isEnhanced(word) {
		a.Enhanced = word
		s = rest
	}
	a.Text = s
	return nil
}

func (a *Action) judge() error {
	if len(a.Text) > maxText {
		return fmt.Errorf("its text has more than %d bytes", maxText)
	}
	class := byte('5')
	if a.Word == TempFail {
		class = '4'
	}
	if a.Enhanced != "" && a.Enhanced[0] != class {
		return fmt.Errorf("enhanced code %s is not %c.n.n", a.Enhanced, class)
	}
	return nil
}

// String returns the action as in maps.
func (a Action) String() string {
	var b strings.Builder
	b.WriteString(a.Word.String())
	if a.Code != 0 {
		fmt.Fprintf(&b, " %d", a.Code)
	}
	for _, s := range []string{a.Enhanced, a.Text} {
		if s != "" {
			b.WriteString(" " + s)
		}
	}
	return b.String()
}

// isEnhanced reports whether s has the form of an enhanced status code (RFC 3463 section 2)
// that refuses.
func isEnhanced(s string) bool {
	parts := strings.Split(s, ".")
	return len(parts) == 3 && (parts[0] == "4" || parts[0] == "5") && !slices.ContainsFunc(parts, func(p string) bool {
		return len(p) < 1 || len(p) > 3 || strings.Trim(p, "0123456789") != ""
	})
}

// cutWord cuts the first word off.
func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// unquote takes the quotes away that a text stands in as a whole.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// short returns what an error quotes of a text.
func short(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
