package archive

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
	"pgregory.net/rapid"
)

// TestXZAgreesWithItsWriter unpacks what the library packs.
func TestXZAgreesWithItsWriter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		body := strings.Repeat(rapid.StringN(1, 300, -1).Draw(rt, "text"), rapid.IntRange(0, 300).Draw(rt, "times"))
		var b bytes.Buffer
		w, err := xz.WriterConfig{
			BlockSize: rapid.Int64Range(4096, 1<<16).Draw(rt, "block"),
			CheckSum:  rapid.SampledFrom([]byte{xz.CRC32, xz.CRC64, xz.SHA256}).Draw(rt, "check"),
		}.NewWriter(&b)
		if err != nil {
			rt.Fatal(err)
		}
		io.WriteString(w, body)
		w.Close()
		wk := &walk{ctx: t.Context(), l: Limits{}.filled()}
		r, err := wk.unxz(bytes.NewReader(b.Bytes()))
		if err != nil {
			rt.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != body {
			rt.Errorf("%d bytes of %d, error %v", len(got), len(body), err)
		}
		if r.Close(); wk.window != 0 {
			rt.Errorf("%d bytes of the window are still taken", wk.window)
		}
	})
}

func TestXZHeaders(t *testing.T) {
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, payloadExe)
	w.Close()
	good := b.Bytes()
	change := func(at int, to ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], to)
		end := 12 + 4*(int(good[12])+1)
		binary.LittleEndian.PutUint32(c[end-4:], crc32.ChecksumIEEE(c[12:end-4]))
		return c
	}
	filter := 12 + bytes.IndexByte(good[12:], 0x21)
	for _, tt := range []struct {
		name string
		in   []byte
		what []What
	}{
		{"as it is", good, nil},
		{"another check", change(7, 15), []What{Truncated}}, // which is longer than what is left
		{"flags to come", change(6, 1), []What{Corrupt}},
		{"reserved flags of a block", change(13, 0x3c), []What{Corrupt}},
		{"a filter more", change(13, 0x01), []What{Unread}},
		{"another filter", change(filter, 0x04), []What{Unread}},
		{"a dictionary that cannot be", change(filter+2, 41), []What{Corrupt}},
		{"properties of two bytes", change(filter+1, 2), []What{Corrupt}},
		{"sizes that are longer than numbers", change(13, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), []What{Corrupt}},
		{"index cut", good[:len(good)-14], []What{Truncated}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, r := walked(t, tt.in, "a.xz", Limits{})
			checkWhat(t, r, tt.what)
		})
	}
}
