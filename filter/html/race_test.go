//go:build race

package html

// The race detector makes pools forget buffers, so counts of allocations say
// nothing under it.
const raceEnabled = true
