package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Limits of the files of a configuration.
const (
	maxFile     = 4 << 20 // bytes of one; long lists have files of their own
	maxFiles    = 1000
	maxIncludes = 5 // how deep files include files
)

// A Source is the bytes of the files of a configuration, as they were read.
type Source struct {
	files    []sourceFile
	problems Problems // of what they include
}

// A sourceFile is one file.
type sourceFile struct {
	name string // as it is told in problems
	data []byte
}

// Load reads files, of which the later win, and those they include. Its error tells
// which of paths cannot be read; all else that is wrong is told by [Source.Parse].
func Load(paths ...string) (*Source, error) {
	s := new(Source)
	var errs []error
	if len(paths) == 0 {
		errs = append(errs, errors.New("config: no file is named"))
	}
	for _, path := range paths {
		data, err := readRegular(path, maxFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("config: %w", err))
			continue
		}
		s.add(path, data, nil)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// Files returns the names of the files, in the order they were read.
func (s *Source) Files() []string {
	names := make([]string, len(s.files))
	for i, f := range s.files {
		names[i] = f.name
	}
	return names
}

// add takes a file and what it includes; above are the files that include it.
func (s *Source) add(path string, data []byte, above []string) {
	s.files = append(s.files, sourceFile{path, data})
	tree, problem := parseTOML(path, data)
	if problem != nil { // Parse tells; what is wrong with the files it includes is to be told, too
		tree = parsePart(path, data)
	}
	include, ok := tree.fields["include"]
	if !ok {
		return
	}
	if include.kind != arrayKind {
		s.bad(tree.names["include"], "it is %v, and should be an array of strings", include.kind)
		return
	}
	above = append(slices.Clone(above), real(path))
	for _, item := range include.items {
		if item.kind != stringKind {
			s.bad(item.at, "%v in an array of strings", item.kind)
			continue
		}
		names, err := filepath.Glob(beside(path, item.text))
		switch {
		case err != nil:
			s.bad(item.at, "%q is no pattern for files", item.text)
		case len(names) == 0 && !hasMeta(item.text):
			s.bad(item.at, "there is no file %s", beside(path, item.text))
		}
		slices.Sort(names)
		for _, name := range names {
			s.include(item.at, name, above)
		}
	}
}

func (s *Source) include(at place, name string, above []string) {
	switch {
	case slices.Contains(above, real(name)):
		s.bad(at, "%s includes itself", name)
		return
	case len(above) > maxIncludes:
		s.bad(at, "%s is included more than %d files deep", name, maxIncludes)
		return
	case len(s.files) >= maxFiles:
		s.bad(at, "there are more than %d files", maxFiles)
		return
	}
	data, err := readRegular(name, maxFile)
	if err != nil {
		s.bad(at, "%v", err)
		return
	}
	s.add(name, data, above)
}

func (s *Source) bad(at place, format string, args ...any) {
	s.problems = append(s.problems, at.problem("include", format, args...))
}

// beside returns the path of a file that another names.
func beside(file, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(filepath.Dir(file), name)
}

// real returns what tells a file from others.
func real(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		path = p
	}
	if p, err := filepath.Abs(path); err == nil {
		path = p
	}
	return path
}

// hasMeta reports whether a pattern may match no file without being wrong.
func hasMeta(pattern string) bool {
	return slices.ContainsFunc([]byte(pattern), func(c byte) bool { return c == '*' || c == '?' || c == '[' || c == '\\' })
}

// readRegular reads a regular file of at most limit bytes. Opening does not wait, as it
// would on a pipe. Errors name the file.
func readRegular(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")}
	case info.Size() > limit:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	return data, err
}
