package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"

	"github.com/gomilter/gomilter/daemon/config"
)

// decodeDuration reads the time that a flag is given as configurations write it, "7d" and "1h30m" among
// them. No flag means anything by 0.
func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	var s string
	if err := ctx.Scan.PopValueInto("time", &s); err != nil {
		return err
	}
	d, err := config.ParseDuration(s)
	if err == nil && d == 0 {
		err = fmt.Errorf("%q is no time: it has to be more than 0", s)
	}
	if err != nil {
		return err
	}
	target.Set(reflect.ValueOf(d))
	return nil
}

// durations has kong read all times by decodeDuration.
func durations() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration))
}
