package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gomilter/gomilter/internal/wire"
)

// maxTag is the bytes of the name of a field that a filter adds.
const maxTag = 64

// takenFields are the names of fields by which programs act, or of which a message has
// one: another would change what the message is.
var takenFields = map[string]bool{}

func init() {
	for name := range strings.FieldsSeq(`from sender reply-to to cc bcc subject date message-id in-reply-to references
		return-path received mime-version delivered-to errors-to disposition-notification-to return-receipt-to
		mail-followup-to mail-reply-to authentication-results received-spf dkim-signature domainkey-signature
		auto-submitted precedence apparently-to`) {
		takenFields[name] = true
	}
}

// CheckTag returns what is wrong with the name of a header field by which a filter marks
// messages: it is no name (RFC 5322 section 2.2), longer than 64 bytes, or that of a field
// that has a meaning of its own, such as From.
func CheckTag(name string) error {
	if _, err := wire.CheckHeader(name, "x"); err != nil {
		return err
	}
	low := strings.ToLower(name)
	taken := takenFields[low]
	for _, family := range []string{"content-", "resent-", "list-", "arc-"} {
		taken = taken || strings.HasPrefix(low, family)
	}
	switch {
	case len(name) > maxTag:
		return fmt.Errorf("a field's name of %d bytes, more than %d", len(name), maxTag)
	case strings.ContainsAny(name, "*?"):
		return errors.New("wildcards are for fields that are looked at, not for one that is added")
	case taken:
		return fmt.Errorf("%s has a meaning of its own; take a name such as X-Warning", name)
	}
	return nil
}
