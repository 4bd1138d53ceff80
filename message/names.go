package message

import (
	"slices"
	"strings"
	"unicode"
)

// A Name is what some client may take for the file name of a part.
type Name struct {
	Value string
	From  string // "content-disposition filename*", "content-type name", "uuencode", "yenc"
}

// Clean returns the name as a file system may end up with it: without control
// characters and those that turn the direction of writing, and without blanks,
// dots and quotes at its end and blanks and quotes at its beginning.
func (n Name) Clean() string {
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, n.Value)
	const quotes = "\"'`"
	s = strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(quotes, r) })
	return strings.TrimRightFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '.' || strings.ContainsRune(quotes, r)
	})
}

// maxNames is how many names of a part are gathered.
const maxNames = 2000

// Names returns everything a client could take for the part's file name: all
// parameters of all Content-Type and Content-Disposition fields whatever they are
// called (clients have been seen to run a part by any of them), Content-Name,
// X-Sun-Data-Name and Content-Description fields, the last element of the path in
// Content-Location, and the name of a file that is uuencoded or in yEnc; decoded, and as it stands
// where that differs. Where clients differ, all their readings are there: with
// comments and without, up to a NUL and without it, and of fields that stand
// behind a bare CR. The first 2000 are returned; [DefectParamsLimit] tells that
// there are more.
func (p *Part) Names() []Name {
	var names []Name
	seen := make(map[Name]bool)
	put := func(value, from string) {
		n := Name{value, from}
		switch {
		case value == "" || seen[n]:
		case len(names) == maxNames:
			p.note(DefectParamsLimit, p.start)
		default:
			seen[n] = true
			names = append(names, n)
		}
	}
	add := func(value, from string) {
		put(value, from)
		if i := strings.IndexByte(value, 0); i >= 0 {
			put(value[:i], from)
			put(strings.ReplaceAll(value, "\x00", ""), from)
		}
	}
	count := map[string]int{}
	field := func(f Field) {
		if !f.isName() {
			return
		}
		name := toLower(f.Name())
		switch name {
		case "content-type", "content-disposition":
			if count[name]++; count[name] > maxFields {
				p.note(DefectParamsLimit, p.start)
				return
			}
			params, _ := paramReadings(f.Text(true))
			for _, param := range params {
				from := strings.TrimRight(name+" "+param.Attr, " ")
				for _, v := range param.readings() {
					add(v, from)
				}
			}
		case "content-name", "x-sun-data-name", "content-description", "content-location":
			raw := strings.Trim(unfold(f.Text(true)), blanks)
			all := append([]string{DecodeWords(raw), raw}, utf16Readings(raw)...)
			for _, v := range all {
				if name == "content-location" {
					// A name may be encoded in the address (RFC 3986 section 2.1).
					v = lastElement(v)
					add(string(appendPercent(nil, v)), name)
				}
				if i := strings.IndexByte(v, 0); i >= 0 {
					add(printable(v[:i]), name)
				}
				add(printable(v), name)
			}
			if name != "content-location" {
				add(raw, name)
			}
		}
	}
	for _, f := range p.Header {
		field(f)
		for _, g := range behindCR(f) {
			field(g)
		}
	}
	if p.uu != nil && p.uu.name != "" {
		from := "uuencode"
		if p.uu.yenc {
			from = "yenc"
		}
		add(decodeCharset("", []byte(p.uu.name)), from)
		add(p.uu.name, from)
	}
	return slices.Clip(names)
}

// isName reports whether Names looks at a field.
func (f Field) isName() bool {
	for _, name := range [...]string{"Content-Type", "Content-Disposition", "Content-Name", "X-Sun-Data-Name", "Content-Description", "Content-Location"} {
		if f.Is(name) {
			return true
		}
	}
	return false
}

// Filename returns the name under which a client would most likely show and save
// the part, "" for none: the filename of Content-Disposition, the name of
// Content-Type, or that of a file that is uuencoded or in yEnc; decoded and without control characters.
func (p *Part) Filename() string {
	for _, from := range []struct {
		params []Param
		name   string
	}{{p.dparam, "filename"}, {p.params, "name"}, {p.dparam, "name"}, {p.params, "filename"}} {
		if v, ok := lookup(from.params, from.name); ok {
			if s := strings.Trim(printable(v.Value), " "); s != "" {
				return s
			}
		}
	}
	if p.uu == nil && !slices.ContainsFunc(p.Header, func(f Field) bool {
		return f.Is("Content-Name") || f.Is("X-Sun-Data-Name") || f.holdsBareCR()
	}) {
		return ""
	}
	for _, n := range p.Names() {
		if n.From == "content-name" || n.From == "x-sun-data-name" || n.From == "uuencode" || n.From == "yenc" {
			return printable(n.Value)
		}
	}
	return ""
}
