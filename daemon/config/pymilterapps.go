package config

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// An application is one of pymilter's.
type application string

// The applications whose configurations are imported.
const (
	bms        application = "bms"
	spfmilter  application = "spfmilter"
	dkimMilter application = "dkim-milter"
)

// applicationOf finds out whose configuration it is: the usual names of the files tell. In one of another name, both
// small applications call their socket another way than bms.
func applicationOf(f *ini, name string) application {
	name = path.Base(name)
	switch {
	case strings.HasPrefix(name, "spfmilter"):
		return spfmilter
	case strings.HasPrefix(name, "dkim-milter"):
		return dkimMilter
	case strings.HasPrefix(name, "pymilter"), f.has("milter", "socket"), !f.has("milter", "socketname"):
		return bms
	case slices.Contains(f.sections, "dkim") && !slices.Contains(f.sections, "spf"):
		return dkimMilter
	}
	return spfmilter
}

// socket returns the option that names the socket, and the socket that is used without.
func (a application) socket() (option, usual string) {
	switch a {
	case spfmilter:
		return "socketname", "/tmp/spfmiltersock"
	case dkimMilter:
		return "socketname", "/tmp/dkimmiltersock"
	}
	return "socket", "/var/run/milter/pythonsock"
}

// notCarried says why an option of a small application is not carried over.
func (a application) notCarried(section, option string) string {
	switch {
	case section == "milter" && option == "socket":
		named, usual := a.socket()
		return string(a) + " calls it " + named + ", and listened at " + usual
	case section == "milter" && option == "datadir":
		return "nothing is kept there"
	case section == "milter" && option == "name":
		return "the log has the name of the listener, and those of filters"
	case a == spfmilter && section == "spf" && option == "access_file_nulls":
		return "dropped: it is of the database, and the text file is read"
	case a == spfmilter && section == "spf" && option == "access_file_colon":
		return "dropped: keys may have either"
	case a == spfmilter && section == "spf" && (option == "best_guess" || option == "delegate"):
		return "spfmilter did not use it; see guess and local of [filter.auth.spf]"
	case a == spfmilter && section == "spf" && option == "trusted_relay":
		return "trusted_forwarder, as it was called later, is there, too"
	case a == dkimMilter && section == "dkim" && (option == "selector" || option == "domain"):
		return "nothing is signed without privkey"
	case a == dkimMilter && (slices.Contains([]string{"loggers", "handlers", "formatters"}, section) ||
		slices.ContainsFunc([]string{"logger_", "handler_", "formatter_"}, func(p string) bool { return strings.HasPrefix(section, p) })):
		return "the log is [log] to: standard error, syslog or a file"
	}
	return string(a) + " has no such option; is it misspelt?"
}

// spfmilter writes what spfmilter did.
func (m *importer) spfmilter() {
	m.network("internal_connect", "trusted_relay")
	m.exceptions()
	m.listener([]string{"auth", "access"})
	m.auth([]string{"auth", "spf", "helo"})
	a := m.accessFile()
	m.printf("\n# What spfmilter had in its code, and the policies of this configuration. Neutral, none and softfail pass\n# where the access file does not say otherwise.\n[filter.access]\nwait = \"never\"\nhelo_numeric = true\nhelo_missing = true\n")
	m.onError()
	if slices.ContainsFunc(a.entries, refusesNeutral) {
		m.leave("spf", "access_file", "spfmilter went by SPF-Neutral for mail without a record, too; write SPF-None where that was meant")
	}
	m.writeAccess(&a, []policyRule{
		{"", "spf fail", a.silent("spf-fail"), "REJECT"},
		{"", "spf permerror", a.silent("spf-permerror"), "REJECT"},
		{"", "spf temperror", a.silent("spf-temperror"), "TEMPFAIL"},
		{"Of the HELO name, where the sender's SPF does not pass.", "helo", a.silent("helo-fail", "helo-softfail", "helo-neutral"), "REJECT"},
	})
}

// exceptions reads what becomes of mail when the application breaks.
func (m *importer) exceptions() {
	value, ok := m.get("milter", "untrapped_exception")
	if !ok {
		return
	}
	switch strings.ToUpper(value) {
	case "CONTINUE", "ACCEPT":
		m.fault = "accept"
	case "REJECT":
		m.fault = "reject"
	case "TEMPFAIL":
		m.fault = "tempfail"
	default:
		m.leave("milter", "untrapped_exception", "%q is none of CONTINUE, REJECT and TEMPFAIL; mail is answered tempfail", value)
	}
}

// umask writes the permissions of the socket.
func (m *importer) umask(network string) {
	value, ok := m.get("milter", "umask")
	if !ok {
		return
	}
	digits := strings.TrimPrefix(strings.ToLower(value), "0o")
	mask, err := strconv.ParseUint(digits, 8, 32)
	switch {
	case err != nil || mask > 0o777:
		m.leave("milter", "umask", "%q is no number with the digits 0 to 7", value)
	case mask == 0o777:
		m.leave("milter", "umask", "nobody could write to the socket")
	case network == "unix":
		m.printf("mode = \"%04o\" # umask\n", 0o777&^fs.FileMode(mask))
	}
}

// dkimMilter writes what dkim-milter did.
func (m *importer) dkimMilter() {
	m.network("internal_connect", "")
	chain, signer := []string{"auth"}, m.signer()
	if signer != nil {
		chain = append(chain, "sign")
	}
	m.listener(chain)
	methods := []string{"auth", "dkim"}
	reject, rejects := m.get("dkim", "reject")
	if rejects {
		methods = []string{"auth", "spf", "dkim", "dmarc"}
		m.leave("dkim", "reject", "%q was of ADSP, which is history (RFC 5617); DMARC came in its place, goes by SPF, too, and is only reported: take the # away before [filter.auth.dmarc] to refuse what authors' domains want refused", reject)
	}
	m.auth(methods)
	if rejects {
		m.printf("\n#[filter.auth.dmarc]\n#action = \"published\"\n")
	}
	if signer != nil {
		m.sign(signer)
	}
}
