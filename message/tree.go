package message

import (
	"io"
	"iter"
	"slices"
)

// Options are the limits of reading a message. What exceeds one is left as it is,
// and a defect tells; nothing is lost on writing. Nil means all defaults.
type Options struct {
	MaxDepth   int    // parts inside parts; 0 means 50
	MaxParts   int    // parts in the whole tree, the root included; 0 means 5000
	MaxHeader  int64  // bytes kept of the headers of all parts, 64 more for each field; 0 means 4 MiB
	MaxDecoded int64  // bytes of attached messages and texts unpacked from an encoding, whole tree; 0 means 64 MiB
	Memory     int64  // bytes of what is unpacked or put in place that stay in memory, whole tree; 0 means 1 MiB, less than 0 none
	Dir        string // for the temporary file with the rest; "" means os.TempDir

	// What follows are other readings than the usual one: of clients that see parts
	// where others see none, to look at what they show. A tree with BareCR is one of
	// a copy.
	BareCR         bool // a CR alone ends a line; see DefectHeaderCR, DefectBoundaryCR, DefectUUEncodeCR
	BoundaryPrefix bool // a line that begins with a boundary is one; see DefectBoundaryPrefix
	Encoding       int  // which of Part.Encodings counts, if a part has so many
}

func (o *Options) defaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.MaxDepth <= 0 {
		d.MaxDepth = 50
	}
	if d.MaxParts <= 0 {
		d.MaxParts = 5000
	}
	if d.MaxHeader <= 0 {
		d.MaxHeader = 4 << 20
	}
	if d.MaxDecoded <= 0 {
		d.MaxDecoded = 64 << 20
	}
	return d
}

// A Tree is the MIME structure of a message (RFC 2045, RFC 2046), with edits. It
// is not safe for concurrent use, and must be closed.
type Tree struct {
	Root *Part

	apart   bool // header and break are not in the source
	brk     []byte
	defects []Defect
	spool   *Spool // bodies unpacked or put in place
	other   int    // Options.Encoding
	doc     *doc   // of the root
}

// A doc is bytes that parts lie in: those of the message, or a decoded body.
type doc struct {
	src  Source
	size int64
	eol  byte
	end  string // what ends a line
}

// Close frees temporary files. Parts give no bytes any more that were unpacked
// or put in place.
func (t *Tree) Close() error { return t.spool.Close() }

// Parts walks all parts: depth first, the root first, each before those inside.
// Attached messages and uuencoded files in texts are parts as well.
func (t *Tree) Parts() iter.Seq[*Part] {
	return func(yield func(*Part) bool) { t.Root.walk(yield) }
}

func (p *Part) walk(yield func(*Part) bool) bool {
	if !yield(p) {
		return false
	}
	for _, c := range p.Parts {
		if !c.walk(yield) {
			return false
		}
	}
	return true
}

// Defects returns what is wrong with the message, in the order found. Reading a
// part's body may add to it.
func (t *Tree) Defects() []Defect { return slices.Clone(t.defects) }

// Limited reports whether a limit was hit: parts of the message were not looked at.
func (t *Tree) Limited() bool {
	return slices.ContainsFunc(t.defects, func(d Defect) bool { return d.Kind.Limit() })
}

// A section returns bytes of a source.
func section(src io.ReaderAt, from, to int64) *io.SectionReader {
	return io.NewSectionReader(src, from, to-from)
}
