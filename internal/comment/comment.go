// Package comment finds the comments of header fields (RFC 5322 section 3.2.2).
package comment

// Len returns the length of the comment that s begins with, or 0 where it begins
// with none or the comment does not end. Comments nest, and a backslash takes its
// meaning from the character behind it.
//
// Where it returns 0 for a "(", it has read all of s. Who goes on behind that "("
// takes care not to ask for each further one, for that makes the time grow with
// the square of the length.
func Len(s string) int {
	if s == "" || s[0] != '(' {
		return 0
	}
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
