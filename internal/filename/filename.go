// Package filename tells what the name of an attachment comes to on the systems that
// save or open it: filters that go by its ending must not be misled by what those drop.
package filename

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Readings returns what a name may come to on some system, in lower case: with
// what a file system drops taken away, with the look of other letters made plain,
// cut where a colon or a NUL ends it, and read in the other direction. There is none of a name
// of which nothing is left.
func Readings(name string) []string {
	if plain(name) {
		return []string{name}
	}
	reversed := strings.ContainsAny(name, "\u202e\u202b\u2067\u200f\u061c")
	for _, dot := range []string{"%2e", "%2E", "&#46;", "&#x2e;", "&#x2E;", "&#X2E;", "&period;"} {
		name = strings.ReplaceAll(name, dot, ".")
	}
	name = strings.ToLower(norm.NFKC.String(name))
	// A path's last element counts, and a stream behind a colon as well as the name
	// before it; a NUL ends a name for C programs.
	var out []string
	pieces := strings.FieldsFunc(name, func(r rune) bool { return r == ':' || r == 0 })
	if strings.ContainsRune(name, 0) { // or it is dropped
		pieces = append(pieces, strings.ReplaceAll(name, "\x00", ""))
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 && strings.ContainsAny(name[dot:], Separators) {
		// As are characters that no name may have.
		pieces = append(pieces, dropSeparators.Replace(name))
	}
	for _, piece := range pieces {
		piece = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
				return -1 // not seen
			}
			return r
		}, piece)
		piece = strings.TrimRightFunc(piece, func(r rune) bool { return dropped(r) || r == '/' || r == '\\' })
		piece = piece[strings.LastIndexAny(piece, "/\\")+1:]
		if piece == "" {
			continue
		}
		out = append(out, piece)
		if reversed {
			r := []rune(piece)
			for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
				r[i], r[j] = r[j], r[i]
			}
			out = append(out, string(r))
		}
	}
	return out
}

// Separators are what parts paths and streams.
const Separators = `:/\`

var dropSeparators = strings.NewReplacer(":", "", "/", "", `\`, "")

// dropped tells what systems and programs drop at the end of a name.
func dropped(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(".\"'`;,<>|?*", r) }

// plain reports whether a name is what it seems, in lower case.
func plain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == ' ', c == '(', c == ')', c == '[', c == ']', c == '+', c == '{', c == '}':
		default:
			return false
		}
	}
	return name == strings.TrimRightFunc(name, dropped)
}
