//go:build peers

package scan_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gomilter/gomilter/filter/scan"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/miltertest"
)

// Debian's clamd with a signature of our own.
func TestRealClamd(t *testing.T) {
	const marker = "GOMILTER-TEST-SIGNATURE-OF-OUR-OWN"
	signatures := map[string]string{"Own.Test-1": marker}
	first := peertest.ClamAV(t, "unix", signatures, "StreamMaxLength 200K")
	second := peertest.ClamAV(t, "inet", signatures, "StreamMaxLength 200K")
	options := scan.Options{Scanner: scan.Clamd, Servers: []string{first.Spec}, TagClean: true, Pause: 50 * time.Millisecond}
	b := newBench(t, options)
	const attached = "MIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nR09NSUxURVItVEVTVC1TSUdOQVRVUkUtT0YtT1VSLU9XTg==\n"
	for _, tt := range []struct{ name, text, outcome, field string }{
		{"clean", "Subject: lunch\n\nAt noon?\n", "accept", "Clean"},
		{"in the text", "Subject: x\n\n" + marker + "\n", "reject 550 5.7.1 This message is infected by Own.Test-1.UNOFFICIAL (ref ref)", ""},
		{"in an attachment", attached, "reject 550 5.7.1 This message is infected by Own.Test-1.UNOFFICIAL (ref ref)", ""},
		{"too large for clamd", "Subject: x\n\n" + strings.Repeat("0123456789abcdef0123456789abcdef\n", 200_000), "accept", "Not scanned, it is too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := b.send(t, miltertest.Mail{Text: tt.text})
			diff(t, "outcome", tt.outcome, outcome(r))
			if tt.field != "" {
				diff(t, "X-Virus-Status", tt.field, r.Header("X-Virus-Status"))
			}
		})
	}
	t.Run("too large by TCP", func(t *testing.T) {
		options := options
		options.Servers = []string{second.Spec}
		r := newBench(t, options).send(t, miltertest.Mail{Text: "Subject: x\n\n" + strings.Repeat("0123456789abcdef0123456789abcdef\n", 200_000)})
		diff(t, "X-Virus-Status", "Not scanned, it is too large", r.Header("X-Virus-Status"))
	})
	t.Run("while signatures are loaded", func(t *testing.T) {
		for range 5 {
			if got := command(t, first.Spec, "zRELOAD\x00"); got != "RELOADING\x00" {
				t.Errorf("clamd says %q", got)
			}
			for range 3 {
				if r := b.send(t, miltertest.Mail{Text: "Subject: x\n\n" + marker + "\n"}); r.Verdict.String() != "reject" {
					t.Errorf("%s: %s", outcome(r), b.why())
				}
			}
		}
		first.Wait(t, "Database correctly reloaded")
	})
	t.Run("ready, fail-over, all down", func(t *testing.T) {
		options.Servers = append(options.Servers, second.Spec)
		both := newBench(t, options)
		ready := both.chain.Steps[0].Filter.Ready
		send := func(want, why string) {
			t.Helper()
			r := both.send(t, miltertest.Mail{Text: "Subject: x\n\n" + marker + "\n"})
			if r.Verdict.String() != want || !strings.Contains(both.why(), why) {
				t.Errorf("%s: %s", outcome(r), both.why())
			}
		}
		send("reject", "clamd at "+first.Spec)
		first.Stop()
		if err := ready(t.Context()); err != nil {
			t.Errorf("one lives: %v", err)
		}
		send("reject", "failed before: "+first.Spec+": dial: connect: connection refused; clamd at "+second.Spec)
		send("reject", "clamd at "+second.Spec)
		second.Stop()
		if err := ready(t.Context()); err == nil {
			t.Error("ready without any server")
		}
		send("tempfail", "no clamd answered: "+second.Spec)
	})
}

// command sends a command to a server and returns all it says.
func command(t *testing.T, spec, cmd string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(spec, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, cmd)
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// Debian's spamd with rules of our own, which look at what we tell it of the client.
func TestRealSpamd(t *testing.T) {
	rules := []string{
		"required_score 5",
		"body OWN_SPAM /GOMILTER-SPAM-TEST/", "score OWN_SPAM 6.5",
		`header OWN_RELAY X-Spam-Relays-External =~ /^\[ ip=192\.0\.2\.25 rdns=client\.example helo=client\.example by=mta\.example /`, "score OWN_RELAY 0.1",
		`header OWN_IPV6 X-Spam-Relays-External =~ /^\[ ip=2001:db8::25 /`, "score OWN_IPV6 0.1",
		`header OWN_SENDER EnvelopeFrom =~ /^sender\@example\.org$/`, "score OWN_SENDER 0.1",
		`header OWN_AUTH X-Spam-Relays-Trusted =~ / auth=ESMTPA /`, "score OWN_AUTH 0.1", // it trusts those who authenticate
	}
	s := peertest.SpamAssassin(t, "unix", rules...)
	inet := peertest.SpamAssassin(t, "inet", rules...)
	for _, spec := range []string{s.Spec, inet.Spec} {
		b := newBench(t, scan.Options{Scanner: scan.Spamd, Servers: []string{spec}, User: "joe", Scores: []scan.Threshold{{Score: 13, Action: scan.Reject}}})
		if err := b.chain.Steps[0].Filter.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		v6 := v6Client()
		for _, tt := range []struct {
			name   string
			mail   miltertest.Mail
			status string
			why    string
		}{
			{"ham", miltertest.Mail{Text: "Subject: x\nFrom: a@example.com\n\nlunch\n"}, "", "score 0.2 of 5.0 (OWN_RELAY, OWN_SENDER): accept"},
			{"spam", miltertest.Mail{Text: "Subject: x\nX-Spam-Flag: NO\nFrom: a@example.com\n\nGOMILTER-SPAM-TEST\n"},
				"Yes, score=6.7 required=5.0 tests=OWN_RELAY, OWN_SENDER, OWN_SPAM", "score 6.7 of 5.0 (OWN_RELAY, OWN_SENDER, OWN_SPAM): tag"},
			{"by IPv6", miltertest.Mail{Conn: &v6, Text: "Subject: x\n\nlunch\n"}, "", "score 0.2 of 5.0 (OWN_IPV6, OWN_SENDER): accept"},
			{"authenticated", miltertest.Mail{Macros: map[string]string{"auth_authen": "joe", "auth_type": "plain"}, Text: "Subject: x\n\nlunch\n"}, "", "score 0.2 of 5.0 (OWN_AUTH, OWN_SENDER): accept"},
			{"large", miltertest.Mail{Text: "Subject: x\n\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\n", 10_000)}, "", "score 0.2 of 5.0 (OWN_RELAY, OWN_SENDER): accept"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r := b.send(t, tt.mail)
				diff(t, "outcome", "accept", outcome(r))
				diff(t, "X-Spam-Status", tt.status, strings.ReplaceAll(r.Header("X-Spam-Status"), "\n", ""))
				diff(t, "explanation", fmt.Sprintf("spamd at %s: %s", spec, tt.why), b.why())
			})
		}
	}
	s.Wait(t, "for joe:") // its log says whose preferences it took
}

// Debian's rspamd with a rule of our own, which tells what it was told.
func TestRealRspamd(t *testing.T) {
	const lua = `
rspamd_config:register_symbol{name = 'OWN_SPAM', score = 7.5, callback = function(task)
	if not tostring(task:get_content()):find('GOMILTER%-SPAM%-TEST') then return false end
	local rcpts = {}
	for _, r in ipairs(task:get_recipients('smtp') or {}) do rcpts[#rcpts + 1] = r.addr end
	local seen = table.concat({tostring(task:get_from_ip()), tostring(task:get_helo()), tostring(task:get_hostname()),
		tostring((task:get_from('smtp') or {{}})[1].addr), table.concat(rcpts, '+'), tostring(task:get_user()),
		tostring(task:get_request_header('MTA-Name')), tostring(task:get_queue_id() ~= nil)}, ' ')
	task:set_milter_reply{add_headers = {['X-Seen'] = {value = seen, order = 1}}, remove_headers = {['X-Forged'] = 0}}
	return true
end}
rspamd_config:register_symbol{name = 'OWN_REJECT', score = 0, callback = function(task)
	local subject = task:get_header('Subject') or ''
	if subject:find('defer') then task:set_pre_result('soft reject', 'come back at 8%') end
	if subject:find('refuse') then task:set_pre_result('reject', 'not here') end
end}
`
	for _, network := range []string{"unix", "inet"} {
		s := peertest.Rspamd(t, network, lua)
		b := newBench(t, scan.Options{Scanner: scan.Rspamd, Servers: []string{s.Spec}, Follow: true, ApplyEdits: true, Password: "unused"})
		if err := b.chain.Steps[0].Filter.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		for _, tt := range []struct{ name, text, outcome, changed, why string }{
			{"ham", "Subject: lunch\nFrom: a@example.com\n\nAt noon?\n", "accept", "", "score 0.0 of 15.0, no_action: accept"},
			{"spam", "Subject: x\nX-Forged: 1\nX-Forged: 2\n\nGOMILTER-SPAM-TEST\n", "accept",
				"-X-Forged: 1\n-X-Forged: 2\n+X-Seen: 192.0.2.25 client.example client.example sender@example.org b@example.net+c@example.net joe mta.example true\n" +
					"+X-Spam-Flag: YES\n+X-Spam-Score: 7.5\n+X-Spam-Level: *******\n+X-Spam-Status: Yes, score=7.5 required=15.0 tests=OWN_SPAM", "score 7.5 of 15.0, add_header (OWN_SPAM): tag"},
			{"soft reject", "Subject: defer\n\nx\n", "tempfail 451 4.7.1 come back at 8_ (ref ref)", "", "score 0.0 of 15.0, soft_reject: tempfail"},
			{"reject", "Subject: refuse\n\nx\n", "reject 550 5.7.1 not here (ref ref)", "", ""},
			{"large", "Subject: x\n\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\n", 40_000), "accept", "", "score 0.0 of 15.0, no_action: accept"},
		} {
			t.Run(network+"/"+tt.name, func(t *testing.T) {
				r := b.send(t, miltertest.Mail{Text: tt.text, Rcpts: []string{"<b@example.net>", "<c@example.net>"}, Macros: map[string]string{"auth_authen": "joe", "auth_type": "plain"}})
				diff(t, "outcome", tt.outcome, outcome(r))
				if strings.HasPrefix(tt.outcome, "accept") {
					diff(t, "header", tt.changed, changed(r, tt.text))
				}
				if tt.why != "" {
					diff(t, "explanation", fmt.Sprintf("rspamd at %s: %s", s.Spec, tt.why), b.why())
				}
			})
		}
		s.Stop()
		if r := b.send(t, miltertest.Mail{}); r.Verdict.String() != "tempfail" {
			t.Errorf("without rspamd: %s", outcome(r))
		}
	}
}
