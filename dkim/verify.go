package dkim

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

// A Value is what a signature comes to (RFC 8601 section 2.7.1).
type Value string

// The values.
const (
	None      Value = "none" // the message has no signature
	Pass      Value = "pass"
	Fail      Value = "fail"      // the message is not as it was signed
	Policy    Value = "policy"    // not accepted: a key too weak or too large, a part of the body unsigned (l=), one signature too many
	Neutral   Value = "neutral"   // the signature breaks the syntax, or is of a kind that is not known
	TempError Value = "temperror" // the key could not be had this time
	PermError Value = "permerror" // there is no key, it is not one for this signature, a tag is missing, the signature expired
)

// A Result is what one signature came to, and why.
//
// What could not be read is empty, and so is what has not the form that it should have: a
// Domain is a domain. Identity may have any bytes before its "@" but control characters of ASCII.
type Result struct {
	Value     Value
	Domain    string // d=, as [address.ASCIIDomain] writes it
	Identity  string // i=, or "@" and d=
	Selector  string // s=
	Algorithm string // a=, such as "rsa-sha256"
	KeyBits   int    // of the public key, 0 where it is not known
	B         string // the first 8 letters of b=, or more, 64 at most, where another signature has the same (RFC 6008)
	Testing   bool   // the key says t=y
	Why       string // for people; "" for a pass
}

// Checked is a fact: the results of a message's signatures in the order of the header.
// It is empty where there is none.
type Checked struct{ Signatures []Result }

// A Verifier verifies signatures. The zero value but for Resolver works.
//
// It may be used by several goroutines at once.
type Verifier struct {
	Resolver      dns.Resolver     // nil means net.DefaultResolver
	MaxSignatures int              // that are verified, the topmost; 0 means 10. Others come to policy
	MinRSABits    int              // 0 means 1024, and so does less (RFC 8301 section 3.2); keys with less come to policy
	MaxRSABits    int              // 0 means 8192; keys with more cost much time and come to policy
	Parallel      int              // keys that are looked up at a time, in the order of the header; 0 means 3
	MaxNames      int              // in h=; 0 means 1000. A signature with more comes to permerror
	MaxField      int              // bytes of a DKIM-Signature's value; 0 means 65536. A larger one comes to permerror
	Now           func() time.Time // nil means time.Now
}

func (v *Verifier) resolver() dns.Resolver {
	if v.Resolver == nil {
		return net.DefaultResolver
	}
	return v.Resolver
}

func (v *Verifier) maxSignatures() int { return cmp.Or(v.MaxSignatures, 10) }
func (v *Verifier) minRSABits() int    { return max(v.MinRSABits, 1024) }
func (v *Verifier) maxRSABits() int    { return cmp.Or(v.MaxRSABits, 8192) }
func (v *Verifier) parallel() int      { return max(1, cmp.Or(v.Parallel, 3)) }
func (v *Verifier) maxNames() int      { return cmp.Or(v.MaxNames, 1000) }
func (v *Verifier) maxField() int      { return cmp.Or(v.MaxField, 64<<10) }

func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// Verify verifies all signatures of a message: header as received, its folding and the blanks
// behind colons included, body with lines that end in CRLF. CR and LF alone are bytes like any
// others in a body.
//
// It reads body once, or not at all where nothing depends on it, and keeps none of it. The
// keys are looked up meanwhile, each once, some at the same time. When ctx ends, signatures that
// are not decided come to temperror.
//
// The error is one of reading body; there are no results then.
func (v *Verifier) Verify(ctx context.Context, h message.Header, body io.Reader) (Checked, error) {
	results, pending := v.read(h)
	if len(pending) > 0 {
		if err := v.verify(ctx, h, body, pending); err != nil {
			return Checked{}, fmt.Errorf("dkim: read the body: %w", err)
		}
		for _, s := range pending {
			results[s.index] = s.res
		}
	}
	return Checked{results}, nil
}

// read reads the signatures in a header. It returns a result for each of them, and those that
// are still to be decided.
func (v *Verifier) read(h message.Header) (results []Result, pending []*signature) {
	most := v.maxSignatures()
	excess := fmt.Sprintf("not looked at: only the topmost %d signatures are", most)
	var read []*signature
	for place, f := range h.All("DKIM-Signature") {
		if len(results) >= most {
			results = append(results, Result{Value: Policy, Why: excess})
			continue
		}
		s := &signature{signedField: signedField{field: f}, place: place, index: len(results)}
		read = append(read, s)
		if why := s.parse(v); why != nil {
			s.res.Value, s.res.Why = why.value, why.why
		} else {
			pending = append(pending, s)
		}
		results = append(results, s.res)
	}
	for _, s := range read {
		s.res.B = prefixOf(s, read)
		results[s.index].B = s.res.B
	}
	return results, pending
}

// prefixOf returns as much of b= as tells a signature from others (RFC 6008 section 4).
func prefixOf(s *signature, all []*signature) string {
	const least, most = 8, 64
	n := least
	for _, o := range all {
		if o.wholeB == s.wholeB {
			continue
		}
		for n < most && n < len(s.wholeB) && strings.HasPrefix(o.wholeB, s.wholeB[:n]) {
			n++
		}
	}
	if n = min(n, len(s.wholeB)); !isBase64(s.wholeB[:n]) {
		return ""
	}
	return s.wholeB[:n]
}

// A signature is one that is being verified.
type signature struct {
	signedField
	place, index int // in the header, among the signatures
	key          *lookup
	sum          *bodySum
	canon        *bodyCanon
}

// A lookup is a question for a key, and the answer.
type lookup struct {
	name  string
	texts []string
	err   error

	key *publicKey
	why *verdict // instead of key
}

// verify decides what the signatures come to.
func (v *Verifier) verify(ctx context.Context, h message.Header, body io.Reader, sigs []*signature) error {
	var (
		asked   sync.WaitGroup
		lookups []*lookup
		canons  []*bodyCanon
	)
	defer asked.Wait() // where reading the body panics, too
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range sigs {
		name := s.keyName()
		if i := slices.IndexFunc(lookups, func(l *lookup) bool { return l.name == name }); i >= 0 {
			s.key = lookups[i]
		} else {
			l := &lookup{name: name}
			s.key, lookups = l, append(lookups, l)
		}
		canons = s.hashBody(canons)
	}
	queue := make(chan *lookup, len(lookups))
	for _, l := range lookups {
		queue <- l
	}
	close(queue)
	for range min(len(lookups), v.parallel()) {
		asked.Go(func() {
			for l := range queue {
				l.ask(ctx, v.resolver())
			}
		})
	}
	late, err := readBody(ctx, body, canons)
	if err != nil {
		cancel()
	}
	asked.Wait()
	if err != nil {
		return err
	}
	for _, l := range lookups {
		l.decide()
	}
	fields := placesOf(h, sigs)
	for _, s := range sigs {
		why := s.key.why
		switch {
		case why != nil:
		case late != nil:
			why = verdictf(TempError, "given up before all of the body was read: %v", late)
		default:
			why = s.verify(v, h, fields)
		}
		if s.res.Value = Pass; why != nil {
			s.res.Value, s.res.Why = why.value, why.why
		}
	}
	return nil
}

// hashBody sees to it that the body is hashed as the signature has it.
func (s *signature) hashBody(canons []*bodyCanon) []*bodyCanon {
	relaxed := s.body == Relaxed
	i := slices.IndexFunc(canons, func(c *bodyCanon) bool { return c.relaxed == relaxed })
	if i < 0 {
		i, canons = len(canons), append(canons, &bodyCanon{relaxed: relaxed, hash: sha256.New()})
	}
	s.canon = canons[i]
	s.sum = s.canon.sumOf(s.length)
	return canons
}

// readBody puts a body through canons. late says that ctx ended before.
func readBody(ctx context.Context, body io.Reader, canons []*bodyCanon) (late, err error) {
	w := bodyWriter{ctx, canons}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	switch _, err := io.CopyBuffer(w, body, buf[:]); {
	case errors.As(err, new(lateError)):
		return err, nil
	case err != nil:
		return nil, err
	}
	for _, c := range canons {
		c.close()
	}
	return nil, nil
}

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// A bodyWriter writes to all of its canons, until ctx ends.
type bodyWriter struct {
	ctx    context.Context
	canons []*bodyCanon
}

func (w bodyWriter) Write(p []byte) (n int, err error) {
	for piece := range slices.Chunk(p, 1<<20) {
		if err := context.Cause(w.ctx); err != nil {
			return n, lateError{err}
		}
		for _, c := range w.canons {
			c.Write(piece)
		}
		n += len(piece)
	}
	return n, nil
}

// A lateError is why a context ended.
type lateError struct{ error }

// ask asks for the key.
func (l *lookup) ask(ctx context.Context, r dns.Resolver) {
	defer func() {
		// Nobody above this recovers in its goroutine: the program would end.
		if p := recover(); p != nil {
			l.err = fmt.Errorf("the resolver panics: %v", p)
		}
	}()
	l.texts, l.err = r.LookupTXT(ctx, l.name)
}

// decide makes a key, or a verdict, of the answer.
func (l *lookup) decide() {
	name := strings.TrimSuffix(l.name, ".")
	switch {
	case dns.IsNotFound(l.err), l.err == nil && len(l.texts) == 0:
		l.why = verdictf(PermError, "no key for signature: DNS has no text at %s", name)
	case l.err != nil:
		l.why = verdictf(TempError, "the key could not be looked up: %v", l.err)
	default:
		key, err := chooseKey(l.texts)
		if err != nil {
			l.why = verdictf(PermError, "%v, at %s", err, name)
		}
		l.key = key
	}
}

// placesOf returns where the fields stand whose names are signed.
func placesOf(h message.Header, sigs []*signature) map[string][]int {
	places := make(map[string][]int)
	for _, s := range sigs {
		for _, name := range s.names {
			places[name] = nil
		}
	}
	var name []byte
	for i, f := range h {
		head, _ := splitField(f)
		name = appendName(name[:0], head)
		if at, ok := places[string(name)]; ok {
			places[string(name)] = append(at, i)
		}
	}
	return places
}

// verify decides what a signature comes to that has a key and whose body is hashed. nil means
// a pass.
func (s *signature) verify(v *Verifier, h message.Header, places map[string][]int) *verdict {
	key := s.key.key
	s.res.KeyBits, s.res.Testing = key.bits, key.testing
	switch most := v.maxRSABits(); {
	case key.algorithm() != s.algorithm:
		return verdictf(PermError, "the key is for %s, and a=%s", key.algorithm(), s.res.Algorithm)
	case key.hashes != nil && !has(key.hashes, "sha256"):
		return verdictf(PermError, "the key is not for SHA-256 (h= of the key record)")
	case key.exact && s.host != s.res.Domain:
		return verdictf(PermError, "the key is for %s alone (t=s), and i= is of %s", s.res.Domain, s.host)
	case key.rsa != nil && key.bits > most:
		return verdictf(Policy, "the key has %d bits, more than %d; the signature was not verified", key.bits, most)
	case s.length > s.canon.size:
		return verdictf(Fail, "the body is shorter than what is signed of it (l=%d)", s.length)
	case !bytes.Equal(s.sum.sum, s.bodyHash):
		return verdictf(Fail, "the body is not as it was signed: its hash is another than bh=")
	case key.rsa != nil && key.bits < 1024: // crypto/rsa refuses it
		return verdictf(Policy, "the key has %d bits, less than %d; the signature was not verified", key.bits, v.minRSABits())
	}
	digest := s.digest(h, places)
	if key.rsa != nil {
		if rsa.VerifyPKCS1v15(key.rsa, crypto.SHA256, digest, s.b) != nil {
			return verdictf(Fail, "the signature does not fit the header or the key")
		}
	} else if !ed25519.Verify(key.ed25519, digest, s.b) {
		return verdictf(Fail, "the signature does not fit the header or the key")
	}
	switch least := v.minRSABits(); {
	case key.rsa != nil && key.bits < least:
		return verdictf(Policy, "the key has %d bits, less than %d", key.bits, least)
	case s.length >= 0:
		return verdictf(Policy, "only the first %d bytes of the body are signed (l=), and whatever follows would pass", s.length)
	}
	return nil
}

// digest hashes the header as the signature has it (RFC 6376 section 3.7): fields of a name
// from the bottom up (section 5.4.2), none for a name that the message has no more of, never the
// signature itself but last, without what b= is.
func (s *signature) digest(h message.Header, places map[string][]int) []byte {
	var (
		sum  = sha256.New()
		buf  []byte
		used = make(map[string]int, len(s.names))
	)
	for _, name := range s.names {
		at := places[name]
		i := len(at) - 1 - used[name]
		if i >= 0 && at[i] == s.place {
			i--
			used[name]++
		}
		used[name]++
		if i < 0 {
			continue
		}
		buf = appendField(buf[:0], s.header, h[at[i]])
		sum.Write(buf)
	}
	head, value := splitField(s.field)
	without := slices.Concat(value[:s.begin], value[s.end:])
	sum.Write(appendParts(buf[:0], s.header, head, without))
	return sum.Sum(nil)
}
