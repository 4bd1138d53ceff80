package config

import "errors"

// A Source is the bytes of the files of a configuration, as they were read.
type Source struct{}

// Load reads files, of which the later win, and those they include. Its error tells
// which of paths cannot be read; all else that is wrong is told by [Source.Parse].
func Load(paths ...string) (*Source, error) { return nil, errors.ErrUnsupported }

// Parse makes a Config of the files, and tells all that is wrong with them and all
// that is unwise. The Config is nil when the problems have an error. Files of lists
// are read anew each time, those of the configuration are not.
func (s *Source) Parse() (*Config, Problems) { return nil, nil }

// Files returns the names of the files, in the order they were read.
func (s *Source) Files() []string { return nil }
