package milter

// A nameSet remembers header names, in any case. It may know a name that was
// never added, but never misses one that was.
type nameSet [4]uint64

func (s *nameSet) add(name []byte) {
	h := hashName(name)
	s[h>>6&3] |= 1 << (h & 63)
}

func (s *nameSet) has(name string) bool {
	h := hashName(name)
	return s[h>>6&3]&(1<<(h&63)) != 0
}

// hashName is FNV-1a over the name in lower case.
func hashName[T ~string | ~[]byte](name T) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i]|0x20)) * 16777619
	}
	return h ^ h>>16
}

// sendmailOwn are fields that Sendmail supplies itself. It replaces its own by an
// added one, but not by an inserted one.
var sendmailOwn = map[string]bool{"date": true, "from": true, "full-name": true, "message-id": true,
	"resent-date": true, "resent-from": true, "resent-message-id": true, "return-path": true}
