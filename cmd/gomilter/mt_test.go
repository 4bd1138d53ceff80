package main

import (
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// What becomes of the messages of the MT rows of docs/pymilter.md, by number:
// names of what is replaced and "active" where active content goes. A message that
// is not here stays as it is.
var mtOutcomes = map[string][]string{
	"mt02": {"A-LETTER-FOR-YOU.TXT.vbs"}, "mt03": {"PHOTO.JPG.vbs"}, "mt04": {"notes.TXT.pif"},
	"mt05": {"readme.exe", "active"}, // the frame that would start it
	"mt06": {"whatever.exe"}, "mt07": {"FAX20.exe"}, "mt08": {"application.pif"}, "mt09": {"story[1].scr"},
	"mt10": {"story[1].scr", "shop[2].asp"},
	"mt13": {"active"}, // conditional comments, which the old filter let pass
	"mt14": {"zip.zip"}, "mt16": {"zip.zip"}, "mt17": {"doc@example.com.zip"},
	"mt20": {"active"}, // in an encoded message, which the old one could not read
	"mt27": {"active"}, "mt28": {"active"},
}

func TestMessagesOfTheOldSystem(t *testing.T) {
	files, err := filepath.Glob("../../message/testdata/mt*.eml")
	if err != nil || len(files) != 30 {
		t.Fatalf("%d messages, %v", len(files), err)
	}
	warning := regexp.MustCompile(`(?m)^    Attachment: (.*?)\r?$`)
	for _, file := range files {
		number := filepath.Base(file)[:4]
		t.Run(number, func(t *testing.T) {
			miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
				chain, err := demoChain(t.TempDir()+"/kept", slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				var told *filter.Explanation
				chain.Explain = func(x *filter.Explanation) { told = x }
				c := miltertest.New(t, &milter.Server{New: chain.Hooks})
				c.Profile = profile
				r := c.Send(t, miltertest.Mail{File: file})
				var got []string
				for _, m := range warning.FindAllStringSubmatch(r.Raw(), -1) {
					got = append(got, m[1])
				}
				if slices.ContainsFunc(told.Filters, func(o filter.Outcome) bool { return o.Name == "html" && strings.Contains(o.Why, "removed") }) {
					got = append(got, "active")
				}
				if want := mtOutcomes[number]; r.Verdict != mta.Accept || !slices.Equal(got, want) {
					t.Errorf("%s, %q is gone, want %q; explained by %s", r.Verdict, got, want, told)
				}
				if len(got) == 0 && len(r.Edits) > 0 {
					t.Errorf("the message has edits %v", r.Edits)
				}
			})
		})
	}
}
