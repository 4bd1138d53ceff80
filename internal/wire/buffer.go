package wire

import "sync"

// Sizes of the buffers a Reader borrows, none above four times the one before.
// The smallest holds what an MTA writes for one message without its body; a full
// body chunk fits the third, one of a negotiated 256 KiB the last.
var bufferSizes = [...]int{8 << 10, 32 << 10, 128 << 10, 264 << 10}

var bufferPools [len(bufferSizes)]sync.Pool

// A buffer is borrowed from the pool of its class; those past the last class
// belong to no pool.
type buffer struct {
	b     []byte
	class int
}

// getBuffer returns a buffer of a class; past the last class it makes one of
// size bytes.
func getBuffer(class, size int) *buffer {
	if class >= len(bufferSizes) {
		return &buffer{make([]byte, size), class}
	}
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, bufferSizes[class]), class}
}

func (b *buffer) put() {
	if b.class < len(bufferSizes) {
		bufferPools[b.class].Put(b)
	}
}

// classFor returns the smallest class that holds n bytes and has room for more.
func classFor(n int) int {
	for class, size := range bufferSizes {
		if n < size {
			return class
		}
	}
	return len(bufferSizes)
}
