package storetest_test

import (
	"testing"

	"github.com/gomilter/gomilter/store"
	"github.com/gomilter/gomilter/store/storetest"
)

// The tests of an implementation call Test.
func ExampleTest() {
	_ = func(t *testing.T) { // TestMine
		storetest.Test(t, func(t *testing.T, s storetest.Setup) store.Store {
			return store.NewMemory(store.MemoryOptions{MaxKey: s.MaxKey, MaxValue: s.MaxValue, MaxEntries: s.MaxEntries, Now: s.Now})
		})
	}
}
