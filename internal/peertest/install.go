package peertest

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// The users install.sh makes for Postfix, which insists on one that nobody else has.
const (
	postfixUser  = "peerpost"
	postfixGroup = "peerdrop"
)

// prefix is where install.sh unpacked the daemons.
func prefix() string {
	return cmp.Or(os.Getenv("GOMILTER_PEERS"), "/opt/gomilter-peers")
}

func installed(path string) string { return filepath.Join(prefix(), path) }

// Programs of the peers.
func sendmailBinary() string         { return installed("sendmail/usr/libexec/sendmail/sendmail") }
func postfixDaemons() string         { return installed("postfix/usr/lib/postfix/sbin") }
func postfixCommands() string        { return installed("postfix/usr/sbin") }
func opendkimBinary() string         { return installed("opendkim/usr/sbin/opendkim") }
func saslpasswdBinary() string       { return installed("sasl/usr/sbin/saslpasswd2") }
func shimLibrary() string            { return installed("lib/peershim.so") }
func postfixCommand(n string) string { return filepath.Join(postfixCommands(), n) }

// need fails the test, naming everything that is missing, unless the peers are
// installed. Names without a slash are looked up in PATH.
func need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil && !isFile(p) {
			missing = append(missing, p)
		}
	}
	if stamp, _ := os.ReadFile(installed(".stamp")); strings.TrimSpace(string(stamp)) != wantStamp() {
		missing = append(missing, "an installation in "+prefix()+" by this version of install.sh")
	}
	if _, err := user.Lookup(postfixUser); err != nil {
		missing = append(missing, "user "+postfixUser)
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root's rights: the MTAs start as root only")
	}
	if len(missing) > 0 {
		t.Fatalf("peertest: missing: %q\nInstall the peers as root with: make peers (or internal/peertest/install.sh)\n"+
			"To leave them out, run the tests without -tags peers.", missing)
	}
}

//go:embed install.sh
var installScript string

//go:embed testdata/peershim.c
var shimSource string

//go:embed scanners.sh
var scannersScript string

// wantStamp is what install.sh leaves when it is through.
func wantStamp() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(prefix()+"\n"+installScript+shimSource)))[:32]
}

// needScanners fails the test unless scanners.sh has installed what is there now.
func needScanners(t testing.TB) {
	t.Helper()
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(prefix()+"\n"+scannersScript)))[:32]
	stamp, _ := os.ReadFile(installed(".stamp-scanners"))
	if _, err := user.Lookup(postfixUser); err != nil || strings.TrimSpace(string(stamp)) != want || os.Geteuid() != 0 {
		t.Fatalf("peertest: the scanners are not installed in %s by this version of scanners.sh, or this is not root\n"+
			"Install them as root with: make peers (or internal/peertest/install.sh)\n"+
			"To leave them out, run the tests without -tags peers.", prefix())
	}
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
