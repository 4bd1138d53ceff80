// Package release marks kept originals that an admin sends on their way again, so
// that our own filters let each pass once.
//
// The mark is a header field on top of the message, of this form in one line:
//
//	X-Gomilter-Release: 1 REF EXPIRES NONCE MAC
//
// REF is the reference of the original, EXPIRES seconds since 1970, NONCE 16 random
// bytes and MAC the HMAC-SHA256 over what stands before it and over the message,
// both in hexadecimal digits. The key is 32 random bytes in a file that only the
// daemon's user and root can read, so nobody else makes marks. Each is used up by
// the message that it lets pass, whatever becomes of that, and void when it expires
// or the key file is replaced.
//
// Of the message the MAC covers what filters judge most and MTAs leave alone: the
// body, and the fields that say how it is read (MIME-Version and Content-*). The
// rest of the header is left out, since MTAs add fields to it and rewrite addresses
// in it. Line ends of the body count as one byte, whether CR stands before LF or
// not, a CR alone counts nothing, and neither do empty lines at the end: SMTP
// clients and servers turn the one into the other, and end a message's last line.
// White space in the fields counts as one blank, since MTAs fold them.
package release
