package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/policy"
)

// imported reads a configuration of an old application, and what is made of it. Nothing in that is wrong.
func imported(t *testing.T, name, in string) (c *Config, text string, left []string) {
	t.Helper()
	out, left, err := ImportPymilter(strings.NewReader(in), name)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(out)), string(out), left
}

// The samples have every option of the small applications.
func TestImportSmallApplications(t *testing.T) {
	for _, name := range []string{"spfmilter", "dkim-milter"} {
		t.Run(name, func(t *testing.T) {
			in, err := os.ReadFile("testdata/" + name + ".cfg")
			if err != nil {
				t.Fatal(err)
			}
			c, text, left := imported(t, name+".cfg", string(in))
			if c.User != "gomilter" {
				t.Errorf("it goes on as %q, and not as the user of the packages", c.User)
			}
			golden(t, "testdata/"+name+".toml", []byte(text))
			for _, l := range left {
				if !strings.Contains(text, "#   "+l+"\n") {
					t.Errorf("%q is left, and not in the configuration", l)
				}
			}
		})
	}
}

func TestWhoseConfigurationItIs(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     application
	}{
		{"x.cfg", "", bms},
		{"x.cfg", "[milter]\nsocket=/s\n[spf]\n", bms},
		{"/etc/mail/spfmilter.cfg", "", spfmilter},
		{"dkim-milter.cfg", "[milter]\n", dkimMilter},
		{"x.cfg", "[milter]\nsocketname=/s\n[spf]\n", spfmilter},
		{"x.cfg", "[milter]\nsocketname=/s\n[dkim]\n", dkimMilter},
		{"x.cfg", "[milter]\nsocketname=/s\n[dkim]\n[spf]\n", spfmilter},
		{"/etc/mail/spfmilter.cfg.old", "[milter]\nsocket=/s\n[defang]\n", spfmilter},
		{"dkim-milter.cfg", "[milter]\nsocket=/s\n[spf]\n", dkimMilter},
		{"pymilter.cfg", "[milter]\nsocketname=/s\n[spf]\n", bms},
	} {
		f, err := parseINI([]byte(tt.in), tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := applicationOf(f, tt.name); got != tt.want {
			t.Errorf("%s with %q is of %s, want %s", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestImportSmallApplicationsDefaults(t *testing.T) {
	for _, tt := range []struct {
		name, file, in string
		want           string // in what comes out
		left           string
	}{
		{"spfmilter without anything", "spfmilter.cfg", "", "socket = \"/tmp/spfmiltersock\"\nchain = [\"auth\", \"access\"]\n", ""},
		{"dkim-milter without anything", "dkim-milter.cfg", "", "socket = \"/tmp/dkimmiltersock\"\nchain = [\"auth\"]\n", ""},
		{"spfmilter with the socket of bms", "spfmilter.cfg", "[milter]\nsocket=/s\n", "socket = \"/tmp/spfmiltersock\"\n", "[milter] socket: spfmilter calls it socketname, and listened at /tmp/spfmiltersock"},
		{"dkim-milter with the socket of bms", "dkim-milter.cfg", "[milter]\nsocket=/s\n", "socket = \"/tmp/dkimmiltersock\"\n", "[milter] socket: dkim-milter calls it socketname, and listened at /tmp/dkimmiltersock"},
		{"umask in decimal digits that are none", "spfmilter.cfg", "[milter]\numask=0o189", "chain", `[milter] umask: "0o189" is no number with the digits 0 to 7`},
		{"umask as C has it", "spfmilter.cfg", "[milter]\numask=0177", "mode = \"0600\" # umask\n", ""},
		{"umask of a TCP socket", "spfmilter.cfg", "[milter]\nsocketname=inet:8893@127.0.0.1\numask=0177", "socket = \"inet:8893@127.0.0.1\"\nchain", ""},
		{"exceptions that defer", "spfmilter.cfg", "[milter]\nuntrapped_exception=TempFail", "on_error = \"tempfail\" # untrapped_exception\n", ""},
		{"exceptions that refuse", "spfmilter.cfg", "[milter]\nuntrapped_exception=reject", "on_error = \"reject\" # untrapped_exception\n", ""},
		{"exceptions that are none", "spfmilter.cfg", "[milter]\nuntrapped_exception=SKIP", "chain", `[milter] untrapped_exception: "SKIP" is none of CONTINUE, REJECT and TEMPFAIL; mail is answered tempfail`},
		{"the older name of trusted_forwarder", "spfmilter.cfg", "[spf]\ntrusted_relay=forwarder.example", "forwarders = [\"forwarder.example\"]\n", ""},
		{"both of its names", "spfmilter.cfg", "[spf]\ntrusted_relay=old.example\ntrusted_forwarder=forwarder.example", "forwarders = [\"forwarder.example\"]\n", "[spf] trusted_relay: trusted_forwarder, as it was called later, is there, too"},
		{"an option of bms", "spfmilter.cfg", "[spf]\nreject_noptr=1", "chain", "[spf] reject_noptr: spfmilter has no such option; is it misspelt?"},
		{"no key", "dkim-milter.cfg", "[dkim]\nselector=s\n", "chain = [\"auth\"]\n", "[dkim] selector: nothing is signed without privkey"},
		{"no domain", "dkim-milter.cfg", "[dkim]\nprivkey=/k\n", "chain = [\"auth\"]\n", "[dkim] privkey: domain is not set, and nothing is signed without"},
		{"a domain that is none", "dkim-milter.cfg", "[dkim]\nprivkey=/k\ndomain=a b\n", "chain = [\"auth\"]\n", "[dkim] privkey: rule 1: "},
		{"a key in no folder", "dkim-milter.cfg", "[dkim]\nprivkey=k\ndomain=a.example\n", "chain = [\"auth\"]\n", `[dkim] privkey: "k" is no path from the root on`},
		{"an access file in no folder", "spfmilter.cfg", "[spf]\naccess_file=access\n", "chain", `[spf] access_file: "access" is no path from the root on`},
		{"an access file of bms without anything", "pymilter.cfg", "[spf]\naccess_file=\n", "chain", ""},
		{"names of domains that are patterns", "pymilter.cfg", "[milter]\ninternal_domains=mail*.example.com,example.org\n", "keys = [\"spf-none:example.org\"]\n", `[milter] internal_domains: "mail*.example.com" is no domain, nor "*." and one: the rules for users' domains are left out`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, text, left := imported(t, tt.file, tt.in)
			if !strings.Contains(text, tt.want) {
				t.Errorf("it lacks\n%s\nin\n%s", tt.want, text)
			}
			if all := strings.Join(left, "\n"); (all == "") != (tt.left == "") || !strings.HasPrefix(all, tt.left) {
				t.Errorf("left %q, want %q", all, tt.left)
			}
		})
	}
}

// What signs is where the old configuration has it, with a key that is there and one that is not.
func TestImportedKeys(t *testing.T) {
	key, err := dkim.GenerateKey(dkim.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := key.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		app, file string
		want      []SignKey
		left      string
	}{
		{"dkim-milter.cfg", file, []SignKey{{Domain: "example.com", Selector: "default", File: file, Senders: []string{"@*"}}}, ""},
		{"pymilter.cfg", file, []SignKey{{Domain: "example.com", Selector: "default", File: file}}, ""},
		{"pymilter.cfg", file + ".none", nil, "no such file or directory; the key stands behind #, and nothing is signed"},
	} {
		c, text, left := imported(t, tt.app, "[milter]\ninternal_connect=127.0.0.1\n[dkim]\nprivkey="+tt.file+"\ndomain=example.com\n")
		l := c.Listeners[0].Filters
		o := c.filter("sign").Options.(*Sign)
		if diff := cmp.Diff(tt.want, o.Keys); diff != "" && len(tt.want)+len(o.Keys) > 0 {
			t.Errorf("%s: keys (-want +got):\n%s", tt.app, diff)
		}
		if l[len(l)-1] != "sign" || l[0] != "auth" || o.Header != dkim.Relaxed || o.Body != dkim.Simple {
			t.Errorf("%s: chain %q, canonicalization %s/%s", tt.app, l, o.Header, o.Body)
		}
		if all := strings.Join(left, "\n"); (all == "") != (tt.left == "") || !strings.Contains(all, tt.left) {
			t.Errorf("left %q, want %q", all, tt.left)
		}
		// What stands behind # is right, once the key is there.
		if tt.want == nil {
			again := strings.ReplaceAll(strings.ReplaceAll(text, "\n#[[", "\n[["), ".none", "")
			for _, k := range []string{"domain", "selector", "file"} {
				again = strings.ReplaceAll(again, "\n#"+k+" =", "\n"+k+" =")
			}
			if keys := parse(t, again).filter("sign").Options.(*Sign).Keys; len(keys) != 1 {
				t.Errorf("%d keys without the #:\n%s", len(keys), again)
			}
		}
	}
}

// Filter auth of each application, as far as it is another.
func TestImportedAuth(t *testing.T) {
	all := []auth.Method{auth.Auth, auth.IPRev, auth.SPF, auth.Helo, auth.DKIM, auth.DMARC}
	for _, tt := range []struct {
		name, in string
		methods  []auth.Method
		received bool
		spf      AuthSPF
	}{
		{"pymilter.cfg", "", all, true, AuthSPF{Lax: true}},
		{"pymilter.cfg", "[spf]\nbest_guess=yes\ntrusted_forwarder=A.example,b.example", all, true, AuthSPF{Lax: true, Guess: "v=spf1 a/24 mx/24 ptr", Forwarders: []string{"a.example", "b.example"}}},
		{"spfmilter.cfg", "[spf]\ntrusted_forwarder=a.example", []auth.Method{auth.Auth, auth.SPF, auth.Helo}, true, AuthSPF{Forwarders: []string{"a.example"}}},
		{"dkim-milter.cfg", "", []auth.Method{auth.Auth, auth.DKIM}, false, AuthSPF{}},
		{"dkim-milter.cfg", "[dkim]\nreject=all", []auth.Method{auth.Auth, auth.SPF, auth.DKIM, auth.DMARC}, false, AuthSPF{}},
	} {
		c, text, _ := imported(t, tt.name, tt.in)
		o := c.filter("auth").Options.(*Auth)
		got := AuthSPF{Lax: o.SPF.Lax, Guess: o.SPF.Guess, Forwarders: o.SPF.Forwarders}
		if len(got.Forwarders) == 0 {
			got.Forwarders = nil
		}
		if diff := cmp.Diff(tt.spf, got); diff != "" || !slices.Equal(o.Methods, tt.methods) || o.ReceivedSPF != tt.received || o.DMARC.Action != auth.Report {
			t.Errorf("%s: methods %v, received_spf %v, dmarc %v, spf (-want +got):\n%s\n%s", tt.name, o.Methods, o.ReceivedSPF, o.DMARC.Action, diff, text)
		}
	}
}

// What the access file says: named where all of it has an effect, else written out.
func TestImportedAccessFiles(t *testing.T) {
	for _, tt := range []struct {
		name, app, options, file string
		syntax                   policy.Syntax
		rules                    []string // that are written out of it, as "KEY WORD"
		left                     string   // each line of it begins a line of what is left, of this option
	}{
		{"all has an effect", "pymilter.cfg", "", "From:x RELAY\nSPF-Fail:example.com OK\nSMTP-Auth:jane@example.com OK\n", policy.Sendmail, nil, ""},
		{"by postmap", "pymilter.cfg", "access_file_nulls=yes", "spf-fail:example.com OK\n", policy.Postfix, nil, "-"},
		{"lines that continue", "pymilter.cfg", "", "spf-fail:example.com\n  OK\n", policy.Postfix, nil, ""},
		{"keys with !", "pymilter.cfg", "access_file_colon=no", "spf-fail!example.com OK\n", policy.Sendmail, nil, "-"},
		{"HELO and DKIM", "pymilter.cfg", "", "helo-fail:example.com OK\n", policy.Sendmail, nil, "HELO- and DKIM- keys, which bms never found"},
		{"the same of spfmilter", "spfmilter.cfg", "", "helo-fail:example.com OK\n", policy.Sendmail, nil, ""},
		{"call-backs", "pymilter.cfg", "", "SPF-None: CBV\nSPF-Softfail:a.example DSN\nSPF-Softfail:b.example CBV\nspf-neutral CBV\nHELO-Fail:c.example CBV\nSMTP-Auth:d.example CBV\n", policy.Sendmail,
			[]string{"SPF-None: OK", "SPF-Softfail:a.example OK", "SPF-Softfail:b.example OK", "spf-neutral OK", "HELO-Fail:c.example OK", "SMTP-Auth:d.example REJECT"},
			"SPF-None: CBV, SPF-Softfail:a.example DSN, SPF-Softfail:b.example CBV and 3 more: there is no filter yet\nwhat F says\nHELO-"},
		{"call-backs of spfmilter", "spfmilter.cfg", "", "SPF-Softfail:b.example CBV\nHELO-Fail:c.example CBV\n", policy.Sendmail,
			[]string{"SPF-Softfail:b.example OK", "HELO-Fail:c.example REJECT"}, "SPF-Softfail:b.example CBV, HELO-Fail:c.example CBV: there is no filter yet\nwhat F says"},
		{"words that nobody knows", "pymilter.cfg", "", "# x\nSPF-None\tSTRICT\nspf-fail:example.com OK\n", policy.Sendmail, []string{"SPF-None REJECT", "spf-fail:example.com OK"},
			`F:2: "STRICT" is none of OK, CBV, DSN, QUARANTINE, TEMPFAIL, DISCARD, REJECT, WHITELIST, BAN; REJECT is written` + "\nwhat F says"},
		{"words that nobody knows, of spfmilter", "spfmilter.cfg", "", "SPF-None MAYBE\nHELO-Fail MAYBE\n", policy.Sendmail, []string{"SPF-None OK", "HELO-Fail REJECT"},
			`F:1: "MAYBE" is none` + "\n" + `F:2: "MAYBE" is none` + "\nwhat F says"},
		{"keys that are wrong", "pymilter.cfg", "", "spf-fial:x STRICT\nspf-fail:a..example MAYBE\nspf-none:x REJECT\n", policy.Sendmail, []string{"spf-none:x REJECT"},
			`F:1: "spf-fial" is none of spf-pass` + "\nF:2: spf-fail:a..example: address: not a domain\nwhat F says"},
		{"replies that nobody can be told", "pymilter.cfg", "", "spf-fail:x 550 5.7.1 \"no\"\nspf-none:x ERROR:5.7.1:250 no\n", policy.Sendmail, []string{`spf-fail:x REJECT 550 5.7.1 "no"`, "spf-none:x REJECT"}, "F:2: code 250\nwhat F says"},
		{"a key twice", "pymilter.cfg", "", "spf-none:x OK\nSPF-None!X REJECT\n", policy.Sendmail, []string{"spf-none:x OK"}, "F:2: SPF-None!X is OK before, and REJECT here\nwhat F says"},
		{"a name in two ways", "pymilter.cfg", "", "spf-none:b\u00fccher.example CBV\nspf-none:xn--bcher-kva.example OK\nspf-none:XN--bcher-kva.example OK\nspf-fail OK\n", policy.Sendmail, []string{"spf-none:b\u00fccher.example OK", "spf-fail OK"},
			"F:2: spf-none:xn--bcher-kva.example is CBV before, and OK here\nF:3: spf-none:XN--bcher-kva.example is CBV before\nspf-none:b\u00fccher.example CBV: there is no\nwhat F says"},
		{"bans", "pymilter.cfg", "", "spf-none:x BAN\nspf-none:y WHITELIST\n", policy.Sendmail, nil, "BAN refuses the message;\nWHITELIST is over what"},
		{"nothing for us", "pymilter.cfg", "", "From:x RELAY\n", policy.Sendmail, nil, "F has no SPF-, HELO-, DKIM- or SMTP-Auth- keys"},
		{"neutral and none of spfmilter", "spfmilter.cfg", "", "SPF-Neutral:a.example REJECT\n", policy.Sendmail, nil, "spfmilter went by SPF-Neutral for mail without a record, too"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, "access", tt.file)
			c, text, left := imported(t, tt.app, "[spf]\naccess_file="+file+".db\n"+tt.options)
			o := c.filter("access").Options.(*Access)
			var rules []string
			for _, r := range o.Rules {
				for _, k := range r.Keys {
					if r.Name == "" {
						rules = append(rules, k+" "+r.Do)
					}
				}
			}
			slices.Sort(rules)
			slices.Sort(tt.rules)
			if diff := cmp.Diff(tt.rules, rules); diff != "" {
				t.Errorf("written out (-want +got):\n%s\n%s", diff, text)
			}
			if named := len(o.Maps) == 1 && o.Maps[0].File == file && o.Maps[0].Syntax == tt.syntax; named != (tt.rules == nil && tt.name != "nothing for us") {
				t.Errorf("maps %+v", o.Maps)
			}
			var rest []string
			for _, l := range left {
				if l, ok := strings.CutPrefix(l, "[spf] access_file: "); ok {
					rest = append(rest, strings.ReplaceAll(l, file, "F"))
				}
			}
			want := slices.Collect(strings.SplitSeq(strings.Trim(tt.left, "-"), "\n"))
			if tt.left == "" || tt.left == "-" {
				want = nil
			}
			if !slices.EqualFunc(want, rest, func(w, l string) bool { return strings.HasPrefix(l, w) }) {
				t.Errorf("left\n%s\nwant\n%s", strings.Join(rest, "\n"), tt.left)
			}
		})
	}
}

// A file with more wrong lines than one would read is left out, in little time.
func TestImportedAccessFileOfAnotherKind(t *testing.T) {
	file := write(t, "access", strings.Repeat("spf-x:y z\n", 20_000))
	_, _, left := imported(t, "pymilter.cfg", "[spf]\naccess_file="+file)
	if last := left[len(left)-1]; !strings.Contains(strings.Join(left, "\n"), "has more lines that are wrong, and is left out") {
		t.Errorf("%d lines are left, the last %q", len(left), last)
	}
}

// One that is too long to be written out stays where it is, and its policies are not looked for in it.
func TestImportedAccessFileThatIsLong(t *testing.T) {
	file := write(t, "access", "spf-fail CBV\n"+strings.Repeat("spf-none:"+strings.Repeat("long.", 30)+"example OK\n", 10_000))
	c, text, left := imported(t, "pymilter.cfg", "[spf]\naccess_file="+file)
	if o := c.filter("access").Options.(*Access); len(o.Maps) > 0 || !strings.Contains(text, "\n#file = "+quote(file)+"\n") || !strings.Contains(text, `keys = ["spf-fail", "spf-permerror"]`) || len(text) > 100_000 {
		t.Errorf("%d maps, %d bytes:\n%.5000s", len(o.Maps), len(text), text)
	}
	if last := left[len(left)-1]; !strings.Contains(last, "is too long to be written out") {
		t.Errorf("the last that is left is %q", last)
	}
}

const importedZone = `
fail.example TXT "v=spf1 -all"
soft.example TXT "v=spf1 ~all"
neutral.example TXT "v=spf1 ?all"
pass.example TXT "v=spf1 +all"
broken.example TXT "v=spf1 nonsense -all"
slow.example TIMEOUT
forwarder.example TXT "v=spf1 ip4:198.51.100.7 -all"
guess.example A 198.51.100.8
ours.example TXT "v=spf1 ip4:203.0.113.1"
`

// What becomes of mail is what became of it, by the policies of bms, of its options, and of the access file,
// which went before both.
func TestImportedPolicies(t *testing.T) {
	for _, tt := range []struct {
		name, app, options, access string
		helo, from, user, ip       string
		want                       string
	}{
		{"fail", "pymilter.cfg", "", "", "", "<a@fail.example>", "", "", "reject 5.7.23"},
		{"softfail", "pymilter.cfg", "", "", "", "<a@soft.example>", "", "", "accept"},
		{"neutral", "pymilter.cfg", "", "", "", "<a@neutral.example>", "", "", "accept"},
		{"none", "pymilter.cfg", "", "", "", "<a@none.example>", "", "", "accept"},
		{"permerror, read laxly", "pymilter.cfg", "", "", "", "<a@broken.example>", "", "", "reject 5.7.23"},
		{"temperror", "pymilter.cfg", "", "", "", "<a@slow.example>", "", "", "tempfail 4.7.24"},
		{"HELO neutral", "pymilter.cfg", "", "", "neutral.example", "<a@none.example>", "", "", "reject 5.7.23"},
		{"numeric HELO", "pymilter.cfg", "", "", "198.51.100.9", "<a@pass.example>", "", "", "reject 5.7.1"},
		{"hello_blacklist", "pymilter.cfg", "[milter]\nhello_blacklist=mx.ours.example", "", "MX.ours.example", "<a@pass.example>", "", "", "reject 5.7.1"},

		{"accept_fail", "pymilter.cfg", "[spf]\naccept_fail=Fail.example", "", "", "<a@fail.example>", "", "", "accept"},
		{"accept_fail, of another", "pymilter.cfg", "[spf]\naccept_fail=none.example", "", "", "<a@fail.example>", "", "", "reject 5.7.23"},
		{"reject_neutral, which bms forgot", "pymilter.cfg", "[spf]\nreject_neutral=neutral.example", "", "", "<a@neutral.example>", "", "", "reject 5.7.23"},
		{"reject_neutral of softfail", "pymilter.cfg", "[spf]\nreject_neutral=soft.example", "", "", "<a@soft.example>", "", "", "reject 5.7.23"},
		{"accept_softfail goes before it", "pymilter.cfg", "[spf]\nreject_neutral=soft.example\naccept_softfail=soft.example", "", "", "<a@soft.example>", "", "", "accept"},
		{"trusted_forwarder", "pymilter.cfg", "[spf]\ntrusted_forwarder=forwarder.example", "", "", "<a@fail.example>", "", "198.51.100.7", "accept"},
		{"trusted_forwarder, another host", "pymilter.cfg", "[spf]\ntrusted_forwarder=forwarder.example", "", "", "<a@fail.example>", "", "", "reject 5.7.23"},
		{"best_guess", "pymilter.cfg", "[spf]\nbest_guess=1", "SPF-None REJECT", "", "<a@guess.example>", "", "198.51.100.9", "accept"},
		{"without best_guess", "pymilter.cfg", "", "SPF-None REJECT", "", "<a@guess.example>", "", "198.51.100.9", "reject 5.7.23"},

		{"a stranger as one of ours", "pymilter.cfg", "[milter]\ninternal_domains=none.example", "", "", "<a@none.example>", "", "", "reject 5.7.23"},
		{"and as one below", "pymilter.cfg", "[milter]\ninternal_domains=*.none.example", "", "", "<a@b.none.example>", "", "", "reject 5.7.23"},
		{"a user of ours", "pymilter.cfg", "[milter]\ninternal_domains=none.example", "", "", "<a@none.example>", "joe", "", "accept"},
		{"a user as another", "pymilter.cfg", "[milter]\ninternal_domains=none.example", "", "", "<a@pass.example>", "joe", "", "reject 5.7.1"},
		{"a user's reports", "pymilter.cfg", "[milter]\ninternal_domains=none.example", "", "", "<>", "joe", "", "accept"},
		{"a user who may", "pymilter.cfg", "[milter]\ninternal_domains=none.example", "SMTP-Auth:joe@pass.example OK", "", "<a@pass.example>", "joe", "", "accept"},
		{"a user who may not", "pymilter.cfg", "[milter]\ninternal_domains=none.example", "SMTP-Auth:none.example REJECT", "", "<a@none.example>", "joe", "", "reject 5.7.1"},
		{"a user where nothing is said", "pymilter.cfg", "", "", "", "<a@pass.example>", "joe", "", "accept"},

		{"the file says fail is OK", "pymilter.cfg", "", "SPF-Fail: OK", "", "<a@fail.example>", "", "", "accept"},
		{"in the other way", "pymilter.cfg", "", "SPF-Fail OK", "", "<a@fail.example>", "", "", "accept"},
		{"it goes before accept_fail", "pymilter.cfg", "[spf]\naccept_fail=fail.example", "SPF-Fail: REJECT", "", "<a@fail.example>", "", "", "reject 5.7.23"},
		{"it goes before reject_neutral", "pymilter.cfg", "[spf]\nreject_neutral=neutral.example", "SPF-Neutral:.example OK", "", "<a@neutral.example>", "", "", "accept"},
		{"it knows a call-back of fail", "pymilter.cfg", "", "SPF-Fail:fail.example CBV", "", "<a@fail.example>", "", "", "accept"},
		{"it is silent of others", "pymilter.cfg", "", "SPF-Fail:a.example OK", "", "<a@fail.example>", "", "", "reject 5.7.23"},
		{"HELO in the file, which bms never found", "pymilter.cfg", "", "HELO-Neutral:neutral.example OK", "neutral.example", "<a@none.example>", "", "", "accept"},

		{"spfmilter: fail", "spfmilter.cfg", "", "", "", "<a@fail.example>", "", "", "reject 5.7.23"},
		{"spfmilter: softfail", "spfmilter.cfg", "", "", "", "<a@soft.example>", "", "", "accept"},
		{"spfmilter: softfail by the file", "spfmilter.cfg", "", "SPF-SoftFail REJECT", "", "<a@soft.example>", "", "", "reject 5.7.23"},
		{"spfmilter: permerror", "spfmilter.cfg", "", "", "", "<a@broken.example>", "", "", "reject 5.7.24"},
		{"spfmilter: temperror", "spfmilter.cfg", "", "", "", "<a@slow.example>", "", "", "tempfail 4.7.24"},
		{"spfmilter: HELO fail", "spfmilter.cfg", "", "", "fail.example", "<a@neutral.example>", "", "", "reject 5.7.23"},
		{"spfmilter: HELO fail, and a pass", "spfmilter.cfg", "", "", "fail.example", "<a@pass.example>", "", "", "accept"},
		{"spfmilter: trusted_relay", "spfmilter.cfg", "[milter]\ntrusted_relay=198.51.100.0/24", "", "", "<a@fail.example>", "", "198.51.100.7", "accept"},
		{"spfmilter: internal_connect", "spfmilter.cfg", "[milter]\ninternal_connect=198.51.100.0/24", "", "", "<a@fail.example>", "", "198.51.100.7", "accept"},
		{"spfmilter: a bad user", "spfmilter.cfg", "", "SMTP-Auth:joe@pass.example OK\nSMTP-Auth:pass.example REJECT", "", "<a@pass.example>", "ann", "", "reject 5.7.1"},
		{"spfmilter: a good user", "spfmilter.cfg", "", "SMTP-Auth:joe@pass.example OK\nSMTP-Auth:pass.example REJECT", "", "<a@pass.example>", "joe", "", "accept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.options
			if tt.access != "" {
				option := "access_file=" + write(t, "access", tt.access+"\n") + "\n"
				if before, after, ok := strings.Cut(in, "[spf]\n"); ok {
					in = before + "[spf]\n" + option + after
				} else {
					in += "\n[spf]\n" + option
				}
			}
			c, text, _ := imported(t, tt.app, in)
			if tt.helo == "" {
				tt.helo = "mx.none.example"
			}
			if tt.ip == "" {
				tt.ip = "192.0.2.25"
			}
			m := miltertest.Mail{Helo: tt.helo, From: tt.from}
			if tt.user != "" {
				m.Macros = map[string]string{"auth_authen": tt.user, "auth_type": "PLAIN"}
			}
			x := playAccess(t, c, importedZone, m, tt.ip)
			got := x.Verdict
			if x.Reply != nil {
				got += " " + x.Reply.Enhanced
			}
			if got != tt.want {
				t.Errorf("%s, want %s\n%s\n%s", got, tt.want, x, text)
			}
		})
	}
}

// on_error is that of both filters.
func TestImportedExceptions(t *testing.T) {
	for value, want := range map[string]filter.OnError{"CONTINUE": filter.ErrorAccept, "TEMPFAIL": filter.ErrorTempFail, "REJECT": filter.ErrorReject} {
		c, _, _ := imported(t, "spfmilter.cfg", fmt.Sprintf("[milter]\nuntrapped_exception = %s\n", value))
		for _, name := range []string{"auth", "access"} {
			if got := c.filter(name).OnError; got != want {
				t.Errorf("%s: on_error of %s is %v", value, name, got)
			}
		}
	}
}

// Signatures are seen whatever is logged of the header: log_headers turned them off (D-07, DKIM-10).
func TestLoggedFieldsAreVerified(t *testing.T) {
	const rule = "[[listener]]\nsocket = 'inet:8891@127.0.0.1'\nchain = ['headers', 'auth']\n[filter.auth]\nmethods = ['dkim']\n" +
		"[[filter.headers.rule]]\nfields = ['DKIM-Signature', 'Subject', 'From', 'Received']\nmatch = 'present'\naction = 'note'\n"
	x := playAccess(t, parse(t, rule), "", miltertest.Mail{Text: "Received: \r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=eA==; b=eA==\r\nFrom: a@example.com\r\nSubject: x\r\n\r\nx\r\n"}, "192.0.2.25")
	if len(x.Edits) != 1 || !strings.Contains(x.Edits[0].Value, "dkim=neutral") || strings.Contains(x.Edits[0].Value, "dkim=none") {
		t.Errorf("what is written of the signature: %+v\n%s", x.Edits, x)
	}
	if !strings.Contains(x.String(), "DKIM-Signature") {
		t.Errorf("the field was not noted:\n%s", x)
	}
}
