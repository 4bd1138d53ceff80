package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gomilter": main, "brokenmilter": brokenMilter, "keepingmilter": keepingMilter})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or each command takes a second
			return writeSample(filepath.Join(env.WorkDir, "sample.toml"))
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   cmdExits,
			"serving": cmdServing,
			"port":    cmdPort,
			"smtp":    cmdSMTP,
			"ref":     cmdRef,
		},
	})
}

// writeSample writes examples/sample.toml as it is served in a test: at s.sock, and
// with all else beside it.
func writeSample(path string) error {
	b, err := os.ReadFile("../../examples/sample.toml")
	if err != nil {
		return err
	}
	conf := strings.NewReplacer("unix:/run/gomilter/gomilter.sock", "unix:"+filepath.Join(filepath.Dir(path), "s.sock"),
		"user = \"gomilter\"", "state_dir = \"state\"\ncontrol = { socket = \"control.sock\" }").Replace(string(b))
	return os.WriteFile(path, []byte(conf), 0o666)
}

// exits CODE program args...
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		ee, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = ee.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%v: exit code %d, want %s", args[1:], code, args[0])
	}
}

// serving network address: waits until somebody listens there.
func cmdServing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: serving unix|tcp ADDRESS")
	}
	address := args[1]
	if args[0] == "unix" {
		address = ts.MkAbs(address)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial(args[0], address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nobody listens: %v", err)
		}
	}
}

// port NAME: sets a variable to a free TCP port.
func cmdPort(ts *testscript.TestScript, neg bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	ts.Setenv(args[0], port)
}

// smtp ADDRESS FILE: see playSMTP.
func cmdSMTP(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(playSMTP(args[0], ts.ReadFile(args[1])))
}

// playSMTP plays an SMTP client. A line "S: text" is a prefix of the server's next
// line, "S: ..." any reply, "S: EOF" that the server hangs up; other lines are sent.
func playSMTP(addr, script string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		want, ok := strings.CutPrefix(line, "S: ")
		if !ok {
			if _, err := c.Write([]byte(line + "\r\n")); err != nil {
				return fmt.Errorf("send %q: %w", line, err)
			}
			continue
		}
		got, err := r.ReadString('\n')
		if want == "EOF" && err == io.EOF && got == "" {
			continue
		}
		if err != nil {
			return fmt.Errorf("the server says %q, %v; want %q", got, err, want)
		}
		for want == "..." && len(got) > 3 && got[3] == '-' { // more lines of the reply
			if got, err = r.ReadString('\n'); err != nil {
				return err
			}
		}
		if want != "..." && !strings.HasPrefix(got, want) {
			return fmt.Errorf("the server says %q, want %q", got, want)
		}
	}
	return nil
}

// brokenMilter listens on its argument and answers each connection with nonsense.
func brokenMilter() {
	ln, err := net.Listen("unix", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			os.Exit(1)
		}
		c.Read(make([]byte, 1024))
		c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		c.Close()
	}
}
