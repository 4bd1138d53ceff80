package milter

import (
	"bytes"
	"sync"
)

// fieldNames are the names of a message's header fields in their order, each
// ended by a NUL, which no name holds.
type fieldNames []byte

// fieldNamesPool lends room for them, so that an idle connection holds none.
var fieldNamesPool = sync.Pool{New: func() any { return new(fieldNames) }}

func (f *fieldNames) add(name []byte) { *f = append(append(*f, name...), 0) }

// count returns how many fields have the name, in any case.
func (f *fieldNames) count(name string) int {
	if f == nil {
		return 0
	}
	n := 0
	for rest := []byte(*f); len(rest) > 0; {
		end := bytes.IndexByte(rest, 0)
		if end == len(name) && equalFoldASCII(rest[:end], name) {
			n++
		}
		rest = rest[end+1:]
	}
	return n
}

// release gives the room back, unless it is uncommonly large.
func (f *fieldNames) release() {
	if f == nil || cap(*f) > 64<<10 {
		return
	}
	*f = (*f)[:0]
	fieldNamesPool.Put(f)
}

// sendmailOwn are fields that Sendmail supplies itself, in lower case. It
// replaces its own by an added one, but not by an inserted one.
var sendmailOwn = map[string]bool{"date": true, "from": true, "full-name": true, "message-id": true,
	"resent-date": true, "resent-from": true, "resent-message-id": true, "return-path": true}
