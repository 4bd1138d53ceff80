package doctor

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

const (
	insideSocket = "unix:/var/spool/postfix/gomilter/g.sock"
	postfixSock  = "/var/spool/postfix/gomilter/g.sock"
)

func withPostfix(t *testing.T) func(h *fakeHost, f Filter) ([]Finding, error) {
	return func(h *fakeHost, f Filter) ([]Finding, error) {
		return checkPostfix(t.Context(), h, PostfixOptions{Postconf: "postconf"}, f)
	}
}

func setParam(name, value string) func(*fakeHost) {
	return func(h *fakeHost) { h.params[name] = value }
}

func setOption(service, name, value string) func(*fakeHost) {
	return func(h *fakeHost) {
		if h.options[service] == nil {
			h.options[service] = make(map[string]string)
		}
		h.options[service][name] = value
	}
}

func all(list ...func(*fakeHost)) func(*fakeHost) {
	return func(h *fakeHost) {
		for _, f := range list {
			f(h)
		}
	}
}

func addService(line string) func(*fakeHost) {
	return func(h *fakeHost) { h.master = append(h.master, line) }
}

func setNode(path string, change func(*node)) func(*fakeHost) {
	return func(h *fakeHost) {
		n := h.nodes[path]
		change(&n)
		h.nodes[path] = n
	}
}

func sockets(specs ...string) func(*Filter) {
	return func(f *Filter) { f.Listeners = listen(specs...) }
}

// listen makes listeners of sockets.
func listen(specs ...string) []Listener {
	var list []Listener
	for _, s := range specs {
		list = append(list, Listener{Socket: s})
	}
	return list
}

func TestPostfixFaults(t *testing.T) {
	notRooted := func(h *fakeHost) {
		for i, line := range h.master {
			h.master[i] = strings.Replace(line, " - y ", " - n ", 1)
		}
	}
	submission := addService("submission inet n - y - - smtpd")
	play(t, []faultCase{
		{name: "all is well"},
		{name: "all is well with settings of its own", fault: setParam("smtpd_milters", "inet:127.0.0.1:1, { unix:gomilter/g.sock, default_action=tempfail, command_timeout = 60s }")},
		{name: "all is well through another parameter", fault: all(setParam("smtpd_milters", "$ours"), setParam("ours", "${mine}"), setParam("mine", "unix:gomilter/g.sock"))},
		{name: "all is well without a chroot", fault: notRooted},
		{name: "all is well over TCP", fault: setParam("smtpd_milters", "inet:localhost:8891"), adapt: sockets("inet:8891@127.0.0.1")},
		{name: "all is well behind a symbolic link", fault: all(notRooted, setParam("smtpd_milters", "unix:/var/run/gomilter/g.sock"), func(h *fakeHost) {
			h.nodes["/var/run"] = node{mode: fs.ModeSymlink | 0o777, links: 1}
			h.targets["/var/run"] = "../run"
		}), adapt: sockets("unix:/run/gomilter/g.sock")},

		{name: "attached nowhere", fault: setParam("smtpd_milters", ""), want: []string{"error not-attached smtp/inet"}, says: "smtpd_milters = unix:gomilter/g.sock"},
		{name: "attached nowhere, others are", fault: setParam("smtpd_milters", "$x, inet:127.0.0.1:1"), want: []string{"error not-attached smtp/inet"}, says: "smtpd_milters = $x, inet:127.0.0.1:1, unix:gomilter/g.sock"},
		{name: "attached nowhere, and fails open", fault: all(setParam("smtpd_milters", ""), setParam("milter_default_action", "accept")), want: []string{"error not-attached smtp/inet", "warning fail-open smtp/inet"}},
		{name: "submission has filters of its own", fault: all(submission, setOption("submission/inet", "smtpd_milters", "inet:127.0.0.1:1")), want: []string{"warning not-attached submission/inet"}, says: "postconf -P 'submission/inet/smtpd_milters=inet:127.0.0.1:1, unix:gomilter/g.sock'"},
		{name: "submission of an old Postfix has filters of its own", fault: all(submission, setParam("mail_version", "2.11.3"), setOption("submission/inet", "smtpd_milters", "inet:127.0.0.1:1")), want: []string{"warning not-attached submission/inet"}, says: "postconf -P submission/inet/smtpd_milters=inet:127.0.0.1:1,unix:gomilter/g.sock"},
		{name: "submission has no filters", fault: all(submission, setOption("submission/inet", "smtpd_milters", "")), want: []string{"warning not-attached submission/inet"}},
		{name: "nothing for local mail", fault: setParam("non_smtpd_milters", ""), want: []string{"warning not-attached-local cleanup/unix"}, says: "non_smtpd_milters = $smtpd_milters"},
		{name: "others for local mail", fault: setParam("non_smtpd_milters", "inet:127.0.0.1:1"), want: []string{"warning not-attached-local cleanup/unix"}, says: "non_smtpd_milters = inet:127.0.0.1:1, unix:gomilter/g.sock"},
		{name: "no milters by an override option", fault: setParam("receive_override_options", "no_milters, no_header_body_checks"), want: []string{"error no-milters smtp/inet"}, says: "receive_override_options = no_header_body_checks"},
		{name: "no service takes SMTP", fault: func(h *fakeHost) { h.master = h.master[1:] }, want: []string{"error no-smtpd"}},
		{name: "a second socket is asked by nobody", adapt: sockets(insideSocket, "inet:8891@127.0.0.1"), want: []string{"warning socket-unused"}, left: []string{"warning socket-unused"}},
		{name: "postscreen is in front", fault: func(h *fakeHost) {
			h.master = append(h.master[1:], "smtp inet n - y - 1 postscreen", "smtpd pass - - y - - smtpd")
			h.params["smtpd_milters"] = ""
		}, want: []string{"error not-attached smtpd/pass"}},

		{name: "chroot hides the socket", fault: setParam("smtpd_milters", "unix:/run/gomilter/g.sock"), adapt: sockets("unix:/run/gomilter/g.sock"),
			want: []string{"error chroot smtp/inet", "error chroot cleanup/unix"}, says: "postconf -F smtp/inet/chroot=n"},
		{name: "chroot by an old default", fault: all(func(h *fakeHost) {
			h.master[0] = "smtp inet n - - - - smtpd"
			h.master[2] = "cleanup unix n - - - 0 cleanup"
		},
			setParam("compatibility_level", "0"), setParam("smtpd_milters", "unix:/run/gomilter/g.sock")), adapt: sockets("unix:/run/gomilter/g.sock"),
			want: []string{"error chroot smtp/inet", "error chroot cleanup/unix"}},
		{name: "no chroot by a new default", fault: all(func(h *fakeHost) {
			h.master[0] = "smtp inet n - - - - smtpd"
			h.master[2] = "cleanup unix n - - - 0 cleanup"
		},
			setParam("smtpd_milters", "unix:/run/gomilter/g.sock")), adapt: sockets("unix:/run/gomilter/g.sock")},
		{name: "absolute path in a chroot", fault: setParam("smtpd_milters", "unix:"+postfixSock), want: []string{"error chroot smtp/inet"}, says: "smtpd_milters = unix:gomilter/g.sock"},
		{name: "chroot's path without a chroot", fault: all(notRooted, setParam("smtpd_milters", "unix:/gomilter/g.sock")), want: []string{"error chroot smtp/inet"}},
		{name: "chroot's path in a chroot", fault: setParam("smtpd_milters", "unix:/gomilter/g.sock")},

		{name: "the socket is missing", fault: func(h *fakeHost) { delete(h.nodes, postfixSock) }, want: []string{"error socket-absent"}, says: `group = "postfix"`},
		{name: "the socket is missing, and will be closed to Postfix", fault: func(h *fakeHost) { delete(h.nodes, postfixSock) },
			adapt: func(f *Filter) {
				f.User, f.Listeners = "gomilter", []Listener{{Socket: insideSocket, Group: "gomilter", Mode: 0o660}}
			}, want: []string{"error socket-absent", "error permission"}},
		{name: "the socket is missing, and will be open", fault: func(h *fakeHost) { delete(h.nodes, postfixSock) },
			adapt: func(f *Filter) {
				f.User, f.Listeners = "gomilter", []Listener{{Socket: insideSocket, Group: "postfix", Mode: 0o660}}
			}, want: []string{"error socket-absent"}},
		{name: "it is no socket", fault: setNode(postfixSock, func(n *node) { n.mode = 0o644 }), want: []string{"error socket-absent"}, left: []string{"error socket-absent"}},
		{name: "nobody listens", fault: func(h *fakeHost) { h.silent[postfixSock] = true }, want: []string{"error nobody-listens"}},
		{name: "nobody listens at a port", fault: all(setParam("smtpd_milters", "inet:127.0.0.1:8891"), func(h *fakeHost) { h.silent["127.0.0.1:8891"] = true }), adapt: sockets("inet:8891@127.0.0.1"), want: []string{"error nobody-listens"}},
		{name: "the socket's group is another", fault: setNode(postfixSock, func(n *node) { n.gid = 500 }), want: []string{"error permission"}, says: "chgrp postfix " + postfixSock},
		{name: "the socket's mode is too strict", fault: setNode(postfixSock, func(n *node) { n.mode = fs.ModeSocket | 0o600 }), want: []string{"error permission"}, says: "chmod g+rw " + postfixSock},
		{name: "the group of a second membership does", fault: all(setNode(postfixSock, func(n *node) { n.gid = 500 }), func(h *fakeHost) {
			a := h.accounts["postfix"]
			a.groups = append(a.groups, 500)
			h.accounts["postfix"] = a
		})},
		{name: "the directory is closed", fault: setNode("/var/spool/postfix/gomilter", func(n *node) { n.gid = 500 }), want: []string{"error permission"}, says: "chgrp postfix /var/spool/postfix/gomilter"},
		{name: "a directory above is closed", fault: all(notRooted, setNode("/var/spool", func(n *node) { n.mode = fs.ModeDir | 0o700 })), want: []string{"error permission"}, says: "chmod o+x /var/spool"},
		{name: "a directory above the chroot does not matter", fault: setNode("/var/spool", func(n *node) { n.mode = fs.ModeDir | 0o700 })},
		{name: "a service that runs as root may do all", fault: all(setNode(postfixSock, func(n *node) { n.mode = fs.ModeSocket | 0o600 }), func(h *fakeHost) {
			h.master[0] = "smtp inet n n y - - smtpd"
			h.master = append(h.master[:2], h.master[3:]...)
		})},
		{name: "we may not look", fault: func(h *fakeHost) { h.denied[postfixSock] = true }, want: []string{"note not-checked"}, left: []string{"note not-checked"}},

		{name: "fails open", fault: setParam("milter_default_action", "accept"), want: []string{"warning fail-open smtp/inet"}, says: "milter_default_action = tempfail"},
		{name: "fails open by itself", fault: setParam("smtpd_milters", "{ unix:gomilter/g.sock, default_action=accept, command_timeout=3s }"),
			want: []string{"error timeout smtp/inet", "warning fail-open smtp/inet"}, says: "smtpd_milters = { unix:gomilter/g.sock, default_action=tempfail, command_timeout=30s }"},
		{name: "fails open for one service", fault: all(submission, setOption("submission/inet", "milter_default_action", "accept")), want: []string{"warning fail-open submission/inet"}, says: "postconf -P submission/inet/milter_default_action=tempfail"},
		{name: "refuses", fault: setParam("milter_default_action", "reject"), want: []string{"warning default-action smtp/inet"}},
		{name: "holds", fault: setParam("milter_default_action", "quarantine"), want: []string{"note default-action smtp/inet"}},
		{name: "drops clients", fault: all(setParam("mail_version", "3.11.0"), setParam("milter_default_action", "shutdown")), want: []string{"note default-action smtp/inet"}},
		{name: "drops clients, and does not know how", fault: setParam("milter_default_action", "shutdown"), want: []string{"error default-action smtp/inet"}, says: "451 4.3.5"},
		{name: "an action nobody knows", fault: setParam("milter_default_action", "tempfall"), want: []string{"error default-action smtp/inet"}},

		{name: "commands have no time", fault: setParam("milter_command_timeout", "8"), want: []string{"error timeout smtp/inet"}, says: "milter_command_timeout = 30s"},
		{name: "commands have no time for a slow filter", adapt: func(f *Filter) { f.StageTimeout = time.Minute }, want: []string{"error timeout smtp/inet"}, says: "milter_command_timeout = 70s"},
		{name: "the end has less time", fault: setParam("milter_content_timeout", "2m"), want: []string{"warning timeout smtp/inet"}, says: "milter_content_timeout = 300s"},
		{name: "content has no time", fault: setParam("milter_content_timeout", "5s"), want: []string{"error timeout smtp/inet"}},
		{name: "connecting has no time", fault: setParam("milter_connect_timeout", "1s"), want: []string{"warning timeout smtp/inet"}},
		{name: "a time that is none", fault: setParam("milter_command_timeout", "soon"), want: []string{"error timeout smtp/inet"}},

		{name: "an old protocol", fault: setParam("milter_protocol", "4"), want: []string{"warning protocol smtp/inet"}, says: "milter_protocol = 6"},
		{name: "a protocol that is none", fault: setParam("milter_protocol", "x"), want: []string{"error protocol smtp/inet"}},

		{name: "no login is told", fault: setParam("milter_mail_macros", "i {mail_addr}"), want: []string{"warning macros smtp/inet"}, says: "milter_mail_macros = i {mail_addr} {auth_type} {auth_authen}"},
		{name: "no queue id is told", fault: all(setParam("milter_data_macros", ""), setParam("milter_end_of_header_macros", ""), setParam("milter_end_of_data_macros", "")), want: []string{"warning macros smtp/inet"}, says: "milter_end_of_data_macros = i"},
		{name: "an extra macro is wanted", adapt: func(f *Filter) {
			f.Macros = map[wire.Stage][]string{wire.StageConnect: {"{client_addr}"}}
		}, want: []string{"warning macros smtp/inet"}, says: "milter_connect_macros = j {daemon_name} {daemon_addr} v _ {client_addr}"},
		{name: "a macro that Postfix lacks", adapt: func(f *Filter) { f.Macros = map[wire.Stage][]string{wire.StageMail: {"{auth_ssf}"}} }, want: []string{"note no-such-macro"}, left: []string{"note no-such-macro"}},

		{name: "Sendmail's notation", fault: setParam("smtpd_milters", "inet:8891@127.0.0.1"), adapt: sockets("inet:8891@127.0.0.1"), want: []string{"error notation smtp/inet"}, says: "smtpd_milters = inet:127.0.0.1:8891"},
		{name: "another filter has no scheme", fault: setParam("smtpd_milters", "tcp:127.0.0.1:1 unix:gomilter/g.sock"), want: []string{"error notation smtp/inet"}, left: []string{"error notation smtp/inet"}},
		{name: "an option outside of braces", fault: setParam("smtpd_milters", "unix:gomilter/g.sock, default_action=tempfail"), want: []string{"error syntax smtp/inet"}, left: []string{"error syntax smtp/inet"}},
		{name: "an option nobody knows", fault: setParam("smtpd_milters", "{ unix:gomilter/g.sock, action=tempfail }"), want: []string{"error syntax smtp/inet"}, left: []string{"error syntax smtp/inet"}},
		{name: "a brace is not closed", fault: setParam("smtpd_milters", "{ unix:gomilter/g.sock"), want: []string{"error syntax smtp/inet", "error syntax cleanup/unix"}, left: []string{"error syntax smtp/inet", "error syntax cleanup/unix"}},
		{name: "parameters in a loop", fault: all(setParam("smtpd_milters", "$a"), setParam("a", "$b $b"), setParam("b", "$a $a")), want: []string{"error syntax smtp/inet", "error syntax cleanup/unix"}, says: "in a loop",
			left: []string{"error syntax smtp/inet", "error syntax cleanup/unix"}},
		{name: "braces for an old Postfix", fault: all(setParam("mail_version", "2.11.0"), setParam("smtpd_milters", "{ unix:gomilter/g.sock, default_action=tempfail }")), want: []string{"error syntax smtp/inet"}, left: []string{"error syntax smtp/inet"}},

		{name: "no IPv6", fault: all(setParam("smtpd_milters", "inet:[::1]:8891"), setParam("inet_protocols", "ipv4")), adapt: sockets("inet6:8891@[::1]"), want: []string{"error inet-protocols smtp/inet,cleanup/unix"}, says: "inet_protocols = all"},
		{name: "no IPv4", fault: all(setParam("smtpd_milters", "inet:127.0.0.1:8891"), setParam("inet_protocols", "ipv6")), adapt: sockets("inet:8891@127.0.0.1"), want: []string{"error inet-protocols smtp/inet,cleanup/unix"}},

		{name: "all clients are let past", fault: setParam("smtpd_milter_maps", "static:DISABLE"), want: []string{"error exempt smtp/inet"}},
		{name: "some clients are let past", fault: setParam("smtpd_milter_maps", "cidr:/etc/postfix/m"), want: []string{"note exempt smtp/inet"}, left: []string{"note exempt smtp/inet"}},

		{name: "filtered twice after the queue", fault: all(setParam("content_filter", "amavis:[127.0.0.1]:10024"), addService("127.0.0.1:10025 inet n - y - - smtpd"),
			setOption("127.0.0.1:10025/inet", "content_filter", ""), setOption("127.0.0.1:10025/inet", "receive_override_options", "no_header_body_checks")),
			want: []string{"error filtered-twice 127.0.0.1:10025/inet"}, says: "postconf -P 127.0.0.1:10025/inet/receive_override_options=no_header_body_checks,no_milters"},
		{name: "filtered twice before the queue", fault: all(setOption("smtp/inet", "smtpd_proxy_filter", "127.0.0.1:10025"), addService("127.0.0.1:10026 inet n - y - - smtpd")),
			want: []string{"error filtered-twice 127.0.0.1:10026/inet"}},
		{name: "filtered once", fault: all(setParam("content_filter", "amavis:[127.0.0.1]:10024"), addService("127.0.0.1:10025 inet n - y - - smtpd"),
			setOption("127.0.0.1:10025/inet", "content_filter", ""), setOption("127.0.0.1:10025/inet", "receive_override_options", "no_milters"))},
		{name: "comes back without filters", fault: all(setParam("content_filter", "amavis:[127.0.0.1]:10024"), addService("127.0.0.1:10025 inet n - y - - smtpd"),
			setOption("127.0.0.1:10025/inet", "content_filter", ""), setOption("127.0.0.1:10025/inet", "smtpd_milters", ""))},
		{name: "comes back from a filter that access maps name", fault: all(addService("127.0.0.1:10025 inet n - y - - smtpd"), setOption("127.0.0.1:10025/inet", "receive_override_options", "no_milters"))},
		{name: "nobody knows how it comes back", fault: setParam("content_filter", "dovecot:x"), want: []string{"note filtered-twice"}, left: []string{"note filtered-twice"}},

		{name: "a Postfix without milters", fault: setParam("mail_version", "2.2.10"), want: []string{"error version"}, left: []string{"error version"}},
		{name: "a Postfix that cannot be read", fault: setParam("mail_version", "2.8.1"), want: []string{"warning version"}, left: []string{"warning version"}},
	}, Filter{Listeners: listen(insideSocket)}, withPostfix(t))
}
