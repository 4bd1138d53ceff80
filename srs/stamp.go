package srs

import (
	"fmt"
	"strings"
	"time"
)

// The days of SRS: two digits of base32 (RFC 4648 section 6).
const (
	base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	cycle  = int64(len(base32) * len(base32))
)

// stamp writes a day.
func stamp(day int64) string {
	return string([]byte{base32[day>>5&31], base32[day&31]})
}

// readStamp returns the value of a stamp.
func readStamp(s string) (value int64, ok bool) {
	if len(s) != 2 {
		return 0, false
	}
	s = strings.ToUpper(s)
	hi, lo := strings.IndexByte(base32, s[0]), strings.IndexByte(base32, s[1])
	return int64(hi<<5 | lo), hi >= 0 && lo >= 0
}

// age returns the days from then until today in a count that begins anew after cycle
// days. It is -1 for tomorrow; a later day of the future is one long gone.
func age(today, then, cycle int64) int64 {
	return ((today+1-then)%cycle+cycle)%cycle - 1
}

// checkStamp returns the day that a stamp means, or ErrExpired.
func (r *Rewriter) checkStamp(value int64) (time.Time, error) {
	today := r.today()
	n := age(today, value, cycle)
	if n > r.maxAge {
		return time.Time{}, fmt.Errorf("%w: made %d days ago, or in the future", ErrExpired, n)
	}
	return date(today - n), nil
}

func date(day int64) time.Time { return time.Unix(day*24*60*60, 0).UTC() }

// batvCycle is how many days three digits count.
const batvCycle = 1000

// checkExpiry returns ErrExpired unless value is the last day of validity of an address made here:
// not before yesterday, and no later than any choice of MaxAge allows, so that another
// choice does not end what was made before. A host whose clock is a day early may
// have made it.
func (r *Rewriter) checkExpiry(value int64) error {
	today := r.today() % batvCycle
	if left := (value + 1 - today + batvCycle) % batvCycle; left > maxAgeDays+2 {
		return fmt.Errorf("%w: its last day was %03d, today is %03d", ErrExpired, value, today)
	}
	return nil
}
