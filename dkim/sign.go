package dkim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/message"
)

// A Canon is how a part of the message is brought into the form that is signed.
type Canon string

// The canonicalizations (RFC 6376 section 3.4).
const (
	Simple  Canon = "simple"
	Relaxed Canon = "relaxed"
)

// A Signature says how a message is signed.
type Signature struct {
	Domain       string // d=
	Selector     string // s=
	Key          *Key
	Header, Body Canon         // "" means Relaxed
	Identity     string        // i=, "" for none
	Fields       []string      // signed where the message has them, each as often as it does, and From in any case; nil means DefaultFields
	OverSign     []string      // signed once more than the message has them; nil means DefaultOverSign
	Expire       time.Duration // after signing; 0 for never
}

// ErrSignature is in the errors of [Signature.Check].
var ErrSignature = errors.New("dkim: signature cannot be made")

// ErrNoFrom is what [Sign] returns for a message without a From field, which no
// signature can do without (RFC 6376 section 5.4).
var ErrNoFrom = errors.New("dkim: the message has no From field to sign")

// DefaultFields returns the names of the fields that are signed where the message has
// them: those of RFC 6376 section 5.4.1, those that say how the body is read, and
// List-Unsubscribe-Post, which RFC 8058 section 4 wants signed.
func DefaultFields() []string {
	return []string{"From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
		"Content-ID", "Content-Description", "Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID", "In-Reply-To", "References",
		"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"}
}

// DefaultOverSign returns the names of the fields that nobody may add to a signed message: what
// its reader is shown of it, and what says how the body is read.
func DefaultOverSign() []string {
	return []string{"From", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
}

// Check tells what is wrong with a signature that is to be made: its domain,
// selector, key, canonicalizations, identity, names of fields and times. Errors wrap
// [ErrSignature].
func (s *Signature) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrSignature, fmt.Sprintf(format, args...))
	}
	if !validName(s.Domain) || !strings.Contains(s.Domain, ".") {
		return bad("%q is no domain", s.Domain)
	}
	if !validName(s.Selector) {
		return bad("%q is no selector", s.Selector)
	}
	if len(s.Selector+"._domainkey."+s.Domain) > 253 {
		return bad("%s._domainkey.%s is too long for a name", s.Selector, s.Domain)
	}
	if s.Key == nil || s.Key.signer == nil {
		return bad("there is no key for %s", s.Domain)
	}
	for _, c := range []Canon{s.Header, s.Body} {
		if c != "" && c != Simple && c != Relaxed {
			return bad("%q is no canonicalization, there are simple and relaxed", c)
		}
	}
	if s.Identity != "" {
		// RFC 6376 section 3.5: the same domain as d=, or a part of it.
		at := strings.LastIndexByte(s.Identity, '@')
		domain := lower(s.Identity[at+1:])
		d := lower(s.Domain)
		if at < 0 || !validName(domain) || domain != d && !strings.HasSuffix(domain, "."+d) {
			return bad("identity %q is not of %s", s.Identity, s.Domain)
		}
		if len(s.Identity) > 320 {
			return bad("the identity is longer than 320 bytes")
		}
	}
	if len(s.Fields) > maxNames || len(s.OverSign) > maxNames {
		return bad("more than %d names of fields", maxNames)
	}
	for _, name := range slices.Concat(s.Fields, s.OverSign) {
		if !validField(name) {
			return bad("%q is no name of a field", name)
		}
		if strings.EqualFold(name, fieldName) {
			return bad("signatures do not sign %s fields", fieldName)
		}
	}
	if s.Expire < 0 {
		return bad("it expires before it is made")
	}
	return nil
}

const (
	fieldName = "DKIM-Signature"
	maxNames  = 200 // in a list of fields to sign
	lineLen   = 78  // RFC 5322 section 2.1.1
)

// validName reports whether a name is one of DNS in ASCII, letters, digits, "-" and "_".
func validName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// validField reports whether a name can stand in h=, where ";" would end the tag.
func validField(s string) bool {
	if s == "" || len(s) > 76 {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == ':' || c == ';' {
			return false
		}
	}
	return true
}

// Sign returns the DKIM-Signature fields of a message (RFC 6376 section 5), one for each of how, in
// their order, without the field's name: what stands behind "DKIM-Signature: ", with one
// blank. Lines after the first begin with a blank, and end in CRLF but for the last.
//
// It reads body once and holds nothing of it. Lines of header and body that end in LF are
// signed as if they ended in CRLF, which is how MTAs send them. Errors wrap [ErrSignature],
// are [ErrNoFrom], or those of ctx or of reading body; then there is no field.
func Sign(ctx context.Context, h message.Header, body io.Reader, how []Signature, now time.Time) ([]string, error) {
	bodies := make(map[Canon]*bodyCanon)
	var to []io.Writer
	for i := range how {
		if err := how[i].Check(); err != nil {
			return nil, err
		}
		if c := how[i].body(); bodies[c] == nil {
			bodies[c] = &bodyCanon{relaxed: c == Relaxed, hash: sha256.New(), sums: []*bodySum{{limit: -1}}}
			to = append(to, bodies[c])
		}
	}
	if len(how) == 0 {
		return nil, nil
	}
	if _, ok := h.Get("From"); !ok {
		return nil, ErrNoFrom
	}
	if body != nil {
		if _, err := io.Copy(&lineWriter{w: io.MultiWriter(to...)}, &contextReader{ctx, body}); err != nil {
			return nil, fmt.Errorf("dkim: read body: %w", err)
		}
	}
	sums := make(map[Canon]string)
	for c, b := range bodies {
		b.close()
		sums[c] = base64.StdEncoding.EncodeToString(b.sums[0].sum)
	}
	values := make([]string, len(how))
	for i := range how {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v, err := how[i].sign(h, sums[how[i].body()], now)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSignature, how[i].Domain, err)
		}
		values[i] = v
	}
	return values, nil
}

// Signed reports whether a header has a signature of a domain, good or not.
func Signed(h message.Header, domain string) bool {
	for _, f := range h.All(fieldName) {
		tags, err := parseTags(f.Text(true))
		if err != nil {
			continue
		}
		if d, ok := findTag(tags, "d"); ok && strings.EqualFold(trimFWS(d), domain) {
			return true
		}
	}
	return false
}

func (s *Signature) header() Canon { return canonOr(s.Header) }
func (s *Signature) body() Canon   { return canonOr(s.Body) }

func canonOr(c Canon) Canon {
	if c == "" {
		return Relaxed
	}
	return c
}

// sign returns the value of one field.
func (s *Signature) sign(h message.Header, bodySum string, now time.Time) (string, error) {
	names, fields := s.pick(h)
	var w folder
	w.put("v=1;", "a="+s.Key.Algorithm()+";", "c="+string(s.header())+"/"+string(s.body())+";", "d="+lower(s.Domain)+";", "s="+s.Selector+";")
	if s.Identity != "" {
		w.put("i=" + quoted(s.Identity) + ";")
	}
	w.put("t=" + strconv.FormatInt(now.Unix(), 10) + ";")
	if s.Expire > 0 {
		w.put("x=" + strconv.FormatInt(now.Add(s.Expire).Unix(), 10) + ";")
	}
	w.put("h=" + names[0])
	for _, name := range names[1:] {
		w.join(":")
		w.glue(name)
	}
	w.join(";")
	w.put("bh=" + bodySum + ";")
	w.line("b=")

	var data []byte
	for _, f := range fields {
		data = appendField(data, s.header(), f)
	}
	// The field itself is hashed last, with an empty b= and no CRLF (RFC 6376 section 3.7).
	data = appendParts(data, s.header(), []byte(fieldName+":"), []byte(" "+w.b.String()))
	sum := sha256.Sum256(data)
	sig, err := s.Key.sign(sum[:])
	if err != nil {
		return "", err
	}
	for b := base64.StdEncoding.EncodeToString(sig); b != ""; {
		n := min(len(b), lineLen-2-w.col)
		w.join(b[:n])
		if b = b[n:]; b != "" {
			w.line("")
		}
	}
	return w.b.String(), nil
}

// pick returns the names for h= and the fields that they stand for: those of one name from
// the bottom up (RFC 6376 section 5.4.2), and names without a field last.
func (s *Signature) pick(h message.Header) (names []string, fields []message.Field) {
	list, over := s.Fields, s.OverSign
	if list == nil {
		list = DefaultFields()
	}
	if over == nil {
		over = DefaultOverSign()
	}
	twice := make(map[string]bool, len(over))
	for _, name := range over {
		twice[lower(name)] = true
	}
	seen := make(map[string]bool, len(list))
	for _, name := range slices.Concat([]string{"From"}, list, over) {
		l := lower(name)
		if seen[l] {
			continue
		}
		seen[l] = true
		for i := len(h) - 1; i >= 0; i-- {
			if h[i].Is(name) {
				names, fields = append(names, name), append(fields, h[i])
			}
		}
		if twice[l] {
			names = append(names, name)
		}
	}
	return names, fields
}

// A folder writes tags of a field's value, in lines of 78 bytes where they can be broken.
type folder struct {
	b   strings.Builder
	col int
}

// put writes tags, each behind a blank or the start of a line.
func (f *folder) put(tags ...string) {
	for _, t := range tags {
		switch {
		case f.col == 0: // behind the name of the field
			f.col = len(fieldName) + 2
		case f.col+1+len(t)+1 > lineLen:
			f.line("")
		default:
			f.join(" ")
		}
		f.join(t)
	}
}

// glue writes what a line may be broken before.
func (f *folder) glue(s string) {
	if f.col+len(s)+1 > lineLen {
		f.line("")
	}
	f.join(s)
}

// join writes what belongs behind what was written.
func (f *folder) join(s string) {
	f.b.WriteString(s)
	f.col += len(s)
}

// line begins a line.
func (f *folder) line(s string) {
	f.b.WriteString("\r\n ")
	f.col = 1
	f.join(s)
}

// quoted writes a value as RFC 6376 section 2.11 has it.
func quoted(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c > ' ' && c < 0x7f && c != ';' && c != '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// lower puts ASCII letters in lower case.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r |= 0x20
		}
		return r
	}, s)
}

// A lineWriter makes CRLF of each LF alone.
type lineWriter struct {
	w  io.Writer
	cr bool // the last byte was CR
}

var crlf = []byte("\r\n")

func (l *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := l.lone(p)
		if i < 0 {
			l.cr = p[len(p)-1] == '\r'
			_, err := l.w.Write(p)
			return n, err
		}
		for _, part := range [][]byte{p[:i], crlf} {
			if _, err := l.w.Write(part); err != nil {
				return 0, err
			}
		}
		l.cr = false
		p = p[i+1:]
	}
	return n, nil
}

// lone returns where the first LF without a CR is, or -1.
func (l *lineWriter) lone(p []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(p[from:], '\n')
		if i < 0 {
			return -1
		}
		i += from
		if i == 0 && !l.cr || i > 0 && p[i-1] != '\r' {
			return i
		}
		from = i + 1
	}
}

// A contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
