package config

import "net/netip"

// A Size is a number of bytes; less than 0 is no limit. Configurations write it as
// a number, or with a unit: "25 MB" (of 1000), "1 MiB" (of 1024).
type Size int64

// Prefixes are networks; an address is a network of one.
type Prefixes []netip.Prefix
