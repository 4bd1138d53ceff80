package main

import (
	"errors"
	"fmt"
	"io"
)

// Exit codes, as in sysexits.h.
const (
	exitOK          = 0  // an answer was found
	exitUsage       = 64 // EX_USAGE: a flag or an argument is wrong
	exitData        = 65 // EX_DATAERR: a message cannot be read
	exitUnavailable = 69 // EX_UNAVAILABLE: a milter or an address cannot be reached, or broke
	exitSoftware    = 70 // EX_SOFTWARE: a mistake of ours, or a demo that came out wrong
	exitCantCreate  = 73 // EX_CANTCREAT: an output cannot be written
	exitTemporary   = 75 // EX_TEMPFAIL: try again
	exitPermission  = 77 // EX_NOPERM
	exitConfig      = 78 // EX_CONFIG
)

// An exitError is an error with the exit code it leads to.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exit returns an error that leads to a code, nil for nil.
func exit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

func exitf(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

// report tells an error, if there is one, and returns its exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(w, "gomilter: %v\n", err)
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitSoftware
}
