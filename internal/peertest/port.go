package peertest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// FreePort returns a TCP port nobody listens on, at 127.0.0.1 and at ::1, for
// programs that cannot be handed a listener. Until the test ends no other call
// returns it, in no test binary of this machine. It lies below the ports the
// kernel gives to outgoing connections, so that none of these takes it first.
func FreePort(t testing.TB) int {
	t.Helper()
	port, claim, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { claim.Close() })
	return port
}

// freePort claims a port until claim is closed. The claim is the UDP port of the
// same number: the TCP port has to stay free for the program it is for.
func freePort() (port int, claim net.PacketConn, err error) {
	for range 200 {
		port = 20000 + rand.IntN(12000)
		claim, err = net.ListenPacket("udp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if vacant("127.0.0.1", port) && (!haveIPv6() || vacant("::1", port)) {
			return port, claim, nil
		}
		claim.Close()
	}
	return 0, nil, errors.New("peertest: no free port between 20000 and 32000")
}

// vacant holds the fork lock, or a program that another test starts meanwhile
// would keep the port until it closes what it inherited.
func vacant(host string, port int) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err == nil {
		ln.Close()
	}
	return err == nil
}

var haveIPv6 = sync.OnceValue(func() bool { return vacant("::1", 0) })
