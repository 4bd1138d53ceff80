//go:build unix && !linux && !aix

package wire

// quickACK does nothing where the system has no such option.
func quickACK(uintptr) {}
