package utf7_test

import (
	"fmt"

	"github.com/gomilter/gomilter/internal/utf7"
)

// What UTF-7 hides from those who look for tags.
func ExampleEncoding() {
	html, err := utf7.Encoding.NewDecoder().String("+ADw-script+AD4-alert(1)")
	fmt.Println(html, err)
	text, err := utf7.Encoding.NewEncoder().String("1 + 1 £")
	fmt.Println(text, err)
	// Output:
	// <script>alert(1) <nil>
	// 1 +- 1 +AKM- <nil>
}
