package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

var errXZ = errors.New("archive: xz: bad header")

// unxz unpacks .xz streams, one behind another (xz file format 1.2.1). Each block asks for
// a dictionary of its own of up to 4 GiB, so that the headers are read here and
// only what is in a block by a library. Checks are not verified.
func (w *walk) unxz(src Source) (io.ReadCloser, error) {
	x := &xzReader{w: w, r: &counted{r: bufio.NewReader(sequential(src))}, size: src.Size()}
	if err := x.stream(); err != nil {
		return nil, err
	}
	return x, nil
}

type xzReader struct {
	w     *walk
	r     *counted
	size  int64 // packed
	check int   // bytes of the check behind each block
	block *decoder
	start int64 // where the block's header ended
	err   error
}

// counted counts what is read.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.Read(p)
		if err == io.EOF {
			err = x.endBlock()
		}
		x.err = err
		if n > 0 {
			return n, nil
		}
	}
	return 0, x.err
}

func (x *xzReader) Close() error {
	if x.block != nil {
		x.block.Close()
		x.block = nil
	}
	return nil
}

// stream reads a stream's header (section 2.1.1).
func (x *xzReader) stream() error {
	var h [12]byte
	if _, err := io.ReadFull(x.r, h[:]); err != nil {
		return orShort(err)
	}
	if string(h[:6]) != "\xfd7zXZ\x00" || h[6] != 0 || h[7] > 15 {
		return errXZ
	}
	x.check = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[h[7]]
	return nil
}

// next opens the next block. It returns io.EOF behind the last stream.
func (x *xzReader) next() error {
	size, err := x.r.ReadByte()
	if err != nil {
		return orShort(err)
	}
	if size == 0 {
		return x.endStream()
	}
	var h [1024]byte // section 3.1
	b := h[:int(size)*4+3]
	if _, err := io.ReadFull(x.r, b); err != nil {
		return orShort(err)
	}
	b = b[:len(b)-4] // without its sum
	flags := b[0]
	b = b[1:]
	unpacked := int64(-1)
	for _, has := range []byte{0x40, 0x80} {
		if flags&has != 0 {
			v, n := binary.Uvarint(b)
			if n <= 0 || v > 1<<62 {
				return errXZ
			}
			if b = b[n:]; has == 0x80 {
				unpacked = int64(v)
			}
		}
	}
	// A filter has an id and properties. Only LZMA2 alone is taken; filters for programs before it are rare.
	id, n := binary.Uvarint(b)
	if n <= 0 || flags&0x3c != 0 {
		return errXZ
	}
	if flags&3 != 0 || id != 0x21 {
		return errMethod
	}
	if b = b[n:]; len(b) < 2 || b[0] != 1 {
		return errXZ
	}
	want, ok := lzma2Dictionary(b[1])
	if !ok {
		return errXZ
	}
	if unpacked >= 0 {
		want = min(want, unpacked)
	}
	x.block = &decoder{w: x.w}
	x.block.held, x.block.short = x.w.takeWindow(want, max(x.size-x.r.n, 0))
	x.start = x.r.n
	x.block.Reader, err = lzma.Reader2Config{DictCap: int(x.block.held)}.NewReader2(x.r)
	return err
}

// lzma2Dictionary reads the size of an LZMA2 dictionary (section 5.3.1).
func lzma2Dictionary(b byte) (int64, bool) {
	if b >= 40 {
		return 1<<32 - 1, b == 40
	}
	return int64(2|b&1) << (b/2 + 11), true
}

// endBlock reads the padding of a block and its check.
func (x *xzReader) endBlock() error {
	x.Close()
	return x.skip((4-(x.r.n-x.start)%4)%4 + int64(x.check))
}

func (x *xzReader) skip(n int64) error {
	if m, err := io.CopyN(io.Discard, x.r, n); m < n {
		return orShort(err)
	}
	return nil
}

// endStream reads the rest of the index and the footer (sections 2.1.2 and 4), and then
// the header of the next stream if there is one.
func (x *xzReader) endStream() error {
	start := x.r.n - 1
	records, err := binary.ReadUvarint(x.r)
	for i := uint64(0); i < 2*records && err == nil; i++ {
		_, err = binary.ReadUvarint(x.r)
	}
	if err != nil {
		return orShort(err)
	}
	if err := x.skip((4-(x.r.n-start)%4)%4 + 4 + 12); err != nil {
		return err
	}
	for {
		b, err := x.r.r.Peek(4)
		switch {
		case len(b) == 0 && err != nil:
			return err // io.EOF, or what ended the walk
		case len(b) == 4 && string(b) == "\x00\x00\x00\x00":
			if err := x.skip(4); err != nil {
				return err
			}
			continue
		}
		return x.stream()
	}
}
