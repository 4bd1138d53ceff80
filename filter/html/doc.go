// Package html takes active content out of HTML: what runs, loads code or
// frames, or sends the reader elsewhere by itself. Every other byte stays.
//
// # What goes
//
// Elements with all they hold: script and iframe, to their end tag or, without
// one, to the end of the text.
//
// Tags alone, their content stays and is looked at like any other: object,
// embed, applet, frame, frameset, portal, fencedframe, webview, layer, ilayer,
// base, handler, xml and comment (two that old browsers obey); meta that
// refreshes, sets cookies or a policy, or names an encoding nobody looked under;
// link that loads (stylesheet, import, preload and the like); animate and set
// that aim at a link, a handler or a style; form when [Options] says so.
//
// Attributes: handlers (the name begins with "on" and a letter follows), URLs
// of javascript:, vbscript: and their kin, data: URLs but for images where an
// image is shown, srcdoc, xml:base, manifest, datasrc, and styles with what old
// browsers run (expression, behavior, -moz-binding). The target of use must lie
// in the document.
//
// Style elements that hold such a thing, or that reading them as markup would
// make dangerous. An @import is cut out of its sheet.
//
// Conditional comments, with their content.
//
// # What readers understand differently
//
// Browsers of different ages, mail readers and XML parsers disagree on where
// some tokens end, and whether the content of title, style, textarea, noscript,
// noembed, noframes and xmp is text or markup; inside svg and math it is markup.
// No tracking of elements settles that for all of them. So such content stays
// only where both readings end at the same place and show nothing active, and
// the same goes for CDATA sections. A comment that some end early (<!-->, --!>)
// goes, and so do a declaration with a tag inside, a doctype with an internal
// subset, a processing instruction that XML would end elsewhere, and a tag, a
// comment or a raw text with a NUL, which some readers skip.
//
// # Encodings
//
// In an encoding that extends ASCII the text is worked on as bytes, in a stream.
// In UTF-16, UTF-32, UTF-7, ISO 2022, HZ and EBCDIC it is decoded. Where the
// caller, a byte order mark and the text disagree, it is read every way in turn
// until nothing is found in any. Text where that does not settle, or where active
// content shows in a reading that cannot be written, goes as a whole. Text that a
// mark or the label says to be UTF-16 or UTF-32, that is so to its end, and whose
// bytes hold nothing that could act, is read in no other way.
//
// # What stays
//
// Links, remote images, forms and style sheets in the text. This is no cure for
// phishing or tracking.
package html
