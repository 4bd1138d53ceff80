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

// noCommand reports whether a part whose name ends in .com holds something else than the
// program that Windows would take it for: what is called after a mail address or, being a
// message, after a site, and is a text; or what is of the type that it tells, such as a document
// with the name of a company.
func noCommand(p *message.Part, name string) (bool, error) {
	if addressName(name) || strings.HasPrefix(p.MediaType(), "message/") {
		if ok, err := readable(p); ok || err != nil {
			return ok, err
		}
	}
	head, err := headOf(p)
	return err == nil && program(head) == "" && ofType(p.MediaType(), head), err
}

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
	return printable(head) && program(head) == "", nil
}
