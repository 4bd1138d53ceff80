package peertest

import (
	"fmt"
	"net"
	"os"
)

// shimEnv is the environment of a program that runs with the shim of
// testdata/peershim.c: what it says by syslog(3) goes to the socket at log.
func shimEnv(log string) []string {
	return append(os.Environ(), "LD_PRELOAD="+shimLibrary(), "PEER_LOG="+log)
}

// listenLog makes the socket at path, and a goroutine that moves what arrives
// into lines until the connection is closed; logged is closed at its end.
func listenLog(path string, lines *Lines) (conn *net.UnixConn, logged chan struct{}, err error) {
	conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, nil, fmt.Errorf("peertest: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("peertest: %w", err)
	}
	logged = make(chan struct{})
	go func() {
		defer close(logged)
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			lines.Write(append(buf[:n:n], '\n'))
		}
	}()
	return conn, logged, nil
}
