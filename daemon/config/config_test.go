package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/filter/scan"
	"github.com/gomilter/gomilter/filter/sign"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/quarantine"
)

// minimal is the least there can be.
const minimal = "[[listener]]\nsocket = \"inet:8891@127.0.0.1\"\nchain = [\"html\"]\n[filter.html]\n"

// write puts files into a folder, and returns the path of the first.
func write(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

func parseText(t testing.TB, text string) (*Config, Problems) {
	t.Helper()
	return parseFiles(t, write(t, "c.toml", text))
}

func parseFiles(t testing.TB, paths ...string) (*Config, Problems) {
	t.Helper()
	s, err := Load(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return s.Parse()
}

func parse(t testing.TB, text string) *Config {
	t.Helper()
	c, problems := parseText(t, text)
	if err := problems.Err(); err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return c
}

// texts returns problems without the folder of their files.
func texts(problems Problems) string {
	var b strings.Builder
	for _, p := range problems {
		if p.File != "" {
			p.File = filepath.Base(p.File)
		}
		if p.Warning {
			b.WriteString("warning: ")
		}
		b.WriteString(p.Error() + "\n")
	}
	return b.String()
}

func diffConfig(a, b *Config) string {
	return cmp.Diff(a, b, cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && slices.Contains([]string{"places", "listFiles", "config", "asked", "policies"}, f.Name())
	}, cmp.Ignore()), cmp.Comparer(func(x, y netip.Prefix) bool { return x == y }),
		cmp.Comparer(func(x, y Secret) bool { return x.Reveal() == y.Reveal() }), cmp.AllowUnexported(Config{}, Listener{}))
}

// Each sort of mistake is told where it is, all of them at once.
func TestProblems(t *testing.T) {
	const rest = "\n" + minimal
	for _, tt := range []struct{ name, in, want string }{
		{"unknown key at the top", "usr = 'x'" + rest, `c.toml:1:1: usr: there is no such key; did you mean "user"?`},
		{"unknown key below", "[log]\nfromat = 'text'" + rest, `c.toml:2:1: log.fromat: there is no such key; did you mean "format"?`},
		{"unknown key like no other", "[log]\nxyzzy = 1" + rest, `c.toml:2:1: log.xyzzy: there is no such key`},
		{"unknown table", "[lgo]\nto = 'x'" + rest, `c.toml:1:2: lgo: there is no such key; did you mean "log"?`},
		{"unknown key of a filter", minimal + "remove_form = true", `c.toml:5:1: filter.html.remove_form: there is no such key; did you mean "remove_forms"?`},
		{"unknown word", "[log]\nlevel = 'wran'" + rest, `c.toml:2:9: log.level: "wran" is none of debug, info, warn, error; did you mean "warn"?`},
		{"word in upper case", minimal + "mode = 'On'", `c.toml:5:8: filter.html.mode: "On" is none of on, report, off; did you mean "on"?`},
		{"number for a string", "user = 5" + rest, `c.toml:1:8: user: it is a whole number, and should be a string`},
		{"string for a boolean", "[log]\ntags = 'yes'" + rest, `c.toml:2:8: log.tags: it is a string, and should be true or false`},
		{"string for a list", minimal + "applies.from = '@x.org'", `c.toml:5:16: filter.html.applies.from: it is a string, and should be an array of strings`},
		{"number in a list", minimal + "applies.from = ['@x.org', 5]", `c.toml:5:27: filter.html.applies.from[2]: it is a whole number, and should be a string`},
		{"value for a table", "log = 'stderr'" + rest, `c.toml:1:7: log: it is a string, and should be a table`},
		{"table for a value", "[user]\nx = 1" + rest, `c.toml:1:2: user: it is a table, and should be a string`},
		{"fraction", "[limits]\nrcpts = 1.5" + rest, `c.toml:2:9: limits.rcpts: it is a number with a fraction, and should be a whole number, or "none"`},
		{"date", "[limits]\nrcpts = 2020-01-01" + rest, `c.toml:2:9: limits.rcpts: it is a date or time, and should be a whole number, or "none"`},
		{"time without a unit", "[timeouts]\nidle = '5'" + rest, `c.toml:2:8: timeouts.idle: "5" is no time; write it with a unit: "300ms", "5s", "10m", "8h", "7d", or "none"`},
		{"number for a time", "[timeouts]\nidle = 5" + rest, `c.toml:2:8: timeouts.idle: it is a whole number, and should be a string with a unit, such as "5s", "10m", "8h" or "7d"`},
		{"time of nothing", "[timeouts]\nidle = '0s'" + rest, `c.toml:2:8: timeouts.idle: it has to be more than 0`},
		{"no limit where there is one", "[timeouts]\nfilters_end = 'none'" + rest, `c.toml:2:15: timeouts.filters_end: "none" is no time; write it with a unit: "300ms", "5s", "10m", "8h", "7d"`},
		{"size with another unit", "[kept]\nmax_size = '5 Mio'" + rest, `c.toml:2:12: kept.max_size: "5 Mio" is no size; write a number of bytes, or "500 kB", "25 MB", "1 MiB"`},
		{"size that overflows", "[kept]\nmax_size = '99999999999 GiB'" + rest, `c.toml:2:12: kept.max_size: "99999999999 GiB" is too large`},
		{"negative size", "[kept]\nmax_size = -1" + rest, `c.toml:2:12: kept.max_size: it has to be 1 bytes at least`},
		{"negative limit", "[limits]\nrcpts = -1" + rest, `c.toml:2:9: limits.rcpts: it has to be 1 at least; "none" is for no limit`},
		{"number for permissions", "[control]\nmode = 384" + rest, `c.toml:2:8: control.mode: it is a whole number, and should be a string of octal digits, such as "0660"`},
		{"permissions that are none", "[control]\nmode = '0680'" + rest, `c.toml:2:8: control.mode: "0680" are no permissions; write octal digits such as "0660"`},
		{"network that is none", "[network]\ninternal = ['10.0.0.0/8', '10.0.0.0/33']" + rest, `c.toml:2:27: network.internal[2]: "10.0.0.0/33" is neither an address nor a network; write "192.0.2.1", "192.0.2.0/24" or "2001:db8::/32"`},
		{"syntax", "user = ", `c.toml:1:7: expected value`},
		{"key twice", "user = 'a'\nuser = 'b'" + rest, `c.toml:2:1: user: key user is already defined`},
		{"Latin-1", "user = 'a'\n# gr\xfcn" + rest, `c.toml:2:5: this is no UTF-8: byte 0xfc`},
		{"NUL", `user = "a\u0000"` + rest, `c.toml:1:8: user: it holds a NUL`},
		{"socket that is none", "[http]\nlisten = '9109'" + rest, `c.toml:2:10: http.listen: socket "9109": is neither a path nor host:port; a port alone is written inet:9109`},
		{"nothing at all", "", `c.toml: listener: there is none; write [[listener]] with a socket and a chain`},
		{"listener without brackets", "[listener]\nsocket = 'inet:1@127.0.0.1'", `c.toml:1:2: listener: write [[listener]] above the keys of each listener`},
		{"no socket", "[[listener]]\nchain = ['html']\n[filter.html]", `c.toml:1:3: listener[1].socket: it needs one, such as "unix:/run/gomilter/gomilter.sock" or "inet:8891@127.0.0.1"`},
		{"one socket twice", minimal + "[[listener]]\nsocket = 'inet:8891@127.0.0.1'\nchain = ['html']", `c.toml:6:1: listener[2].socket: listener[1] has the same`},
		{"socket of the metrics", "[http]\nlisten = '127.0.0.1:8891'" + rest, `c.toml:4:1: listener[1].socket: http.listen has the same`},
		{"socket for commands", "[control]\nsocket = '/run/x'\n[[listener]]\nsocket = 'unix:/run/../run/x'\nchain = ['html']\n[filter.html]", `c.toml:4:1: listener[1].socket: control.socket has the same`},
		{"socket for commands and metrics", "[control]\nsocket = '/run/x'\n[http]\nlisten = 'unix:/run/x'" + rest, `c.toml:4:1: http.listen: control.socket has the same`},
		{"one name twice", minimal + "[[listener]]\nname = 'gomilter-1'\nsocket = 'inet:8892@127.0.0.1'\nchain = ['html']", `c.toml:6:1: listener[2].name: listener[1] is called "gomilter-1", too`},
		{"permissions of no unix socket", "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html']\nmode = '0660'\n[filter.html]", `c.toml:4:1: listener[1].mode: it is for unix sockets, and the socket is inet:1@127.0.0.1`},
		{"filter that is not there", "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html', 'htlm']\n[filter.html]", `c.toml:3:18: listener[1].chain[2]: no filter is called "htlm"; did you mean "html"?`},
		{"filter twice in a chain", "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html', 'html']\n[filter.html]", `c.toml:3:18: listener[1].chain[2]: "html" is in the chain already`},
		{"kind that is not there", minimal + "kind = 'xhtml'", `c.toml:5:8: filter.html.kind: no kind of filter is called "xhtml", there are ` + kindNames() + `; did you mean "html"?`},
		{"kind by name", minimal + "[filter.x]", `filter.x: no kind of filter is called "x", there are ` + kindNames() + `; name one with kind`},
		{"name with a dot", minimal + "[filter.'a.b']\nkind = 'html'", `c.toml:5:9: filter."a.b": a filter's name is letters, digits, - and _, 40 at most`},
		{"filter that is no table", "filter = { x = 5 }" + "\n[[listener]]\nsocket = 'inet:1@127.0.0.1'", `c.toml:1:16: filter.x: it is a whole number; write [filter.NAME] above the keys of each filter`},
		{"filters' time past the stage's", "[timeouts]\nstage = '5s'\nfilters_stage = '5s'" + rest, `c.toml:3:1: timeouts.filters_stage: 5s is not less than stage, 5s`},
		{"a listener's own time", "[timeouts]\nfilters_end = '60s'" + rest + "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html']\ntimeouts.end = '30s'", `listener[2].timeouts.filters_end: 1m is not less than end, 30s`},
		{"originals off", "[kept]\nenabled = false" + rest, `c.toml:5:1: listener[1].chain: "html" keeps originals, and the chain has no place for them; write enabled = true in [kept]`},
		{"no class left", minimal + "applies = { class = ['external'], not_class = ['external'] }", `c.toml:5:1: filter.html.applies: no class of messages is left`},
		{"address without a domain", minimal + "applies.rcpts = ['@x.org', 'bob']", `c.toml:5:28: filter.html.applies.rcpts[2]: "bob" has no "@"; write user@domain, @domain, or <> for the null sender`},
		{"client that is none", minimal + "applies.client = ['192.0.2.0/40']", `c.toml:5:19: filter.html.applies.client[1]: "192.0.2.0/40" is neither an address, a network, nor a host's name with wildcards`},
		{"field that cannot be", minimal + "tag = 'X Y'", `c.toml:5:1: filter.html.tag: byte ' ' in header name "X Y" (RFC 5322 section 2.2)`},
		{"extension with a dot inside", minimal + "[filter.attachments]\nextensions = ['exe', 'tar.gz']", `c.toml:6:22: filter.attachments.extensions[2]: extension "tar.gz"`},
		{"domain that is none", minimal + "[filter.attachments]\nreject_from = ['a b']", `c.toml:6:16: filter.attachments.reject_from[1]: "a b" is no domain`},
		{"reply that cannot be", minimal + "[filter.attachments]\nreply.code = 450", `c.toml:6:1: filter.attachments.reply: milter: reply cannot be sent: code 450 is not 5yz`},
		{"notice that is no template", minimal + "[filter.attachments]\nnotice = '{{.Nme}}'", `c.toml:6:1: filter.attachments.notice: template: notice:1:2: executing "notice" at <.Nme>: can't evaluate field Nme in type attachments.Warning`},
		{"regular expression", minimal + "[filter.headers]\n[[filter.headers.rule]]\nfields = ['Subject']\nmatch = 'regexp'\nvalues = ['a', 'b(']\naction = 'reject'", "c.toml:9:16: filter.headers.rule[1].values[2]: error parsing regexp: missing closing ): `(?i)b(`"},
		{"rule without an action", minimal + "[filter.headers]\n[[filter.headers.rule]]\nfields = ['Subject']\nmatch = 'present'", `c.toml:6:18: filter.headers.rule[1].action: it has no action; write action = one of reject, tempfail, discard, quarantine, tag, add, change, remove, note`},
		{"rule with a number it does not take", minimal + "[filter.headers]\n[[filter.headers.rule]]\nfields = ['Subject']\nmatch = 'present'\nn = 3\naction = 'note'", `c.toml:8:1: filter.headers.rule[1].match: match present takes no number`},
		{"name server without an address", minimal + "[dns]\nservers = ['127.0.0.1', 'ns.example.com']", `c.toml:6:25: dns.servers[2]: "ns.example.com" is no address of a name server`},
		{"name server with a port that is none", minimal + "[dns]\nservers = ['127.0.0.1:0']", `c.toml:6:12: dns.servers[1]: "127.0.0.1:0" is no address of a name server`},
		{"no scanner", minimal + "[filter.scan]\nservers = ['127.0.0.1:1']", `c.toml:5:9: filter.scan.scanner: it needs one of clamd, spamd, rspamd`},
		{"no server", minimal + "[filter.scan]\nscanner = 'clamd'", `c.toml:5:9: filter.scan.servers: there is no server`},
		{"server that is none", minimal + "[filter.scan]\nscanner = 'clamd'\nservers = ['127.0.0.1:1', 'clamd']", `c.toml:7:27: filter.scan.servers[2]: socket "clamd": `},
		{"scores of clamd", minimal + "[filter.scan]\nscanner = 'clamd'\nservers = ['127.0.0.1:1']\nscores = [{ from = 5.5, action = 'reject' }]", `c.toml:8:1: filter.scan.scores: clamd gives no scores`},
		{"score that is none", minimal + "[filter.scan]\nscanner = 'spamd'\nservers = ['127.0.0.1:1']\nscores = [{ from = inf, action = 'reject' }]", `c.toml:8:20: filter.scan.scores[1].from: it should be a number`},
		{"score without an action", minimal + "[filter.scan]\nscanner = 'spamd'\nservers = ['127.0.0.1:1']\nscores = [{ from = 5 }]", `c.toml:8:11: filter.scan.scores[1].action: it has none`},
		{"header rules without a rule", minimal + "[filter.headers]", `c.toml:5:9: filter.headers: it has no [[filter.headers.rule]]`},
		{"several endings in one", minimal + "[filter.attachments]\nextensions = ['exe', 'exe,js,bat']", `c.toml:6:22: filter.attachments.extensions[2]: extension "exe,js,bat": it has a comma or a blank; write one ending each, as in ["exe", "js"]`},
		{"endings with blanks", minimal + "[filter.attachments]\nextensions = ['exe js']", `extension "exe js": it has a comma or a blank`},
		{"ending with a wildcard", minimal + "[filter.attachments]\nextensions = ['*.exe']", `c.toml:6:15: filter.attachments.extensions[1]: extension "*.exe": endings are written without wildcards, as in "exe"`},
		{"several addresses in one", minimal + "applies.not_rcpts = ['a@b.c d@e.f']", `c.toml:5:22: filter.html.applies.not_rcpts[1]: "a@b.c d@e.f" has a comma or a blank; write one address each`},
		{"several addresses with a comma", minimal + "applies.from = ['a@b.c,@e.f']", `"a@b.c,@e.f" has a comma or a blank`},
		{"several clients in one", minimal + "applies.client = ['192.0.2.1,192.0.2.2']", `applies.client[1]: "192.0.2.1,192.0.2.2" is neither an address, a network, nor a host's name`},
		{"several domains in one", minimal + "[filter.attachments]\nreject_from = ['a.org,b.org']", `c.toml:6:16: filter.attachments.reject_from[1]: "a.org,b.org" is no domain; write one each`},
		{"domain with an at", minimal + "[filter.attachments]\nreject_from = ['@a.org']", `"@a.org" is no domain; write one without @ and wildcards`},
		{"several fields in one", minimal + "[filter.headers]\nrule=[{ fields=['Subject,From'], match='present', action='note' }]", `c.toml:6:17: filter.headers.rule[1].fields[1]: "Subject,From" has a comma; write one each`},
		{"several recipients in one", minimal + "[filter.headers]\nrule=[{ fields=['Subject'], match='present', action='reject', rcpts=['a@b.c,d@e.f'] }]", `filter.headers.rule[1].rcpts[1]: "a@b.c,d@e.f" has a comma; write one each`},
		{"rule for nobody", minimal + "[filter.headers]\nrule=[{ fields=['Subject'], match='present', action='reject', rcpts=[] }]", `filter.headers.rule[1].rcpts: it names no recipient; leave the key out for all`},
		{"several servers in one", minimal + "[filter.scan]\nscanner = 'clamd'\nservers = ['127.0.0.1:1, 127.0.0.1:2']", `c.toml:7:12: filter.scan.servers[1]: "127.0.0.1:1, 127.0.0.1:2" has a comma or a blank; write one server each`},
		{"permissions that are a number", "[control]\nmode = 0660" + rest, `c.toml:2:8: integers cannot have leading zeroes; permissions are written as text, such as "0660"`},
		{"keys of another scanner", minimal + "[filter.scan]\nscanner = 'clamd'\nservers = ['127.0.0.1:1']\nfollow = true", `c.toml:8:1: filter.scan.follow: it is for rspamd, and the scanner is clamd`},
		{"user of another scanner", minimal + "[filter.scan]\nscanner = 'clamd'\nservers = ['127.0.0.1:1']\nuser = 'x'", `c.toml:8:1: filter.scan.user: it is for spamd, and the scanner is clamd`},
		{"action that needs a scan", minimal + "[filter.scan]\nscanner = 'clamd'\nservers = ['127.0.0.1:1']\non_large = 'discard'", `c.toml:8:1: filter.scan.on_large: discard is not for messages that were not scanned; write one of accept, tag, quarantine, tempfail, reject`},
		{"field of no header", minimal + "[filter.scan]\nscanner = 'clamd'\nservers = ['127.0.0.1:1']\nfield = 'X Y'", `c.toml:8:1: filter.scan.field: "X Y" cannot begin the name of a header field`},
		{"rule without fields", minimal + "[filter.headers]\nrule=[{ match='present', action='note' }]", `filter.headers.rule[1].fields: it needs fields, unless it is on recipients; write fields = ["Subject"] or whatever is looked at`},
		{"rule without values", minimal + "[filter.headers]\nrule=[{ fields=['Subject'], action='note', match='contains' }]", `filter.headers.rule[1].match: match contains needs values; write values = ["..."]`},
		{"log that is nearly a word", "[log]\nto = 'sdterr'" + rest, `c.toml:2:6: log.to: "sdterr" is neither "stderr" nor "syslog"; did you mean "stderr"?`},
		{"log that goes nowhere", "[log]\nto = ''" + rest, `c.toml:2:1: log.to: it is empty`},
		{"socket's path that becomes too long", "[[listener]]\nsocket = 'unix:" + strings.Repeat("x", 107) + "'\nchain = ['html']\n[filter.html]", `c.toml:2:10: listener[1].socket: socket "unix:/`},
		{"folder that is not there", "[spool]\ndir = '/none/such'" + rest, `c.toml:2:1: spool.dir: there is no folder /none/such`},
		{"file that is not there", minimal + "applies.from = ['file:none']", `filter.html.applies.from[1]: open `},
		{"file that is a folder", minimal + "applies.from = ['file:.']", `filter.html.applies.from[1]: read `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, problems := parseText(t, tt.in)
			if c != nil || problems.Err() == nil {
				t.Errorf("Parse(%q) has no error, want %s", tt.in, tt.want)
			}
			if got := texts(problems); !strings.Contains(got, tt.want) {
				t.Errorf("Parse(%q):\n%swant\n%s", tt.in, got, tt.want)
			}
		})
	}
}

func kindNames() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

func TestAllProblemsOfAllFilesAreTold(t *testing.T) {
	path := write(t,
		"c.toml", "include = ['d/*.toml', 'missing.toml', 5]\nuser = 5\n"+minimal+"mode = 'x'\n",
		"d/a.toml", "broken\n[log]\nlevel = 'x'\n",
		"d/b.toml", "[log]\nlevel = 'y'\nformat = 3\n[filter]\nhtml = 5\n")
	_, problems := parseFiles(t, path)
	want := []string{
		`c.toml:1:24: include: there is no file `, `c.toml:1:40: include: a whole number in an array of strings`,
		`c.toml:2:8: user: it is a whole number`, `c.toml:7:8: filter.html.mode: "x" is none of on, report, off`,
		`a.toml:1:7: `, `b.toml:2:9: log.level: "y" is none of`, `b.toml:3:10: log.format: it is a whole number`, `b.toml:5:1: filter.html: it is a whole number, and in `,
	}
	got := texts(problems)
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d problems, want %d:\n%s", len(lines), len(want), got)
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w) {
			t.Errorf("problem %d is\n%s\nwant\n%s", i+1, lines[i], w)
		}
	}
}

func TestWarnings(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	list := write(t, "l", "@x.org\n")
	if err := os.Chmod(list, 0o666); err != nil {
		t.Fatal(err)
	}
	const rest = "\n" + minimal
	for _, tt := range []struct{ name, in, want string }{
		{"fail open", minimal + "on_error = 'accept'", `c.toml:5:1: filter.html.on_error: a message on which the filter fails passes it unchecked (fail-open)`},
		{"fail open by skipping", minimal + "on_error = 'skip'", `filter.html.on_error: a message on`},
		{"fail open in the end", minimal + "on_repeat = 'skip'", `filter.html.on_repeat: a message on`},
		{"fail open of the chain", "[[listener]]\nsocket='inet:1@127.0.0.1'\nchain=['html']\non_fault='accept'\n[filter.html]", `c.toml:4:1: listener[1].on_fault: a message on which the chain breaks passes unchecked (fail-open)`},
		{"longer than Sendmail waits", "[timeouts]\nstage = '10s'" + rest, `c.toml:2:1: timeouts.stage: Sendmail waits no longer than 10s`},
		{"no end", "[timeouts]\nend = 'none'" + rest, `c.toml:2:1: timeouts.end: mail servers wait no longer than 5m0s`},
		{"open to all", "[[listener]]\nsocket='inet:8891'\nchain=['html']\n[filter.html]", `c.toml:2:1: listener[1].socket: open to everybody`},
		{"open to all of IPv6", "[[listener]]\nsocket='inet6:8891@[::]'\nchain=['html']\n[filter.html]", `c.toml:2:1: listener[1].socket: open to everybody`},
		{"metrics open to all", "[http]\nlisten=':9109'" + rest, `c.toml:2:1: http.listen: open to everybody`},
		{"socket for everybody", "[[listener]]\nsocket='unix:/run/x'\nmode='0666'\nchain=['html']\n[filter.html]", `c.toml:3:1: listener[1].mode: everybody on this machine may connect (0666)`},
		{"control for everybody", "[control]\nmode='0666'" + rest, `c.toml:2:1: control.mode: everybody on this machine may stop`},
		{"folder of Postfix's own", "[[listener]]\nsocket='unix:/var/spool/postfix/public/x'\nchain=['html']\n[filter.html]", `c.toml:2:1: listener[1].socket: the folder /var/spool/postfix/public is Postfix's own`},
		{"chroot without a group", "[[listener]]\nsocket='unix:/var/spool/postfix/gomilter/x'\nchain=['html']\n[filter.html]", `listener[1].group: Postfix connects as the user postfix`},
		{"no dangerous endings", strings.Replace(minimal, `"html"]`, `"html", "attachments"]`, 1) + "[filter.attachments]\nextensions = []", `c.toml:6:1: filter.attachments.extensions: no name is dangerous then`},
		{"asked about nobody", minimal + "applies.rcpts = []", `c.toml:5:9: filter.html.applies.rcpts: nobody is in it, and the filter is asked about no message`},
		{"network with bits behind its length", "[network]\ntrusted_relays = ['10.1.2.3/8']" + rest, `c.toml:2:19: network.trusted_relays[1]: 10.1.2.3/8 means 10.0.0.0/8`},
		{"client's network with bits behind its length", minimal + "applies.client = ['10.1.2.3/8']", `c.toml:5:19: filter.html.applies.client[1]: 10.1.2.3/8 means 10.0.0.0/8`},
		{"this machine is not our own", "[network]\ninternal = ['192.0.2.0/24']" + rest, `c.toml:2:1: network.internal: 127.0.0.1 is not in it: mail that programs on this machine send is of class external`},
		{"file for a text", strings.Replace(minimal, `"html"]`, `"html", "h"]`, 1) + "[filter.h]\nkind='headers'\nrule=[{ fields=['Subject'], match='present', action='reject', text='file:words' }]", `c.toml:7:68: filter.h.rule[1].text: "file:words" is taken as it stands: files are read for lists only`},
		{"a scanner's time past that of all", strings.Replace(minimal, `"html"]`, `"html", "scan"]`, 1) + "[filter.scan]\nscanner='clamd'\nservers=['127.0.0.1:1']\nanswer='2m'", `c.toml:8:1: filter.scan.answer: it is more than total, 90s`},
		{"held before it is changed", strings.Replace(minimal, `["html"]`, `["h", "html"]`, 1) + "[filter.h]\nkind='headers'\nrule=[{ fields=['Subject'], match='present', action='quarantine' }]", `c.toml:7:46: filter.h.rule[1].action: a message that is held is not given to the filters behind it, and is released as it is: in the chain of listener[1], put "h" behind html`},
		{"held before it is scanned", strings.Replace(minimal, `["html"]`, `["html", "scan"]`, 1) + "sealed='quarantine'\n[filter.scan]\nscanner='clamd'\nservers=['127.0.0.1:1']", `c.toml:5:1: filter.html.sealed: a message that is held`},
		{"filter in no chain", minimal + "[filter.attachments]", `c.toml:5:9: filter.attachments: it is in no listener's chain`},
		{"empty chain", "[[listener]]\nsocket='inet:1@127.0.0.1'\nchain=[]", `c.toml:3:1: listener[1].chain: no filter is in it`},
		{"no chain", "[[listener]]\nsocket='inet:1@127.0.0.1'", `c.toml:1:3: listener[1].chain: no filter is in it`},
		{"originals that others may read", "[kept]\ndir='" + open + "'" + rest, `c.toml:2:1: kept.dir: ` + open + ` may be read by everybody`},
		{"changes without originals", minimal + "keep_originals = false", `c.toml:5:1: filter.html.keep_originals: what is removed from a page is lost`},
		{"list that others may write", minimal + "applies.from = ['file:" + list + "']", `c.toml:5:17: filter.html.applies.from[1]: everybody may write to ` + list},
		{"everybody is our own", "[network]\ninternal = ['10.0.0.0/8', '0.0.0.0/0']" + rest, `c.toml:2:27: network.internal[2]: 0.0.0.0/0 is everybody`},
		{"filter's time past the chain's", minimal + "timeout = '300s'", `c.toml:5:1: filter.html.timeout: it is more than all filters of listener[1] have together, 225s`},
		{"fail open when scanners are down", strings.Replace(minimal, `"html"]`, `"html", "scan"]`, 1) + "[filter.scan]\nscanner='clamd'\nservers=['127.0.0.1:1']\non_down='accept'", `c.toml:8:1: filter.scan.on_down: messages pass unscanned`},
		{"scanners' time past the chain's", strings.Replace(minimal, `"html"]`, `"html", "scan"]`, 1) + "[filter.scan]\nscanner='clamd'\nservers=['127.0.0.1:1']\ntotal='230s'", `c.toml:8:1: filter.scan.total: the time of`},
		{"permissions of no file", "[log]\nmode='0600'" + rest, `c.toml:2:1: log.mode: it is for files`},
		{"log that others may write", "[log]\nto='/var/log/x'\nmode='0666'" + rest, `c.toml:3:1: log.mode: everybody may write to the log`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, problems := parseText(t, tt.in)
			if c == nil {
				t.Fatalf("Parse(%q) has errors:\n%s", tt.in, texts(problems))
			}
			if got := texts(problems); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "warning: ") || !strings.Contains(got, tt.want) {
				t.Errorf("Parse(%q):\n%swant one warning\n%s", tt.in, got, tt.want)
			}
			if len(problems.Warnings()) != len(problems) {
				t.Error("not all of them are among the Warnings")
			}
		})
	}
	if c, problems := parseText(t, minimal); c == nil || len(problems) > 0 {
		t.Errorf("of the least configuration is told\n%s", texts(problems))
	}
}

func TestValues(t *testing.T) {
	c := parse(t, "\ufeff"+`
user = "mail%s$HOME"
state_dir = "state"
[kept]
max_age = "none"
max_size = "25 MB"
max_entry = 4096
[network]
internal = []
trusted_relays = ["::ffff:192.0.2.1", "2001:db8::5/32"]
[timeouts]
idle = "8h"
frame = "1h30m"
end = "160s"
[limits]
rcpts = "none"
header_bytes = "none"
edit_bytes = "3 MiB"
[[listener]]
socket = "unix:/run/a"
mode = "0600"
chain = ["html"]
timeouts.end = "80s"
limits.headers = 5
[[listener]]
name = "two"
socket = "inet6:1@[::1]"
submission = true
hold_rejects = false
disagree = "drop"
on_fault = "reject"
chain = []
[filter.html]
mode = "report"
on_error = "reject"
on_repeat = "quarantine"
timeout = "3s"
applies = { class = ["external", "trusted-relay"] }
`)
	l, m := c.Listeners[0], c.Listeners[1]
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"user", c.User, "mail%s$HOME"},
		{"folder from the file's on", filepath.Base(c.StateDir) + " " + filepath.Base(c.Kept.Dir), "state kept"},
		{"no age", c.Kept.Options(), quarantine.Options{MaxBytes: 25e6, MaxEntries: 10_000, MaxEntry: 4096, MaxAge: -1, MaxSame: 3}},
		{"empty list", c.Network.Internal != nil && len(c.Network.Internal) == 0, true},
		{"networks", c.Network.TrustedRelays[0].String() + " " + c.Network.TrustedRelays[1].String(), "192.0.2.1/32 2001:db8::/32"},
		{"times", []time.Duration{c.Timeouts.Idle, c.Timeouts.Frame, c.Timeouts.End, c.Timeouts.FiltersEnd}, []time.Duration{8 * time.Hour, 90 * time.Minute, 160 * time.Second, 150 * time.Second}},
		{"limits", []Size{Size(c.Limits.Rcpts), c.Limits.HeaderBytes, c.Limits.EditBytes, Size(c.Limits.Headers)}, []Size{-1, -1, 3 << 20, 1000}},
		{"a listener's own", []any{l.Name, l.Mode, l.Timeouts.End, l.Timeouts.FiltersEnd, l.Timeouts.Idle, l.Limits.Headers, l.Limits.Rcpts}, []any{"gomilter-1", fs.FileMode(0o600), 80 * time.Second, 75 * time.Second, 8 * time.Hour, 5, -1}},
		{"the other", []any{m.Name, m.Mode, m.Submission, m.HoldRejects, m.Disagree, m.OnFault, m.Timeouts.End}, []any{"two", fs.FileMode(0), true, false, filter.DropRefused, milter.FaultReject, 160 * time.Second}},
		{"filter", []any{c.Filters[0].Mode, c.Filters[0].OnError, c.Filters[0].OnRepeat, c.Filters[0].Timeout, c.Filters[0].Applies.Class}, []any{filter.Report, filter.ErrorReject, filter.RepeatQuarantine, 3 * time.Second, []filter.Class{filter.External, filter.TrustedRelay}}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.what, diff)
		}
	}
}

func TestAbsentListIsNotAnEmptyOne(t *testing.T) {
	without, empty := parse(t, minimal+"[filter.attachments]"), parse(t, minimal+"[filter.attachments]\nextensions = []\n")
	if n := len(without.filter("attachments").Options.(*Attachments).Extensions); n != len(attachments.DefaultExtensions) {
		t.Errorf("without the key there are %d extensions, want the default's", n)
	}
	if e := empty.filter("attachments").Options.(*Attachments).Extensions; e == nil || len(e) > 0 {
		t.Errorf("an empty list of extensions is %q", e)
	}
	if n := len(without.Network.Internal); n != 2 {
		t.Errorf("without the key there are %d internal networks, want 2", n)
	}
}

func TestListFiles(t *testing.T) {
	path := write(t, "c.toml", minimal+"[filter.attachments]\nextensions = ['exe', 'file:lists/ext', 'com']\n[filter.h]\nkind='headers'\n[[filter.h.rule]]\nfields=['Subject']\nmatch='contains'\nvalues=['file://x', 'file:']\naction='note'\n",
		"lists/ext", "\ufeff# programs\n\n  pif\t\n.scr \r\nbat\n")
	c, problems := parseFiles(t, path)
	if c == nil {
		t.Fatal(texts(problems))
	}
	if diff := cmp.Diff([]string{"exe", "pif", ".scr", "bat", "com"}, c.filter("attachments").Options.(*Attachments).Extensions); diff != "" {
		t.Errorf("extensions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"file://x", "file:"}, c.filter("h").Options.(*Headers).Rules[0].Values); diff != "" {
		t.Errorf("text that names no file (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{filepath.Join(filepath.Dir(path), "lists/ext")}, c.ListFiles()); diff != "" {
		t.Errorf("ListFiles (-want +got):\n%s", diff)
	}
}

func TestListsAreReadAnew(t *testing.T) {
	path := write(t, "c.toml", minimal+"applies.from = ['file:l']", "l", "@a.org\n")
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(filepath.Dir(path), "l")
	for _, want := range []string{"@b.org", "@c.org"} {
		if err := os.WriteFile(list, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("half"), 0o644); err != nil { // of no concern
			t.Fatal(err)
		}
		c, problems := s.Parse()
		if c == nil {
			t.Fatal(texts(problems))
		}
		if got := c.Filters[0].Applies.From; len(got) != 1 || got[0] != want {
			t.Errorf("the list is %q, want %q", got, want)
		}
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	if c, problems := s.Parse(); c != nil || !errors.Is(problems.Err(), problems[0]) {
		t.Error("a list that is gone is no error")
	}
}

func TestBadEntriesOfListFiles(t *testing.T) {
	path := write(t, "c.toml", minimal+"applies.from = ['@x.org', 'file:l']", "l", "# fine\n@a.org\nbob\n@gr\xfcn.org\nfile:m\n@b.org\n<>\na\x00@b.org\n")
	_, problems := parseFiles(t, path)
	want := `l:3: filter.html.applies.from[3]: "bob" has no "@"; write user@domain, @domain, or <> for the null sender
l:4:4: filter.html.applies.from[2]: this is no UTF-8: byte 0xfc
l:5: filter.html.applies.from[2]: a list in a file cannot name another file
l:8: filter.html.applies.from[2]: it holds a NUL
`
	if diff := cmp.Diff(want, texts(problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// An empty list would disarm what it is for, and no log would tell.
func TestListFilesWithoutEntriesAreRefused(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "cut off": "\ufeff", "comments": "# none\n\n  \n"} {
		path := write(t, "c.toml", minimal+"[filter.attachments]\nextensions = ['exe', 'file:l']", "l", text)
		c, problems := parseFiles(t, path)
		want := "c.toml:6:22: filter.attachments.extensions[2]: " + filepath.Join(filepath.Dir(path), "l") + " has no entries; write [] if none is meant\n"
		if got := texts(problems); c != nil || !strings.Contains(got, want) {
			t.Errorf("%s: problems are\n%swant\n%s", name, got, want)
		}
	}
}

func TestQuotedAddressesMayHaveBlanks(t *testing.T) {
	c := parse(t, minimal+"applies.from = ['\"ann, and bob\"@a.org', '<>']")
	if got := c.Filters[0].Applies.From; len(got) != 2 {
		t.Errorf("from = %q", got)
	}
}

// What files name is looked for beside them, wherever the process was started.
func TestPathsAreFromTheFolderOfTheirFile(t *testing.T) {
	path := write(t, "c.toml", "include = ['d/l.toml']\nstate_dir = 's'\n[log]\nto = 'x.log'\n[http]\nlisten = './h.sock'\n[control]\nsocket = 'c.sock'\n[filter.html]\n",
		"d/l.toml", "[[listener]]\nsocket = 'unix:l.sock'\nchain = ['html']\n[kept]\ndir = 'k'\n")
	dir := filepath.Dir(path)
	t.Chdir(dir)
	for _, name := range []string{path, "c.toml", "../" + filepath.Base(dir) + "/c.toml"} {
		c, problems := parseFiles(t, name)
		if c == nil || len(problems) > 0 {
			t.Fatal(texts(problems))
		}
		got := []string{c.StateDir, c.Log.To, c.HTTP.Listen, c.Control.Socket, c.Listeners[0].Socket, c.Kept.Dir}
		want := []string{dir + "/s", dir + "/x.log", "unix:" + dir + "/h.sock", dir + "/c.sock", "unix:" + dir + "/d/l.sock", dir + "/d/k"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A message is held by those that are on, before those that are on, and by choice.
func TestHoldsThatAreFine(t *testing.T) {
	const rules = "[filter.h]\nkind='headers'\nrule=[{ fields=['Subject'], match='present', action='quarantine' }]\n"
	for name, text := range map[string]string{
		"last":               strings.Replace(minimal, `["html"]`, `["html", "h"]`, 1) + rules,
		"in report":          strings.Replace(minimal, `["html"]`, `["h", "html"]`, 1) + strings.Replace(rules, "rule", "mode='report'\nrule", 1),
		"others in report":   strings.Replace(minimal, `["html"]`, `["h", "html"]`, 1) + "mode = 'report'\n" + rules,
		"before rules":       strings.Replace(minimal, `["html"]`, `["html", "h", "i"]`, 1) + rules + strings.ReplaceAll(rules, "[filter.h]", "[filter.i]"),
		"sealed by default":  strings.Replace(minimal, `["html"]`, `["attachments", "html"]`, 1) + "[filter.attachments]\n",
		"before another one": minimal + "[[listener]]\nsocket='inet:1@127.0.0.1'\nchain=['h']\n" + rules,
	} {
		if c, problems := parseText(t, text); c == nil || len(problems) > 0 {
			t.Errorf("%s:\n%s", name, texts(problems))
		}
	}
	_, problems := parseText(t, strings.Replace(minimal, `["html"]`, `["attachments", "scan", "html"]`, 1)+
		"[filter.attachments]\nactions.encrypted = 'quarantine'\n[filter.scan]\nscanner='spamd'\nservers=['127.0.0.1:1']\nfound='quarantine'\nscores=[{ from = 5, action='quarantine' }]\n")
	want := `warning: c.toml:6:9: filter.attachments.actions.encrypted: a message that is held is not given to the filters behind it, and is released as it is: in the chain of listener[1], put "attachments" behind scan, html
warning: c.toml:10:1: filter.scan.found: a message that is held is not given to the filters behind it, and is released as it is: in the chain of listener[1], put "scan" behind html
warning: c.toml:11:21: filter.scan.scores[1].action: a message that is held is not given to the filters behind it, and is released as it is: in the chain of listener[1], put "scan" behind html
`
	if diff := cmp.Diff(want, texts(problems)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// What is wrong with one file does not hide what is wrong with others, and what may stand
// in the file that cannot be read is not missed.
func TestSyntaxErrorsDoNotHideOthers(t *testing.T) {
	path := write(t,
		"c.toml", "include = ['d/*.toml']\nbroken\n",
		"d/a.toml", "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html', 'elsewhere']\nname = 'a b'\n[filter.html]\n",
		"d/b.toml", "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html', 'html']\nmode = '0660'\n[filter.unused]\nkind = 'html'\n")
	_, problems := parseFiles(t, path)
	want := `c.toml:2:7: expected '=' after key
a.toml:4:1: listener[1].name: a listener's name is letters, digits, - and _, 40 at most
b.toml:2:1: listener[2].socket: listener[1] has the same
b.toml:3:18: listener[2].chain[2]: "html" is in the chain already
b.toml:4:1: listener[2].mode: it is for unix sockets, and the socket is inet:1@127.0.0.1
`
	if diff := cmp.Diff(want, texts(problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestLimitsOfListFiles(t *testing.T) {
	for name, tt := range map[string]struct{ list, want string }{
		"too many entries": {strings.Repeat("@x\n", maxListEntries+1), "has more than 1000000 entries"},
		"too many bytes":   {strings.Repeat("#", maxListFile+1), "has more than 16777216 bytes"},
		"all of them bad":  {strings.Repeat("x\n", 5000), "3000 more problems are not told"},
	} {
		path := write(t, "c.toml", minimal+"applies.from = ['file:l']", "l", tt.list)
		if c, problems := parseFiles(t, path); c != nil || !strings.Contains(texts(problems), tt.want) || len(problems) > maxProblems+1 {
			t.Errorf("%s: %d problems, no %q", name, len(problems), tt.want)
		}
	}
	path := write(t, "c.toml", minimal+"applies.from = ['file:l']", "l", strings.Repeat("@x\n", maxListEntries))
	if c, problems := parseFiles(t, path); c == nil || len(c.Filters[0].Applies.From) != maxListEntries {
		t.Errorf("as many as there may be: %s", texts(problems))
	}
}

func TestIncludes(t *testing.T) {
	path := write(t,
		"c.toml", "include = ['d/*.toml']\nuser = 'main'\nlog = { level = 'warn', format = 'json' }\n"+minimal+"applies.from = ['@a.org', '@b.org']",
		"d/10.toml", "user = 'ten'\n[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['html']\n",
		"tmp/x", "",
		"d/20.toml", "include = ['../more.toml']\nuser = 'twenty'\n[filter.html]\napplies.from = ['@c.org']\nmode = 'report'",
		"more.toml", "log.level = 'debug'\nspool.dir = 'tmp'\n",
		"last.toml", "user = 'last'\n")
	dir := filepath.Dir(path)
	c, problems := parseFiles(t, path, filepath.Join(dir, "last.toml"))
	if c == nil {
		t.Fatal(texts(problems))
	}
	got := []any{c.User, c.Log.Level, c.Log.Format, len(c.Listeners), c.Filters[0].Applies.From, c.Filters[0].Mode, c.Spool.Dir}
	want := []any{"last", LogDebug, LogJSON, 2, []string{"@c.org"}, filter.Report, filepath.Join(dir, "tmp")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.origin("user"); got != filepath.Join(dir, "last.toml")+":1" {
		t.Errorf("user came from %s", got)
	}
}

func TestIncludesThatAreWrong(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		files      []string
	}{
		{"itself", "c.toml:1:12: include: ", []string{"c.toml", "include = ['c.toml']\n" + minimal}},
		{"in a circle", "b.toml:1:12: include: ", []string{"c.toml", "include = ['b.toml']\n" + minimal, "b.toml", "include = ['c.toml']\n"}},
		{"too deep", "f5.toml:1:12: include: ", []string{"c.toml", "include = ['f1.toml']\n" + minimal, "f1.toml", "include = ['f2.toml']", "f2.toml", "include = ['f3.toml']",
			"f3.toml", "include = ['f4.toml']", "f4.toml", "include = ['f5.toml']", "f5.toml", "include = ['f6.toml']", "f6.toml", ""}},
		{"folder", "c.toml:1:12: include: read ", []string{"c.toml", "include = ['x']\n" + minimal, "x/y", ""}},
		{"no list", "c.toml:1:1: include: it is a string", []string{"c.toml", "include = 'x'\n" + minimal}},
		{"no pattern", "c.toml:1:12: include: \"[\" is no pattern", []string{"c.toml", "include = ['[']\n" + minimal}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, problems := parseFiles(t, write(t, tt.files...))
			if got := texts(problems); c != nil || !strings.HasPrefix(got, tt.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("problems are\n%swant one that begins %s", got, tt.want)
			}
		})
	}
}

func TestLoadTellsAllFilesThatAreMissing(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("Load = %v, want two errors", err)
	}
	if _, err := Load(); err == nil {
		t.Error("Load of nothing has no error")
	}
	big := write(t, "c.toml", strings.Repeat("#", maxFile+1))
	if _, err := Load(big); err == nil {
		t.Error("Load of a large file has no error")
	}
}

func TestSecrets(t *testing.T) {
	type table struct {
		Password Secret `toml:"password"`
	}
	dir := filepath.Dir(write(t, "pw", "from file\n", "open", "x"))
	if err := os.Chmod(filepath.Join(dir, "pw"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMILTER_TEST_SECRET", "from env")
	for _, tt := range []struct{ name, in, want, problem string }{
		{"plain, quotes and all", `password = "shh\"%s"`, `shh"%s`, ""},
		{"file", `password_file = "pw"`, "from file", ""},
		{"environment", `password_env = "GOMILTER_TEST_SECRET"`, "from env", ""},
		{"file that others may read", `password_file = "open"`, "x", "warning: c.toml:1:17: password_file: others may read or write"},
		{"file that is not there", `password_file = "none"`, "", "c.toml:1:17: password_file: open "},
		{"variable that is not there", `password_env = "GOMILTER_TEST_NONE"`, "", "c.toml:1:16: password_env: the environment has no GOMILTER_TEST_NONE"},
		{"empty", `password = ""`, "", "c.toml:1:12: password: the secret is empty"},
		{"number", `password = 5`, "", "c.toml:1:12: password: it is a whole number"},
		{"two ways", "password = 'a'\npassword_env = 'GOMILTER_TEST_SECRET'", "from env", "c.toml:2:1: password_env: password is given already"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree, problem := parseTOML(filepath.Join(dir, "c.toml"), []byte(tt.in))
			if problem != nil {
				t.Fatal(problem)
			}
			d := &decoder{places: places{set: map[string]place{}, elements: map[string][]place{}}}
			var v table
			d.table(tree, "", reflect.ValueOf(&v).Elem())
			if got := v.Password.Reveal(); got != tt.want {
				t.Errorf("secret = %q, want %q", got, tt.want)
			}
			if got := texts(d.problems); (got == "") != (tt.problem == "") || !strings.HasPrefix(got, tt.problem) {
				t.Errorf("problems %q, want %q", got, tt.problem)
			}
			shown, _ := json.Marshal(v)
			for _, s := range []string{string(shown), v.Password.String(), v.Password.GoString(), v.Password.LogValue().String(), text(v), text(&v), text(v.Password)} {
				if tt.want != "" && tt.want != "x" && strings.Contains(s, tt.want) {
					t.Errorf("the secret is shown: %s", s)
				}
			}
		})
	}
}

// Everything the servers, chains and stores can be told can be configured, or belongs to the
// program that runs them.
func TestEveryKnobHasAKey(t *testing.T) {
	runtime := map[string][]string{
		"Server": {"New", "Log", "Metrics"},
		"Chain":  {"Steps", "Originals", "Explain", "NewRef", "Log", "Pass"},
		// Of message: other readings, that filters ask for.
		"Options": {"BareCR", "BoundaryPrefix", "Encoding"},
	}
	c := parse(t, minimal)
	l := &c.Listeners[0]
	l.Submission, l.HoldRejects, l.Disagree, l.OnFault = true, false, filter.Lenient, milter.FaultReject
	c.Spool.Dir, c.Kept.DropOldest = t.TempDir(), true
	chain, err := l.NewChain(Env{Originals: new(quarantine.Store)})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{l.Server(), chain, &chain.MIME, ptr(c.Kept.Options())} {
		s := reflect.ValueOf(v).Elem()
		for i := range s.NumField() {
			f := s.Type().Field(i)
			if f.IsExported() && f.Type.Kind() != reflect.Func && s.Field(i).IsZero() && !slices.Contains(runtime[s.Type().Name()], f.Name) {
				t.Errorf("%v.%s is not set", s.Type(), f.Name)
			}
		}
	}
	for _, n := range []int{len(chain.Network.Internal), chain.MIME.MaxDepth} {
		if n == 0 {
			t.Error("the network or the limits of MIME are not set")
		}
	}
	var _ message.Options = chain.MIME
}

func text(v any) string { return fmt.Sprintf("%v %+v %#v %s", v, v, v, v) }

func ptr[T any](v T) *T { return &v }

// The options of the kinds are all set by their tables, too.
func TestEveryOptionOfAKindHasAKey(t *testing.T) {
	for _, tt := range []struct {
		of     any
		fields int // those that tables set, in all
	}{
		{attachments.Options{}, 8},
		{attachments.ArchiveLimits{}, 8 + 2}, // Spool and Now are not for configurations
		{scan.Options{}, 23 + 1},             // and Now
		{scan.Threshold{}, 2},
		{headers.Rule{}, 16 - 1}, // without the inner Edit
		{headers.Edit{}, 3},
		{headers.Options{}, 2},
		{sign.Options{}, 10 + 1}, // and Now
		{sign.Rule{}, 6},
		{auth.Options{}, 9 + 1}, // and Resolver
		{auth.SPFOptions{}, 7},
		{auth.DKIMOptions{}, 6},
		{auth.DMARCOptions{}, 6},
		{auth.Override{}, 5},
	} {
		v := reflect.TypeOf(tt.of)
		n := v.NumField()
		if v == reflect.TypeFor[headers.Rule]() {
			n--
		}
		if n != tt.fields {
			t.Errorf("%v has %d fields, and the tables know %d: give the others a key", v, n, tt.fields)
		}
	}
}

func TestShowIsAConfiguration(t *testing.T) {
	c := parse(t, minimal+`mode = "report"`+"\n[filter.attachments]\nnotice = \"a\\tb\\\\ \\u0001\"\n[timeouts]\nend = 'none'\n[limits]\nrcpts='none'\n")
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nstate_dir = \"/var/lib/gomilter\" # default\n", "c.toml:5\n", "\nend = \"none\" # ", "\nrcpts = \"none\" # ", "[listener.timeouts]\n", "# not_from is not set\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if diff := diffConfig(c, parse(t, b.String())); diff != "" {
		t.Errorf("what Show wrote is another configuration (-is +shown):\n%s\n%s", diff, b.String())
	}
	if _, rest, _ := strings.Cut(b.String(), "[listener.timeouts]"); !strings.Contains(rest[:strings.Index(rest, "\nprogress")], "end = \"none\" # "+c.origin("timeouts.end")) {
		t.Errorf("a listener's time does not say that it came from [timeouts]:\n%s", b.String())
	}
}

func TestShowJSON(t *testing.T) {
	c := parse(t, minimal+"mode = 'report'\n")
	var b bytes.Buffer
	if err := c.ShowJSON(&b); err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Key   string
		Value any
		From  string
	}
	if err := json.Unmarshal(b.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, o := range all {
		switch o.Key {
		case "filter.html.mode":
			if found++; o.Value != "report" || !strings.HasSuffix(o.From, "c.toml:5") {
				t.Errorf("%+v", o)
			}
		case "limits.rcpts":
			if found++; o.Value != 1000.0 || o.From != "default" {
				t.Errorf("%+v", o)
			}
		case "filter.html.applies.from":
			if found++; o.Value != nil {
				t.Errorf("%+v", o)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d of the 3 keys are in\n%s", found, b.String())
	}
}

// Any configuration that is right is right when it is shown, and means the same.
func TestShownConfigurationIsTheSame(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text := genConfig(t)
		path := filepath.Join(dir, "c.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		c, problems := s.Parse()
		if c == nil {
			t.Fatalf("%v\n%s", problems.Err(), text)
		}
		var b bytes.Buffer
		if err := c.Show(&b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err = Load(path); err != nil {
			t.Fatal(err)
		}
		again, problems := s.Parse()
		if again == nil {
			t.Fatalf("shown: %v\n%s", problems.Err(), b.String())
		}
		if diff := diffConfig(c, again); diff != "" {
			t.Fatalf("(-is +shown)\n%s\n%s", diff, b.String())
		}
	})
}

// genConfig writes a configuration with values of all sorts.
func genConfig(t *rapid.T) string {
	var b strings.Builder
	line := func(name string, values ...string) {
		if rapid.Bool().Draw(t, name) {
			b.WriteString(name + " = " + rapid.SampledFrom(values).Draw(t, name+"=") + "\n")
		}
	}
	str := func() string {
		return quote(strings.Map(func(r rune) rune {
			if r == 0 {
				return -1
			}
			return r
		}, rapid.String().Draw(t, "string")))
	}
	ext := `"` + rapid.StringMatching(`[a-z0-9]{1,5}`).Draw(t, "ext") + `"`
	b.WriteString("[kept]\n")
	line("max_age", `"7d"`, `"none"`, `"1h1ms"`, `"1w"`)
	line("max_size", "1", `"7 kB"`, `"3 TiB"`, `"1025 B"`)
	b.WriteString("[network]\n")
	line("internal", "[]", `["10.0.0.0/8", "::1"]`, `["0.0.0.0/0"]`)
	b.WriteString("[timeouts]\n")
	line("stage", `"1s"`, `"9s"`, `"none"`, `"1500ms"`)
	line("end", `"250s"`, `"none"`, `"33ms"`)
	b.WriteString("[limits]\n")
	line("macros", "5", `"none"`)
	line("mime_header", `"5 MB"`)
	b.WriteString("[filter.attachments]\n")
	line("mode", `"off"`, `"on"`, `"report"`)
	line("extensions", "[]", "["+ext+"]", "["+strings.Repeat(ext+", ", 30)+"]")
	line("actions", `{ name = "tag", limit = "reject" }`, "{}")
	line("notice", strings.ReplaceAll(str(), "{{", "{"))
	line("applies", "{}", `{ from = ["<>", "@x.org"], class = ["internal"] }`, `{ rcpts = [] }`)
	b.WriteString("[filter.h]\nkind = \"headers\"\n")
	for range rapid.IntRange(1, 3).Draw(t, "rules") {
		b.WriteString("[[filter.h.rule]]\nfields = [\"Subject\", \"X-*\"]\nmatch = \"contains\"\nvalues = [\"a\", " + quote("x"+strings.Trim(str(), `"`)) + "]\n")
		line("part", `"raw"`, `"value"`)
		line("case_sensitive", "true", "false")
		line("not", "true")
		b.WriteString(rapid.SampledFrom([]string{"action = \"reject\"\n", "action = \"note\"\n", "action = \"add\"\nedit = { name = \"X-A\", value = \"b\", position = -1 }\n",
			"action = \"tempfail\"\ncode = 452\nclass = [\"external\"]\n"}).Draw(t, "action"))
	}
	b.WriteString("[filter.scan]\nservers = [\"127.0.0.1:1\"]\nscanner = \"spamd\"\n")
	line("scores", `[{ from = 5.25, action = "tag" }, { from = -1e3, action = "discard" }, { from = 0, action = "accept" }]`)
	line("retries", "0", "5")
	line("max_size", "77")
	for i := range rapid.IntRange(1, 3).Draw(t, "listeners") {
		b.WriteString("[[listener]]\nsocket = " + []string{`"unix:/run/x"`, `"inet:5@127.0.0.1"`, `"fd://3"`}[i] + "\nchain = [\"attachments\", \"h\"]\n")
		line("disagree", `"lenient"`, `"drop"`)
		line("limits", `{ rcpts = "none" }`, `{ rcpts = 7, header_bytes = 5 }`)
		line("timeouts", `{ idle = "none" }`, `{ filters_stage = "100ms" }`)
	}
	return b.String()
}

func TestExamplesAreRight(t *testing.T) {
	for _, name := range []string{"null.toml", "defang.toml", "gomilter.toml"} {
		c, problems := parseFiles(t, filepath.Join("../../examples", name))
		if c == nil || len(problems) > 0 {
			t.Errorf("%s:\n%s", name, texts(problems))
			continue
		}
		store, err := quarantine.Open(filepath.Join(t.TempDir(), "kept"), c.Kept.Options())
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Listeners {
			chain, err := c.Listeners[i].NewChain(Env{Originals: store, Dir: t.TempDir()})
			if want := map[string]int{"gomilter.toml": len(kinds)}[name]; err != nil || len(chain.Steps) != max(want, 3) {
				t.Errorf("%s: NewChain = %v", name, err)
				continue
			}
			for _, s := range chain.Steps {
				if want := map[bool]filter.Mode{true: filter.On, false: filter.Report}[name == "defang.toml"]; s.Mode != want {
					t.Errorf("%s: the mode of %s is %v", name, s.Filter.Name, s.Mode)
				}
			}
		}
	}
}

// The rules of defang.toml are those of the old sample, with and without the character
// sets.
func TestDefangHasTheSampleRules(t *testing.T) {
	data, err := os.ReadFile("../../examples/defang.toml")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), "#[[filter.headers.rule]]")
	if !found {
		t.Fatal("there is no rule behind a #")
	}
	for text, want := range map[string][]headers.Rule{
		string(data): headers.SampleRules(),
		before + "[[filter.headers.rule]]" + strings.ReplaceAll(rest, "\n#", "\n"): headers.SampleRules("big5", "iso-2022-jp"),
	} {
		var got []headers.Rule
		for _, r := range parse(t, text).filter("headers").Options.(*Headers).Rules {
			got = append(got, r.rule())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-sample +defang.toml)\n%s", diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{minimal, "a = [[[", "[a.b.c]\nd.e = { f = 1 }\n[[a.b.c.g]]", "filter = {x = {kind = 'headers', rule = [{}]}}", "listener = [{}]", "[[listener]]\nlimits = []", "\xff"} {
		f.Add([]byte(s))
	}
	for _, name := range []string{"null.toml", "defang.toml", "gomilter.toml"} {
		data, err := os.ReadFile("../../examples/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Contains(in, []byte("file")) || bytes.Contains(in, []byte("env")) || bytes.Contains(in, []byte("\\u")) || bytes.Contains(in, []byte("\\U")) {
			return // what it means depends on the machine
		}
		if _, problem := parseTOML("c.toml", in); problem != nil {
			parsePart("c.toml", in)
		}
		s := &Source{files: []sourceFile{{"c.toml", in}}}
		c, problems := s.Parse()
		if (c == nil) != (problems.Err() != nil) {
			t.Fatalf("Config %v, problems %v", c, problems)
		}
		for _, p := range problems {
			if p.Line > bytes.Count(in, []byte("\n"))+1 || p.Error() == "" {
				t.Errorf("problem %q", p.Error())
			}
		}
		if c == nil {
			return
		}
		var b bytes.Buffer
		if err := c.Show(&b); err != nil {
			t.Fatal(err)
		}
		again, problems := (&Source{files: []sourceFile{{"c.toml", b.Bytes()}}}).Parse()
		if again == nil {
			t.Fatalf("what Show wrote has errors: %v\n%s", problems.Err(), b.String())
		}
		if diff := diffConfig(c, again); diff != "" {
			t.Fatalf("what Show wrote is another configuration:\n%s\n%s", diff, b.String())
		}
	})
}

func TestShowHidesSecrets(t *testing.T) {
	t.Setenv("GOMILTER_TEST_SECRET", "hidden words")
	path := write(t, "c.toml", "", "pw", "hidden words\n")
	if err := os.Chmod(filepath.Join(filepath.Dir(path), "pw"), 0o600); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		`password = "hidden words"`:             "# password is set, and not shown; ",
		`password_file = "pw"`:                  "password_file = " + quote(filepath.Join(filepath.Dir(path), "pw")) + " # ",
		`password_env = "GOMILTER_TEST_SECRET"`: `password_env = "GOMILTER_TEST_SECRET" # `,
	} {
		text := "[[listener]]\nsocket = 'inet:1@127.0.0.1'\nchain = ['scan']\n[filter.scan]\nscanner = 'rspamd'\nservers = ['127.0.0.1:1']\n" + key + "\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, problems := parseFiles(t, path)
		if c == nil || len(problems) > 0 {
			t.Fatal(texts(problems))
		}
		if got := c.Filters[0].Options.(*Scan).Password.Reveal(); got != "hidden words" {
			t.Errorf("%s: the secret is %q", key, got)
		}
		var b, j bytes.Buffer
		if err := errors.Join(c.Show(&b), c.ShowJSON(&j)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "\n"+want+path+":7\n") {
			t.Errorf("%s: no %q in\n%s", key, want, b.String())
		}
		if !strings.Contains(j.String(), `"(secret)"`) {
			t.Errorf("%s: that there is a secret is not in\n%s", key, j.String())
		}
		if all := b.String() + j.String() + fmt.Sprintf("%+v %#v", c.Filters[0].Options, c); strings.Contains(all, "hidden words") {
			t.Errorf("%s: the secret is shown:\n%s", key, all)
		}
		if !strings.HasPrefix(key, "password =") {
			if diff := diffConfig(c, parse(t, b.String())); diff != "" {
				t.Errorf("%s: shown (-is +shown):\n%s", key, diff)
			}
		}
	}
}
