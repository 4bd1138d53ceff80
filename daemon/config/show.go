package config

import (
	"errors"
	"io"
)

// places are where values were set, by key.
type places map[string]place

type place struct {
	file         string
	line, column int
}

// Show writes the values in force as a configuration, each with a comment that tells where
// it came from: a file and line, or "default". Secrets are left out.
func (c *Config) Show(w io.Writer) error { return errors.ErrUnsupported }

// ShowJSON writes the same as an array of objects with the members key, value and
// from.
func (c *Config) ShowJSON(w io.Writer) error { return errors.ErrUnsupported }
