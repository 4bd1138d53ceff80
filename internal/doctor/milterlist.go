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
			if other, err := parseEndpoint(address); err == nil && (ep.path != "" && ep.path == other.path || other.path == "" && ep.sameHostPort(other.host, other.port)) {
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
		if ep.path == "" {
			continue
		}
		want := realPath(p.h, ep.path)
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
	pending []Finding
}

func (l *listEditor) set(i int, text string) { l.texts[i], l.changed = text, true }

// finish adds the pending findings with their fix. Where nothing but an addition
// is to be done, the list stays as it is written, references and all.
func (l *listEditor) finish() {
	value := l.p.c.raw(l.s, l.name)
	if l.changed {
		value = strings.Join(l.texts, ", ")
	}
	if l.added != "" {
		value = strings.TrimPrefix(value+", "+l.added, ", ")
	}
	for _, f := range l.pending {
		f.Fixes = l.p.c.set(l.s, l.name, value)
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
			if ep, how := p.match(s, e.address); how != noMatch {
				found = true
				p.used[ep.spec] = true
				p.way(s, ep, how)
			}
		}
		if found || !p.mainAsks() {
			return
		}
		p.way(s, p.endpoints[0], reaches)
		return
	}
	l := &listEditor{p: p, s: s, name: name}
	for _, e := range entries {
		l.texts = append(l.texts, e.text)
	}
	defer l.finish()
	found := false
	for i, e := range entries {
		p.entrySyntax(l, e)
		ep, how := p.match(s, e.address)
		if how == noMatch {
			continue
		}
		found = true
		p.used[ep.spec] = true
		if name == "smtpd_milters" {
			p.asking[s] = true
		}
		written := e.address
		if how == foreign {
			e.address = ep.postfix(p.queue)
			l.set(i, e.render())
			l.pending = append(l.pending, Finding{Severity: Error, Code: "notation",
				What: fmt.Sprintf("%s names the filter as %s, which Postfix does not read", name, shown(written)),
				Why:  "Postfix writes inet:host:port and unix:path; anything else is a configuration error, and mail is deferred."})
		}
		if rel, ok := below(p.queue, realPath(p.h, ep.path)); how == wrongRoot && ok {
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
	if found {
		return
	}
	// Named or not, what it would meet is told at once.
	ep := p.endpoints[0]
	p.entry(l, -1, milterEntry{address: ep.postfix(p.queue)})
	if name == "smtpd_milters" {
		l.added = ep.postfix(p.queue)
		l.pending = append(l.pending, Finding{Code: "not-attached",
			What: fmt.Sprintf("smtpd_milters does not name the filter at %s", ep.spec),
			Why:  "Mail that comes this way is not filtered."})
		p.way(s, ep, reaches)
		return
	}
	l.added = ep.postfix(p.queue)
	if len(entries) == 0 && p.mainAsks() {
		l.added = "$smtpd_milters"
	}
	l.pending = append(l.pending, Finding{Severity: Warning, Code: "not-attached-local",
		What: fmt.Sprintf("non_smtpd_milters does not name the filter at %s", ep.spec),
		Why:  "Mail that programs on this machine hand in with the sendmail command is not filtered; leave it so to spare such mail."})
	p.way(s, ep, reaches)
}

// mainAsks reports whether smtpd_milters of main.cf names one of ours, or will
// once what was found is mended.
func (p *postfixCheck) mainAsks() bool {
	for _, s := range p.smtpd {
		if _, own := s.options["smtpd_milters"]; !own && !p.reinjects[s] {
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
