package config

import (
	"io/fs"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/filter/sign"
	"github.com/gomilter/gomilter/policy"
)

// auth writes the filter that finds out who sent a message. methods is nil for all.
func (m *importer) auth(methods []string) {
	m.printf("\n[filter.auth]\n")
	if methods != nil {
		m.value("methods", methods)
	}
	if m.app != dkimMilter {
		m.value("received_spf", true)
	}
	m.onError()
	if m.old.has("milter", "trusted_relay") {
		m.printf("# What trusted relays found out is believed if their names are given, as they stand in the\n# Authentication-Results of theirs. They have to take out what others forge.\n#believe = [\"mx.example.com\"]\n")
	}
	if m.app != dkimMilter {
		m.spf()
	}
}

// onError writes what happens to mail when a filter breaks.
func (m *importer) onError() {
	if m.fault != "" {
		m.printf("on_error = %s # untrapped_exception\n", quote(m.fault))
	}
}

// spf writes what SPF does besides RFC 7208.
func (m *importer) spf() {
	forwarders := m.forwarders()
	guess := m.app == bms && m.yes("spf", "best_guess", false)
	if m.app != bms && len(forwarders) == 0 {
		return
	}
	m.printf("\n[filter.auth.spf]\n")
	if m.app == bms {
		m.printf("lax = true # of broken records, policies go by what their authors may have meant\n")
	}
	if guess {
		m.printf("guess = \"v=spf1 a/24 mx/24 ptr\" # best_guess; it is for policies only\n")
	}
	if len(forwarders) > 0 {
		m.printf("# trusted_forwarder\n")
		m.value("forwarders", forwarders)
	}
}

// forwarders returns the domains whose hosts may pass on mail of anybody.
func (m *importer) forwarders() (good []string) {
	options := []string{"trusted_forwarder"}
	if m.app == spfmilter && !m.old.has("spf", "trusted_forwarder") {
		options[0] = "trusted_relay" // as it was called before
	}
	for _, option := range options {
		for _, d := range m.domains("spf", option) {
			if _, err := auth.New("x", auth.Options{SPF: auth.SPFOptions{Forwarders: []string{d}}}); err != nil {
				m.leave("spf", option, "%q is no domain", d)
				continue
			}
			good = append(good, d)
		}
	}
	return good
}

// bmsAccess writes the policies of bms.
func (m *importer) bmsAccess() {
	a := m.accessFile()
	m.printf("\n# What bms had in its code, and the policies of this configuration. \"auto\" would let refusals by SPF wait for\n# a DKIM signature of the sender, which forwarded mail still has; that is the better choice.\n[filter.access]\nwait = \"never\"\nhelo_numeric = true\nhelo_missing = true\n")
	var names []string
	for _, s := range m.list("milter", "hello_blacklist") {
		if _, err := address.ParseHostGlob(s); err != nil || strings.HasPrefix(s, "file:") {
			m.leave("milter", "hello_blacklist", "%q is no name of a host", s)
			continue
		}
		names = append(names, s)
	}
	if names != nil {
		m.printf("# hello_blacklist\n")
		m.value("helo_names", names)
	}
	if a.read && slices.ContainsFunc(a.entries, isNewToBMS) {
		m.leave("spf", "access_file", "HELO- and DKIM- keys, which bms never found, are in force now")
	}
	internal, whole := m.internalDomains()
	rules := []policyRule{
		{"", "spf refused", a.silent("spf-fail", "spf-permerror"), "REJECT"},
		{"", "spf later", a.silent("spf-temperror"), "TEMPFAIL"},
		{"Softfail, and none of hosts without a name in DNS: bms asked the sender's server (CBV). No filter does so\n# yet, and mail passes.\n#\n# Of the HELO name, where the sender's SPF does not pass.", "helo refused", a.silent("helo-fail", "helo-softfail", "helo-neutral"), "REJECT"},
		{"", "helo banned", a.silent("helo-fail:gmail.com", "helo-softfail:gmail.com", "helo-neutral:gmail.com"), "BAN"},
	}
	rules = append(rules, m.spfLists(&a)...)
	if len(internal) > 0 {
		rules = append(rules, policyRule{"internal_domains: strangers who call themselves one of ours.", "talking to myself", policyKeys("spf-none", internal), "REJECT"})
	}
	if len(internal) > 0 && whole {
		rules = append(rules,
			policyRule{"internal_domains: users send from these, or without a domain.", "own domains", a.silent(append(policyKeys("smtp-auth", internal), "smtp-auth:localhost.localdomain")...), "OK"},
			policyRule{"", "domains of others", a.silent("smtp-auth"), "REJECT"})
	}
	m.writeAccess(&a, rules)
}

// isNewToBMS reports whether bms looked for an entry by another key than it has.
func isNewToBMS(e policy.Entry) bool {
	p, _ := e.Prefix()
	return p.Identity() == policy.HELO || p.Identity() == policy.DKIM
}

// spfLists returns the policies of options that list domains.
func (m *importer) spfLists(a *accessFile) []policyRule {
	accept := m.domains("spf", "accept_softfail")
	neutral := m.domains("spf", "reject_neutral")
	refused := policyKeys("spf-neutral", neutral)
	for _, d := range neutral {
		if !slices.Contains(accept, d) {
			refused = append(refused, "spf-softfail:"+d)
		}
	}
	fail := m.domains("spf", "accept_fail")
	if len(fail) > 0 {
		m.leave("spf", "accept_fail", "bms asked the sender's server (CBV), which no filter does yet; mail passes without being asked for. Take the rule \"accept_fail\" away to refuse it")
	}
	if m.yes("spf", "reject_noptr", false) {
		m.leave("spf", "reject_noptr", "policies do not see yet whether a host has a name in DNS; a rule with the key spf-none would refuse all mail without an SPF record")
	}
	accepted := a.silent(policyKeys("spf-softfail", accept)...)
	return []policyRule{
		{"reject_neutral; bms forgot it for neutral itself.", "reject_neutral", a.silent(refused...), "REJECT"},
		{"accept_softfail", "accept_softfail", accepted, "OK"},
		{"accept_fail", "accept_fail", a.silent(policyKeys("spf-fail", fail)...), "OK"},
	}
}

// internalDomains returns our own domains as in keys, those below one with a dot before it, and whether these
// are all.
func (m *importer) internalDomains() (list []string, whole bool) {
	whole = true
	for _, s := range m.list("milter", "internal_domains") {
		below, dot := strings.CutPrefix(s, "*.")
		d, err := address.ASCIIDomain(below)
		if err != nil || policyKey(d) != nil {
			m.leave("milter", "internal_domains", "%q is no domain, nor \"*.\" and one: the rules for users' domains are left out", s)
			whole = false
			continue
		}
		if d = strings.ToLower(d); dot {
			d = "." + d
		}
		if !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	if len(list) > 0 {
		m.leave("milter", "internal_domains", "of users who authenticate, and of strangers; no filter looks at senders of internal hosts that do not authenticate")
	}
	return list, whole
}

// A signer is how [dkim] says that mail is signed.
type signer struct{ domain, selector, file string }

// signer returns how mail is signed; nil where it is not.
func (m *importer) signer() *signer {
	file, ok := m.get("dkim", "privkey")
	if !ok {
		return nil
	}
	domain, _ := m.get("dkim", "domain")
	selector, named := m.get("dkim", "selector")
	if !named {
		selector = "default"
	}
	s := &signer{domain, selector, m.fromFolder(file)}
	key, err := dkim.GenerateKey(dkim.Ed25519)
	if err == nil {
		_, err = sign.New("x", sign.Options{Rules: []sign.Rule{{Domain: domain, Selector: selector, Key: key}}})
	}
	switch {
	case domain == "":
		m.leave("dkim", "privkey", "domain is not set, and nothing is signed without")
	case err != nil:
		m.leave("dkim", "privkey", "%s", reason(err, sign.ErrOptions))
	case !path.IsAbs(s.file):
		m.leave("dkim", "privkey", "%q is no path from the root on", file)
	default:
		return s
	}
	return nil
}

// importedOwners returns the number of the user that the configuration names, who may own keys, where there
// is one already.
func importedOwners() []int {
	u, err := user.Lookup(importedUser)
	if err != nil {
		return nil
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil
	}
	return []int{uid}
}

// ownedBy reports whether a file belongs to one of these users; where files have no owners, it does.
func ownedBy(info fs.FileInfo, uids []int) bool {
	ids, ok := ownerOf(info)
	return !ok || slices.Contains(uids, ids.uid)
}

// sign writes the filter that signs.
func (m *importer) sign(s *signer) {
	m.printf("\n# Mail of clients that are internal or authenticated is signed.\n[filter.sign]\ncanon_header = \"relaxed\"\ncanon_body = \"simple\"\n")
	prefix := ""
	if _, err := dkim.ReadKey(s.file, importedOwners()...); err != nil {
		prefix = "#"
		m.leave("dkim", "privkey", "%s; the key stands behind #, and nothing is signed: take the # away when that is mended", keyError(s.file, err))
		m.printf("\n# privkey, which could not be read.")
	}
	m.printf("\n%s[[filter.sign.key]]\n%sdomain = %s\n%sselector = %s\n%sfile = %s\n", prefix, prefix, quote(s.domain), prefix, quote(s.selector), prefix, quote(s.file))
	if m.app == dkimMilter {
		m.printf("%ssenders = [\"@*\"] # as it was; without, mail whose author is of the domain is signed, which is what DMARC goes by\n", prefix)
	}
}
