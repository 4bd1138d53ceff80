package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// How an entry of a list names an endpoint.
type matching uint8

const (
	noMatch   matching = iota
	reaches            // and the service gets there
	wrongRoot          // but the path begins elsewhere for the service
	foreign            // in libmilter's notation, which Postfix does not read
)

// match finds the endpoint that an entry names.
func (p *postfixCheck) match(s *service, address string) (endpoint, matching) {
	path, host, port, err := parseMilterAddress(address)
	for _, ep := range p.endpoints {
		if err != nil {
			if other, err := ParseEndpoint(address); err == nil && (ep.Path != "" && ep.Path == other.Path || other.Path == "" && ep.sameHostPort(other.Host, other.Port)) {
				return ep, foreign
			}
			continue
		}
		if path == "" {
			if ep.sameHostPort(host, port) {
				return ep, reaches
			}
			continue
		}
		if ep.Path == "" {
			continue
		}
		want := realPath(p.h, ep.Path)
		inside := realPath(p.h, filepath.Join(p.queue, path))
		outside := inside
		if filepath.IsAbs(path) {
			outside = realPath(p.h, path)
		}
		here, there := outside, inside
		if p.c.chrooted(s) {
			here, there = inside, outside
		}
		switch want {
		case here:
			return ep, reaches
		case there:
			return ep, wrongRoot
		}
	}
	return endpoint{}, noMatch
}

// A listEditor collects what is to change in a list of milters, so that all
// findings about it have one line that mends them all.
type listEditor struct {
	p       *postfixCheck
	s       *service
	name    string
	texts   []string
	changed bool
	added   string
	own     bool // what is mended is mended for the service alone
	pending []Finding
}

func (l *listEditor) set(i int, text string) { l.texts[i], l.changed = text, true }

// finish adds the pending findings with their fix. Where nothing but an addition
// is to be done, the list stays as it is written, references and all.
func (l *listEditor) finish() {
	value := l.p.c.raw(l.s, l.name)
	if l.changed {
		value = strings.Join(slices.DeleteFunc(slices.Clone(l.texts), func(t string) bool { return t == "" }), ", ")
	}
	if l.added != "" {
		value = strings.TrimPrefix(value+", "+l.added, ", ")
	}
	for _, f := range l.pending {
		f.Fixes = l.p.c.set(l.s, l.name, value)
		if l.own {
			f.Fixes = l.p.c.setOwn(l.s, l.name, value)
		}
		if f.Code == "wrong-listener" && !l.changed {
			f.Fixes = nil // there is no other to ask
		}
		if f.Code == "not-attached" && l.name == "smtpd_milters" {
			l.p.lost[l.s] = f
			continue
		}
		l.p.add(f, l.s)
	}
}

// list looks at smtpd_milters of a service, or at non_smtpd_milters of cleanup.
func (p *postfixCheck) list(s *service, name string) {
	value, err := p.c.get(s, name)
	if err != nil {
		p.unreadable(s, err)
		return
	}
	entries, err := parseMilters(value)
	if err != nil {
		p.unreadable(s, fmt.Errorf("%s = %s: %w", name, shown(value), err))
		return
	}
	if name == "non_smtpd_milters" && p.c.raw(s, name) == "$smtpd_milters" {
		// Whatever is wrong with the list was said; what is left is the way there.
		found := false
		for _, e := range entries {
			if ep, how := p.match(s, e.address); how != noMatch && !ep.Aside {
				found = true
				p.used[ep.Socket] = true
				p.way(s, ep, how)
			}
		}
		if ours := wanted(p.endpoints, false); !found && len(ours) > 0 && p.mainAsks() {
			p.way(s, ours[0], reaches)
		}
		return
	}
	ours := wanted(p.endpoints, s.submission())
	l := &listEditor{p: p, s: s, name: name, own: p.own(s)}
	for _, e := range entries {
		l.texts = append(l.texts, e.text)
	}
	defer l.finish()
	found := false
	for i, e := range entries {
		p.entrySyntax(l, e)
		ep, how := p.match(s, e.address)
		if how == noMatch || ep.Aside {
			continue
		}
		if name == "smtpd_milters" && !slices.ContainsFunc(ours, func(o endpoint) bool { return o.Socket == ep.Socket }) {
			p.wrongListener(l, i, entries, ep)
			found = true
			continue
		}
		if l.own {
			p.inherits = append(p.inherits, s)
		}
		found = true
		p.used[ep.Socket] = true
		if name == "smtpd_milters" {
			p.asking[s] = true
		}
		written := e.address
		if how == foreign {
			e.address = ep.Postfix(p.queue)
			l.set(i, e.render())
			l.pending = append(l.pending, Finding{Severity: Error, Code: "notation",
				What: fmt.Sprintf("%s names the filter as %s, which Postfix does not read", name, shown(written)),
				Why:  "Postfix writes inet:host:port and unix:path; anything else is a configuration error, and mail is deferred."})
		}
		if rel, ok := below(p.queue, realPath(p.h, ep.Path)); how == wrongRoot && ok {
			e.address = "unix:" + rel
			l.set(i, e.render())
			l.pending = append(l.pending, Finding{Severity: Error, Code: "chroot",
				What: fmt.Sprintf("%s names the socket as %s, which is another place for a service that runs chrooted than for one that does not", name, shown(written)),
				Why:  "Postfix finds no socket there (\"No such file or directory\"); a path relative to the queue directory means the same to both."})
			how = reaches
		}
		p.entry(l, i, e)
		p.way(s, ep, how)
	}
	if found || len(ours) == 0 {
		return
	}
	ep := ours[0]
	if name == "smtpd_milters" { // what it will meet is told at once
		p.entry(l, -1, milterEntry{address: ep.Postfix(p.queue)})
		l.added = ep.Postfix(p.queue)
		l.pending = append(l.pending, Finding{Code: "not-attached",
			What: fmt.Sprintf("smtpd_milters does not name the filter at %s", ep.Socket),
			Why:  "Mail that comes this way is not filtered."})
		p.way(s, ep, reaches)
		return
	}
	l.added = ep.Postfix(p.queue)
	if len(entries) == 0 && p.mainAsks() {
		l.added = "$smtpd_milters"
	}
	l.pending = append(l.pending, Finding{Severity: Warning, Code: "not-attached-local",
		What: fmt.Sprintf("non_smtpd_milters does not name the filter at %s", ep.Socket),
		Why:  "Mail that programs on this machine hand in with the sendmail command is not filtered; leave it so to spare such mail."})
}

// own reports whether what a service asks has to be said for it alone: main.cf is for those that
// ask other listeners.
func (p *postfixCheck) own(s *service) bool {
	_, has := s.options["smtpd_milters"]
	return !has && s.submission() && hasSubmission(p.endpoints) && slices.ContainsFunc(p.endpoints, func(ep endpoint) bool { return !ep.Submission })
}

// wrongListener tells of a service that asks a listener that is for others, and puts the right
// one in its place, which may stand beside it already.
func (p *postfixCheck) wrongListener(l *listEditor, i int, entries []milterEntry, ep endpoint) {
	ours := meant(p.endpoints, l.s.submission())
	f := Finding{Severity: Error, Code: "wrong-listener", What: fmt.Sprintf("the filter at %s is for submission, and %s takes mail of others", ep.Socket, l.s.id()),
		Why: "A listener with submission = true takes its clients for users who authenticate later: refusals at connect and HELO do not apply."}
	if !ep.Submission {
		f = Finding{Severity: Warning, Code: "wrong-listener", What: fmt.Sprintf("the filter at %s is for mail of others, and users submit mail by %s", ep.Socket, l.s.id()),
			Why: "Users may be refused for what their address or HELO name is, before they could authenticate."}
	}
	if len(ours) == 0 {
		f.Why += " No listener is there for this service: add one without submission, or take submission out."
	} else {
		e := entries[i]
		e.address = ours[0].Postfix(p.queue)
		l.set(i, e.render())
		for j, other := range entries {
			if match, how := p.match(l.s, other.address); how != noMatch && j != i && match.Socket == ours[0].Socket {
				l.set(i, "")
			}
		}
		if !ours[0].Aside { // what it will meet is told at once
			p.way(l.s, ours[0], reaches)
		}
	}
	l.pending = append(l.pending, f)
}

// keepOthers adds to the fixes that change what main.cf says the lines that leave services as they
// are that rightly ask a listener by it.
func (p *postfixCheck) keepOthers() {
	for i, f := range p.out {
		if f.Code != "wrong-listener" || len(f.Fixes) == 0 || f.Fixes[0].File == "" {
			continue
		}
		for _, s := range p.inherits {
			if s.program == "smtpd" {
				p.out[i].Fixes = append(p.out[i].Fixes, p.c.setOwn(s, "smtpd_milters", p.c.raw(s, "smtpd_milters"))...)
			}
		}
	}
}

// mainAsks reports whether smtpd_milters of main.cf names one of ours, or will
// once what was found is mended.
func (p *postfixCheck) mainAsks() bool {
	for _, s := range p.smtpd {
		if _, own := s.options["smtpd_milters"]; !own && !p.reinjects[s] && len(wanted(p.endpoints, s.submission())) > 0 && !p.own(s) {
			return true
		}
	}
	value, err := p.c.get(nil, "smtpd_milters")
	entries, err2 := parseMilters(value)
	return err == nil && err2 == nil && slices.ContainsFunc(entries, func(e milterEntry) bool {
		_, how := p.match(p.smtpd[0], e.address)
		return how != noMatch
	})
}

// entrySyntax looks at what an entry of any filter is written like: one bad entry
// spoils the whole list.
func (p *postfixCheck) entrySyntax(l *listEditor, e milterEntry) {
	_, _, _, err := parseMilterAddress(e.address)
	_, how := p.match(l.s, e.address)
	switch {
	case len(e.faults) > 0:
		p.add(Finding{Severity: Error, Code: "syntax", What: fmt.Sprintf("%s: %s", l.name, e.faults[0]),
			Why: "Postfix takes it for a configuration error, and defers all mail; options are written { unix:path, default_action=tempfail }."}, l.s)
	case err != nil && how != foreign:
		p.add(Finding{Severity: Error, Code: "notation", What: fmt.Sprintf("%s: %s %v", l.name, shown(e.address), err),
			Why: "Postfix takes it for a configuration error, and defers all mail."}, l.s)
	case strings.HasPrefix(e.text, "{") && p.c.version.less(version{3, 0, 0}):
		l.p.add(Finding{Severity: Error, Code: "syntax", What: fmt.Sprintf("%s has an entry in braces, which Postfix %v does not read", l.name, p.c.version),
			Why: "Settings for one milter alone came with Postfix 3.0."}, l.s)
	}
}
