//go:build !unix

package release

import "os"

func giveToOwner(*os.File, *os.Root) error { return nil }
