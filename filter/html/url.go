package html

import "strings"

// squeeze returns the first n bytes of s that are visible ASCII, in lower case.
// Browsers skip tabs and line ends anywhere in a URL, and blanks and controls
// before it; some readers skip more, and nothing else is needed of one.
func squeeze(s string, n int) string {
	out := make([]byte, 0, min(n, len(s)))
	for i := 0; i < len(s) && len(out) < n; i++ {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f:
		case 'A' <= c && c <= 'Z':
			out = append(out, c+'a'-'A')
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// scriptSchemes run what follows them, or hand on to one that does.
var scriptSchemes = []string{
	"javascript:", "vbscript:", "livescript:", "jscript:", "ecmascript:", "mocha:", "x-javascript:",
	"blob:", "filesystem:", "jar:", "mhtml:", "mk:", "ms-its:", "its:", "view-source:", "wyciwyg:", "feed:javascript:",
	"feed:data:", "pcast:javascript:", "pcast:data:", "about:srcdoc",
}

// dataImages are the images that hold no markup.
var dataImages = []string{"image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp"}

// activeURL reports whether a URL runs or carries code. image: images in data:
// URLs are none.
func activeURL(s string, image bool) bool { return badScheme(squeeze(s, 64), image) }

// urlLists are the attributes that hold several URLs.
var urlLists = map[string]bool{"srcset": true, "imagesrcset": true, "values": true, "ping": true, "archive": true}

// activeInList is activeURL for each of several.
func activeInList(s string, image bool) bool {
	for piece := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' || r <= ' ' }) {
		if activeURL(piece, image) {
			return true
		}
	}
	return activeURL(s, image)
}

func badScheme(s string, image bool) bool {
	s = strings.TrimLeft(s, "`") // a quote to old browsers
	for {
		rest, ok := strings.CutPrefix(s, "url(")
		if !ok {
			break
		}
		s = strings.TrimLeft(rest, `"'`)
	}
	for _, scheme := range scriptSchemes {
		if strings.HasPrefix(s, scheme) {
			return true
		}
	}
	rest, ok := strings.CutPrefix(s, "data:")
	return ok && !(image && isType(rest, dataImages))
}

// isType reports whether a data: URL begins with one of some media types.
func isType(s string, types []string) bool {
	for _, t := range types {
		if rest, ok := strings.CutPrefix(s, t); ok && (rest == "" || rest[0] == ';' || rest[0] == ',') {
			return true
		}
	}
	return false
}
