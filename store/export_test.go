package store

// DueOf tells how many times of expiry a Memory remembers.
func DueOf(m *Memory) int { return len(m.due) }

// WithStep has f called as a commit goes on; an error of it is one of the disk.
func WithStep(o FileOptions, f func(name string) error) FileOptions {
	o.step = f
	return o
}

// BoltOf returns the open file of a File, to tell it from another.
func BoltOf(f *File) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bolt
}
