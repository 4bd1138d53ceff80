//go:build peers

package sign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/filter/sign"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/message"
	"github.com/gomilter/gomilter/quarantine"
)

func TestMain(m *testing.M) { os.Exit(peertest.Main(m)) }

// both are the rules of these tests: each message gets an RSA and an Ed25519 signature.
func both() []sign.Rule {
	return []sign.Rule{{Domain: "example.com", Selector: "rsa", Key: rsaKey()}, {Domain: "example.com", Selector: "ed", Key: ed25519Key()}}
}

// records are the TXT records of both, by their names.
func records() map[string]string {
	m := make(map[string]string)
	for _, r := range both() {
		m[r.Selector+"._domainkey."+r.Domain] = r.Key.Record()
	}
	return m
}

// A signing is an MTA of which sign is the last filter.
type signing struct {
	*peertest.MTA
	mu  sync.Mutex
	why string
}

func newSigning(t *testing.T, kind peertest.Kind, o sign.Options, cfg peertest.Config, before ...*filter.Filter) *signing {
	t.Helper()
	o.Rules = both()
	f, err := sign.New("sign", o)
	if err != nil {
		t.Fatal(err)
	}
	originals, err := quarantine.Open(t.TempDir(), quarantine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := new(signing)
	chain := &filter.Chain{Log: slog.New(slog.DiscardHandler), Originals: originals, Explain: func(x *filter.Explanation) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.why = fmt.Sprint(x.Filters)
	}}
	for _, f := range append(before, f) {
		chain.Steps = append(chain.Steps, filter.Step{Filter: f})
	}
	spec := peertest.FreeSpec(t, "unix")
	ln, err := milter.Listen(spec, milter.SocketOptions{Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&milter.Server{New: chain.Hooks, Log: chain.Log}).Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	cfg.Milters = []peertest.Milter{{Spec: spec}}
	cfg.NonSMTPMilters = cfg.Milters
	s.MTA = peertest.Start(t, kind, cfg)
	return s
}

// deliver sends a message with LF for CRLF and returns what arrives.
func (s *signing) deliver(t *testing.T, text string) []byte {
	t.Helper()
	if r := s.Send(t, peertest.Letter{Data: strings.ReplaceAll(text, "\n", "\r\n")}); !r.OK() {
		t.Fatalf("%v; explained %s", r, s.explained())
	}
	return s.Sink.Next(t).Data
}

func (s *signing) explained() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// judges are those who say of messages whether both signatures are right.
type judges struct {
	postfix *peertest.MTA // with an OpenDKIM that verifies
	zone    dns.Resolver
}

func newJudges(t *testing.T) *judges {
	var text strings.Builder
	for _, r := range both() {
		text.WriteString(r.Key.ZoneLine(r.Selector, r.Domain) + "\n")
	}
	zone, err := dns.ParseZone("keys", strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	v := peertest.OpenDKIM(t, peertest.OpenDKIMConfig{Mode: "v", Keys: records(), Extra: []string{"AlwaysAddARHeader yes", "AuthservID judge.example.net",
		"InternalHosts 192.0.2.1", "On-BadSignature accept", "On-NoSignature accept"}})
	// It is to show OpenDKIM what arrived, and to complete nothing.
	return &judges{peertest.Start(t, peertest.Postfix, peertest.Config{Milters: []peertest.Milter{{Spec: v.Spec}},
		Extra: map[peertest.Kind][]string{peertest.Postfix: {"local_header_rewrite_clients ="}}}), zone}
}

// judge fails the test where anyone of them does not like a message.
func (j *judges) judge(t *testing.T, name string, raw []byte, explained string) {
	t.Helper()
	tell := func(who, format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s says %s; explained %s; of\n%s", name, who, fmt.Sprintf(format, args...), explained, raw)
	}
	if err := verify(t, string(raw), both()...); err != nil {
		tell("go-msgauth", "%v", err)
	}
	m := message.Parse(raw)
	checked, err := (&dkim.Verifier{Resolver: j.zone}).Verify(t.Context(), m.Header, bytes.NewReader(m.Body))
	if err != nil || len(checked.Signatures) != 2 || checked.Signatures[0].Value != dkim.Pass || checked.Signatures[1].Value != dkim.Pass {
		tell("our own verifier", "%+v, %v", checked, err)
	}
	if r := peertest.Send(t, j.postfix.Addr, peertest.Letter{Data: string(raw)}); !r.OK() {
		t.Fatal(r)
	}
	results := strings.Join(j.postfix.Sink.Next(t).Header().Values("Authentication-Results"), " ")
	if n := len(regexp.MustCompile(`dkim=pass`).FindAllString(results, -1)); n != 2 || strings.Contains(results, "dkim=fail") {
		tell("OpenDKIM", "%q", results)
	}
}

// python lets dkimpy judge messages, by their names.
func python(t *testing.T, messages map[string][]byte) {
	t.Helper()
	const program = `
import sys, json, dkim
keys = json.loads(sys.argv[1])
def txt(name, timeout=5):
    return keys.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
for path in sys.argv[2:]:
    msg = open(path, "rb").read()
    n = sum(1 for h in dkim.DKIM(msg).headers if h[0].lower() == b"dkim-signature")
    said = []
    for i in range(n):
        try:
            said.append(str(dkim.DKIM(msg).verify(idx=i, dnsfunc=txt)))
        except Exception as e:
            said.append(repr(e))
    print(" ".join(said))
`
	keys, err := json.Marshal(records())
	if err != nil {
		t.Fatal(err)
	}
	args, names := []string{"-c", program, string(keys)}, []string{}
	dir := t.TempDir()
	for name, raw := range messages {
		path := filepath.Join(dir, fmt.Sprint(len(names)))
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		args, names = append(args, path), append(names, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/bin/python3", args...).Output() // Debian's: it has python3-dkim
	if err != nil {
		if ee, ok := err.(*exec.ExitError); ok {
			t.Fatalf("dkimpy: %v\n%s", err, ee.Stderr)
		}
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(names) {
		t.Fatalf("dkimpy says %q of %d messages", lines, len(names))
	}
	for i, said := range lines {
		if said != "True True" {
			t.Errorf("%s: dkimpy says %s of\n%s", names[i], said, messages[names[i]])
		}
	}
}

// letters are what MTAs change on the way, and what makes signatures break. Bodies are
// ASCII where nothing else is said.
var letters = []struct {
	name, text string
	rewritten  bool // so that Sendmail's header is signed relaxed at least
}{
	{"plain", letter, false},
	{"8 bits", "From: J\xf6rg <joe@example.com>\nTo: a@example.net\nSubject: gr\xc3\xbc\xc3\x9fe \xff\nDate: Sun, 01 Jan 2023 00:00:00 +0000\nMessage-ID: <1@example.com>\n\ncaf\xe9 \x80\xff\n", false},
	{"folded", "From: Joe\n\t<joe@example.com>\nTo: b@example.net\nSubject: one \n \ttwo\t\n  three\nDate: Sun, 01 Jan 2023 00:00:00 +0000\nMessage-ID: <1@example.com>\n\nHello.\n", false},
	{"spaces behind the colon", "From:joe@example.com\nTo:  b@example.net\nSubject:\ttab\nDate: Sun, 01 Jan 2023 00:00:00 +0000 \t\nMessage-ID:<1@example.com>\n\nHello.\n", false},
	{"no Date", "From: joe@example.com\nTo: b@example.net\nMessage-ID: <1@example.com>\n\nHello.\n", false},
	{"no Message-ID", "From: joe@example.com\nTo: b@example.net\nDate: Sun, 01 Jan 2023 00:00:00 +0000\n\nHello.\n", false},
	{"no Date, Message-ID, To", "From: joe@example.com\n\nHello.\n", false},
	{"letter case", "FROM: joe@example.com\nto: b@example.net\ndate: Sun, 01 Jan 2023 00:00:00 +0000\nMESSAGE-ID: <1@example.com>\nsubject: x\n\nHello.\n", false},
	{"empty fields", "From: joe@example.com\nSubject:\nReply-To: \nTo: b@example.net\nDate: Sun, 01 Jan 2023 00:00:00 +0000\n\nHello.\n", true},
	{"a list of addresses", "From: joe@example.com\nTo: a@example.net, b@example.net,\n\tCarol  <c@example.net>\n\nHello.\n", true},
	{"a list without blanks", "From: joe@example.com\nTo: a@example.net,\"B, b\" <b@example.net>,c@example.net (x,y)\nCc:<d@example.net>,<e@example.net>\nReply-To: x@example.com,y@example.com\n\nHello.\n", true},
	{"a long list", "From: joe@example.com\nTo: " + strings.Repeat("somebody-with-a-long-name@example.net, ", 10) + "z@example.net\n\nHello.\n", true},
	{"a group", "From: joe@example.com\nTo: friends: a@example.net,b@example.net;\n\nHello.\n", true},
	{"an address without a domain", "From: joe@example.com\nTo: suzie\nCc: bob, a@example.net\n\nHello.\n", false},
	{"a comment behind the author", "From: joe@example.com (Joe)\nSender: \"x, y\" <x@example.com> \nTo: a@example.net\n\nHello.\n", true},
	{"names that Sendmail quotes", "From: J. Smith <joe@example.com>\nSender: O'Neil <x@example.com>\nReply-To: 'x@example.com' <x@example.com>\nTo: a@example.net <a@example.net>,Joe [x] <b@example.net>\nCc: =?utf-8?q?=C3=B6?= X. <c@example.net>\n\nHello.\n", true},
	{"addresses that Sendmail writes anew", "From: joe@example.com\nSender: Joe joe@example.com\nReply-To: =?utf-8?Q?a,b?= <x@example.com>\nTo: a@example.net ,b@example.net\t,\tc@example.net\nCc: <@r.example:a@example.net>\nResent-To: a@example.net,,\nResent-Cc: \"x <a@example.net>\n\nHello.\n", true},
	{"sent again", "Resent-To: c@example.net\nResent-From: joe@example.com\nFrom: joe@example.com\nTo: a@example.net\n\nHello.\n", false},
	{"several of a name", "Received: one\nReceived: two\nFrom: joe@example.com\nTo: b@example.net\nSubject: first\nSubject: second\nTo: c@example.net\n\nHello.\n", false},
	{"Bcc and Return-Path", "Return-Path: <x@example.com>\nBcc: secret@example.net\nFrom: joe@example.com\nTo: b@example.net\n\nHello.\n", false},
	{"no body", "From: joe@example.com\nTo: b@example.net\n\n", false},
	{"only empty lines", "From: joe@example.com\nTo: b@example.net\n\n\n\n\n", false},
	{"empty lines at the end", "From: joe@example.com\nTo: b@example.net\n\nHello.\n\n\n", false},
	{"blanks and dots in the body", "From: joe@example.com\nTo: b@example.net\n\n  two  blanks \t\n\ttab\t \n . \n.x\n..\n \n", false},
	{"long body", "From: joe@example.com\nTo: b@example.net\n\n" + strings.Repeat(strings.Repeat("x", 76)+" \n", 4000), false},
	{"a signature that is there", "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=old.example; s=x;\n h=from; bh=x; b=x\nFrom: joe@example.com\nTo: b@example.net\n\nHello.\n", false},
	{"a list that is managed", "List-Id: <l.example.com>\nList-Unsubscribe: <mailto:l-off@example.com>,<https://example.com/off>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\nFrom: joe@example.com\nTo: b@example.net\n\nHello.\n", false},
	{"MIME", "From: joe@example.com\nTo: b@example.net\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"cut\"\nContent-Transfer-Encoding: 7bit\n\n--cut\n\nHello.\n--cut--\n", false},
}

// What we sign is right at the next hop, whatever the MTA did to it, for all others.
func TestSignedMailVerifiesBehindRealMTAs(t *testing.T) {
	j := newJudges(t)
	for _, kind := range peertest.Kinds {
		for _, c := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
			t.Run(string(kind)+"/"+string(c), func(t *testing.T) {
				s := newSigning(t, kind, sign.Options{Header: c, Body: c}, peertest.Config{})
				all := make(map[string][]byte)
				for _, l := range letters {
					raw := s.deliver(t, l.text)
					h := message.Parse(raw).Header
					if !h[0].Is("DKIM-Signature") || !h[1].Is("DKIM-Signature") || !strings.Contains(string(h[0].Value()), "s=rsa;") {
						t.Errorf("%s: on top are %s and %s", l.name, h[0].Name(), h[1].Name())
					}
					if l.name == "a signature that is there" { // which nobody verifies
						at := bytes.Index(raw, []byte("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=old"))
						end := bytes.Index(raw, []byte("b=x\r\n")) + len("b=x\r\n")
						raw = append(raw[:at:at], raw[end:]...)
					}
					want := c
					if kind == peertest.Sendmail && l.rewritten {
						want = dkim.Relaxed
					}
					if !bytes.Contains(h[0].Value(), []byte("c="+string(want)+"/"+string(c)+";")) {
						t.Errorf("%s: it is signed otherwise than %s/%s: %s; explained %s", l.name, want, c, h[0].Value(), s.explained())
					}
					j.judge(t, l.name, raw, s.explained())
					all[l.name] = raw
				}
				python(t, all)
			})
		}
	}
}

// Postfix leaves the mail of clients elsewhere as it is: it completes and adds nothing.
func TestSignedMailOfClientsElsewhereVerifies(t *testing.T) {
	j := newJudges(t)
	s := newSigning(t, peertest.Postfix, sign.Options{Header: dkim.Simple, Body: dkim.Simple}, peertest.Config{Extra: map[peertest.Kind][]string{
		peertest.Postfix: {"local_header_rewrite_clients ="},
	}})
	all := make(map[string][]byte)
	for _, l := range letters {
		if l.name == "a signature that is there" {
			continue
		}
		raw := s.deliver(t, l.text)
		for _, name := range []string{"Date", "Message-Id"} {
			if n := fieldCount(raw, name); n != 1 {
				t.Errorf("%s: it has %d fields %s", l.name, n, name)
			}
		}
		j.judge(t, l.name, raw, s.explained())
		all[l.name] = raw
	}
	python(t, all)
}

func fieldCount(raw []byte, name string) (n int) {
	for range message.Parse(raw).Header.All(name) {
		n++
	}
	return n
}

// Mail of programs on the machine is internal, and signed.
func TestSignedLocalMailVerifies(t *testing.T) {
	j := newJudges(t)
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := newSigning(t, kind, sign.Options{}, peertest.Config{})
			for _, text := range []string{letter, "From: joe@example.com\nSubject: no more\n\nHello.\n", "From: joe@example.com\nTo: a@example.net,b@example.net\n\nHello.\n"} {
				if err := s.SubmitLocal(peertest.Letter{From: "joe@example.com", Data: text}); err != nil {
					t.Fatal(err)
				}
				j.judge(t, text, s.Sink.Next(t).Data, s.explained())
			}
		})
	}
}

// A message that filters before have changed is signed as they left it.
func TestChangedMailVerifiesBehindRealMTAs(t *testing.T) {
	j := newJudges(t)
	const text = "From: joe@example.com\nX-Gone: x\nTo: a@example.net,b@example.net\nSubject: one\n two\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=cut\n\n--cut\nContent-Type: text/plain\n\nhello \n--cut\nContent-Type: application/octet-stream; name=\"setup.exe\"\n" +
		"Content-Transfer-Encoding: base64\n\nTVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n--cut--\n"
	for _, kind := range peertest.Kinds {
		for _, c := range []dkim.Canon{dkim.Simple, dkim.Relaxed} {
			t.Run(string(kind)+"/"+string(c), func(t *testing.T) {
				tag, err := headers.New("tag", []headers.Rule{
					{Name: "a", Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Tag, Edit: headers.Edit{Value: "[tagged]"}},
					{Name: "b", Fields: []string{"X-Gone"}, Match: headers.Present, Action: headers.Remove},
					{Name: "c", Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Add, Edit: headers.Edit{Name: "Reply-To", Value: "new@example.com"}},
					{Name: "d", Fields: []string{"Subject"}, Match: headers.Present, Action: headers.Add, Edit: headers.Edit{Name: "Cc", Value: "top@example.com", Position: headers.Top}},
				}, headers.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defang, err := attachments.New("attachments", attachments.Options{})
				if err != nil {
					t.Fatal(err)
				}
				s := newSigning(t, kind, sign.Options{Header: c, Body: c}, peertest.Config{}, tag, defang)
				raw := s.deliver(t, text)
				m := message.Parse(raw)
				subject, _ := m.Header.Get("Subject")
				if !strings.HasPrefix(string(subject.Value()), " [tagged] one") || bytes.Contains(m.Body, []byte("TVqQ")) || bytes.Contains(raw, []byte("X-Gone")) {
					t.Fatalf("it was not changed:\n%s", raw)
				}
				j.judge(t, "changed", raw, s.explained())
				python(t, map[string][]byte{"changed": raw})
			})
		}
	}
}

// MTAs add what is missing by themselves when the filter does not.
func TestMissingFieldsThatMTAsAdd(t *testing.T) {
	j := newJudges(t)
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			// Sendmail adds a recipient's field, too, when it is told to.
			s := newSigning(t, kind, sign.Options{KeepMissing: true}, peertest.Config{Extra: map[peertest.Kind][]string{
				peertest.Sendmail: {"O NoRecipientAction=add-to-undisclosed"},
				peertest.Postfix:  {"undisclosed_recipients_header = To: undisclosed-recipients:;"},
			}})
			raw := s.deliver(t, "From: joe@example.com\n\nHello.\n")
			h := message.Parse(raw).Header
			for _, name := range []string{"Date", "Message-Id", "To"} {
				if _, ok := h.Get(name); !ok {
					t.Errorf("no %s was added:\n%s", name, raw)
				}
			}
			j.judge(t, "missing", raw, s.explained())
			// Without From Sendmail adds one; it is not signed then.
			if raw := s.deliver(t, "Subject: x\n\nHello.\n"); kind == peertest.Sendmail && bytes.Contains(raw, []byte("DKIM-Signature")) {
				t.Errorf("it is signed:\n%s", raw)
			}
		})
	}
}

// Keys of other programs sign here.
func TestKeysOfOtherPrograms(t *testing.T) {
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("openssl", "genpkey", "-algorithm", "ed25519", "-out", "openssl-ed25519")
	run("openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "openssl-rsa")
	run("openssl", "rsa", "-traditional", "-in", "openssl-rsa", "-out", "openssl-pkcs1")
	run("opendkim-genkey", "-b", "2048", "-d", "example.com", "-s", "opendkim")
	run("/usr/bin/python3", "/usr/bin/dknewkey", "--ktype", "ed25519", "dkimpy-ed25519")
	run("/usr/bin/python3", "/usr/bin/dknewkey", "--ktype", "rsa", "dkimpy-rsa")
	for file, algorithm := range map[string]string{"openssl-ed25519": "ed25519-sha256", "openssl-rsa": "rsa-sha256", "openssl-pkcs1": "rsa-sha256",
		"opendkim.private": "rsa-sha256", "dkimpy-ed25519.key": "ed25519-sha256", "dkimpy-rsa.key": "rsa-sha256"} {
		path := filepath.Join(dir, file)
		os.Chmod(path, 0o600) // openssl writes for all
		k, err := dkim.ReadKey(path)
		if err != nil || k.Algorithm() != algorithm {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, dns := range []string{"opendkim.txt", "dkimpy-ed25519.dns", "dkimpy-rsa.dns"} {
			text, err := os.ReadFile(filepath.Join(dir, dns))
			if err != nil {
				t.Fatal(err)
			}
			public := k.Record()[strings.Index(k.Record(), "p="):]
			joined := regexp.MustCompile(`"\s*"`).ReplaceAllString(string(text), "")
			if same, mine := strings.Contains(joined, public), strings.TrimSuffix(dns, filepath.Ext(dns)) == strings.TrimSuffix(file, filepath.Ext(file)); same != mine {
				t.Errorf("%s and %s: the same key: %v", file, dns, same)
			}
		}
	}
}
