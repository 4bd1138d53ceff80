package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckMachine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const none = "gomilter-none"
	within := func(format string) string { return strings.ReplaceAll(format, "DIR", dir) }
	top, listener := within("state_dir = 'DIR/state'\n[control]\nsocket = ''\n"), within("[[listener]]\nsocket = 'unix:DIR/s'\nchain = ['html']\n[filter.html]\n")
	for _, tt := range []struct{ name, in, want string }{
		{"all is there", top + listener, ""},
		{"numbers for names", top + strings.Replace(listener, "chain", "owner = '4711'\ngroup = '4712'\nchain", 1), ""},
		{"ports need no folder", top + strings.Replace(listener, "unix:"+dir+"/s", "inet:1@127.0.0.1", 1), ""},
		{"user", "user = '" + none + "'\n" + top + listener, `c.toml:1:1: user: there is no user "gomilter-none" on this machine; add it with: useradd `},
		{"owner of a socket", top + strings.Replace(listener, "chain", "owner = '"+none+"'\nchain", 1), `c.toml:6:1: listener[1].owner: there is no user "gomilter-none" on this machine`},
		{"group of a socket", top + strings.Replace(listener, "chain", "group = '"+none+"'\nchain", 1), `c.toml:6:1: listener[1].group: there is no group "gomilter-none" on this machine`},
		{"folder of a socket", top + strings.Replace(listener, "/s'", "/none/s'", 1), `c.toml:5:1: listener[1].socket: there is no folder DIR/none on this machine; make it with: install -d DIR/none`},
		{"folder of a socket that is a file", top + strings.Replace(listener, "/s'", "/file/s'", 1), `c.toml:5:1: listener[1].socket: DIR/file is no folder`},
		{"folder of a socket that the service makes", top + strings.Replace(listener, dir+"/s'", "/run/gomilter-none/s'", 1),
			`warning: c.toml:5:1: listener[1].socket: there is no folder /run/gomilter-none on this machine; make it with: install -d /run/gomilter-none, or let the service`},
		{"folder of the metrics' socket", top + "[http]\nlisten = 'unix:DIR/none/h'\n" + listener, `c.toml:5:1: http.listen: there is no folder DIR/none`},
		{"folder of the log", top + "[log]\nto = 'DIR/none/x.log'\n" + listener, `c.toml:5:1: log.to: there is no folder DIR/none`},
		{"log that is a folder", top + "[log]\nto = 'DIR'\n" + listener, `c.toml:5:1: log.to: DIR is a folder; name a file in it`},
		{"folder of the state", strings.Replace(top, "/state", "/none/state", 1) + listener, `c.toml:1:1: state_dir: there is no folder DIR/none`},
		{"state that is a file", strings.Replace(top, "/state", "/file", 1) + listener, `c.toml:1:1: state_dir: DIR/file is no folder`},
		{"originals that are a file", top + "[kept]\ndir = 'DIR/file'\n" + listener, `c.toml:5:1: kept.dir: DIR/file is no folder`},
		{"folder of the control socket", strings.Replace(top, "socket = ''", "socket = 'DIR/none/c'", 1) + listener, `c.toml:3:1: control.socket: there is no folder DIR/none`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problems := parse(t, within(tt.in)).CheckMachine()
			if got := texts(problems); len(problems) > 1 || (got == "") != (tt.want == "") || !strings.HasPrefix(got, within(tt.want)) {
				t.Errorf("CheckMachine:\n%swant\n%s", got, within(tt.want))
			}
		})
	}
}

// The daemon makes the folder of the control socket for the user it goes on as, but not the one above.
func TestCheckMachineOfTheControlSocket(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]int{"run/c": 0, "none/run/c": 1} {
		c := parse(t, fmt.Sprintf("user = 'root'\nstate_dir = %q\ncontrol.socket = %q\n", dir, filepath.Join(dir, path))+minimal)
		if diff := cmp.Diff(want, len(c.CheckMachine())); diff != "" {
			t.Errorf("%s: %v", path, c.CheckMachine())
		}
	}
}
