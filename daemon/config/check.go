package config

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/filter/html"
	"github.com/gomilter/gomilter/filter/scan"
	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/quarantine"
)

// What mail servers wait, by default.
const (
	mtaStage = 10 * time.Second  // Sendmail, before the end of the message
	mtaEnd   = 300 * time.Second // Sendmail and Postfix, at its end
)

// check tells what is wrong between keys, and what is unwise. Where a file is missing
// it keeps to what is wrong whatever stands there.
func (d *decoder) check(c *Config, whole bool) {
	d.checkProcess(c)
	d.checkDNS(c)
	steps := d.checkFilters(c)
	if whole && len(c.Listeners) == 0 && !d.isWrong("listener") {
		d.bad(d.places.of(""), "listener", "there is none; write [[listener]] with a socket and a chain")
	}
	sockets, names := make(map[string]string), make(map[string]string)
	if c.Control.Socket != "" {
		sockets[c.Control.Socket] = "control.socket"
	}
	if c.HTTP.Listen != "" {
		if what := socketPlace(c.HTTP.Listen); sockets[what] != "" && what != "" {
			d.bad(d.places.of("http.listen"), "http.listen", "%s has the same", sockets[what])
		} else {
			sockets[what] = "http.listen"
		}
	}
	for i := range c.Listeners {
		d.checkListener(c, i, steps, sockets, names, whole)
	}
	if !whole { // what is missing may stand in the file that could not be read
		return
	}
	used := make(map[string]bool)
	for _, l := range c.Listeners {
		for _, name := range l.Filters {
			used[name] = true
		}
	}
	for _, f := range c.Filters {
		if key := joinPath("filter", f.Name); !used[f.Name] {
			d.warn(d.places.of(key), key, "it is in no listener's chain")
		}
	}
}

// set reports whether a key stands in the files.
func (d *decoder) set(key string) bool { _, ok := d.places.set[key]; return ok }

func (d *decoder) checkProcess(c *Config) {
	if strings.ContainsAny(c.User, ": \t\n") {
		d.bad(d.places.of("user"), "user", "%q is no name of a user", c.User)
	}
	if c.StateDir == "" {
		d.bad(d.places.of("state_dir"), "state_dir", "it is empty")
	}
	switch to := c.Log.To; {
	case to == "stderr" || to == "syslog":
		if d.set("log.mode") {
			d.warn(d.places.of("log.mode"), "log.mode", "it is for files, and the log goes to %s", to)
		}
	case to == "":
		if !d.isWrong("log.to") {
			d.bad(d.places.of("log.to"), "log.to", "it is empty; write \"stderr\", \"syslog\" or the path of a file")
		}
	case c.Log.Mode&0o002 != 0:
		d.warn(d.places.of("log.mode"), "log.mode", "everybody may write to the log")
	}
	if c.HTTP.Listen != "" && everybody(c.HTTP.Listen) {
		d.warn(d.places.of("http.listen"), "http.listen", "open to everybody who can reach this machine; name a host to listen on, as in 127.0.0.1:9109")
	}
	if n := len(c.Control.Socket); n > 107 {
		d.bad(d.places.of("control.socket"), "control.socket", "it has %d bytes; the path of a unix socket has 107 at most", n)
	}
	if c.Control.Mode&0o007 != 0 {
		d.warn(d.places.of("control.mode"), "control.mode", "everybody on this machine may stop the filter and release originals")
	}
	if c.Kept.Enabled && c.Kept.Dir != "" {
		if info, err := os.Stat(c.Kept.Dir); err == nil && info.IsDir() && info.Mode().Perm()&0o007 != 0 {
			d.warn(d.places.of("kept.dir"), "kept.dir", "%s may be read by everybody on this machine (%04o), and has whole messages in it", c.Kept.Dir, info.Mode().Perm())
		}
	}
	for key, list := range map[string][]netip.Prefix{"network.internal": c.Network.Internal, "network.trusted_relays": c.Network.TrustedRelays} {
		for i, p := range list {
			if p.Bits() == 0 && len(d.places.elements[key]) == len(list) {
				d.warn(d.places.elements[key][i], element(key, i), "%v is everybody", p)
			}
		}
	}
	if loopback := netip.MustParseAddr("127.0.0.1"); d.set("network.internal") && !d.isWrong("network.internal") &&
		!slices.ContainsFunc(c.Network.Internal, func(p netip.Prefix) bool { return p.Contains(loopback) }) {
		d.warn(d.places.of("network.internal"), "network.internal", "127.0.0.1 is not in it: mail that programs on this machine send is of class external")
	}
	if dir := c.Spool.Dir; dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			d.bad(d.places.of("spool.dir"), "spool.dir", "there is no folder %s", dir)
		}
	}
	if !d.isWrong("timeouts") {
		d.checkTimes(c.Timeouts, "timeouts", nil)
	}
}

// checkTimes judges the times of a table, but not those that of has too.
func (d *decoder) checkTimes(t Timeouts, table string, of *Timeouts) {
	tell := func(name string, wrong bool, format string, args ...any) {
		key := table + "." + name
		if wrong {
			d.bad(d.places.of(key), key, format, args...)
		} else {
			d.warn(d.places.of(key), key, format, args...)
		}
	}
	// What is told of a time: a listener's own ones, those of all listeners once.
	own := func(mine, theirs time.Duration) bool { return of == nil || mine != theirs }
	if of == nil {
		of = &Timeouts{}
	}
	if own(t.Stage, of.Stage) && (t.Stage < 0 || t.Stage >= mtaStage) {
		tell("stage", false, "Sendmail waits no longer than %v by default, and takes the filter for broken then", mtaStage)
	}
	if own(t.End, of.End) && (t.End < 0 || t.End >= mtaEnd) {
		tell("end", false, "mail servers wait no longer than %v by default, and take the filter for broken then", mtaEnd)
	}
	if (own(t.Stage, of.Stage) || own(t.FiltersStage, of.FiltersStage)) && t.Stage > 0 && t.FiltersStage >= t.Stage {
		tell("filters_stage", true, "%s is not less than stage, %s", formatDuration(t.FiltersStage), formatDuration(t.Stage))
	}
	if (own(t.End, of.End) || own(t.FiltersEnd, of.FiltersEnd)) && t.End > 0 && t.FiltersEnd >= t.End {
		tell("filters_end", true, "%s is not less than end, %s", formatDuration(t.FiltersEnd), formatDuration(t.End))
	}
}

// checkFilters builds each filter, and returns those that could be.
func (d *decoder) checkFilters(c *Config) map[string]filter.Step {
	steps := make(map[string]filter.Step)
	for i := range c.Filters {
		f := &c.Filters[i]
		key := joinPath("filter", f.Name)
		switch f.OnError {
		case filter.ErrorAccept, filter.ErrorSkip:
			d.warn(d.places.of(key+".on_error"), key+".on_error", "a message on which the filter fails passes it unchecked (fail-open)")
		}
		if f.OnRepeat == filter.RepeatSkip {
			d.warn(d.places.of(key+".on_repeat"), key+".on_repeat", "a message on which the filter fails three times passes it unchecked (fail-open)")
		}
		if f.Options == nil {
			continue
		}
		b := &build{config: c, filter: f, places: d.places, problem: func(p Problem) {
			// What could not be decoded has its error, and others may follow from it.
			if !d.isWrong(p.Key) && (p.Warning || !d.within(p.Key)) {
				d.add(p)
			}
		}}
		if step, ok := b.step(); ok {
			steps[f.Name] = step
		}
	}
	return steps
}

// within reports whether a table of an array that holds a key, or the table of a list's
// key, has an error already.
func (d *decoder) within(key string) bool {
	if i := strings.Index(key, "].edit"); i >= 0 {
		return d.isWrong(key[:i+1])
	}
	if i := strings.LastIndexByte(key, ']'); i >= 0 && !strings.HasSuffix(key, "]") {
		return d.isWrong(key[:i+1])
	}
	return false
}

func (d *decoder) checkListener(c *Config, i int, steps map[string]filter.Step, sockets, names map[string]string, whole bool) {
	l, key := &c.Listeners[i], element("listener", i)
	bad := func(name, format string, args ...any) { d.bad(d.places.of(key+name), key+name, format, args...) }
	warn := func(name, format string, args ...any) { d.warn(d.places.of(key+name), key+name, format, args...) }

	switch before, ok := names[l.Name]; {
	case !validName(l.Name):
		bad(".name", "a listener's name is letters, digits, - and _, 40 at most")
	case ok:
		bad(".name", "%s is called %q, too", before, l.Name)
	}
	names[l.Name] = key
	if whole || l.Socket != "" {
		d.checkSocket(l, key, sockets, bad, warn)
	}
	switch l.OnFault {
	case milter.FaultAccept, milter.FaultContinue:
		warn(".on_fault", "a message on which the chain breaks passes unchecked (fail-open)")
	}
	if !d.isWrong(key+".timeouts") && !d.isWrong("timeouts") {
		d.checkTimes(l.Timeouts, key+".timeouts", &c.Timeouts)
	}
	if whole && len(l.Filters) == 0 && !d.isWrong(key+".chain") {
		warn(".chain", "no filter is in it: mail passes as it comes")
	}
	d.checkChain(c, l, key, steps, whole)
	d.checkHolds(c, l, key)
	if whole {
		d.checkAccess(c, l, key)
	}
}

// checkHolds tells of filters that have messages held before others could change or scan them: what is
// held goes to its recipients as it is when it is released.
func (d *decoder) checkHolds(c *Config, l *Listener, key string) {
	for i, name := range l.Filters {
		f := c.filter(name)
		if f == nil || f.Mode != filter.On {
			continue
		}
		var behind []string
		for _, later := range l.Filters[i+1:] {
			if g := c.filter(later); g != nil && g.Mode == filter.On && slices.Contains([]string{"attachments", "html", "scan"}, g.Kind) {
				behind = append(behind, later)
			}
		}
		if len(behind) == 0 {
			continue
		}
		for _, k := range f.holds() {
			// What nobody wrote is left alone: attachments hold sealed parts, and there is no telling which filter is to come first.
			if k = joinPath("filter", name) + "." + k; d.set(k) {
				d.warn(d.places.of(k), k, "a message that is held is not given to the filters behind it, and is released as it is: in the chain of %s, put %q behind %s",
					key, name, strings.Join(behind, ", "))
			}
		}
	}
}

// holds returns the keys of a filter's table by which messages are held.
func (f *Filter) holds() []string {
	var keys []string
	add := func(key string, yes bool) {
		if yes {
			keys = append(keys, key)
		}
	}
	switch o := f.Options.(type) {
	case *Attachments:
		actions := reflect.ValueOf(o.Actions)
		for _, k := range keysOf(actions.Type()) {
			add("actions."+k.name, actions.Field(k.index).Interface() == attachments.Quarantine)
		}
		add("sealed", o.Sealed == attachments.Quarantine)
	case *HTML:
		add("sealed", o.Sealed == html.Quarantine)
	case *Headers:
		for i, r := range o.Rules {
			add(element("rule", i)+".action", r.Action == headers.Quarantine)
		}
	case *Scan:
		add("found", o.Found == scan.Quarantine)
		for i, s := range o.Scores {
			add(element("scores", i)+".action", s.Action == scan.Quarantine)
		}
		add("on_large", o.OnLarge == scan.Quarantine)
		add("on_down", o.OnDown == scan.Quarantine)
	case *Auth:
		return o.holds()
	case *Access:
		return o.holds()
	}
	return keys
}

func (d *decoder) checkChain(c *Config, l *Listener, key string, steps map[string]filter.Step, all bool) {
	chain := &filter.Chain{}
	if c.Kept.Enabled {
		chain.Originals = new(quarantine.Store) // there is one
	}
	whole := all && !d.isWrong(key+".chain")
	at := func(i int) place {
		if e := d.places.elements[key+".chain"]; i < len(e) {
			return e[i]
		}
		return d.places.of(key + ".chain")
	}
	for i, name := range l.Filters {
		k := element(key+".chain", i)
		f := c.filter(name)
		switch {
		case f == nil && !all:
			continue
		case f == nil:
			hint := "write a table [filter." + quoteKey(name) + "]"
			if near := nearest(name, c.names()); near != "" {
				hint = "did you mean \"" + near + "\"?"
			}
			d.bad(at(i), k, "no filter is called %q; %s", name, hint)
			whole = false
			continue
		case slices.Index(l.Filters, name) < i:
			d.bad(at(i), k, "%q is in the chain already", name)
			whole = false
			continue
		}
		step, ok := steps[name]
		if !ok {
			whole = false
			continue
		}
		chain.Steps = append(chain.Steps, step)
		if n := step.Timeout; n > l.Timeouts.FiltersEnd {
			k := joinPath("filter", name) + ".timeout"
			d.warn(d.places.of(k), k, "it is more than all filters of %s have together, %s", key, formatDuration(l.Timeouts.FiltersEnd))
		}
	}
	if !whole {
		return
	}
	if err := chain.Check(); err != nil {
		for _, e := range unjoin(err) {
			text := reason(e, filter.ErrChain)
			if !c.Kept.Enabled && strings.Contains(text, "keeps originals") {
				text += "; write enabled = true in [kept]"
			}
			d.bad(at(0).asKey(d.places.of(key+".chain")), key+".chain", "%s", text)
		}
	}
}

// asKey returns the place of a key rather than that of what stands in it.
func (p place) asKey(key place) place {
	if key.line > 0 {
		return key
	}
	return p
}

// unjoin returns the errors that were joined.
func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// unix reports whether the listener's socket is a unix socket.
func (l *Listener) unix() bool {
	network, _, _ := wire.ParseAddr(l.Socket)
	return network == "unix"
}

func (d *decoder) checkSocket(l *Listener, key string, sockets map[string]string, bad, warn func(string, string, ...any)) {
	if l.Socket == "" {
		if !d.isWrong(key + ".socket") {
			bad(".socket", "it needs one, such as \"unix:/run/gomilter/gomilter.sock\" or \"inet:8891@127.0.0.1\"")
		}
		return
	}
	network, _, err := wire.ParseAddr(l.Socket)
	if err != nil {
		return // told when it was decoded
	}
	what := socketPlace(l.Socket)
	switch network {
	case "unix":
		if l.Mode&0o002 != 0 {
			warn(".mode", "everybody on this machine may connect (%s)", formatMode(l.Mode))
		}
		if rest, ok := strings.CutPrefix(what, "/var/spool/postfix/"); ok {
			switch folder, _, _ := strings.Cut(rest, "/"); {
			case folder == "public" || folder == "private" || !strings.Contains(rest, "/"):
				warn(".socket", "the folder %s is Postfix's own, which resets its owner and permissions; use one such as /var/spool/postfix/gomilter", filepath.Dir(what))
			case l.Group == "" && l.Mode&0o006 != 0o006:
				warn(".group", "Postfix connects as the user postfix, and cannot: name a group that it is in")
			}
		}
	case "fd": // whoever opened it has judged it
	default:
		if everybody(l.Socket) {
			warn(".socket", "open to everybody who can reach this machine; name a host to listen on, as in inet:8891@127.0.0.1")
		}
	}
	if network != "unix" {
		for name, given := range map[string]bool{".mode": d.set(key + ".mode"), ".owner": l.Owner != "", ".group": l.Group != ""} {
			if given {
				bad(name, "it is for unix sockets, and the socket is %s", l.Socket)
			}
		}
	}
	if before, ok := sockets[what]; ok && what != "" {
		bad(".socket", "%s has the same", before)
	}
	sockets[what] = key
}

// socketPlace returns what two sockets cannot share; "" for one that gets any free port.
func socketPlace(spec string) string {
	network, address, err := wire.ParseAddr(spec)
	switch {
	case err != nil:
		return ""
	case network == "unix":
		return filepath.Clean(address)
	case network == "fd":
		return "fd://" + address
	}
	if _, port, _ := net.SplitHostPort(address); port == "0" {
		return ""
	}
	return address
}

// everybody reports whether a socket takes connections at all addresses.
func everybody(spec string) bool {
	network, address, err := wire.ParseAddr(spec)
	if err != nil || network == "unix" || network == "fd" {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}
