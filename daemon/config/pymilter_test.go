package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/headers"
)

// The sample has every option there is something to carry over from, and some there is not.
func TestImportPymilter(t *testing.T) {
	in, err := os.Open("testdata/pymilter.cfg")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, left, err := ImportPymilter(in, "pymilter.cfg")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/pymilter.toml", out)
	for _, l := range left {
		if !strings.Contains(string(out), "#   "+l+"\n") {
			t.Errorf("%q is left, and not in the configuration", l)
		}
	}
	if !slices.Contains(left, "[wrong] key: pymilter has no such option; is it misspelt?") || !slices.Contains(left, "[milter] errors_url: dropped: it sent data of senders to a web page") {
		t.Errorf("left is\n%s", strings.Join(left, "\n"))
	}

	// The list of words stands where it did.
	words := write(t, "words", "lottery\n")
	text := strings.ReplaceAll(string(out), "/etc/milter/from_words", words)
	c := parse(t, text)
	if c.User != "gomilter" {
		t.Errorf("it goes on as %q, and not as the user of the packages", c.User)
	}
	if l := c.Listeners[0]; l.Socket != "/var/run/milter/pythonsock" || l.Timeouts.Idle.String() != "10m0s" || !slices.Equal(l.Filters, []string{"auth", "access", "headers", "attachments", "html", "hide-path", "sign"}) {
		t.Errorf("listener %+v", l)
	}
	if got := c.filter("attachments").Options.(*Attachments); !slices.Equal(got.Extensions, []string{"exe", "scr", "pif"}) || !slices.Equal(got.RejectFrom, []string{"a.example"}) {
		t.Errorf("extensions %q, reject_from %q", got.Extensions, got.RejectFrom)
	}
	var rules []headers.Rule
	for _, r := range c.filter("headers").Options.(*Headers).Rules {
		rules = append(rules, r.rule())
	}
	want := append([]headers.Rule{{Name: "logged", Fields: []string{"Subject", "From", "X-Mailer"}, Match: headers.Present, Action: headers.Note}},
		headers.BMSRules(headers.Words{Spam: []string{"100% free", `"quoted"`}, Porn: []string{"XX", "viagra"}, From: []string{"lottery"}})...)
	want = append(want, headers.Forwards("Joe@My.Com", "*@my.org"))
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	// The rule that stands behind a # is right, too.
	before, rule, _ := strings.Cut(text, "\n#[[filter.headers.rule]]")
	rule, after, _ := strings.Cut(rule, "\n[filter.attachments]")
	parse(t, before+"\n[[filter.headers.rule]]"+strings.ReplaceAll(rule, "\n#", "\n")+"\n[filter.attachments]"+after)
}

func TestImportPymilterDefaults(t *testing.T) {
	for _, tt := range []struct {
		name, in   string
		extensions int
		mode, html filter.Mode
		left       string
	}{
		{"nothing", "", 160, filter.On, filter.Off, ""},
		{"old place of the options", "[milter]\nbanned_exts = exe\nscan_html = yes\n", 1, filter.On, filter.On, ""},
		{"section without extensions", "[defang]\nscan_zip = no\n", 160, filter.Off, filter.Off, ""},
		{"empty list", "[defang]\nbanned_exts =\n", 160, filter.Off, filter.Off, ""},
		{"two places", "[defang]\n[milter]\nscan_html = yes\n", 160, filter.Off, filter.Off, "[milter] scan_html: options for attachments count in [defang] when there is one"},
		{"DEFAULT", "[DEFAULT]\nscan_html: TRUE\n[defang]\nbanned_exts=exe", 1, filter.On, filter.On, ""},
		{"later wins", "[defang]\nbanned_exts=exe\nscan_html=yes\nscan_html=no\n[defang]\nBANNED_EXTS=com,pif", 2, filter.On, filter.Off, ""},
		{"neither yes nor no", "[defang]\nbanned_exts=exe\nscan_html=perhaps", 1, filter.On, filter.Off, `[defang] scan_html: "perhaps" is neither yes nor no`},
		{"socket that is none", "[milter]\nsocket=inet:no@such@place\n", 160, filter.On, filter.Off, `[milter] socket: socket "inet:no@such@place": `},
		{"time that is none", "[milter]\ntimeout=soon", 160, filter.On, filter.Off, `[milter] timeout: "soon" is no number of seconds`},
		{"fields that are logged", "[milter]\nlog_headers=1", 160, filter.On, filter.Off, "[milter] log_headers: the log has what decided"},
		{"option that is misspelt", "[dkim]\ntypo_opt=1\n[dspam]\ndspam_users=joe\njoe=a@b.c\n", 160, filter.On, filter.Off,
			"[dkim] typo_opt: pymilter has no such option; is it misspelt?\n[dspam] dspam_users: no content filter yet\n[dspam] joe: no content filter yet"},
		{"word that names a file", "[milter]\nspam_words=file:/x", 160, filter.On, filter.Off, `[milter] spam_words: "file:/x" would be taken for a file`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, left, err := ImportPymilter(strings.NewReader(tt.in), "x.cfg")
			if err != nil {
				t.Fatal(err)
			}
			c := parse(t, string(out))
			a := c.filter("attachments")
			if n := len(a.Options.(*Attachments).Extensions); n < tt.extensions || n >= tt.extensions+20 || a.Mode != tt.mode || c.filter("html").Mode != tt.html {
				t.Errorf("%d extensions, attachments %v, html %v in\n%s", n, a.Mode, c.filter("html").Mode, out)
			}
			if all := strings.Join(left, "\n"); (all == "") != (tt.left == "") || !strings.HasPrefix(all, tt.left) {
				t.Errorf("left %q, want %q", all, tt.left)
			}
		})
	}
}

// A folder of the old user is of no use to the new one, and one that is not there will be made.
func TestImportedFolderOfOthers(t *testing.T) {
	dir := t.TempDir()
	for sub, want := range map[string]string{"": "[milter] datadir: " + dir + " does not belong to the user gomilter", "/new": ""} {
		out, left, err := ImportPymilter(strings.NewReader("[milter]\ndatadir="+dir+sub+"\n"), "pymilter.cfg")
		if err != nil {
			t.Fatal(err)
		}
		if c := parse(t, string(out)); c.StateDir != dir+sub {
			t.Errorf("state_dir is %q, want %q", c.StateDir, dir+sub)
		}
		if all := strings.Join(left, "\n"); (all == "") != (want == "") || !strings.HasPrefix(all, want) {
			t.Errorf("left %q, want %q", all, want)
		}
	}
}

// bms passed over short lines of the file, which are in half of all names.
func TestImportedWordsOfFiles(t *testing.T) {
	for _, tt := range []struct {
		name, list string
		want       []string
		left       string
	}{
		{"short ones", "# names\nab\nlottery\n\nx\nprix\n", []string{"lottery", "prix"}, "the words are written out, as 2 lines of 1 or 2 characters, which bms passed over"},
		{"short by letters", "\u00fc\u00fc\nlottery\n", []string{"lottery"}, "the words are written out, as a line of 1 or 2"},
		{"long ones", "lottery\n", []string{"lottery"}, ""},
		{"short ones alone", "ab\n", nil, "has lines of 1 or 2 characters only"},
		{"none", "# none\n", nil, "has no entries"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, "words", tt.list)
			out, left, err := ImportPymilter(strings.NewReader("[milter]\nfrom_words = file:"+file+"\n"), "x.cfg")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range parse(t, string(out)).filter("headers").Options.(*Headers).Rules {
				if r.Part == headers.DisplayName && slices.Contains(tt.want, "lottery") && slices.Contains(r.Values, "lottery") {
					got = r.Values
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the rule has %q, want %q, in\n%s", got, tt.want, out)
			}
			if all := strings.Join(left, "\n"); (all == "") != (tt.left == "") || !strings.Contains(all, tt.left) {
				t.Errorf("left %q, want %q", all, tt.left)
			}
		})
	}
}

func TestImportPymilterErrors(t *testing.T) {
	_, _, err := ImportPymilter(strings.NewReader("a=1\n[s]\nno value\n= x\nb\x00=1\n"), "x.cfg")
	want := `config: x.cfg:1: there is no [section] above it
config: x.cfg:3: neither "=" nor ":" follows the name of an option
config: x.cfg:4: neither "=" nor ":" follows the name of an option
config: x.cfg:5: it holds a NUL`
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
	if _, _, err := ImportPymilter(strings.NewReader(strings.Repeat("#", maxFile+1)), "x"); err == nil {
		t.Error("a large file is no error")
	}
	if _, _, err := ImportPymilter(iotest.ErrReader(os.ErrClosed), "x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error of the reader = %v", err)
	}
}

func TestGlobPrefix(t *testing.T) {
	for in, want := range map[string]string{"127.*": "127.0.0.0/8", "192.168.*": "192.168.0.0/16", "10.1.2.*": "10.1.2.0/24", "10.*.*": "10.0.0.0/8", "10.*.*.*": "10.0.0.0/8",
		"*": "", "10.*.1.*": "", "10.1*.*": "", "a.*": "", "1.2.3.4": "", "1.2.3.4.*": "", "::.*": ""} {
		if got, ok := globPrefix(in); got != want || ok != (want != "") {
			t.Errorf("globPrefix(%q) = %q", in, got)
		}
	}
}

// Whatever an INI file holds, what is made of it is right but for files that are not there.
func FuzzImportPymilter(f *testing.F) {
	sample, err := os.ReadFile("testdata/pymilter.cfg")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	for _, name := range []string{"spfmilter", "dkim-milter"} {
		sample, err := os.ReadFile("testdata/" + name + ".cfg")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sample)
	}
	f.Add([]byte("[milter]\nsocketname=/s\numask=7777777777\ninternal_domains=\x00,*.*,é\n[dkim]\nprivkey=/\ndomain=é\nselector=a b\n[spf]\naccess_file=/\n"))
	f.Add([]byte("[milter]\nsocket=unix:\ndatadir=/\n[scrub]\nhide_path=*\r#\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, _, err := ImportPymilter(bytes.NewReader(in), "x.cfg")
		if err != nil {
			return
		}
		_, problems := (&Source{files: []sourceFile{{filepath.Join(t.TempDir(), "c.toml"), out}}}).Parse()
		for _, p := range problems {
			if !p.Warning && p.Key != "spool.dir" && !strings.HasPrefix(p.Text, "open ") && !strings.HasPrefix(p.Text, "read ") {
				t.Fatalf("%v\n%q\n%s", p, in, out)
			}
		}
	})
}
