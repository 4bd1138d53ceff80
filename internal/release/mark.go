package release

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/quarantine"
)

// Field is the name of the header field that is the mark.
const Field = "X-Gomilter-Release"

// Options are the limits of Marks. The zero value of a field is its default.
type Options struct {
	Life    time.Duration    // how long a mark is good for; 0 means 1 hour
	MaxUsed int              // marks remembered as used, each until a day after its expiry; 0 means 10 000
	Log     *slog.Logger     // told of marks that are not good; nil means slog.Default()
	Now     func() time.Time // nil means time.Now
}

// Marks makes marks and judges them. It is safe for concurrent use, also by several
// processes with the same folder.
type Marks struct {
	dir string
	o   Options
}

// Open returns the Marks whose key and used marks are in a folder, the daemon's
// state folder, and makes what is missing of them. What root makes there belongs to
// the owner of the folder.
//
// Errors are those of the file system. A folder that others may write to, and a key
// that others may read, are refused.
func Open(dir string, o Options) (*Marks, error) {
	o.Life = cmp.Or(o.Life, time.Hour)
	o.MaxUsed = cmp.Or(o.MaxUsed, 10_000)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	m := &Marks{dir, o}
	if err := m.open(); err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return m, nil
}

func (m *Marks) open() error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	dir, err := os.OpenRoot(m.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	i, err := dir.Stat(".")
	if err != nil {
		return err
	}
	if i.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others (mode %04o)", m.dir, i.Mode().Perm())
	}
	switch err := dir.Mkdir(usedDir, 0o700); {
	case err == nil:
		if err := giveNewFolder(dir, usedDir); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	_, err = m.key()
	return err
}

// giveNewFolder gives a folder that was just made in dir to the owner of dir. He may
// have put something else in its place by now, and gets nothing but an empty folder
// that only this process could write to.
func giveNewFolder(dir *os.Root, name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Readdirnames(1); err != io.EOF || i.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("somebody put another file in the place of %s", filepath.Join(dir.Name(), name))
	}
	return giveToOwner(f, dir)
}

// A mark is the value of the field.
type mark struct {
	ref     string
	expires int64  // seconds since 1970
	nonce   string // 32 hexadecimal digits
	mac     []byte
}

// What is wrong with a mark.
var (
	errForm    = errors.New("it has not the form of a mark")
	errForged  = errors.New("it was not made here for this message")
	errExpired = errors.New("it has expired")
	errUsed    = errors.New("it was used before")
)

const version = "1"

// signed returns what stands before the MAC.
func (mk mark) signed() string {
	return fmt.Sprintf("%s %s %d %s", version, mk.ref, mk.expires, mk.nonce)
}

// sum returns the MAC of a mark for a message.
func (mk mark) sum(key []byte, content [sha256.Size]byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "gomilter release\n%s\n%x\n", mk.signed(), content)
	return h.Sum(nil)
}

// parse reads a mark, which an MTA may have folded.
func parse(value string) (mk mark, err error) {
	w := strings.Fields(value)
	if len(w) != 5 || w[0] != version || !quarantine.ValidRef(w[1]) {
		return mk, errForm
	}
	mk.ref, mk.nonce = w[1], w[3]
	if mk.expires, err = strconv.ParseInt(w[2], 10, 64); err != nil || strconv.FormatInt(mk.expires, 10) != w[2] || mk.expires < 0 {
		return mk, errForm
	}
	for _, hx := range []struct {
		digits string
		bytes  int
		to     *[]byte
	}{{w[3], 16, new([]byte)}, {w[4], sha256.Size, &mk.mac}} {
		if *hx.to, err = hex.DecodeString(hx.digits); err != nil || len(*hx.to) != hx.bytes || hx.digits != strings.ToLower(hx.digits) {
			return mk, errForm
		}
	}
	return mk, nil
}

// Mark makes a mark that lets a message, the original kept under ref, pass once. It
// reads the message to its end and returns the field with its line end, to be put on
// top of it.
//
// Errors: [quarantine.ErrRef], [ErrHeader], and those of msg and of the key's file.
func (m *Marks) Mark(ref string, msg io.Reader) (field string, err error) {
	if !quarantine.ValidRef(ref) {
		return "", quarantine.ErrRef
	}
	h, body, err := split(msg)
	if err != nil {
		return "", err
	}
	content, err := digest(h, body)
	if err != nil {
		return "", err
	}
	key, err := m.key()
	if err != nil {
		return "", fmt.Errorf("release: %w", err)
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	mk := mark{ref: ref, expires: m.o.Now().Add(m.o.Life).Unix(), nonce: hex.EncodeToString(nonce[:])}
	return fmt.Sprintf("%s: %s %x\r\n", Field, mk.signed(), mk.sum(key, content)), nil
}

// Void uses up a mark that Mark made, so that it lets no message pass from then on,
// and reports whether it has let one pass already.
//
// Errors: those of the file system, [ErrFull], and one for what is no mark.
func (m *Marks) Void(field string) (used bool, err error) {
	value, ok := strings.CutPrefix(field, Field+":")
	mk, err := parse(value)
	if !ok || err != nil {
		return false, fmt.Errorf("release: %w", errForm)
	}
	switch err := m.use(mk); {
	case err == errUsed:
		return true, nil
	case err != nil:
		return false, fmt.Errorf("release: %w", err)
	}
	return false, nil
}

// check judges a mark and uses it up. The error is one of those above where the
// mark is not good, and another where that cannot be found out.
func (m *Marks) check(value string, h message.Header, body io.Reader) (mk mark, err error) {
	if mk, err = parse(value); err != nil {
		return mk, err
	}
	content, err := digest(h, body)
	if err != nil {
		return mk, err
	}
	key, err := m.key()
	if err != nil {
		return mk, err
	}
	if !hmac.Equal(mk.sum(key, content), mk.mac) { // in constant time
		return mk, errForged
	}
	if !m.o.Now().Before(time.Unix(mk.expires, 0)) {
		return mk, errExpired
	}
	return mk, m.use(mk)
}
