package mta

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
)

// A plan says how a fake filter answers: per command letter the bytes for the
// first, the second, … packet, the last for all that follow, in hexadecimal with
// the length of frames. "" answers nothing, "close" closes the connection. What
// is not in the plan is answered by CONTINUE.
type plan map[string][]string

// A fake is a filter that follows a plan, on net.Pipe.
type fake struct {
	t      testing.TB
	plan   plan
	answer []byte // payload of its OPTNEG
	silent bool   // does not answer OPTNEG

	wg   sync.WaitGroup
	mu   sync.Mutex
	seen []packet
}

type packet struct {
	cmd     byte
	payload string
}

const (
	seenEOF   = '.' // the MTA closed without QUIT
	seenClose = '/' // the plan said close
)

func newFake(t testing.TB, p plan) *fake {
	f := &fake{t: t, plan: p, answer: negotiation(6, 0x1ff, 0)}
	t.Cleanup(f.wg.Wait)
	return f
}

func negotiation(version, actions, protocol uint32, lists ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	b = binary.BigEndian.AppendUint32(b, actions)
	b = binary.BigEndian.AppendUint32(b, protocol)
	for _, l := range lists {
		b = append(b, l...)
	}
	return b
}

func (f *fake) dial(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	f.wg.Go(func() { f.serve(theirs) })
	return ours, nil
}

func (f *fake) note(cmd byte, payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, packet{cmd, string(payload)})
}

func (f *fake) serve(nc net.Conn) {
	// Like a socket, and unlike net.Pipe, what is answered waits to be read.
	answers := make(chan []byte, 1000)
	f.wg.Go(func() {
		for a := range answers {
			nc.Write(a)
		}
	})
	defer close(answers)
	defer nc.Close()
	r := wire.NewReader(nc, wire.DataSize1M)
	count := make(map[byte]int)
	for {
		cmd, payload, err := r.Next()
		if err != nil {
			f.note(seenEOF, nil)
			return
		}
		f.note(cmd, payload)
		var answer []byte
		switch cmd {
		case wire.CmdMacro, wire.CmdAbort, wire.CmdQuitNew:
			continue
		case wire.CmdQuit:
			return
		case wire.CmdNegotiate:
			if f.silent {
				continue
			}
			answer = wire.AppendFrame(nil, wire.CmdNegotiate, f.answer)
		default:
			list, ok := f.plan[string(cmd)]
			if !ok {
				list = []string{"0000000163"}
			}
			a := list[min(count[cmd], len(list)-1)]
			count[cmd]++
			if a == "close" {
				f.note(seenClose, nil)
				return
			}
			if answer, err = hex.DecodeString(a); err != nil {
				f.t.Errorf("plan: %v", err)
			}
		}
		if len(answer) > 0 {
			answers <- answer
		}
	}
}

// packets returns what the filter got so far.
func (f *fake) packets() []packet {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// sequence writes packets short: the letters of commands, a macro packet with
// that of its stage behind it in lower case.
func sequence(packets []packet) string {
	var words []string
	for _, p := range packets {
		w := string(p.cmd)
		if p.cmd == wire.CmdMacro && len(p.payload) > 0 {
			w += strings.ToLower(p.payload[:1])
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}
