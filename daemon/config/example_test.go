package config_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/roff"
	"github.com/gomilter/gomilter/quarantine"
)

const text = `
[[listener]]
socket = "inet:8891@127.0.0.1"
chain = ["attachments", "subjects"]

[filter.attachments]
mode = "report"
actions = { encrypted = "quarantine" }
applies = { class = ["external"], not_from = ["@partner.example"] }

[filter.subjects]
kind = "headers"
[[filter.subjects.rule]]
fields = ["Subject"]
match = "contains"
values = ["lottery"]
action = "tag"
edit = { value = "[junk?]" }
`

func load(text string) *config.Source {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "gomilter.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		log.Fatal(err)
	}
	src, err := config.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	return src
}

func Example() {
	var src *config.Source = load(text)
	c, problems := src.Parse()
	if err := problems.Err(); err != nil {
		log.Fatal(err)
	}
	kept, err := os.MkdirTemp("", "kept")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(kept)
	originals, err := quarantine.Open(kept, c.Kept.Options())
	if err != nil {
		log.Fatal(err)
	}
	l := &c.Listeners[0]
	chain, err := l.NewChain(config.Env{Originals: originals})
	if err != nil {
		log.Fatal(err)
	}
	srv := l.Server()
	srv.New = chain.Hooks
	for _, s := range chain.Steps {
		fmt.Println(s.Filter.Name, s.Mode, s.Classes)
	}
	fmt.Println(srv.MaxRcpts, l.SocketOptions().Mode)
	// Output:
	// attachments report [external]
	// subjects on []
	// 1000 ----------
}

// What is missing is told at once, what is wrong by Parse.
func ExampleLoad() {
	_, err := config.Load("/none/such.toml")
	fmt.Println(err)
	// Output: config: open /none/such.toml: no such file or directory
}

func ExampleImportPymilter() {
	old := "[milter]\nsocket = inet:8892@127.0.0.1\n[defang]\nbanned_exts = exe, scr\n[greylist]\ndbfile = grey.db\n"
	text, left, err := config.ImportPymilter(strings.NewReader(old), "pymilter.cfg")
	if err != nil {
		log.Fatal(err)
	}
	c, problems := load(string(text)).Parse()
	if err := problems.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Listeners[0].Socket, left)
	// Output: inet:8892@127.0.0.1 [[greylist] dbfile: no greylisting yet]
}

func ExampleParseDuration() {
	d, err := config.ParseDuration("1w3d12h")
	fmt.Println(d, err)

	_, err = config.ParseDuration("7")
	fmt.Println(err)
	// Output:
	// 252h0m0s <nil>
	// "7" is no time; write it with a unit: "300ms", "5s", "10m", "8h", "7d"
}

func ExampleDNS() {
	c, problems := load("[dns]\nservers = [\"127.0.0.1\"]\nlife = \"1m\"\n" + text).Parse()
	if err := problems.Err(); err != nil {
		log.Fatal(err)
	}
	var d config.DNS = c.DNS
	fmt.Println(d.Servers, d.Life, d.Timeout)

	r, err := c.Resolver() // what its filters ask; nobody is asked before they do
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseResolver()
	fmt.Println(r.Stats().Asked)
	// Output:
	// [127.0.0.1] 1m0s 5s
	// 0
}

func ExampleSource_Parse() {
	_, problems := load(strings.Replace(text, "lottery\"", "(\"", 1) + "mach = 'glob'\n").Parse()
	var all config.Problems = problems
	for _, p := range all {
		p.File = filepath.Base(p.File)
		fmt.Println(p)
	}
	var first config.Problem = all[0]
	fmt.Println(first.Line, first.Key, len(all.Warnings()))
	// Output:
	// gomilter.toml:19:1: filter.subjects.rule[1].mach: there is no such key; did you mean "match"?
	// 19 filter.subjects.rule[1].mach 0
}

// What each table of a configuration becomes.
func ExampleConfig() {
	var c *config.Config
	c, _ = load("[log]\nlevel = 'debug'\n[http]\nlisten = '127.0.0.1:9109'\n" + text).Parse()
	var (
		logs     config.Log       = c.Log
		format   config.LogFormat = logs.Format
		level    config.LogLevel  = logs.Level
		http     config.HTTP      = c.HTTP
		control  config.Control   = c.Control
		kept     config.Kept      = c.Kept
		size     config.Size      = kept.MaxSize
		network  config.Network   = c.Network
		spool    config.Spool     = c.Spool
		watch    config.Watch     = c.Watch
		listener config.Listener  = c.Listeners[0]
		timeouts config.Timeouts  = listener.Timeouts
		limits   config.Limits    = listener.Limits
	)
	fmt.Println(logs.To, format, level, http.Listen, control.Socket)
	fmt.Println(kept.Dir, size, network.Internal, spool.Memory, watch.Lists)
	fmt.Println(listener.Socket, timeouts.End, limits.Headers)
	// Output:
	// stderr text debug 127.0.0.1:9109 /run/gomilter/control.sock
	// /var/lib/gomilter/kept 1 GiB [127.0.0.1/32 ::1/128] 1 MiB true
	// inet:8891@127.0.0.1 4m0s 1000
}

func ExampleFilter() {
	c, _ := load(text + "[filter.html]\nmarker = 'gone: '\n[filter.viruses]\nkind = 'scan'\nscanner = 'clamd'\nservers = ['unix:/run/clamav/clamd.ctl']\n").Parse()
	for _, f := range c.Filters {
		var f config.Filter = f
		var a config.Applies = f.Applies
		switch o := f.Options.(type) {
		case *config.Attachments:
			var actions config.AttachmentActions = o.Actions
			var archives config.Archives = o.Archives
			var reply config.Reply = o.Reply
			fmt.Println(f.Name, f.Mode == filter.Report, actions.Encrypted, archives.Depth, reply.Code, a.NotFrom)
		case *config.Headers:
			var rule config.HeaderRule = o.Rules[0]
			var edit config.HeaderEdit = rule.Edit
			fmt.Println(f.Name, rule.Match, rule.Values, rule.Action, edit.Value)
		case *config.HTML:
			fmt.Printf("%s %q\n", f.Name, o.Marker)
		case *config.Scan:
			var scores []config.ScanScore = o.Scores
			fmt.Println(f.Name, o.Scanner, o.Found, len(scores))
		}
	}
	// Output:
	// attachments true quarantine 5 550 [@partner.example]
	// subjects contains [lottery] tag [junk?]
	// html "gone: "
	// viruses clamd reject 0
}

func ExampleConfig_Show() {
	c, _ := load(text).Parse()
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(c.Show(pw)) }()
	shown, err := io.ReadAll(pr)
	if err != nil {
		log.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(shown), "[network]\n")
	network, _, _ := strings.Cut(rest, "\n\n")
	fmt.Println(network)
	// Output:
	// internal = ["127.0.0.1", "::1"] # default
	// trusted_relays = [] # default
}

// A Secret is printed by nobody.
func ExampleSecret() {
	var password config.Secret
	fmt.Printf("%q %q\n", password, password.Reveal())
	// Output: "" ""
}

// The full example and the reference are made of the types.
func ExampleReference() {
	var reference, example strings.Builder
	if err := config.Reference(&reference); err != nil {
		log.Fatal(err)
	}
	if err := config.Example(&example); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(reference.String(), "| `trusted_relays` |"), strings.Contains(example.String(), "#trusted_relays = []"))
	// Output: true true
}

func ExampleManual() {
	var b strings.Builder
	p := roff.New(&b, roff.Title{Name: "gomilter.toml", Section: 5})
	config.Manual(p)
	if err := p.Flush(); err != nil {
		panic(err)
	}
	_, about, _ := strings.Cut(b.String(), `.SS "[control]"`)
	fmt.Println(strings.Join(strings.SplitAfterN(about, "\n", 7)[:6], ""))
	// Output:
	//
	// The socket for gomilter ctl.
	// .TP
	// \fBsocket\fR
	// The path of the socket; empty for none.
	// .IP
}
