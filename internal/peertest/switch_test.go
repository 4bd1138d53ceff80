package peertest_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/peertest"
)

// greet serves a listener until it is closed: it says word to all who come.
func greet(t *testing.T, ln net.Listener, word string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, word)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
}

func TestSwitchServesTheLatest(t *testing.T) {
	for _, network := range []string{"unix", "inet"} {
		t.Run(network, func(t *testing.T) {
			s := peertest.NewSwitch(t, network)
			said := func() string {
				t.Helper()
				network, address := dialArgs(s.Spec)
				c, err := net.Dial(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				text, _ := io.ReadAll(c)
				return string(text)
			}
			if got := said(); got != "" {
				t.Errorf("nobody says %q", got)
			}
			first := s.Listen(t)
			greet(t, first, "one")
			if got := said(); got != "one" {
				t.Errorf("the first says %q", got)
			}
			other := peertest.NewSwitch(t, network)
			greet(t, other.Listen(t), "two")
			s.Forward(t, other.Spec)
			if got := said(); got != "two" {
				t.Errorf("the one behind says %q", got)
			}
			if _, err := first.Accept(); err == nil {
				t.Error("the first listener is still open")
			}
			last := s.Listen(t)
			last.Close()
			if got := said(); got != "" {
				t.Errorf("after the last, %q", got)
			}
		})
	}
}

func dialArgs(spec string) (network, address string) {
	if path, ok := strings.CutPrefix(spec, "unix:"); ok {
		return "unix", path
	}
	port, host, _ := strings.Cut(strings.TrimPrefix(spec, "inet:"), "@")
	return "tcp", net.JoinHostPort(host, port)
}
