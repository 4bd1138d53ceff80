package config

import (
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A Size is a number of bytes; less than 0 is no limit. Configurations write it as
// a number, or with a unit: "25 MB" (of 1000), "1 MiB" (of 1024).
type Size int64

// sizeUnits are the units of sizes, the larger first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// parseSize reads a size: a whole number, a blank or none, and a unit. The units are B,
// kB, MB, GB, TB, which are powers of 1000, and KiB, MiB, GiB, TiB, powers of 1024, in
// any case; without one it is bytes.
func parseSize(s string) (Size, error) {
	digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	unit := strings.TrimPrefix(s[len(digits):], " ")
	factor := int64(0)
	if unit == "" && s == digits {
		factor = 1
	}
	for _, u := range sizeUnits {
		if strings.EqualFold(unit, u.name) {
			factor = u.bytes
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case digits == "" || factor == 0 || err != nil && !isRange(err):
		return 0, fmt.Errorf("%q is no size; write a number of bytes, or \"500 kB\", \"25 MB\", \"1 MiB\"", s)
	case err != nil || n > math.MaxInt64/factor:
		return 0, fmt.Errorf("%q is too large", s)
	}
	return Size(n * factor), nil
}

// String returns the size in the largest unit that it has a whole number of.
func (n Size) String() string {
	if n > 0 {
		for _, u := range sizeUnits {
			if int64(n)%u.bytes == 0 && int64(n) >= u.bytes && u.bytes > 1 {
				return strconv.FormatInt(int64(n)/u.bytes, 10) + " " + u.name
			}
		}
	}
	return strconv.FormatInt(int64(n), 10) + " B"
}

func isRange(err error) bool { return strings.Contains(err.Error(), strconv.ErrRange.Error()) }

// ParseDuration reads a time: numbers with the units ms, s, m, h, d (24 hours) and w
// (7 days), such as "90s", "1h30m", "7d". A number without a unit is none, except 0.
// There are no times before 0 or of more than 100 years. Errors say so in a text that
// can be shown as it is.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no time; write it with a unit: \"300ms\", \"5s\", \"10m\", \"8h\", \"7d\"", s)
	if s == "0" {
		return 0, nil
	}
	rest, total := s, float64(0)
	for rest != "" {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789."))]
		rest = rest[len(digits):]
		unit := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))]
		rest = rest[len(unit):]
		var factor time.Duration
		switch unit {
		case "ms":
			factor = time.Millisecond
		case "s":
			factor = time.Second
		case "m":
			factor = time.Minute
		case "h":
			factor = time.Hour
		case "d":
			factor = 24 * time.Hour
		case "w":
			factor = 7 * 24 * time.Hour
		default:
			return 0, bad
		}
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return 0, bad
		}
		total += n * float64(factor)
	}
	if s == "" {
		return 0, bad
	}
	if total > float64(100*365*24*time.Hour) {
		return 0, fmt.Errorf("%q is more than 100 years", s)
	}
	return time.Duration(math.Round(total)), nil
}

// formatDuration writes a time as ParseDuration reads it.
func formatDuration(d time.Duration) string {
	for _, u := range []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d != 0 && d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	if d == 0 {
		return "0s"
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', -1, 64) + "ms"
}

// parseMode reads permissions: octal digits.
func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || s == "" || n > 0o777 || n == 0 {
		return 0, fmt.Errorf("%q are no permissions; write octal digits such as \"0660\"", s)
	}
	return fs.FileMode(n), nil
}

func formatMode(m fs.FileMode) string { return fmt.Sprintf("%04o", m) }

// parsePrefix reads a network or an address. Bits behind the length are dropped, and
// IPv4 mapped into IPv6 is IPv4.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is neither an address nor a network; write \"192.0.2.1\", \"192.0.2.0/24\" or \"2001:db8::/32\"", s)
	case p.Addr().Is4In6() && p.Bits() < 96:
		return p, fmt.Errorf("%q holds addresses of both families", s)
	case p.Addr().Is4In6():
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// hostBits returns the network that is meant where a network is written with bits behind
// its length, as in 10.1.2.3/8; "" where there are none.
func hostBits(s string) string {
	if p, err := netip.ParsePrefix(s); err == nil && p != p.Masked() {
		return p.Masked().String()
	}
	return ""
}
