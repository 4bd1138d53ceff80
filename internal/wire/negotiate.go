package wire

import (
	"encoding/binary"
	"errors"
)

// ErrVersion says that a peer speaks no version of the protocol that we know.
var ErrVersion = errors.New("protocol version is not supported")

// A Negotiation is the payload of OPTNEG: what an MTA offers or a filter asks.
type Negotiation struct {
	Version  uint32
	Actions  Actions
	Protocol Protocol
	// Macros holds the names a filter wants at a stage, separated by blanks. An
	// entry that is not nil is sent, an empty one too: Sendmail then sends no
	// macros at the stage, Postfix its default ones.
	Macros [MacroStages][]byte
}

const negotiationSize = 12 // MILTER_OPTLEN

// Negotiate decodes OPTNEG. Macro lists are read until the first that does not
// parse or whose stage is unknown, as Sendmail does; of several lists for one
// stage the first counts.
func Negotiate(p []byte) (n Negotiation, err error) {
	if len(p) < negotiationSize {
		return n, ErrTooShort
	}
	n.Version = binary.BigEndian.Uint32(p)
	n.Actions = Actions(binary.BigEndian.Uint32(p[4:]))
	n.Protocol = Protocol(binary.BigEndian.Uint32(p[8:]))
	for p = p[negotiationSize:]; len(p) > 4; {
		stage := binary.BigEndian.Uint32(p)
		names, rest, err := CutString(p[4:])
		if err != nil || stage >= MacroStages {
			break
		}
		if n.Macros[stage] == nil {
			n.Macros[stage] = names
		}
		p = rest
	}
	return n, nil
}

// AppendNegotiation appends the payload of OPTNEG.
func AppendNegotiation(dst []byte, n *Negotiation) []byte {
	dst = binary.BigEndian.AppendUint32(dst, n.Version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n.Actions))
	dst = binary.BigEndian.AppendUint32(dst, uint32(n.Protocol))
	for stage, names := range n.Macros {
		if names != nil {
			dst = AppendString(binary.BigEndian.AppendUint32(dst, uint32(stage)), names)
		}
	}
	return dst
}
