package attachments

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/gomilter/gomilter/internal/filename"
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
	tool deskthemepack xlsb dqy oqy rqy website wll wlm ws wsb wsc wsf wsh xbap xlam xll xlm xlsm xltm xnk`)

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
	case strings.ContainsAny(x, filename.Separators):
		return "a path or stream begins in it"
	case strings.ContainsFunc(x, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return "it has blanks, control characters or bytes that are no UTF-8"
	case len(filename.Readings("x."+x)) != 1 || filename.Readings("x." + x)[0] != "x."+strings.ToLower(x):
		return "names do not end so: some system drops or changes what is in it"
	}
	return ""
}

// class stands for the extension that Windows takes for a class.
const class = "{class}"

// find returns the dangerous extension that a name has to some system, "" for
// none.
func (x extensions) find(name string) string {
	for _, s := range filename.Readings(name) {
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
