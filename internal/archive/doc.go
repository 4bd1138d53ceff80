// Package archive lists what is inside an archive, nested archives included.
//
// [Walk] calls a function for every member and returns what it met besides:
// encryption, damage, kinds that it cannot list, limits that were hit. Those are
// values, not errors; the policy of the caller decides what they mean. Nothing is
// extracted to a place that a member names, and no member is trusted: not its
// declared size, not the count of its siblings, not the dictionary it asks for.
//
// Listed are zip (also behind a prefix, without its directory, or cut), 7z, rar
// (1.5 to 7), tar, gzip, bzip2, xz, lzma, zstd and ISO 9660 images. Other kinds that
// are known by their first bytes are named and reported as [Unlisted].
//
// What stands behind a program is looked for in every member; a zip behind anything else,
// such as a picture, only in the outermost file, as to find it takes to unpack all of it.
//
// The listing of 7z and rar is this package's own, so that a header can be judged
// before memory is taken for it; libraries unpack the contents. A kind is left out of a
// build by deleting its line from the table of listers.
package archive
