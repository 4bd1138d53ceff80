package comment_test

import (
	"fmt"

	"github.com/gomilter/gomilter/internal/comment"
)

// Comments nest; the one that does not end is none.
func ExampleLen() {
	for _, s := range []string{"(work (old)) ann@example.com", "(work ann@example.com"} {
		n := comment.Len(s)
		fmt.Printf("%q %q\n", s[:n], s[n:])
	}
	// Output:
	// "(work (old))" " ann@example.com"
	// "" "(work ann@example.com"
}
