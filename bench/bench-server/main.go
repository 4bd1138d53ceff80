// Command bench-server is the benchmark's filter: it serves on $MILTER_ADDR
// (unix:/path or inet:port@host), does the work that $MILTER_WORKLOAD names (see
// docs/performance.md) and ends on SIGTERM.
package main

import (
	"bytes"
	"context"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter/auth"
)

func main() {
	workload := os.Getenv("MILTER_WORKLOAD")
	hooks := func(*milter.Session) milter.Hooks { return workloads[workload]() }
	switch _, ok := workloads[workload]; {
	case workload == "defang":
		h, clean, err := defang()
		if err != nil {
			log.Fatal(err)
		}
		defer clean()
		hooks = h
	case workload == "dkim" || workload == "auth":
		var methods []auth.Method
		if workload == "dkim" {
			methods = []auth.Method{auth.DKIM}
		}
		h, err := authenticate(methods)
		if err != nil {
			log.Fatal(err)
		}
		hooks = h
	case !ok:
		log.Fatalf("bench-server: unknown workload %q", workload)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	srv := &milter.Server{
		New:      hooks,
		Name:     "bench",
		MaxConns: 20000,
	}
	if err := srv.ListenAndServe(ctx, os.Getenv("MILTER_ADDR")); err != milter.ErrServerClosed {
		log.Fatal(err)
	}
}

var workloads = map[string]func() milter.Hooks{
	"W1":  all,
	"W1n": silent,
	"W2":  envelope,
	"W3":  headers,
	"W4a": body,
	"W4b": body,
	"W5":  reject,
	"W6":  envelope,
}

// all answers every step and counts what it is given.
func all() milter.Hooks {
	seen := 0
	return milter.Hooks{
		Connect: func(_ context.Context, c *milter.Client) milter.ConnectReply {
			seen += len(c.Host)
			return milter.Continue
		},
		Helo: func(_ context.Context, name []byte) milter.HeloReply {
			seen += len(name)
			return milter.Continue
		},
		Mail: func(_ context.Context, m *milter.Mail) milter.MailReply {
			seen += len(m.Raw())
			return milter.Continue
		},
		Rcpt: func(_ context.Context, r *milter.Rcpt) milter.RcptReply {
			seen += len(r.Raw())
			return milter.Continue
		},
		Data: func(context.Context) milter.DataReply { return milter.Continue },
		Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
			seen += len(h.NameBytes()) + len(h.ValueBytes())
			return milter.Continue
		},
		EndOfHeaders: func(context.Context) milter.EndOfHeadersReply { return milter.Continue },
		Body: func(_ context.Context, chunk []byte) milter.BodyReply {
			seen += len(chunk)
			return milter.Continue
		},
		Unknown: func(context.Context, []byte) milter.UnknownReply { return milter.Continue },
		End:     func(context.Context, *milter.Edits) milter.EndReply { return milter.Accept },
		Actions: milter.NoEdits,
	}
}

// silent does the same without answering before the end.
func silent() milter.Hooks {
	h := all()
	h.Silent = ^milter.StageSet(0)
	return h
}

func envelope() milter.Hooks {
	return milter.Hooks{
		Mail:    func(context.Context, *milter.Mail) milter.MailReply { return milter.Continue },
		Rcpt:    func(context.Context, *milter.Rcpt) milter.RcptReply { return milter.Continue },
		End:     func(context.Context, *milter.Edits) milter.EndReply { return milter.Accept },
		Actions: milter.NoEdits,
	}
}

// headers counts the header fields, tells their number in a new one and marks
// the subject.
func headers() milter.Hooks {
	n := 0
	var subject []byte
	return milter.Hooks{
		Header: func(_ context.Context, h *milter.Header) milter.HeaderReply {
			n++
			if h.Is("Subject") {
				subject = append(subject[:0], h.ValueBytes()...)
			}
			return milter.Continue
		},
		End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			e.AddHeader("X-Bench", "headers="+strconv.Itoa(n))
			e.ChangeHeader("Subject", 1, "[bench] "+string(subject))
			n = 0
			return milter.Accept
		},
		Abort:   func(context.Context) { n = 0 },
		Silent:  milter.Stages(milter.StageHeader),
		Actions: milter.CanAddHeaders | milter.CanChangeHeaders,
	}
}

// body collects the body and replaces it by one with other first bytes.
func body() milter.Hooks {
	var collected []byte
	return milter.Hooks{
		Body: func(_ context.Context, chunk []byte) milter.BodyReply {
			collected = append(collected, chunk...)
			return milter.Continue
		},
		End: func(_ context.Context, e *milter.Edits) milter.EndReply {
			copy(collected, "REWRITTEN-BODY!!")
			e.ReplaceBody(bytes.NewReader(collected))
			collected = collected[:0]
			return milter.Accept
		},
		Abort:   func(context.Context) { collected = collected[:0] },
		Silent:  milter.Stages(milter.StageBody),
		Actions: milter.CanChangeBody,
	}
}

func reject() milter.Hooks {
	no := milter.Reject(550, "5.7.1", "Rejected by bench policy")
	h := envelope()
	h.Rcpt = func(context.Context, *milter.Rcpt) milter.RcptReply { return no }
	return h
}
