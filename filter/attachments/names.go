package attachments

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// DefaultExtensions are the names' endings that are dangerous by themselves:
// what a double click runs, on some system with its defaults. In lower case,
// without the dot.
var DefaultExtensions = strings.Fields(`
	accda accde accdr ade adp apk app appcontent-ms appinstaller applescript bgi cnt command diagcfg fileloc inetloc mobileconfig mpkg vsto workflow desktop dmg htc iqy library-ms mcf msu pkg ppa rdp scpt rgs sh slk sys terminal vbscript udl wiz xla application appref-ms appx appxbundle asd asp asx bas bat chm cmd com cpl crt csh
	diagcab dll docm dotm exe fxp gadget grp hlp hpj hta img inf ins iso isp its jar jnlp js jse ksh lnk
	mad maf mag mam maq mar mas mau mav maw mda mdb mde mdt mdw mdz msc msh msh1 msh2 mshxml msi msix
	msixbundle msp mst ocx one onepkg ops osd pcd pif plg potm ppam ppsm pptm prf prg printerexport ps1 ps1xml ps2
	ps2xml psc1 psc2 psd1 psdm1 psm1 pst py pyc pyo pyw pyz pyzw reg scf scr sct search-ms searchconnector-ms
	settingcontent-ms shb shs sldm theme themepack udf url vb vbe vbp vbs vhd vhdx vsmacros vsw webpnp
	website wll wlm ws wsb wsc wsf wsh xbap xlam xll xlm xlsm xltm xnk`)

// extensions are a set of name endings.
type extensions map[string]bool

func newExtensions(list []string) extensions {
	set := make(extensions, len(list))
	for _, x := range list {
		set[strings.ToLower(strings.TrimPrefix(x, "."))] = true
	}
	return set
}

// wrongExtension says why no name can have an extension, "" for one that some have.
func wrongExtension(x string) string {
	switch {
	case x == "":
		return "it is empty"
	case strings.Contains(x, "."):
		return fmt.Sprintf("it has a dot, and what counts is behind the last one: take %q", x[strings.LastIndexByte(x, '.')+1:])
	case strings.ContainsAny(x, "*?"):
		return "wildcards are not known"
	case strings.ContainsAny(x, separators):
		return "a path or stream begins in it"
	case strings.ContainsFunc(x, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return "it has blanks, control characters or bytes that are no UTF-8"
	case len(readings("x."+x)) != 1 || readings("x." + x)[0] != "x."+strings.ToLower(x):
		return "names do not end so: some system drops or changes what is in it"
	}
	return ""
}

// class stands for the extension that Windows takes for a class.
const class = "{class}"

// find returns the dangerous extension that a name has to some system, "" for
// none.
func (x extensions) find(name string) string {
	for _, s := range readings(name) {
		dot := strings.LastIndexByte(s, '.')
		if dot < 0 {
			continue
		}
		ext := s[dot+1:]
		if x[ext] {
			return ext
		}
		// Windows takes a class in braces for an extension.
		if strings.HasPrefix(ext, "{") && strings.HasSuffix(ext, "}") && len(ext) == 38 {
			return class
		}
	}
	return ""
}

// readings returns what a name may come to on some system, in lower case: with
// what a file system drops taken away, with the look of other letters made plain,
// cut where a colon or a NUL ends it, and read in the other direction.
func readings(name string) []string {
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
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 && strings.ContainsAny(name[dot:], separators) {
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

// separators are what parts paths and streams.
const separators = `:/\`

var dropSeparators = strings.NewReplacer(":", "", "/", "", `\`, "")

// trim takes away what systems and programs drop at the end of a name.
func trim(s string) string { return strings.TrimRightFunc(s, dropped) }

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
	return name == trim(name)
}

// show makes a name fit for a warning, a header field or a log: nothing in it
// turns the direction of writing, moves the cursor or ends the line.
func show(name string) string {
	const most = 120
	s := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if r := []rune(s); len(r) > most {
		// The end is what counts.
		s = string(r[:most/2]) + "…" + string(r[len(r)-most/2:])
	}
	return s
}
