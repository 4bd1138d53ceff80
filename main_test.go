package milter

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind, those of hooks that were abandoned included.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
