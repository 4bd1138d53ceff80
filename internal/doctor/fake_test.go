package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A fakeHost is a machine of a test's making. It obeys the fixes that doctor
// tells, as an admin would.
type fakeHost struct {
	nodes    map[string]node
	targets  map[string]string
	files    map[string]string
	accounts map[string]account
	groups   map[string]int
	silent   map[string]bool // addresses nobody listens at
	denied   map[string]bool // paths we may not look at

	// Postfix
	version string
	params  map[string]string // what main.cf and the defaults say
	master  []string          // services without their options
	options map[string]map[string]string

	// Sendmail
	build string
}

func (h *fakeHost) lstat(path string) (node, error) {
	if h.denied[path] {
		return node{}, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrPermission}
	}
	if n, ok := h.nodes[path]; ok {
		return n, nil
	}
	return node{}, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrNotExist}
}

func (h *fakeHost) readlink(path string) (string, error) { return h.targets[path], nil }

func (h *fakeHost) readFile(path string) ([]byte, error) {
	if text, ok := h.files[path]; ok {
		return []byte(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

func (h *fakeHost) account(name string) (account, error) {
	if a, ok := h.accounts[name]; ok {
		return a, nil
	}
	return account{}, fmt.Errorf("unknown user %s", name)
}

func (h *fakeHost) group(name string) (int, error) {
	if n, ok := h.groups[name]; ok {
		return n, nil
	}
	return 0, fmt.Errorf("unknown group %s", name)
}

func (h *fakeHost) dial(_ context.Context, _, address string) error {
	if h.silent[address] {
		return errRefused
	}
	return nil
}

func (h *fakeHost) run(_ context.Context, program string, args []string, _ func([]byte) bool) ([]byte, error) {
	if strings.HasSuffix(program, "sendmail") {
		if diff := cmp.Diff([]string{"-C/dev/null", "-d0.1", "-bv"}, args); diff != "" {
			return nil, fmt.Errorf("sendmail is run with other arguments: %s", diff)
		}
		return []byte(h.build), fmt.Errorf("exit status 72")
	}
	var b strings.Builder
	if slices.Contains(args, "-M") {
		for _, line := range h.master {
			b.WriteString(line)
			f := strings.Fields(line)
			if len(f) < 2 {
				b.WriteString("\n")
				continue
			}
			options := h.options[f[0]+"/"+f[1]]
			for _, name := range slices.Sorted(maps.Keys(options)) {
				if v := options[name]; strings.Contains(v, " ") {
					fmt.Fprintf(&b, " -o {%s=%s}", name, v)
				} else {
					fmt.Fprintf(&b, " -o %s=%s", name, v)
				}
			}
			b.WriteString("\n")
		}
		return []byte(b.String()), nil
	}
	for _, name := range slices.Sorted(maps.Keys(h.params)) {
		fmt.Fprintf(&b, "%s = %s\n", name, h.params[name])
	}
	return []byte(b.String()), nil
}

// obey does what the fixes say.
func (h *fakeHost) obey(t *testing.T, list []Finding) {
	t.Helper()
	type replaced struct {
		file string
		line int
	}
	done := make(map[replaced]bool)
	for _, f := range list {
		for _, fix := range f.Fixes {
			switch {
			case fix.File == "":
				for _, command := range fix.Lines {
					h.command(t, command)
				}
			case strings.HasSuffix(fix.File, "main.cf"):
				for _, line := range fix.Lines {
					name, value, _ := strings.Cut(line, "=")
					h.params[strings.TrimSpace(name)] = strings.TrimSpace(value)
				}
			case fix.Replace == 0:
				h.files[fix.File] += strings.Join(fix.Lines, "\n") + "\n"
			default:
				if done[replaced{fix.File, fix.Replace}] {
					continue
				}
				done[replaced{fix.File, fix.Replace}] = true
				lines := strings.Split(h.files[fix.File], "\n")
				for i := fix.Replace; i < fix.Through; i++ {
					lines[i] = "#" // keep the numbers of the lines behind
				}
				lines[fix.Replace-1] = strings.Join(fix.Lines, "\n")
				h.files[fix.File] = strings.Join(lines, "\n")
			}
		}
	}
}

func (h *fakeHost) command(t *testing.T, command string) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(command, "'", ""))
	assign := func() (service, key, value string) {
		left, value, _ := strings.Cut(strings.Join(words[2:], " "), "=")
		i := strings.LastIndexByte(left, '/')
		return left[:i], left[i+1:], value
	}
	switch {
	case strings.HasPrefix(command, "postconf -P "):
		s, key, value := assign()
		if h.options[s] == nil {
			h.options[s] = make(map[string]string)
		}
		h.options[s][key] = value
	case strings.HasPrefix(command, "postconf -F "):
		s, key, value := assign()
		for i, line := range h.master {
			f := strings.Fields(line)
			if f[0]+"/"+f[1] == s && key == "chroot" {
				f[4] = value
				h.master[i] = strings.Join(f, " ")
			}
		}
	case strings.HasPrefix(command, "postconf -M "):
		_, line, _ := strings.Cut(strings.Join(words[2:], " "), "=")
		h.master = append(h.master, line)
	case words[0] == "chgrp":
		n := h.nodes[words[2]]
		gid, err := h.group(words[1])
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		n.gid = gid
		h.nodes[words[2]] = n
	case words[0] == "chmod":
		n := h.nodes[words[2]]
		who, what, plus := strings.Cut(words[1], "+")
		if !plus {
			who, what, _ = strings.Cut(words[1], "-")
		}
		var bits fs.FileMode
		for _, w := range who {
			for _, b := range what {
				bits |= map[rune]fs.FileMode{'r': 4, 'w': 2, 'x': 1}[b] << map[rune]int{'u': 6, 'g': 3, 'o': 0}[w]
			}
		}
		if plus {
			n.mode |= bits
		} else {
			n.mode &^= bits
		}
		h.nodes[words[2]] = n
	case words[0] == "systemctl":
		clear(h.silent)
		h.listen()
	case words[0] == "install":
		h.nodes[words[len(words)-1]] = node{mode: fs.ModeDir | 0o755, uid: 0, gid: 0, links: 1}
	default:
		t.Fatalf("doctor says to run %q, which nobody knows", command)
	}
}

// listen makes the socket that lines added to gomilter's configuration tell of.
func (h *fakeHost) listen() {
	set := make(map[string]string)
	for line := range strings.Lines(h.files[configuration]) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		set[key] = strings.Trim(value, `"`)
	}
	path := strings.TrimPrefix(set["socket"], "unix:")
	if path == "" {
		return
	}
	n := node{mode: fs.ModeSocket | 0o660, uid: 500, gid: 500, links: 1}
	if gid, err := h.group(set["group"]); err == nil {
		n.gid = gid
	}
	h.nodes[path] = n
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		if _, ok := h.nodes[dir]; !ok {
			h.nodes[dir] = node{mode: fs.ModeDir | 0o755, links: 1}
		}
	}
}

// newHost is a machine on which all is well.
func newHost() *fakeHost {
	dir := func(gid int, mode fs.FileMode) node { return node{mode: fs.ModeDir | mode, gid: gid, links: 1} }
	h := &fakeHost{
		nodes: map[string]node{
			"/": dir(0, 0o755), "/run": dir(0, 0o755), "/run/gomilter": {mode: fs.ModeDir | 0o755, uid: 500, gid: 500, links: 1},
			"/run/gomilter/g.sock": {mode: fs.ModeSocket | 0o660, uid: 500, gid: 101, links: 1},
			"/var":                 dir(0, 0o755), "/var/spool": dir(0, 0o755), "/var/spool/postfix": dir(0, 0o755),
			"/var/spool/postfix/gomilter":        {mode: fs.ModeDir | 0o750, uid: 500, gid: 101, links: 1},
			"/var/spool/postfix/gomilter/g.sock": {mode: fs.ModeSocket | 0o660, uid: 500, gid: 101, links: 1},
		},
		targets: map[string]string{}, files: map[string]string{}, silent: map[string]bool{}, denied: map[string]bool{},
		accounts: map[string]account{
			"root":     {name: "root", group: "root", groups: []int{0}},
			"postfix":  {name: "postfix", group: "postfix", uid: 101, gid: 101, groups: []int{101}},
			"smmsp":    {name: "smmsp", group: "smmsp", uid: 102, gid: 102, groups: []int{102}},
			"gomilter": {name: "gomilter", group: "gomilter", uid: 500, gid: 500, groups: []int{500}},
		},
		groups:  map[string]int{"postfix": 101, "smmsp": 102, "gomilter": 500, "root": 0},
		options: map[string]map[string]string{},
		params: map[string]string{
			"config_directory": "/etc/postfix", "mail_version": "3.7.11", "compatibility_level": "3.6",
			"queue_directory": "/var/spool/postfix", "mail_owner": "postfix", "mail_name": "Postfix",
			"smtpd_milters": "unix:gomilter/g.sock", "non_smtpd_milters": "$smtpd_milters",
			"milter_default_action": "tempfail", "milter_protocol": "6",
			"milter_connect_timeout": "30s", "milter_command_timeout": "30s", "milter_content_timeout": "300s",
			"milter_connect_macros": "j {daemon_name} {daemon_addr} v _", "milter_helo_macros": "{tls_version}",
			"milter_mail_macros": "i {auth_type} {auth_authen} {auth_author}", "milter_rcpt_macros": "i {rcpt_addr}",
			"milter_data_macros": "i", "milter_end_of_header_macros": "i", "milter_end_of_data_macros": "i",
			"milter_macro_defaults": "", "smtpd_milter_maps": "", "content_filter": "", "smtpd_proxy_filter": "",
			"receive_override_options": "", "inet_protocols": "all",
		},
		master: []string{
			"smtp inet n - y - - smtpd",
			"pickup unix n - y 60 1 pickup",
			"cleanup unix n - y - 0 cleanup",
			"smtp unix - - y - - smtp",
		},
		build: "Version 8.17.1.9\n Compiled with: DNSMAP LOG MILTER NAMED_BIND\n\t\tNETINET NETINET6 NETUNIX\n",
	}
	h.files["/etc/mail/sendmail.cf"] = goodCF
	return h
}

const goodCF = `V10/Berkeley
O DaemonPortOptions=Name=MTA, Port=smtp
O InputMailFilters=gomilter
O Milter.macros.connect=j, _, {daemon_name}, {if_name}, {if_addr}
O Milter.macros.envfrom=i, {auth_type}, {auth_authen}
Xgomilter, S=local:/run/gomilter/g.sock, F=T, T=C:5m;S:20s;R:5m;E:5m
Mlocal, P=/bin/true, F=l
R$*	$#local
`

// summary is what a test says of a finding: severity, code, services.
func summary(list []Finding) []string {
	var out []string
	for _, f := range list {
		s := f.Severity.String() + " " + f.Code
		if len(f.Services) > 0 {
			s += " " + strings.Join(f.Services, ",")
		}
		if f.What == "" || f.Why == "" || !strings.HasSuffix(f.Why, ".") || strings.HasSuffix(f.What, ".") {
			s += " (badly told: " + strconv.Quote(f.What) + " " + strconv.Quote(f.Why) + ")"
		}
		out = append(out, s)
	}
	return out
}

// A faultCase breaks a machine in one way.
type faultCase struct {
	name  string
	fault func(h *fakeHost)
	adapt func(f *Filter)
	want  []string // summaries
	says  string   // stands in the finding's text or fix
	// left are the summaries after all fixes were obeyed; nil means silence.
	left []string
}

func play(t *testing.T, cases []faultCase, filter Filter, check func(h *fakeHost, f Filter) ([]Finding, error)) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			h, f := newHost(), filter
			if tt.fault != nil {
				tt.fault(h)
			}
			if tt.adapt != nil {
				tt.adapt(&f)
			}
			got, err := check(h, f)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, summary(got)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, got)
			}
			if text := fmt.Sprintf("%+v", got); !strings.Contains(text, tt.says) {
				t.Errorf("the findings do not say %q: %s", tt.says, text)
			}
			h.obey(t, got)
			again, err := check(h, f)
			if err != nil {
				t.Fatalf("after the fixes: %v", err)
			}
			if diff := cmp.Diff(tt.left, summary(again)); diff != "" {
				t.Errorf("after the fixes (-want +got):\n%s\n%+v", diff, again)
			}
		})
	}
}
