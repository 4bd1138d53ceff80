package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/smtpc/fakemx"
)

// runCallout runs the verb against a server on loopback, the only one there is.
func runCallout(t *testing.T, s fakemx.Script, args ...string) (code int, out, errs string) {
	t.Helper()
	f := fakemx.New(t)
	h := f.Add("192.0.2.1:25", s)
	zone := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(zone, []byte("example.com. MX 10 mx.example.com.\nmx.example.com. A 127.0.0.1\nnull.example. MX 0 .\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args = append([]string{"callout", "--dns", zone, "--port", strconv.Itoa(int(h.Addr().Port())), "--helo", "mail.example.net"}, args...)
	code = run(args, stdio{strings.NewReader(""), &stdout, &stderr})
	return code, stdout.String(), stderr.String()
}

func TestCallout(t *testing.T) {
	ann := func(_ *fakemx.Session, line string) string {
		if strings.HasPrefix(line, "RCPT") && !strings.Contains(line, "<ann@") {
			return "550-5.1.1 no such\r\n550 5.1.1 user\x1b[2J\r\n"
		}
		return ""
	}
	for _, tt := range []struct {
		name   string
		script fakemx.Script
		args   string
		code   int
		out    string
		errs   string
	}{
		{"accepted", fakemx.Script{On: ann, TLS: fakemx.GoodTLS}, "--local ann@example.com", exitOK, `accepted (taken): a mail server of its domain accepts the address
  address         "ann@example.com"
  server          mx.example.com [127.0.0.1], by TLS
  reply           250 2.1.0 ok
  random address  refused
`, ""},
		{"accepted as any", fakemx.Script{}, "--local --no-tls ann@example.com", exitOK, `accepted (taken): a mail server of its domain accepts the address
  address         "ann@example.com"
  server          mx.example.com [127.0.0.1]
  reply           250 2.1.0 ok
  random address  accepted
`, ""},
		{"refused, with what would clear the screen", fakemx.Script{On: ann}, "--local bob@example.com", exitOK, `refused (no-mailbox): a mail server of its domain refuses the address
  address  "bob@example.com"
  server   mx.example.com [127.0.0.1]
  reply    550 5.1.1 no such user?[2J
`, ""},
		{"loopback is not called", fakemx.Script{}, "ann@example.com", exitOK, `refused (bogus-host): its domain has no mail server that can be reached
  address  "ann@example.com"
  reply    553 5.4.4 the mail servers of example.com have addresses that are none on the Internet
`, ""},
		{"several, of which one is not known", fakemx.Script{On: func(_ *fakemx.Session, line string) string {
			if strings.HasPrefix(line, "MAIL FROM:<>") {
				return "550 no bounces\r\n"
			}
			return ""
		}}, "--local ann@example.com ann@null.example", exitTemporary, `unknown (no-bounces): a mail server of its domain takes no bounces
  address  "ann@example.com"
  server   mx.example.com [127.0.0.1]
  reply    550 no bounces
refused (null-mx): its domain takes no mail
  address  "ann@null.example"
  reply    556 5.1.10 null.example takes no mail (null MX)
`, "gomilter: nothing is known of 1 of 2\n"},
		{"no answer", fakemx.Script{Greeting: "220-"}, "--local --timeout 100ms ann@example.com", exitTemporary, `unknown (no-answer): no mail server of its domain answers
  address  "ann@example.com"
  server   mx.example.com [127.0.0.1]
  problem  greeting: no answer in time
`, "gomilter: nothing is known of 1 of 1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := runCallout(t, tt.script, strings.Fields(tt.args)...)
			if code != tt.code || out != tt.out || errs != tt.errs {
				t.Errorf("exit %d, printed %s%s\nwant %d, %s%s", code, out, errs, tt.code, tt.out, tt.errs)
			}
		})
	}
}

func TestCalloutFrom(t *testing.T) {
	said := make(chan string, 1)
	code, _, errs := runCallout(t, fakemx.Script{On: func(_ *fakemx.Session, line string) string {
		if strings.HasPrefix(line, "MAIL") {
			said <- line
		}
		return ""
	}}, "--local", "--from", "postmaster@example.net", "--source", "127.0.0.1", "ann@example.com")
	if got, want := <-said, "MAIL FROM:<postmaster@example.net>"; code != exitOK || got != want {
		t.Errorf("exit %d, said %q, want %q\n%s", code, got, want, errs)
	}
}

func TestCalloutJSON(t *testing.T) {
	_, out, _ := runCallout(t, fakemx.Script{}, "--local", "--json", "--no-probe", "ann@example.com", "postmaster")
	first, second, _ := strings.Cut(out, "\n")
	for line, want := range map[string]string{
		first:  `{"address":"ann@example.com","verdict":"accepted","reason":"taken","reply":{"code":250,"enhanced":"2.1.0","text":"ok"},"host":"mx.example.com","addr":"127.0.0.1","asked":"`,
		second: `{"address":"postmaster","verdict":"unknown","reason":"not-asked","reply":{"code":0,"enhanced":"","text":""},"problem":"address without a local part or a domain","asked":"`,
	} {
		if !strings.HasPrefix(line, want) {
			t.Errorf("printed %s\nwant %s", line, want)
		}
	}
}

func TestCalloutMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"":                            `expected "<address> ..."`,
		"--from ann a@example.com":    `gomilter: callout: Options.From "ann" is no address`,
		"--helo a..b a@example.com":   `gomilter: callout: Options.Helo "a..b" is no name`,
		"--timeout 0s a@example.com":  `--timeout: "0s" is no time`,
		"--source here a@example.com": "--source",
	} {
		code, _, errs := runCallout(t, fakemx.Script{}, strings.Fields(args)...)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("callout %s: exit %d, %s; want %d, %s", args, code, errs, exitUsage, want)
		}
	}
	var stderr bytes.Buffer
	if code := run([]string{"callout", "--dns", filepath.Join(t.TempDir(), "none"), "a@example.com"}, stdio{err: &stderr, out: &stderr}); code != exitData {
		t.Errorf("without the zone file: exit %d, %s", code, fmt.Sprint(&stderr))
	}
}
