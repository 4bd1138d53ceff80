package dkim_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/message"
)

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// smallRSA is a key that Go makes no more.
func smallRSA(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	for {
		p, err1 := rand.Prime(rand.Reader, bits/2)
		q, err2 := rand.Prime(rand.Reader, bits/2)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, Primes: []*big.Int{p, q}}
		one := big.NewInt(1)
		k.D = new(big.Int).ModInverse(big.NewInt(65537), new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
		if k.D != nil && k.N.BitLen() == bits && p.Cmp(q) != 0 {
			k.Precompute()
			return k
		}
	}
}

func TestFormsOfKeys(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsa1024, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsa1024)
	public, _ := x509.MarshalPKIXPublicKey(ed.Public())
	b64 := base64.StdEncoding.EncodeToString
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for _, tt := range []struct {
		name, in  string
		algorithm string
		err       string
	}{
		{"PKCS #1", block("RSA PRIVATE KEY", pkcs1), "rsa-sha256", ""},
		{"PKCS #8, RSA", string(pkcs8(t, rsa1024)), "rsa-sha256", ""},
		{"PKCS #8, Ed25519", string(pkcs8(t, ed)), "ed25519-sha256", ""},
		{"text before and another block", "my key\n" + block("CERTIFICATE", []byte("x")) + string(pkcs8(t, ed)), "ed25519-sha256", ""},
		{"seed", b64(ed.Seed()), "ed25519-sha256", ""},
		{"seed with a line end", b64(ed.Seed()) + "\n", "ed25519-sha256", ""},
		{"seed and public key", b64(ed), "ed25519-sha256", ""},
		{"seed and another public key", b64(append(ed.Seed(), make([]byte, 32)...)), "", "no private key in PEM"},
		{"nothing", "", "", "no private key in PEM"},
		{"something else", "v=DKIM1; p=abc", "", "no private key in PEM"},
		{"public key", block("PUBLIC KEY", public), "", "public key"},
		{"encrypted, PKCS #8", block("ENCRYPTED PRIVATE KEY", []byte("x")), "", "encrypted"},
		{"encrypted, PKCS #1", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "", "encrypted"},
		{"elliptic curve", string(pkcs8(t, ec)), "", "takes RSA or Ed25519"},
		{"elliptic curve of its own", block("EC PRIVATE KEY", []byte("x")), "", "takes RSA or Ed25519"},
		{"cut short", block("PRIVATE KEY", []byte("x")), "", "cannot be read: asn1"},
		{"512 bits", string(pkcs8(t, smallRSA(t, 512))), "", "RSA with 512 bits"},
		{"large", strings.Repeat("x", 1<<20), "", "larger than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := dkim.ParseKey([]byte(tt.in))
			switch {
			case tt.err == "" && err != nil:
				t.Fatal(err)
			case tt.err == "" && k.Algorithm() != tt.algorithm:
				t.Errorf("algorithm %q, want %q", k.Algorithm(), tt.algorithm)
			case tt.err == "":
				if err := one(t, sign(t, letter, signature(k)), k); err != nil {
					t.Errorf("what it signs: %v", err)
				}
			case !errors.Is(err, dkim.ErrKey) || !strings.Contains(err.Error(), tt.err):
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
	if k, _ := dkim.ParseKey(pkcs8(t, rsa1024)); k.Bits() != 1024 || !strings.Contains(k.Unwise(), "weak") {
		t.Errorf("RSA with 1024 bits: %d bits, unwise: %q", k.Bits(), k.Unwise())
	}
	if k := testKey(); k.Bits() != 2048 || k.Unwise() != "" {
		t.Errorf("RSA with 2048 bits: %d bits, unwise: %q", k.Bits(), k.Unwise())
	}
	if k := testEd25519(); k.Bits() != 256 || k.Unwise() != "" {
		t.Errorf("Ed25519: %d bits, unwise: %q", k.Bits(), k.Unwise())
	}
}

func TestModesOfKeyFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key.pem")
	if err := testEd25519().WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode() != 0o600 {
		t.Errorf("a new key has mode %v", info.Mode())
	}
	for _, tt := range []struct {
		mode fs.FileMode
		err  string
	}{
		{0o600, ""}, {0o400, ""}, {0o640, ""}, {0o440, ""}, {0o710, ""},
		{0o644, "everybody can read it (mode 0644)"}, {0o604, "everybody can read it"}, {0o660, "others than its owner can write"}, {0o602, "others than its owner can write"},
	} {
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		k, err := dkim.ReadKey(path)
		switch {
		case tt.err == "" && (err != nil || k.Record() != testEd25519().Record()):
			t.Errorf("mode %#o: %v", tt.mode, err)
		case tt.err != "" && (!errors.Is(err, dkim.ErrKey) || !strings.Contains(err.Error(), path+": "+tt.err)):
			t.Errorf("mode %#o: error %v, want %q", tt.mode, err, tt.err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("key.pem", link); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o644)
	if _, err := dkim.ReadKey(link); !errors.Is(err, dkim.ErrKey) {
		t.Errorf("link to a file that everybody reads: %v", err)
	}
	os.Chmod(path, 0o600)
	if _, err := dkim.ReadKey(link); err != nil {
		t.Errorf("link: %v", err)
	}
}

func TestFilesThatAreNoKeys(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		err  error
		text string
	}{
		{filepath.Join(dir, "none"), fs.ErrNotExist, "none"},
		{dir, dkim.ErrKey, "no regular file"},
		{fifo, dkim.ErrKey, fifo + ": it is no regular file"},
		{file("text", "hello"), dkim.ErrKey, "text: it is no private key in PEM"},
		{file("large", strings.Repeat("x", 65<<10)), dkim.ErrKey, "larger than"},
	} {
		if _, err := dkim.ReadKey(tt.path); !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: error %v, want %q", tt.path, err, tt.text)
		}
	}
}

func TestOwnersOfKeyFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := testEd25519().WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 4711, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := dkim.ReadKey(path); !errors.Is(err, dkim.ErrKey) || !strings.Contains(err.Error(), "user 4711") {
		t.Errorf("file of somebody else: %v", err)
	}
	if _, err := dkim.ReadKey(path, 1, 4711); err != nil {
		t.Errorf("file of whom may own it: %v", err)
	}
}

func TestKeysAreNotOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := testEd25519().WriteFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "mine" {
		t.Errorf("the file has %q", data)
	}
	if err := os.Symlink("nowhere", path+".link"); err != nil {
		t.Fatal(err)
	}
	if err := testEd25519().WriteFile(path + ".link"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("through a link: error %v", err)
	}
}

func TestZoneLine(t *testing.T) {
	line := testKey().ZoneLine("2026", "example.com")
	rest, ok := strings.CutPrefix(line, `2026._domainkey.example.com. IN TXT "v=DKIM1; `)
	if !ok || !strings.HasSuffix(line, `"`) {
		t.Fatal(line)
	}
	joined := ""
	for s := range strings.SplitSeq(strings.Trim(`"v=DKIM1; `+rest, `"`), `" "`) {
		if len(s) > 255 {
			t.Errorf("a string of %d bytes", len(s))
		}
		joined += s
	}
	if joined != testKey().Record() {
		t.Errorf("strings of %q, record %q", joined, testKey().Record())
	}
}

func TestTypesOfKeys(t *testing.T) {
	if _, err := dkim.GenerateKey("rsa512"); !errors.Is(err, dkim.ErrKey) {
		t.Errorf("rsa512: %v", err)
	}
	for kind, bits := range map[dkim.KeyType]int{dkim.RSA3072: 3072, dkim.Ed25519: 256} {
		if k, err := dkim.GenerateKey(kind); err != nil || k.Bits() != bits {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(ed)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	f.Add([]byte(base64.StdEncoding.EncodeToString(ed)))
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)}))
	h := message.Parse([]byte(letter)).Header
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		k, err := dkim.ParseKey(data)
		if !bytes.Equal(before, data) {
			t.Error("the file was changed")
		}
		if err != nil {
			if k != nil || !errors.Is(err, dkim.ErrKey) {
				t.Errorf("key %v with error %v", k, err)
			}
			return
		}
		// A file may hold an RSA key whose numbers do not fit; then there is an error.
		if _, err := dkim.Sign(context.Background(), h, nil, []dkim.Signature{signature(k)}, signed); err != nil && !errors.Is(err, dkim.ErrSignature) {
			t.Error(err)
		}
		if k.Record() == "" {
			t.Error("no record")
		}
	})
}
