//go:build unix

package peertest

import (
	"os/exec"
	"syscall"
)

// ownGroup makes cmd start as the leader of a process group, and of a session,
// so that no key pressed at the terminal reaches it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// killGroup kills what is left of the group that cmd leads.
func killGroup(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
