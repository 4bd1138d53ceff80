package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// A Key is a private key to sign with. Any number of goroutines may use one.
type Key struct {
	signer crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey
	bits   int
}

// ErrKey is in the errors of keys that cannot be used.
var ErrKey = errors.New("dkim: unusable key")

// Limits of keys.
const (
	maxKeyFile  = 64 << 10
	minRSABits  = 1024 // RFC 8301 section 3.2
	goodRSABits = 2048
	maxRSABits  = 16384
)

// A KeyType is what [GenerateKey] makes.
type KeyType string

// The types of keys.
const (
	RSA2048 KeyType = "rsa2048"
	RSA3072 KeyType = "rsa3072"
	RSA4096 KeyType = "rsa4096" // the most that every verifier takes (RFC 8301 section 3.2); its record takes DNS by TCP
	Ed25519 KeyType = "ed25519" // RFC 8463
)

// GenerateKey makes a key. Errors are of an unknown type and of the system's randomness.
func GenerateKey(t KeyType) (*Key, error) {
	bits := map[KeyType]int{RSA2048: 2048, RSA3072: 3072, RSA4096: 4096}[t]
	switch {
	case t == Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return &Key{key, 256}, err
	case bits == 0:
		return nil, fmt.Errorf("%w: there is no type %q", ErrKey, t)
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	return &Key{key, bits}, nil
}

// ReadKey reads a private key from a file, in one of the forms that [ParseKey] knows.
//
// The file may be readable by its owner and group only, and writable by its owner, who is
// root, the user that the process runs as, or one of owners, by their numbers. Links are
// followed; what counts is the file they lead to. Errors name the file, and wrap [ErrKey],
// or are those of opening and reading it.
func ReadKey(path string, owners ...int) (*Key, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(info, owners); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKey, path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	defer clear(data)
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxKeyFile:
		return nil, fmt.Errorf("%w: %s: it is larger than %d bytes", ErrKey, path, maxKeyFile)
	}
	k, err := ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrKey, path, strings.TrimPrefix(err.Error(), ErrKey.Error()+": "))
	}
	return k, nil
}

// checkFile tells why a key is not safe in a file.
func checkFile(info fs.FileInfo, owners []int) error {
	mode := info.Mode()
	switch {
	case !mode.IsRegular():
		return errors.New("it is no regular file")
	case mode&0o004 != 0:
		return fmt.Errorf("everybody can read it (mode %#o); chmod 0600, or 0640 where its group is to read it", mode.Perm())
	case mode&0o022 != 0:
		return fmt.Errorf("others than its owner can write to it (mode %#o); chmod 0600, or 0640 where its group is to read it", mode.Perm())
	}
	uid, ok := ownerOf(info)
	if !ok || uid == 0 || uid == os.Geteuid() {
		return nil
	}
	for _, o := range owners {
		if uid == o {
			return nil
		}
	}
	return fmt.Errorf("it belongs to user %d, who is neither root nor the user that reads it; chown it", uid)
}

// ParseKey reads a private key: PEM with RSA (PKCS #1 or PKCS #8) or Ed25519 (PKCS #8), as
// openssl and opendkim-genkey write it, or the base64 of an Ed25519 seed without PEM, as
// dknewkey of dkimpy does. It keeps nothing of data. Errors wrap [ErrKey].
func ParseKey(data []byte) (*Key, error) {
	bad := func(format string, args ...any) (*Key, error) {
		return nil, fmt.Errorf("%w: %s", ErrKey, fmt.Sprintf(format, args...))
	}
	if len(data) > maxKeyFile {
		return bad("it is larger than %d bytes", maxKeyFile)
	}
	var block *pem.Block
	for rest := data; ; {
		if block, rest = pem.Decode(rest); block == nil || strings.HasSuffix(block.Type, "PRIVATE KEY") || block.Type == "PUBLIC KEY" {
			break
		}
	}
	if block == nil {
		if seed, ok := bareSeed(data); ok {
			return &Key{ed25519.NewKeyFromSeed(seed), 256}, nil
		}
		return bad("it is no private key in PEM")
	}
	defer clear(block.Bytes)
	var key any
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		return bad("it is a public key, and signing takes the private one")
	case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
		return bad("it is encrypted; write it anew with openssl pkey")
	case block.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return bad("it is a %q, and signing takes RSA or Ed25519 keys", block.Type)
	}
	if err != nil {
		return bad("it cannot be read: %v", err)
	}
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return &Key{key, 256}, nil
	case *rsa.PrivateKey:
		bits := key.N.BitLen()
		if bits < minRSABits {
			return bad("RSA with %d bits, and signatures of fewer than %d count for nothing (RFC 8301)", bits, minRSABits)
		}
		if bits > maxRSABits {
			return bad("RSA with %d bits, more than %d", bits, maxRSABits)
		}
		return &Key{key, bits}, nil
	}
	return bad("it is a %T, and signing takes RSA or Ed25519 keys", key)
}

// bareSeed reads the base64 of an Ed25519 seed, with or without its public key behind.
func bareSeed(data []byte) ([]byte, bool) {
	text := bytes.TrimSpace(data)
	if len(text) > 100 {
		return nil, false
	}
	raw, err := base64.StdEncoding.DecodeString(string(text))
	switch {
	case err != nil:
		return nil, false
	case len(raw) == ed25519.SeedSize:
		return raw, true
	case len(raw) == ed25519.PrivateKeySize && bytes.Equal(ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize]), raw):
		return raw[:ed25519.SeedSize], true
	}
	return nil, false
}

// Algorithm returns the algorithm of signatures by the key, as in a=: "rsa-sha256" or
// "ed25519-sha256".
func (k *Key) Algorithm() string { return k.kind() + "-sha256" }

// kind returns the type of the key, as in k= of its record.
func (k *Key) kind() string {
	if _, ok := k.signer.(ed25519.PrivateKey); ok {
		return "ed25519"
	}
	return "rsa"
}

// Bits returns the size of the key in bits.
func (k *Key) Bits() int { return k.bits }

// Unwise returns what speaks against signing with the key, though it works; "" for nothing.
func (k *Key) Unwise() string {
	switch {
	case k.kind() == "rsa" && k.bits < goodRSABits:
		return fmt.Sprintf("RSA with %d bits is weak: sign with %d at least (RFC 8301)", k.bits, goodRSABits)
	case k.kind() == "rsa" && k.bits > 4096:
		return fmt.Sprintf("verifiers need not take RSA with %d bits: sign with 4096 at most (RFC 8301)", k.bits)
	}
	return ""
}

// Record returns the text of the TXT record that publishes the key, such as
// "v=DKIM1; k=rsa; p=...". It stands at the selector, "._domainkey." and the domain.
func (k *Key) Record() string {
	var public []byte
	switch key := k.signer.(type) {
	case ed25519.PrivateKey:
		public = key.Public().(ed25519.PublicKey) // RFC 8463 section 4: the key without ASN.1 around it
	case *rsa.PrivateKey:
		public, _ = x509.MarshalPKIXPublicKey(&key.PublicKey) // fails for other types only
	}
	return "v=DKIM1; k=" + k.kind() + "; p=" + base64.StdEncoding.EncodeToString(public)
}

// ZoneLine returns the record as a line of a zone file, with its name and in strings of
// 255 bytes (RFC 1035 section 3.3), and without the end of the line.
func (k *Key) ZoneLine(selector, domain string) string {
	line := selector + "._domainkey." + strings.TrimSuffix(domain, ".") + ". IN TXT"
	for r := k.Record(); r != ""; {
		n := min(len(r), 255)
		line += ` "` + r[:n] + `"`
		r = r[n:]
	}
	return line
}

// WriteFile writes the key to a file that is not there yet, in PEM (PKCS #8), readable by
// its owner only. Errors are those of the file system; where the file is there already
// the error is [fs.ErrExist], and where it cannot be written as a whole there is none.
func (k *Key) WriteFile(path string) (err error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			os.Remove(path)
		}
	}()
	if err := pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return err
	}
	return f.Sync()
}

// sign signs a SHA-256 hash.
func (k *Key) sign(sum []byte) ([]byte, error) {
	if key, ok := k.signer.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, sum), nil // RFC 8463 section 3: the hash is what is signed
	}
	return k.signer.Sign(rand.Reader, sum, crypto.SHA256)
}
