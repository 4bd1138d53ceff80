// Package store keeps small values by key for as long as they are wanted: what greylisting knows
// of a sender, entries of lists, the answers of other people's servers, counters that end in a
// ban, the index of a queue.
//
// [Store] is what filters see. [Memory] ends with the process, [File] is one file of one
// process, and the state of several hosts is in a server they share.
//
// # Writes
//
// Each write says what it waits for. A [Buffered] one returns at once: greylisting can lose the
// last moment, as the worst that comes of it is one more retry. A [Durable] one returns when a
// crash does not undo it any more, which takes as long as the disk does; those that wait at
// the same time share one write to it.
//
// # Expiry
//
// The time at which an item expires is stored with it, and judged by the clock of the store
// whenever it is read. Nothing is there longer than it should be because something was late to
// remove it. A clock that is put back has what expired in the meantime come back, if its room
// was not needed.
//
// # Room
//
// Keys, values, the number of entries and the room that they take are bounded. A store that is
// full removes what has expired; if nothing has, it refuses new keys with [ErrFull], and never
// throws away what others rely on. A user of the store decides what that means for mail.
package store
