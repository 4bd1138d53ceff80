package config

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter/access"
	"github.com/gomilter/gomilter/policy"
)

// An accessFile is the access file of pymilter's applications: the text that makemap or postmap
// made a database of.
type accessFile struct {
	path    string // "" where the configuration names none that can be named here
	syntax  policy.Syntax
	entries []policy.Entry
	says    *policy.Map // what entries say
	read    bool        // it can be used, as it stands or written out
	whole   bool        // the file can be named as it stands
}

// accessFile reads the access file, as far as it can.
func (m *importer) accessFile() (a accessFile) {
	a.says, _ = policy.New()
	name, _ := m.get("spf", "access_file")
	if name == "" {
		return a
	}
	file := m.fromFolder(strings.TrimSuffix(name, ".db"))
	if !path.IsAbs(file) {
		m.leave("spf", "access_file", "%q is no path from the root on", name)
		return a
	}
	a.path = file
	if nulls := m.yes("spf", "access_file_nulls", false); nulls {
		a.syntax = policy.Postfix // postmap writes them, makemap does when it is told to
	}
	data, err := readRegular(file, maxListFile)
	if err != nil {
		m.leave("spf", "access_file", "%v; it stands behind #, and what it says is not in force: take the # away where the text file is that the database is made of", err)
		return a
	}
	a.read, a.whole = true, true
	found, err := policy.Parse(file, data, a.syntax, policy.Limits{})
	if err != nil {
		if other, err2 := policy.Parse(file, data, policy.Postfix-a.syntax, policy.Limits{}); err2 == nil {
			a.syntax, found, err = policy.Postfix-a.syntax, other, nil
		}
	}
	if err != nil {
		a.whole = false
		found = m.mendAccess(file, data, a.syntax, err)
	}
	a.entries = found.Entries
	m.judgeAccess(&a)
	return a
}

// fromFolder returns a path as an application took it, which stood in a folder of its own.
func (m *importer) fromFolder(file string) string {
	if path.IsAbs(file) {
		return file
	}
	var dir string
	if m.app == bms {
		dir, _ = m.get("milter", "logdir")
	}
	if dir == "" {
		dir, _ = m.get("milter", "datadir")
	}
	return path.Join(dir, file)
}

// maxMends is how often a file is read again without the lines that are wrong, of which each
// reading tells some.
const maxMends = 100

// mendAccess returns what a file says whose lines are not all right. Words that there are not meant something
// to the old applications; keys that are wrong they never found.
func (m *importer) mendAccess(file string, data []byte, s policy.Syntax, err error) policy.File {
	lines := slices.Collect(bytes.Lines(data))
	mended := make(map[int]bool)
	for range maxMends {
		for _, e := range unjoin(err) {
			x, ok := errors.AsType[*policy.LineError](e)
			if !ok || x.Line < 1 || x.Line > len(lines) {
				m.leave("spf", "access_file", "%v", e)
				return policy.File{}
			}
			key, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(string(lines[x.Line-1])), "\t", " "), " ")
			if why := strings.TrimPrefix(x.Err.Error(), policy.ErrWord.Error()+": "); errors.Is(x, policy.ErrWord) && !mended[x.Line] {
				mended[x.Line] = true
				prefix, _ := policy.Entry{Key: key}.Prefix()
				instead := m.instead(prefix.Identity(), true)
				m.leave("spf", "access_file", "%s:%d: %s; %v is written, which it was before", file, x.Line, why, instead)
				lines[x.Line-1] = fmt.Appendf(nil, "%s %v\n", key, instead)
				continue
			}
			m.leave("spf", "access_file", "%s:%d: %s", file, x.Line, reason(reasonOf(x.Err), policy.ErrFile))
			lines[x.Line-1] = []byte("From:x x\n") // what stands below may continue it
		}
		f, again := policy.Parse(file, slices.Concat(lines...), s, policy.Limits{})
		if again == nil {
			return f
		}
		err = again
	}
	m.leave("spf", "access_file", "%s has more lines that are wrong, and is left out", file)
	return policy.File{}
}

// instead returns the word for one that nobody knows, or that nobody carries out.
func (m *importer) instead(id policy.Identity, unknown bool) policy.Word {
	switch {
	case id == policy.SMTPAuth, // what was there and not OK refused
		m.app == spfmilter && id == policy.HELO, // likewise
		m.app == bms && unknown:
		return policy.Reject
	}
	return policy.OK
}

// reasonOf returns an error without the words that say of which kind it is, but for those of a file.
func reasonOf(err error) error {
	return errors.New(reason(err, policy.ErrKey))
}

// judgeAccess takes out of the entries what there is nobody for, and what contradicts an earlier line.
func (m *importer) judgeAccess(a *accessFile) {
	var asked []string // that the sender is asked
	var bans, whitelists bool
	good := a.entries[:0:0]
	twice := contradictions(a.entries)
	for i, e := range a.entries {
		one, err := policy.New(policy.Table{Name: "x", Entries: []policy.Entry{e}})
		if err == nil {
			_, err = access.New("x", access.Options{Map: one})
		}
		if why := twice[i]; why != nil || err != nil {
			if why == nil {
				why = err
			}
			m.leave("spf", "access_file", "%s:%d: %s", a.path, e.Line, reason(errors.New(reason(why, policy.ErrEntry)), access.ErrOptions))
			a.whole = false
			continue
		}
		switch e.Action.Word {
		case policy.CBV, policy.DSN:
			asked = append(asked, fmt.Sprintf("%s %v", e.Key, e.Action.Word))
			prefix, _ := e.Prefix()
			e.Action = policy.Action{Word: m.instead(prefix.Identity(), false)}
			a.whole = false
		case policy.Ban:
			bans = true
		case policy.Whitelist:
			whitelists = true
		}
		good = append(good, e)
	}
	a.entries = good
	a.says, _ = policy.New(policy.Table{Name: a.path, Entries: good})
	if n := len(asked); n > 0 {
		more := ""
		if n > 3 {
			asked, more = asked[:3], fmt.Sprintf(" and %d more", n-3)
		}
		m.leave("spf", "access_file", "%s%s: there is no filter yet that asks a sender's server or writes to the sender; OK is written in its place, and REJECT where that refused before", strings.Join(asked, ", "), more)
	}
	if bans {
		m.leave("spf", "access_file", "BAN refuses the message; no filter yet keeps a list of hosts that are refused from then on")
	}
	if whitelists && m.app == bms {
		m.leave("spf", "access_file", "WHITELIST is over what SPF, HELO, DKIM and DMARC say; header rules and attachments are looked at all the same")
	}
	if a.read && len(good) == 0 {
		m.leave("spf", "access_file", "%s has no SPF-, HELO-, DKIM- or SMTP-Auth- keys", a.path)
		return
	}
	size := 0
	for _, e := range good {
		size += len(e.Key) + len("  \"\",\n")
	}
	switch {
	case a.whole:
	case size > maxFile/4:
		m.leave("spf", "access_file", "%s is too long to be written out; it stands behind #, and what it says is not in force: take the # away when these lines are mended", a.path)
		*a = accessFile{path: a.path, syntax: a.syntax}
		a.says, _ = policy.New() // as where it cannot be read
	default:
		m.leave("spf", "access_file", "what %s says is written out below; changes to the file are not seen any more", a.path)
	}
}

// refusesNeutral reports whether an entry keeps mail with neutral from its recipients.
func refusesNeutral(e policy.Entry) bool {
	p, _ := e.Prefix()
	return p == policy.PrefixOf(policy.SPF, "neutral") && (e.Action.Word.Refuses() || e.Action.Word == policy.Discard || e.Action.Word == policy.Quarantine)
}

// contradictions returns why entries cannot stand beside those before them, by their index.
func contradictions(entries []policy.Entry) map[int]error {
	_, err := policy.New(policy.Table{Entries: entries})
	if err == nil {
		return nil
	}
	why := make(map[int]error)
	for _, e := range unjoin(err) {
		if x, ok := errors.AsType[*policy.EntryError](e); ok {
			why[x.Index] = x.Err
		}
	}
	return why
}

// A policyRule is a rule of a filter of kind access.
type policyRule struct {
	comment, name string
	keys          []string
	do            string
}

// silent returns the keys of which the access file says nothing: the old applications had policies of
// their own for these only.
func (a *accessFile) silent(keys ...string) []string {
	return slices.DeleteFunc(keys, func(key string) bool {
		prefix, about, _ := strings.Cut(key, ":")
		_, found := a.says.Lookup(about, "", policy.Prefix(prefix))
		return found
	})
}

// policyKeys returns the keys of a result for domains.
func policyKeys(prefix string, domains []string) (keys []string) {
	for _, d := range domains {
		keys = append(keys, prefix+":"+d)
	}
	return keys
}

// domains returns a list of domains, in lower case.
func (m *importer) domains(section, option string) (list []string) {
	for _, s := range m.list(section, option) {
		d, err := address.ASCIIDomain(s)
		if err != nil || policyKey(d) != nil {
			m.leave(section, option, "%q is no domain", s)
			continue
		}
		if d = strings.ToLower(d); !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// policyKey tells why there can be no key of a domain.
func policyKey(domain string) error {
	_, err := policy.New(policy.Table{Entries: []policy.Entry{{Key: "spf-fail:" + domain, Action: policy.Action{Word: policy.OK}}}})
	return err
}

// writeAccess writes the rules, and the file behind them.
func (m *importer) writeAccess(a *accessFile, rules []policyRule) {
	for _, r := range rules {
		if len(r.keys) == 0 {
			continue
		}
		m.printf("\n")
		if r.comment != "" {
			m.printf("# %s\n", r.comment)
		}
		m.printf("[[filter.access.rule]]\n")
		if r.name != "" {
			m.value("name", r.name)
		}
		m.value("keys", r.keys)
		m.value("do", r.do)
	}
	switch {
	case a.path == "":
	case !a.read:
		m.printf("\n# access_file, which cannot be used as it is.\n#[[filter.access.map]]\n#file = %s\n#syntax = %s\n", quote(a.path), quote(a.syntax.String()))
	case len(a.entries) == 0:
	case a.whole:
		m.printf("\n# access_file; keys of others in it are left alone. Rules above go before it for the same key.\n[[filter.access.map]]\n")
		m.value("file", a.path)
		m.value("syntax", a.syntax.String())
	default:
		m.printf("\n# What access_file says.\n")
		var order []string
		keys := make(map[string][]string)
		for _, e := range a.entries {
			do := e.Action.String()
			if keys[do] == nil {
				order = append(order, do)
			}
			keys[do] = append(keys[do], e.Key)
		}
		for _, do := range order {
			m.printf("\n[[filter.access.rule]]\nkeys = [\n")
			for _, k := range keys[do] {
				m.printf("  %s,\n", quote(k))
			}
			m.printf("]\n")
			m.value("do", do)
		}
	}
}
