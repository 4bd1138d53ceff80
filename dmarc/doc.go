// Package dmarc judges whether the author's domain of a message authorized it (RFC 9989, which
// replaces RFC 7489 and RFC 9091).
//
// [Author] finds the domain in the From field, a [Checker] finds the policy that applies to it and
// compares the domain with those that SPF and DKIM authenticated. What a Checker asks of DNS for one
// message is bounded, however many signatures it has and however long the names in them are.
//
// Domains are compared as DNS has them. Names that only look alike are other domains, with
// policies of their own.
package dmarc

// A Value is what a check comes to (RFC 8601 section 2.7.5 of method dmarc).
type Value string

// The values.
const (
	None      Value = "none" // the domain publishes no policy
	Pass      Value = "pass"
	Fail      Value = "fail"
	TempError Value = "temperror"
	PermError Value = "permerror"
)

// A Policy is what a domain owner asks to be done with mail that fails.
type Policy string

// The policies.
const (
	NoPolicy       Policy = "none"
	WantQuarantine Policy = "quarantine"
	WantReject     Policy = "reject"
)

// A Result is a fact: what a message came to, and why.
type Result struct {
	Value         Value
	From          string // domain of the author, lower case, A-labels; "" where there is no single one
	Org           string // its organizational domain; "" where the author's own domain passed, so that it does not matter, or where DNS did not answer
	Policy        Policy // what applies to From: p, sp or np, lowered one step by t=y (of mail that passes never np); "" without a record
	PolicyDomain  string // where the record is
	Testing       bool   // t=y
	SPF, DKIM     bool   // which of them passed aligned
	AlignedDomain string // the domain of the one that passed
	Why           string // for people
}
