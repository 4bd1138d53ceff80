//go:build race

package html

// The race detector takes memory of its own: how the heap grows says nothing
// under it.
const raceEnabled = true
