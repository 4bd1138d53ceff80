package hostile

import (
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gomilter/gomilter/internal/wire"
)

// Attacks returns all attacks.
func Attacks() []Attack {
	return []Attack{
		{"lengths no frame may have", (*assault).lengths},
		{"truncated negotiation", (*assault).truncatedOffers},
		{"repeated and odd negotiation", (*assault).oddOffers},
		{"every command with every payload everywhere", (*assault).everyCommand},
		{"commands in random order", (*assault).randomOrder},
		{"random bytes", (*assault).randomBytes},
		{"body in the end of the body", (*assault).bodyInEnd},
		{"a flood of macros", (*assault).macros},
		{"a flood of header fields", (*assault).headers},
		{"a flood of recipients", (*assault).recipients},
		{"a flood of aborts and new sessions", (*assault).aborts},
		{"a flood of connections", (*assault).connections},
		{"connections held with what they said", (*assault).held},
		{"large frames begun and held", (*assault).largeFrames},
		{"dribbled bytes", (*assault).dribble},
		{"half-closed sockets", (*assault).halfClosed},
		{"answers never read", (*assault).neverRead},
		{"connections cut anywhere", (*assault).cut},
		{"hooks that panic, hang and eat time", (*assault).triggers},
	}
}

func (s *assault) lengths() {
	bad := [][]byte{
		head(0, ""), head(0, "H"), head(1<<32-1, ""), head(1<<32-1, "Hname\x00"), head(1<<31, "H"), head(1<<31-1, "B"), head(1<<24, "B"), head(65537, "B"),
	}
	const positions = 10
	s.each(len(bad)*positions*4, func(i int, l *line) {
		if !l.lead(i / len(bad) % positions) {
			return
		}
		l.write(bad[i%len(bad)])
		if i%3 == 0 { // and as much of it as goes
			junk := make([]byte, 64<<10)
			for range 16 {
				if !l.write(junk) {
					break
				}
			}
		}
		l.answer()
	})
}

func (s *assault) truncatedOffers() {
	whole := wire.AppendFrame(nil, offer[0], offer[1:])
	s.each(len(whole)*8, func(i int, l *line) {
		l.write(whole[:i%len(whole)])
		switch i / len(whole) % 4 {
		case 0: // closes
		case 1:
			l.halfClose()
			l.answer()
		case 2: // another frame in the middle
			l.frames(ordinary[0])
			l.halfClose()
			l.answer()
		case 3: // a frame too short for an offer
			l.frames(offer[:1+i%12])
			l.halfClose()
			l.answer()
		}
	})
}

func (s *assault) oddOffers() {
	s.each(s.Conns*20, func(i int, l *line) {
		r := s.rand(i)
		l.listen()
		for j := range 200 {
			f := offer
			switch {
			case i%4 == 1:
				f = "O" + string(wire.AppendNegotiation(nil, &wire.Negotiation{Version: r.Uint32(), Actions: wire.Actions(r.Uint32()), Protocol: wire.Protocol(r.Uint32())}))
			case i%4 == 2:
				f = offer + junk(r, 1+r.IntN(3000))
			case i%4 == 3 && j%2 == 1:
				f = ordinary[j%len(ordinary)]
			}
			if !l.frames(f) {
				return
			}
		}
	})
}

// payloads are what a command may carry that it should not, given what it should.
var payloads = []func(r *rand.Rand, valid string) string{
	func(*rand.Rand, string) string { return "" },
	func(*rand.Rand, string) string { return "\x00" },
	func(*rand.Rand, string) string { return "unterminated" },
	func(*rand.Rand, string) string { return "\x00\x00\x00" },
	func(*rand.Rand, string) string { return strings.Repeat("\x00", 60000) },
	func(*rand.Rand, string) string { return strings.Repeat("x", 65534) + "\x00" },
	func(*rand.Rand, string) string { return strings.Repeat("x", 65535) },
	func(*rand.Rand, string) string { return strings.Repeat("<", 65536) },
	func(_ *rand.Rand, valid string) string { return valid },
	func(_ *rand.Rand, valid string) string { return valid + "trailing" },
	func(_ *rand.Rand, valid string) string { return valid + "\x00\x00\x00" },
	func(_ *rand.Rand, valid string) string { return strings.TrimSuffix(valid, "\x00") },
	func(r *rand.Rand, _ string) string { return junk(r, r.IntN(20)) },
	func(r *rand.Rand, _ string) string { return junk(r, r.IntN(2000)) },
}

const commands = "OCHMRTLNBEUAQKD" + "\x00\x01\x07 cdpry+\xff"

func (s *assault) everyCommand() {
	const positions = 10
	kinds := len(payloads)
	all := len(commands) * kinds * positions
	s.each(all, func(i int, l *line) {
		i = (i * 7919) % all // so that a cut attack still saw a bit of everything
		cmd, kind, position := commands[i%len(commands)], i/len(commands)%kinds, i/len(commands)/kinds
		if !l.lead(position) {
			return
		}
		valid := ""
		if at := slices.IndexFunc(ordinary, func(f string) bool { return f[0] == cmd }); at >= 0 {
			valid = ordinary[at][1:]
		}
		l.frames(string(cmd) + payloads[kind](s.rand(i), valid))
		l.frames("E")
		l.halfClose()
		for l.answer() != 0 {
		}
	})
}

func (s *assault) randomOrder() {
	s.each(s.Conns*40, func(i int, l *line) {
		r := s.rand(i)
		l.listen()
		if i%3 > 0 {
			l.frames(offer)
		}
		for range 100 {
			if !l.frames(randomFrame(r)) {
				return
			}
		}
	})
}

// randomFrame is mostly what might come in a conversation, in no order.
func randomFrame(r *rand.Rand) string {
	switch r.IntN(20) {
	case 0:
		return offer
	case 1:
		return "A"
	case 2:
		return "K"
	case 3:
		return "UFOO bar\x00"
	case 4:
		return "D" + string(commands[r.IntN(len(commands))]) + "i\x00" + junk(r, r.IntN(40)) + "\x00"
	case 5:
		return string(commands[r.IntN(len(commands))]) + junk(r, r.IntN(100))
	}
	return ordinary[r.IntN(len(ordinary))]
}

func junk(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func (s *assault) randomBytes() {
	s.each(s.Conns*20, func(i int, l *line) {
		r := s.rand(i)
		l.listen()
		if i%2 == 0 {
			l.frames(offer)
		}
		for range 20 {
			if !l.write([]byte(junk(r, 1+r.IntN(5000)))) {
				return
			}
		}
	})
}

func (s *assault) bodyInEnd() {
	r := s.rand(0)
	tails := []string{"x", "\r\n.\r\n", strings.Repeat("x", 65535), junk(r, 1000), "\x00"}
	s.each(s.Conns*10, func(i int, l *line) {
		if !l.lead(9) {
			return
		}
		l.listen()
		for j := range 20 {
			l.frames("E"+tails[(i+j)%len(tails)], ordinary[2], ordinary[3], ordinary[4], ordinary[5], ordinary[6])
		}
	})
}

// flood sends a frame again and again behind a lead, on new connections where the
// milter ends them, until there were enough.
func (s *assault) flood(steps, perFrame int, frame func(i int) string) {
	const batch = 500
	var left atomic.Int64
	left.Store(int64(s.Count / perFrame))
	s.each(s.Conns+s.Count/perFrame/batch, func(i int, l *line) {
		if !l.lead(steps) {
			return
		}
		l.listen()
		for left.Add(-batch) > -batch {
			var b []byte
			for j := range min(batch, 1+(1<<20)/len(frame(0))) { // about a megabyte at once
				f := frame(i + j)
				b = wire.AppendFrame(b, f[0], f[1:])
			}
			if !l.write(b) {
				return
			}
		}
	})
}

func (s *assault) macros() {
	stages := "CHMRTLNBEU"
	many := strings.Repeat("x\x00\x00", 20000)
	big := "{x}\x00" + strings.Repeat("y", 65000) + "\x00"
	s.flood(3, 20000, func(i int) string { return "D" + string(stages[i%len(stages)]) + many })
	s.flood(3, 20000, func(i int) string { return "D" + string(stages[i%len(stages)]) + big })
	s.flood(5, 1, func(i int) string { return "D" + string(stages[i%len(stages)]) + "i\x00Q\x00" })
}

func (s *assault) headers() {
	big := "LX\x00" + strings.Repeat("y", 65000) + "\x00"
	s.flood(6, 1, func(int) string { return "LX\x00\x00" })
	s.flood(6, 1000, func(int) string { return big })
}

func (s *assault) recipients() {
	s.flood(4, 1, func(int) string { return "R\x00" })
	big := "R<b@example.net>\x00" + strings.Repeat("X=1\x00", 16000)
	s.flood(4, 1000, func(int) string { return big })
}

func (s *assault) aborts() {
	s.flood(3, 1, func(i int) string { return []string{ordinary[2], "A", "K", ordinary[0], ordinary[1], "UX\x00"}[i%6] })
}

// crowd opens many connections at once, does something with each, and holds them.
func (s *assault) crowd(n int, do func(i int, l *line)) {
	var lines []*line
	for i := 0; i < n && !s.over(); i++ {
		if l := s.dial(); l != nil {
			lines = append(lines, l)
			do(i, l)
		}
	}
	s.pause(300 * time.Millisecond)
	for _, l := range lines {
		l.close()
	}
}

func (s *assault) connections() {
	s.crowd(s.Flood, func(i int, l *line) {
		switch i % 4 {
		case 1:
			l.frames(offer)
		case 2:
			l.frames(offer, ordinary[0])
		case 3:
			l.write([]byte{0, 0})
		}
	})
	for i := 0; i < s.Flood*4 && !s.over(); i++ { // and in a hurry
		if l := s.dial(); l != nil {
			l.close()
		}
	}
}

func (s *assault) held() {
	name := strings.Repeat("x", 20000)
	big := "{x}\x00" + strings.Repeat("y", 15000) + "\x00"
	s.crowd(s.Flood, func(_ int, l *line) {
		l.nc.SetWriteDeadline(time.Now().Add(s.Time / 2))
		l.frames(offer, "DC"+big, "C"+name+"\x00L\x00\x00"+"/"+"\x00", "DH"+big, "H"+name+"\x00", "DM"+big, "M<"+name+">\x00", "DR"+big, "R<"+name+">\x00", "DE"+big)
	})
}

func (s *assault) largeFrames() {
	part := append(head(65536, "B"), make([]byte, 65000)...)
	s.crowd(s.Flood, func(_ int, l *line) {
		l.nc.SetWriteDeadline(time.Now().Add(s.Time / 2))
		if l.frames(offer) {
			l.write(part)
		}
	})
}

func (s *assault) dribble() {
	var b []byte
	for _, f := range append([]string{offer}, ordinary...) {
		b = wire.AppendFrame(b, f[0], f[1:])
	}
	s.each(s.Conns, func(i int, l *line) {
		l.listen()
		for j := range b {
			if !l.write(b[j : j+1]) {
				return
			}
			if i%2 == 0 {
				s.pause(time.Duration(i) * 100 * time.Microsecond)
			}
		}
	})
	// The same over many at once, none of which gets to an end.
	s.crowd(min(s.Flood, 200), func(i int, l *line) {
		for j := range b[:i%len(b)] {
			l.write(b[j : j+1])
		}
	})
}

func (s *assault) halfClosed() {
	s.each(s.Conns*20, func(i int, l *line) {
		if !l.lead(i % 10) {
			return
		}
		if i%2 == 1 {
			l.write([]byte{0, 0, 0, 9, 'L', 'X'})
		}
		l.halfClose()
		for l.answer() != 0 {
		}
	})
}

func (s *assault) neverRead() {
	var b []byte
	for range 5000 {
		b = wire.AppendFrame(b, 'U', "X\x00")
	}
	s.crowd(min(s.Flood, 60), func(_ int, l *line) {
		l.nc.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		l.frames(offer)
		for l.write(b) {
		}
	})
}

func (s *assault) cut() {
	var b []byte
	for _, f := range append([]string{offer}, ordinary...) {
		b = wire.AppendFrame(b, f[0], f[1:])
	}
	s.each(len(b), func(i int, l *line) {
		l.write(b[:i])
		if c, ok := l.nc.(*net.TCPConn); ok && i%2 == 0 {
			c.SetLinger(0) // a reset
		}
	})
}

// Words that a filter under test may take as a sign to misbehave.
const (
	Panic  = "please-panic"
	Goexit = "please-goexit"
	Hang   = "please-hang"
	Eat    = "please-eat-time"
)

// triggers says the words at every stage. What hangs is done few times only, as a
// milter may stop taking work when much does.
func (s *assault) triggers() {
	s.each(s.Conns*10, func(i int, l *line) {
		word := []string{Panic, Goexit, Panic, Eat}[i%4]
		if i < 24 {
			word = Hang
		}
		l.listen()
		l.frames(offer)
		for j, f := range ordinary {
			if j == i/4%len(ordinary) {
				switch f[0] {
				case 'T', 'N', 'E': // nothing to put it into but the body
					f = "B" + word
				case 'C':
					f = "C" + word + "\x00U"
				case 'L':
					f = "L" + word + "\x00\x00"
				case 'B':
					f = "B" + word
				default:
					f = f[:1] + word + "\x00"
				}
			}
			if !l.frames(f) {
				return
			}
		}
		s.pause(20 * time.Millisecond)
	})
}
