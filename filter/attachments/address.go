package attachments

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/gomilter/gomilter/message"
)

var addressInCom = regexp.MustCompile(`^(?i)[a-z0-9.!#$%&'+_=~-]+@([a-z0-9-]+\.)+com$`)

// addressName reports whether a name is a mail address in .com, as clients call cards,
// invitations and forwarded messages after people.
func addressName(name string) bool { return len(name) <= 254 && addressInCom.MatchString(name) }

// readable reports whether a part holds what is called after a mail address: a text or a
// message by its type, or a card or an invitation as it begins, and no program and nothing
// binary. Windows would run a text called .com as a program of DOS; those of 64 bits do
// not, and a program that they run is never a text.
func readable(p *message.Part) (bool, error) {
	head, err := headOf(p)
	if err != nil {
		return false, err
	}
	kind, upper := p.MediaType(), bytes.ToUpper(head[:min(len(head), 16)])
	typed := strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "message/")
	if !typed && !bytes.HasPrefix(upper, []byte("BEGIN:VCARD")) && !bytes.HasPrefix(upper, []byte("BEGIN:VCALENDAR")) {
		return false, nil
	}
	binary := bytes.ContainsFunc(head, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' })
	return !binary && program(head) == "", nil
}
