package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// A web serves HTTP on a listener.
type web struct {
	addr  string // as configured
	srv   *http.Server
	ended chan struct{}
}

// newWeb serves until stop. Whoever is slow to ask, or asks too much, is left.
func newWeb(addr string, ln net.Listener, h http.Handler, log *slog.Logger) *web {
	w := &web{addr: addr, ended: make(chan struct{}), srv: &http.Server{
		Handler:           http.MaxBytesHandler(h, 64<<10),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	go func() {
		defer close(w.ended)
		if err := w.srv.Serve(newCrowdListener(ln)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("HTTP ended", "addr", addr, "err", err)
		}
	}()
	return w
}

// stop closes the listener and gives requests under way a second.
func (w *web) stop() {
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if w.srv.Shutdown(ctx) != nil {
		w.srv.Close()
	}
	<-w.ended
}
