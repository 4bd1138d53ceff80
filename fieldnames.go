package milter

import (
	"hash/maphash"
	"sync"
)

// fieldNames remembers the names of a message's header fields, by a hash of each
// with a secret of the process, so that no sender can make two meet.
type fieldNames []uint64

// fieldNamesPool lends room for them, so that an idle connection holds none.
var fieldNamesPool = sync.Pool{New: func() any { return new(fieldNames) }}

var fieldNamesSeed = maphash.MakeSeed()

func (f *fieldNames) add(name []byte) { *f = append(*f, hashName(name)) }

// count returns how many fields have the name, in any case.
func (f *fieldNames) count(name string) int {
	if f == nil {
		return 0
	}
	n, h := 0, hashName(name)
	for _, v := range *f {
		if v == h {
			n++
		}
	}
	return n
}

// release gives the room back, unless it is uncommonly large.
func (f *fieldNames) release() {
	if f == nil || cap(*f) > 1<<10 {
		return
	}
	*f = (*f)[:0]
	fieldNamesPool.Put(f)
}

// hashName hashes the name with ASCII letters in lower case.
func hashName[T ~string | ~[]byte](name T) uint64 {
	var h maphash.Hash
	h.SetSeed(fieldNamesSeed)
	var lower [64]byte
	for i := 0; i < len(name); {
		n := copy(lower[:], name[i:])
		for j, c := range lower[:n] {
			if 'A' <= c && c <= 'Z' {
				lower[j] = c + 'a' - 'A'
			}
		}
		h.Write(lower[:n])
		i += n
	}
	return h.Sum64()
}
