//go:build !unix

package peertest

import "os/exec"

// Elsewhere there are no peers, so that these two are never called.
func ownGroup(cmd *exec.Cmd)  {}
func killGroup(cmd *exec.Cmd) {}
