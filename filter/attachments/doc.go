// Package attachments is a filter that takes dangerous attachments out of mail.
//
// It looks at every part of a message, in attached messages too, at what is in
// archives, and at names as well as content. A part that is found is replaced by a
// warning, and the original message kept before; or the message is refused, put
// into the MTA's quarantine, or marked. All other bytes stay as they are.
package attachments
