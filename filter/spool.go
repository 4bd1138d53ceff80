package filter

import "github.com/gomilter/gomilter/message"

// NewSpool returns an empty place for what the filter unpacks or makes: as much of it
// stays in memory as Chain.Memory says, and its file is in Chain.Dir. It belongs to the
// caller, who gives it back with FreeSpool or closes it.
func (t *Transaction) NewSpool() *message.Spool { return t.m.chain.getSpool() }

// FreeSpool gives a spool of NewSpool back, whose content is not used any more. The
// error is that of removing its file.
func (t *Transaction) FreeSpool(s *message.Spool) error { return t.m.chain.putSpool(s) }

// MIME returns the limits under which the chain reads messages, for those that come as
// files in this one: Chain.MIME, and Chain.Dir where that names no folder.
func (t *Transaction) MIME() message.Options { return t.m.chain.plan.mime }
