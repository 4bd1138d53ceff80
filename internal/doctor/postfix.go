package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// PostfixOptions say which Postfix is looked at.
type PostfixOptions struct {
	ConfigDir string // of main.cf and master.cf; empty means Postfix's own
	Postconf  string // the program; empty means to look for it
}

// Postfix looks at the configuration of a Postfix and returns what keeps it from
// using the filter, the worst first. No finding means that all is well.
//
// The error says why nothing can be found out: postconf is not installed, fails,
// or says what makes no sense, or the filter's sockets are not what an MTA can be
// told.
func Postfix(ctx context.Context, o PostfixOptions, f Filter) ([]Finding, error) {
	return checkPostfix(ctx, machine{}, o, f)
}

// A postfixCheck is one look at a Postfix.
type postfixCheck struct {
	ctx       context.Context
	h         host
	c         *postfixConfig
	f         Filter
	endpoints []endpoint
	queue     string // without symbolic links
	owner     account

	smtpd     []*service
	filtered  bool                 // mail leaves for a filter after or before the queue, and comes back
	used      map[string]bool      // specs of endpoints that somebody asks
	reinjects map[*service]bool    // services that take mail back
	asking    map[*service]bool    // services of smtpd that ask one of ours
	lost      map[*service]Finding // those that do not, and what is said of it
	inherits  []*service           // those for submission that ask the right one by main.cf
	out       []Finding
}

func checkPostfix(ctx context.Context, h host, o PostfixOptions, f Filter) ([]Finding, error) {
	f, endpoints, err := f.withDefaults()
	if err != nil {
		return nil, err
	}
	// Programs are run in another folder.
	if o.ConfigDir, err = fromRoot(o.ConfigDir); err != nil {
		return nil, err
	}
	if strings.Contains(o.Postconf, "/") {
		if o.Postconf, err = fromRoot(o.Postconf); err != nil {
			return nil, err
		}
	}
	c, err := readPostfix(ctx, h, o)
	if err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	p := &postfixCheck{ctx: ctx, h: h, c: c, f: f, endpoints: endpoints,
		used: make(map[string]bool), reinjects: make(map[*service]bool), asking: make(map[*service]bool), lost: make(map[*service]Finding)}
	if p.version() {
		return p.out, nil
	}
	queue, err := c.get(nil, "queue_directory")
	if err != nil || !filepath.IsAbs(queue) {
		return nil, fmt.Errorf("doctor: queue_directory %s is no path from the root on (%v)", shown(queue), err)
	}
	p.queue = realPath(h, queue)
	name, err := c.get(nil, "mail_owner")
	if err == nil {
		p.owner, err = h.account(name)
	}
	if err != nil {
		return nil, fmt.Errorf("doctor: mail_owner: %w", err)
	}
	p.services()
	return tidy(p.out), nil
}

func (p *postfixCheck) add(f Finding, s *service) {
	if s != nil {
		f.Services = []string{s.id()}
	}
	p.out = append(p.out, f)
}

// version reports whether this Postfix is so old that there is no more to say.
func (p *postfixCheck) version() (stop bool) {
	switch v := p.c.version; {
	case v.less(version{2, 3, 0}):
		p.add(Finding{Severity: Error, Code: "version", What: fmt.Sprintf("this is Postfix %v, which knows no milters", v),
			Why: "They came with Postfix 2.3."}, nil)
		return true
	case v.less(version{2, 9, 0}):
		p.add(Finding{Severity: Warning, Code: "version", What: fmt.Sprintf("this is Postfix %v, whose services cannot be looked at", v),
			Why: "\"postconf -M\" came with Postfix 2.9; before 2.6 the milter protocol lacks what filters need to change senders and skip bodies."}, nil)
		return true
	}
	return false
}

func (p *postfixCheck) services() {
	var cleanup *service
	for _, s := range p.c.services {
		switch s.program {
		case "smtpd":
			p.smtpd = append(p.smtpd, s)
		case "cleanup":
			cleanup = s
		}
		for _, name := range []string{"content_filter", "smtpd_proxy_filter"} {
			if v, err := p.c.get(s, name); err == nil && v != "" && (s.program == "smtpd" || s.program == "pickup" && name == "content_filter") {
				p.filtered = true
			}
		}
	}
	if len(p.smtpd) == 0 {
		p.add(Finding{Severity: Error, Code: "no-smtpd", What: "master.cf has no service that takes mail by SMTP",
			Why:   "Without one, filters see nothing but what is submitted on this machine.",
			Fixes: run(p.c.command + " -M 'smtp/inet=smtp inet n - n - - smtpd'")}, nil)
	}
	p.findReinjection()
	returns := false
	for _, s := range p.smtpd {
		if p.reinjects[s] {
			returns = true
			p.reinjection(s)
			continue
		}
		p.list(s, "smtpd_milters")
		if len(wanted(p.endpoints, s.submission())) == 0 {
			continue
		}
		p.overrides(s)
		p.exempt(s)
		p.macros(s)
	}
	for _, s := range p.smtpd {
		if f, ok := p.lost[s]; ok {
			f.Severity = Error
			for other := range p.asking {
				if other.submission() == s.submission() || !hasSubmission(p.endpoints) {
					f.Severity = Warning
				}
			}
			p.add(f, s)
		}
	}
	if p.filtered && !returns {
		p.add(Finding{Severity: Note, Code: "filtered-twice",
			What: "a content_filter or smtpd_proxy_filter is set, and no service of master.cf is seen to take its mail back",
			Why:  "Whatever takes it back must not ask milters again: -o receive_override_options=no_milters; what comes back by the sendmail command is seen by non_smtpd_milters."}, nil)
	}
	if cleanup != nil {
		p.list(cleanup, "non_smtpd_milters")
	}
	for _, ep := range p.endpoints {
		if !p.used[ep.Socket] && !ep.Aside && (len(p.used) > 0 || ep.Submission) && !p.missed(ep) {
			p.add(Finding{Severity: Warning, Code: "socket-unused", What: fmt.Sprintf("no service asks the filter at %s", ep.Socket),
				Why: "It listens there for nobody."}, nil)
		}
	}
	p.keepOthers()
}

// missed reports whether it was told already that a service should ask an endpoint: the first of
// those it may ask.
func (p *postfixCheck) missed(ep endpoint) bool {
	for _, s := range p.smtpd {
		_, lost := p.lost[s]
		wrong := slices.ContainsFunc(p.out, func(f Finding) bool { return f.Code == "wrong-listener" && slices.Contains(f.Services, s.id()) })
		if ours := wanted(p.endpoints, s.submission()); (lost || wrong) && len(ours) > 0 && ours[0].Socket == ep.Socket {
			return true
		}
	}
	return false
}

// findReinjection finds the services that take mail back from a content filter.
func (p *postfixCheck) findReinjection() {
	for _, s := range p.smtpd {
		p.reinjects[s] = p.takesBack(s)
	}
	if !p.filtered && !slices.ContainsFunc(p.smtpd, func(s *service) bool { return !p.reinjects[s] }) {
		clear(p.reinjects) // there must be one that mail comes by at first
	}
}

// takesBack reports whether a service looks like one that takes mail back from a
// content filter: it sends none there itself, and says so or listens on the
// loopback interface. A FILTER action in an access map is not seen here, but what
// is set up to take its mail back is.
func (p *postfixCheck) takesBack(s *service) bool {
	i := strings.LastIndexByte(s.name, ':')
	local := i > 0 && isLoopback(strings.Trim(s.name[:i], "[]"))
	if !p.filtered {
		_, own := s.options["receive_override_options"]
		return local && own
	}
	for _, name := range []string{"content_filter", "smtpd_proxy_filter"} {
		if v, err := p.c.get(s, name); err != nil || v != "" {
			return false
		}
	}
	for _, name := range []string{"content_filter", "smtpd_proxy_filter", "smtpd_authorized_xforward_hosts"} {
		if _, ok := s.options[name]; ok {
			return true
		}
	}
	return local
}

// reinjection looks at a service that takes back what was filtered already.
func (p *postfixCheck) reinjection(s *service) {
	options, err := p.words(s, "receive_override_options")
	if err != nil || slices.Contains(options, "no_milters") {
		return
	}
	value, err := p.c.get(s, "smtpd_milters")
	if err != nil {
		p.unreadable(s, err)
		return
	}
	entries, err := parseMilters(value)
	if err != nil {
		p.unreadable(s, err)
		return
	}
	for _, e := range entries {
		if _, how := p.match(s, e.address); how != noMatch {
			p.add(Finding{Severity: Error, Code: "filtered-twice",
				What:  fmt.Sprintf("service %s takes mail back from a content filter and asks the milters again", s.id()),
				Why:   "Each message is filtered, changed and counted twice, the second time as if the content filter were its client.",
				Fixes: run(p.c.command + " -P " + quote(s.id()+"/receive_override_options="+strings.Join(append(options, "no_milters"), ",")))}, s)
			return
		}
	}
}

// words returns the elements of a list parameter.
func (p *postfixCheck) words(s *service, name string) ([]string, error) {
	v, err := p.c.get(s, name)
	return strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }), err
}

func (p *postfixCheck) unreadable(s *service, err error) {
	p.add(Finding{Severity: Error, Code: "syntax", What: err.Error(),
		Why: "Postfix will not make sense of it either, and defers all mail."}, s)
}

// overrides looks for no_milters where it has no place.
func (p *postfixCheck) overrides(s *service) {
	options, err := p.words(s, "receive_override_options")
	if err != nil {
		p.unreadable(s, err)
		return
	}
	if i := slices.Index(options, "no_milters"); i >= 0 {
		rest := strings.Join(slices.Delete(options, i, i+1), ",")
		p.add(Finding{Severity: Error, Code: "no-milters",
			What:  "receive_override_options has no_milters",
			Why:   "No filter sees mail that comes this way; the option is meant for mail that a content filter gives back.",
			Fixes: p.c.set(s, "receive_override_options", rest)}, s)
	}
}

// way looks at what lies between a service and the filter.
func (p *postfixCheck) way(s *service, ep endpoint, how matching) {
	if ep.Path == "" {
		p.protocols(s, ep)
		for _, f := range listens(p.ctx, p.h, ep) {
			p.add(f, nil)
		}
		return
	}
	who := p.owner
	if s.unprivileged == "n" {
		who = account{name: "root", group: "root", groups: []int{0}}
	}
	at := ep
	at.Path = realPath(p.h, ep.Path)
	root := "/"
	if p.c.chrooted(s) {
		if _, ok := below(p.queue, at.Path); ok {
			root = p.queue
		} else {
			p.add(Finding{Severity: Error, Code: "chroot",
				What: fmt.Sprintf("%s runs chrooted in %s and cannot see the socket %s", s.program, p.queue, ep.Path),
				Why: fmt.Sprintf("It finds no socket there (\"No such file or directory\"). Instead of ending the chroot, gomilter may listen inside: --socket unix:%s.",
					filepath.Join(p.queue, "gomilter", filepath.Base(ep.Path))),
				Fixes: run(p.c.command + " -F " + quote(s.id()+"/chroot=n"))}, s)
		}
	}
	for _, f := range reach(p.ctx, p.h, p.f, at, root, who, "Postfix", 2) {
		p.add(f, nil)
	}
}

// protocols looks whether Postfix speaks the IP version of the filter's address.
func (p *postfixCheck) protocols(s *service, ep endpoint) {
	list, err := p.words(s, "inet_protocols")
	if err != nil {
		p.unreadable(s, err)
		return
	}
	want := "ipv6"
	if a, err := netip.ParseAddr(ep.Host); err == nil && a.Is4() {
		want = "ipv4"
	} else if !ep.Inet6 {
		return // a name may have addresses of either
	}
	if slices.Contains(list, "all") || slices.Contains(list, want) || len(list) == 0 {
		return
	}
	p.add(Finding{Severity: Error, Code: "inet-protocols",
		What:  fmt.Sprintf("inet_protocols is %s, and the filter listens at %s", strings.Join(list, ", "), ep.Socket),
		Why:   "Postfix will not connect to an address of the other kind. It must be stopped and started for a change of inet_protocols.",
		Fixes: p.c.set(s, "inet_protocols", "all")}, s)
}

// exempt looks for clients that are let past all milters.
func (p *postfixCheck) exempt(s *service) {
	maps, err := p.words(s, "smtpd_milter_maps")
	switch {
	case err != nil:
		p.unreadable(s, err)
	case len(maps) == 1 && strings.EqualFold(maps[0], "static:DISABLE"):
		p.add(Finding{Severity: Error, Code: "exempt", What: "smtpd_milter_maps is " + shown(maps[0]),
			Why: "No filter sees any mail that comes this way.", Fixes: p.c.set(s, "smtpd_milter_maps", "")}, s)
	case len(maps) > 0:
		p.add(Finding{Severity: Note, Code: "exempt", What: "smtpd_milter_maps is " + shown(strings.Join(maps, ", ")),
			Why: "Clients for which it says DISABLE, or names other milters, are not filtered here."}, s)
	}
}
