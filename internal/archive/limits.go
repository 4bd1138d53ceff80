package archive

import "time"

// Limits bounds a Walk. The zero value is usable.
type Limits struct {
	// Depth is how deep archives may lie in archives: 1 looks into the outermost only.
	// A .tar.gz counts for two. 0 means 5.
	Depth int
	// Entries is the greatest number of members, over all archives of the walk, that are
	// visited. 0 means 10000.
	Entries int
	// Unpacked is the greatest number of bytes that are unpacked, over all archives of the
	// walk. Behind it names are still listed where that takes no unpacking. 0 means 1 GiB.
	Unpacked int64
	// Time is how long a walk may take. 0 means 20 s.
	Time time.Duration
	// NameBytes bounds the sum of the lengths of all names. 0 means 4 MiB.
	NameBytes int64
	// Header is the longest header of a 7z archive that is read, packed and unpacked, in
	// bytes. 0 means 4 MiB.
	Header int64
	// Window is the most bytes that the dictionaries of all decoders that are open at a
	// time may take. 0 means 64 MiB.
	Window int64
	// OldRar has contents unpacked that RAR 3 and 4 have compressed. It is off because the
	// decoder can be made to take 350 MB on the word of a single byte, and to run for minutes
	// with no input. Their names are listed and stored members are read either way.
	OldRar bool
	// Spool returns an empty place for one unpacked archive while the walk looks into it;
	// as many are open at a time as archives are nested. nil means 1 MiB of memory
	// and then a file without a name in os.TempDir.
	Spool func() (Spool, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// The limits that stand for a zero.
const (
	defaultDepth     = 5
	defaultEntries   = 10_000
	defaultUnpacked  = 1 << 30
	defaultTime      = 20 * time.Second
	defaultNameBytes = 4 << 20
	defaultHeader    = 4 << 20
	defaultWindow    = 64 << 20
	defaultMemory    = 1 << 20
)

func (l Limits) filled() Limits {
	if l.Depth <= 0 {
		l.Depth = defaultDepth
	}
	if l.Entries <= 0 {
		l.Entries = defaultEntries
	}
	if l.Unpacked <= 0 {
		l.Unpacked = defaultUnpacked
	}
	if l.Time <= 0 {
		l.Time = defaultTime
	}
	if l.NameBytes <= 0 {
		l.NameBytes = defaultNameBytes
	}
	if l.Header <= 0 {
		l.Header = defaultHeader
	}
	if l.Window <= 0 {
		l.Window = defaultWindow
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Spool == nil {
		l.Spool = func() (Spool, error) { return &spool{memory: defaultMemory}, nil }
	}
	return l
}

// A Limit names one of the Limits.
type Limit uint8

// What can be hit. DeclaredLimit is Unpacked again, held against the sizes that the
// archives claim for their members: the mark of a bomb that Walk had no need to unpack.
const (
	NoLimit Limit = iota
	DepthLimit
	EntriesLimit
	UnpackedLimit
	DeclaredLimit
	TimeLimit
	NameLimit
	HeaderLimit
	WindowLimit
	limitKinds
)

var limitNames = [limitKinds]string{"none", "depth", "entries", "unpacked", "declared", "time", "names", "header", "window"}

// String returns a short name in lower case.
func (l Limit) String() string {
	if l < limitKinds {
		return limitNames[l]
	}
	return "unknown"
}
