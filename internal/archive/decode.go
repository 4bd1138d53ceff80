package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"
)

// lzmaRatio is more than LZMA can make of one byte.
const lzmaRatio = 16384

// takeWindow takes memory for a dictionary of want bytes over packed bytes of input. No
// dictionary has to be larger than all that can be unpacked. Where the walk has not
// as much left the decoder gets what there is, as few files use all they ask for: short
// tells. The memory is given back with w.window -= got.
func (w *walk) takeWindow(want, packed int64) (got int64, short bool) {
	want = max(want, lzma.MinDictCap)
	if packed >= 0 && packed < w.l.Window {
		want = min(want, packed*lzmaRatio+lzma.MinDictCap)
	}
	got = max(min(want, w.l.Window-w.window), lzma.MinDictCap)
	w.window += got
	return got, got < want
}

// decoder is an open decoder.
type decoder struct {
	io.Reader
	w     *walk
	held  int64 // of the window
	short bool
	stop  func()
}

func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && err != io.EOF && d.short {
		err = errWindow
	}
	return n, err
}

func (d *decoder) Close() error {
	if d.stop != nil {
		d.stop()
		d.stop = nil
	}
	d.w.window -= d.held
	d.held = 0
	return nil
}

// An inflater unpacks deflate streams, one after another: a new one takes 44 KB, and
// archives have many members.
type inflater struct {
	src *bufio.Reader
	io.ReadCloser
}

var inflaters sync.Pool

// inflate unpacks a deflate stream (RFC 1951).
func (w *walk) inflate(src Source) (io.ReadCloser, error) {
	i, ok := inflaters.Get().(*inflater)
	if !ok {
		b := bufio.NewReader(sequential(src))
		return &inflating{&inflater{b, flate.NewReader(b)}}, nil
	}
	i.src.Reset(sequential(src))
	return &inflating{i}, i.ReadCloser.(flate.Resetter).Reset(i.src, nil)
}

// inflating is an inflater at work.
type inflating struct{ *inflater }

// Close gives the inflater back. A second Close does nothing.
func (i *inflating) Close() error {
	if i.inflater == nil {
		return nil
	}
	err := i.ReadCloser.Close()
	i.src.Reset(nil)
	inflaters.Put(i.inflater)
	i.inflater = nil
	return err
}

// Read unpacks. It returns [io.ErrClosedPipe] behind Close.
func (i *inflating) Read(p []byte) (int, error) {
	if i.inflater == nil {
		return 0, io.ErrClosedPipe
	}
	return i.ReadCloser.Read(p)
}

// gunzip unpacks gzip members (RFC 1952), one behind another. Zeros behind one are
// padding, as they are to gzip(1), and so are line ends, which come of sending it as text.
func (w *walk) gunzip(src Source) (*gunzipper, error) {
	r := bufio.NewReader(sequential(src))
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gunzipper{z, r}, nil
}

type gunzipper struct {
	*gzip.Reader
	src *bufio.Reader
}

func (g *gunzipper) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if err != io.EOF {
		return n, err
	}
	for {
		c, err := g.src.ReadByte()
		if err != nil {
			return n, err
		}
		if c != 0 && c != '\r' && c != '\n' {
			break
		}
	}
	if err := g.src.UnreadByte(); err != nil {
		return n, err
	}
	if err := g.Reader.Reset(g.src); err != nil {
		return n, orShort(err)
	}
	g.Reader.Multistream(false)
	return n, nil
}

// bunzip2 unpacks bzip2 streams, one behind another.
func (w *walk) bunzip2(src Source) (io.ReadCloser, error) {
	return io.NopCloser(bzip2.NewReader(bufio.NewReader(sequential(src)))), nil
}

// unzstd unpacks Zstandard frames (RFC 8878), one behind another.
func (w *walk) unzstd(src Source) (io.ReadCloser, error) {
	d := &decoder{w: w}
	d.held, _ = w.takeWindow(w.l.Window, -1)
	z, err := zstd.NewReader(bufio.NewReader(sequential(src)), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(d.held)))
	if err != nil {
		d.Close()
		return nil, err
	}
	d.Reader, d.stop = zstdReader{z}, z.Close
	return d, nil
}

// zstdReader says of a window that is too large what the others say.
type zstdReader struct{ *zstd.Decoder }

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = errWindow
	}
	return n, err
}

// unlzma unpacks an .lzma file: 13 bytes of header, then the stream.
func (w *walk) unlzma(src Source) (io.ReadCloser, error) {
	var h [13]byte
	if n, err := readAt(src, h[:], 0); n < len(h) {
		return nil, orShort(err)
	}
	return w.unlzmaRaw([5]byte(h[:5]), int64(binary.LittleEndian.Uint64(h[5:])), io.NewSectionReader(src, 13, src.Size()-13))
}

// unlzmaRaw unpacks an LZMA stream to size bytes, or to its mark of the end for -1. props
// are its properties: a byte, and the size of the dictionary.
func (w *walk) unlzmaRaw(props [5]byte, size int64, src Source) (io.ReadCloser, error) {
	d := &decoder{w: w}
	want := int64(binary.LittleEndian.Uint32(props[1:]))
	if size >= 0 {
		want = min(want, size)
	}
	d.held, d.short = w.takeWindow(want, src.Size())
	h := append(make([]byte, 0, 13), props[0])
	h = binary.LittleEndian.AppendUint32(h, uint32(d.held))
	h = binary.LittleEndian.AppendUint64(h, uint64(size))
	r, err := lzma.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(h), sequential(src))))
	if err != nil {
		d.Close()
		return nil, err
	}
	d.Reader = r
	return d, nil
}

func sequential(src Source) io.Reader { return io.NewSectionReader(src, 0, src.Size()) }

// orShort is for a read that got too little.
func orShort(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
