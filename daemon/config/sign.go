package config

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/sign"
)

var signKind = filterKind{
	name: "sign",
	doc:  "signs messages by DKIM, as the filters before it left them; it stands behind all that edit",
	options: func() any {
		return &Sign{Classes: []filter.Class{filter.Authenticated, filter.Internal}, Header: dkim.Relaxed, Body: dkim.Relaxed,
			Fields: dkim.DefaultFields(), OverSign: dkim.DefaultOverSign(), AddMissing: true, SignAgain: true, Keys: []SignKey{}}
	},
	build: func(b *build) *filter.Filter { return b.filter.Options.(*Sign).build(b) },
}

// Sign is the table of a filter of kind sign.
type Sign struct {
	By         sign.By        `toml:"by" doc:"whose domain decides which keys sign a message: from, the author's in the From field, which DMARC looks at; envelope, the sender's; user, that of the name of AUTH, such as joe@example.com"`
	Classes    []filter.Class `toml:"class" doc:"the classes of messages that are signed"`
	Header     dkim.Canon     `toml:"canon_header" doc:"canonicalization of the header; simple takes every byte as it is, and where the mail server changes or does not tell of all, relaxed is taken in its place"`
	Body       dkim.Canon     `toml:"canon_body" doc:"canonicalization of the body; relaxed lets blanks at the ends of lines come and go"`
	Fields     []string       `toml:"fields" doc:"names of header fields that are signed where they are there; From always is"`
	OverSign   []string       `toml:"over_sign" doc:"names of header fields that are signed once more than they are there, so that nobody can add one; see docs/filters.md for those that mail servers add"`
	Expire     time.Duration  `toml:"expire" opt:"zero" doc:"how long signatures are good; 0 for ever. Mail may be in queues for days"`
	AddMissing bool           `toml:"add_missing" doc:"add Date and Message-ID where they are missing; without, they are not over-signed there, since the mail server may add them"`
	SignAgain  bool           `toml:"sign_again" doc:"sign messages that have a signature by the same domain already"`
	Keys       []SignKey      `toml:"key" doc:"the keys, and whose mail they sign; all that are for a message do"`
}

// A SignKey is a table [[filter.NAME.key]].
type SignKey struct {
	Domain     string   `toml:"domain" example:"\"example.com\"" doc:"the domain that signs (d=); there is no default"`
	Selector   string   `toml:"selector" example:"\"2026\"" doc:"the selector under which the key is published (s=); there is no default"`
	File       string   `toml:"file" opt:"path,list" example:"\"/etc/gomilter/dkim/2026.pem\"" doc:"the private key in PEM, RSA or Ed25519, which only its owner may write to and only its owner and group may read; it is read again when it changes. There is no default"`
	Subdomains bool     `toml:"subdomains" doc:"sign for the domains below, too, that have no key of their own or nearer"`
	Senders    []string `toml:"senders" example:"[\"@example.com\", \"news@*.example.net\"]" doc:"whose mail is signed, in place of that of domain: user@domain, @domain, with wildcards * and ?"`
	Users      []string `toml:"users" example:"[\"shop-*\"]" doc:"the names of AUTH whose mail is signed, with wildcards; with senders, both have to be met"`
}

func (o *Sign) build(b *build) *filter.Filter {
	options := sign.Options{By: o.By, Classes: o.Classes, Header: o.Header, Body: o.Body, Fields: o.Fields, OverSign: o.OverSign,
		Expire: o.Expire, KeepMissing: !o.AddMissing, KeepSigned: !o.SignAgain}
	if len(o.Classes) == 0 {
		b.bad("class", "it names no class, and nothing is signed")
	}
	if slices.Contains(o.Classes, filter.External) {
		b.warn("class", "mail of strangers is signed as ours")
	}
	if o.Expire > 0 && o.Expire < 24*time.Hour {
		b.warn("expire", "mail that waits in a queue for a day arrives with a signature that is no longer good")
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"fields", o.Fields}, {"over_sign", o.OverSign}} {
		for i, name := range list.names {
			if _, err := sign.New("x", sign.Options{Fields: []string{name}}); err != nil {
				b.bad(element(list.key, i), "%s", reason(err, sign.ErrOptions))
			}
		}
	}
	if b.failed {
		return nil
	}
	owners, reads := o.daemonUser(b)
	first := make(map[string]int)
	for i, k := range o.Keys {
		key := element("key", i)
		rule, ok := o.rule(b, key, k, owners, reads)
		if !ok {
			continue
		}
		at := strings.ToLower(rule.Selector + "._domainkey." + rule.Domain)
		if n, ok := first[at]; ok && options.Rules[n].Key.Record() != rule.Key.Record() {
			b.bad(key+".file", "another key of this filter is at %s, too", at)
		}
		first[at] = len(options.Rules)
		options.Rules = append(options.Rules, rule)
	}
	if len(o.Keys) == 0 && b.filter.Mode == filter.On {
		b.warn("", "it has no [[filter.%s.key]], and signs nothing", b.filter.Name)
	}
	if b.failed {
		return nil
	}
	f, err := sign.New(b.filter.Name, options)
	if err != nil {
		for _, e := range unjoin(err) {
			b.bad("", "%s", reason(e, sign.ErrOptions))
		}
		return nil
	}
	return f
}

// rule makes the rule of one key; false when a problem was told.
func (o *Sign) rule(b *build, key string, k SignKey, owners []int, reads func(fs.FileInfo) bool) (sign.Rule, bool) {
	rule := sign.Rule{Domain: k.Domain, Selector: k.Selector, Subdomains: k.Subdomains, Senders: k.Senders, Users: k.Users}
	good := true
	bad := func(member, format string, args ...any) {
		b.bad(key+member, format, args...)
		good = false
	}
	for _, m := range []struct{ name, value string }{{".domain", k.Domain}, {".selector", k.Selector}, {".file", k.File}} {
		if m.value == "" {
			bad(m.name, "it is missing")
		}
	}
	if k.Subdomains && (k.Senders != nil || k.Users != nil) {
		bad(".subdomains", "it is for keys without senders and users, which say whose mail is signed by themselves")
	}
	for _, list := range []struct {
		key    string
		values []string
		check  func(string) error
	}{{".senders", k.Senders, sign.CheckSender}, {".users", k.Users, sign.CheckUser}} {
		if list.values != nil && len(list.values) == 0 {
			bad(list.key, "nobody is in it; leave the key out for all of the domain")
		}
		for i, v := range list.values {
			if err := list.check(v); err != nil {
				bad(element(list.key, i), "%v", err)
			}
		}
	}
	if k.File == "" {
		return rule, false
	}
	read, err := dkim.ReadKey(k.File, owners...)
	if err != nil {
		bad(".file", "%s", keyError(k.File, err))
		return rule, false
	}
	rule.Key = read
	if why := read.Unwise(); why != "" {
		b.warn(key+".file", "%s", why)
	}
	if info, err := os.Stat(k.File); err == nil && reads != nil && !reads(info) {
		b.warn(key+".file", "user %s cannot read it, as the daemon does when it changes: chown or chgrp it", b.config.User)
	}
	if !good {
		return rule, false
	}
	if err := (&dkim.Signature{Domain: "x.example", Selector: k.Selector, Key: read}).Check(); err != nil {
		bad(".selector", "%s", reason(err, dkim.ErrSignature))
	} else if err := rule.Check(); err != nil {
		bad(".domain", "%s", reason(err, dkim.ErrSignature))
	}
	return rule, good
}

// keyError says what is wrong with a key, without words that stand there already.
func keyError(path string, err error) string {
	if errors.Is(err, dkim.ErrKey) {
		return reason(err, dkim.ErrKey)
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return path + ": " + pe.Err.Error()
	}
	return err.Error()
}

// daemonUser returns the number of the user that the daemon goes on as, who may own keys, and
// whether that one can read a file; without such a user, or where this is it, reads is nil.
func (o *Sign) daemonUser(b *build) (owners []int, reads func(fs.FileInfo) bool) {
	if b.config.User == "" {
		return nil, nil
	}
	u, err := user.Lookup(b.config.User)
	if err != nil {
		return nil, nil // CheckMachine tells
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, nil
	}
	owners = []int{uid}
	if os.Geteuid() != 0 || uid == 0 {
		return owners, nil
	}
	groups, _ := u.GroupIds()
	return owners, func(info fs.FileInfo) bool {
		ids, ok := ownerOf(info)
		if !ok {
			return true
		}
		if ids.uid == uid {
			return info.Mode()&0o400 != 0
		}
		return info.Mode()&0o040 != 0 && slices.Contains(groups, strconv.Itoa(ids.gid))
	}
}
