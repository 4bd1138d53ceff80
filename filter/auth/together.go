package auth

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// together runs functions at a time and waits for all. A panic in one of them is one in the
// caller, who has somebody to recover it.
func together(fs ...func()) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed any
	for _, f := range fs {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = fmt.Sprintf("%v\n%s", p, debug.Stack())
				}
			}()
			f()
		})
	}
	all.Wait()
	if failed != nil {
		panic(failed)
	}
}
