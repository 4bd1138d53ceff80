package daemon_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/gomilter/gomilter/daemon"
	"github.com/gomilter/gomilter/daemon/config"
)

func ExampleStart() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "gomilter.toml")
	os.WriteFile(file, []byte(`
state_dir = "state"
control = { socket = "control.sock" }
[[listener]]
socket = "unix:`+dir+`/gomilter.sock"
chain = ["attachments"]
[filter.attachments]
mode = "report"
`), 0o600)

	var d *daemon.Daemon
	d, err = daemon.Start(context.Background(), daemon.Options{
		Load:      func() (*config.Source, error) { return config.Load(file) },
		AllowRoot: true,
		Stderr:    io.Discard,
	})
	if err != nil {
		log.Fatal(err)
	}
	stopped := make(chan error)
	go func() { stopped <- d.Wait() }()

	ctl := daemon.Control{Socket: filepath.Join(dir, "control.sock")}
	var s daemon.Status
	if s, err = ctl.Status(context.Background()); err != nil {
		log.Fatal(err)
	}
	var l daemon.ListenerStatus = s.Listeners[0]
	var f daemon.FilterStatus = l.Filters[0]
	var k *daemon.KeptStatus = s.Kept
	fmt.Println(l.Name, f.Name, f.Mode, k.Messages, len(s.NotReady) == 0)

	var r daemon.Reloaded
	if r, err = ctl.Reload(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Generation)

	d.Drain()
	fmt.Println(<-stopped)
	// Output:
	// gomilter attachments report 0 true
	// 2
	// <nil>
}
