package release

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/quarantine"
	"pgregory.net/rapid"
)

const ref = "01kat0000000000000zz"

// A clock is set by the test.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t *testing.T, o Options) (*Marks, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	o.Now, o.Log = c.now, slog.New(slog.DiscardHandler)
	m, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	return m, c
}

// marked returns the value of a mark for a message.
func marked(t interface {
	Helper()
	Fatal(...any)
}, m *Marks, msg string) string {
	t.Helper()
	field, err := m.Mark(ref, strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	value, ok := strings.CutPrefix(field, Field+":")
	if !ok || !strings.HasSuffix(value, "\r\n") {
		t.Fatal("the mark is ", field)
	}
	return value
}

func (m *Marks) checkText(value, msg string) error {
	p := message.Parse([]byte(msg))
	_, err := m.check(value, p.Header, bytes.NewReader(p.Body))
	return err
}

const original = "Received: from x\r\nSubject: hi\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n\r\nbody\r\n\r\nend\r\n"

func TestMarkIsGoodOnce(t *testing.T) {
	m, _ := open(t, Options{})
	v := marked(t, m, original)
	if err := m.checkText(v, original); err != nil {
		t.Errorf("a fresh mark: %v", err)
	}
	if err := m.checkText(v, original); err != errUsed {
		t.Errorf("the same mark again: %v, want %v", err, errUsed)
	}
	other, err := Open(m.dir, m.o) // after a restart
	if err != nil {
		t.Fatal(err)
	}
	if err := other.checkText(v, original); err != errUsed {
		t.Errorf("the same mark after a restart: %v, want %v", err, errUsed)
	}
	if err := other.checkText(marked(t, m, original), original); err != nil {
		t.Errorf("another mark for the same message: %v", err)
	}
}

func TestMarkIsUsedByOneOfMany(t *testing.T) {
	m, _ := open(t, Options{})
	v := marked(t, m, original)
	var good, used int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := m.checkText(v, original)
			mu.Lock()
			defer mu.Unlock()
			switch err {
			case nil:
				good++
			case errUsed:
				used++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if good != 1 || used != 19 {
		t.Errorf("of 20 at the same time %d passed and %d were refused", good, used)
	}
}

func TestVoid(t *testing.T) {
	m, _ := open(t, Options{})
	fresh, passed := marked(t, m, original), marked(t, m, original)
	if err := m.checkText(passed, original); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, value string
		want        bool
	}{{"not used", fresh, false}, {"void already", fresh, true}, {"used by a message", passed, true}} {
		if used, err := m.Void(Field + ":" + tt.value); used != tt.want || err != nil {
			t.Errorf("%s: %v, %v", tt.name, used, err)
		}
	}
	if err := m.checkText(fresh, original); err != errUsed {
		t.Errorf("a void mark: %v, want %v", err, errUsed)
	}
	for _, bad := range []string{"", "x", Field + ": x", "X: " + strings.TrimSpace(fresh)} {
		if _, err := m.Void(bad); !errors.Is(err, errForm) {
			t.Errorf("Void(%q): %v, want %v", bad, err, errForm)
		}
	}
}

func TestMarkExpires(t *testing.T) {
	for _, tt := range []struct {
		name  string
		life  time.Duration
		after time.Duration
		want  error
	}{
		{"in time", 0, time.Hour - time.Second, nil},
		{"by default after an hour", 0, time.Hour, errExpired},
		{"after the time that was set", time.Minute, time.Minute, errExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, c := open(t, Options{Life: tt.life})
			v := marked(t, m, original)
			c.t = c.t.Add(tt.after)
			if err := m.checkText(v, original); err != tt.want {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestChangedMarksAndMessages(t *testing.T) {
	m, _ := open(t, Options{})
	good := strings.TrimSpace(marked(t, m, original))
	w := strings.Fields(good)
	with := func(i int, s string) string {
		c := append([]string(nil), w...)
		c[i] = s
		return strings.Join(c, " ")
	}
	for _, tt := range []struct {
		name, value, msg string
		want             error
	}{
		{"empty", "", original, errForm},
		{"nonsense", "please", original, errForm},
		{"another version", with(0, "2"), original, errForm},
		{"a path for a reference", with(1, "../../../../etc/passw"), original, errForm},
		{"another reference", with(1, "01kat0000000000000zy"), original, errForged},
		{"a later expiry", with(2, "9"+w[2]), original, errForged},
		{"an expiry in other letters", with(2, "+"+w[2]), original, errForm},
		{"an expiry before 1970", with(2, "-1"), original, errForm},
		{"another nonce", with(3, strings.Repeat("0", 32)), original, errForged},
		{"a short nonce", with(3, "00"), original, errForm},
		{"a nonce in capitals", with(3, strings.Repeat("A", 32)), original, errForm},
		{"another sum", with(4, strings.Repeat("0", 64)), original, errForged},
		{"half a sum", with(4, w[4][:32]), original, errForm},
		{"no sum", strings.Join(w[:4], " "), original, errForm},
		{"one word more", good + " x", original, errForm},
		{"a sum without a key", with(4, hexSum(mark{ref: ref, expires: 1795352400, nonce: w[3]}, nil)), original, errForged},
		{"another body", good, strings.Replace(original, "body", "Body", 1), errForged},
		{"a longer body", good, original + "x\r\n", errForged},
		{"an empty line more in the body", good, strings.Replace(original, "body\r\n", "body\r\n\r\n", 1), errForged},
		{"another kind of body", good, strings.Replace(original, "text/plain", "text/html", 1), errForged},
		{"an encoding", good, "Content-Transfer-Encoding: base64\r\n" + original, errForged},
		{"a second kind of body", good, "content-type : text/html\r\n" + original, errForged},
		{"all as it was, after all that", good, original, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := m.checkText(tt.value, tt.msg); err != tt.want {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func hexSum(mk mark, key []byte) string {
	p := message.Parse([]byte(original))
	content, _ := digest(p.Header, bytes.NewReader(p.Body))
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range mk.sum(key, content) {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// What MTAs do to a message on its way leaves the mark good.
func TestMarkSurvivesTheWay(t *testing.T) {
	for name, way := range map[string]string{
		"fields on top":          "Received: by y\r\nMessage-ID: <1@x>\r\n" + original,
		"another subject":        strings.Replace(original, "hi", "*** hi", 1),
		"unfolded":               strings.Replace(original, ";\r\n\tcharset", "; charset", 1),
		"folded elsewhere":       strings.Replace(original, "text/plain;", "\r\n text/plain;", 1),
		"LF for CRLF":            strings.ReplaceAll(original, "\r\n", "\n"),
		"CR CR LF for CRLF":      strings.ReplaceAll(original, "\nend", "\r\nend"),
		"without the last end":   strings.TrimSuffix(original, "\r\n"),
		"with empty lines below": original + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := open(t, Options{})
			if err := m.checkText(marked(t, m, original), way); err != nil {
				t.Errorf("%q: %v", way, err)
			}
		})
	}
}

// The digest is the same however the message comes in pieces, and another for
// another text.
func TestDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.SampledFrom([]string{"", "a", "b", ".", " ", "\x00"})).Draw(t, "lines")
		other := rapid.SliceOf(rapid.SampledFrom([]string{"", "a", "b", ".", " ", "\x00"})).Draw(t, "other")
		sum := func(r io.Reader) [32]byte {
			d, err := digest(nil, r)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		text := strings.Join(lines, "\r\n")
		pieces := sum(&byPieces{[]byte(text), rapid.IntRange(1, 5).Draw(t, "size")})
		if whole := sum(strings.NewReader(strings.Join(lines, "\n"))); pieces != whole {
			t.Errorf("%q in pieces is %x, with LF in one %x", text, pieces, whole)
		}
		same := strings.TrimRight(strings.Join(lines, "\n"), "\n") == strings.TrimRight(strings.Join(other, "\n"), "\n")
		if got := pieces == sum(strings.NewReader(strings.Join(other, "\n"))); got != same {
			t.Errorf("%q and %q have the same digest: %v", lines, other, got)
		}
	})
}

// byPieces has no WriteTo, so that the reader's pieces stay.
type byPieces struct {
	b    []byte
	size int
}

func (p *byPieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.b)
	p.b = p.b[n:]
	return n, nil
}

// A message is cut into header and body as it is when it comes whole.
func TestSplit(t *testing.T) {
	for _, msg := range []string{
		original, "", "\r\nbody", "A: b", "A: b\r\n", "A: b\nno field\n\nbody", "\n", "A: b\n\n", "A: b\r\n \r\n c\r\n\r\nx",
		"A: " + strings.Repeat("x", 100<<10) + "\r\n\r\n" + strings.Repeat("y", 100<<10), "no field at all\r\n\r\nx",
		"A: " + strings.Repeat("x", 32<<10-4) + "\n\nbody\n\n", // an empty line right behind a full buffer
		"A: " + strings.Repeat("x", 32<<10-3) + "\n\nbody\n\n",
	} {
		h, rest, err := split(strings.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(rest)
		if err != nil {
			t.Fatal(err)
		}
		want := message.Parse([]byte(msg))
		if !bytes.Equal(h.Bytes(), want.Header.Bytes()) || !bytes.Equal(body, want.Body) {
			t.Errorf("%.40q: header of %d bytes and body %.40q, want %d and %.40q", msg, h.Size(), body, want.Header.Size(), want.Body)
		}
	}
	endless := io.MultiReader(strings.NewReader("A: "), &byPieces{bytes.Repeat([]byte("x"), maxHeader+1), 64 << 10})
	if _, _, err := split(endless); err != ErrHeader {
		t.Errorf("a header without end: %v, want %v", err, ErrHeader)
	}
}

func TestMarkRefusesWhatIsNoReference(t *testing.T) {
	m, _ := open(t, Options{})
	if _, err := m.Mark("x y", strings.NewReader(original)); err != quarantine.ErrRef {
		t.Errorf("error %v, want %v", err, quarantine.ErrRef)
	}
}

func TestUsedMarksAreForgottenLaterAndBounded(t *testing.T) {
	m, c := open(t, Options{MaxUsed: 3})
	use := func() error { return m.checkText(marked(t, m, original), original) }
	used := func() int {
		names, err := os.ReadDir(filepath.Join(m.dir, usedDir))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	first := marked(t, m, original)
	if err := m.checkText(first, original); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := use(); err != nil {
			t.Fatal(err)
		}
	}
	if err := use(); !errors.Is(err, ErrFull) {
		t.Errorf("with 3 remembered: %v, want %v", err, ErrFull)
	}
	c.t = c.t.Add(2 * time.Hour) // expired, but a clock may be set back
	if err := use(); !errors.Is(err, ErrFull) {
		t.Errorf("when they expired: %v, want %v", err, ErrFull)
	}
	c.t = c.t.Add(-2 * time.Hour)
	m.o.MaxUsed = 10
	if err := m.checkText(first, original); err != errUsed {
		t.Errorf("a used mark when the clock was set back: %v, want %v", err, errUsed)
	}
	c.t = c.t.Add(26 * time.Hour)
	if err := use(); err != nil || used() != 1 {
		t.Errorf("a day later: %v, %d marks remembered, want 1", err, used())
	}
}

func TestKey(t *testing.T) {
	t.Run("is one for all that come first", func(t *testing.T) {
		dir := t.TempDir()
		var wg sync.WaitGroup
		keys := make([][]byte, 20)
		for i := range keys {
			wg.Go(func() {
				m, err := Open(dir, Options{})
				if err == nil {
					keys[i], err = m.key()
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, k := range keys {
			if len(k) != keySize || !bytes.Equal(k, keys[0]) || bytes.Equal(k, make([]byte, keySize)) {
				t.Errorf("key %x, another has %x", k, keys[0])
			}
		}
		files, _ := filepath.Glob(dir + "/.*")
		i, err := os.Stat(filepath.Join(dir, keyFile))
		if err != nil || i.Mode().Perm() != 0o600 || len(files) > 0 {
			t.Errorf("key file %v, %v; left over: %q", i, err, files)
		}
	})
	t.Run("makes marks void when it goes", func(t *testing.T) {
		m, _ := open(t, Options{})
		v := marked(t, m, original)
		if err := os.Remove(filepath.Join(m.dir, keyFile)); err != nil {
			t.Fatal(err)
		}
		if err := m.checkText(v, original); err != errForged {
			t.Errorf("error %v, want %v", err, errForged)
		}
	})
	for name, spoil := range map[string]func(dir, key string) error{
		"can be read by others":    func(_, key string) error { return os.Chmod(key, 0o640) },
		"is no key of 32 bytes":    func(_, key string) error { return os.WriteFile(key, []byte("short"), 0o600) },
		"can be written by others": func(dir, _ string) error { return os.Chmod(dir, 0o770) },
	} {
		t.Run("is refused where it "+name, func(t *testing.T) {
			m, _ := open(t, Options{})
			if err := spoil(m.dir, filepath.Join(m.dir, keyFile)); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(m.dir, Options{}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want that it %s", err, name)
			}
		})
	}
	t.Run("made by root belongs to the owner of the folder", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("takes root")
		}
		dir := t.TempDir()
		if err := os.Chown(dir, 12345, 12346); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{keyFile, usedDir} {
			if i, err := os.Stat(filepath.Join(dir, name)); err != nil || statText(i) != "12345:12346" {
				t.Errorf("%s: %s, %v", name, statText(i), err)
			}
		}
	})
}

// While root makes what is missing, the owner of the folder puts something else in its
// place. Only what root made just now is given away.
func TestNothingElseIsGivenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("takes root")
	}
	base := t.TempDir()
	state := filepath.Join(base, "state")
	secret := filepath.Join(base, "secret")
	for _, dir := range []string{state, secret, filepath.Join(state, "full"), filepath.Join(state, "open")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(state, 12345, 12346), os.Chmod(filepath.Join(state, "open"), 0o755),
		os.WriteFile(filepath.Join(state, "full", "precious"), nil, 0o600), os.WriteFile(filepath.Join(state, "file"), nil, 0o600),
		os.Symlink("../secret", filepath.Join(state, "out")), os.Symlink("full", filepath.Join(state, "in"))); err != nil {
		t.Fatal(err)
	}
	dir, err := os.OpenRoot(state)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"full", "open", "file", "out", "in"} {
		if err := giveNewFolder(dir, name); err == nil {
			t.Errorf("%s: no error", name)
		}
		if i, err := os.Stat(filepath.Join(state, name)); err != nil || statText(i) != "0:0" {
			t.Errorf("%s belongs to %s, %v", name, statText(i), err)
		}
	}
	m := &Marks{dir: state, o: Options{MaxUsed: 10, Now: time.Now}}
	if err := os.Symlink("../secret", filepath.Join(state, usedDir)); err != nil {
		t.Fatal(err)
	}
	if err := m.use(mark{ref: ref, expires: 1, nonce: "0"}); err == nil {
		t.Error("a used mark is noted in another folder")
	}
	if left, err := os.ReadDir(secret); err != nil || len(left) > 0 {
		t.Errorf("in the other folder: %v, %v", left, err)
	}
}

// A disk that fails is no bad mark: the message is not filtered for it.
func TestFaultsAreNotMarks(t *testing.T) {
	m, _ := open(t, Options{})
	v := marked(t, m, original)
	if err := os.RemoveAll(filepath.Join(m.dir, usedDir)); err != nil {
		t.Fatal(err)
	}
	if err := m.checkText(v, original); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that the folder is not there", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1 " + ref + " 1795352400 " + strings.Repeat("0", 32) + " " + strings.Repeat("f", 64))
	f.Add("1 2 3 4 5")
	f.Fuzz(func(t *testing.T, s string) {
		mk, err := parse(s)
		if err != nil {
			return
		}
		again, err := parse(mk.signed() + " " + strings.Fields(s)[4])
		if err != nil || again.signed() != mk.signed() || !bytes.Equal(again.mac, mk.mac) {
			t.Errorf("%q is read as %+v, and that as %+v, %v", s, mk, again, err)
		}
		if strings.ContainsAny(mk.ref+mk.nonce, "/.\x00-") {
			t.Errorf("%q would be a path", mk.signed())
		}
	})
}
