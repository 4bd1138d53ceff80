package access_test

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/access"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
)

// What is wrong with a HELO name is so for each message of the connection, not for the first only (FROM-04,
// CONN-09), until another name is told, which is right between messages (HELO-05). Users are not asked.
func TestEachMessageIsJudged(t *testing.T) {
	miltertest.Each(t, func(t *testing.T, profile mta.Profile) {
		f, err := access.New("access", access.Options{HeloNumeric: true})
		if err != nil {
			t.Fatal(err)
		}
		c := miltertest.NewChain(t, &filter.Chain{Steps: []filter.Step{{Filter: f}}})
		c.Profile = profile
		s := c.Connect(t)
		send := func(macros map[string]string) string {
			s.SetMacros(macros)
			s.Mail("<a@example.org>")
			for name := range macros {
				s.UnsetMacros(name)
			}
			told := s.Rcpt("<b@example.net>").Told()
			s.Reset()
			return told
		}
		s.Helo("192.0.2.9")
		for i := range 2 {
			if got := send(nil); !strings.HasPrefix(got, "550-5.7.1 ") {
				t.Errorf("message %d is answered %q", i+1, got)
			}
		}
		if got := send(map[string]string{"auth_authen": "joe", "auth_type": "PLAIN"}); got != "" {
			t.Errorf("a user is answered %q", got)
		}
		if got := send(nil); !strings.HasPrefix(got, "550-5.7.1 ") {
			t.Errorf("the message after that of a user is answered %q", got)
		}
		s.Helo("client.example")
		if got := send(nil); got != "" {
			t.Errorf("with another name it is answered %q", got)
		}
	})
}
