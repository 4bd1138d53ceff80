package doctor_test

import (
	"context"
	"fmt"

	"github.com/gomilter/gomilter/internal/doctor"
	"github.com/gomilter/gomilter/internal/wire"
)

// show prints what an admin has to do.
func show(findings []doctor.Finding) {
	for _, f := range findings {
		fmt.Printf("%v: %s\n", f.Severity, f.What)
		for _, fix := range f.Fixes {
			fmt.Println(fix.File, fix.Lines)
		}
	}
}

func ExamplePostfix() {
	macros := doctor.DefaultMacros()
	macros[wire.StageConnect] = append(macros[wire.StageConnect], "{client_addr}")
	findings, err := doctor.Postfix(context.Background(),
		doctor.PostfixOptions{ConfigDir: "/etc/postfix", Postconf: "/nonexistent/postconf"},
		doctor.Filter{Listeners: []doctor.Listener{{Socket: "unix:/var/spool/postfix/gomilter/gomilter.sock"}}, Macros: macros})
	if err != nil {
		fmt.Println("nothing can be found out:", err)
		return
	}
	show(findings)
	// Output: nothing can be found out: doctor: fork/exec /nonexistent/postconf: no such file or directory
}

func ExampleSendmail() {
	findings, err := doctor.Sendmail(context.Background(),
		doctor.SendmailOptions{CF: "/etc/mail/sendmail.cf", Sendmail: "/nonexistent/sendmail"},
		doctor.Filter{Listeners: []doctor.Listener{{Socket: "unix:/run/gomilter/gomilter.sock", Group: "smmsp", Mode: 0o660}}})
	if err != nil {
		fmt.Println("nothing can be found out:", err)
		return
	}
	show(findings)
	// Output: nothing can be found out: doctor: fork/exec /nonexistent/sendmail: no such file or directory
}

func ExampleFinding() {
	show([]doctor.Finding{{Severity: doctor.Warning, Code: "fail-open", What: "milter_default_action is accept",
		Fixes: []doctor.Fix{{File: "/etc/postfix/main.cf", Lines: []string{"milter_default_action = tempfail"}}}}})
	// Output:
	// warning: milter_default_action is accept
	// /etc/postfix/main.cf [milter_default_action = tempfail]
}

func ExampleSeverity() {
	var worst doctor.Severity
	for _, s := range []doctor.Severity{doctor.Note, doctor.Error, doctor.Warning} {
		worst = max(worst, s)
	}
	fmt.Println(worst)
	// Output: error
}

func ExampleParseEndpoint() {
	var ep doctor.Endpoint
	for _, spec := range []string{"unix:/var/spool/postfix/gomilter/g.sock", "inet6:8891"} {
		ep, _ = doctor.ParseEndpoint(spec)
		fmt.Println(ep.Postfix("/var/spool/postfix"), "or", ep.Sendmail())
	}
	_, err := doctor.ParseEndpoint("fd://3")
	fmt.Println(err)
	// Output:
	// unix:gomilter/g.sock or local:/var/spool/postfix/gomilter/g.sock
	// inet:[::1]:8891 or inet6:8891@::1
	// socket "fd://3": an MTA needs the socket's own name, not a descriptor of the milter
}
