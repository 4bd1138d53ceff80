package config

import (
	"strings"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/policy"
)

// A filterKind is what a table [filter.NAME] may make. Each has a file of its own, with its
// table and how that becomes a filter, and a line in kinds.
type filterKind struct {
	name string
	doc  string // what it does, for the reference

	// options returns a pointer to the struct of its table, with the defaults.
	options func() any

	// fill gives what depends on other keys its default, when all are read; it may be nil.
	fill func(options any)

	// build makes the filter. What is wrong with the table it tells with bad, of keys
	// as many as it can, and returns nil then.
	build func(b *build) *filter.Filter

	// tells returns the identities whose checks its filters do, and tell as facts; nil for none.
	tells func(options any) []policy.Identity

	// carries are the words of policies that its filters carry out for filters before them.
	carries []policy.Word
}

// kinds are all there are, in the order of the reference.
var kinds = []filterKind{attachmentsKind, htmlKind, headersKind, scanKind, authKind, accessKind, signKind}

func kindOf(name string) (filterKind, bool) {
	for _, k := range kinds {
		if k.name == name {
			return k, true
		}
	}
	return filterKind{}, false
}

// A build is the making of one filter.
type build struct {
	env     Env
	config  *Config
	filter  *Filter
	told    []policy.Identity // what filters before it in the chain check, if it is made for one
	places  places
	problem func(Problem)
	failed  bool
}

// at returns where a key of the filter's table stands, and its whole name.
func (b *build) at(key string) (place, string) {
	whole := joinPath("filter", b.filter.Name)
	if key != "" {
		whole += "." + key
	}
	return b.places.of(whole), whole
}

// bad tells what is wrong with a key of the filter's table, such as "rule[1].values[2]";
// counting is from 1, and "" is the table itself.
func (b *build) bad(key, format string, args ...any) {
	at, whole := b.at(key)
	b.failed = true
	b.problem(at.problem(whole, format, args...))
}

// warn tells what is unwise with a key of the filter's table.
func (b *build) warn(key, format string, args ...any) {
	at, whole := b.at(key)
	p := at.problem(whole, format, args...)
	p.Warning = true
	b.problem(p)
}

// dir returns the folder for temporary files.
func (b *build) dir() string {
	if b.env.Dir != "" {
		return b.env.Dir
	}
	return b.config.Spool.Dir
}

// reason drops the words that begin each error of a package.
func reason(err error, sentinel error) string {
	s := strings.ReplaceAll(err.Error(), sentinel.Error()+": ", "")
	return strings.ReplaceAll(s, "\n", "; ")
}

// step makes a step of a chain. It returns false when a problem was told.
func (b *build) step() (filter.Step, bool) {
	k, ok := kindOf(b.filter.Kind)
	if !ok || b.filter.Options == nil {
		b.bad("kind", "no kind of filter is called %q", b.filter.Kind)
		return filter.Step{}, false
	}
	f := k.build(b)
	applies := b.filter.Applies.compile(b)
	classes := b.filter.Applies.classes()
	if classes != nil && len(classes) == 0 {
		b.bad("applies", "no class of messages is left")
	}
	if b.failed || f == nil {
		return filter.Step{}, false
	}
	return filter.Step{Filter: f, Mode: b.filter.Mode, OnError: b.filter.OnError, OnRepeat: b.filter.OnRepeat,
		Timeout: b.filter.Timeout, Classes: classes, Applies: applies}, true
}

// A Reply is what the client is told.
type Reply struct {
	Code     int    `toml:"code" opt:"min=400" doc:"of SMTP, such as 550"`
	Enhanced string `toml:"enhanced" doc:"of RFC 3463, such as \"5.7.1\""`
	Text     string `toml:"text" doc:"what the client is told"`
}
