package archive

// A What says what a Finding is about.
type What uint8

// What a walk may meet.
const (
	Encrypted What = iota + 1 // members, or the list of them, are encrypted
	Truncated                 // the archive ends early, or goes on in another volume
	Corrupt                   // the archive is damaged
	Mismatch                  // two lists of the members disagree, or members hide from the list
	Unlisted                  // an archive that cannot be listed
	Unread                    // a member's content cannot be unpacked; its name is known
	LimitHit                  // see Limit
	whats
)

var whatNames = [whats]string{"", "encrypted", "truncated", "corrupt", "mismatch", "unlisted", "unread", "limit"}

// String returns a short name in lower case.
func (w What) String() string {
	if w < whats {
		return whatNames[w]
	}
	return "unknown"
}

// A Finding is what a walk met besides members. An archive has one Finding of each What,
// and of each Limit, at most: the first.
type Finding struct {
	What   What
	Limit  Limit    // for LimitHit
	Kind   Kind     // the archive's
	Path   []string // the names of the archives from the outermost to the one it is about
	Member string   // the member it was first met at, where it was one
	Detail string   // for the log; it may hold bytes of the sender
}

// A Report is what a walk found.
type Report struct {
	Kind     Kind      // what was walked; None for no archive
	Members  int       // members visited, nested ones included
	Unpacked int64     // bytes unpacked
	Findings []Finding // in the order they were met
}

// Has reports whether there is a Finding of w.
func (r Report) Has(w What) bool {
	for _, f := range r.Findings {
		if f.What == w {
			return true
		}
	}
	return false
}

// Hit reports whether l was hit.
func (r Report) Hit(l Limit) bool {
	for _, f := range r.Findings {
		if f.What == LimitHit && f.Limit == l {
			return true
		}
	}
	return false
}
