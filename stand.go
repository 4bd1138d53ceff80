package milter

import "github.com/gomilter/gomilter/internal/wire"

// A stand stands in for a filter that cannot answer, because there are too many
// connections or its hook was abandoned: each command gets the same answer.
type stand struct {
	wc       *wire.Conn
	answer   *answer
	protocol Protocol // agreed on
	set      *connSet
}

func (d *stand) send() {
	d.wc.SetOut(append(d.wc.Out(), frameOf(d.answer)...))
}

// negotiate asks for every step and no more.
func (d *stand) negotiate(version uint32) {
	b, at := wire.BeginFrame(d.wc.Out(), wire.CmdNegotiate)
	d.wc.SetOut(wire.EndFrame(wire.AppendNegotiation(b, &wire.Negotiation{Version: min(version, wire.MaxVersion)}), at))
}

// serve answers until the MTA leaves or the server stops.
func (d *stand) serve() {
	for {
		waits := !d.wc.Buffered()
		if (waits || len(d.wc.Out()) > maxGathered) && d.wc.Flush() != nil || waits && d.set.stopping.Load() {
			return
		}
		cmd, p, err := d.wc.Next()
		if err != nil {
			return
		}
		switch cmd {
		case wire.CmdMacro, wire.CmdAbort, wire.CmdQuitNew:
			continue
		case wire.CmdQuit:
			return
		case wire.CmdNegotiate:
			offer, err := wire.Negotiate(p)
			if err != nil || offer.Version < wire.MinVersion {
				return
			}
			d.negotiate(offer.Version)
			continue
		}
		st, ok := wire.StageOf(cmd)
		if !ok {
			return
		}
		if d.protocol&st.NoReplyBit() == 0 {
			d.send()
		}
	}
}
