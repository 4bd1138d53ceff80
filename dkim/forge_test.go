package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

// zone answers with texts and errors by name, and counts what it is asked.
type zone struct {
	dns.Resolver
	texts map[string][]string
	errs  map[string]error
	wait  bool // for the end of the context

	mu    sync.Mutex
	asked []string
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	name = strings.TrimSuffix(name, ".")
	z.mu.Lock()
	z.asked = append(z.asked, name)
	z.mu.Unlock()
	if z.wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := z.errs[name]; err != nil {
		return nil, err
	}
	if texts, ok := z.texts[name]; ok {
		return texts, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

var (
	key2048   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	key1024   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(1024) })
	keyEd     = ed25519.NewKeyFromSeed([]byte("a seed that has 32 bytes for all"))
	keyRecord = sync.OnceValue(func() string { return rsaRecord(&key2048().PublicKey) })
	edRecord  = "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(keyEd.Public().(ed25519.PublicKey))
)

func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func rsaRecord(k *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err)
	}
	return "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)
}

// oddRecord is that of a key of so many bits that nobody has the private half of.
func oddRecord(bits, exponent int) string {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.Add(n, big.NewInt(12345))
	return "p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: n, E: exponent}))
}

// keys is a zone with the keys rsa, short and ed of example.com.
func keys() *zone {
	return &zone{texts: map[string][]string{
		"rsa._domainkey.example.com":   {keyRecord()},
		"short._domainkey.example.com": {rsaRecord(&key1024().PublicKey)},
		"ed._domainkey.example.com":    {edRecord},
	}}
}

const (
	someHeader = "From: Ann <ann@example.com>\r\nTo: bob@example.net,\r\n\tcarol@example.net\r\nSubject:  two  blanks \r\nX-Other: 1\r\n"
	someBody   = "Hello,\r\n\r\ntwo  blanks, and at the end  \r\n\r\n\r\n"
	someTags   = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=rsa; h=from:to:subject"
)

// forge signs a message, whatever tags says: bh= where tags has none, and b= are put behind it.
func forge(t testing.TB, tags, header, body string) string {
	t.Helper()
	field := "DKIM-Signature: " + tags
	read := func() *signature {
		s := &signature{signedField: signedField{field: message.Parse([]byte(field + "\r\n\r\n")).Header[0]}}
		list, err := parseTags(string(s.field.Value()))
		if err != nil {
			t.Fatalf("forge %q: %v", field, err)
		}
		s.parseNames(list)
		for _, parse := range []func([]tag) *verdict{s.parseCanon, s.parseLength} {
			if why := parse(list); why != nil {
				s.header, s.body = Relaxed, Relaxed
			}
		}
		h, _ := findTag(list, "h")
		for _, name := range splitList(h) {
			s.names = append(s.names, strings.ToLower(name))
		}
		return s
	}
	s := read()
	canons := s.hashBody(nil)
	canons[0].Write([]byte(body))
	canons[0].close()
	if !strings.Contains(tags, "bh=") {
		field += "; bh=" + base64.StdEncoding.EncodeToString(s.sum.sum)
	}
	field += "; b="
	s = read()
	m := message.Parse([]byte(field + "\r\n" + header + "\r\n"))
	sum := s.digest(m.Header, placesOf(m.Header, []*signature{s}))
	var b []byte
	var err error
	switch {
	case strings.HasPrefix(s.res.Algorithm, "ed25519"):
		b = ed25519.Sign(keyEd, sum)
	case s.res.Selector == "short":
		b, err = rsa.SignPKCS1v15(nil, key1024(), crypto.SHA256, sum)
	default:
		b, err = rsa.SignPKCS1v15(nil, key2048(), crypto.SHA256, sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	return field + base64.StdEncoding.EncodeToString(b) + "\r\n" + header + "\r\n" + body
}

// verify verifies a message with v, or with the zero Verifier and keys.
func verify(t testing.TB, v *Verifier, msg string) []Result {
	t.Helper()
	if v == nil {
		v = &Verifier{Resolver: keys()}
	}
	return check(t, v, message.Parse([]byte(msg)))
}

// canonBody is the canonical form of a body.
func canonBody(c Canon, body string, chunks ...int) string {
	var got recorder
	b := &bodyCanon{relaxed: c == Relaxed, hash: &got}
	for _, n := range chunks {
		n = min(n, len(body))
		b.Write([]byte(body[:n]))
		body = body[n:]
	}
	b.Write([]byte(body))
	b.close()
	return got.String()
}

// A recorder is a hash that keeps what it is given.
type recorder struct{ bytes.Buffer }

func (r *recorder) Sum([]byte) []byte { s := sha256.Sum256(r.Bytes()); return s[:] }
func (r *recorder) Size() int         { return sha256.Size }
func (r *recorder) BlockSize() int    { return sha256.BlockSize }
