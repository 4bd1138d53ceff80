package peertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// writeSASL makes in dir what Cyrus SASL needs: a data base of the users, and the
// file app.conf that points to it.
func writeSASL(dir, app, realm string, users map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("peertest: %w", err)
	}
	db := filepath.Join(dir, "sasldb2")
	for user, password := range users {
		cmd := exec.Command(saslpasswdBinary(), "-p", "-c", "-f", db, "-u", realm, user)
		cmd.Stdin = strings.NewReader(password)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("peertest: saslpasswd2: %w: %s", err, out)
		}
	}
	conf := "pwcheck_method: auxprop\n" +
		"auxprop_plugin: sasldb\n" +
		"sasldb_path: " + db + "\n" +
		"mech_list: PLAIN LOGIN\n"
	if err := os.WriteFile(filepath.Join(dir, app+".conf"), []byte(conf), 0o644); err != nil {
		return fmt.Errorf("peertest: %w", err)
	}
	return nil
}
