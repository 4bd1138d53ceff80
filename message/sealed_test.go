package message

import (
	"strings"
	"testing"
)

func TestSealed(t *testing.T) {
	in := func(kind, first, second string) string {
		return toCRLF("Content-Type: " + kind + "; boundary=b\n\n--b\n" + first + "\n--b\n" + second + "\n--b--\n")
	}
	const (
		page   = "Content-Type: text/html\n\n<p>x</p>"
		pgp    = "Content-Type: application/pgp-signature\n\nx"
		ring   = "Content-Type: application/pgp-encrypted\n\nVersion: 1"
		armor  = "Content-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n\nx"
		signed = "multipart/signed; protocol=\"application/pgp-signature\""
		closed = "multipart/encrypted; protocol=\"application/pgp-encrypted\""
	)
	for _, tt := range []struct {
		name, in string
		want     []bool // by part, depth first
	}{
		{"signed with PGP", in(signed, page, pgp), []bool{true, true, false}},
		{"signed with S/MIME", in(`multipart/signed; protocol="application/pkcs7-signature"`, page, "Content-Type: application/pkcs7-signature\n\nx"), []bool{true, true, false}},
		{"the protocol in upper case", in(strings.ToUpper(signed), page, pgp), []bool{true, true, false}},
		{"signed around more", in(signed, "Content-Type: multipart/mixed; boundary=c\n\n--c\n"+page+"\n--c--", pgp), []bool{true, true, true, false}},
		{"an attached message that is signed", toCRLF("Content-Type: message/rfc822\n\n") + in(signed, page, pgp), []bool{false, true, true, false}},
		{"no protocol", in("multipart/signed", page, pgp), []bool{false, false, false}},
		{"no signature", toCRLF("Content-Type: " + signed + "; boundary=b\n\n--b\n" + page + "\n--b--\n"), []bool{false, false}},
		{"a signature of another type", in(signed, page, "Content-Type: text/plain\n\nx"), []bool{false, false, false}},
		{"a page as the protocol", in(`multipart/signed; protocol="text/html"`, page, page), []bool{false, false, false}},
		{"three parts", strings.Replace(in(signed, page, pgp), "--b--", "--b\r\n\r\nx\r\n--b--", 1), []bool{false, false, false, false}},
		{"encrypted with PGP", in(closed, ring, armor), []bool{true, true, true}},
		{"encrypted, but a page", in(closed, ring, page), []bool{false, false, false}},
		{"encrypted by a page", in(`multipart/encrypted; protocol="text/html"`, page, armor), []bool{false, false, false}},
		{"S/MIME", "Content-Type: application/pkcs7-mime\r\n\r\n0\x82x", []bool{true}},
		{"S/MIME that is none", "Content-Type: application/pkcs7-mime\r\n\r\nMZ\x90", []bool{false}},
		{"S/MIME without anything", "Content-Type: application/x-pkcs7-mime\r\n\r\n", []bool{false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree, err := Read(strings.NewReader(tt.in), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			i := 0
			for p := range tree.Parts() {
				if i >= len(tt.want) || p.Sealed() != tt.want[i] {
					t.Errorf("part %d, %s: %v, want %v", i, p.MediaType(), p.Sealed(), tt.want)
				}
				i++
			}
		})
	}
}

func toCRLF(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
