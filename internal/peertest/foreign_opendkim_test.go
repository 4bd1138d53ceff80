//go:build peers

package peertest_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/mta"
)

// letters are what a signature over bytes tells apart.
var letters = []struct{ name, raw string }{
	{"plain", "From: a@example.com\r\nTo: b@example.net\r\nSubject: test\r\nDate: Sun, 01 Jan 2023 00:00:00 +0000\r\n\r\nHello.\r\n"},
	{"8-bit", "From: J\xf6rg <a@example.com>\r\nSubject: gr\xc3\xbc\xc3\x9fe \xff\xfe\r\n\r\ncaf\xe9 \x80\xff\r\n"},
	{"folded", "From: a\r\n\t<a@example.com>\r\nTo: b@example.net,\r\n c@example.net,\r\n\t\t d@example.net\r\nSubject: one \r\n \ttwo\t\r\n  three\r\n\r\nHello.\r\n"},
	{"spaces behind the colon", "From:a@example.com\r\nTo:  b@example.net\r\nSubject:\ttab\r\nCc:   \tc@example.net  \r\nDate: Sun, 01 Jan 2023 00:00:00 +0000 \t\r\n\r\nHello.\r\n"},
	{"folded at once", "From:\r\n a@example.com\r\nSubject: \r\n folded\r\nTo:\r\n\tb@example.net\r\n\r\nHello.\r\n"},
	{"empty fields", "From: a@example.com\r\nSubject:\r\nReply-To: \r\n\r\nHello.\r\n"},
	{"letter case", "FROM: a@example.com\r\nsubject: test\r\ntO: b@example.net\r\n\r\nHello.\r\n"},
	{"LF", "From: a@example.com\nSubject: one\n\ttwo\n\nHello.\n\nWorld.\n"},
	{"LF and CRLF", "From: a@example.com\nSubject: one\r\n two\nTo: b@example.net\r\n\nHello.\r\nWorld.\n"},
	{"no body", "From: a@example.com\r\nSubject: test\r\n\r\n"},
	{"only empty lines", "From: a@example.com\r\n\r\n\r\n\r\n\r\n"},
	{"empty lines at the end", "From: a@example.com\r\n\r\nHello.\r\n\r\n\r\n"},
	{"empty lines at the beginning", "From: a@example.com\r\n\r\n\r\n \r\nHello.\r\n"},
	{"no line end at the end", "From: a@example.com\r\n\r\nHello."},
	{"blanks in the body", "From: a@example.com\r\n\r\n  two  blanks \t\r\n\ttab\t \r\n . \r\n.\r\n..\r\n"},
	{"several of a name", "Received: one\r\nReceived: two\r\nFrom: a@example.com\r\nTo: b@example.net\r\nSubject: first\r\nSubject: second\r\nTo: c@example.net\r\n\r\nHello.\r\n"},
	{"chunks", "From: a@example.com\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+" \r\n", 4000)},
	{"chunk that parts CR from LF", "From: a@example.com\r\n\r\n" + strings.Repeat("0123456789abc\r\n", 4369)[1:] + "\r\nHello.\r\n"},
	{"long lines", "From: a@example.com\r\nSubject: " + strings.Repeat("word ", 190) + "\r\n\r\n" + strings.Repeat("y", 990) + "\r\n"},
}

var canons = []string{"simple/simple", "relaxed/relaxed", "relaxed/simple", "simple/relaxed"}

// signers starts an OpenDKIM that signs for each canonicalization, and one that
// verifies what they signed.
func signers(t *testing.T) (signers []*peertest.OpenDKIMFilter, verifier *peertest.OpenDKIMFilter) {
	for i, canon := range canons {
		network := "unix"
		if i == 1 {
			network = "inet" // one is enough: by TCP the end of a message takes libmilter 40 ms
		}
		signers = append(signers, peertest.OpenDKIM(t, peertest.OpenDKIMConfig{Network: network, Canon: canon}))
	}
	return signers, verifierOf(t, signers[0])
}

// verifierOf starts an OpenDKIM that verifies what one signs.
func verifierOf(t *testing.T, signer *peertest.OpenDKIMFilter) *peertest.OpenDKIMFilter {
	return peertest.OpenDKIM(t, peertest.OpenDKIMConfig{
		Mode:  "v",
		Keys:  map[string]string{signer.Name: signer.Record},
		Extra: []string{"AlwaysAddARHeader yes", "AuthservID judge.example.net", "InternalHosts 192.0.2.1", "On-BadSignature accept", "On-NoSignature accept"},
	})
}

// through puts a message through filters, and fails the test when one does not let it pass.
func through(t *testing.T, c *mta.Client, raw []byte, filters ...*peertest.OpenDKIMFilter) *mta.Result {
	t.Helper()
	for _, f := range filters {
		c.Milters = append(c.Milters, mta.Milter{Address: f.Spec})
	}
	c.Hostname = "mx.example.net"
	res, err := c.Send(t.Context(), mta.Mail{
		Conn: mta.Conn{Name: "localhost", Addr: netip.MustParseAddrPort("127.0.0.1:4711")}, Helo: "client.example.com",
		From: "<a@example.com>", Rcpts: []string{"<b@example.net>"}, Data: raw,
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Verdict != mta.Accept || len(res.Faults) > 0 {
		t.Fatalf("%v: the message came to %v at %s (%v), faults %v; OpenDKIM says:\n%s", c.Profile, res.Verdict, res.Stage, res.Reply, res.Faults, filters[len(filters)-1].Log)
	}
	return res
}

// judgement returns what the verifier wrote into a message about its signatures.
func judgement(t *testing.T, m message.Message) string {
	t.Helper()
	f, ok := m.Header.Get("Authentication-Results")
	if !ok {
		return "no Authentication-Results"
	}
	text := strings.Join(strings.Fields(string(f.Value())), " ")
	verdict := regexp.MustCompile(`^judge\.example\.net; dkim=(\w+)`).FindStringSubmatch(text)
	if verdict == nil {
		return text
	}
	return verdict[1]
}

func TestOpenDKIMSignsOverOurMTA(t *testing.T) {
	signers, verifier := signers(t)
	for _, profile := range profiles {
		for i, canon := range canons {
			for _, l := range letters {
				t.Run(profile.String()+"/"+strings.ReplaceAll(canon, "/", "-")+"/"+l.name, func(t *testing.T) {
					t.Parallel()
					res := through(t, &mta.Client{Profile: profile}, []byte(l.raw), signers[i])
					if len(res.Edits) != 1 || !strings.HasPrefix(res.Edits[0].String(), "insheader 0 DKIM-Signature: ") {
						t.Fatalf("edits %v, want a signature at 0", res.Edits)
					}
					if !res.Message.Header[0].Is("DKIM-Signature") {
						t.Errorf("header begins with %v", res.Message.Header[0].Name())
					}
					if got, want := res.Message.Header[1:].Bytes(), crlf(message.Parse([]byte(l.raw)).Header.Bytes()); !bytes.Equal(got, want) {
						t.Errorf("the header became %q, want %q", got, want)
					}
					// The signature is over what OpenDKIM was told; it holds over what would be
					// delivered only if that is the same, byte for byte.
					if err := checkSignature(res.Message.Bytes(), &signers[i].Key.PublicKey); err != nil {
						t.Error(err)
					}
					back := through(t, &mta.Client{Profile: profile}, res.Message.Bytes(), verifier)
					if got := judgement(t, back.Message); got != "pass" {
						t.Errorf("the verifier says %s of\n%s", got, clip(res.Message.Bytes()))
					}
				})
			}
		}
	}
}

func TestOpenDKIMSignsAndVerifiesInOneSession(t *testing.T) {
	signers, verifier := signers(t)
	for _, profile := range profiles {
		for i, canon := range canons {
			for _, l := range letters[:6] {
				res := through(t, &mta.Client{Profile: profile, Received: true}, []byte(l.raw), signers[i], verifier)
				names := make([]string, len(res.Message.Header))
				for i, f := range res.Message.Header {
					names[i] = f.Name()
				}
				// Both insert at 0, above the MTA's own Received.
				if got := judgement(t, res.Message); got != "pass" || !slices.Equal(names[:3], []string{"Authentication-Results", "DKIM-Signature", "Received"}) {
					t.Errorf("%v, %s, %s: the verifier says %s of a header of %v", profile, canon, l.name, got, names)
				}
			}
		}
	}
}

func TestOpenDKIMSeesOneByteChanged(t *testing.T) {
	signers, verifier := signers(t)
	const raw = "From: a@example.com\r\nTo: b@example.net\r\nSubject:  one\r\n\ttwo\r\nDate: Sun, 01 Jan 2023 00:00:00 +0000\r\n\r\nHello.\r\nWorld.\r\n"
	for _, tt := range []struct {
		name, old, new string
		relaxed        string // what a relaxed canonicalization makes of it
		part           int    // 0 header, 1 body
	}{
		{"letter in a field", "b@example.net", "c@example.net", "fail", 0},
		{"letter in the body", "Hello", "Hallo", "fail", 1},
		{"last letter of the body", "World.", "World!", "fail", 1},
		{"blank in a field", "  one", " one", "pass", 0},
		{"name in lower case", "To:", "to:", "pass", 0},
		{"tab that folds", "\r\n\ttwo", "\r\n two", "pass", 0},
		{"8th bit", "\ttwo", "\tt\xf7o", "fail", 0},
		{"blank at the end of a line", "Hello.", "Hello. ", "pass", 1},
		{"empty line at the end", "World.\r\n", "World.\r\n\r\n", "pass of both", 1},
	} {
		for _, profile := range profiles {
			for i, canon := range canons {
				signed := string(through(t, &mta.Client{Profile: profile}, []byte(raw), signers[i]).Message.Bytes())
				if strings.Count(signed, tt.old) < 1 {
					t.Fatalf("%q is not in %s", tt.old, signed)
				}
				at := strings.LastIndex(signed, tt.old)
				changed := signed[:at] + tt.new + signed[at+len(tt.old):]
				want := "fail"
				if tt.relaxed == "pass of both" || strings.Split(canon, "/")[tt.part] == "relaxed" {
					want, _, _ = strings.Cut(tt.relaxed, " ")
				}
				if got := judgement(t, through(t, &mta.Client{Profile: profile}, []byte(changed), verifier).Message); got != want {
					t.Errorf("%v, %s, %s: the verifier says %s, want %s", profile, canon, tt.name, got, want)
				}
				if err := checkSignature([]byte(changed), &signers[i].Key.PublicKey); (err == nil) != (want == "pass") {
					t.Errorf("%v, %s, %s: this test's own judge says %v, want %s", profile, canon, tt.name, err, want)
				}
			}
		}
	}
}

// Without HDR_LEADSPC, which older versions lack, a filter cannot know the
// blanks behind the colon: OpenDKIM takes there to be one.
func TestOpenDKIMWithOldVersions(t *testing.T) {
	signers, _ := signers(t)
	for _, profile := range profiles {
		for _, version := range []uint32{2, 4, 6} {
			for i, canon := range canons {
				for _, l := range []struct{ raw, simple string }{
					{"From: a@example.com\r\nSubject: one\r\n\r\nHello.\r\n", "holds"},
					{"From: a@example.com\r\nSubject:none\r\n\r\nHello.\r\n", "breaks"},
				} {
					want := "holds"
					if version < 6 && strings.HasPrefix(canon, "simple/") {
						want = l.simple
					}
					res := through(t, &mta.Client{Profile: profile, Version: version}, []byte(l.raw), signers[i])
					got := "holds"
					if err := checkSignature(res.Message.Bytes(), &signers[i].Key.PublicKey); err != nil {
						got = "breaks"
					}
					if got != want {
						t.Errorf("%v, version %d, %s: the signature of %q %s", profile, version, canon, l.raw, got)
					}
				}
			}
		}
	}
}

// OpenDKIM takes out results that others forged in its name, counting fields as
// libmilter does.
func TestOpenDKIMRemovesForgedResults(t *testing.T) {
	signers, verifier := signers(t)
	for _, profile := range profiles {
		for _, forged := range []int{1, 2, 3} {
			var raw strings.Builder
			for i := range forged {
				fmt.Fprintf(&raw, "Authentication-Results: other%d.example.org; dkim=pass\r\nAuthentication-Results: judge.example.net; dkim=pass header.d=forged%d.example\r\n", i, i)
			}
			raw.WriteString("From: a@example.com\r\nSubject: one\r\n\r\nHello.\r\n")
			signed := through(t, &mta.Client{Profile: profile}, []byte(raw.String()), signers[0])
			res := through(t, &mta.Client{Profile: profile}, signed.Message.Bytes(), verifier)
			var got []string
			for _, f := range res.Message.Header.All("Authentication-Results") {
				id, _, _ := strings.Cut(strings.TrimSpace(string(f.Value())), ";")
				got = append(got, id)
			}
			want := []string{"judge.example.net", "other0.example.org", "other1.example.org", "other2.example.org"}[:forged+1]
			if !slices.Equal(got, want) || judgement(t, res.Message) != "pass" || bytes.Contains(res.Message.Bytes(), []byte("forged")) {
				t.Errorf("%v: of %d forged results these are left: %q; edits %v", profile, forged, got, res.Edits)
			}
		}
	}
}

func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func clip(b []byte) []byte { return b[:min(len(b), 2000)] }

// checkSignature checks the first DKIM-Signature of a message (RFC 6376), with
// nothing but the bytes of the message and the key. It knows what OpenDKIM makes
// here: rsa-sha256, no l=.
func checkSignature(raw []byte, key *rsa.PublicKey) error {
	header, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	if strings.HasPrefix(body, "\r\n") || body != "" || strings.HasSuffix(string(raw), "\r\n\r\n") {
		header += "\r\n"
	}
	var fields []string
	for line := range strings.SplitAfterSeq(header, "\r\n") {
		switch {
		case line == "":
		case len(fields) > 0 && (line[0] == ' ' || line[0] == '\t'):
			fields[len(fields)-1] += line
		default:
			fields = append(fields, line)
		}
	}
	signature := slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, "DKIM-Signature:") })
	if signature < 0 {
		return fmt.Errorf("no signature in %q", clip(raw))
	}
	_, value, _ := strings.Cut(fields[signature], ":")
	tags := map[string]string{}
	for tag := range strings.SplitSeq(value, ";") {
		name, v, _ := strings.Cut(tag, "=")
		tags[strings.TrimSpace(name)] = strings.Join(strings.Fields(v), "")
	}
	headerCanon, bodyCanon, _ := strings.Cut(tags["c"], "/")

	blanks := regexp.MustCompile(`[ \t]+`)
	if bodyCanon == "relaxed" {
		lines := strings.Split(body, "\r\n")
		for i, l := range lines {
			lines[i] = strings.TrimRight(blanks.ReplaceAllString(l, " "), " ")
		}
		body = strings.Join(lines, "\r\n")
	}
	for strings.HasSuffix(body, "\r\n") {
		body = strings.TrimSuffix(body, "\r\n")
	}
	if body != "" || bodyCanon == "simple" {
		body += "\r\n"
	}
	if sum := sha256.Sum256([]byte(body)); base64.StdEncoding.EncodeToString(sum[:]) != tags["bh"] {
		return fmt.Errorf("the body's hash is not the one in %q; body %.200q", fields[signature], body)
	}

	canon := func(field string) string {
		if headerCanon == "simple" {
			return field
		}
		name, value, _ := strings.Cut(field, ":")
		value = blanks.ReplaceAllString(strings.ReplaceAll(value, "\r\n", ""), " ")
		return strings.ToLower(strings.TrimRight(name, " \t")) + ":" + strings.Trim(value, " ") + "\r\n"
	}
	var signed strings.Builder
	rest := slices.Clone(fields)
	for name := range strings.SplitSeq(tags["h"], ":") {
		for i := len(rest) - 1; i >= 0; i-- { // the last of a name first
			n, _, _ := strings.Cut(rest[i], ":")
			if strings.EqualFold(strings.TrimSpace(n), name) {
				signed.WriteString(canon(rest[i]))
				rest = slices.Delete(rest, i, i+1)
				break
			}
		}
	}
	own := regexp.MustCompile(`([;\s]b=)[^;]*`).ReplaceAllString(strings.TrimSuffix(fields[signature], "\r\n"), "$1")
	signed.WriteString(strings.TrimSuffix(canon(own+"\r\n"), "\r\n"))
	b, err := base64.StdEncoding.DecodeString(tags["b"])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(signed.String()))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], b); err != nil {
		return fmt.Errorf("the signature does not hold over %q: %w", signed.String(), err)
	}
	return nil
}
