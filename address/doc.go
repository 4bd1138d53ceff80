// Package address reads what mail is addressed by: the paths of SMTP envelopes
// (RFC 5321), the mailboxes of header fields (RFC 5322), the addresses of hosts
// and their names.
//
// What a sender wrote is read tolerantly, in time and memory that grow with its
// length alone, and its bytes are not assumed to be UTF-8. What an administrator
// wrote, such as the patterns of an [IPList], is read strictly.
package address
