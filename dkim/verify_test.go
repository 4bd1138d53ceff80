package dkim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

// readMessage reads a message of testdata, with lines that end in CRLF.
func readMessage(t testing.TB, name string) message.Message {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return message.Parse(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
}

func readZone(t testing.TB, name string) *dns.Zone {
	t.Helper()
	z, err := dns.ReadZone("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// check verifies a message.
func check(t testing.TB, v *Verifier, m message.Message) []Result {
	t.Helper()
	c, err := v.Verify(t.Context(), m.Header, bytes.NewReader(m.Body))
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return c.Signatures
}

func TestExamplesOfRFCs(t *testing.T) {
	for _, tt := range []struct {
		file string
		want []Result
	}{
		{"rfc6376.eml", []Result{ // appendix A
			{Value: Pass, Domain: "example.com", Identity: "joe@football.example.com", Selector: "brisbane", Algorithm: "rsa-sha256", KeyBits: 1024, B: "AuUoFEfD"},
		}},
		{"rfc8463.eml", []Result{ // appendix A
			{Value: Pass, Domain: "football.example.com", Identity: "@football.example.com", Selector: "brisbane", Algorithm: "ed25519-sha256", KeyBits: 256, B: "/gCrinpc"},
			{Value: Pass, Domain: "football.example.com", Identity: "@football.example.com", Selector: "test", Algorithm: "rsa-sha256", KeyBits: 1024, B: "F45dVWDf"},
		}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			v := &Verifier{Resolver: readZone(t, "keys.zone")}
			if diff := cmp.Diff(tt.want, check(t, v, readMessage(t, tt.file))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Messages that dkimpy signed, with RSA and above it with Ed25519.
func TestMessagesSignedElsewhere(t *testing.T) {
	v := &Verifier{Resolver: readZone(t, "dkimpy.zone")}
	for _, header := range []string{"simple", "relaxed"} {
		for _, body := range []string{"simple", "relaxed"} {
			t.Run(header+" "+body, func(t *testing.T) {
				m := readMessage(t, "dkimpy-"+header+"-"+body+".eml")
				want := []Result{
					{Value: Pass, Domain: "example.com", Identity: "joerg@example.com", Selector: "ed", Algorithm: "ed25519-sha256", KeyBits: 256},
					{Value: Pass, Domain: "example.com", Identity: "joerg@example.com", Selector: "rsa", Algorithm: "rsa-sha256", KeyBits: 2048},
				}
				got := check(t, v, m)
				for i := range got {
					got[i].B = ""
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				// Without the blanks behind the colons, as an MTA has them that leaves them out.
				for i, f := range m.Header {
					m.Header[i] = message.NewField(f.Name(), f.Text(false), "\r\n")
				}
				for _, r := range check(t, v, m) {
					if want := map[string]Value{"simple": Fail, "relaxed": Pass}[header]; r.Value != want {
						t.Errorf("without leading blanks: %+v, want %s", r, want)
					}
				}
			})
		}
	}
}

func TestChangesToMessages(t *testing.T) {
	replace := func(old, new string) func(string) string {
		return func(m string) string {
			if strings.Count(m, old) != 1 {
				t.Fatalf("%q does not stand once in the message", old)
			}
			return strings.Replace(m, old, new, 1)
		}
	}
	const end = "at the end  \r\n\r\n\r\n"
	for _, tt := range []struct {
		name            string
		change          func(string) string
		simple, relaxed Value
	}{
		{"nothing", func(m string) string { return m }, Pass, Pass},
		{"a byte of the body", replace("Hello", "Hallo"), Fail, Fail},
		{"blanks in the body", replace("two  blanks, and", "two \tblanks, and"), Fail, Pass},
		{"blanks at the end of a line", replace("end  \r\n", "end\r\n"), Fail, Pass},
		{"blanks in front of a line", replace("Hello,", " Hello,"), Fail, Fail},
		{"lines at the end of the body", replace(end, "at the end  \r\n\r\n\r\n\r\n\r\n"), Pass, Pass},
		{"no lines at the end of the body", replace(end, "at the end  \r\n"), Pass, Pass},
		{"no line end at the end of the body", replace(end, "at the end  "), Pass, Pass},
		{"an empty line inside the body", replace("Hello,\r\n", "Hello,\r\n\r\n"), Fail, Fail},
		{"LF alone in the body", replace("Hello,\r\n", "Hello,\n"), Fail, Fail},
		{"all of the body gone", func(m string) string { return m[:strings.Index(m, "\r\n\r\n")+4] }, Fail, Fail},
		{"a value in the header", replace("bob@", "eve@"), Fail, Fail},
		{"the folding", replace(",\r\n\tcarol", ", carol"), Fail, Pass},
		{"the folding, a word cut", replace("carol", "ca\r\n rol"), Fail, Fail},
		{"line ends in the header, as an MTA gives them", replace(",\r\n\tcarol", ",\n\tcarol"), Pass, Pass},
		{"the blank behind a colon", replace("From: Ann", "From:Ann"), Fail, Pass},
		{"blanks at the end of a field", replace("blanks \r\nX-", "blanks\r\nX-"), Fail, Pass},
		{"a name's case", replace("To: bob", "TO: bob"), Fail, Pass},
		{"a blank in front of a colon", replace("To: bob", "To : bob"), Fail, Pass},
		{"a field that is not signed", replace("X-Other: 1\r\n", "X-Other: 2\r\nX-More: 3\r\n"), Pass, Pass},
		{"the order of fields", replace(someHeader, "X-Other: 1\r\nSubject:  two  blanks \r\nTo: bob@example.net,\r\n\tcarol@example.net\r\nFrom: Ann <ann@example.com>\r\n"), Pass, Pass},
		{"a signed field gone", replace("Subject:  two  blanks \r\n", ""), Fail, Fail},
		{"another Subject above", replace("From: Ann", "Subject: spam\r\nFrom: Ann"), Pass, Pass},
		{"another Subject below", replace("X-Other:", "Subject: spam\r\nX-Other:"), Fail, Fail},
		{"another From above, over-signed", replace("From: Ann", "From: Eve <eve@example.org>\r\nFrom: Ann"), Fail, Fail},
		{"another From below, over-signed", replace("X-Other:", "From: Eve <eve@example.org>\r\nX-Other:"), Fail, Fail},
		{"a field that was not there and is signed", replace("X-Other:", "Cc: eve@example.org\r\nX-Other:"), Fail, Fail},
		{"the signature's own blanks", replace("; d=example.com", ";  d=example.com"), Fail, Pass},
		{"blanks inside b=", replace("; b=", "; b=\r\n\t "), Pass, Pass},
		{"a tag in the signature", replace("; t=1", "; t=2"), Fail, Fail},
		{"h= cut", replace(":subject:from", ":from"), Fail, Fail},
		{"a semicolon behind b=", func(m string) string { return strings.Replace(m, "\r\nFrom: Ann", ";\r\nFrom: Ann", 1) }, Fail, Fail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for c, want := range map[Canon]Value{Simple: tt.simple, Relaxed: tt.relaxed} {
				for _, key := range []string{"a=rsa-sha256; s=rsa", "a=ed25519-sha256; s=ed"} {
					m := tt.change(forge(t, "v=1; "+key+"; c="+string(c)+"/"+string(c)+"; d=example.com; t=1; h=from:to:cc:subject:from", someHeader, someBody))
					if got := verify(t, nil, m); len(got) != 1 || got[0].Value != want || (got[0].Why == "") != (want == Pass) {
						t.Errorf("%s, %s: %+v, want %s, of\n%s", c, key, got, want, m)
					}
				}
			}
		})
	}
}

// The canonicalizations of header and body do not depend on each other.
func TestMixedCanonicalizations(t *testing.T) {
	for c, want := range map[string][2]Value{ // blanks changed in the header, in the body
		"c=relaxed/relaxed": {Pass, Pass}, "c=relaxed/simple": {Pass, Fail}, "c=simple/relaxed": {Fail, Pass}, "c=simple/simple": {Fail, Fail},
		"c=relaxed": {Pass, Fail}, "c=simple": {Fail, Fail}, "q=dns/txt": {Fail, Fail}, "c= Relaxed/RELAXED ": {Pass, Pass},
	} {
		m := forge(t, "v=1; a=rsa-sha256; "+c+"; d=example.com; s=rsa; h=from", someHeader, someBody)
		for i, m := range []string{strings.Replace(m, "From: Ann", "From:  Ann", 1), strings.Replace(m, "two  blanks, and", "two blanks, and", 1)} {
			if got := verify(t, nil, m); got[0].Value != want[i] {
				t.Errorf("%s, change %d: %+v, want %s", c, i, got[0], want[i])
			}
		}
	}
}

func TestSignatureFields(t *testing.T) {
	clock := func() time.Time { return time.Unix(1_000_000, 0) }
	const rest = "a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; h=from"
	hash := "bh=" + strings.Repeat("A", 43) + "="
	for _, tt := range []struct {
		name, tags string
		want       Value
		why        string // a regular expression
	}{
		{"as it should be", "v=1; " + rest, Pass, "^$"},
		{"unknown tags", "v=1; zz=~[{; x_9=; r=y; " + rest, Pass, "^$"},
		{"z= with what looks like b=", "v=1; z=Subject:club=20nights|X:b=3D1; " + rest, Pass, "^$"},
		{"folding everywhere", "v\r\n = 1 ;\r\n\ta = rsa-sha256; c=relaxed/relaxed;d=\r\n example.com; s=rsa; h=from\r\n :\r\n to", Pass, "^$"},
		{"names and words in capitals", "v=1; a=RSA-SHA256; c=Relaxed/Relaxed; d=Example.COM; s=RSA; h=FROM:Subject; q=DNS/TXT", Pass, "^$"},
		{"one more way to the key", "v=1; q=carrier/pigeon:dns/txt; " + rest, Pass, "^$"},
		{"times", "v=1; t=999999; x=1000000; " + rest, Pass, "^$"},
		{"made in the future", "v=1; t=2000000; x=3000000; " + rest, Pass, "^$"},
		{"never expires", "v=1; t=1; x=9999999999999; " + rest, Pass, "^$"},
		{"i= with a local part", "v=1; i=a=3Bb=40@mail.example.com; " + rest, Pass, "^$"},
		{"a name twice that the message does not have", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; h=from:from:nothing:nothing", Pass, "^$"},

		{"signatures are signed, and there is no other", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; h=from:dkim-signature", Pass, "^$"},

		{"other version", "v=2; " + rest, Neutral, `^v="2": only version 1`},
		{"version with a point", "v=1.0; " + rest, Neutral, `^v="1.0"`},
		{"no version", rest, PermError, "has no v="},
		{"no domain", "v=1; a=rsa-sha256; s=rsa; h=from", PermError, "has no d="},
		{"no selector", "v=1; a=rsa-sha256; d=example.com; h=from", PermError, "has no s="},
		{"no names", "v=1; a=rsa-sha256; d=example.com; s=rsa", PermError, "has no h="},
		{"no algorithm", "v=1; d=example.com; s=rsa; h=from", PermError, "has no a="},
		{"From is not signed", "v=1; a=rsa-sha256; d=example.com; s=rsa; h=to:subject:x-from", PermError, "^From is not signed"},
		{"h= is empty", "v=1; a=rsa-sha256; d=example.com; s=rsa; h=", Neutral, `^h= names a field ""`},
		{"h= with an empty name", "v=1; a=rsa-sha256; d=example.com; s=rsa; h=from::to", Neutral, `^h= names a field ""`},
		{"h= with blanks in a name", "v=1; a=rsa-sha256; d=example.com; s=rsa; h=from to", Neutral, `^h= names a field "from to"`},
		{"h= with a letter that only looks small", "v=1; a=rsa-sha256; d=example.com; s=rsa; h=from:\u212aey", Neutral, `^h= names a field`},
		{"rsa-sha1", "v=1; a=rsa-sha1; d=example.com; s=rsa; h=from", PermError, "rsa-sha1.*RFC 8301"},
		{"unknown algorithm", "v=1; a=rsa-md5; d=example.com; s=rsa; h=from", Neutral, `^a="rsa-md5" is not known`},
		{"unknown canonicalization", "v=1; a=rsa-sha256; c=relaxed/nofws; d=example.com; s=rsa; h=from", Neutral, `^c="relaxed/nofws"`},
		{"three canonicalizations", "v=1; a=rsa-sha256; c=relaxed/relaxed/simple; d=example.com; s=rsa; h=from", Neutral, `^c=`},
		{"no way to the key", "v=1; q=carrier/pigeon; " + rest, Neutral, `^q="carrier/pigeon"`},
		{"expired", "v=1; t=1; x=999999; " + rest, PermError, `^the signature expired on 1970-01-12T13:46:39Z`},
		{"expires before it is made", "v=1; t=3000000; x=2000000; " + rest, PermError, "before it is made"},
		{"x= is no number", "v=1; x=soon; " + rest, Neutral, `^x="soon" is no time`},
		{"t= is negative", "v=1; t=-1; " + rest, Neutral, `^t="-1" is no time`},
		{"l= is no number", "v=1; l=1k; " + rest, Neutral, `^l="1k" is no length`},
		{"l= has 77 digits", "v=1; l=" + strings.Repeat("1", 77) + "; " + rest, Neutral, "is no length"},
		{"d= with one label", "v=1; a=rsa-sha256; d=com; s=rsa; h=from", Neutral, `^d="com" is no domain`},
		{"d= is empty", "v=1; a=rsa-sha256; d=; s=rsa; h=from", Neutral, `^d="" is no domain`},
		{"d= ends in a dot", "v=1; a=rsa-sha256; d=example.com.; s=rsa; h=from", Neutral, `^d=`},
		{"d= is an address", "v=1; a=rsa-sha256; d=[192.0.2.1]; s=rsa; h=from", Neutral, `^d=`},
		{"s= leads elsewhere", "v=1; a=rsa-sha256; d=example.com; s=x/../y; h=from", Neutral, `^s=`},
		{"d= and s= too long together", "v=1; a=rsa-sha256; d=" + strings.Repeat("a.", 100) + "example.com; s=" + strings.Repeat("b", 63) + "; h=from", Neutral, `^s=`},
		{"i= of another domain", "v=1; i=@example.org; " + rest, PermError, "^i=.* d=example.com"},
		{"i= of a domain that ends alike", "v=1; i=@badexample.com; " + rest, PermError, "^i="},
		{"i= without @", "v=1; i=example.com; " + rest, Neutral, `^i="example.com" is no address`},
		{"i= with a line end", "v=1; i=a=0D=0Ab@example.com; " + rest, Neutral, `^i=`},
		{"i= with half a byte", "v=1; i=a=4@example.com; " + rest, Neutral, `^i=`},
		{"bh= is no base64", "v=1; bh=!; " + rest, Neutral, `^bh="!"`},
		{"bh= is short", "v=1; bh=AAAA; " + rest, Neutral, `^bh="AAAA"`},
		{"bh= of something else", "v=1; " + hash + "; " + rest, Fail, "hash is another"},
		{"bh= with blanks and no padding", "v=1; bh= A A " + strings.Repeat("A", 41) + "; " + rest, Fail, "hash is another"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := keys()
			z.texts["RSA._domainkey.Example.COM"] = nil // is not asked for
			got := verify(t, &Verifier{Resolver: z, Now: clock}, forge(t, tt.tags, someHeader, someBody))
			if len(got) != 1 || got[0].Value != tt.want || !regexp.MustCompile(tt.why).MatchString(got[0].Why) {
				t.Errorf("%+v, want %s, %q", got, tt.want, tt.why)
			}
		})
	}
}

// What no signer writes: fields that break the grammar of tag lists.
func TestBrokenTagLists(t *testing.T) {
	good := forge(t, someTags, someHeader, someBody)
	field, rest, _ := strings.Cut(good, "\r\nFrom: Ann")
	for _, tt := range []struct{ name, field, why string }{
		{"a tag twice", field + "; d=example.com", "tag d= stands twice"},
		{"an unknown tag twice", field + "; zz=1; zz=2", "tag zz= stands twice"},
		{"tags differ in case", field + "; D=example.org", ""}, // another tag, and the signature is over it
		{"no equals sign", field + "; relaxed", `" relaxed" has no "="`},
		{"empty tag", strings.Replace(field, "; ", ";;", 1), "nothing stands before a semicolon"},
		{"two semicolons at the end", field + ";;", "nothing stands before a semicolon"},
		{"a name with a hyphen", field + "; a-b=1", `"a-b" is no name`},
		{"no name", field + "; =1", `"" is no name`},
		{"a control byte", field + "; zz=\x01", "tag zz=: byte 0x01 stands in it"},
		{"DEL", field + "; zz=\x7f", "tag zz=: byte 0x7f stands in it"},
		{"no UTF-8", field + "; zz=\xff", "tag zz=: byte 0xff stands in it"},
		{"a CR alone", field + "; zz=a\rb", "byte 0x0d"},
		{"too many tags", field + strings.Repeat("; a", 1) + strings.Join(letters(120), "=; "), "more than 100 tags"},
		{"empty", "DKIM-Signature:", "there are no tags"},
		{"blank", "DKIM-Signature: \r\n\t", "there are no tags"},
		{"a semicolon", "DKIM-Signature: ;", "nothing stands before a semicolon"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := verify(t, nil, tt.field+"\r\nFrom: Ann"+rest)
			if len(got) != 1 {
				t.Fatalf("%d results", len(got))
			}
			if tt.why == "" {
				if got[0].Value != Fail {
					t.Errorf("%+v, want fail", got[0])
				}
				return
			}
			if got[0].Value != Neutral || !strings.Contains(got[0].Why, tt.why) {
				t.Errorf("%+v, want neutral, %q", got[0], tt.why)
			}
		})
	}
}

// letters returns n names of tags.
func letters(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("tag%d", i))
	}
	return names
}

func TestKeyRecords(t *testing.T) {
	_, p, _ := strings.Cut(keyRecord(), "p=")
	der, _ := base64.StdEncoding.DecodeString(p)
	pkcs1 := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key2048().PublicKey))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cut := base64.StdEncoding.EncodeToString(der[:len(der)-1])
	for _, tt := range []struct {
		name    string
		records []string
		want    Value
		why     string
	}{
		{"as it should be", []string{"v=DKIM1; k=rsa; p=" + p}, Pass, "^$"},
		{"p= alone", []string{"p=" + p}, Pass, "^$"},
		{"a semicolon at the end", []string{"v=DKIM1; p=" + p + ";"}, Pass, "^$"},
		{"blanks in the key", []string{"v=DKIM1; p=" + p[:50] + " \t" + p[50:]}, Pass, "^$"},
		{"key without its wrapping", []string{"v=DKIM1; p=" + pkcs1}, Pass, "^$"},
		{"all tags", []string{"v=DKIM1; h=sha1:sha256; k=rsa; n=a note; s=email:other; t=s:x; g=nobody; p=" + p}, Pass, "^$"},
		{"for all services", []string{"s=*; p=" + p}, Pass, "^$"},
		{"other texts beside it", []string{"v=spf1 -all", "google-site-verification=abc", "hello", "", "v=DKIM1; p=" + p}, Pass, "^$"},

		{"revoked", []string{"v=DKIM1; p="}, PermError, "revoked"},
		{"revoked, with a kind", []string{"v=DKIM1; k=ed25519; p=; t=y"}, PermError, "revoked"},
		{"no key", []string{"v=DKIM1; k=rsa"}, PermError, "has no p="},
		{"no records", []string{}, PermError, "no text at rsa._domainkey.example.com"},
		{"other texts alone", []string{"v=spf1 -all", "p q", ""}, PermError, "no key record"},
		{"two keys", []string{"p=" + p, "v=DKIM1; p=" + p}, PermError, "several keys"},
		{"a key and one that is revoked", []string{"p=" + p, "p="}, PermError, "several keys"},
		{"other version", []string{"v=DKIM2; p=" + p}, PermError, "no key record"},
		{"semicolons escaped for a zone file that needs none", []string{`v=DKIM1\; k=rsa\; p=` + p}, PermError, "no key record"},
		{"broken behind the version", []string{"v=DKIM1; p=" + p + "; p=" + p}, PermError, "cannot be read: tag p= stands twice"},
		{"no base64", []string{"p=%"}, PermError, `p= of the key record is no base64: "%"`},
		{"no key inside", []string{"p=AAAA"}, PermError, "no public key"},
		{"key cut", []string{"p=" + cut}, PermError, "no public key"},
		{"another kind inside", []string{"p=" + base64.StdEncoding.EncodeToString(ecDER)}, PermError, "no RSA key"},
		{"another kind", []string{"k=ed448; p=" + p}, PermError, `k= of the key record is of no known kind: "ed448"`},
		{"not for this algorithm", []string{edRecord}, PermError, "for ed25519, and a=rsa-sha256"},
		{"Ed25519 of another length", []string{"k=ed25519; p=AAAA"}, PermError, "has 3 bytes, an Ed25519 key has 32"},
		{"Ed25519 with wrapping", []string{"k=ed25519; p=" + p}, PermError, "an Ed25519 key has 32"},
		{"not for SHA-256", []string{"h=sha1; p=" + p}, PermError, "not for SHA-256"},
		{"not for mail", []string{"s=other; p=" + p}, PermError, `not for mail: s="other"`},
		{"exponent 1", []string{oddRecord(2048, 1)}, PermError, "could be one"},
		{"exponent even", []string{oddRecord(2048, 65536)}, PermError, "could be one"},
		{"another key", []string{rsaRecord(&key1024().PublicKey)}, Fail, "does not fit"},
		{"a key that nobody has", []string{oddRecord(2048, 65537)}, Fail, "does not fit"},
		{"a short key", []string{oddRecord(512, 3)}, Policy, "512 bits, less than 1024; the signature was not verified"},
		{"no length", []string{"p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: one, E: 3}))}, Policy, "1 bits"},
		{"8192 bits", []string{oddRecord(8192, 65537)}, Fail, "does not fit"},
		{"8193 bits", []string{oddRecord(8193, 65537)}, Policy, "8193 bits, more than 8192"},
		{"100 000 bits", []string{oddRecord(100_000, 65537)}, Policy, "100000 bits, more than 8192"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := &zone{texts: map[string][]string{"rsa._domainkey.example.com": tt.records}}
			got := verify(t, &Verifier{Resolver: z}, forge(t, someTags, someHeader, someBody))[0]
			if got.Value != tt.want || !regexp.MustCompile(tt.why).MatchString(got.Why) {
				t.Errorf("%+v, want %s, %q", got, tt.want, tt.why)
			}
		})
	}
}

var one = big.NewInt(1)

func TestKeyFlags(t *testing.T) {
	for _, tt := range []struct {
		name, flags, tags string
		want              Value
		testing           bool
	}{
		{"tested", "t=y; ", "", Pass, true},
		{"tested, among others", "t=x:Y:s; ", "", Pass, true},
		{"domain of i= the same", "t=s; ", "; i=joe@example.com", Pass, false},
		{"domain of i= below", "t=s; ", "; i=joe@sub.example.com", PermError, false},
		{"domain of i= below, allowed", "", "; i=joe@sub.example.com", Pass, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := &zone{texts: map[string][]string{"rsa._domainkey.example.com": {tt.flags + keyRecord()[len("v=DKIM1; "):]}}}
			got := verify(t, &Verifier{Resolver: z}, forge(t, someTags+tt.tags, someHeader, someBody))[0]
			if got.Value != tt.want || got.Testing != tt.testing || got.KeyBits != 2048 {
				t.Errorf("%+v, want %s, testing %v", got, tt.want, tt.testing)
			}
		})
	}
}

func TestKeySizes(t *testing.T) {
	m := forge(t, "v=1; a=rsa-sha256; d=example.com; s=short; h=from", someHeader, someBody)
	changed := strings.Replace(m, "From: Ann", "From: Eve", 1)
	for _, tt := range []struct {
		name     string
		v        Verifier
		msg      string
		want     Value
		contains string
	}{
		{"1024 bits", Verifier{}, m, Pass, ""},
		{"1024 bits are too few", Verifier{MinRSABits: 2048}, m, Policy, "1024 bits, less than 2048"},
		{"1024 bits are too few, and changed", Verifier{MinRSABits: 2048}, changed, Fail, "does not fit"},
		{"the least cannot be less than 1024", Verifier{MinRSABits: 512}, m, Pass, ""},
		{"too many", Verifier{MaxRSABits: 1023}, m, Policy, "more than 1023"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.v.Resolver = keys()
			got := verify(t, &tt.v, tt.msg)[0]
			if got.Value != tt.want || !strings.Contains(got.Why, tt.contains) || got.KeyBits != 1024 {
				t.Errorf("%+v, want %s, %q", got, tt.want, tt.contains)
			}
		})
	}
}

// A part of the body that is not signed can be anything: what is signed of it is never enough.
func TestBodyLength(t *testing.T) {
	size := len(canonBody(Relaxed, someBody))
	for _, tt := range []struct {
		name, l string
		change  func(string) string
		want    Value
		why     string
	}{
		{"all of it", strconv.Itoa(size), nil, Policy, "only the first"},
		{"all of it, and more came", strconv.Itoa(size), func(m string) string { return m + "buy!\r\n" }, Policy, "only the first"},
		{"a part", "3", nil, Policy, "only the first 3 bytes"},
		{"nothing", "0", nil, Policy, "only the first 0 bytes"},
		{"a part, and that changed", "3", func(m string) string { return strings.Replace(m, "Hello", "Hallo", 1) }, Fail, "hash"},
		{"a part, and the header changed", "3", func(m string) string { return strings.Replace(m, "From: Ann", "From: Eve", 1) }, Fail, "does not fit"},
		{"more than there is", strconv.Itoa(size + 1), nil, Fail, "shorter"},
		{"more than can be counted", strings.Repeat("9", 76), nil, Fail, "shorter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := forge(t, someTags+"; l="+tt.l, someHeader, someBody)
			if tt.change != nil {
				m = tt.change(m)
			}
			if got := verify(t, nil, m)[0]; got.Value != tt.want || !strings.Contains(got.Why, tt.why) {
				t.Errorf("%+v, want %s, %q", got, tt.want, tt.why)
			}
		})
	}
}

// Signatures of one message are judged each by itself, and their bodies hashed as each has it.
func TestSeveralSignatures(t *testing.T) {
	m := someHeader + "\r\n" + someBody
	var want []Result
	add := func(tags string, v Value) {
		m = forge(t, tags, m[:strings.Index(m, "\r\n\r\n")+2], someBody)
		want = append(want, Result{Value: v})
	}
	add("v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=rsa; h=from:dkim-signature:dkim-signature", Pass)
	add("v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=ed; h=from:dkim-signature", Pass)
	add("v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; l=4; h=from", Policy)
	add("v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; l=2; h=from", Policy)
	add("v=1; a=rsa-sha1; c=relaxed/relaxed; d=example.com; s=rsa; h=from", PermError)
	add("v=1; a=rsa-sha256; c=relaxed/simple; d=example.com; s=gone; h=from", PermError)
	add("v=1; a=rsa-sha256; c=simple/relaxed; d=example.com; s=rsa; h=from:to:dkim-signature:dkim-signature", Pass)
	slices.Reverse(want)           // each is put above the others
	want[len(want)-1].Value = Fail // it was over-signed that it is the only one
	z := keys()
	got := verify(t, &Verifier{Resolver: z}, m)
	if len(got) != len(want) {
		t.Fatalf("%d results, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Value != want[i].Value {
			t.Errorf("signature %d: %+v, want %s", i, got[i], want[i].Value)
		}
	}
	slices.Sort(z.asked)
	if diff := cmp.Diff([]string{"ed._domainkey.example.com", "gone._domainkey.example.com", "rsa._domainkey.example.com"}, z.asked); diff != "" {
		t.Errorf("keys are looked up once each: %s", diff)
	}
}

func TestInternationalizedDomain(t *testing.T) {
	z := &zone{texts: map[string][]string{"xn--schlssel-95a._domainkey.xn--bcher-kva.example": {keyRecord()}}}
	got := verify(t, &Verifier{Resolver: z}, forge(t, "v=1; a=rsa-sha256; d=bücher.example; s=schlüssel; i=jürgen@Bücher.example; h=from", someHeader, someBody))
	want := []Result{{Value: Pass, Domain: "xn--bcher-kva.example", Identity: "jürgen@xn--bcher-kva.example", Selector: "xn--schlssel-95a", Algorithm: "rsa-sha256", KeyBits: 2048, B: got[0].B}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What could be read of a signature is told, whatever is wrong with the rest.
func TestResultsOfWhatCannotBeVerified(t *testing.T) {
	for tags, want := range map[string]Result{
		"v=1; a=rsa-sha256; d=Example.com; s=sel; b=" + strings.Repeat("Ab+/", 9) + "; x": {Value: Neutral, Domain: "example.com", Identity: "@example.com", Selector: "sel", Algorithm: "rsa-sha256", B: "Ab+/Ab+/"},
		"v=1; a=x y; d=ex ample; s=a\"b; b=<script>; i=@":                                 {Value: PermError},
	} {
		got := verify(t, nil, "DKIM-Signature: "+tags+"\r\nFrom: a@b.example\r\n\r\n")
		got[0].Why = ""
		if diff := cmp.Diff([]Result{want}, got); diff != "" {
			t.Errorf("%s: %s", tags, diff)
		}
	}
}

func TestPrefixesOfB(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []string
		want []string
	}{
		{"one", []string{"abcdefghijkl"}, []string{"abcdefgh"}},
		{"short", []string{"abc"}, []string{"abc"}},
		{"apart", []string{"abcdefghij", "Abcdefghij"}, []string{"abcdefgh", "Abcdefgh"}},
		{"alike", []string{"abcdefghijX", "abcdefghijY", "zzzzzzzzzzz"}, []string{"abcdefghijX", "abcdefghijY", "zzzzzzzz"}},
		{"the same", []string{"abcdefghij", "abcdefghij"}, []string{"abcdefgh", "abcdefgh"}},
		{"one begins as the other", []string{"abcdefghij", "abcdefghijkl"}, []string{"abcdefghij", "abcdefghijk"}},
		{"alike for long", []string{strings.Repeat("a", 100), strings.Repeat("a", 99) + "b"}, []string{strings.Repeat("a", 64), strings.Repeat("a", 64)}},
		{"blanks", []string{"ab cd\r\n\tefghij"}, []string{"abcdefgh"}},
		{"none", []string{"", "!"}, []string{"", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m strings.Builder
			for _, b := range tt.b {
				m.WriteString("DKIM-Signature: b=" + b + "\r\n")
			}
			var got []string
			for _, r := range verify(t, nil, m.String()+"\r\n") {
				got = append(got, r.B)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
