//go:build race

package hostile_test

// Everything takes several times as long under the race detector.
const raceEnabled = true
