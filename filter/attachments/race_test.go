//go:build race

package attachments_test

// The race detector makes pools forget buffers, so counts of allocations say
// nothing under it.
const raceEnabled = true
