package peertest

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// shimEnv is the environment of a program that runs with the shim of
// testdata/peershim.c: what it says by syslog(3) goes to the socket at log.
func shimEnv(log string) []string {
	return append(os.Environ(), "LD_PRELOAD="+shimLibrary(), "PEER_LOG="+log)
}

// A logReader moves what arrives at a socket into lines.
type logReader struct {
	conn *net.UnixConn
	done chan struct{} // closed once nothing is read any more
}

// listenLog makes the socket at path and reads it until it is stopped.
func listenLog(path string, lines *Lines) (*logReader, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("peertest: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // daemons give up root's rights
		conn.Close()
		return nil, fmt.Errorf("peertest: %w", err)
	}
	r := &logReader{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			if err != nil || string(buf[:n]) == lastWord {
				return
			}
			lines.Write(append(buf[:n:n], '\n'))
		}
	}()
	return r, nil
}

// lastWord comes after all that was logged before the reader was told to stop.
const lastWord = "\x00"

// stop ends the reading after what is there has been read.
func (r *logReader) stop() {
	if c, err := net.DialUnix("unixgram", nil, r.conn.LocalAddr().(*net.UnixAddr)); err == nil {
		c.SetDeadline(time.Now().Add(time.Second))
		_, err = io.WriteString(c, lastWord)
		c.Close()
		if err == nil {
			<-r.done
		}
	}
	r.conn.Close()
	<-r.done
}
