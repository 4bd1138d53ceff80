package config

import (
	"strings"
	"time"
	"unicode"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/scan"
)

var scanKind = filterKind{
	name: "scan",
	doc:  "has messages looked at by clamd, spamd or rspamd",
	options: func() any {
		return &Scan{Servers: []string{}, Connect: 5 * time.Second, Timeout: 30 * time.Second, Total: 90 * time.Second, Retries: 2, Pause: 2 * time.Second,
			Rest: time.Minute, MaxAnswer: 1 << 20, Scores: []ScanScore{}, OnLarge: scan.Tag, OnDown: scan.TempFail}
	},
	fill:  func(o any) { o.(*Scan).fill() },
	build: func(b *build) *filter.Filter { return b.filter.Options.(*Scan).build(b) },
}

// Scan is the table of a filter of kind scan.
type Scan struct {
	Scanner    scan.Scanner  `toml:"scanner" doc:"what is asked; there is no default"`
	Servers    []string      `toml:"servers" doc:"where scanners listen: unix:/path, inet:port@host or host:port; they are asked in this order until one answers"`
	RoundRobin bool          `toml:"round_robin" doc:"let each message begin with another server"`
	Connect    time.Duration `toml:"connect" doc:"for a server to take a connection"`
	Timeout    time.Duration `toml:"answer" doc:"for one server to answer"`
	Total      time.Duration `toml:"total" doc:"for all that is tried for a message"`
	Retries    int           `toml:"retries" opt:"min=0" doc:"how often all servers are asked again when none answered, as while a scanner loads new signatures"`
	Pause      time.Duration `toml:"pause" doc:"before they are asked again"`
	Rest       time.Duration `toml:"rest" doc:"how long a server that failed is asked after all others"`
	MaxSize    Size          `toml:"max_size" default:"25 MiB for clamd, 512 KiB for spamd, 50 MiB for rspamd" doc:"the largest message that is scanned"`
	MaxAnswer  Size          `toml:"max_answer" doc:"the longest answer that is read"`
	Found      scan.Action   `toml:"found" default:"reject for clamd, tag for the others" doc:"what happens to a message that is bad by the scanner's own measure"`
	Scores     []ScanScore   `toml:"scores" doc:"what happens from a score on, by the count of spamd or rspamd; the stricter of it and found counts"`
	Follow     bool          `toml:"follow" doc:"do what rspamd advises, where that is stricter"`
	ApplyEdits bool          `toml:"apply_edits" doc:"add and remove the header fields that rspamd asks for"`
	OnLarge    scan.Action   `toml:"on_large" doc:"what happens to a message that is too large to be scanned; tag-subject and discard are not for it"`
	OnDown     scan.Action   `toml:"on_down" doc:"what happens when no server answers; tag-subject and discard are not for it"`
	Field      string        `toml:"field" default:"X-Virus for clamd, X-Spam for the others" doc:"begins the names of header fields: -Status, -Flag, -Score and -Level are added to it"`
	TagClean   bool          `toml:"tag_clean" doc:"add them to messages that are not bad, too"`
	SubjectTag string        `toml:"subject_tag" default:"[VIRUS] for clamd, [SPAM] for the others" doc:"what tag-subject writes"`
	User       string        `toml:"user" doc:"whose preferences spamd takes; empty for its own"`
	Password   Secret        `toml:"password" example:"\"shhh\"" doc:"rspamd's, for controllers"`
	Edited     bool          `toml:"edited" doc:"scan messages as the filters before left them, in place of as they were received"`
}

// A ScanScore is what happens from a score on.
type ScanScore struct {
	From   float64     `toml:"from" doc:"the least score"`
	Action scan.Action `toml:"action" doc:"what happens"`
}

// fill gives what depends on the scanner its default.
func (o *Scan) fill() {
	size, field, tag, found := Size(0), "X-Spam", "[SPAM]", scan.Tag
	switch o.Scanner {
	case scan.Clamd:
		size, field, tag, found = 25<<20, "X-Virus", "[VIRUS]", scan.Reject
	case scan.Spamd:
		size = 512 << 10
	case scan.Rspamd:
		size = 50 << 20
	default:
		return
	}
	if o.MaxSize == 0 {
		o.MaxSize = size
	}
	if o.Field == "" {
		o.Field = field
	}
	if o.SubjectTag == "" {
		o.SubjectTag = tag
	}
	if o.Found == scan.Default {
		o.Found = found
	}
}

func (o *Scan) build(b *build) *filter.Filter {
	if o.Scanner == 0 {
		b.bad("scanner", "it needs one of clamd, spamd, rspamd")
		return nil
	}
	retries := o.Retries
	if retries == 0 {
		retries = -1
	}
	options := scan.Options{Scanner: o.Scanner, Servers: o.Servers, RoundRobin: o.RoundRobin, Connect: o.Connect, Timeout: o.Timeout, Total: o.Total,
		Retries: retries, Pause: o.Pause, Rest: o.Rest, MaxSize: int64(o.MaxSize), MaxAnswer: int64(o.MaxAnswer), Found: o.Found, Follow: o.Follow,
		ApplyEdits: o.ApplyEdits, OnLarge: o.OnLarge, OnDown: o.OnDown, Field: o.Field, TagClean: o.TagClean, SubjectTag: o.SubjectTag,
		User: o.User, Password: o.Password.Reveal(), Edited: o.Edited}
	for i, s := range o.Scores {
		if s.Action == scan.Default {
			b.bad(element("scores", i)+".action", "it has none")
		}
		options.Scores = append(options.Scores, scan.Threshold{Score: s.From, Action: s.Action})
	}
	if o.Scanner != scan.Rspamd {
		for _, k := range []struct {
			key string
			set bool
		}{{"password", o.Password.Reveal() != ""}, {"follow", o.Follow}, {"apply_edits", o.ApplyEdits}} {
			if k.set {
				b.bad(k.key, "it is for rspamd, and the scanner is %v", o.Scanner)
			}
		}
		options.Password, options.Follow, options.ApplyEdits = "", false, false // they were told
	}
	if o.Scanner != scan.Spamd && o.User != "" {
		b.bad("user", "it is for spamd, and the scanner is %v", o.Scanner)
		options.User = ""
	}
	for _, a := range []struct {
		key    string
		action scan.Action
	}{{"on_large", o.OnLarge}, {"on_down", o.OnDown}} {
		if a.action == scan.TagSubject || a.action == scan.Discard {
			b.bad(a.key, "%v is not for messages that were not scanned; write one of accept, tag, quarantine, tempfail, reject", a.action)
		}
	}
	for i, s := range o.Servers {
		if strings.Contains(s, ",") || strings.ContainsFunc(s, unicode.IsSpace) {
			b.bad(element("servers", i), "%q has a comma or a blank; write one server each", s)
			continue
		}
		if _, err := scan.New("x", scan.Options{Scanner: o.Scanner, Servers: []string{s}}); err != nil {
			b.bad(element("servers", i), "%s", reason(err, scan.ErrOptions))
		}
	}
	if o.OnDown == scan.Accept || o.OnDown == scan.Tag {
		b.warn("on_down", "messages pass unscanned while no server answers (fail-open)")
	}
	if end := b.config.Timeouts.FiltersEnd; o.Total >= end || b.filter.Timeout > 0 && o.Total >= b.filter.Timeout {
		b.warn("total", "the time of the filter or of the chain ends before, and on_error counts in place of on_down")
	}
	if o.Timeout > o.Total {
		b.warn("answer", "it is more than total, %s, after which no server is waited for", formatDuration(o.Total))
	}
	if b.failed {
		return nil
	}
	f, err := scan.New(b.filter.Name, options)
	if err != nil {
		for _, e := range unjoin(err) {
			text := reason(e, scan.ErrOptions)
			key, words := scanKey(text)
			b.bad(key, "%s", words)
		}
		return nil
	}
	return f
}

// scanKey returns the key that an error of package scan is about, by its words, and the error
// in words of the configuration; "" for the table.
func scanKey(text string) (key, words string) {
	for _, m := range []struct{ begins, key string }{
		{"clamd gives no scores", "scores"}, {"User ", "user"}, {"Password ", "password"}, {"Field ", "field"}, {"SubjectTag ", "subject_tag"},
		{"there is no server", "servers"}, {"server ", "servers"},
	} {
		if rest, ok := strings.CutPrefix(text, m.begins); ok {
			if strings.ToLower(m.begins) != m.begins { // the name of a field in Go, and the key stands before it
				return m.key, rest
			}
			if m.begins == "there is no server" {
				text += "; write servers = [\"unix:/run/...\"] or [\"127.0.0.1:3310\"]"
			}
			return m.key, text
		}
	}
	return "", text
}
