// Package config reads the configuration of the daemon: TOML files to a [Config]
// whose listeners can be served.
//
//	src, err := config.Load("/etc/gomilter/gomilter.toml")
//	c, problems := src.Parse()
//	chain, err := c.Listeners[0].NewChain(config.Env{Originals: originals})
//	srv := c.Listeners[0].Server()
//	srv.New = chain.Hooks
//
// It is strict: unknown keys, wrong types, words there are not, settings that do
// not go together and rules that filters refuse are all told at once, each with its
// file, line and key. Nothing is interpolated, and the environment is read only
// where a key that ends in _env names a variable.
//
// # Files
//
// Of several files the later win: tables are merged key by key, listeners are
// added to those before, other arrays are replaced. A file may include others,
//
//	include = ["conf.d/*.toml"]
//
// which are read after it, in the order of their names. Relative paths are relative to the
// folder of the file they stand in.
//
// # Lists in files
//
// In a list of strings, "file:PATH" stands for the lines of a file: one entry a
// line, blanks around it dropped, empty lines and lines that begin with "#" passed
// over. [Config.ListFiles] names these files. An element that begins with "file://" is
// text like any other.
package config
