package html

import (
	"bytes"
	"io"
	"slices"
	"strings"
)

// Words are what is looked for in text of any size, at a few nanoseconds a byte: Go's
// regular expressions take a hundred times that.
type words struct {
	begin [1 << 16]bool          // the first two bytes of a word
	list  map[[2]byte][]string   // by those
	also  func([]byte, int) bool // reports whether what is no word matches at a place
}

// newWords makes words of lower-case ones of two bytes and more.
func newWords(list []string, also func([]byte, int) bool) *words {
	w := &words{list: make(map[[2]byte][]string), also: also}
	for _, s := range list {
		k := [2]byte{s[0], s[1]}
		w.begin[int(k[0])<<8|int(k[1])] = true
		w.list[k] = append(w.list[k], s)
	}
	return w
}

// wordOverlap is the most that a match may have.
const wordOverlap = 256

// in reports whether a text holds any of the words, in any case. Blanks and line ends
// count as one blank. The error is that of r.
func (w *words) in(r io.Reader) (bool, error) {
	in := make([]byte, 32<<10)
	seen := make([]byte, 0, len(in)+wordOverlap)
	for {
		n, err := r.Read(in)
		for _, c := range in[:n] {
			switch {
			case 'A' <= c && c <= 'Z':
				c |= 0x20
			case isSpace(c):
				if c = ' '; len(seen) > 0 && seen[len(seen)-1] == ' ' {
					continue
				}
			}
			seen = append(seen, c)
		}
		if w.match(seen) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if old := len(seen) - wordOverlap; old > 0 {
			seen = append(seen[:0], seen[old:]...)
		}
	}
}

func (w *words) match(b []byte) bool {
	for i := 0; i+1 < len(b); i++ {
		if w.begin[int(b[i])<<8|int(b[i+1])] {
			if slices.ContainsFunc(w.list[[2]byte{b[i], b[i+1]}], func(s string) bool { return string(b[i:min(i+len(s), len(b))]) == s }) {
				return true
			}
		}
		if (b[i] == 'o' && b[i+1] == 'n' || b[i] == '=' || b[i] == '&') && w.also(b, i) {
			return true
		}
	}
	return false
}

func letters(b []byte) int {
	return len(b) - len(bytes.TrimLeft(b, "abcdefghijklmnopqrstuvwxyz"))
}

// actsInBytes finds words that stand in whatever acts, or that readers
// understand differently. Text in an encoding of 16 bits has none of them but by
// rare chance, for its ASCII has NULs between.
var actsInBytes = newWords(strings.Fields(`script frame object embed applet portal webview layer base handler <xml comment
	meta link style title textarea <xmp noembed plaintext svg math form
	href src action data background poster values attribute manifest profile import entity element attlist notation
	[if [cdata <!-`), func(b []byte, i int) bool {
	switch {
	case b[i] == 'o' && letters(b[i:min(i+5, len(b))]) == 5:
		return true
	case b[i] == '&' && i+2 < len(b) && b[i+1] == '#' && (b[i+2] == 'x' || '0' <= b[i+2] && b[i+2] <= '9'):
		return true
	}
	return false
})

// actsWithoutNULs finds what acts in text whose links, styles and the like show
// once the NULs are gone.
var actsWithoutNULs = newWords(strings.Fields(`<script <frame <iframe <object <embed <applet <portal <fencedframe <webview <layer <ilayer <base <handler
	</script </frame </iframe </object </embed </applet </portal </fencedframe </webview </layer </ilayer </base </handler
	srcdoc script: data: expression behavior binding`), func(b []byte, i int) bool {
	switch rest := b[i:]; {
	case rest[0] == 'o': // a handler
		if i == 0 || letters(b[i-1:i]) > 0 {
			return false
		}
		n := letters(rest[:min(len(rest), wordOverlap/2)])
		if rest = bytes.TrimPrefix(rest[n:], []byte(" ")); n > 2 && len(rest) > 0 && rest[0] == '=' {
			return true
		}
	case rest[0] == '=': // a value that begins with a character reference
		rest = bytes.TrimPrefix(rest[1:], []byte(" "))
		if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
			rest = bytes.TrimPrefix(rest[1:], []byte(" "))
		}
		for _, ref := range []string{"&#", "&colon", "&tab", "&newline"} {
			if bytes.HasPrefix(rest, []byte(ref)) {
				return true
			}
		}
	}
	return false
})
