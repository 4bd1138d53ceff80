package wire

import "sync"

// Sizes of the buffers a Reader borrows. The smallest holds what an MTA writes
// for one message without its body; a full body chunk fits the third.
var bufferSizes = [...]int{8 << 10, 32 << 10, 128 << 10, 256 << 10}

var bufferPools [len(bufferSizes)]sync.Pool

// A buffer is borrowed from the pool of its class; class -1 belongs to no pool.
type buffer struct {
	b     []byte
	class int
}

// getBuffer returns a buffer of a class; past the last class it makes one of
// size bytes.
func getBuffer(class, size int) *buffer {
	if class >= len(bufferSizes) {
		return &buffer{make([]byte, size), -1}
	}
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, bufferSizes[class]), class}
}

func (b *buffer) put() {
	if b.class >= 0 {
		bufferPools[b.class].Put(b)
	}
}
