package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/internal/wire"
)

// ImportPymilter reads a configuration of one of pymilter's applications, bms (pymilter.cfg), spfmilter
// (spfmilter.cfg) or dkim-milter (dkim-milter.cfg), and returns one of ours that does the same as far as
// there are filters for it. Which one it is of is seen by name, which is what the file is called in comments
// too: one of these three, or the beginning of one as in spfmilter.cfg.old. Of any other name, "socketname" in
// [milter] tells a small application, dkim-milter where there is [dkim] and no [spf]; what has none is of bms. left
// tells each option that was not carried over, or not as it stood, and why; the configuration ends with the same list.
//
// Values are read as bms read them: lines that are indented continue the one before, lines that
// begin with "#" or ";" are comments, quotes are part of a value, and a file that is
// no UTF-8 is Latin-1. Percent signs stay what they are. The files that from_words, access_file and privkey
// name are read, where they can be. The error joins those of r and each line
// that is none of an INI file.
func ImportPymilter(r io.Reader, name string) (toml []byte, left []string, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("config: read %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, nil, fmt.Errorf("config: %s has more than %d bytes", name, maxFile)
	}
	old, err := parseINI(data, name)
	if err != nil {
		return nil, nil, err
	}
	m := &importer{old: old, app: applicationOf(old, name), name: name, done: make(map[string]bool)}
	return m.run(), m.left, nil
}

// An ini is an INI file as Python's configparser reads it.
type ini struct {
	sections []string // in their order
	options  map[string][]iniOption
	latin1   bool
}

// An iniOption is one option of a section; its name is in lower case.
type iniOption struct {
	name, value string
	line        int
}

// parseINI reads an INI file. Its errors name the lines that are none.
func parseINI(data []byte, name string) (*ini, error) {
	f := &ini{options: make(map[string][]iniOption)}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	text := string(data)
	if !utf8.Valid(data) {
		f.latin1 = true
		runes := make([]rune, len(data))
		for i, c := range data {
			runes[i] = rune(c)
		}
		text = string(runes)
	}
	var errs []error
	section, number := "", 0
	var last *iniOption
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.ContainsRune(line, 0):
			errs = append(errs, fmt.Errorf("config: %s:%d: it holds a NUL", name, number))
			continue
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			continue
		case last != nil && (line[0] == ' ' || line[0] == '\t'):
			last.value = strings.TrimSpace(last.value + "\n" + trimmed)
			continue
		case trimmed[0] == '[' && strings.Contains(trimmed, "]"):
			section, last = trimmed[1:strings.IndexByte(trimmed, ']')], nil
			if _, ok := f.options[section]; !ok {
				f.sections = append(f.sections, section)
				f.options[section] = nil
			}
			continue
		}
		i := strings.IndexAny(trimmed, "=:")
		switch {
		case section == "":
			errs = append(errs, fmt.Errorf("config: %s:%d: there is no [section] above it", name, number))
		case i <= 0:
			errs = append(errs, fmt.Errorf("config: %s:%d: neither \"=\" nor \":\" follows the name of an option", name, number))
		default:
			o := iniOption{strings.ToLower(strings.TrimSpace(trimmed[:i])), strings.TrimSpace(trimmed[i+1:]), number}
			list := slices.DeleteFunc(f.options[section], func(x iniOption) bool { return x.name == o.name })
			f.options[section] = append(list, o) // the later wins
			last = &f.options[section][len(list)]
		}
	}
	return f, errors.Join(errs...)
}

// has reports whether an option is there.
func (f *ini) has(section, option string) bool {
	return slices.ContainsFunc(slices.Concat(f.options[section], f.options["DEFAULT"]), func(o iniOption) bool { return o.name == option })
}

// An importer writes a configuration.
type importer struct {
	old  *ini
	app  application
	name string
	out  strings.Builder
	done map[string]bool // options that were looked at, as "section option"
	left []string

	fault string // on_error of filters, "" for the default
}

// get returns an option.
func (m *importer) get(section, option string) (value string, ok bool) {
	m.done[section+" "+option] = true
	for _, from := range []string{section, "DEFAULT"} {
		for _, o := range m.old.options[from] {
			if o.name == option {
				return o.value, true
			}
		}
	}
	return "", false
}

// list returns the elements of an option, none of them empty; nil where it is not there.
func (m *importer) list(section, option string) []string {
	value, ok := m.get(section, option)
	if !ok {
		return nil
	}
	list := []string{}
	for s := range strings.SplitSeq(value, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// yes returns an option that is true or false.
func (m *importer) yes(section, option string, absent bool) bool {
	value, ok := m.get(section, option)
	if !ok {
		return absent
	}
	switch strings.ToLower(value) {
	case "yes", "on", "true", "1":
		return true
	case "no", "off", "false", "0":
		return false
	}
	m.leave(section, option, "%q is neither yes nor no", value)
	return absent
}

// leave notes an option that is not carried over as it stands.
func (m *importer) leave(section, option, format string, args ...any) {
	m.left = append(m.left, oneLine(fmt.Sprintf("[%s] %s: %s", section, option, fmt.Sprintf(format, args...))))
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

func (m *importer) printf(format string, args ...any) { fmt.Fprintf(&m.out, format, args...) }

// value writes a key.
func (m *importer) value(key string, v any) {
	m.printf("%s = %s\n", key, tomlValue(v))
}

func tomlValue(v any) string {
	switch x := v.(type) {
	case string:
		return quote(x)
	case []string:
		var q []string
		for _, s := range x {
			q = append(q, quote(s))
		}
		return "[" + strings.Join(q, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// importedUser is the user that packages make, and that the examples go on as.
const importedUser = "gomilter"

func (m *importer) run() []byte {
	m.printf("# Made of %s, the configuration of pymilter's application %s. What has no filter yet is\n# listed at the end.\n", oneLine(m.name), m.app)
	if m.old.latin1 {
		m.left = append(m.left, "the file is no UTF-8, and was read as Latin-1")
	}
	m.printf("\nuser = %s # started as root, go on as this user\n", quote(importedUser))
	switch m.app {
	case spfmilter:
		m.spfmilter()
	case dkimMilter:
		m.dkimMilter()
	default:
		m.bms()
	}
	m.rest()
	if len(m.left) > 0 {
		m.printf("\n# Not carried over, or not as it stood:\n#\n")
		for _, l := range m.left {
			m.printf("#   %s\n", l)
		}
	}
	return []byte(m.out.String())
}

// bms writes what bms did.
func (m *importer) bms() {
	m.milter()
	chain := []string{"auth", "access", "headers", "attachments", "html"}
	hidden, signer := m.hidden(), m.signer()
	if hidden != nil {
		chain = append(chain, "hide-path")
	}
	if signer != nil {
		chain = append(chain, "sign") // what the others made of the message
	}
	m.listener(chain)
	m.auth(nil)
	m.bmsAccess()
	m.filters()
	if hidden != nil {
		m.hidePath(hidden)
	}
	if signer != nil {
		m.sign(signer)
	}
}

// filters writes those that always are there.
func (m *importer) filters() {
	m.headers()
	m.attachments()
	m.html()
}

// milter writes what is for the whole process.
func (m *importer) milter() {
	if dir, ok := m.get("milter", "datadir"); ok {
		if path.IsAbs(dir) {
			m.printf("\n# datadir\n")
			m.value("state_dir", dir)
			if info, err := os.Stat(dir); err == nil && !ownedBy(info, importedOwners()) {
				m.leave("milter", "datadir", "%s does not belong to the user %s, who is to keep messages there: chown it, or take state_dir away for the folder of the packages", dir, importedUser)
			}
		} else {
			m.leave("milter", "datadir", "%q is no path from the root on", dir)
		}
	}
	m.network("internal_connect", "trusted_relay")
	if dir, ok := m.get("milter", "tempdir"); ok {
		if path.IsAbs(dir) {
			m.printf("\n[spool] # tempdir; originals are kept in state_dir, see [kept] dir\n")
			m.value("dir", dir)
		} else {
			m.leave("milter", "tempdir", "%q is no path from the root on", dir)
		}
	}
}

// network writes which clients are our own; trusted is "" where the application does not know of relays.
func (m *importer) network(internal, trusted string) {
	inside := m.networks(internal)
	var relays []string
	if trusted != "" {
		relays = m.networks(trusted)
	}
	if inside == nil && relays == nil {
		return
	}
	m.printf("\n[network]\n")
	if inside != nil {
		m.value("internal", inside)
	}
	if relays != nil {
		m.value("trusted_relays", relays)
	}
}

// networks returns a list of addresses as networks; nil where it is not there.
func (m *importer) networks(option string) []string {
	list := m.list("milter", option)
	if list == nil {
		return nil
	}
	out := []string{}
	for _, s := range list {
		if p, ok := globPrefix(s); ok {
			s = p
		}
		p, err := parsePrefix(s)
		if err != nil {
			m.leave("milter", option, "%q is no network; names of hosts and other patterns have to be written as their addresses", s)
			continue
		}
		if p.IsSingleIP() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.String())
		}
	}
	return out
}

// globPrefix returns the network of an IPv4 pattern whose stars come last, such as
// "192.168.*".
func globPrefix(s string) (string, bool) {
	fixed, found := strings.CutSuffix(s, ".*")
	for found {
		var more bool
		if fixed, more = strings.CutSuffix(fixed, ".*"); !more {
			break
		}
	}
	n := strings.Count(fixed, ".") + 1
	if !found || n > 3 {
		return "", false
	}
	a, err := netip.ParseAddr(fixed + strings.Repeat(".0", 4-n))
	if err != nil {
		return "", false
	}
	return netip.PrefixFrom(a, 8*n).String(), true
}

// listener writes the socket.
func (m *importer) listener(chain []string) {
	option, usual := m.app.socket()
	socket, ok := m.get("milter", option)
	if !ok {
		socket = usual
	}
	network, _, err := wire.ParseAddr(socket)
	if err != nil {
		m.leave("milter", option, "%v", err)
		socket, network = usual, "unix"
	}
	m.printf("\n[[listener]]\n")
	m.value("socket", socket)
	if m.app == spfmilter {
		m.umask(network)
	}
	m.value("chain", chain)
	if m.app != bms {
		return
	}
	if value, ok := m.get("milter", "timeout"); ok {
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 1e6 {
			m.leave("milter", "timeout", "%q is no number of seconds", value)
		} else {
			m.printf("timeouts = { idle = %s } # timeout; that of callbacks will be another\n", quote(fmt.Sprintf("%ds", n)))
		}
	}
}

// defang returns the section that has the options for attachments and words.
func (m *importer) defang() string {
	if _, ok := m.old.options["defang"]; ok {
		return "defang"
	}
	return "milter"
}

func (m *importer) attachments() {
	section := m.defang()
	ext := m.list(section, "banned_exts")
	if ext == nil && section == "defang" {
		ext = []string{} // bms had a default without the section only
	}
	m.printf("\n[filter.attachments]\n")
	var good []string
	for _, x := range ext {
		if _, err := attachments.New("x", attachments.Options{Extensions: []string{x}}); err != nil {
			m.leave(section, "banned_exts", "%q is no extension", x)
			continue
		}
		good = append(good, strings.ToLower(strings.TrimPrefix(x, ".")))
	}
	switch {
	case ext == nil:
		m.printf("# banned_exts was not set: the list has the 42 that bms had, and some 120 more\n")
	case len(good) == 0:
		m.printf("mode = \"off\" # banned_exts was empty\n")
	default:
		m.printf("# banned_exts; without the key some 170 are known\n")
		m.value("extensions", good)
	}
	if m.yes(section, "scan_zip", false) {
		m.printf("# scan_zip; besides zip the members of other archives are looked at, and content as well as names\n")
	} else {
		m.printf("# scan_zip was off; take the line away to look into archives\n")
		m.printf("actions = { member = \"ignore\", encrypted = \"ignore\", unlisted = \"ignore\", damaged = \"ignore\" }\n")
	}
	if !m.yes(section, "scan_rfc822", true) {
		m.leave(section, "scan_rfc822", "attached messages are always looked at")
	}
	var domains []string
	for _, d := range m.list("scrub", "reject_virus_from") {
		if _, err := address.ASCIIDomain(d); err != nil {
			m.leave("scrub", "reject_virus_from", "%q is no domain; patterns are not known here", d)
			continue
		}
		domains = append(domains, d)
	}
	if domains != nil {
		m.printf("# reject_virus_from; scripts that are removed from HTML do not count\n")
		m.value("reject_from", domains)
	}
}

func (m *importer) html() {
	m.printf("\n[filter.html] # scan_html\n")
	if !m.yes(m.defang(), "scan_html", false) {
		m.printf("mode = \"off\"\n")
	}
}

// headers writes the header rules.
func (m *importer) headers() {
	section := m.defang()
	logged := []string{"Subject", "From", "X-Mailer"}
	if m.yes("milter", "log_headers", false) {
		m.leave("milter", "log_headers", "the log has what decided about a message; a rule that notes every field of every message would drown it. Name the fields you miss in the rule \"logged\"")
	}
	words := func(option string, least int) []string {
		var list []string
		for _, w := range m.list(section, option) {
			switch {
			case strings.HasPrefix(w, "file:") && option != "from_words":
				m.leave(section, option, "%q would be taken for a file", w)
			case len(w) > 1000:
				m.leave(section, option, "a word has more than 1000 bytes")
			case len(w) >= least:
				list = append(list, w)
			}
		}
		return list
	}
	w := headers.Words{Spam: words("spam_words", 1), Porn: words("porn_words", 2), From: words("from_words", 1)}
	w.From = m.fromWords(section, w.From)
	rules := []headers.Rule{{Name: "logged", Fields: logged, Match: headers.Present, Action: headers.Note}}
	rules = append(rules, headers.BMSRules(w)...)
	var rcpts []string
	for _, a := range m.list(section, "block_forward") {
		local, domain, _ := strings.Cut(a, "@")
		_, err := address.ASCIIDomain(domain)
		switch {
		case strings.HasPrefix(a, "file:"):
			m.leave(section, "block_forward", "%s holds local parts; write whole addresses, one a line", a)
		case err != nil || domain == "" || len(a) > 320 || strings.ContainsFunc(a, unicode.IsSpace):
			m.leave(section, "block_forward", "%q is no address", a)
		case local == "":
			rcpts = append(rcpts, "*@"+domain)
		default:
			rcpts = append(rcpts, a)
		}
	}
	if rcpts != nil {
		rules = append(rules, headers.Forwards(rcpts...))
	}

	m.printf("%s", "\n# What bms had in its code, and the words of this configuration. It refuses mail of class\n# external and trusted-relay only.\n[filter.headers]\n")
	for _, r := range rules {
		writeRule(&m.out, "headers", "", r)
	}
	if m.yes(section, "block_chinese", false) {
		m.leave(section, "block_chinese", "it never worked; the rule \"outside latin-1\" is written behind #")
		latin1 := headers.BMSRules(headers.Words{OutsideLatin1: true})
		writeRule(&m.out, "headers", "#", latin1[len(latin1)-1])
	}
}

// fromWords returns the words of from_words. Of a file bms took lines of more than two
// characters only, and ours takes all: where it has shorter ones, which are in half of all names,
// the others are written in its place.
func (m *importer) fromWords(section string, list []string) []string {
	var out []string
	for _, x := range list {
		file, isFile := listFile(x)
		if !isFile {
			out = append(out, x)
			continue
		}
		if !path.IsAbs(file) {
			dir, ok := m.get("milter", "logdir") // where bms stood
			if !ok {
				dir, _ = m.get("milter", "datadir")
			}
			file = path.Join(dir, file)
		}
		data, err := readRegular(file, maxListFile)
		if err != nil {
			m.leave(section, "from_words", "%s could not be read; take lines of 1 or 2 characters out of it: bms passed over them, and here they refuse whoever has them in the name", file)
			out = append(out, "file:"+file)
			continue
		}
		var long []string
		short := 0
		for line := range strings.Lines(string(trimMark(data))) {
			switch line = strings.TrimSpace(line); {
			case line == "" || line[0] == '#':
			case utf8.RuneCountInString(line) <= 2:
				short++
			case len(line) > 1000 || !utf8.ValidString(line) || strings.ContainsRune(line, 0):
				m.leave(section, "from_words", "%s: a line is longer than 1000 bytes, no UTF-8 or holds a NUL", file)
			default:
				long = append(long, line)
			}
		}
		switch {
		case short > 0 && len(long) > 0:
			m.leave(section, "from_words", "%s: the words are written out, as %s of 1 or 2 characters, which bms passed over, would refuse whoever has them in the name", file, lineCount(short))
			out = append(out, long...)
		case short > 0:
			m.leave(section, "from_words", "%s has lines of 1 or 2 characters only, which bms passed over", file)
		case len(long) == 0:
			m.leave(section, "from_words", "%s has no entries", file)
		default:
			out = append(out, "file:"+file)
		}
	}
	return out
}

func lineCount(n int) string {
	if n == 1 {
		return "a line"
	}
	return strconv.Itoa(n) + " lines"
}

// writeRule writes a header rule, each line with a prefix.
func writeRule(b *strings.Builder, filter, prefix string, r headers.Rule) {
	line := func(key string, v any, zero bool) {
		if !zero {
			fmt.Fprintf(b, "%s%s = %s\n", prefix, key, tomlValue(v))
		}
	}
	fmt.Fprintf(b, "\n%s[[filter.%s.rule]]\n", prefix, filter)
	line("name", r.Name, r.Name == "")
	line("fields", r.Fields, len(r.Fields) == 0)
	line("part", r.Part.String(), r.Part == headers.Value)
	line("match", r.Match.String(), false)
	line("values", r.Values, len(r.Values) == 0)
	line("n", r.N, r.N == 0)
	line("case_sensitive", r.CaseSensitive, !r.CaseSensitive)
	var classes []string
	for _, c := range r.Classes {
		classes = append(classes, strings.ReplaceAll(c.String(), " ", "-"))
	}
	line("class", classes, len(classes) == 0)
	line("rcpts", r.Rcpts, len(r.Rcpts) == 0)
	line("action", r.Action.String(), false)
	line("text", r.Text, r.Text == "")
}

// hidden returns the recipients whose mail shall not show the way it took inside; nil for
// none.
func (m *importer) hidden() []string {
	known := &addresses{exact: make(map[string]bool), domains: make(map[string]bool)}
	var rcpts []string
	for _, d := range m.list("scrub", "hide_path") {
		if why := known.add("@" + d); why != "" {
			m.leave("scrub", "hide_path", "%q is no domain", d)
			continue
		}
		rcpts = append(rcpts, "@"+d)
	}
	return rcpts
}

// hidePath writes the filter that removes Received fields.
func (m *importer) hidePath(rcpts []string) {
	m.printf("\n[filter.hide-path] # hide_path; only of our own users' mail, so that loops are still found\nkind = \"headers\"\n")
	m.value("applies.rcpts", rcpts)
	writeRule(&m.out, "hide-path", "", headers.HidePath())
}

// rest tells what was not looked at.
func (m *importer) rest() {
	for _, section := range m.old.sections {
		if section == "DEFAULT" {
			continue
		}
		for _, o := range m.old.options[section] {
			if !m.done[section+" "+o.name] {
				m.leave(section, o.name, "%s", m.notCarried(section, o.name))
			}
		}
	}
}

// notCarried says why an option is not carried over.
func (m *importer) notCarried(section, option string) string {
	if m.app != bms {
		return m.app.notCarried(section, option)
	}
	if why, ok := pymilterOptions[section+" "+option]; ok {
		return why
	}
	for _, s := range pymilterSections {
		if s.section == section && (s.options == "*" || slices.Contains(strings.Fields(s.options), option) || s.names != "" && slices.Contains(m.list(section, s.names), option)) {
			return s.why
		}
	}
	return "pymilter has no such option; is it misspelt?"
}

// pymilterSections are sections that nothing has been made of yet, with the options that pymilter
// knows in them; "*" stands for those of any name, and names is the option that lists names of
// further ones.
var pymilterSections = []struct{ section, options, names, why string }{
	{"wiretap", "blind users dest discard archive smart_alias", "smart_alias", "no copies of mail yet"},
	{"smart_alias", "*", "", "no aliases yet"},
	{"dspam", "dspam_exempt dspam_whitelist dspam_reject dspam_internal dspam_userdir dspam_sizelimit dspam_users dspam_screener", "dspam_users", "no content filter yet"},
	{"srs", "config secret maxage hashlength separator database reject_spoofed ses srs sign fwdomain nosrs banned_users trusted_forwarder", "", "no SRS yet"},
	{"srsmilter", "socketname name miltername datadir trusted_relay internal_connect reject_spoofed miltersrs", "", "no SRS yet"},
	{"gossip", "server peers ttl", "", "no reputation yet"},
	{"greylist", "dbfile time expire retain", "", "no greylisting yet"},
	{"dkim", "selector domain", "", "nothing is signed without privkey"},
}

// pymilterOptions are the options of other sections that have no key yet, and those that never will.
var pymilterOptions = map[string]string{
	"milter logdir":                   "nothing is kept there; the log is [log] to, and what outlives the process is in state_dir",
	"milter private_relay":            "no filter on relaying yet",
	"milter internal_mta":             "no filter on senders yet",
	"milter check_user":               "no filter on recipients yet",
	"milter case_sensitive_localpart": "no aliases yet",
	"milter max_demerits":             "no bans yet",
	"milter errors_url":               "dropped: it sent data of senders to a web page",
	"milter email_providers":          "no bans yet",
	"milter banned_exts":              "options for attachments count in [defang] when there is one",
	"milter scan_rfc822":              "options for attachments count in [defang] when there is one",
	"milter scan_zip":                 "options for attachments count in [defang] when there is one",
	"milter scan_html":                "options for attachments count in [defang] when there is one",
	"milter block_chinese":            "options for words count in [defang] when there is one",
	"milter block_forward":            "options for words count in [defang] when there is one",
	"milter porn_words":               "options for words count in [defang] when there is one",
	"milter spam_words":               "options for words count in [defang] when there is one",
	"milter from_words":               "options for words count in [defang] when there is one",
	"scrub internal_policy":           "policies of SPF are for mail from outside only; those of AUTH users have the key smtp-auth",
	"dkim reject":                     "only dkim-milter had it: see [filter.auth.dmarc] action",
	"dspam whitelist_senders":         "no whitelist yet",
	"dspam whitelist_mx":              "no whitelist yet",
	"dspam dspam_dict":                "dropped: bms did not use it",
	"dspam dspam_train":               "dropped: bms did not use it",
	"spf access_file_nulls":           "dropped: it is of the database, and the text file is read",
	"spf access_file_colon":           "dropped: keys may have either",
	"spf delegate":                    "records for domains without one are written as [[filter.auth.spf.local]], domain by domain",
	"spf supply_sender":               "dropped: a Sender field that is added breaks signatures; Authentication-Results has the sender as smtp.mailfrom",
	"spf trusted_relay":               "bms did not use it; relays are in [milter] trusted_relay",
}
