package config

import (
	"reflect"
	"slices"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/filter/headers"
	"github.com/gomilter/gomilter/filter/html"
	"github.com/gomilter/gomilter/filter/scan"
	"github.com/gomilter/gomilter/filter/sign"
	"github.com/gomilter/gomilter/policy"
)

// words are the types whose values are written as words. A value that is a number is the
// index of its word, and "" is none; a value that is a string is its word.
var words = map[reflect.Type][]string{
	reflect.TypeFor[LogFormat]():           {string(LogText), string(LogJSON)},
	reflect.TypeFor[AccessWait]():          {string(WaitAuto), string(WaitAlways), string(WaitNever)},
	reflect.TypeFor[policy.Syntax]():       {"sendmail", "postfix"},
	reflect.TypeFor[LogLevel]():            {string(LogDebug), string(LogInfo), string(LogWarn), string(LogError)},
	reflect.TypeFor[milter.FaultPolicy]():  {"tempfail", "reject", "accept", "continue"},
	reflect.TypeFor[filter.Disagreement](): {"strictest", "lenient", "drop", "tempfail"},
	reflect.TypeFor[filter.Mode]():         {"on", "report", "off"},
	reflect.TypeFor[filter.OnError]():      {"tempfail", "reject", "accept", "skip"},
	reflect.TypeFor[filter.OnRepeat]():     {"tempfail", "quarantine", "skip"},
	reflect.TypeFor[filter.Class]():        {"external", "trusted-relay", "internal", "authenticated"},
	reflect.TypeFor[attachments.Action]():  {"", "ignore", "tag", "replace", "quarantine", "reject"},
	reflect.TypeFor[auth.Method]():         {"", "auth", "iprev", "spf", "helo", "dkim", "dmarc"},
	reflect.TypeFor[auth.Action]():         {"report", "published", "tag", "quarantine", "reject"},
	reflect.TypeFor[sign.By]():             {"from", "envelope", "user"},
	reflect.TypeFor[dkim.Canon]():          {string(dkim.Relaxed), string(dkim.Simple)},
	reflect.TypeFor[scan.Scanner]():        {"", "clamd", "spamd", "rspamd"},
	reflect.TypeFor[scan.Action]():         {"", "accept", "tag", "tag-subject", "quarantine", "tempfail", "reject", "discard"},
	reflect.TypeFor[html.Action]():         {"tag", "change", "quarantine", "reject"},
	reflect.TypeFor[headers.Part]():        {"value", "raw", "address", "display-name", "charset", "name", "recipient"},
	reflect.TypeFor[headers.Match]():       {"equal", "contains", "prefix", "suffix", "glob", "regexp", "longer", "shorter", "present", "missing", "more-than", "sender-domain"},
	reflect.TypeFor[headers.Action]():      {"", "reject", "tempfail", "discard", "quarantine", "tag", "add", "change", "remove", "note"},
}

// setWord gives a value its word; false if there is no such word.
func setWord(v reflect.Value, word string) bool {
	i := slices.Index(words[v.Type()], word)
	switch {
	case i < 0 || word == "":
		return false
	case v.Kind() == reflect.String:
		v.SetString(word)
	default:
		v.SetUint(uint64(i))
	}
	return true
}

// wordOf returns the word of a value, "" for a value that has none.
func wordOf(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return v.String()
	}
	if w, i := words[v.Type()], v.Uint(); i < uint64(len(w)) {
		return w[i]
	}
	return ""
}

// wordsOf returns all words of a type.
func wordsOf(t reflect.Type) []string {
	return slices.DeleteFunc(slices.Clone(words[t]), func(w string) bool { return w == "" })
}

// nearest returns the one of words that somebody may have meant, "" if none is near.
func nearest(wrong string, among []string) string {
	best, most := "", min(1+len(wrong)/4, 3)
	for _, w := range among {
		if d := distance(wrong, w, most); d <= most && (best == "" || d < distance(wrong, best, most)) {
			best = w
		}
	}
	return best
}

// distance returns how many letters are to be changed, added, dropped or swapped with
// their neighbour to make one word of another; texts that differ more than most in length, or
// are long, are most+1 apart.
func distance(a, b string, most int) int {
	if len(a) > 64 || len(b) > 64 || len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
