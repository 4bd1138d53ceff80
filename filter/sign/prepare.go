package sign

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/address"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/message"
)

// A prepared is a header as it leaves the MTA, as far as that can be known and done
// before it is signed.
type prepared struct {
	header message.Header
	canon  dkim.Canon // in place of what Options say, unless ""
	notes  []string

	drop    map[string]bool // names that are not signed, in lower case
	added   []message.Field
	changed []change
}

// A change is a field that gets another value.
type change struct {
	name  string
	n     int // among those of the name, from 1
	value string
}

// addressFields are those that Sendmail takes for lists of addresses and writes anew: its
// H_FROM and H_RCPT fields.
var addressFields = []string{"From", "Sender", "Reply-To", "To", "Cc", "Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc",
	"Errors-To", "Disposition-Notification-To", "Return-Receipt-To", "Apparently-To"}

func (s *signer) prepare(t *filter.Transaction, h message.Header, host, domain string) (*prepared, error) {
	p := &prepared{header: slices.Clone(h), drop: make(map[string]bool)}
	simple := s.o.Header == dkim.Simple
	if simple && !t.ExactHeader() {
		simple = false
		p.relax("the mail server does not tell of blanks in it")
	}
	if t.MTA() != milter.MTAPostfix {
		p.settle(s.o.Fields, simple)
	}
	now := s.now()
	for _, f := range []struct {
		name  string
		value func() string
	}{
		{"Date", func() string { return now.Format("Mon, 02 Jan 2006 15:04:05 -0700") }},
		// Sendmail writes the name so, also of a field that a filter adds.
		{"Message-Id", func() string {
			at, err := address.ASCIIDomain(host)
			if err != nil || at == "" || at[0] == '[' {
				at = domain
			}
			return "<" + now.UTC().Format("20060102150405") + "." + rand.Text() + "@" + at + ">"
		}},
	} {
		if fields(h, f.name) > 0 {
			continue
		}
		if s.o.KeepMissing {
			p.drop[strings.ToLower(f.name)] = true
			continue
		}
		field := message.NewField(f.name, " "+f.value(), "\r\n")
		p.added = append(p.added, field)
		p.header = append(p.header, field)
		p.notes = append(p.notes, "added a "+f.name)
	}
	if fields(h, "To") == 0 && fields(h, "Cc") == 0 {
		p.drop["to"], p.drop["cc"] = true, true
	}
	return p, nil
}

// relax has the header signed relaxed.
func (p *prepared) relax(why string) {
	if p.canon == "" {
		p.canon = dkim.Relaxed
		p.notes = append(p.notes, "the header is signed relaxed, not simple: "+why)
	}
}

// settle does to fields of addresses what Sendmail would do after they are signed.
func (p *prepared) settle(signed []string, simple bool) {
	for _, name := range addressFields {
		if !slices.ContainsFunc(signed, func(s string) bool { return strings.EqualFold(s, name) }) && name != "From" {
			continue
		}
		n := 0
		for i, f := range p.header.All(name) {
			n++
			text := f.Text(true)
			rewritten, list, known := asSendmail(text)
			if !known { // of From it is known, or nothing is signed
				p.drop[strings.ToLower(name)] = true
				p.notes = append(p.notes, name+" is not signed: Sendmail may write its addresses otherwise")
				continue
			}
			if simple && (list || rewritten != text || text != strings.TrimRight(text, " \t\n")) {
				p.relax("Sendmail folds addresses its own way")
				simple = false
			}
			if rewritten != text {
				p.header[i] = message.NewField(f.Name(), rewritten, "\r\n")
				p.changed = append(p.changed, change{f.Name(), n, strings.TrimLeft(rewritten, " ")})
				p.notes = append(p.notes, "wrote the addresses of "+name+" as Sendmail would")
			}
		}
	}
}

// names returns the names of a list that are to be signed.
func (p *prepared) names(list []string) []string {
	if len(p.drop) == 0 {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return p.drop[strings.ToLower(name)] })
}

// edit has the message changed as it was signed.
func (p *prepared) edit(e *filter.Edits) error {
	for _, c := range p.changed {
		if err := e.ChangeHeader(c.name, c.n, c.value); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for _, f := range p.added {
		if err := e.AddHeader(f.Name(), strings.TrimPrefix(f.Text(true), " ")); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return nil
}
