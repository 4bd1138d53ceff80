//go:build race

package dkim

// raceEnabled: the race detector allocates memory of its own.
const raceEnabled = true
