package dkim

import (
	"bytes"
	"crypto"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"

	"github.com/gomilter/gomilter/message"
)

// Another implementation signs and verifies the same messages. Left out are those that it is
// known to get wrong: CR or LF alone in a body, and tags in which something looks like b=.
func TestAgreesWithAnotherImplementation(t *testing.T) {
	z := keys()
	rapid.Check(t, func(t *rapid.T) {
		text := func(what string, parts ...string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 12).Draw(t, what), "")
		}
		var header strings.Builder
		names := []string{"From", "To", "to", "SUBJECT", "X-A", "Date"}
		for _, name := range append([]string{"From"}, rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "fields")...) {
			header.WriteString(name + ":" + text("value", " ", "a", "\t", "\r\n\t", "\r\n x", "b;c=d", "\xc3\xa9") + "\r\n")
		}
		body := text("body", " ", "a", "bc", "\t", "\r\n", "\r\n", "\xff", ".", "-- \r\n")
		o := &msgauth.SignOptions{
			Domain:                 "example.com",
			Selector:               "rsa",
			Signer:                 key2048(),
			Hash:                   crypto.SHA256,
			HeaderCanonicalization: msgauth.Canonicalization(rapid.SampledFrom([]string{"simple", "relaxed"}).Draw(t, "header")),
			BodyCanonicalization:   msgauth.Canonicalization(rapid.SampledFrom([]string{"simple", "relaxed"}).Draw(t, "body form")),
			HeaderKeys:             append(rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "names"), "From"),
		}
		if rapid.Bool().Draw(t, "ed25519") {
			o.Selector, o.Signer = "ed", keyEd
		}
		var signed bytes.Buffer
		if err := msgauth.Sign(&signed, strings.NewReader(header.String()+"\r\n"+body), o); err != nil {
			t.Fatal(err)
		}
		msg := signed.Bytes()
		if got := verifyNow(t, z, msg); got[0].Value != Pass {
			t.Fatalf("%+v of\n%s", got[0], msg)
		}
		// One byte is changed to another such as may stand there.
		at := rapid.IntRange(0, len(msg)-1).Draw(t, "at")
		if strings.IndexByte("\r\n:;=", msg[at]) >= 0 {
			return
		}
		fields := len(message.Parse(msg).Header)
		msg[at] = rapid.SampledFrom([]byte(" \taA1")).Draw(t, "to")
		if len(message.Parse(msg).Header) != fields {
			return // it is no field now, and here the header ends in front of it
		}
		theirs, err := msgauth.VerifyWithOptions(bytes.NewReader(msg), &msgauth.VerifyOptions{
			LookupTXT: func(name string) ([]string, error) { return z.LookupTXT(t.Context(), name) },
		})
		if err != nil || len(theirs) != 1 {
			return
		}
		if got := verifyNow(t, z, msg); len(got) != 1 || (got[0].Value == Pass) != (theirs[0].Err == nil) {
			t.Fatalf("%+v; they say %v, of\n%s", got, theirs[0].Err, msg)
		}
	})
}

func verifyNow(t *rapid.T, z *zone, msg []byte) []Result {
	m := message.Parse(msg)
	c, err := (&Verifier{Resolver: z}).Verify(t.Context(), m.Header, bytes.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return c.Signatures
}
