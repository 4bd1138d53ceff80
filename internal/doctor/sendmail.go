package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomilter/gomilter/internal/wire"
)

// SendmailOptions say which Sendmail is looked at.
type SendmailOptions struct {
	CF       string // its configuration; empty means /etc/mail/sendmail.cf
	Sendmail string // the program; empty means to look for it
	Name     string // what to call a filter that is not there yet; empty means as its listener, or gomilter
}

// Sendmail looks at the configuration of a Sendmail and returns what keeps it from
// using the filter, the worst first. No finding means that all is well. Each
// finding has lines for sendmail.cf and, where there is such a thing, for
// sendmail.mc.
//
// The error says why nothing can be found out: sendmail is not installed or is
// another mail server's, sendmail.cf cannot be read, or the filter's sockets are
// not what an MTA can be told.
func Sendmail(ctx context.Context, o SendmailOptions, f Filter) ([]Finding, error) {
	return checkSendmail(ctx, machine{}, o, f)
}

// A sendmailCheck is one look at a Sendmail.
type sendmailCheck struct {
	ctx       context.Context
	h         host
	file      string
	name      string
	cf        *sendmailCF
	f         Filter
	endpoints []endpoint
	names     []string // of the filters for the endpoints, those they have or should have
	build     build
	runAs     account
	out       []Finding
}

func checkSendmail(ctx context.Context, h host, o SendmailOptions, f Filter) ([]Finding, error) {
	f, endpoints, err := f.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &sendmailCheck{ctx: ctx, h: h, file: o.CF, name: o.Name, f: f, endpoints: endpoints}
	if c.file == "" {
		c.file = "/etc/mail/sendmail.cf"
	}
	program := o.Sendmail
	if strings.Contains(program, "/") {
		if program, err = fromRoot(program); err != nil {
			return nil, err
		}
	}
	if program == "" {
		if program, err = findProgram("sendmail", "/usr/sbin", "/usr/lib", "/usr/libexec/sendmail", "/usr/lib/sm.bin", "/usr/local/sbin"); err != nil {
			return nil, fmt.Errorf("doctor: %w", err)
		}
	}
	if c.build, err = readBuild(ctx, h, program); err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	text, err := h.readFile(c.file)
	if err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	c.cf = parseSendmailCF(string(text))
	if c.support() {
		return tidy(c.out), nil
	}
	if err := c.user(); err != nil {
		return nil, err
	}
	c.nameAll()
	for i, ep := range endpoints {
		if !ep.Aside {
			c.endpoint(ep, i)
		}
	}
	c.lists()
	c.macros()
	return tidy(c.out), nil
}

// A build is what a Sendmail was compiled with.
type build struct {
	version version
	flags   []string
}

func (b build) has(flag string) bool { return slices.Contains(b.flags, flag) }

// readBuild asks Sendmail. It is given no configuration, since reading one can run
// programs and ask DNS. A machine without a full host name makes it sleep for a
// minute after it said what is wanted here; it is stopped then.
func readBuild(ctx context.Context, h host, program string) (build, error) {
	listed := func(out []byte) bool {
		_, flags, ok := strings.Cut(string(out), "Compiled with:")
		return ok && strings.Contains(strings.TrimRight(flags, " \t"), "\n")
	}
	out, err := h.run(ctx, program, []string{"-C/dev/null", "-d0.1", "-bv"}, listed)
	b, err2 := parseBuild(string(out))
	if err2 == nil {
		return b, nil // how it ended does not matter: without a configuration it fails
	}
	if err != nil {
		return build{}, err
	}
	return build{}, fmt.Errorf("%s: %w", program, err2)
}

func parseBuild(out string) (build, error) {
	head, flags, ok := strings.Cut(out, "Compiled with:")
	_, v, ok2 := strings.Cut(head, "Version ")
	if !ok || !ok2 {
		return build{}, errors.New("this is not Sendmail: it does not say what it was compiled with; name Sendmail's program with --sendmail")
	}
	var b build
	var err error
	if b.version, err = parseVersion(strings.TrimSpace(v)); err != nil {
		return build{}, err
	}
	for i, line := range strings.Split(flags, "\n") {
		if i > 0 && !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, " ") {
			break
		}
		b.flags = append(b.flags, strings.Fields(line)...)
	}
	return b, nil
}

func (c *sendmailCheck) add(f Finding) { c.out = append(c.out, f) }

// support reports whether there is no more to say.
func (c *sendmailCheck) support() (stop bool) {
	if !c.build.has("MILTER") {
		c.add(Finding{Severity: Error, Code: "no-milter-support", What: fmt.Sprintf("this Sendmail (%v) was compiled without MILTER", c.build.version),
			Why: "It passes over InputMailFilters and X lines. Build it with APPENDDEF(`conf_sendmail_ENVDEF', `-DMILTER') in site.config.m4, or install your system's package."})
		return true
	}
	if c.build.version.less(version{8, 14, 0}) {
		c.add(Finding{Severity: Warning, Code: "version", What: fmt.Sprintf("this is Sendmail %v", c.build.version),
			Why: "Before 8.14 a filter cannot change the sender, ask for macros, see refused recipients or skip the rest of a body."})
	}
	for _, ep := range c.endpoints {
		flag := "NETINET"
		switch {
		case ep.Path != "":
			flag = "NETUNIX"
		case ep.Inet6:
			flag = "NETINET6"
		}
		if !c.build.has(flag) {
			c.add(Finding{Severity: Error, Code: "no-socket-support", What: fmt.Sprintf("this Sendmail was compiled without %s, and the filter listens at %s", flag, ep.Socket),
				Why: "Sendmail cannot connect to such a socket; let gomilter listen at one of another kind."})
		}
	}
	return false
}

// user finds out as whom Sendmail connects.
func (c *sendmailCheck) user() error {
	c.runAs = account{name: "root", group: "root", groups: []int{0}}
	o := c.cf.options["runasuser"]
	if o.value == "" {
		return nil
	}
	name, group := o.value, ""
	if i := strings.IndexAny(name, ".:/"); i >= 0 {
		name, group = name[:i], name[i+1:]
	}
	a, err := c.h.account(name)
	if err != nil {
		return fmt.Errorf("doctor: %s, line %d: RunAsUser: %w", c.file, o.line, err)
	}
	if group != "" {
		gid, err := c.h.group(group)
		if err != nil {
			return fmt.Errorf("doctor: %s, line %d: RunAsUser: %w", c.file, o.line, err)
		}
		a.gid, a.group = gid, group
		a.groups = append([]int{gid}, a.groups...)
	}
	c.runAs = a
	return nil
}

// nameAll gives each endpoint the name that its X line has, or should have: one that no X line has
// for another endpoint of ours.
func (c *sendmailCheck) nameAll() {
	c.names = make([]string, len(c.endpoints))
	taken := make(map[string]bool)
	for i, ep := range c.endpoints {
		if f, ok := c.find(ep); ok {
			c.names[i] = f.name
			taken[f.name] = true
		}
	}
	for i, ep := range c.endpoints {
		base := cmp.Or(c.name, ep.Name, "gomilter")
		for n := 1; c.names[i] == ""; n++ {
			name := base
			if n > 1 {
				name += strconv.Itoa(n)
			}
			if !taken[name] {
				c.names[i] = name
				taken[name] = true
			}
		}
	}
}

// line returns the first X line of a name.
func (c *sendmailCheck) line(name string) (cfFilter, bool) {
	for _, f := range c.cf.filters {
		if f.name == name {
			return f, true
		}
	}
	return cfFilter{}, false
}

// find returns the X line of an endpoint.
func (c *sendmailCheck) find(ep endpoint) (cfFilter, bool) {
	for _, f := range c.cf.filters {
		path, host, port, _, err := parseFilterSocket(f.socket)
		switch {
		case path != "" && ep.Path != "" && realPath(c.h, filepath.Clean(path)) == realPath(c.h, ep.Path):
			return f, true
		case host != "" && ep.sameHostPort(host, port):
			return f, true
		case err != nil && host == "":
			// Postfix's notation, or libmilter's without a host
			if other, err := ParseEndpoint(f.socket); err == nil && other.Path == "" && ep.sameHostPort(other.Host, other.Port) {
				return f, true
			}
		}
	}
	return cfFilter{}, false
}

// endpoint looks at the X line of an endpoint, and at the way there.
func (c *sendmailCheck) endpoint(ep endpoint, i int) {
	f, ok := c.find(ep)
	if !ok {
		name := c.names[i]
		macro := "INPUT_MAIL_FILTER"
		if ep.Submission {
			macro = "MAIL_FILTER" // which leaves InputMailFilters alone
		}
		fix := Fix{File: c.file, Lines: []string{"X" + name + ", S=" + ep.Sendmail() + ", " + goodEquates},
			MC: []string{mailFilter(macro, name, "S="+ep.Sendmail()+", "+goodEquates)}}
		why := "Sendmail does not know the filter."
		if was, ok := c.line(name); ok { // of another socket: Sendmail would pass over a second line of the name
			fix.Replace, fix.Through = was.line, was.last
			why = fmt.Sprintf("Its line %d has the socket %s for %s.", was.line, shown(was.socket), name)
		}
		c.add(Finding{Severity: Error, Code: "no-filter-line", What: fmt.Sprintf("no X line of sendmail.cf has the socket %s", ep.Socket), Why: why, Fixes: []Fix{fix}})
	} else {
		c.filterLine(f, ep)
	}
	if ep.Path == "" {
		for _, f := range listens(c.ctx, c.h, ep) {
			c.add(f)
		}
		return
	}
	c.safePath(ep)
	want := fs.FileMode(6) // safefile asks for both, though connecting takes no more than writing
	for _, f := range reach(c.ctx, c.h, c.f, ep, "/", c.runAs, "Sendmail", want) {
		c.add(f)
	}
}

const goodEquates = "F=T, T=C:5m;S:20s;R:5m;E:5m"

// mailFilter writes a line for sendmail.mc.
func mailFilter(macro, name, equates string) string {
	return macro + "(`" + name + "', `" + equates + "')"
}

// filterLine looks at the X line of a filter of ours. All that is wrong with it is
// mended by one line.
func (c *sendmailCheck) filterLine(f cfFilter, ep endpoint) {
	var found []Finding
	note := func(s Severity, code, what, why string) {
		found = append(found, Finding{Severity: s, Code: code, What: fmt.Sprintf("line %d, filter %s: %s", f.line, shown(f.name), what), Why: why})
	}
	for _, fault := range f.faults {
		note(Error, "syntax", fault, "Sendmail complains of the line and does not use what follows on it.")
	}
	socket := f.socket
	if _, _, _, _, err := parseFilterSocket(f.socket); err != nil {
		note(Error, "notation", fmt.Sprintf("S=%s %v", shown(f.socket), err), "Sendmail does not connect, and treats all mail as F= says.")
		socket = ep.Sendmail()
	}
	flags := f.flags
	switch {
	case strings.Contains(flags, "T"):
	case strings.Contains(flags, "4"):
		note(Note, "default-action", "F=4", "While gomilter is stopped, slow or broken, clients are dropped with 421, in the middle of what they are doing; F=T answers them.")
		flags = "T"
	case strings.Contains(flags, "R"):
		note(Warning, "default-action", "F=R", "While gomilter is stopped, slow or broken, mail is refused for good; a restart loses mail.")
		flags = "T"
	default:
		note(Warning, "fail-open", "there is no F=T", "While gomilter is stopped, slow or broken, mail passes unfiltered.")
		flags = "T"
	}
	times := map[byte]string{}
	for _, t := range c.timeouts() {
		times[t.letter] = f.written[t.letter]
		n := f.timeouts[t.letter]
		if n > t.above || t.letter == 'C' && n == 0 { // C:0 is the system's own time
			continue
		}
		note(t.severity, "timeout", fmt.Sprintf("T=%c:%ds, and the filter may take %s", t.letter, n, t.ours), t.why)
		times[t.letter] = t.good
	}
	text := "S=" + socket + ", F=" + flags
	var list []string
	for _, letter := range "CSRE" {
		if v := times[byte(letter)]; v != "" {
			list = append(list, string(letter)+":"+v)
		}
	}
	if len(list) > 0 {
		text += ", T=" + strings.Join(list, ";")
	}
	macro := "INPUT_MAIL_FILTER"
	if ep.Submission {
		macro = "MAIL_FILTER"
	}
	for _, one := range found {
		one.Fixes = []Fix{{File: c.file, Replace: f.line, Through: f.last, Lines: []string{"X" + f.name + ", " + text},
			MC: []string{mailFilter(macro, f.name, text)}}}
		c.add(one)
	}
}

// A cfTimeout says what a timeout of an X line must be above, in seconds.
type cfTimeout struct {
	letter   byte
	above    int64
	severity Severity
	ours     string
	why      string
	good     string
}

func (c *sendmailCheck) timeouts() []cfTimeout {
	stage, end, progress := wholeSeconds(c.f.StageTimeout), wholeSeconds(c.f.EndTimeout), wholeSeconds(c.f.ProgressInterval)
	const away = "A filter that is slow, and within its own limit, counts as one that is away; mail is treated as F= says."
	longer := func(least, n int64) string { return strconv.FormatInt(max(least, n), 10) + "s" }
	return []cfTimeout{
		// Sendmail counts whole seconds of the clock: 1 s can be over in no time.
		{'C', 4, Warning, "some seconds under load", "A short burst of connections then counts as a filter that is away.", "5m"},
		{'S', 2, Warning, "some seconds under load", "Sendmail counts whole seconds of the clock: below 3 s a busy machine is enough to give up.", "20s"},
		{'R', max(stage, progress), Error, c.f.StageTimeout.String() + " for a reply", away, longer(300, stage+10)},
		{'E', end, Error, c.f.EndTimeout.String() + " for the end of a message", away + " Signs of life do not extend it.", longer(300, end+60)},
	}
}

// lists looks whether the listeners ask our filters.
func (c *sendmailCheck) lists() {
	defined := make(map[string]bool)
	for _, f := range c.cf.filters {
		if defined[f.name] {
			c.add(Finding{Severity: Error, Code: "syntax", What: fmt.Sprintf("line %d: filter %s has a second X line", f.line, shown(f.name)),
				Why: "Sendmail complains (\"duplicate filter definition\") and keeps the first."})
		}
		defined[f.name] = true
	}
	for _, name := range c.names {
		defined[name] = true // once what was found is mended
	}
	all := c.cf.options["inputmailfilters"]
	names := filterNames(all.value)
	if len(names) >= maxFilters {
		c.add(Finding{Severity: Error, Code: "syntax", What: fmt.Sprintf("InputMailFilters names %d filters", len(names)),
			Why: fmt.Sprintf("Sendmail takes fewer than %d, and uses none when there are more.", maxFilters)})
	}
	c.undefined(all, names, defined)
	// A listener that names filters of its own does not ask those of all.
	shared := len(c.cf.daemons) == 0
	asked := make(map[bool]bool) // whether for submission
	var alone []cfDaemon
	for _, d := range c.cf.daemons {
		of, others := c.namesFor(d.submission())
		own := filterNames(d.filters)
		switch {
		case !d.ownFilters && d.submission() && len(of) > 0 && hasSubmission(c.endpoints):
			// InputMailFilters is for mail of others.
			if !containsAny(names, of) || containsAny(names, others) || c.hasOthers() {
				alone = append(alone, d)
			}
		case !d.ownFilters:
			shared = shared || !d.submission() || !hasSubmission(c.endpoints)
		default:
			c.undefined(d.cfOption, own, defined)
			if containsAny(own, of) {
				asked[d.submission()] = true
			}
			if len(of) > 0 && !containsAny(own, of) || containsAny(own, others) {
				alone = append(alone, d)
			}
		}
	}
	if of, others := c.namesFor(false); shared {
		value := strings.Join(c.corrected(names, of, others), ",")
		fixes := []Fix{{File: c.file, Replace: all.line, Through: all.last, Lines: []string{"O InputMailFilters=" + value},
			MC: []string{"define(`confINPUT_MAIL_FILTERS', `" + value + "')"}}}
		switch {
		case containsAny(names, others):
			why := submissionWhy
			if len(of) == 0 {
				why += " No listener is there for such mail: add one without submission, or take submission out."
				fixes = nil
			}
			c.add(Finding{Severity: Error, Code: "wrong-listener", What: fmt.Sprintf("InputMailFilters names %s, which is for submission, and holds for mail of others", shown(strings.Join(others, ", "))),
				Why: why, Fixes: fixes})
		case containsAny(names, of):
			asked[false] = true
		case len(of) > 0:
			severity := Error
			if asked[false] || asked[true] && !hasSubmission(c.endpoints) {
				severity = Warning
			}
			c.add(Finding{Severity: severity, Code: "not-attached", What: fmt.Sprintf("InputMailFilters does not name the filter %s", shown(of[0])),
				Why: "Sendmail knows the filter and does not ask it.", Fixes: fixes})
		}
	}
	for _, d := range alone {
		c.ownList(d, names, asked, shared)
	}
	for i, name := range c.names {
		used := slices.Contains(names, name) && (shared || len(c.cf.daemons) == 0)
		for _, d := range c.cf.daemons {
			of, _ := c.namesFor(d.submission())
			// Not asked, and told already.
			told := slices.ContainsFunc(alone, func(a cfDaemon) bool { return a.line == d.line }) && slices.Contains(of, name)
			used = used || told || slices.Contains(filterNames(d.filters), name)
		}
		if ep := c.endpoints[i]; !ep.Aside && !used && (i > 0 || ep.Submission) {
			c.add(Finding{Severity: Warning, Code: "socket-unused", What: fmt.Sprintf("no listener asks the filter %s at %s", shown(name), ep.Socket),
				Why: "It listens there for nobody."})
		}
	}
}

const submissionWhy = "A listener with submission = true takes its clients for users who authenticate later: refusals at connect and HELO do not apply."

// ownList tells of a listener of Sendmail that asks none of the filters it should ask, or one it should not.
func (c *sendmailCheck) ownList(d cfDaemon, all []string, asked map[bool]bool, shared bool) {
	of, others := c.namesFor(d.submission())
	own := filterNames(d.filters)
	asks := d.filters
	if len(of) == 0 { // the right one is known, though it is not looked at
		for _, ep := range meant(c.endpoints, d.submission()) {
			if i := slices.IndexFunc(c.endpoints, func(x endpoint) bool { return x.Socket == ep.Socket }); c.named(i) {
				of = append(of, c.names[i])
			}
		}
	}
	if !d.ownFilters {
		own, asks = all, strings.Join(all, ", ")
	}
	value := setEquate(d.value, 'I', "InputMailFilters="+strings.Join(c.corrected(own, of, others), ";"))
	f := Finding{Severity: Warning, Code: "not-attached-listener", What: fmt.Sprintf("the listener %s has filters of its own (%s), and %s is not one of them", shown(d.label), shown(asks), shown(strings.Join(of, ", "))),
		Why: "Mail that comes by this listener is not filtered.",
		Fixes: []Fix{{File: c.file, Replace: d.line, Through: d.last, Lines: []string{"O DaemonPortOptions=" + value},
			MC: []string{"DAEMON_OPTIONS(`" + value + "')"}}}}
	switch {
	case containsAny(own, others) && d.submission():
		f.Code, f.What = "wrong-listener", fmt.Sprintf("the listener %s, to which users submit mail, asks %s, which is for mail of others", shown(d.label), shown(asks))
		f.Why = "Users may be refused for what their address or HELO name is, before they could authenticate."
	case containsAny(own, others):
		f.Severity, f.Code, f.Why = Error, "wrong-listener", submissionWhy
		f.What = fmt.Sprintf("the listener %s asks %s, which is for submission", shown(d.label), shown(strings.Join(others, ", ")))
		if len(of) == 0 {
			f.Why += " No listener is there for such mail: add one without submission, or take submission out."
			f.Fixes = nil
		}
	case !d.ownFilters:
		f.What = fmt.Sprintf("the listener %s, to which users submit mail, has no filters of its own", shown(d.label))
		f.Why = fmt.Sprintf("InputMailFilters is for mail of others; %s is for what users submit.", shown(of[0]))
	case !asked[d.submission()] && !shared:
		f.Severity = Error
	}
	c.add(f)
}

// namesFor returns the names of the filters that a listener of Sendmail may ask, the first of them if it asks
// none, and those of ours it should not ask.
func (c *sendmailCheck) namesFor(submission bool) (of, others []string) {
	list := meant(c.endpoints, submission)
	for i, ep := range c.endpoints {
		switch {
		case ep.Aside:
		case slices.ContainsFunc(list, func(o endpoint) bool { return o.Socket == ep.Socket }):
			of = append(of, c.names[i])
		default:
			others = append(others, c.names[i])
		}
	}
	return of, others
}

// named reports whether an endpoint has an X line.
func (c *sendmailCheck) named(i int) bool {
	_, ok := c.find(c.endpoints[i])
	return ok
}

// hasOthers reports whether a listener is for mail of others.
func (c *sendmailCheck) hasOthers() bool {
	return slices.ContainsFunc(c.endpoints, func(ep endpoint) bool { return !ep.Submission })
}

// corrected returns a list of filters with the first of those it should have, and without those it should not.
func (c *sendmailCheck) corrected(list, of, others []string) []string {
	out := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
	if !containsAny(out, of) && len(of) > 0 {
		out = append(out, of[0])
	}
	return out
}

// undefined looks for names without an X line.
func (c *sendmailCheck) undefined(o cfOption, names []string, defined map[string]bool) {
	for _, name := range names {
		if !defined[name] {
			c.add(Finding{Severity: Error, Code: "undefined", What: fmt.Sprintf("line %d: %s names the filter %s, which has no X line", o.line, o.name, shown(name)),
				Why: "Sendmail does not start (\"InputFilter not defined\")."})
		}
	}
}

func containsAny(list, any []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(any, s) })
}

// setEquate replaces an equate of a listener, known by its first letter, or adds it.
func setEquate(value string, letter byte, text string) string {
	var out []string
	found := false
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" && part[0] == letter {
			part, found = text, true
		}
		out = append(out, part)
	}
	if !found {
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// safePath plays Sendmail's safefile() and safedirpath() for a socket: with the
// flags it uses for milters, no directory on the way may be writable for group or
// others, and the socket itself must be no link. Owners do not matter.
func (c *sendmailCheck) safePath(ep endpoint) {
	mode := fs.FileMode(0o022)
	blame := strings.ToLower(c.cf.options["dontblamesendmail"].value)
	words := strings.FieldsFunc(blame, func(r rune) bool { return strings.ContainsRune(", \t;", r) })
	if slices.Contains(words, "groupwritabledirpathsafe") {
		mode = 0o002
	}
	sticky := slices.Contains(words, "truststickybit")
	list, err := visits(c.h, "/", ep.Path)
	if n, e := c.h.lstat(ep.Path); e == nil && n.mode&fs.ModeSymlink != 0 {
		c.add(Finding{Severity: Error, Code: "unsafe", What: fmt.Sprintf("the socket %s is a symbolic link", ep.Path),
			Why: "Sendmail refuses it (\"local socket name unsafe\"): name the socket itself in S=."})
	} else if err == nil && n.mode&fs.ModeSocket != 0 && n.links > 1 {
		c.add(Finding{Severity: Error, Code: "unsafe", What: fmt.Sprintf("the socket %s has %d names", ep.Path, n.links),
			Why: "Sendmail refuses a socket with more than one (\"local socket name unsafe\")."})
	} else if err == nil && n.mode&fs.ModeSocket != 0 && c.runAs.uid == 0 && n.mode&0o600 != 0o600 {
		c.add(Finding{Severity: Error, Code: "unsafe", What: fmt.Sprintf("the owner of the socket %s may not read and write it (mode %04o)", ep.Path, octal(n.mode)),
			Why: "Sendmail refuses it, though root could connect (\"local socket name unsafe\").", Fixes: run("chmod u+rw " + quote(ep.Path))})
	}
	if err == nil {
		list = list[:len(list)-1]
	}
	for _, d := range list {
		if !d.node.mode.IsDir() || sticky && d.node.mode&fs.ModeSticky != 0 {
			continue
		}
		if bad := d.node.mode.Perm() & mode; bad != 0 {
			who, perm := "others", "o-w"
			if bad&0o002 == 0 {
				who, perm = "its group", "g-w"
			} else if bad&0o020 != 0 {
				who, perm = "its group and others", "go-w"
			}
			why := "Sendmail refuses the socket (\"local socket name unsafe\"), and treats all mail as F= says."
			fix := run("chmod " + perm + " " + quote(d.path))
			if d.node.mode&fs.ModeSticky != 0 { // /tmp must stay as it is
				why += " Let gomilter listen in a directory of its own, such as /run/gomilter."
				fix = append(run("install -d -m 0755 /run/gomilter"), listenAt("unix:/run/gomilter/gomilter.sock", "")...)
			}
			c.add(Finding{Severity: Error, Code: "unsafe", What: fmt.Sprintf("%s may write to the directory %s (mode %04o) of the socket %s", who, d.path, octal(d.node.mode), ep.Path),
				Why: why, Fixes: fix})
		}
	}
}

// cfStages are the options with the macros of a stage, in the order of SMTP.
var cfStages = []struct {
	stage      wire.Stage
	option, mc string
}{
	{wire.StageConnect, "connect", "CONNECT"},
	{wire.StageHelo, "helo", "HELO"},
	{wire.StageMail, "envfrom", "ENVFROM"},
	{wire.StageRcpt, "envrcpt", "ENVRCPT"},
	{wire.StageData, "data", "DATA"},
	{wire.StageEndOfHeaders, "eoh", "EOH"},
	{wire.StageEnd, "eom", "EOM"},
}

// macros looks whether what the filter reads is sent, at its stage or before.
func (c *sendmailCheck) macros() {
	sent := make(map[string]bool)
	for _, st := range cfStages {
		o := c.cf.options["milter.macros."+st.option]
		list := strings.FieldsFunc(o.value, func(r rune) bool { return strings.ContainsRune(", \t", r) })
		if len(list) > maxFilterMacros {
			c.add(Finding{Severity: Error, Code: "syntax", What: fmt.Sprintf("line %d: Milter.macros.%s names %d macros", o.line, st.option, len(list)),
				Why: fmt.Sprintf("Sendmail takes %d.", maxFilterMacros)})
		}
		for _, name := range list {
			sent[macroName(name)] = true
		}
		var missing []string
		for _, name := range c.f.Macros[st.stage] {
			if name = macroName(name); !sent[name] && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			continue
		}
		value := strings.Join(append(list, missing...), ", ")
		what := fmt.Sprintf("Milter.macros.%s lacks %s", st.option, strings.Join(missing, ", "))
		if o.line == 0 {
			what = fmt.Sprintf("there is no Milter.macros.%s, and %s is not sent", st.option, strings.Join(missing, ", "))
		}
		c.add(Finding{Severity: Warning, Code: "macros", What: what,
			Why: "The filter reads it, and gets nothing: " + macroUse(missing) + ".",
			Fixes: []Fix{{File: c.file, Replace: o.line, Through: o.last, Lines: []string{"O Milter.macros." + st.option + "=" + value},
				MC: []string{"define(`confMILTER_MACROS_" + st.mc + "', ``" + value + "'')"}}}})
	}
}
