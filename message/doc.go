// Package message reads Internet messages (RFC 5322) and their MIME structure
// (RFC 2045, RFC 2046, RFC 2183, RFC 2231), and writes them back.
//
// Nothing is an error: any bytes at all are a message, and what is read and not
// changed is written back byte for byte. [Parse] cuts a message in memory into
// fields and body. [Read] and [ReadTree] find the parts of one of any size: they
// keep where each part lies, and its header, but no bodies. What is odd about a
// message is listed as a [Defect], and so is a limit that was hit.
//
// Where clients differ in what they make of a broken message, this package takes
// the reading that shows more: a filter is to see what any client may show. The
// doc comments say QUIRK where that bends an RFC. Where no one reading shows all,
// [Options] has others: where a CR alone ends a line, where a line that begins with a
// boundary is one, under another of the transfer encodings that are declared.
//
// An edit ([Part.Replace], [Part.SetBody], [Part.SetText], [Part.SetHeader]) is a
// splice: bytes outside the part's own range stay. Only where a part lies inside
// an attached message that is encoded, that one is encoded anew, and decodes to
// the same bytes outside the edit.
//
// A line ends in CRLF or LF, also mixed. A CR alone is a byte like any other,
// as it is to Sendmail and to Postfix; only where no LF occurs at all it ends a
// line. The header ends at the first empty line, or before the first line that
// is no field and continues none: that line belongs to the body, as MTAs have it.
package message
