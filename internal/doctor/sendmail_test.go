package doctor

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

func withSendmail(t *testing.T) func(h *fakeHost, f Filter) ([]Finding, error) {
	return func(h *fakeHost, f Filter) ([]Finding, error) {
		return checkSendmail(t.Context(), h, SendmailOptions{Sendmail: "sendmail"}, f)
	}
}

// edit replaces a text of sendmail.cf.
func edit(old, new string) func(*fakeHost) {
	return func(h *fakeHost) {
		text := h.files["/etc/mail/sendmail.cf"]
		if !strings.Contains(text, old) {
			panic("sendmail.cf has no " + old)
		}
		h.files["/etc/mail/sendmail.cf"] = strings.Replace(text, old, new, 1)
	}
}

func setBuild(old, new string) func(*fakeHost) {
	return func(h *fakeHost) { h.build = strings.Replace(h.build, old, new, 1) }
}

func TestSendmailFaults(t *testing.T) {
	const (
		sock    = "/run/gomilter/g.sock"
		equates = "F=T, T=C:5m;S:20s;R:5m;E:5m"
	)
	runAs := edit("V10/Berkeley\n", "V10/Berkeley\nO RunAsUser=smmsp\n")
	play(t, []faultCase{
		{name: "all is well"},
		{name: "all is well with comments and folded lines", fault: all(edit("O InputMailFilters=gomilter", "#O InputMailFilters=none\nO InputMailFilters=other, \n\tgomilter # two"), edit("Xgomilter", "Xother, S=inet:1@127.0.0.1, F=T\nXgomilter"))},
		{name: "all is well with Sendmail's own times", fault: edit(", T=C:5m;S:20s;R:5m;E:5m", "")},
		{name: "all is well over IPv6", fault: edit("local:/run/gomilter/g.sock", "inet6:8891@::1"), adapt: sockets("inet6:8891@[::1]")},
		{name: "all is well by a listener's own list", fault: all(edit("O InputMailFilters=gomilter", ""), edit("Port=smtp", "Port=smtp, I=gomilter"))},

		{name: "no support", fault: setBuild("MILTER ", ""), want: []string{"error no-milter-support"}, left: []string{"error no-milter-support"}},
		{name: "MILTER is no part of another word", fault: setBuild("MILTER ", "MILTER_NO "), want: []string{"error no-milter-support"}, left: []string{"error no-milter-support"}},
		{name: "no IPv6", fault: all(setBuild("NETINET6 ", ""), edit("local:/run/gomilter/g.sock", "inet6:8891@::1")), adapt: sockets("inet6:8891@[::1]"), want: []string{"error no-socket-support"}, left: []string{"error no-socket-support"}},
		{name: "an old Sendmail", fault: setBuild("8.17.1.9", "8.13.8"), want: []string{"warning version"}, left: []string{"warning version"}},

		{name: "no X line", fault: all(edit("Xgomilter", "#Xgomilter"), edit("O Input", "#O Input")), want: []string{"error no-filter-line", "error not-attached"}, says: "Xgomilter, S=local:/run/gomilter/g.sock, " + equates},
		{name: "no X line but a name", fault: edit("Xgomilter", "#Xgomilter"), want: []string{"error no-filter-line"}, says: "INPUT_MAIL_FILTER(`gomilter', `S=local:/run/gomilter/g.sock, " + equates + "')"},
		{name: "not in the list", fault: edit("O InputMailFilters=gomilter", "O InputMailFilters="), want: []string{"error not-attached"}, says: "O InputMailFilters=gomilter"},
		{name: "not in the list of others", fault: all(edit("O InputMailFilters=gomilter", "O InputMailFilters=a,\n b"), edit("Xgomilter", "Xa, S=inet:1@h, F=T\nXb, S=inet:2@h, F=T\nXgomilter")), want: []string{"error not-attached"}, says: "O InputMailFilters=a,b,gomilter"},
		{name: "the names differ", fault: edit("Xgomilter", "Xgomiltre"), want: []string{"error undefined", "error not-attached"}, left: []string{"error undefined"}},
		{name: "a listener has its own filters", fault: edit("O Input", "O DaemonPortOptions=Name=MSA, Port=587, M=Ea, InputFilter=\nO Input"), want: []string{"warning not-attached-listener"}, says: "O DaemonPortOptions=Name=MSA, Port=587, M=Ea, InputMailFilters=gomilter"},
		{name: "every listener has its own filters", fault: edit("Port=smtp", "Port=smtp, InputMailFilters="), want: []string{"error not-attached-listener"}, says: "DAEMON_OPTIONS(`Name=MTA, Port=smtp, InputMailFilters=gomilter')"},
		{name: "a second X line", fault: edit("Xgomilter", "Xgomilter, S=inet:1@127.0.0.1, F=T\nXgomilter"), want: []string{"error syntax"}, left: []string{"error syntax"}},
		{name: "a second socket is asked by nobody", fault: edit("Xgomilter", "Xsecond, S=inet:8891@127.0.0.1, F=T\nXgomilter"), adapt: sockets("unix:"+sock, "inet:8891@127.0.0.1"), want: []string{"warning socket-unused"}, left: []string{"warning socket-unused"}},
		{name: "too many filters", fault: edit("O InputMailFilters=gomilter", "O InputMailFilters=gomilter"+strings.Repeat(",gomilter", 30)), want: []string{"error syntax"}, left: []string{"error syntax"}},

		{name: "fails open", fault: edit(" F=T,", ""), want: []string{"warning fail-open"}, says: "Xgomilter, S=local:/run/gomilter/g.sock, " + equates},
		{name: "refuses", fault: edit("F=T", "F=R"), want: []string{"warning default-action"}},
		{name: "drops clients", fault: edit("F=T", "F=4"), want: []string{"note default-action"}},
		{name: "replies have no time", fault: edit("R:5m", "R:8s"), want: []string{"error timeout"}, says: "R:300s"},
		{name: "replies of a slow filter have no time", fault: edit("T=C:5m;S:20s;R:5m;E:5m", "T=C:5m"), adapt: func(f *Filter) { f.StageTimeout = time.Minute }, want: []string{"error timeout"}},
		{name: "the end has no time", fault: edit("E:5m", "E:240"), want: []string{"error timeout"}, says: "E:300s"},
		{name: "the end has no time for a slow filter", adapt: func(f *Filter) { f.EndTimeout = 10 * time.Minute }, want: []string{"error timeout"}, says: "E:660s"},
		{name: "connecting and sending have no time", fault: edit("C:5m;S:20s", "C:1s;S:1s"), want: []string{"warning timeout", "warning timeout"}},
		{name: "times that are none", fault: edit("T=C:5m;S:20s;R:5m;E:5m", "T=Q:5m;S:x"), want: []string{"error syntax", "error syntax"}},
		{name: "an equate nobody knows", fault: edit("F=T", "F=T, Z=1"), want: []string{"error syntax"}},

		{name: "Postfix's notation", fault: edit("local:/run/gomilter/g.sock", "inet:127.0.0.1:8891"), adapt: sockets("inet:8891@127.0.0.1"), want: []string{"error notation"}, says: "S=inet:8891@127.0.0.1"},
		{name: "brackets", fault: edit("local:/run/gomilter/g.sock", "inet6:8891@[::1]"), adapt: sockets("inet6:8891@[::1]"), want: []string{"error notation"}, says: "S=inet6:8891@::1,"},

		{name: "no lists of macros", fault: all(edit("O Milter.macros.connect", "#"), edit("O Milter.macros.envfrom", "#")), want: []string{"warning macros", "warning macros"}, says: "O Milter.macros.envfrom=i, {auth_type}, {auth_authen}"},
		{name: "a list lacks a macro", fault: edit(", {auth_authen}", ""), want: []string{"warning macros"}, says: "define(`confMILTER_MACROS_ENVFROM', ``i, {auth_type}, {auth_authen}'')"},
		{name: "an extra macro is wanted", adapt: func(f *Filter) { f.Macros = map[wire.Stage][]string{wire.StageEnd: {"msg_id"}} }, want: []string{"warning macros"}, says: "O Milter.macros.eom={msg_id}"},

		{name: "the socket is missing", fault: func(h *fakeHost) { delete(h.nodes, sock) }, want: []string{"error socket-absent"}},
		{name: "the socket and its directory are missing", fault: func(h *fakeHost) { delete(h.nodes, sock); delete(h.nodes, "/run/gomilter") }, want: []string{"error socket-absent"}},
		{name: "nobody listens", fault: func(h *fakeHost) { h.silent[sock] = true }, want: []string{"error nobody-listens"}},
		{name: "RunAsUser is not in the group", fault: runAs, want: []string{"error permission"}, says: "chgrp smmsp " + sock},
		{name: "RunAsUser with a group that is", fault: edit("V10/Berkeley\n", "V10/Berkeley\nO RunAsUser=smmsp:postfix\n")},
		{name: "RunAsUser may write only", fault: all(edit("V10/Berkeley\n", "V10/Berkeley\nO RunAsUser=smmsp:postfix\n"), setNode(sock, func(n *node) { n.mode = fs.ModeSocket | 0o620 })), want: []string{"error permission"}},
		{name: "RunAsUser may not search", fault: all(edit("V10/Berkeley\n", "V10/Berkeley\nO RunAsUser=smmsp:postfix\n"), setNode("/run/gomilter", func(n *node) { n.mode = fs.ModeDir | 0o700 })), want: []string{"error permission"}},
		{name: "the group may write to the directory", fault: setNode("/run/gomilter", func(n *node) { n.mode = fs.ModeDir | 0o775 }), want: []string{"error unsafe"}, says: "chmod g-w /run/gomilter"},
		{name: "all may write to a directory", fault: setNode("/run", func(n *node) { n.mode = fs.ModeDir | 0o777 }), want: []string{"error unsafe"}, says: "chmod go-w /run"},
		{name: "the group may, as Sendmail is told", fault: all(setNode("/run/gomilter", func(n *node) { n.mode = fs.ModeDir | 0o775 }), edit("V10/Berkeley\n", "V10/Berkeley\nO DontBlameSendmail=ForwardFileInUnsafeDirPath,GroupWritableDirPathSafe\n"))},
		{name: "a sticky directory", fault: setNode("/run", func(n *node) { n.mode = fs.ModeDir | fs.ModeSticky | 0o777 }), want: []string{"error unsafe"}, left: []string{"error unsafe"}, says: "of its own"},
		{name: "a sticky directory, as Sendmail is told", fault: all(setNode("/run", func(n *node) { n.mode = fs.ModeDir | fs.ModeSticky | 0o777 }), edit("V10/Berkeley\n", "V10/Berkeley\nO DontBlameSendmail=TrustStickyBit\n"))},
		{name: "the owner may not read", fault: setNode(sock, func(n *node) { n.mode = fs.ModeSocket | 0o260 }), want: []string{"error unsafe"}},
		{name: "the socket has two names", fault: setNode(sock, func(n *node) { n.links = 2 }), want: []string{"error unsafe"}, left: []string{"error unsafe"}},
	}, Filter{Listeners: listen("unix:" + sock)}, withSendmail(t))
}
