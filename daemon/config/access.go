package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/access"
	"github.com/gomilter/gomilter/policy"
)

var accessKind = filterKind{
	name: "access",
	doc:  "refuses, holds and whitelists mail by what SPF, HELO, DKIM, DMARC and AUTH came to, in maps as the old access files have them",
	options: func() any {
		return &Access{Wait: WaitAuto, HeloNames: []string{}, MaxEntries: 1_000_000, MaxFile: maxListFile, MaxLine: 4096}
	},
	build: func(b *build) *filter.Filter { return b.filter.Options.(*Access).build(b) },
}

// Access is the table of a filter of kind access.
type Access struct {
	Wait        AccessWait   `toml:"wait" doc:"let refusals by SPF and HELO wait for the end of the message, where a DKIM signature of the author's or the sender's domain cancels them, or puts them off where its key cannot be had now: auto where a filter before it in the chain does DKIM and DMARC, always, never"`
	HeloNumeric bool         `toml:"helo_numeric" doc:"refuse clients from outside whose HELO name is an address, or an address in brackets that is not their own"`
	HeloMissing bool         `toml:"helo_missing" doc:"refuse clients from outside that send no HELO"`
	HeloNames   []string     `toml:"helo_names" doc:"refuse clients from outside whose HELO name is one of these, such as our own; with wildcards"`
	MaxEntries  int          `toml:"max_entries" opt:"min=1" doc:"entries of one map file"`
	MaxFile     Size         `toml:"max_file" doc:"bytes of one map file"`
	MaxLine     Size         `toml:"max_line" doc:"bytes of one line of a map file, with those that continue it"`
	Rules       []AccessRule `toml:"rule" doc:"policies that stand here; for the same key they go before those of files, and earlier ones before later ones"`
	Maps        []AccessMap  `toml:"map" doc:"policies that stand in text files; they are read again when they change"`

	policies *accessPolicies // since it was checked
}

// An AccessRule is a table [[filter.NAME.rule]].
type AccessRule struct {
	Name  string   `toml:"name" doc:"of the rule in explanations; the default is its number"`
	Keys  []string `toml:"keys" example:"[\"spf-fail:example.com\"]" doc:"what it is for: spf-RESULT, helo-RESULT, dkim-RESULT, dmarc-RESULT or smtp-auth, and behind a colon an address, a domain, or the parent of domains with a dot before it; behind smtp-auth: a user, @ and the domain of the sender, or none for all"`
	Do    string   `toml:"do" example:"\"REJECT\"" doc:"OK, WHITELIST, CBV, DSN, QUARANTINE, TEMPFAIL, DISCARD, REJECT or BAN, or a reply such as 550 5.7.1 text; there is no default"`
	Rcpts []string `toml:"rcpts" example:"[\"*@example.com\"]" doc:"the recipients it is for: user@domain, @domain, with wildcards; without, all"`
}

// An AccessMap is a table [[filter.NAME.map]].
type AccessMap struct {
	File   string        `toml:"file" opt:"path,list" doc:"the text file, never the database that is made of it; there is no default"`
	Syntax policy.Syntax `toml:"syntax" doc:"how it is written: sendmail, as the source of makemap; postfix, as that of postmap, where lines that begin with a blank continue others"`
	Rcpts  []string      `toml:"rcpts" example:"[\"*@example.com\"]" doc:"the recipients it is for; without, all"`
}

// An AccessWait is when refusals by SPF are told.
type AccessWait string

// The times.
const (
	WaitAuto   AccessWait = "auto"
	WaitAlways AccessWait = "always"
	WaitNever  AccessWait = "never"
)

// accessPolicies are the rules and maps of a filter, and where each stands.
type accessPolicies struct {
	compiled *policy.Map
	uses     []policyUse
}

// A policyUse is an entry of a map.
type policyUse struct {
	identity policy.Identity
	word     policy.Word
	key      string // as it is written
	at       place
	of       string // the key of the configuration that has it, such as "rule[1].do"
}

func (o *Access) build(b *build) *filter.Filter {
	for i, s := range o.HeloNames {
		if _, err := address.ParseHostGlob(s); err != nil {
			b.bad(element("helo_names", i), "%v", err)
		}
	}
	if o.policies == nil {
		p := o.read(b)
		if b.failed {
			return nil
		}
		o.policies = p
	}
	if b.failed {
		return nil
	}
	if len(o.policies.uses) == 0 && !o.HeloNumeric && !o.HeloMissing && len(o.HeloNames) == 0 {
		b.warn("", "it has no [[filter.%s.rule]] and no [[filter.%s.map]], and refuses nothing", b.filter.Name, b.filter.Name)
	}
	wait := o.Wait == WaitAlways || o.Wait == WaitAuto && slices.Contains(b.told, policy.DKIM) && slices.Contains(b.told, policy.DMARC)
	f, err := access.New(b.filter.Name, access.Options{Map: o.policies.compiled, Wait: wait, Silent: b.filter.Mode == filter.Report,
		HeloNumeric: o.HeloNumeric, HeloMissing: o.HeloMissing, HeloNames: o.HeloNames})
	if err != nil {
		for _, e := range unjoin(err) {
			b.bad("", "%s", reason(e, access.ErrOptions))
		}
		return nil
	}
	return f
}

// read makes a map of the rules and of the files.
func (o *Access) read(b *build) *accessPolicies {
	p := new(accessPolicies)
	var tables []policy.Table
	names := make(map[string]string)
	for i, r := range o.Rules {
		if t, ok := o.rule(b, i, r, p); ok {
			if before := names[t.Name]; before != "" {
				b.bad(element("rule", i)+".name", "it is that of %s, too", before)
			}
			names[t.Name] = element("rule", i)
			tables = append(tables, t)
		}
	}
	for i, m := range o.Maps {
		if t, ok := o.file(b, i, m, p); ok {
			tables = append(tables, t)
		}
	}
	if b.failed {
		return nil
	}
	var err error
	if p.compiled, err = policy.New(tables...); err == nil {
		return p
	}
	at := make(map[string]int) // of the first use of a table
	n := 0
	for _, t := range tables {
		at[t.Name] = n
		n += len(t.Entries)
	}
	for _, e := range unjoin(err) {
		x, ok := errors.AsType[*policy.EntryError](e)
		if !ok {
			b.bad("", "%v", e)
			continue
		}
		u := p.uses[at[x.Table]+x.Index]
		b.badAt(u.at, u.of, "%s", policyReason(x.Err))
	}
	return nil
}

// policyReason drops the words that begin errors of package policy.
func policyReason(err error) string {
	for _, begin := range []error{policy.ErrKey, policy.ErrWord, policy.ErrEntry, policy.ErrFile} {
		if errors.Is(err, begin) {
			return reason(err, begin)
		}
	}
	return err.Error()
}

// badAt tells what is wrong at a place that is not that of a key.
func (b *build) badAt(at place, key, format string, args ...any) {
	_, whole := b.at(key)
	b.failed = true
	b.problem(at.problem(whole, format, args...))
}

// warnAt tells what is unwise at such a place.
func (b *build) warnAt(at place, key, format string, args ...any) {
	_, whole := b.at(key)
	w := at.problem(whole, format, args...)
	w.Warning = true
	b.problem(w)
}

// rule makes a table of a rule.
func (o *Access) rule(b *build, i int, r AccessRule, p *accessPolicies) (t policy.Table, ok bool) {
	key := element("rule", i)
	t.Name = "rule " + strconv.Itoa(i+1)
	if r.Name != "" {
		t.Name = "rule " + r.Name
		if len(r.Name) > 100 || strings.ContainsFunc(r.Name, func(x rune) bool { return !strconv.IsPrint(x) }) {
			b.bad(key+".name", "it is longer than 100 bytes, or holds control characters")
		}
	}
	failed := b.failed
	b.failed = false
	defer func() { b.failed = b.failed || failed }()
	if len(r.Keys) == 0 {
		b.bad(key+".keys", "it has no keys; write keys = [\"spf-fail:example.com\"]")
	}
	action, err := policy.ParseAction(r.Do)
	switch {
	case r.Do == "":
		b.bad(key+".do", "it does nothing; write do = \"REJECT\" or another word")
	case err != nil:
		b.bad(key+".do", "%s", policyReason(err))
	default:
		o.judge(b, key+".do", action)
	}
	t.Rcpts = recipients(b, key, r.Rcpts)
	for j, k := range r.Keys {
		e := policy.Entry{Key: k, Action: action}
		prefix, err := e.Prefix()
		if err == nil && action.Word != policy.None {
			_, err = policy.New(policy.Table{Name: t.Name, Entries: []policy.Entry{e}})
			if x, ok := errors.AsType[*policy.EntryError](err); ok {
				err = x.Err
			}
		}
		if err != nil {
			b.bad(element(key+".keys", j), "%s", policyReason(err))
			continue
		}
		t.Entries = append(t.Entries, e)
		if why := e.Doubt(); why != "" {
			b.warn(element(key+".keys", j), "%s", why)
		}
		at, _ := b.at(element(key+".keys", j))
		p.uses = append(p.uses, policyUse{prefix.Identity(), action.Word, k, at, element(key+".keys", j)})
	}
	return t, !b.failed
}

// judge tells of a reply that no client could be told.
func (o *Access) judge(b *build, key string, a policy.Action) {
	m, err := policy.New(policy.Table{Name: "x", Entries: []policy.Entry{{Key: "spf-fail", Action: a}}})
	if err == nil {
		_, err = access.New("x", access.Options{Map: m})
	}
	if err != nil {
		b.bad(key, "%s", reason(err, access.ErrOptions))
	}
}

// file makes a table of a file.
func (o *Access) file(b *build, i int, m AccessMap, p *accessPolicies) (t policy.Table, ok bool) {
	key := element("map", i)
	if m.File == "" {
		b.bad(key+".file", "it names no file; write file = \"/etc/mail/access\"")
		return t, false
	}
	t.Name = m.File
	t.Rcpts = recipients(b, key, m.Rcpts)
	for j, before := range o.Maps[:i] {
		if before.File == m.File {
			b.bad(key+".file", "%s is that of %s, too", m.File, element("map", j))
			return t, false
		}
	}
	data, err := readRegular(m.File, int64(min(o.MaxFile, 1<<30)))
	if err != nil {
		b.bad(key+".file", "%v", err)
		return t, false
	}
	if info, err := os.Stat(m.File); err == nil && info.Mode().Perm()&0o002 != 0 {
		b.warn(key+".file", "everybody may write to %s", m.File)
	}
	f, err := policy.Parse(m.File, data, m.Syntax, policy.Limits{Bytes: int(min(o.MaxFile, 1<<30)), Entries: o.MaxEntries, Line: int(min(o.MaxLine, 1<<30))})
	if err != nil {
		for _, e := range unjoin(err) {
			at, why := place{file: m.File}, e
			if x, ok := errors.AsType[*policy.LineError](e); ok {
				at.line, why = int32(x.Line), x.Err
			}
			b.badAt(at, key+".file", "%s", policyReason(why))
		}
		return t, false
	}
	if len(f.Entries) == 0 {
		others := ""
		if f.Others > 0 {
			others = fmt.Sprintf(", but %d that other programs read", f.Others)
		}
		b.bad(key+".file", "%s has no entries%s; leave the table out if none are meant", m.File, others)
		return t, false
	}
	t.Entries = f.Entries
	doubts := 0
	for _, e := range f.Entries {
		prefix, _ := e.Prefix() // Parse has read it
		at := place{file: m.File, line: int32(e.Line)}
		p.uses = append(p.uses, policyUse{prefix.Identity(), e.Action.Word, e.Key, at, key + ".file"})
		if why := e.Doubt(); why != "" && doubts < maxDoubts {
			b.warnAt(at, key+".file", "%s", why)
			doubts++
		}
	}
	for _, s := range f.Strays[:min(len(f.Strays), maxDoubts)] {
		b.warnAt(place{file: m.File, line: int32(s.Line)}, key+".file", "%s is left to other programs, as one of %d entries here; if it is meant for this filter, write %s", s.Key, f.Others, s.Like)
	}
	return t, true
}

// maxDoubts bounds warnings of each kind about one file, which may be long.
const maxDoubts = 20

// recipients compiles a list of recipients; nil for one that is not there.
func recipients(b *build, key string, list []string) func(string) bool {
	if list == nil {
		return nil
	}
	if len(list) == 0 {
		b.bad(key+".rcpts", "it names no recipient; leave the key out for all")
	}
	a := &addresses{exact: make(map[string]bool), domains: make(map[string]bool)}
	for i, s := range list {
		why := severalAddresses(s)
		if why == "" {
			why = a.add(s)
		}
		if why != "" {
			b.bad(element(key+".rcpts", i), "%q %s", s, why)
		}
	}
	return func(s string) bool {
		local, domain := s, ""
		if i := strings.LastIndexByte(s, '@'); i >= 0 {
			local, domain = s[:i], s[i+1:]
		}
		return a.match(envelopePath(filter.Path{Address: s, Local: local, Domain: strings.ToLower(domain)}))
	}
}

// told returns the identities whose checks filters do.
func told(filters []*Filter) (ids []policy.Identity) {
	for _, f := range filters {
		if k, ok := kindOf(f.Kind); ok && k.tells != nil && f.Options != nil && f.Mode != filter.Off {
			ids = append(ids, k.tells(f.Options)...)
		}
	}
	return ids
}

// carried returns the words that filters carry out.
func carried(filters []*Filter) (words []policy.Word) {
	for _, f := range filters {
		if k, ok := kindOf(f.Kind); ok && f.Mode != filter.Off {
			words = append(words, k.carries...)
		}
	}
	return words
}

// checkAccess tells of policies that come to nothing in a chain: of results that no filter before finds out, and
// with words that no filter behind carries out.
func (d *decoder) checkAccess(c *Config, l *Listener, key string) {
	var chain []*Filter
	for _, name := range l.Filters {
		if f := c.filter(name); f != nil {
			chain = append(chain, f)
		}
	}
	for i, f := range chain {
		o, ok := f.Options.(*Access)
		if !ok || o.policies == nil || f.Mode == filter.Off {
			continue
		}
		table := joinPath("filter", f.Name)
		known := append(told(chain[:i]), policy.SMTPAuth)
		verified := slices.Contains(known, policy.DKIM)
		does := carried(chain[i+1:])
		for _, u := range o.policies.uses {
			if !slices.Contains(known, u.identity) {
				d.bad(u.at, table+"."+u.of, "%s: no filter before %q in the chain of %s checks %s; put one of kind auth before it", u.key, f.Name, key, strings.ToUpper(string(u.identity)))
				known = append(known, u.identity) // once
			}
			if (u.word == policy.CBV || u.word == policy.DSN) && !slices.Contains(does, u.word) {
				d.bad(u.at, table+"."+u.of, "%s: no filter behind %q in the chain of %s carries out %v; write another word", u.key, f.Name, key, u.word)
			}
		}
		if o.Wait == WaitAlways && !verified {
			d.warn(d.places.of(table+".wait"), table+".wait", "no filter before %q in the chain of %s verifies DKIM: nothing cancels what waits", f.Name, key)
		}
	}
}

// holds returns the keys by which messages are held.
func (o *Access) holds() (keys []string) {
	if o.policies == nil {
		return nil
	}
	for _, u := range o.policies.uses {
		k := u.of
		if i := strings.Index(k, "].keys["); i >= 0 {
			k = k[:i+1] + ".do"
		}
		if u.word == policy.Quarantine && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}
