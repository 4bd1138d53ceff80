package doctor

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
)

// two are a listener for mail of others and one for submission.
func two() []Listener {
	return []Listener{{Name: "mx", Socket: insideSocket}, {Name: "users", Socket: "inet:8892@127.0.0.1", Submission: true}}
}

func listeners(list ...Listener) func(*Filter) { return func(f *Filter) { f.Listeners = list } }

func aside(l Listener) Listener {
	l.Aside = true
	return l
}

func TestPostfixAsksTheRightListener(t *testing.T) {
	const mx, users = "unix:gomilter/g.sock", "inet:127.0.0.1:8892"
	submission := addService("submission inet n - y - - smtpd")
	smtps := addService("192.0.2.1:465 inet n - y - - smtpd")
	own := func(value string) func(*fakeHost) { return setOption("submission/inet", "smtpd_milters", value) }
	onlyUsers := listeners(two()[1])
	outside := two()
	outside[0].Socket = "unix:/run/gomilter/g.sock"
	play(t, []faultCase{
		{name: "each its own", fault: all(submission, own(users))},
		{name: "users ask the listener for others", fault: submission, want: []string{"warning wrong-listener submission/inet"}, says: "postconf -P submission/inet/smtpd_milters=" + users},
		{name: "users ask both", fault: all(submission, own(mx+", "+users)), want: []string{"warning wrong-listener submission/inet"}, says: "postconf -P submission/inet/smtpd_milters=" + users},
		{name: "users ask neither", fault: all(submission, own("inet:127.0.0.1:1")), want: []string{"error not-attached submission/inet"}, says: "postconf -P 'submission/inet/smtpd_milters=inet:127.0.0.1:1, " + users},
		{name: "users by TLS", fault: smtps, want: []string{"warning wrong-listener 192.0.2.1:465/inet"}, says: "postconf -P 192.0.2.1:465/inet/smtpd_milters=" + users},
		{name: "port 25 asks that of users", fault: all(submission, own(users), setParam("smtpd_milters", users), setParam("non_smtpd_milters", mx)), want: []string{"error wrong-listener smtp/inet"}, says: "smtpd_milters = " + mx},
		{name: "all ask that of users", fault: all(submission, setParam("smtpd_milters", users), setParam("non_smtpd_milters", mx)), want: []string{"error wrong-listener smtp/inet"}, says: "postconf -P submission/inet/smtpd_milters=" + users},
		{name: "nobody asks", fault: all(submission, setParam("smtpd_milters", "")), want: []string{"error not-attached smtp/inet", "error not-attached submission/inet"}},
		{name: "there is no service for users", want: []string{"warning socket-unused"}, left: []string{"warning socket-unused"}},
		{name: "users alone are filtered", fault: all(submission, own(users), setParam("smtpd_milters", ""), setParam("non_smtpd_milters", "")), adapt: onlyUsers},
		{name: "port 25 asks, and there is none for it", fault: all(submission, own(users), setParam("smtpd_milters", users)), adapt: onlyUsers,
			want: []string{"error wrong-listener smtp/inet"}, left: []string{"error wrong-listener smtp/inet"}, says: "add one without submission"},
		{name: "one for all", fault: submission, adapt: listeners(two()[0])},
		{name: "one that is named: users", fault: all(submission, own(users), setParam("smtpd_milters", "")), adapt: listeners(aside(two()[0]), two()[1])},
		{name: "one that is named: others", fault: all(submission, own("")), adapt: listeners(two()[0], aside(two()[1]))},
		{name: "one that is named: others, which users ask, too", fault: submission, adapt: listeners(two()[0], aside(two()[1])), want: []string{"warning wrong-listener submission/inet"}, says: "smtpd_milters=" + users},
		// smtpd for users cannot see the socket for others, and does not use it.
		{name: "chroot of a service that does not use the socket", fault: all(submission, own(users), setParam("smtpd_milters", "unix:/run/gomilter/g.sock"), setParam("non_smtpd_milters", ""), func(h *fakeHost) {
			h.master[0] = strings.Replace(h.master[0], " - y ", " - n ", 1)
		}), adapt: listeners(outside...), want: []string{"warning not-attached-local cleanup/unix"}, left: []string{"error chroot cleanup/unix"}},
	}, Filter{Listeners: two()}, withPostfix(t))
}

func TestSendmailAsksTheRightListener(t *testing.T) {
	list := two()
	list[0].Socket = "unix:/run/gomilter/g.sock"
	const msa = "O DaemonPortOptions=Name=MSA, Port=587, M=Ea"
	known := edit("Xgomilter", "Xusers, S=inet:8892@127.0.0.1, F=T, T=C:5m;S:20s;R:5m;E:5m\nXgomilter")
	daemon := func(more string) func(*fakeHost) { return edit("O Input", msa+more+"\nO Input") }
	play(t, []faultCase{
		{name: "each its own", fault: all(known, daemon(", InputMailFilters=users"))},
		{name: "users ask the filters of others", fault: all(known, daemon("")), want: []string{"warning wrong-listener"}, says: "O DaemonPortOptions=Name=MSA, Port=587, M=Ea, InputMailFilters=users"},
		{name: "users ask those of others by name", fault: all(known, daemon(", I=gomilter")), want: []string{"warning wrong-listener"}, says: "InputMailFilters=users"},
		{name: "users ask none", fault: all(known, daemon(", I=")), want: []string{"warning not-attached-listener"}, says: "InputMailFilters=users"},
		{name: "others ask that of users", fault: all(known, daemon(", I=users"), edit("O InputMailFilters=gomilter", "O InputMailFilters=users")), want: []string{"error wrong-listener"}, says: "O InputMailFilters=gomilter"},
		{name: "a listener of others asks that of users", fault: all(known, daemon(", I=users"), edit("Port=smtp", "Port=smtp, I=users")), want: []string{"error wrong-listener"}, says: "Port=smtp, InputMailFilters=gomilter"},
		{name: "no X line for users", fault: daemon(", I=users"), want: []string{"error no-filter-line"}, says: "MAIL_FILTER(`users', `S=inet:8892@127.0.0.1"},
		{name: "there is no listener for users", fault: known, want: []string{"warning socket-unused"}, left: []string{"warning socket-unused"}},
		{name: "users alone are filtered", fault: all(known, daemon(", I=users"), edit("O InputMailFilters=gomilter", "")), adapt: listeners(list[1])},
		{name: "others ask, and there is none for them", fault: all(known, daemon(", I=users"), edit("O InputMailFilters=gomilter", "O InputMailFilters=users")), adapt: listeners(list[1]),
			want: []string{"error wrong-listener"}, left: []string{"error wrong-listener"}, says: "add one without submission"},
		{name: "one that is named", fault: all(known, daemon(", I=users"), edit("O InputMailFilters=gomilter", "")), adapt: listeners(aside(list[0]), list[1])},
		{name: "one that is named, which users ask, too", fault: all(known, daemon(", I=gomilter")), adapt: listeners(list[0], aside(list[1])), want: []string{"warning wrong-listener"}, says: "InputMailFilters=users"},
		{name: "one for all", fault: daemon(""), adapt: listeners(list[0])},
		// Sendmail would pass over a second line of the name.
		{name: "the name is that of an old socket", fault: edit("local:/run/gomilter/g.sock", "local:/run/old.sock"), adapt: listeners(Listener{Name: "gomilter", Socket: list[0].Socket}),
			want: []string{"error no-filter-line"}, says: "Its line 6 has the socket local:/run/old.sock"},
		{name: "the name is that of another of ours", adapt: listeners(list[0], Listener{Name: "gomilter", Socket: "inet:8893@127.0.0.1"}),
			want: []string{"error no-filter-line", "warning socket-unused"}, left: []string{"warning socket-unused"}, says: "Xgomilter2, S=inet:8893@127.0.0.1"},
	}, Filter{Listeners: list, Macros: map[wire.Stage][]string{}}, withSendmail(t))
}
