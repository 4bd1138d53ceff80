package store

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRecordIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "key")
		r := record{rapid.SliceOf(rapid.Byte()).Draw(t, "value"), rapid.Int64Min(0).Draw(t, "expires")}
		b := appendRecord([]byte("before"), key, r)[len("before"):]
		got, err := parseRecord(key, b)
		if err != nil || !bytes.Equal(got.value, r.value) || got.expires != r.expires {
			t.Fatalf("%q at %q: %+v, %v, want %+v", b, key, got, err, r)
		}
		if _, err := parseRecord(append(key, 'x'), b); !errors.Is(err, errRecord) {
			t.Errorf("under another key: %v", err)
		}
		i := rapid.IntRange(0, len(b)-1).Draw(t, "i")
		b[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, err := parseRecord(key, b); !errors.Is(err, errRecord) {
			t.Errorf("with byte %d spoilt: %+v, %v", i, got, err)
		}
	})
}

func TestExpiryOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   time.Time
		want int64
	}{
		{"never", time.Time{}, 0},
		{"cut to milliseconds", time.Unix(1, 1999999), 1001},
		{"1970", time.Unix(0, 0), 1},
		{"before 1970", time.Unix(-1000, 0), 1},
	} {
		if got := expiryOf(tt.in); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// FuzzParseRecord checks that what is read as a record is written the same way.
func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("key"), []byte{})
	f.Add([]byte("key"), appendRecord(nil, []byte("key"), record{[]byte("value"), 0}))
	f.Add([]byte("key"), appendRecord(nil, []byte("key"), record{nil, 1800000000000}))
	f.Add(bytes.Repeat([]byte("k"), 65), appendRecord(nil, bytes.Repeat([]byte("k"), 65), record{make([]byte, 24), 1}))
	f.Fuzz(func(t *testing.T, key, b []byte) {
		r, err := parseRecord(key, b)
		if err != nil {
			return
		}
		if again := appendRecord(nil, key, r); !bytes.Equal(again, b) {
			t.Errorf("%q is written %q", b, again)
		}
	})
}
