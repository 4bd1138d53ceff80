package message

import (
	"bytes"
	"io"
	"strings"
)

// Sealed reports whether an edit of the part would break what looks like a signature,
// or the part is encrypted. It asks for more than [Part.Signed] and [Part.Encrypted],
// for anybody can write those words around a program:
//
//   - a multipart/signed has two parts, and the second has the type that its protocol
//     names, which ends in -signature (RFC 1847 section 2.1); that second part alone is
//     not sealed
//   - a multipart/encrypted has two parts, of which the first has the type that its
//     protocol names, application/pgp-encrypted, and the second begins as OpenPGP does
//     in ASCII (RFC 3156 section 4)
//   - an S/MIME part begins as a long ASN.1 sequence does (RFC 8551)
//
// That a signature is a good one is not looked at: a sender who forges one has all
// this. Where the source cannot be read, the part is not sealed.
func (p *Part) Sealed() bool {
	for a := p; a != nil; a = a.Parent {
		protocol, _ := a.Param("protocol")
		protocol = toLower(strings.TrimSpace(protocol))
		switch {
		case a.media == "multipart/signed":
			if len(a.Parts) == 2 && a.Parts[1].media == protocol && strings.HasSuffix(protocol, "-signature") && p != a.Parts[1] {
				return true
			}
		case a.media == "multipart/encrypted":
			if len(a.Parts) == 2 && a.Parts[0].media == protocol && protocol == "application/pgp-encrypted" {
				head := bytes.TrimLeft(a.Parts[1].head(512), "\ufeff \t\r\n")
				if bytes.HasPrefix(head, []byte("-----BEGIN PGP MESSAGE-----")) {
					return true
				}
			}
		case isPKCS7(a):
			if head := a.head(2); len(head) == 2 && head[0] == 0x30 && head[1] >= 0x80 {
				return true
			}
		}
	}
	return false
}

// head returns the first bytes of the decoded body, n at most.
func (p *Part) head(n int) []byte {
	head := make([]byte, n)
	n, _ = io.ReadFull(p.Open(), head)
	return head[:n]
}
