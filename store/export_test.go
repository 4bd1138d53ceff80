package store

// DueOf tells how many times of expiry a Memory remembers.
func DueOf(m *Memory) int { return len(m.due) }
