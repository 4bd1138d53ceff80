//go:build peers

package doctor

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/internal/peertest"
)

// serve runs a filter that marks messages, on a socket that Postfix may write to.
func serve(t *testing.T) (spec, path string) {
	spec = peertest.FreeSpec(t, "unix")
	path = strings.TrimPrefix(spec, "unix:")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &milter.Server{New: func(*milter.Session) milter.Hooks {
		return milter.Hooks{End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			e.AddHeader("X-Doctor", "seen")
			return milter.Continue
		}}
	}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-ended })
	shell(t, "", "chgrp peerpost "+quote(path)+" && chmod 0660 "+quote(path))
	return spec, path
}

// shell runs a command as an admin would, with dir first in PATH.
func shell(t *testing.T, dir, command string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", command)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func appendFile(t *testing.T, path string, lines ...string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, append(b, (strings.Join(lines, "\n")+"\n")...))
}

// put writes a file that looks a minute old: Postfix waits for two seconds after a
// change, lest somebody is still at it.
func put(t *testing.T, path string, content []byte) {
	t.Helper()
	err := os.WriteFile(path, content, 0o644)
	old := time.Now().Add(-time.Minute)
	if err == nil {
		err = os.Chtimes(path, old, old)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// heal does exactly what the fixes say.
func heal(t *testing.T, programs string, list []Finding) {
	t.Helper()
	replaced := make(map[int]bool)
	for _, f := range list {
		for _, fix := range f.Fixes {
			switch {
			case fix.File == "":
				for _, c := range fix.Lines {
					shell(t, programs, c)
				}
			case fix.Replace == 0:
				appendFile(t, fix.File, fix.Lines...)
			case !replaced[fix.Replace]:
				replaced[fix.Replace] = true
				b, err := os.ReadFile(fix.File)
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(string(b), "\n")
				for i := fix.Replace; i < fix.Through; i++ {
					lines[i] = "#"
				}
				lines[fix.Replace-1] = strings.Join(fix.Lines, "\n")
				put(t, fix.File, []byte(strings.Join(lines, "\n")))
			}
		}
	}
}

// keep returns what puts files back as they are now.
func keep(t *testing.T, files ...string) (restore func()) {
	saved := make(map[string][]byte)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		saved[name] = b
	}
	return func() {
		for name, b := range saved {
			put(t, name, b)
		}
	}
}

// A realFault breaks a real MTA.
type realFault struct {
	name  string
	fault func(t *testing.T)
	code  string
}

// playReal breaks an MTA in each way, with the files as they were before.
func playReal(t *testing.T, programs string, files []string, faults []realFault, look func() ([]Finding, error)) {
	restore := keep(t, files...)
	check := func(t *testing.T) []Finding {
		t.Helper()
		list, err := look()
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := check(t); len(list) > 0 {
		t.Fatalf("a real MTA that works is found fault with: %+v", list)
	}
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			restore()
			tt.fault(t)
			list := check(t)
			if !slices.ContainsFunc(list, func(f Finding) bool { return f.Code == tt.code }) {
				t.Errorf("%s is not found: %+v", tt.code, list)
			}
			heal(t, programs, list)
			if list = check(t); len(list) > 0 {
				t.Fatalf("after the fixes: %+v", list)
			}
		})
	}
}

func TestRealPostfixIsHealed(t *testing.T) {
	spec, path := serve(t)
	milters := []peertest.Milter{{Spec: spec}}
	m := peertest.Start(t, peertest.Postfix, peertest.Config{Milters: milters, NonSMTPMilters: milters})
	conf, postconf := m.ConfigPath(), m.ConfigProgram()
	programs := filepath.Dir(postconf)
	main := func(line string) func(*testing.T) {
		return func(t *testing.T) { appendFile(t, filepath.Join(conf, "main.cf"), line) }
	}
	run := func(args string) func(*testing.T) {
		return func(t *testing.T) { shell(t, programs, "postconf -c "+conf+" "+args) }
	}
	smtp := m.Addr + "/inet"
	playReal(t, programs, []string{filepath.Join(conf, "main.cf"), filepath.Join(conf, "master.cf")}, []realFault{
		{"not attached", main("smtpd_milters ="), "not-attached"},
		{"not attached beside another", main("smtpd_milters = unix:/nonexistent/other"), "not-attached"},
		{"only the service is not attached", run("-P " + smtp + "/smtpd_milters="), "not-attached"},
		{"local mail is not filtered", main("non_smtpd_milters ="), "not-attached-local"},
		{"fails open", main("milter_default_action = accept\nsmtpd_milters = unix:" + path), "fail-open"},
		{"fails open for this one", main("smtpd_milters = { unix:" + path + ", default_action = accept }"), "fail-open"},
		{"no milters by an option", main("receive_override_options = no_milters"), "no-milters"},
		{"no milters by an option of the service", run("-P " + smtp + "/receive_override_options=no_milters,no_header_body_checks"), "no-milters"},
		{"short times", main("milter_command_timeout = 5s\nmilter_content_timeout = 5s\nmilter_connect_timeout = 1s\nsmtpd_milters = unix:" + path), "timeout"},
		{"an old protocol", main("milter_protocol = 2"), "protocol"},
		{"missing macros", main("milter_mail_macros = {mail_addr}\nmilter_connect_macros ="), "macros"},
		{"all clients let past", main("smtpd_milter_maps = static:DISABLE"), "exempt"},
		{"chrooted", run("-F " + smtp + "/chroot=y"), "chroot"},
		{"chrooted by the old default", func(t *testing.T) {
			run("-F " + smtp + "/chroot=-")(t)
			main("compatibility_level = 0")(t)
		}, "chroot"},
		{"the socket is closed", func(t *testing.T) { shell(t, "", "chmod 0600 "+path) }, "permission"},
		{"the socket is another group's", func(t *testing.T) { shell(t, "", "chgrp root "+path) }, "permission"},
		{"the directory is closed", func(t *testing.T) { shell(t, "", "chmod 0700 "+filepath.Dir(path)) }, "permission"},
		{"filtered twice, and all else", func(t *testing.T) {
			main("content_filter = smtp:[127.0.0.1]:10024\nsmtpd_milters =\nnon_smtpd_milters =\nmilter_default_action = accept\nmilter_command_timeout = 1s")(t)
			run("-M '127.0.0.1:10025/inet=127.0.0.1:10025 inet n - n - - smtpd -o content_filter= -o smtpd_milters=unix:" + path + "'")(t)
		}, "filtered-twice"},
	}, func() ([]Finding, error) {
		return Postfix(t.Context(), PostfixOptions{ConfigDir: conf, Postconf: postconf}, Filter{Listeners: listen(spec)})
	})

	// What was mended last is a configuration that filters.
	shell(t, programs, "postconf -c "+conf+" -MX 127.0.0.1:10025/inet")
	appendFile(t, filepath.Join(conf, "main.cf"), "content_filter =")
	m.Reload(t)
	if r := m.Send(t, peertest.Letter{To: []string{"a@example.net"}}); !r.OK() {
		t.Fatalf("the client is told %q", r.Lines)
	}
	if got := string(m.Sink.Next(t).Data); !strings.Contains(got, "X-Doctor: seen") {
		t.Errorf("the filter did not see the message:\n%s", got)
	}
}

func TestRealSendmailIsHealed(t *testing.T) {
	spec, path := serve(t)
	m := peertest.Start(t, peertest.Sendmail, peertest.Config{Milters: []peertest.Milter{{Spec: spec}}})
	cf := m.ConfigPath()
	replace := func(old, new string) func(*testing.T) {
		return func(t *testing.T) {
			b, err := os.ReadFile(cf)
			if err != nil || !strings.Contains(string(b), old) {
				t.Fatalf("%v, or there is no %q in sendmail.cf", err, old)
			}
			put(t, cf, []byte(strings.Replace(string(b), old, new, 1)))
		}
	}
	add := func(lines ...string) func(*testing.T) {
		return func(t *testing.T) { appendFile(t, cf, lines...) }
	}
	daemon := "Name=MTA, Family=inet"
	playReal(t, "", []string{cf}, []realFault{
		{"not in the list", replace("O InputMailFilters=m1", "O InputMailFilters="), "not-attached"},
		{"fails open", replace(", F=T", ""), "fail-open"},
		{"refuses", replace(", F=T", ", F=R"), "default-action"},
		{"short times", replace(", F=T", ", F=T, T=C:1s;S:1s;R:3s;E:10s"), "timeout"},
		{"no macros", replace("O Milter.macros.envfrom=i, {auth_type},", "O Milter.macros.envfrom={auth_type},"), "macros"},
		{"a listener without filters", replace(daemon, daemon+", InputMailFilters="), "not-attached-listener"},
		{"all may write to the directory", func(t *testing.T) { shell(t, "", "chmod 0777 "+filepath.Dir(path)) }, "unsafe"},
		{"the socket is closed", func(t *testing.T) { shell(t, "", "chmod 0200 "+path) }, "unsafe"},
		{"another user's group", add("O RunAsUser=nobody"), "permission"},
		{"the X line is gone", func(t *testing.T) {
			replace("O InputMailFilters=m1", "O InputMailFilters=")(t)
			replace("\nXm1", "\n#Xm1")(t)
		}, "no-filter-line"},
	}, func() ([]Finding, error) {
		return Sendmail(t.Context(), SendmailOptions{CF: cf, Sendmail: m.ConfigProgram()}, Filter{Listeners: listen(spec)})
	})
}
