package attachments_test

import (
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/quarantine"
)

// Programs are replaced by a warning of one's own, archives that nobody can look
// into are held by the MTA, and mail of example.org with either is refused.
func ExampleNew() {
	options := attachments.Options{
		Actions: map[attachments.Rule]attachments.Action{
			attachments.IsEncrypted: attachments.Quarantine,
			attachments.IsUnlisted:  attachments.Quarantine,
		},
		RejectFrom: []string{"example.org"},
		Archives:   attachments.ArchiveLimits{Depth: 3},
		Notice:     template.Must(template.New("notice").Parse("{{.Name}} is gone: {{.Why}}. Ask for {{.Ref}}.\n")),
	}
	f, err := attachments.New("attachments", options)
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "kept")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	originals, err := quarantine.Open(dir, quarantine.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}, Originals: originals}
	fmt.Println(chain.Check())
	_ = &milter.Server{New: chain.Hooks} // and ListenAndServe

	var warning strings.Builder
	options.Notice.Execute(&warning, attachments.Warning{Name: "setup.exe", Rule: attachments.ByName, Why: "its name ends in .exe", Ref: "1m81t0mbgdjk1r8zabwq"})
	fmt.Print(warning.String())
	// Output:
	// <nil>
	// setup.exe is gone: its name ends in .exe. Ask for 1m81t0mbgdjk1r8zabwq.
}
