//go:build !unix

package milter

func isRefused(error) bool { return true }
