// Package authres reads and writes Authentication-Results fields (RFC 8601).
//
// [Field.String] is for what one writes: nothing that comes from the network can end the line or
// begin another result. [Parse] is for what a relay that one trusts wrote. [Bears] is for what
// nobody should trust: it finds fields that some reader would take for one's own.
package authres

// A Field is the value of an Authentication-Results field (RFC 8601 section 2.2).
type Field struct {
	ID      string // authserv-id
	Version int    // 0 where it is not written; 1 is the only one
	Results []Result
}

// A Result is what one method came to.
type Result struct {
	Method     string // such as "spf", lower case
	Version    int    // 0 where it is not written
	Value      string // such as "pass", lower case
	Reason     string // reason=
	Comment    string // in parentheses behind the value
	Properties []Property
}

// A Property is what a result is about, such as smtp.mailfrom=example.com.
type Property struct {
	Type  string // "smtp", "header", "body" or "policy"
	Name  string
	Value string
}
