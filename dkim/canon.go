package dkim

import (
	"bytes"
	"hash"
	"slices"

	"github.com/gomilter/gomilter/message"
)

// appendField appends a header field as c has it (RFC 6376 sections 3.4.1 and 3.4.2) to dst,
// its CRLF included.
//
// A line that ends in LF alone counts as one that ends in CRLF: an MTA takes no other into a
// header, and hands folded fields to a filter so.
func appendField(dst []byte, c Canon, f message.Field) []byte {
	head, value := splitField(f)
	return append(appendParts(dst, c, head, value), "\r\n"...)
}

// splitField returns what stands in front of the value, the colon included, and the value.
func splitField(f message.Field) (head, value []byte) {
	raw, value := f.Raw(), f.Value()
	return raw[:max(0, len(raw)-len(f.LineEnd())-len(value))], value
}

// appendParts appends a field that is given in two parts, without a line end.
func appendParts(dst []byte, c Canon, head, value []byte) []byte {
	if c == Simple {
		return appendCRLF(appendCRLF(dst, head), value)
	}
	return appendUnfolded(append(appendName(dst, head), ':'), value)
}

// appendName appends the name that stands in head in small letters.
func appendName(dst, head []byte) []byte {
	for _, c := range bytes.TrimRight(bytes.TrimSuffix(head, []byte(":")), " \t") {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// appendCRLF appends b with CRLF for each line end.
func appendCRLF(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return append(dst, b...)
		}
		if i > 0 && b[i-1] == '\r' {
			dst = append(dst, b[:i+1]...)
		} else {
			dst = append(append(dst, b[:i]...), "\r\n"...)
		}
		b = b[i+1:]
	}
}

// appendUnfolded appends a value without line ends, one space for each run of blanks and none
// at both ends. A CR alone is a byte like any other.
func appendUnfolded(dst, b []byte) []byte {
	begin := len(dst)
	blank := false
	for i, c := range b {
		switch {
		case isWSP(c):
			blank = true
			continue
		case c == '\n', c == '\r' && i+1 < len(b) && b[i+1] == '\n':
			continue
		}
		if blank && len(dst) > begin {
			dst = append(dst, ' ')
		}
		blank = false
		dst = append(dst, c)
	}
	return dst
}

// A bodyCanon brings a body that is written to it into the form that is signed (RFC 6376
// sections 3.4.3 and 3.4.4) and hashes it, once for all lengths that are asked for. It keeps
// no more of the body than a small buffer, whatever stands in it.
//
// Only CRLF ends a line. CR and LF alone are bytes like any others.
type bodyCanon struct {
	relaxed bool
	hash    hash.Hash
	sums    []*bodySum // by their limits, that of all last

	lines   int  // CRLFs that are counted if anything follows
	blank   bool // relaxed: so is a blank
	cr      bool // the last byte was a CR, of which the next one tells what it is
	content bool // something was hashed
	size    int64
	summed  int // sums that are there

	buf [4096]byte
	n   int
}

// A bodySum is the hash of the first limit bytes of a body, or of all where limit is negative.
type bodySum struct {
	limit int64
	sum   []byte // once the body is at its end
}

// sumOf returns the hash of the first limit bytes, which is there once the body is at its end.
// It is asked for before anything is written.
func (c *bodyCanon) sumOf(limit int64) *bodySum {
	i := 0
	for i < len(c.sums) && c.sums[i].limit >= 0 && (limit < 0 || c.sums[i].limit < limit) {
		i++
	}
	if i == len(c.sums) || c.sums[i].limit != limit {
		c.sums = slices.Insert(c.sums, i, &bodySum{limit: limit})
	}
	return c.sums[i]
}

var manyCRLF = bytes.Repeat([]byte("\r\n"), 256)

func (c *bodyCanon) Write(p []byte) (int, error) {
	n := len(p)
	if c.relaxed {
		c.writeRelaxed(p)
	} else {
		c.writeSimple(p)
	}
	return n, nil
}

func (c *bodyCanon) writeSimple(p []byte) {
	if c.cr && len(p) > 0 {
		c.cr = false
		if p[0] == '\n' {
			c.lines++
			p = p[1:]
		} else {
			c.putLines()
			c.put('\r')
		}
	}
	for len(p) >= 2 && p[0] == '\r' && p[1] == '\n' {
		c.lines++
		p = p[2:]
	}
	if len(p) == 0 {
		return
	}
	end, lines := len(p), 0
	if p[end-1] == '\r' {
		c.cr = true
		end--
	}
	for end >= 2 && p[end-2] == '\r' && p[end-1] == '\n' {
		lines++
		end -= 2
	}
	if end == 0 {
		return
	}
	c.putLines()
	c.flush()
	c.sum(p[:end])
	c.content, c.lines = true, lines
}

func (c *bodyCanon) writeRelaxed(p []byte) {
	for i := 0; i < len(p); i++ {
		b := p[i]
		if c.cr {
			c.cr = false
			if b == '\n' {
				c.lines++
				c.blank = false
				continue
			}
			c.putRelaxed('\r')
		}
		switch b {
		case ' ', '\t':
			c.blank = true
		case '\r':
			c.cr = true
		default:
			c.putRelaxed(b)
			// What follows it, up to where blanks or a line end need care, stays as it is.
			from := i + 1
			for i+1 < len(p) && (p[i+1] > ' ' || p[i+1] == ' ' && i+2 < len(p) && p[i+2] > ' ') {
				i++
			}
			for word := p[from : i+1]; len(word) > 0; {
				if c.n == len(c.buf) {
					c.flush()
				}
				n := copy(c.buf[c.n:], word)
				c.n, word = c.n+n, word[n:]
			}
		}
	}
}

// putRelaxed puts a byte that is no blank, behind what is due before it.
func (c *bodyCanon) putRelaxed(b byte) {
	if c.lines > 0 {
		c.putLines()
	}
	if c.blank {
		c.blank = false
		c.put(' ')
	}
	c.put(b)
}

func (c *bodyCanon) put(b byte) {
	if c.n == len(c.buf) {
		c.flush()
	}
	c.buf[c.n] = b
	c.n++
	c.content = true
}

func (c *bodyCanon) putLines() {
	if c.lines > 0 {
		c.flush()
		c.content = true
	}
	for c.lines > 0 {
		n := min(c.lines, len(manyCRLF)/2)
		c.sum(manyCRLF[:2*n])
		c.lines -= n
	}
}

func (c *bodyCanon) flush() {
	c.sum(c.buf[:c.n])
	c.n = 0
}

// sum hashes p.
func (c *bodyCanon) sum(p []byte) {
	for c.summed < len(c.sums) {
		s := c.sums[c.summed]
		if s.limit < 0 || s.limit > c.size+int64(len(p)) {
			break
		}
		n := s.limit - c.size
		c.hash.Write(p[:n])
		s.sum = c.hash.Sum(nil)
		c.size, p = s.limit, p[n:]
		c.summed++
	}
	c.hash.Write(p)
	c.size += int64(len(p))
}

// close ends the body, after which its sums are there, and size is what it has in its
// canonical form.
func (c *bodyCanon) close() {
	if c.cr {
		c.cr = false
		if c.relaxed {
			c.putRelaxed('\r')
		} else {
			c.putLines()
			c.put('\r')
		}
	}
	if c.content || !c.relaxed { // an empty body is a line in one form, and nothing in the other
		c.put('\r')
		c.put('\n')
	}
	c.flush()
	for _, s := range c.sums[c.summed:] {
		s.sum = c.hash.Sum(nil)
	}
}
