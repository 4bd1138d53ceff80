package store_test

import (
	"path/filepath"
	"testing"

	"github.com/gomilter/gomilter/store"
	"github.com/gomilter/gomilter/store/storetest"
)

func openFile(t *testing.T, path string, o store.FileOptions) *store.File {
	t.Helper()
	s, err := store.OpenFile(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestFile(t *testing.T) {
	storetest.Test(t, func(t *testing.T, s storetest.Setup) store.Store {
		return openFile(t, filepath.Join(t.TempDir(), "new", "store.db"), store.FileOptions{MaxKey: s.MaxKey, MaxValue: s.MaxValue, MaxEntries: s.MaxEntries, Now: s.Now})
	})
}
