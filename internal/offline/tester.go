package offline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/daemon/config"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/memconn"
	"github.com/gomilter/gomilter/internal/release"
	"github.com/gomilter/gomilter/mta"
	"github.com/gomilter/gomilter/quarantine"
)

// Options say how messages are tested. The zero value of each field but Envelope is
// a working default.
type Options struct {
	Envelope Envelope
	Profile  mta.Profile       // whose ways are followed
	Macros   map[string]string // by name without braces; they go before the MTA's own
	Workers  int               // messages tested at once; 0 means GOMAXPROCS
	Deliver  bool              // fill in Result.Delivered and Result.Diff

	MaxSize   int64 // of a message, in bytes; 0 means 1 GiB
	MaxMemory int64 // of all messages as they were read, in bytes, MaxSize at least; 0 means 1 GiB

	// Now is the clock of explanations, queue ids and originals; nil means time.Now. How
	// long filters may take is measured by the real one.
	Now func() time.Time
	// Resolver answers the filters' questions about names, in place of the servers that the
	// configuration names; nil for these.
	Resolver dns.Resolver
	// Dir is where the scratch folder is made; "" means os.TempDir.
	Dir string
	// Log is told what filters and the server log; nil means that nobody is.
	Log *slog.Logger
}

// Ref is the reference that ends the text of each refusal. It is always the same, so
// that two runs can be compared.
const Ref = "test"

// A Tester puts messages through the chain of one listener.
type Tester struct {
	o       Options
	room    *budget
	dir     string
	workers []*worker
	stop    context.CancelFunc
	serving sync.WaitGroup
}

// New returns a Tester for one of the configuration's listeners, which the caller
// closes. Errors are those of the filters and of the scratch folder.
func New(c *config.Config, l *config.Listener, o Options) (_ *Tester, err error) {
	o.MaxSize = cmp.Or(o.MaxSize, 1<<30)
	o.MaxMemory = max(cmp.Or(o.MaxMemory, 1<<30), o.MaxSize)
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := os.MkdirTemp(o.Dir, "gomilter-test-")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &Tester{o: o, room: newBudget(o.MaxMemory), dir: dir, stop: stop}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	spool := filepath.Join(dir, "spool")
	if err := os.Mkdir(spool, 0o700); err != nil {
		return nil, err
	}
	for i := range o.Workers {
		w, err := t.worker(c, l, filepath.Join(dir, fmt.Sprint(i)), spool)
		if err != nil {
			return nil, err
		}
		t.workers = append(t.workers, w)
		t.serving.Go(func() {
			if err := w.srv.Serve(ctx, w.ln); !errors.Is(err, milter.ErrServerClosed) {
				o.Log.Error("server ended", "err", err)
			}
		})
	}
	return t, nil
}

// Close ends what the Tester started and removes its scratch folder.
func (t *Tester) Close() error {
	t.stop()
	t.serving.Wait()
	return os.RemoveAll(t.dir)
}

const (
	// stopTimeout is what conversations have that are under way when a Tester is closed.
	stopTimeout = time.Second
	// patience is how long a hook that was abandoned may hold up the next message.
	patience = 10 * time.Second
)

// A worker tests one message at a time. Each has a chain, a server and a store of its
// own, so that nothing a message leaves behind decides about others.
type worker struct {
	t      *Tester
	ln     *memconn.Listener
	srv    *milter.Server
	client *mta.Client
	plain  *mta.Client // without filters
	store  *quarantine.Store
	conn   *memconn.Conn // the last that was opened

	mu   sync.Mutex
	id   string // of the connection at hand
	told *filter.Explanation
}

func (t *Tester) worker(c *config.Config, l *config.Listener, dir, spool string) (*worker, error) {
	w := &worker{t: t, ln: memconn.Listen(l.Name)}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if c.Kept.Enabled {
		o := c.Kept.Options()
		o.Now = t.o.Now
		var err error
		if w.store, err = quarantine.Open(filepath.Join(dir, "kept"), o); err != nil {
			return nil, err
		}
	}
	chain, err := l.NewChain(config.Env{Originals: w.store, Resolver: t.o.Resolver, Log: t.o.Log, Explain: w.explain, NewRef: func() string { return Ref }, Dir: spool})
	if err != nil {
		return nil, err
	}
	for i := range chain.Steps {
		if s := &chain.Steps[i]; s.Filter.Contacts && s.Mode == filter.On {
			s.Filter = silent(s.Filter)
		}
	}
	if w.store != nil && slices.ContainsFunc(chain.Steps, func(s filter.Step) bool { return s.Mode == filter.On && s.Filter.Message != nil }) {
		// As in the daemon, but for the key: no mark is good here.
		marks, err := release.Open(dir, release.Options{Now: t.o.Now, Log: t.o.Log})
		if err != nil {
			return nil, err
		}
		chain.Pass = marks.Pass
	}
	if err := chain.Check(); err != nil {
		return nil, err
	}
	w.srv = l.Server()
	w.srv.Log, w.srv.StopTimeout = t.o.Log, stopTimeout
	w.srv.New = func(s *milter.Session) milter.Hooks {
		w.mu.Lock()
		w.id = s.ID()
		w.mu.Unlock()
		return chain.Hooks(s)
	}
	w.plain = &mta.Client{Profile: t.o.Profile, Macros: t.o.Macros, Now: t.o.Now}
	w.client = &mta.Client{Profile: t.o.Profile, Macros: t.o.Macros, Now: t.o.Now, Failure: mta.FailTempFail, MaxEditSize: max(256<<20, 2*t.o.MaxSize),
		Milters: []mta.Milter{{Name: l.Name, Dial: w.dial}}}
	return w, nil
}

func (w *worker) dial(context.Context) (net.Conn, error) {
	if w.conn = w.ln.Dial(); w.conn == nil {
		return nil, net.ErrClosed
	}
	return w.conn, nil
}

// explain takes the explanation of the message at hand. Those of hooks that were
// abandoned with an earlier one come too late.
func (w *worker) explain(x *filter.Explanation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told == nil && x.Conn == w.id {
		x.Time = w.t.o.Now()
		w.told = x
	}
}

// silent returns a filter that stands where one stands that contacts others, and is
// not asked.
func silent(f *filter.Filter) *filter.Filter {
	const why = "not asked: a test contacts nobody"
	q := *f
	q.Contacts, q.Ready = false, nil
	if f.Connect != nil {
		q.Connect = func(_ context.Context, c *filter.Connection) (milter.ConnectReply, error) {
			c.Explain(why)
			return milter.Continue, nil
		}
	}
	if f.Helo != nil {
		q.Helo = func(_ context.Context, c *filter.Connection) (milter.HeloReply, error) {
			c.Explain(why)
			return milter.Continue, nil
		}
	}
	if f.Mail != nil {
		q.Mail = func(_ context.Context, t *filter.Transaction) (milter.MailReply, error) {
			t.Explain(why)
			return milter.Continue, nil
		}
	}
	if f.Rcpt != nil {
		q.Rcpt = func(_ context.Context, t *filter.Transaction, _ filter.Path) (milter.RcptReply, error) {
			t.Explain(why)
			return milter.Continue, nil
		}
	}
	if f.Data != nil {
		q.Data = func(_ context.Context, t *filter.Transaction) (milter.DataReply, error) {
			t.Explain(why)
			return milter.Continue, nil
		}
	}
	if f.Message != nil {
		q.Message = func(_ context.Context, t *filter.Transaction, _ *filter.Edits) (milter.EndReply, error) {
			t.Explain(why)
			return milter.Continue, nil
		}
	}
	return &q
}

// ErrHeader is the error of a message whose header is too large to be read: four
// times what the listener takes, and 4 MiB at least.
var ErrHeader = errors.New("header is too large")

// maxHeader is what headers may have in any case, in bytes. The structure that is made
// of one takes some 30 times as much.
const maxHeader = 4 << 20

// test tests one message. The error is that of ctx.
func (w *worker) test(ctx context.Context, m *Message) (*Result, error) {
	r := &Result{Message: *m}
	if m.Err != nil {
		return r, nil
	}
	if headerSize(m.Data) > max(maxHeader, 4*w.srv.MaxHeaderBytes) {
		r.Err = ErrHeader
		return r, nil
	}
	mail := w.t.o.Envelope.mail(m)
	w.mu.Lock()
	w.id, w.told = "", nil
	w.mu.Unlock()
	res, err := w.client.Send(ctx, mail)
	if err != nil {
		return nil, err
	}
	if w.conn != nil {
		w.conn.Settled(patience) // the explanation may come at the very end
	}
	w.mu.Lock()
	r.Explanation, w.told = w.told, nil
	w.id = ""
	w.mu.Unlock()
	res.File, r.Result, r.mail = m.File, res, mail
	if err := w.forget(ctx); err != nil {
		return nil, err
	}
	if w.t.o.Deliver {
		before, err := w.plain.Send(ctx, mail)
		if err != nil {
			return nil, err
		}
		r.deliver(before)
	}
	return r, nil
}

// forget empties the store.
func (w *worker) forget(ctx context.Context) error {
	if w.store == nil || w.store.Used().Entries == 0 {
		return nil
	}
	var errs []error
	for e, err := range w.store.List(ctx) {
		if err == nil || e.Ref != "" {
			err = w.store.Remove(e.Ref)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
