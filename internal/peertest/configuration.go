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

// Reload makes Postfix read its configuration again, and waits until it did.
func (m *MTA) Reload(t testing.TB) {
	t.Helper()
	if m.Kind != Postfix {
		t.Fatalf("peertest: %s cannot be reloaded", m.Kind)
	}
	m.Log.Clear()
	err := m.proc.cmd.Process.Signal(syscall.SIGHUP)
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err = m.Log.wait(ctx, "reload -- version")
	}
	if err != nil {
		t.Fatal(fmt.Errorf("peertest: reload %s: %w", m.Kind, err))
	}
}
