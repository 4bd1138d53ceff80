package archive

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain wants no goroutine of a decoder to be left.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
