package doctor

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	params := map[string]string{"a": "1", "b": "$a$a", "empty": "", "me": "x $me", "one": "$two", "two": "$one"}
	double := "d0"
	params["d0"] = "xxxxxxxx"
	for i := range 25 { // each doubles the one before
		next := "d" + string(rune('a'+i))
		params[next] = "$" + double + "$" + double
		double = next
	}
	for _, tt := range []struct {
		name, in, want string
		err            error
	}{
		{"plain", "unix:a, b", "unix:a, b", nil},
		{"name", "$a,$b.", "1,11.", nil},
		{"braces and parentheses", "${a}$(a)", "11", nil},
		{"unknown", "<$nosuch>", "<>", nil},
		{"dollar", "$$a $", "$a $", nil},
		{"if", "${a?yes}${empty?no}", "yes", nil},
		{"unless", "${a:no}${empty:yes}", "yes", nil},
		{"if and else", "${a?{yes}:{no}} ${empty?{yes}:{no $a}}", "yes no 1", nil},
		{"open brace", "${a", "", errUnbalanced},
		{"comparison", "${{$a} == {1} ? {x} : {y}}", "", errConditional},
		{"itself", "$me", "", errLoop},
		{"each other", "$one", "", errLoop},
		{"grows without end", "$" + double, "", errTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := expander{value: func(n string) string { return params[n] }}
			got, err := x.expand(tt.in, 0)
			if !errors.Is(err, tt.err) || err == nil && got != tt.want {
				t.Errorf("expand(%q) = %.100q, %v; want %q, %v", tt.in, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestParseServices(t *testing.T) {
	list, err := parseServices("smtp  inet  n  -  y  -  -  smtpd -v -o smtpd_milters=$x -o {a = b c}\n" +
		"# comment\n\n127.0.0.1:10025 inet n - - - - /usr/lib/postfix/sbin/smtpd -o empty= -ojoined=1\n")
	if err != nil || len(list) != 2 {
		t.Fatalf("%d services, %v", len(list), err)
	}
	if diff := cmp.Diff(map[string]string{"smtpd_milters": "$x", "a": "b c"}, list[0].options); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"empty": "", "joined": "1"}, list[1].options); diff != "" {
		t.Error(diff)
	}
	if s := list[1]; s.id() != "127.0.0.1:10025/inet" || s.program != "smtpd" || s.chroot != "-" {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{"smtp inet n - y - -", "smtp inet n - y - - smtpd -o", "smtp inet n - y - - smtpd -o { a"} {
		if _, err := parseServices(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestParseMilters(t *testing.T) {
	list, err := parseMilters("inet:h:1 {unix:a, default_action = accept, { command_timeout = 3s } },unix:b")
	if err != nil || len(list) != 3 {
		t.Fatalf("%d milters, %v: %+v", len(list), err, list)
	}
	if diff := cmp.Diff(map[string]string{"default_action": "accept", "command_timeout": "3s"}, list[1].options); diff != "" {
		t.Error(diff)
	}
	if got, want := list[1].render(), "{ unix:a, default_action=accept, command_timeout=3s }"; got != want {
		t.Errorf("rendered %q, want %q", got, want)
	}
	for _, m := range list {
		if len(m.faults) > 0 {
			t.Errorf("%s: %q", m.text, m.faults)
		}
	}
}

func TestTimes(t *testing.T) {
	for in, want := range map[string]int64{"30": 30, "30s": 30, "5m": 300, "1h30m": 5400, "1D": 86400, "2w": 14 * 86400} {
		if got, err := parseTime(in, "s"); err != nil || got != want {
			t.Errorf("parseTime(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "s", "3x", "-1", "99999999999", strings.Repeat("999999999w", 1000)} {
		if got, err := parseTime(bad, "s"); err == nil {
			t.Errorf("parseTime(%.20q) = %d", bad, got)
		}
	}
}

func TestVersions(t *testing.T) {
	for in, want := range map[string]string{"3.7.11": "3.7.11", "3.11-20260101": "3.11", "8.17.1.9\n": "8.17.1", "2.3": "2.3"} {
		if v, err := parseVersion(in); err != nil || v.String() != want {
			t.Errorf("parseVersion(%q) = %v, %v", in, v, err)
		}
	}
	if _, err := parseVersion("x"); err == nil {
		t.Error("x is a version")
	}
	for in, want := range map[string]bool{"3.6.20": false, "3.7.19": false, "3.7.20": true, "3.8.14": false, "3.9.9": true, "3.10.7": false, "3.11.0": true, "4.0": true} {
		if v, _ := parseVersion(in); v.knowsShutdown() != want {
			t.Errorf("%s: knowsShutdown is %v", in, !want)
		}
	}
}

func TestParseSendmailCF(t *testing.T) {
	cf := parseSendmailCF("# O RunAsUser=no\r\nO RunAsUser=yes # comment\nO DontBlameSendmail=a,\n  b\n\tc\n" +
		"O DaemonPortOptions=Name=MTA, Port=smtp\nO daemonportoptions=Name=MSA,I=a;b\n" +
		"Xa, S=\"inet:1@h\", F = T4 , T = C:1m; R:1h30m\nR$*\t$#error # O RunAsUser=no\nO RunAsUser = last\n")
	if o := cf.options["dontblamesendmail"]; o.value != "a, b c" || o.line != 3 || o.last != 5 {
		t.Errorf("a folded option is %+v", o)
	}
	if o := cf.options["runasuser"]; o.value != "last" {
		t.Errorf("the last option does not count: %+v", o)
	}
	if len(cf.daemons) != 2 || cf.daemons[0].ownFilters || cf.daemons[1].filters != "a;b" || cf.daemons[1].label != "MSA" {
		t.Errorf("listeners are %+v", cf.daemons)
	}
	if len(cf.filters) != 1 {
		t.Fatalf("%d filters", len(cf.filters))
	}
	f := cf.filters[0]
	if f.name != "a" || f.socket != "inet:1@h" || f.flags != "T4" || f.timeouts['C'] != 60 || f.timeouts['R'] != 5400 || f.timeouts['E'] != 300 || len(f.faults) > 0 {
		t.Errorf("filter is %+v", f)
	}
}

func TestHugeLinesAreBounded(t *testing.T) {
	huge := strings.Repeat("x", 3<<20)
	h := newHost()
	h.files["/etc/mail/sendmail.cf"] += "O InputMailFilters=gomilter," + huge + "\n"
	got, err := withSendmail(t)(h, Filter{Listeners: listen("unix:/run/gomilter/g.sock")})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got {
		if len(f.What) > 1000 {
			t.Errorf("a finding has %d bytes", len(f.What))
		}
	}
	h = newHost()
	h.params["smtpd_milters"] += ", unix:" + huge
	if got, err = withPostfix(t)(h, Filter{Listeners: listen(insideSocket)}); err != nil || len(got) == 0 {
		t.Errorf("%v, %v", summary(got), err)
	}
	for _, f := range got {
		if len(f.What) > 1000 {
			t.Errorf("a finding has %d bytes", len(f.What))
		}
	}
}

func TestLongPathsAreBounded(t *testing.T) {
	h := newHost()
	h.params["smtpd_milters"] += ", unix:/" + strings.Repeat("x/", 200<<10)
	h.params["non_smtpd_milters"] = "unix:gomilter/g.sock"
	if got, err := withPostfix(t)(h, Filter{Listeners: listen(insideSocket)}); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", summary(got), err)
	}
}

// fuzzFilter is looked for in whatever the fuzzer makes of a configuration.
var fuzzFilter = Filter{Listeners: listen(insideSocket, "inet:8891@127.0.0.1")}

func FuzzPostfix(f *testing.F) {
	f.Add("unix:gomilter/g.sock, { inet:127.0.0.1:8891, default_action = accept }", "smtp inet n - y - - smtpd -o smtpd_milters=$smtpd_milters")
	f.Add("$a ${b?{c}:{d}} $(e) ${{x} == {y}}", "x y z - - - - smtpd -o {a = b} -o")
	f.Add("inet:8891@[::1]:x {", "smtp inet n - - - - smtpd -o content_filter=x:y\n127.0.0.1:1 inet n - n - - smtpd -o content_filter=")
	f.Fuzz(func(t *testing.T, milters, master string) {
		h := newHost()
		h.params["smtpd_milters"], h.params["a"], h.params["b"] = milters, master, milters
		h.params["milter_command_timeout"], h.params["milter_protocol"] = milters, master
		h.master = append(h.master, strings.Split(master, "\n")...)
		list, err := withPostfix(t)(h, fuzzFilter)
		if err != nil {
			return // refused with a reason
		}
		for _, f := range list {
			if f.Severity < Note || f.Severity > Error || f.Code == "" || f.What == "" || f.Why == "" {
				t.Errorf("an empty finding: %+v", f)
			}
		}
	})
}

func FuzzSendmail(f *testing.F) {
	f.Add(goodCF)
	f.Add("X\nX,\nXa, S=inet6:8891@[::1, T=C:;R\nO DaemonPortOptions=I\nO DaemonPortOptions=I=,=\n O\n\tx\nO =\nO Milter.macros.connect=,,{\n#\n\\#")
	f.Add("O RunAsUser=smmsp:x\nO InputMailFilters=;,;\nXgomilter, S=\"\\")
	f.Fuzz(func(t *testing.T, cf string) {
		h := newHost()
		h.files["/etc/mail/sendmail.cf"] = cf
		list, err := withSendmail(t)(h, fuzzFilter)
		if err != nil {
			return
		}
		lines := strings.Count(cf, "\n") + 1
		for _, f := range list {
			if f.Code == "" || f.What == "" || f.Why == "" {
				t.Errorf("an empty finding: %+v", f)
			}
			for _, fix := range f.Fixes {
				if fix.Replace > lines || fix.Through > lines || fix.Through < fix.Replace {
					t.Errorf("of %d lines, %d to %d are to be replaced", lines, fix.Replace, fix.Through)
				}
			}
		}
	})
}
