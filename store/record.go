package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strconv"
	"time"
)

// A record is a value as it is kept: with the time at which it expires, in milliseconds since
// 1970, 0 for never.
type record struct {
	value   []byte
	expires int64
}

// A record is stored as a format byte, expires in 8 bytes, a CRC-32C of key and record in 4,
// and the value. Numbers are big-endian.
const (
	recordFormat = 1
	recordHeader = 1 + 8 + 4
)

var (
	errRecord  = errors.New("record is damaged")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func appendRecord(dst, key []byte, r record) []byte {
	start := len(dst)
	dst = append(dst, recordFormat)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.expires))
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = append(dst, r.value...)
	binary.BigEndian.PutUint32(dst[start+9:], recordSum(key, dst[start:]))
	return dst
}

// parseRecord reads a stored record; the value is a part of b.
func parseRecord(key, b []byte) (record, error) {
	if len(b) < recordHeader || b[0] != recordFormat || binary.BigEndian.Uint32(b[9:]) != recordSum(key, b) {
		return record{}, errRecord
	}
	expires := binary.BigEndian.Uint64(b[1:])
	if expires > math.MaxInt64 {
		return record{}, errRecord
	}
	return record{b[recordHeader:], int64(expires)}, nil
}

// recordExpires is the time in a record that parseRecord has read before.
func recordExpires(b []byte) int64 { return int64(binary.BigEndian.Uint64(b[1:])) }

// recordSum is the checksum of a record, in which it counts itself as 0.
func recordSum(key, b []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, b[:9])
	return crc32.Update(sum, castagnoli, b[recordHeader:])
}

func (r record) expired(now time.Time) bool { return r.expires != 0 && now.UnixMilli() >= r.expires }

func (r record) item(key string) Item {
	it := Item{Key: key, Value: append([]byte{}, r.value...)}
	if r.expires != 0 {
		it.Expires = time.UnixMilli(r.expires).UTC()
	}
	return it
}

// expiryOf returns a time as records hold it. One that is not after 1970 has passed for any
// clock that is not broken.
func expiryOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 1)
}

// add returns the number in a value with delta added. None is nil.
func add(value []byte, delta int64) (int64, error) {
	n := int64(0)
	if value != nil {
		var err error
		if n, err = strconv.ParseInt(string(value), 10, 64); err != nil || strconv.FormatInt(n, 10) != string(value) {
			return 0, ErrNumber
		}
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return 0, ErrNumber
	}
	return n + delta, nil
}
