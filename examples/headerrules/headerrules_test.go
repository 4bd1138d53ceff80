package headerrules

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/mta"
)

// play serves the filter and sends it a message as each MTA would; a text without
// an empty line is a header.
func play(t *testing.T, rules []Rule, profile mta.Profile, text string, rcpts ...string) (res *mta.Result, log string) {
	t.Helper()
	return playBy(t, (*mta.Client).Send, rules, profile, text, rcpts...)
}

// playBy is play by SMTP, or by the command of local programs.
func playBy(t *testing.T, send func(*mta.Client, context.Context, mta.Mail) (*mta.Result, error), rules []Rule, profile mta.Profile, text string, rcpts ...string) (res *mta.Result, log string) {
	t.Helper()
	var buf bytes.Buffer
	srv := &milter.Server{New: New(rules...), Log: slog.New(slog.NewTextHandler(&buf, nil))}
	ln, err := milter.Listen(filepath.Join(t.TempDir(), "s"), milter.SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(t.Context(), ln) }()
	if !strings.Contains(text, "\n\n") {
		text += "\n\nbody\n"
	}
	if rcpts == nil {
		rcpts = []string{"<bob@example.net>"}
	}
	client := &mta.Client{Profile: profile, Milters: []mta.Milter{{Address: ln.Addr().String()}}}
	res, err = send(client, t.Context(), mta.Mail{Conn: testConn, Helo: "h", Macros: map[string]string{"auth_authen": "joe"}, From: "<ann@example.com>", Rcpts: rcpts, Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range res.Filters {
		if f.Why != "" {
			t.Fatalf("filter failed: %s", f.Why)
		}
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	return res, buf.String()
}

var testConn = mta.Conn{Name: "client.example", Addr: netip.MustParseAddrPort("192.0.2.7:1025")}

func TestRules(t *testing.T) {
	const shouting, advertising = "please write a subject without shouting", "advertising is not wanted here"
	const mailer, id = "this program's mail is not wanted here", "the Message-ID is too short to be one"
	for _, tt := range []struct{ name, header, want string }{
		{"good message", "Subject: Lunch\nMessage-ID: <1@x>\nX-Mailer: mutt", ""},
		{"dollars", "Subject: make $$$ fast", shouting},
		{"exes", "Subject: XXX", shouting},
		{"exclamation", "subject: now!!!", shouting},
		{"FREE", "Subject: it is FREE", shouting},
		{"free in lower case is an ordinary word", "Subject: are you free tonight?", ""},
		{"FREE inside a word", "Subject: FREEDOM and CAREFREE", ""},
		{"shouting in an encoded word", "Subject: =?utf-8?b?SXQgaXMgRlJFRQ==?=", shouting},
		{"shouting on a folded line", "Subject: a long one that is\n FREE", shouting},
		{"adv with a colon", "Subject: ADV: buy", advertising},
		{"adv with a dot", "Subject: adv. buy", advertising},
		{"advice", "Subject: advice wanted", ""},
		{"adv later on", "Subject: Re: adv: buy", ""},
		{"pills", "Subject: cheap ViAgRa here", advertising},
		{"short id", "Message-ID: <>", id},
		{"id of three bytes", "Message-Id: abc", id},
		{"id of four bytes", "Message-ID: <a@>", ""},
		{"mailer in any case", "X-Mailer: Mail BOMBER", mailer},
		{"another mailer", "x-mailer: calypso", mailer},
		{"mailer that only contains the name", "X-Mailer: Calypso 3", ""},
		{"the words in another field", "X-Spam: $$$ FREE viagra", ""},
		{"big5 is for the reader to say", "Subject: =?big5?B?pN+q+Q==?=", ""},
		{"bytes that are no UTF-8", "Subject: gr\xfc\xdfe", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, profile := range []mta.Profile{mta.Postfix, mta.Sendmail} {
				res, log := play(t, Rules, profile, tt.header)
				if tt.want == "" {
					if res.Verdict != mta.Accept {
						t.Errorf("%v: verdict on %q = %v, want accept", profile, tt.header, res.Verdict)
					}
					continue
				}
				if res.Verdict != mta.Reject || res.Reply.String() != "550 5.7.1 "+tt.want {
					t.Errorf("%v: %q is answered %v %v, want reject %q", profile, tt.header, res.Verdict, res.Reply, tt.want)
				}
				if !strings.Contains(log, "verdict=reject") {
					t.Errorf("%v: log = %q, want the verdict in it", profile, log)
				}
			}
		})
	}
}

func TestCharsetRule(t *testing.T) {
	rules := []Rule{Charset("big5"), Charset("iso-2022-jp")}
	for header, want := range map[string]mta.Verdict{
		"Subject: =?BIG5?B?pN+q+Q==?=":                    mta.Reject,
		"Subject: =?ISO-2022-JP?B?GyRCJDMkcyRLJEEbKEI=?=": mta.Reject,
		"Subject: =?big5*zh?B?pN+q+Q==?=":                 mta.Reject, // RFC 2231 section 5
		"Subject: Re: =?big5?B?pN+q+Q==?=":                mta.Accept,
		"Subject: =?big5-hkscs?B?pN+q+Q==?=":              mta.Accept,
	} {
		if res, _ := play(t, rules, mta.Postfix, header); res.Verdict != want {
			t.Errorf("verdict on %q = %v, want %v", header, res.Verdict, want)
		}
	}
}

func TestMailerDaemonIsRefused(t *testing.T) {
	res, log := play(t, Rules, mta.Postfix, "Subject: x", "<MAILER-DAEMON@example.net>", "<bob@example.net>", "<mailer-daemon>", "<mailer-daemons@example.net>")
	for i, want := range []int{550, 0, 550, 0} {
		got := 0
		if r := res.Recipients[i].Reply; r != nil {
			got = r.Code
		}
		if got != want {
			t.Errorf("reply to %s has code %d, want %d", res.Recipients[i].Address, got, want)
		}
	}
	if res.Verdict != mta.Accept {
		t.Errorf("verdict = %v, want accept for the others", res.Verdict)
	}
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, `refused="[MAILER-DAEMON@example.net mailer-daemon]"`) {
		t.Errorf("log is not one line with the refused recipients:\n%s", log)
	}

	_, log = play(t, Rules, mta.Postfix, "Subject: x", "<mailer-daemon@example.net>")
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "verdict=reject why=mailer-daemon") {
		t.Errorf("log is not one line with a rejection:\n%s", log)
	}
}

// Postfix keeps local mail of which it cannot refuse a recipient: the message is
// refused, so that its sender gets it back. Sendmail hands such mail in by SMTP.
func TestMailerDaemonInLocalMail(t *testing.T) {
	rcpts := []string{"<bob@example.net>", "<MAILER-DAEMON@example.net>"}
	res, log := playBy(t, (*mta.Client).SendLocal, Rules, mta.Postfix, "Subject: x", rcpts...)
	if res.Verdict != mta.Reject || res.Reply == nil || res.Reply.Code != 550 || res.Reply.Enhanced != "5.1.1" {
		t.Errorf("Postfix: %v %v, want the message rejected with 550 5.1.1", res.Verdict, res.Reply)
	}
	if want := `rcpts="[bob@example.net MAILER-DAEMON@example.net]" refused=[] verdict=reject why="local mail to mailer-daemon"`; strings.Count(log, "\n") != 1 || !strings.Contains(log, want) {
		t.Errorf("Postfix: log = %q, want one line with %s", log, want)
	}
	res, log = playBy(t, (*mta.Client).SendLocal, Rules, mta.Sendmail, "Subject: x", rcpts...)
	if want := `rcpts=[bob@example.net] refused=[MAILER-DAEMON@example.net] verdict=accept`; res.Verdict != mta.Accept || !strings.Contains(log, want) {
		t.Errorf("Sendmail: %v, log = %q, want it accepted and %s", res.Verdict, log, want)
	}
}

func TestLogNamesClientAndUser(t *testing.T) {
	for _, profile := range []mta.Profile{mta.Postfix, mta.Sendmail} {
		_, log := play(t, Rules, profile, "Subject: x")
		if want := regexp.MustCompile(` queue=[0-9A-Za-z]+ client=192\.0\.2\.7 helo=h from=ann@example\.com user=joe rcpts=`); !want.MatchString(log) {
			t.Errorf("%v: log = %q, want %v in it", profile, log, want)
		}
	}
}

func TestMarkIsOurs(t *testing.T) {
	const header = "X-Gomilter-Sample: forged\nSubject: x\nx-gomilter-sample: forged, too\n"
	for _, profile := range []mta.Profile{mta.Postfix, mta.Sendmail} {
		res, _ := play(t, Rules, profile, header+"\nbody\n")
		got := strings.ReplaceAll(string(res.Message.Bytes()), "\r\n", "\n")
		if want := "Subject: x\nX-Gomilter-Sample: passed\n\nbody\n"; got != want {
			t.Errorf("%v: message = %q, want %q", profile, got, want)
		}
	}
}
