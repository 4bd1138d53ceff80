package address

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestASCIIDomain(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"upper case", "Mail.EXAMPLE.com", "mail.example.com"},
		{"dot at the end", "example.com.", "example.com"},
		{"underscore", "_dmarc.Example_Host.com", "_dmarc.example_host.com"},
		{"hyphens in third and fourth place", "r3---sn.example.com", "r3---sn.example.com"},
		{"U-labels", "Bücher.EXAMPLE", "xn--bcher-kva.example"},
		{"A-labels in upper case", "XN--Bcher-KVA.example", "xn--bcher-kva.example"},
		{"deviation characters stay", "straße.example", "xn--strae-oqa.example"},
		{"other dots", "a。example", "a.example"},
		{"decomposed letters", "bu\u0308cher.example", "xn--bcher-kva.example"},
		{"wide letters", "ＥＸ.example", "ex.example"},
		{"label of 63", long + ".example", long + ".example"},
		{"253 bytes", long + "." + long + "." + long + "." + long[:61], long + "." + long + "." + long + "." + long[:61]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ASCIIDomain(tt.in); err != nil || got != tt.want {
				t.Errorf("ASCIIDomain(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
		})
	}
	for _, tt := range []struct{ name, in string }{
		{"dot", "."},
		{"empty label", "a..b"},
		{"leading dot", ".a"},
		{"two dots at the end", "a.."},
		{"blank", "a b"},
		{"exclamation mark", "a!b.example"},
		{"at sign that IDNA makes", "a＠b.example"},
		{"label of 64", long + "a.example"},
		{"254 bytes", long + "." + long + "." + long + "." + long[:62]},
		{"no UTF-8", "b\xfccher.example"},
		{"A-label that decodes to nothing good", "xn--a.example"},
		{"mixed directions", "אa.example"},
		{"literal that holds no address", "[foo]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ASCIIDomain(tt.in); !errors.Is(err, ErrDomain) || got != "" {
				t.Errorf("ASCIIDomain(%q) = %q, %v, want ErrDomain", tt.in, got, err)
			}
		})
	}
}

// Punycode takes time by the square of a label.
func TestLongDomainsTakeNoTime(t *testing.T) {
	begin := time.Now()
	for _, s := range []string{strings.Repeat("ü", 1<<20), "xn--" + strings.Repeat("a", 1<<20), strings.Repeat("a.", 1<<20)} {
		if _, err := ASCIIDomain(s); !errors.Is(err, ErrDomain) {
			t.Errorf("a domain of %d bytes: %v", len(s), err)
		}
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func ExampleASCIIDomain() {
	fmt.Println(ASCIIDomain("Bücher.Example."))
	_, err := ASCIIDomain("a..b")
	fmt.Println(err)
	// Output:
	// xn--bcher-kva.example <nil>
	// address: not a domain: a label of 0 bytes
}

func Example_errDomain() {
	_, err := ASCIIDomain("under two.example")
	fmt.Println(errors.Is(err, ErrDomain))
	// Output: true
}
