package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
	"strings"
)

// Errors of the payload decoders.
var (
	ErrEmptyPayload  = errors.New("payload is empty")
	ErrUnterminated  = errors.New("string does not end in NUL")
	ErrTrailingBytes = errors.New("bytes after the last field")
	ErrTooShort      = errors.New("payload is too short")
	ErrEmptyName     = errors.New("header name is empty")
	ErrBadFamily     = errors.New("unknown address family")
	ErrBadAddress    = errors.New("address cannot be read")
)

// CutString returns the bytes before the first NUL of p and those behind it.
func CutString(p []byte) (s, rest []byte, err error) {
	i := bytes.IndexByte(p, 0)
	if i < 0 {
		if len(p) == 0 {
			return nil, nil, ErrEmptyPayload
		}
		return nil, nil, ErrUnterminated
	}
	return p[:i], p[i+1:], nil
}

// AppendString appends s and a NUL.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(append(dst, s...), 0)
}

// OneString decodes a payload that is one string: HELO, UNKNOWN and the replies
// with one argument. Bytes behind the first NUL are an error.
func OneString(p []byte) ([]byte, error) {
	s, rest, err := CutString(p)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, ErrTrailingBytes
	}
	return s, nil
}

// Envelope decodes MAIL and RCPT, and the replies that change them: the address
// as it stands on the wire and the parameters behind it, each ended by a NUL
// (see Strings). As in libmilter, a last parameter may lack its NUL.
func Envelope(p []byte) (addr, params []byte, err error) {
	return CutString(p)
}

// Strings walks NUL-ended strings; a last one without NUL is still yielded.
func Strings(p []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for p := p; len(p) > 0; {
			s, rest, found := bytes.Cut(p, nul)
			if !yield(s) || !found {
				return
			}
			p = rest
		}
	}
}

var nul = []byte{0}

// Header decodes HEADER and ADDHEADER: name and value. An empty value is fine,
// an empty name is not.
func Header(p []byte) (name, value []byte, err error) {
	name, rest, err := CutString(p)
	if err != nil {
		return nil, nil, err
	}
	if len(name) == 0 {
		return nil, nil, ErrEmptyName
	}
	if len(rest) == 0 {
		return nil, nil, ErrTooShort
	}
	value, err = OneString(rest)
	return name, value, err
}

// AppendHeader appends the payload of HEADER or ADDHEADER.
func AppendHeader[T ~string | ~[]byte](dst []byte, name, value T) []byte {
	return AppendString(AppendString(dst, name), value)
}

// IndexedHeader decodes INSHEADER and CHGHEADER.
func IndexedHeader(p []byte) (index uint32, name, value []byte, err error) {
	if len(p) < 4 {
		return 0, nil, nil, ErrTooShort
	}
	name, value, err = Header(p[4:])
	return binary.BigEndian.Uint32(p), name, value, err
}

// AppendIndexedHeader appends the payload of INSHEADER or CHGHEADER.
func AppendIndexedHeader[T ~string | ~[]byte](dst []byte, index uint32, name, value T) []byte {
	return AppendHeader(binary.BigEndian.AppendUint32(dst, index), name, value)
}

// Macros decodes a MACRO payload: the command byte of the stage the macros
// belong to and the names and values behind it (see Pairs). A payload without
// any pair is common.
func Macros(p []byte) (cmd byte, pairs []byte, err error) {
	if len(p) == 0 {
		return 0, nil, ErrEmptyPayload
	}
	return p[0], p[1:], nil
}

// Pairs walks the names and values of a macro packet. As in libmilter, a last
// name without a value has an empty one.
func Pairs(p []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for p := p; len(p) > 0; {
			name, rest, _ := bytes.Cut(p, nul)
			value, after, _ := bytes.Cut(rest, nul)
			if !yield(name, value) {
				return
			}
			p = after
		}
	}
}

// A Family is the address family of an SMTP client.
type Family byte

// The families.
const (
	FamilyUnknown Family = 'U' // SMFIA_UNKNOWN
	FamilyUnix    Family = 'L' // SMFIA_UNIX
	FamilyInet    Family = '4' // SMFIA_INET
	FamilyInet6   Family = '6' // SMFIA_INET6
)

// Connection is what CONNECT says of the SMTP client. Host and Address are views.
type Connection struct {
	Host    []byte // as the MTA names the client, often an address in brackets
	Family  Family
	Port    uint16 // 0 when unknown
	Address []byte // address text or path, as on the wire
}

// Connect decodes CONNECT. As in libmilter, what follows an unknown family is
// passed over.
func Connect(p []byte) (c Connection, err error) {
	host, rest, err := CutString(p)
	if err != nil {
		return c, err
	}
	if len(rest) == 0 {
		return c, ErrTooShort
	}
	c.Host, c.Family = host, Family(rest[0])
	switch c.Family {
	case FamilyUnknown:
		return c, nil
	case FamilyUnix, FamilyInet, FamilyInet6:
	default:
		return c, ErrBadFamily
	}
	if len(rest) < 3 {
		return c, ErrTooShort
	}
	c.Port = binary.BigEndian.Uint16(rest[1:])
	c.Address, _, err = CutString(rest[3:])
	if len(rest) == 3 {
		err = ErrTooShort
	}
	return c, err
}

// AppendConnect appends the payload of CONNECT.
func AppendConnect(dst []byte, c Connection) []byte {
	dst = append(AppendString(dst, c.Host), byte(c.Family))
	if c.Family == FamilyUnknown {
		return dst
	}
	return AppendString(binary.BigEndian.AppendUint16(dst, c.Port), c.Address)
}

// Addr reads the address text of an IPv4 or IPv6 client, in every spelling that
// MTAs use: "IPv6:" may stand before an IPv6 address (Sendmail), in any case,
// and an IPv4 address mapped into IPv6 comes out as IPv4.
func (c Connection) Addr() (netip.Addr, error) {
	// The longest spelling has 45 bytes, "IPv6:" and a zone come on top.
	const tag, longest = "ipv6:", 128
	text := c.Address
	if len(text) > longest {
		return netip.Addr{}, ErrBadAddress
	}
	if c.Family == FamilyInet6 && len(text) > len(tag) && strings.EqualFold(string(text[:len(tag)]), tag) {
		text = text[len(tag):]
	}
	a, err := netip.ParseAddr(string(text))
	family := FamilyInet6
	if a.Is4() {
		family = FamilyInet
	}
	if err != nil || c.Family != family {
		return netip.Addr{}, ErrBadAddress
	}
	return a.Unmap(), nil
}
