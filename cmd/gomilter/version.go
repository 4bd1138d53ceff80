package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/gomilter/gomilter/internal/wire"
)

// version is set by the linker for releases: -ldflags "-X main.version=v1.2.3".
var version string

type versionCmd struct {
	JSON bool `help:"Print one JSON object."`
}

type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a changed tree
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Milter   []int  `json:"milter_versions"`

	time string // of the commit, "" if it is not known
}

func (c *versionCmd) Run(std stdio) error {
	v := readVersion()
	if c.JSON {
		return json.NewEncoder(std.out).Encode(v)
	}
	v.print(std.out)
	return nil
}

// A versionFlag is --version, which does what the verb does.
type versionFlag bool

// BeforeReset is called by the parser before it misses a verb.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	v := readVersion()
	v.print(app.Stdout)
	app.Exit(exitOK)
	return nil
}

func (v *versionInfo) print(w io.Writer) {
	fmt.Fprintf(w, "gomilter %s", v.Version)
	if v.Commit != "" {
		fmt.Fprintf(w, " (%s", v.Commit)
		if v.Modified {
			fmt.Fprint(w, ", changed")
		}
		fmt.Fprint(w, ")")
	}
	fmt.Fprintf(w, "\nbuilt with %s for %s\nspeaks the milter protocol in versions %d to %d\n",
		v.Go, v.Platform, v.Milter[0], v.Milter[len(v.Milter)-1])
}

func readVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	for n := wire.MinVersion; n <= wire.MaxVersion; n++ {
		v.Milter = append(v.Milter, n)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value[:min(12, len(s.Value))]
		case "vcs.time":
			v.time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "development"
	}
	return v
}
