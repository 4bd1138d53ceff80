package attachments

import (
	"bytes"
	"strings"

	"github.com/gomilter/gomilter/message"
)

// neverNames are parameters that no client takes for a name, and whose values end
// as they like: a boundary in .com is none.
var neverNames = map[string]bool{}

func init() {
	for p := range strings.FieldsSeq(`boundary charset format delsp micalg protocol report-type type start start-info x-url
		access-type site server directory expiration permission url method component x-apple-part-url x-mac-type
		x-mac-creator reply-type number total id size creation-date modification-date read-date profile level`) {
		neverNames["content-type "+p] = true
		neverNames["content-disposition "+p] = true
	}
}

// isName reports whether some client may take the value for a file name.
func isName(n message.Name) bool {
	param, _, _ := strings.Cut(n.From, "*") // boundary*0*
	return !neverNames[param]
}

// typeExtensions are media types of files that run, and the ending that stands for
// each.
var typeExtensions = map[string]string{
	"application/hta": "hta", "application/x-msdownload": "exe", "application/x-msdos-program": "exe", "application/x-dosexec": "exe",
	"application/vnd.microsoft.portable-executable": "exe", "application/x-ms-shortcut": "lnk", "application/x-bat": "bat",
	"application/javascript": "js", "application/x-javascript": "js", "application/ecmascript": "js",
	"text/vbscript": "vbs", "application/x-vbscript": "vbs", "application/java-archive": "jar", "application/x-java-archive": "jar",
	"application/x-msi": "msi", "application/x-ms-installer": "msi", "application/vnd.ms-htmlhelp": "chm", "application/x-sh": "sh",
	"application/x-exe": "exe", "application/exe": "exe", "application/x-winexe": "exe", "application/x-shellscript": "sh",
	"application/x-java-jnlp-file": "jnlp", "application/x-apple-aspen-config": "mobileconfig", "application/x-ms-xbap": "xbap",
	"application/vnd.android.package-archive": "apk", "application/msix": "msix", "application/msixbundle": "msixbundle", "application/appx": "appx",
	"application/appxbundle": "appxbundle", "application/appinstaller": "appinstaller", "application/x-apple-diskimage": "dmg",
	"application/windows-library+xml": "library-ms", "application/windows-search-connector+xml": "searchconnector-ms",
	"application/x-ms-application": "application", "text/javascript": "js", "text/scriptlet": "sct", "application/x-ms-vsto": "vsto", "application/x-iso9660-image": "iso",
}

// macroTypes are media types of documents with macros, and the ending that clients give to
// one without a name.
var macroTypes = map[string]string{
	"application/vnd.ms-word.document.macroenabled.12": "docm", "application/vnd.ms-word.template.macroenabled.12": "dotm",
	"application/vnd.ms-excel.sheet.macroenabled.12": "xlsm", "application/vnd.ms-excel.template.macroenabled.12": "xltm",
	"application/vnd.ms-excel.addin.macroenabled.12": "xlam", "application/vnd.ms-excel.sheet.binary.macroenabled.12": "xlsb",
	"application/vnd.ms-powerpoint.presentation.macroenabled.12": "pptm", "application/vnd.ms-powerpoint.template.macroenabled.12": "potm",
	"application/vnd.ms-powerpoint.slideshow.macroenabled.12": "ppsm", "application/vnd.ms-powerpoint.addin.macroenabled.12": "ppam",
	"application/vnd.ms-powerpoint.slide.macroenabled.12": "sldm", "application/msaccess": "mdb", "application/x-msaccess": "mdb",
	"application/vnd.ms-access": "mdb",
}

// typeExtension returns the ending that a media type stands for, "" for one that does
// not matter. Senders are careless with the types of documents, so there the name goes first.
func typeExtension(kind, name string) string {
	if ext := typeExtensions[kind]; ext != "" {
		return ext
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && len(name)-dot > 1 && len(name)-dot <= 6 && !strings.ContainsAny(name[dot:], " /\\") {
		return ""
	}
	return macroTypes[kind]
}

// namedByDescription reports whether clients may save a part under its Content-Description,
// as Outlook does where no name is given. A description of what they show, or take apart, is
// none.
func namedByDescription(p *message.Part) bool {
	kind := p.MediaType()
	switch {
	case p.Filename() != "", strings.HasPrefix(kind, "message/"), strings.HasPrefix(kind, "multipart/"):
		return false
	}
	return !shownTypes[kind] || p.Disposition() == "attachment" || p.Has(message.DefectContentTypes)
}

// closed tells of containers that are no archives and are not looked into, by their
// media type and how they begin; why is "" for all else.
func closed(kind string, head []byte) (rule Rule, why string) {
	switch {
	case kind == "application/ms-tnef", kind == "application/vnd.ms-tnef", bytes.HasPrefix(head, []byte("\x78\x9f\x3e\x22")):
		return IsUnlisted, "it is a container (TNEF, winmail.dat) that cannot be looked into"
	case kind == "application/mac-binhex40", binHex(head):
		return IsUnlisted, "it is packed in a way (BinHex) that cannot be looked into"
	case bytes.HasPrefix(head, []byte{0, 5, 0x16, 0}): // AppleDouble, in mail from Macs, ends in 7 and holds no file
		return IsUnlisted, "it is a file packed for a Mac (AppleSingle, RFC 1740) that cannot be looked into"
	case kind == "application/macbinary", kind == "application/x-macbinary":
		return IsUnlisted, "it is a file packed for a Mac (MacBinary) that cannot be looked into"
	case kind == "application/pkcs7-mime", kind == "application/x-pkcs7-mime":
		return IsEncrypted, "it is sealed (S/MIME), so that nobody on the way can look into it"
	}
	return 0, ""
}

// binHex reports whether a file in BinHex begins in head: the line that says so, and
// one that begins with a colon (RFC 1741 section 4).
func binHex(head []byte) bool {
	rest := head
	for {
		var ok bool
		if _, rest, ok = bytes.Cut(rest, []byte("(This file must be converted with BinHex")); !ok {
			return false
		}
		_, data, _ := bytes.Cut(rest, []byte(")"))
		data = bytes.TrimLeft(data, " \t\r\n")
		if bytes.HasPrefix(data, []byte(":")) || len(data) == 0 && len(head) == headSize {
			return true
		}
	}
}

// shownTypes are those that clients show and do not offer as files.
var shownTypes = map[string]bool{"text/plain": true, "text/html": true, "text/enriched": true, "text/richtext": true, "text/calendar": true}
