package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// The layout of a bbolt file, in the byte order of the machine: pages of one size, each with
// its number, flags, count of elements and how many pages more it takes; two pages in front, of
// which the one with the higher transaction counts, say where the tree of buckets begins. See
// internal/common of go.etcd.io/bbolt.
const (
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	boltPageHeader = 16
	boltElement    = 16
	boltMeta       = 64
	boltBucket     = 16 // in front of a bucket's inline page
	boltBranch     = 0x01
	boltLeaf       = 0x02
	boltFreelist   = 0x10
	boltNoFreelist = math.MaxUint64
	boltIsBucket   = 0x01 // flag of a leaf element
	boltMaxDepth   = 64
)

// checkBolt reads every page of a bbolt file that is in use, and returns what is wrong with it,
// nil for an empty file.
//
// bbolt itself trusts its files: it maps them into memory, and where a page was spoilt or the
// file was cut short, it panics, in a goroutine of its own while it opens, or the process gets
// SIGBUS. What has passed here, bbolt can read.
func checkBolt(r io.ReaderAt, size int64) error {
	if size == 0 {
		return nil
	}
	c := &boltCheck{r: r, size: size}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(meta[at:]) }
	c.pages = word(40)
	if c.pages < 4 || c.pages > uint64(size/c.pageSize) {
		return fmt.Errorf("it has %d bytes, and %d pages of %d: it was cut short", size, c.pages, c.pageSize)
	}
	c.seen = make([]uint64, c.pages/64+1) // a bit for each page of the file
	c.take(0)
	c.take(1)
	if free := word(32); free != boltNoFreelist {
		if err := c.freelist(free); err != nil {
			return err
		}
	}
	return c.tree(word(16), nil, nil, true, 0)
}

type boltCheck struct {
	r        io.ReaderAt
	size     int64
	pageSize int64
	pages    uint64 // as many are in use, or were
	seen     []uint64
}

// meta returns the meta page that counts. Each that is whole must have the page size of the file.
func (c *boltCheck) meta() ([]byte, error) {
	first, err := c.metaAt(0)
	if err != nil {
		return nil, err
	}
	second := first
	if first != nil {
		c.pageSize = pageSizeIn(first)
		second, err = c.metaAt(c.pageSize)
	} else { // the second stands a page after the first
		for c.pageSize = 1 << 10; c.pageSize <= 64<<10; c.pageSize *= 2 {
			if second, err = c.metaAt(c.pageSize); second != nil || err != nil {
				break
			}
		}
	}
	transaction := func(m []byte) uint64 { return binary.NativeEndian.Uint64(m[48:]) }
	switch {
	case err != nil:
		return nil, err
	case first == nil && second == nil:
		return nil, errors.New("it does not begin as such a file does")
	case c.pageSize < 1<<10 || c.pageSize > 64<<10 || c.pageSize&(c.pageSize-1) != 0, second != nil && pageSizeIn(second) != c.pageSize:
		return nil, errors.New("its page size is wrong")
	case second == nil || first != nil && transaction(first) > transaction(second):
		return first, nil
	}
	return second, nil
}

func pageSizeIn(meta []byte) int64 { return int64(binary.NativeEndian.Uint32(meta[8:])) }

// metaAt returns the meta page at a place, nil where there is none that is whole.
func (c *boltCheck) metaAt(at int64) ([]byte, error) {
	b := make([]byte, boltPageHeader+boltMeta)
	if n, err := c.r.ReadAt(b, at); n < len(b) {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, nil
	}
	m := b[boltPageHeader:]
	sum := fnv.New64a()
	sum.Write(m[:56])
	if binary.NativeEndian.Uint32(m) != boltMagic || binary.NativeEndian.Uint32(m[4:]) != boltVersion || binary.NativeEndian.Uint64(m[56:]) != sum.Sum64() {
		return nil, nil
	}
	return m, nil
}

// take marks a page as met, and tells whether it was not before.
func (c *boltCheck) take(id uint64) bool {
	bit := uint64(1) << (id % 64)
	had := c.seen[id/64]&bit != 0
	c.seen[id/64] |= bit
	return !had
}

// page reads a page with those that belong to it.
func (c *boltCheck) page(id uint64) ([]byte, error) {
	bad := func(why string) ([]byte, error) { return nil, fmt.Errorf("page %d: %s", id, why) }
	if id < 2 || id >= c.pages {
		return bad("there is none")
	}
	var head [boltPageHeader]byte
	if _, err := c.r.ReadAt(head[:], int64(id)*c.pageSize); err != nil {
		return bad(err.Error())
	}
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	switch {
	case binary.NativeEndian.Uint64(head[:]) != id:
		return bad("it is another")
	case more >= c.pages-id:
		return bad("it goes on after the end")
	}
	for i := id; i <= id+more; i++ {
		if !c.take(i) {
			return bad("it is in use twice")
		}
	}
	b := make([]byte, int64(more+1)*c.pageSize)
	if _, err := c.r.ReadAt(b, int64(id)*c.pageSize); err != nil {
		return bad(err.Error())
	}
	return b, nil
}

func (c *boltCheck) freelist(id uint64) error {
	b, err := c.page(id)
	if err != nil {
		return err
	}
	n := int(binary.NativeEndian.Uint16(b[10:]))
	if binary.NativeEndian.Uint16(b[8:]) != boltFreelist || n == math.MaxUint16 || boltPageHeader+8*n > len(b) {
		return fmt.Errorf("page %d: it is no list of free pages", id)
	}
	for i := range n {
		free := binary.NativeEndian.Uint64(b[boltPageHeader+8*i:])
		if free < 2 || free >= c.pages || !c.take(free) {
			return fmt.Errorf("page %d: page %d cannot be free", id, free)
		}
	}
	return nil
}

// tree checks a page and what is below. Its keys are not less than low and less than high,
// where those are not nil. In the root bucket elements are buckets, and in them there are none.
func (c *boltCheck) tree(id uint64, low, high []byte, root bool, depth int) error {
	if depth > boltMaxDepth {
		return fmt.Errorf("page %d: it is %d pages down", id, depth)
	}
	b, err := c.page(id)
	if err != nil {
		return err
	}
	if err := c.elements(b, low, high, root, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements checks the elements of a page.
func (c *boltCheck) elements(b, low, high []byte, root bool, depth int) error {
	if len(b) < boltPageHeader {
		return errors.New("it is cut short")
	}
	flags, n := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	switch {
	case flags != boltBranch && flags != boltLeaf:
		return fmt.Errorf("it is of an unknown kind %#x", flags)
	case boltPageHeader+boltElement*n > len(b):
		return errors.New("it has more elements than room")
	case flags == boltBranch && n == 0:
		return errors.New("there is nothing below it")
	}
	// element returns key and rest of an element: of a leaf the value, of a branch nothing.
	element := func(i int) (key, value []byte, err error) {
		at := boltPageHeader + boltElement*i
		e := b[at : at+boltElement]
		word := func(at int) int64 { return int64(binary.NativeEndian.Uint32(e[at:])) }
		pos, ksize, vsize := word(0), word(4), int64(0)
		if flags == boltLeaf {
			pos, ksize, vsize = word(4), word(8), word(12)
		}
		pos += int64(at)
		if pos < boltPageHeader+boltElement*int64(n) || ksize == 0 || pos+ksize+vsize > int64(len(b)) {
			return nil, nil, fmt.Errorf("element %d is outside", i)
		}
		return b[pos : pos+ksize], b[pos+ksize : pos+ksize+vsize], nil
	}
	last := low
	for i := range n {
		key, value, err := element(i)
		if err != nil {
			return err
		}
		// The first key may be what the page above calls the page.
		if cmp := bytes.Compare(last, key); last != nil && (cmp > 0 || cmp == 0 && i > 0) || high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("element %d is out of order", i)
		}
		last = key
		if flags == boltBranch {
			next := high
			if i+1 < n {
				if next, _, err = element(i + 1); err != nil {
					return err
				}
			}
			below := binary.NativeEndian.Uint64(b[boltPageHeader+boltElement*i+8:])
			if err := c.tree(below, key, next, root, depth+1); err != nil {
				return err
			}
			continue
		}
		if isBucket := binary.NativeEndian.Uint32(b[boltPageHeader+boltElement*i:])&boltIsBucket != 0; isBucket != root {
			return fmt.Errorf("element %d is a bucket: %v", i, isBucket)
		}
		if root {
			if err := c.bucket(value, depth); err != nil {
				return fmt.Errorf("bucket %q: %w", key, err)
			}
		}
	}
	return nil
}

// bucket checks a bucket that a leaf of the root bucket names.
func (c *boltCheck) bucket(value []byte, depth int) error {
	if len(value) < boltBucket {
		return errors.New("it is cut short")
	}
	if id := binary.NativeEndian.Uint64(value); id != 0 {
		return c.tree(id, nil, nil, false, depth+1)
	}
	inline := value[boltBucket:]
	if len(inline) >= boltPageHeader && binary.NativeEndian.Uint16(inline[8:]) != boltLeaf {
		return errors.New("it is of an unknown kind")
	}
	return c.elements(inline, nil, nil, false, depth)
}
