package filter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter"
)

func TestCheckTag(t *testing.T) {
	for name, ok := range map[string]bool{
		"X-Warning": true, "Warning": true, "X-From": true, strings.Repeat("x", 64): true,
		"": false, "X Warning": false, "X-Warning:": false, "X-Gr\u00fc\u00dfe": false, "X-\nBcc": false, "X-*": false, strings.Repeat("x", 65): false,
		"From": false, "subject": false, "Content-Type": false, "CONTENT-ID": false, "Resent-From": false, "List-Unsubscribe": false, "DKIM-Signature": false,
	} {
		if err := filter.CheckTag(name); (err == nil) != ok {
			t.Errorf("CheckTag(%q) = %v", name, err)
		}
	}
}

func ExampleCheckTag() {
	fmt.Println(filter.CheckTag("X-Warning"))
	fmt.Println(filter.CheckTag("From"))
	// Output:
	// <nil>
	// From has a meaning of its own; take a name such as X-Warning
}
