package dmarc

import (
	"errors"
	"fmt"
	"strings"
)

// A PSD is what a record says of its domain as a public suffix (RFC 9989 section 4.7, tag psd).
type PSD string

// The values of psd=.
const (
	IsPSD      PSD = "y"
	NotPSD     PSD = "n" // and an organizational domain
	PSDUnknown PSD = "u"
)

// A Record is a DMARC policy record (RFC 9989 section 4.7).
type Record struct {
	P  Policy // "" where it is missing or not valid
	SP Policy // for subdomains; likewise
	NP Policy // for subdomains that do not exist; likewise

	// Invalid says that p is missing or not valid, or that sp or np is not valid: the record is
	// one of p=none where RUA has a URI, and otherwise no reason to judge mail (section 4.10.1).
	Invalid bool

	StrictDKIM, StrictSPF bool // adkim=s, aspf=s
	PSD                   PSD
	Testing               bool     // t=y
	RUA, RUF              []string // URIs for reports, without the obsolete sizes
	FO                    string   // options of failure reports; "0" where they are not written

	// Faults are what was ignored, or taken as its default, and why.
	Faults []string
}

// ErrNoRecord is the reason why a TXT record is no policy record: it does not begin with v=DMARC1.
var ErrNoRecord = errors.New("dmarc: not a policy record")

// maxFaults bounds the faults that are told: they are for people, and need no more.
const maxFaults = 10

// Limits bound what is read of a record. The zero value works.
type Limits struct {
	Bytes int // more is ignored, and so is a tag that is cut; 0 means 8 KiB
	URIs  int // of each kind; further ones are ignored; 0 means 10
}

// ParseRecord reads a TXT record with the default [Limits].
//
// Tags that are unknown are ignored, pct, rf and ri among them, and what is malformed is
// ignored or has its default, as RFC 9989 section 4.8 wants; Faults tells so. A tag that stands twice
// with different values is malformed. The only error is [ErrNoRecord].
func ParseRecord(txt string) (Record, error) { return Limits{}.ParseRecord(txt) }

// ParseRecord is [ParseRecord] with limits.
func (l Limits) ParseRecord(txt string) (Record, error) {
	orDefault(&l.Bytes, 8<<10)
	orDefault(&l.URIs, 10)
	if !isRecord(txt) {
		return Record{}, ErrNoRecord
	}
	r := Record{PSD: PSDUnknown, FO: "0"}
	if len(txt) > l.Bytes {
		r.fault("longer than %d bytes", l.Bytes)
		txt = txt[:l.Bytes]
		txt = txt[:max(strings.LastIndexByte(txt, ';'), 0)]
	}
	seen := make(map[string]string)
	first := true
	for tag := range strings.SplitSeq(txt, ";") {
		if tag = strings.Trim(tag, blanks); tag == "" || first {
			first = false
			continue
		}
		name, value, ok := strings.Cut(tag, "=")
		name, value = strings.ToLower(strings.TrimRight(name, blanks)), strings.TrimLeft(value, blanks)
		if !ok || !isAlpha(name) {
			r.fault("%.20q is no tag", tag)
			continue
		}
		if !known[name] {
			continue
		}
		if old, twice := seen[name]; twice {
			if old != value {
				r.fault("%s= stands twice", name)
				r.set(l, name, "")
			}
			continue
		}
		seen[name] = value
		if !r.set(l, name, value) {
			r.fault("%s=%.20q is not valid", name, value)
		}
	}
	if _, ok := seen["p"]; !ok {
		r.Invalid = true
		r.fault("no p=")
	}
	return r, nil
}

const blanks = " \t"

var known = map[string]bool{
	"p": true, "sp": true, "np": true, "adkim": true, "aspf": true, "psd": true, "t": true,
	"rua": true, "ruf": true, "fo": true,
}

// isRecord reports whether a TXT record begins with the version, which is case sensitive.
func isRecord(txt string) bool {
	// What matters stands in front; a long record is not read for it.
	head, _, _ := strings.Cut(txt[:min(len(txt), 100)], ";")
	name, value, ok := strings.Cut(head, "=")
	return ok && strings.EqualFold(strings.Trim(name, blanks), "v") && strings.Trim(value, blanks) == "DMARC1"
}

func isAlpha(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

func (r *Record) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// set sets what a known tag says, its default where value is not valid.
func (r *Record) set(l Limits, name, value string) bool {
	v := strings.ToLower(value)
	switch name {
	case "p":
		return r.policy(&r.P, v)
	case "sp":
		return r.policy(&r.SP, v)
	case "np":
		return r.policy(&r.NP, v)
	case "adkim":
		r.StrictDKIM = v == "s"
		return v == "s" || v == "r"
	case "aspf":
		r.StrictSPF = v == "s"
		return v == "s" || v == "r"
	case "psd":
		switch r.PSD = PSD(v); r.PSD {
		case IsPSD, NotPSD, PSDUnknown:
			return true
		}
		r.PSD = PSDUnknown
	case "t":
		r.Testing = v == "y"
		return v == "y" || v == "n"
	case "rua":
		return r.uris(l, &r.RUA, value)
	case "ruf":
		return r.uris(l, &r.RUF, value)
	case "fo":
		if isFO(v) {
			r.FO = v
			return true
		}
		r.FO = "0"
	}
	return false
}

func (r *Record) policy(p *Policy, v string) bool {
	switch *p = Policy(v); *p {
	case NoPolicy, WantQuarantine, WantReject:
		return true
	}
	*p, r.Invalid = "", true
	return false
}

// uris reads a list of URIs; of one that is not valid only that one is ignored.
func (r *Record) uris(l Limits, to *[]string, list string) bool {
	*to = nil
	good := true
	for s := range strings.SplitSeq(list, ",") {
		s, _, _ = strings.Cut(strings.Trim(s, blanks), "!") // obs-dmarc-report-size
		switch {
		case !isURI(s):
			good = false
		case len(*to) == l.URIs:
			r.fault("more than %d URIs", l.URIs)
			return good
		default:
			*to = append(*to, s)
		}
	}
	return good
}

// isURI reports whether s has a scheme and something behind it, in characters of RFC 3986.
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" {
		return false
	}
	for i := range len(scheme) {
		c := scheme[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	for i := range len(rest) {
		if c := rest[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	return scheme != ""
}

// isFO reports whether v is a dmarc-fo: each letter once, and not both 0 and 1.
func isFO(v string) bool {
	seen := ""
	for o := range strings.SplitSeq(v, ":") {
		if o = strings.Trim(o, blanks); len(o) != 1 || !strings.Contains("01ds", o) || strings.Contains(seen, o) {
			return false
		}
		seen += o
	}
	return !strings.Contains(seen, "0") || !strings.Contains(seen, "1")
}

// lowered returns the policy one step lower, as t=y asks.
func (p Policy) lowered() Policy {
	if p == WantReject {
		return WantQuarantine
	}
	return NoPolicy
}
