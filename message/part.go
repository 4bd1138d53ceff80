package message

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/transform"
)

// A Part is a message or a part of one: a header and a body, which is a range of
// bytes.
type Part struct {
	// Header is the fields, also those edited; it is read-only. A line that is no
	// field stands in it as a Field whose name is empty. The Header of a uuencoded
	// file, and of one in yEnc, is empty.
	Header Header
	// Parts are the parts of a multipart, the one message in an attached message,
	// and the files in a text that are uuencoded or in yEnc.
	Parts []*Part
	// Parent is the part that this one lies in, nil for the root.
	Parent *Part

	tree  *Tree
	doc   *doc  // that the part lies in
	inner *doc  // the decoded body, where Parts lie in that
	start int64 // of the header
	kept  int64 // end of the part of the header that is kept in Header
	brk   int64 // of the empty line behind the header
	body  int64
	end   int64

	media  string
	params []Param // of Content-Type
	disp   string
	dparam []Param // of Content-Disposition
	enc    string
	encs   []string // all that are declared
	fits   string   // the one of them under which the body holds parts, "" for not yet known
	uu     *uuFile

	level  *level // while reading
	chosen bool   // enc is the one that the reading asks for
	depth  int
	tight  bool // the end boundary's line end belongs to the header: there is none behind the body
	opens  bool // it was taken apart
	noted  uint64
	edit
}

// MediaType returns "type/subtype" in lower case, as clients take it: text/plain
// where there is no Content-Type or none that can be read, message/rfc822 for the
// parts of a multipart/digest (RFC 2046 section 5.1.5), and the type of the first
// of several Content-Type fields; only when another one makes it a multipart or
// an attached message and the first does not, that one.
//
// QUIRK: Thunderbird, Gmail and Python take the first of several, others the
// last. Reading the one that hides more shows what any of them shows.
// X-Sun-Attachment is multipart/x-sun-attachment.
func (p *Part) MediaType() string { return p.media }

// Param returns a parameter of the Content-Type that MediaType goes by; see
// [ParseParams].
func (p *Part) Param(name string) (string, bool) {
	v, ok := lookup(p.params, toLower(name))
	return v.Value, ok
}

// Disposition returns the disposition in lower case, "" where there is none
// (RFC 2183). Of several fields the first counts.
func (p *Part) Disposition() string { return p.disp }

// DispositionParam returns a parameter of Content-Disposition.
func (p *Part) DispositionParam(name string) (string, bool) {
	v, ok := lookup(p.dparam, toLower(name))
	return v.Value, ok
}

// Encoding returns the transfer encoding in lower case, "7bit" where none is
// told; of a field that tells more, such as "base64 x", the encoding that is known.
// Of several fields the first counts that tells a known one, and for an attached
// message the first under which it begins as a message does. A body in an unknown
// encoding is read as it is.
func (p *Part) Encoding() string { return p.enc }

// Charset returns the charset in lower case, "us-ascii" where none is told.
func (p *Part) Charset() string {
	if v, ok := lookup(p.params, "charset"); ok {
		if cs := toLower(strings.Trim(v.token(), `"'`)); cs != "" {
			return cs
		}
	}
	return "us-ascii"
}

// IsLeaf reports whether the part has content of its own: it is no multipart and
// no attached message that was taken apart. A text with uuencoded files is a leaf.
func (p *Part) IsLeaf() bool { return !p.opens }

// IsMessage reports whether the part is a message of its own: the root, or the
// one inside an attached message.
func (p *Part) IsMessage() bool {
	return p.Parent == nil || p.Parent.opens && isMessage(p.Parent.media)
}

// Offset returns where the part begins in its source: the message's body for a
// message read with [ReadTree], the message for [Read], and the decoded body for
// a part inside an encoded one.
func (p *Part) Offset() int64 { return p.start }

// Size returns how many bytes the part has in its source, header included, as it
// was read. The line end before the next boundary is not counted.
func (p *Part) Size() int64 { return p.end - p.start }

// Raw returns the body as it stands, encoded.
func (p *Part) Raw() *io.SectionReader {
	if p.put != nil {
		return section(p.put, 0, p.put.Size())
	}
	return section(p.doc.src, p.body, p.end)
}

// Open returns the body with its transfer encoding undone, as clients do it: bytes
// that the encoding does not know are passed over, and a defect tells at the end.
// Its only errors are those of the source.
func (p *Part) Open() io.Reader {
	d := p.decoder()
	if d == nil {
		return p.Raw()
	}
	raw := p.Raw()
	return &codingReader{src: &exact{raw, raw.Size()}, coder: d, done: func() {
		if d.bad() {
			p.note(DefectEncodedData, p.body)
		}
	}}
}

// decoder returns what undoes the encoding, nil for none.
func (p *Part) decoder() decoder {
	if p.uu != nil && p.put == nil {
		if p.uu.yenc {
			return new(yencDecoder)
		}
		d := &uuDecoder{begun: true}
		if p.uu.base64 {
			d.base64 = new(base64Decoder)
		}
		return d
	}
	return newDecoder(p.enc)
}

// Text returns the body as UTF-8: encoding and charset undone. An unknown
// charset, and none, is UTF-8 where it can be and Windows-1252 elsewhere. What the
// charset does not know becomes U+FFFD.
func (p *Part) Text() io.Reader {
	return &textReader{transform.NewReader(p.Open(), decoderOf(p.Charset()))}
}

// A textReader ends where a charset's decoder gives up.
type textReader struct{ r io.Reader }

func (t *textReader) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	if err == transform.ErrShortSrc {
		err = io.EOF
	}
	return n, err
}

// Signed reports whether an edit would break a signature: the part is a
// multipart/signed (RFC 1847), stands inside one as the content or as the
// signature, or is itself an S/MIME signature around its content (RFC 8551).
func (p *Part) Signed() bool {
	for q := p; q != nil; q = q.Parent {
		if q.media == "multipart/signed" || isPKCS7(q) && strings.HasPrefix(smimeType(q), "signed") {
			return true
		}
	}
	return false
}

// Encrypted reports whether the part is a multipart/encrypted (RFC 1847), stands
// inside one, or is S/MIME that does not say it is something else (RFC 8551).
func (p *Part) Encrypted() bool {
	for q := p; q != nil; q = q.Parent {
		if q.media == "multipart/encrypted" {
			return true
		}
		if t := smimeType(q); isPKCS7(q) && (t == "" || strings.Contains(t, "envelope")) {
			return true
		}
	}
	return false
}

func isPKCS7(p *Part) bool {
	return p.media == "application/pkcs7-mime" || p.media == "application/x-pkcs7-mime"
}

func smimeType(p *Part) string {
	v, _ := lookup(p.params, "smime-type")
	return toLower(v.token())
}

func isMultipart(media string) bool {
	return strings.HasPrefix(media, "multipart/") || media == "multipart"
}

// isMessage reports whether a body of the type is a message (RFC 2046 section
// 5.2.1, RFC 6532 section 3.7).
func isMessage(media string) bool {
	return media == "message/rfc822" || media == "message/global" || media == "message/news"
}

// describe reads what the header says of the body. digest is set for a part of a
// multipart/digest.
func (p *Part) describe(digest bool) {
	types, disps, encs, vague := 0, 0, 0, false
	p.media, p.params, p.disp, p.dparam, p.enc, p.encs = "", nil, "", nil, "", nil
	for _, f := range p.Header {
		switch {
		case f.Is("Content-Type"):
			if types++; types > maxFields {
				p.note(DefectParamsLimit, p.start)
				continue
			}
			media, params, more := parseParams(f.Text(true))
			if more {
				p.note(DefectParamsLimit, p.start)
			}
			media = clientType(media)
			if media == "" {
				p.note(DefectType, p.start)
				media = "text/plain"
			}
			switch {
			case types == 1:
				p.media, p.params = media, params
			case !holds(p.media) && holds(media):
				p.media, p.params = media, params
				fallthrough
			default:
				p.note(DefectContentTypes, p.start)
			}
		case f.Is("Content-Disposition"):
			if disps++; disps > maxFields {
				p.note(DefectParamsLimit, p.start)
				continue
			}
			disp, params, more := parseParams(f.Text(true))
			if more {
				p.note(DefectParamsLimit, p.start)
			}
			if disps > 1 {
				p.note(DefectDispositions, p.start)
				continue
			}
			p.disp, p.dparam = disp, params
		case f.Is("Content-Transfer-Encoding"):
			if encs++; encs > maxFields {
				p.note(DefectParamsLimit, p.start)
				continue
			}
			if encs > 1 {
				p.note(DefectEncodings, p.start)
			}
			enc, exact := readEncoding(f.Text(true))
			if !slices.Contains(p.encs, enc) {
				p.encs = append(p.encs, enc)
			}
			if !exact {
				p.note(DefectEncoding, p.start)
				vague = vague || newDecoder(enc) != nil
			}
		}
	}
	if vague && !slices.Contains(p.encs, "7bit") {
		p.encs = append(p.encs, "7bit") // to clients that do not know it
	}
	p.enc = cmp.Or(p.encs...)
	if i := slices.IndexFunc(p.encs, isEncoding); i >= 0 {
		p.enc = p.encs[i]
	}
	if p.fits != "" && slices.Contains(p.encs, p.fits) {
		p.enc = p.fits
	}
	if types == 0 {
		p.media = "text/plain"
		if digest {
			p.media = "message/rfc822"
		}
	}
	if p.enc == "" {
		p.enc = "7bit"
	}
	if n := p.tree.other; n > 0 {
		p.choose(n)
	}
}

// isEncoding reports whether a transfer encoding is known.
func isEncoding(enc string) bool {
	return enc == "7bit" || enc == "8bit" || enc == "binary" || newDecoder(enc) != nil
}

// readEncoding returns the transfer encoding that a field tells. exact is unset
// where it tells something else or something more. QUIRK: in "base64," some
// clients read base64, and so does this.
func readEncoding(v string) (enc string, exact bool) {
	first, _ := cutType(v)
	enc = cleanType(first)
	if enc == "" && strings.Trim(v, blanks) == "" || isEncoding(enc) {
		return enc, true
	}
	plain := ""
	for s := range strings.FieldsFuncSeq(toLower(v), func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
		if newDecoder(s) != nil {
			return s, false
		}
		if plain == "" && isEncoding(s) {
			plain = s
		}
	}
	return cmp.Or(plain, enc), false
}

const maxFields = 100

func holds(media string) bool { return isMultipart(media) || isMessage(media) }

// sunAttachment stands for what Sun's mailtool made before there was MIME: its type is
// X-Sun-Attachment, a line of ten hyphens begins each part, and X-Sun- fields say
// what it is. Thunderbird and Mutt show its parts.
const sunAttachment = "multipart/x-sun-attachment"

// clientType returns a type as clients take it, "" for none.
func clientType(media string) string {
	switch media {
	case "multipart":
		return "multipart/mixed"
	case "x-sun-attachment":
		return sunAttachment
	}
	major, minor, ok := strings.Cut(media, "/")
	if !ok || !isToken(major) || minor == "" {
		return ""
	}
	return media
}
