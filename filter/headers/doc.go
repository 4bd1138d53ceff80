// Package headers refuses, marks and edits messages by rules on their header
// fields.
//
// A [Rule] names fields, says what in them to look at and what to compare it with,
// and what to do. [New] makes a filter of a list of rules:
//
//	f, err := headers.New("headers", []headers.Rule{
//		{Name: "shouting", Fields: []string{"Subject"}, Match: headers.Regexp, Values: []string{`\bFREE\b`},
//			CaseSensitive: true, Action: headers.Reject, Text: "please write a subject without shouting"},
//		{Name: "lists", Fields: []string{"List-Id"}, Match: headers.Present,
//			Action: headers.Tag, Edit: headers.Edit{Value: "[list]"}},
//	}, headers.Options{})
//
// # The order
//
// Rules are tried in their order, each on the header as those before it left it.
// The first that refuses, discards or quarantines the message is the last; what a
// refused or discarded message was edited is dropped with it. One field decides as
// well as several do, and what a rule adds or marks it adds or marks once.
//
// # What is looked at
//
// A field's value is looked at as a client shows it: unfolded, encoded words (RFC
// 2047) decoded, without control characters. Letters match in any case unless the
// rule says otherwise. Nothing beyond [Options.MaxValue] bytes of a value is looked
// at. Blanks between a field's name and its colon, which RFC 5322 section 4.5 knows,
// are no part of the name.
//
// # What is written
//
// Values are folded, and encoded (RFC 2047) where they are not ASCII; control
// characters become blanks. Of a text the first 8 KiB are written: encoded it has to
// fit a packet of the protocol. Fields that no rule edits keep all their bytes. A field
// whose name no MTA could be told (it holds blanks, or bytes that are not ASCII) is
// matched like others and cannot be edited; the explanation says so.
//
// Templates stand in the text of refusals and in the values of edits:
//
//	{value}  what was matched: the value, the address, the charset
//	{0} {1}  what the whole regular expression matched, what its first group did
//	{field}  the name of the field
//	{from}   the address of the envelope's sender, "" for the null sender
//	{{       a brace
//
// What was decoded may hold commas, quotes and addresses that were none in the
// field, so it cannot be written into fields where these mean something, such as
// From: there [Raw] and [Address] are the parts to match.
package headers
