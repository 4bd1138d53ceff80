package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gomilter/gomilter/daemon/config"
)

// A Status is how a daemon fares.
type Status struct {
	Version    string    `json:"version"`
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Generation int       `json:"generation"` // of the configuration, from 1
	Loaded     time.Time `json:"loaded"`
	Files      []string  `json:"files"` // of the configuration
	// Refused is why the last configuration was refused, "" if it was not.
	Refused string `json:"refused,omitempty"`
	// NotReady are reasons why new work is not taken; none means ready.
	NotReady  []string         `json:"not_ready"`
	Listeners []ListenerStatus `json:"listeners"`
	// Earlier are the connections that go on with earlier configurations.
	Earlier int         `json:"earlier_connections"`
	Kept    *KeptStatus `json:"kept,omitempty"`
	LogLost uint64      `json:"log_lost"` // lines that could not be written
}

// A ListenerStatus is how a listener fares.
type ListenerStatus struct {
	Name        string         `json:"name"`
	Socket      string         `json:"socket"`
	Connections int            `json:"connections"`
	Filters     []FilterStatus `json:"filters"`
}

// A FilterStatus is a filter of a listener.
type FilterStatus struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Mode string `json:"mode"`
}

// A KeptStatus is the room that originals take.
type KeptStatus struct {
	Dir         string `json:"dir"`
	Bytes       int64  `json:"bytes"`
	MaxBytes    int64  `json:"max_bytes"`
	Messages    int    `json:"messages"`
	MaxMessages int    `json:"max_messages"`
}

// A Reloaded is the answer to a reload.
type Reloaded struct {
	Generation int      `json:"generation"` // in force now
	Error      string   `json:"error,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

// Status returns how the daemon fares.
func (d *Daemon) Status(ctx context.Context) Status {
	d.mu.Lock()
	now, refused := d.now, d.refused
	d.mu.Unlock()
	s := Status{Version: d.o.Version, PID: os.Getpid(), Started: d.started.UTC(), Generation: now.generation, Loaded: now.since.UTC(),
		Files: now.source.Files(), NotReady: []string{}, Listeners: []ListenerStatus{}, LogLost: d.logLost()}
	if refused != nil {
		s.Refused = refused.Error()
	}
	if err := d.notReady(ctx, now); err != nil {
		s.NotReady = strings.Split(err.Error(), "\n")
	}
	for _, p := range now.places {
		l := ListenerStatus{Name: p.listener.Name, Socket: p.listener.Socket, Connections: p.service.live.count(), Filters: []FilterStatus{}}
		for _, name := range p.listener.Filters {
			if i := slices.IndexFunc(now.config.Filters, func(f config.Filter) bool { return f.Name == name }); i >= 0 {
				f := now.config.Filters[i]
				l.Filters = append(l.Filters, FilterStatus{name, f.Kind, f.Mode.String()})
			}
		}
		s.Listeners = append(s.Listeners, l)
	}
	d.retiring.Range(func(key, _ any) bool { s.Earlier += key.(*service).live.count(); return true })
	if now.originals != nil {
		u := now.originals.Used()
		s.Kept = &KeptStatus{Dir: now.config.Kept.Dir, Bytes: u.Bytes, MaxBytes: u.MaxBytes, Messages: u.Entries, MaxMessages: u.MaxEntries}
	}
	return s
}

// controlHandler answers the requests of gomilter ctl.
func (d *Daemon) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, d.Status(r.Context()))
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) {
		warnings, err := d.Reload()
		var r Reloaded
		for _, p := range warnings {
			r.Warnings = append(r.Warnings, p.Error())
		}
		code := http.StatusOK
		if err != nil {
			code, r.Error = http.StatusUnprocessableEntity, err.Error()
		}
		r.Generation = d.setup().generation
		answer(w, code, r)
	})
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusAccepted, struct{}{})
		d.Drain()
	})
	mux.HandleFunc("GET /kept", d.answerKept)
	return mux
}

// answerKept writes the entries of originals, one on a line.
func (d *Daemon) answerKept(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	store := d.setup().originals
	if store == nil {
		return
	}
	out := json.NewEncoder(w)
	for e, err := range store.List(r.Context()) {
		if err != nil {
			if e.Ref == "" {
				return
			}
			continue // gomilter kept tells of those that cannot be read
		}
		if out.Encode(e) != nil {
			return
		}
	}
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v) // whoever asked may have gone
}
