// Package wire reads and writes the frames of the milter protocol, for both of
// its ends: the filter (package milter) and the MTA (package mta).
//
// A frame is a 32-bit big-endian length, one command or reply byte and a
// payload; the length counts the byte and the payload. Decoders return views
// into the bytes they are given and take no memory; encoders append to a slice
// of the caller's. Every length is judged before memory is taken for it.
//
// The protocol has no RFC. Its constants carry, as comments, the names of
// libmilter's headers (mfdef.h, mfapi.h), so that people can search for them.
package wire
