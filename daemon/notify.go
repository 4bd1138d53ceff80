package daemon

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// A supervisor is told how the daemon fares (sd_notify(3)); without one nothing
// happens.
type supervisor struct {
	log  *slog.Logger
	send func(state string) (bool, error)
}

func newSupervisor(log *slog.Logger) *supervisor {
	return &supervisor{log: log, send: func(state string) (bool, error) { return daemon.SdNotify(false, state) }}
}

func (s *supervisor) tell(state string) {
	if _, err := s.send(state); err != nil {
		s.log.Warn("systemd is not told", "err", err)
	}
}

func (s *supervisor) ready(status string)  { s.tell(daemon.SdNotifyReady + "\nSTATUS=" + status) }
func (s *supervisor) stopping()            { s.tell(daemon.SdNotifyStopping) }
func (s *supervisor) status(status string) { s.tell("STATUS=" + status) }
func (s *supervisor) stillAlive()          { s.tell(daemon.SdNotifyWatchdog) }
func (s *supervisor) reloading(now int64) {
	s.tell(daemon.SdNotifyReloading + "\nMONOTONIC_USEC=" + strconv.FormatInt(now, 10))
}

// monotonic is the clock that systemd compares the beginning of a reload with, in
// microseconds.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return t.Nano() / 1000
}

// watch tells the supervisor's watchdog that the daemon lives, as often as it
// wants to hear it, as long as alive returns in time.
func (s *supervisor) watch(ctx context.Context, alive func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return
	}
	t := time.NewTicker(interval / 2)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			alive()
			s.stillAlive()
		case <-ctx.Done():
			return
		}
	}
}
