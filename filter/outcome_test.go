package filter

import (
	"strings"
	"testing"
)

func TestReasonsWithoutEndAreCut(t *testing.T) {
	var o Outcome
	for range 1000 {
		o.note(strings.Repeat("ä", 100))
	}
	if len(o.Why) > maxWhy || len(o.Why) < maxWhy-10 || !strings.HasSuffix(o.Why, "ä ...") {
		t.Errorf("%d bytes, ending in %q", len(o.Why), o.Why[len(o.Why)-20:])
	}
}
