//go:build !unix || aix || solaris || illumos

package milter

// lockDir does nothing where folders have no lock.
func lockDir(string) (unlock func(), err error) { return func() {}, nil }
