package peertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// patience bounds every wait for something a peer does by itself.
const patience = 20 * time.Second

// A process is a program of ours that runs until it is stopped. It leads a
// process group of its own, and a guard kills that group when the test binary
// dies without having stopped it.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the program itself has ended
	output *os.File      // our end of its stdout and stderr
	drain  chan struct{} // closed once the output was read to its end
	guard  *exec.Cmd
	leash  io.WriteCloser // the guard's stdin: it acts when this closes without a word
}

// launch starts cmd with its output going to out.
func launch(cmd *exec.Cmd, out *Lines) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("peertest: %w", err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	ownGroup(cmd)
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("peertest: start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{}), output: r, drain: make(chan struct{})}
	go func() {
		defer close(p.exited)
		cmd.Wait() // how it ended shows in its log
	}()
	go func() {
		defer close(p.drain)
		io.Copy(out, r)
		out.end()
	}()
	if err := p.startGuard(); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// startGuard starts a shell that reads one line. A test binary that dies, by a
// signal or a timeout's panic, closes the pipe instead of writing one.
func (p *process) startGuard() (err error) {
	p.guard = exec.Command("/bin/sh", "-c", `read -r line || kill -s KILL -- "-$1"`, "guard", strconv.Itoa(p.cmd.Process.Pid))
	ownGroup(p.guard)
	if p.leash, err = p.guard.StdinPipe(); err == nil {
		err = p.guard.Start()
	}
	if err != nil {
		p.guard = nil
		return fmt.Errorf("peertest: start a guard: %w", err)
	}
	return nil
}

// ready waits until log has a line with text. It gives up when the program ends.
func (p *process) ready(log *Lines, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go func() {
		select {
		case <-p.exited:
			fail(errors.New("the program has ended"))
		case <-ctx.Done():
		}
	}()
	_, err := log.wait(ctx, text)
	return err
}

// stop sends sig, waits for the program to end, and ends what it left behind in
// its process group.
func (p *process) stop(sig syscall.Signal) {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
	}
	killGroup(p.cmd)
	<-p.exited
	// Whoever left the group may hold the pipe: do not wait for that long.
	p.output.SetReadDeadline(time.Now().Add(time.Second))
	<-p.drain
	p.output.Close()
	if p.guard != nil {
		io.WriteString(p.leash, "stopped\n")
		p.leash.Close()
		p.guard.Wait()
	}
}

// kill stops a program that has nothing to lose.
func (p *process) kill() { p.stop(syscall.SIGKILL) }
