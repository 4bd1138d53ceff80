//go:build peers

package dkim

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/message"
)

// dkimpy runs testdata/dkimpy.py.
func dkimpy(t *testing.T, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", append([]string{"-I", "testdata/dkimpy.py"}, args...)...)
	cmd.Stdin = strings.NewReader(in)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Run(); e != nil {
		t.Fatalf("dkimpy %q: %v\n%s%s", args, e, &out, &err)
	}
	return out.String()
}

// dkimpyKeys writes the keys of tests as dkimpy reads them.
func dkimpyKeys(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"rsa-sha256": filepath.Join(dir, "rsa"), "ed25519-sha256": filepath.Join(dir, "ed")}
	for alg, b := range map[string][]byte{
		"rsa-sha256":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key2048())}),
		"ed25519-sha256": []byte(base64.StdEncoding.EncodeToString(keyEd.Seed())),
	} {
		if err := os.WriteFile(files[alg], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

var selectors = map[string]string{"rsa-sha256": "rsa", "ed25519-sha256": "ed"}

var allCanons = []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"}

func TestMailSignedByDkimpyVerifies(t *testing.T) {
	for alg, key := range dkimpyKeys(t) {
		for _, canon := range allCanons {
			t.Run(alg+" "+canon, func(t *testing.T) {
				// No body here ends in blanks without a line end, as none can by SMTP: dkimpy keeps one then.
				for _, body := range []string{someBody, "", "\r\n\r\n", "a\r\n.\r\n \t \r\n\r\n", "no end", "umlaut \xe4\xff\r\n" + strings.Repeat("long ", 5000) + "."} {
					signed := dkimpy(t, someHeader+"\r\n"+body, "sign", key, alg, canon, selectors[alg], "example.com")
					if got := verify(t, nil, signed); len(got) != 1 || got[0].Value != Pass || got[0].Algorithm != alg {
						t.Fatalf("%+v of\n%s", got, signed)
					}
					if got := verify(t, nil, strings.Replace(signed, "From: Ann", "From: Eve", 1)); got[0].Value != Fail {
						t.Errorf("changed: %+v", got)
					}
					if got := verify(t, nil, signed+"more"); got[0].Value != Fail {
						t.Errorf("with more: %+v", got)
					}
				}
				signed := dkimpy(t, someHeader+"\r\n"+someBody, "sign", key, alg, canon, selectors[alg], "example.com", "length")
				if got := verify(t, nil, signed); got[0].Value != Policy {
					t.Errorf("with l=: %+v", got)
				}
				if got := verify(t, nil, signed+"more"); got[0].Value != Policy {
					t.Errorf("with l= and more: %+v", got)
				}
			})
		}
	}
}

// What is passed here is passed there, and what fails here fails there.
func TestDkimpyAgrees(t *testing.T) {
	records := map[string]string{"rsa-sha256": keyRecord(), "ed25519-sha256": edRecord}
	for alg, record := range records {
		for _, canon := range allCanons {
			t.Run(alg+" "+canon, func(t *testing.T) {
				signed := forge(t, "v=1; a="+alg+"; c="+canon+"; d=example.com; s="+selectors[alg]+"; h=from:to:cc:subject:from; z=Subject:club=20nights", someHeader, someBody)
				if got := verify(t, nil, signed); got[0].Value != Pass {
					t.Fatalf("%+v", got)
				}
				dkimpy(t, signed, "verify", record)
				m := message.Parse([]byte(signed))
				if len(m.Header) == 0 {
					t.Fatal("no header")
				}
				cmd := exec.Command("/usr/bin/python3", "-I", "testdata/dkimpy.py", "verify", record)
				cmd.Stdin = strings.NewReader(strings.Replace(signed, "Hello", "Hallo", 1))
				if out, err := cmd.Output(); err == nil {
					t.Errorf("dkimpy takes what was changed: %s", out)
				}
			})
		}
	}
}
