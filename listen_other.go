//go:build !unix

package milter

import "io/fs"

const maxUnixPath = 107

func isRefused(error) bool { return true }

func isOurs(fs.FileInfo) bool { return true }
