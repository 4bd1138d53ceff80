package message

// A Kind says what is wrong with a part.
type Kind uint8

// The kinds of defects. The limits come last: policy should act on them, as what
// lies behind one was not looked at.
const (
	DefectNoEndBoundary    Kind = iota + 1 // a multipart is not closed
	DefectNoBoundary                       // a multipart has no boundary that occurs; it was not taken apart
	DefectBoundaryGuessed                  // a multipart was taken apart at lines that only look like its boundary
	DefectBoundaryRepaired                 // the boundary is not as the parameter has it
	DefectBoundaries                       // several boundaries are declared
	DefectBoundaryPrefix                   // a line begins with a boundary and goes on
	DefectBoundaryCR                       // a boundary stands behind a CR alone, where LF ends the lines
	DefectAfterEnd                         // parts stand behind the end boundary
	DefectHeaderCut                        // a part's header has no end
	DefectHeaderJunk                       // lines in a header are no fields
	DefectHeaderCR                         // a CR stands alone in a header
	DefectHeaderNUL                        // a NUL stands in a header
	DefectContentTypes                     // several Content-Type fields
	DefectDispositions                     // several Content-Disposition fields
	DefectEncodings                        // several Content-Transfer-Encoding fields
	DefectType                             // the media type is none
	DefectEncoding                         // the transfer encoding is unknown
	DefectEncodedMultipart                 // a multipart is encoded (RFC 2045 section 6.4)
	DefectEncodedMessage                   // an attached message is encoded (RFC 2046 section 5.2.1)
	DefectPartial                          // a fragment of a message (RFC 2046 section 5.2.2)
	DefectExternalBody                     // the body lies elsewhere (RFC 2046 section 5.2.3)
	DefectUUEncode                         // a file that is uuencoded or in yEnc stands in the text
	DefectUUEncodeCut                      // such a file has no end
	DefectUUEncodeCR                       // the line that such a file begins with stands behind a CR alone, where LF ends the lines
	DefectEncodedData                      // the encoded data holds bytes of no meaning; found by [Part.Open]
	DefectDepthLimit                       // parts lie deeper than Options.MaxDepth
	DefectPartsLimit                       // there are more parts than Options.MaxParts
	DefectHeaderLimit                      // headers are larger than Options.MaxHeader
	DefectDecodedLimit                     // attached messages are larger than Options.MaxDecoded
	DefectParamsLimit                      // a field has more than 500 parameters, a part 100 Content- fields of a name, or a boundary 3000 bytes
	DefectScanLimit                        // too many multiparts had to be searched for their boundary
	kinds
)

var kindNames = [kinds]string{
	DefectNoEndBoundary:    "no end boundary",
	DefectNoBoundary:       "no boundary",
	DefectBoundaryGuessed:  "boundary guessed",
	DefectBoundaryRepaired: "boundary repaired",
	DefectBoundaries:       "several boundaries",
	DefectBoundaryPrefix:   "line begins with boundary",
	DefectBoundaryCR:       "boundary behind a bare CR",
	DefectAfterEnd:         "parts after end boundary",
	DefectHeaderCut:        "header without end",
	DefectHeaderJunk:       "header line without colon",
	DefectHeaderCR:         "bare CR in header",
	DefectHeaderNUL:        "NUL in header",
	DefectContentTypes:     "several Content-Type fields",
	DefectDispositions:     "several Content-Disposition fields",
	DefectEncodings:        "several Content-Transfer-Encoding fields",
	DefectType:             "bad media type",
	DefectEncoding:         "unknown transfer encoding",
	DefectEncodedMultipart: "encoded multipart",
	DefectEncodedMessage:   "encoded attached message",
	DefectPartial:          "partial message",
	DefectExternalBody:     "external body",
	DefectUUEncode:         "uuencoded file in text",
	DefectUUEncodeCut:      "uuencoded file without end",
	DefectUUEncodeCR:       "uuencoded file behind a bare CR",
	DefectEncodedData:      "bad encoded data",
	DefectDepthLimit:       "depth limit",
	DefectPartsLimit:       "parts limit",
	DefectHeaderLimit:      "header limit",
	DefectDecodedLimit:     "decoded size limit",
	DefectParamsLimit:      "parameter limit",
	DefectScanLimit:        "scan limit",
}

// String returns the kind in words.
func (k Kind) String() string {
	if k < kinds && k > 0 {
		return kindNames[k]
	}
	return "unknown defect"
}

// Limit reports whether the defect is a limit that was hit: what lies behind it
// was not looked at.
func (k Kind) Limit() bool { return k >= DefectDepthLimit && k < kinds }

// A Defect is something wrong with a message. Each part has each kind once.
type Defect struct {
	Kind   Kind
	Part   *Part
	Offset int64 // where, in the source that the part lies in
}

// note adds a defect, the first time.
func (p *Part) note(k Kind, offset int64) {
	if p.noted&(1<<k) != 0 {
		return
	}
	p.noted |= 1 << k
	p.tree.defects = append(p.tree.defects, Defect{k, p, offset})
}

// Has reports whether the part has a defect.
func (p *Part) Has(k Kind) bool { return p.noted&(1<<k) != 0 }
