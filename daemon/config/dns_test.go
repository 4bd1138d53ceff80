package config

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// A server that never answers sees as many questions below one domain as the knob lets
// through, and then those of others.
func TestDNSPerDomain(t *testing.T) {
	s, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, problems := parseText(t, fmt.Sprintf("[dns]\nservers = [%q]\nper_domain = 1\n[[listener]]\nsocket = 'fd://3'\nchain = ['auth']\n[filter.auth]\n", s.LocalAddr()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r, err := c.Resolver()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer c.CloseResolver()
	ask := func(name string) { all.Go(func() { r.LookupTXT(t.Context(), name) }) }
	seen := func(label string) {
		packet := make([]byte, 1500)
		n, _, err := s.ReadFrom(packet)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(packet[:n], []byte("\x04"+label)) {
			t.Errorf("%q is asked, want one with %s", packet[:n], label)
		}
	}
	for i := range 10 {
		ask(fmt.Sprintf("r%d.dead.example", i))
	}
	seen("dead")
	s.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // it is asked again after 2 s
	if n, _, err := s.ReadFrom(make([]byte, 1500)); err == nil {
		t.Errorf("a second question of %d bytes", n)
	}
	s.SetReadDeadline(time.Time{})
	ask("bank.example")
	seen("bank")
}
