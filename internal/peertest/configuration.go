package peertest

import (
	"context"
	"fmt"
	"syscall"
	"testing"
)

// ConfigPath names the MTA's configuration: Postfix's directory, Sendmail's
// sendmail.cf. Files there that a test changes are not read again by themselves.
func (m *MTA) ConfigPath() string {
	if m.Kind == Sendmail {
		return m.path("sendmail.cf")
	}
	return m.path("conf")
}

// ConfigProgram names the program that tells of the configuration: postconf, or
// sendmail itself.
func (m *MTA) ConfigProgram() string {
	if m.Kind == Sendmail {
		return sendmailBinary()
	}
	return postfixCommand("postconf")
}

// Reload makes the MTA read its configuration again, as "postfix reload" does and a
// restart of Sendmail, and waits until it did.
func (m *MTA) Reload(t testing.TB) {
	t.Helper()
	done := "reload -- version"
	if m.Kind == Sendmail {
		done = "listening at " + m.Addr // it starts itself anew
	}
	m.Log.Clear()
	err := m.proc.cmd.Process.Signal(syscall.SIGHUP)
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err = m.Log.wait(ctx, done)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("peertest: reload %s: %w; its log:\n%s", m.Kind, err, m.Log.tail()))
	}
}
