package wire

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// message returns what Postfix writes for one message with a body of the given
// size, and the number of its frames.
func message(t testing.TB, body int) (b []byte, frames int) {
	for _, packet := range []string{
		"0000004a 44 4d7b6d61696c5f616464727d0073406578616d706c652e6e6574007b6d61696c5f686f73747d006578616d706c652e6e6574007b6d61696c5f6d61696c65727d006469736361726400",
		"00000011 4d 3c73406578616d706c652e6e65743e00",
		"0000004b 44 527b726370745f616464727d007231406578616d706c652e6f7267007b726370745f686f73747d006578616d706c652e6f7267007b726370745f6d61696c65727d006469736361726400",
		"00000012 52 3c7231406578616d706c652e6f72673e00",
		"0000000d 44 546900333238413846313400",
		"00000001 54",
		"0000000d 44 4c6900333238413846313400",
		"00000014 4c 46726f6d0073406578616d706c652e6e657400",
		"0000000d 44 4c6900333238413846313400",
		"00000013 4c 5375626a6563740068690a20746865726500",
		"0000000d 44 4e6900333238413846313400",
		"00000001 4e",
	} {
		b = append(b, unhex(t, packet)...)
		frames++
	}
	for ; body > 0; body -= ChunkSize {
		b = AppendFrame(b, CmdMacro, "Bi\x00328A8F14\x00")
		b = AppendFrame(b, CmdBody, strings.Repeat("x", min(body, ChunkSize)))
		frames += 2
	}
	b = AppendFrame(b, CmdMacro, "Ei\x00328A8F14\x00")
	b = AppendFrame(b, CmdEnd, "")
	return b, frames + 2
}

func TestReaderAllocatesNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		body int
	}{
		{"message without body", 0},
		{"message with a small body", 3000},
		{"message with a large body", 300 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, frames := message(t, tt.body)
			src := bytes.NewReader(in)
			r := NewReader(src, DataSize64K)
			read := func() {
				src.Reset(in)
				for i := range frames {
					if _, _, err := r.Next(); err != nil {
						t.Fatalf("frame %d: %v", i, err)
					}
				}
				if _, _, err := r.Next(); err != io.EOF {
					t.Fatalf("behind the last frame: %v", err)
				}
			}
			if n := testing.AllocsPerRun(100, read); n != 0 {
				t.Errorf("%d frames allocate %v times, want 0", frames, n)
			}
		})
	}
}

func TestReaderThatWaitsAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	in, frames := message(t, 100<<10)
	s := new(script)
	r := NewReader(nil, DataSize64K)
	r.park = s
	pieces := make([][]byte, 0, 2*len(in)/1000+2)
	read := func() {
		s.pieces = pieces[:0]
		for b := in; len(b) > 0; b = b[min(1000, len(b)):] {
			s.pieces = append(s.pieces, b[:min(1000, len(b))], nil)
		}
		for i := range frames {
			if _, _, err := r.Next(); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
		}
		if _, _, err := r.Next(); err != io.EOF {
			t.Fatalf("behind the last frame: %v", err)
		}
	}
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("%d frames with waits allocate %v times, want 0", frames, n)
	}
}

func TestCodecsAllocateNothing(t *testing.T) {
	var (
		helo       = []byte("c.example.net\x00")
		mail       = []byte("<s@example.net>\x00SIZE=100\x00BODY=8BITMIME\x00")
		header     = []byte("Subject\x00hi\n there\x00")
		change     = []byte("\x00\x00\x00\x01Subject\x00new\x00")
		macros     = []byte("Cj\x00mx.example.org\x00{daemon_name}\x00MTA\x00")
		connect    = []byte("localhost6\x006\xeb\xb0IPv6:0:0:0:0:0:0:0:1\x00")
		answer     = []byte(answer6 + "\x00\x00\x00\x05{msg_id} i\x00\x00\x00\x00\x06i\x00")
		conn, _    = Connect(connect)
		nego, _    = Negotiate(answer)
		dst        = make([]byte, 0, 1<<10)
		unfinished = []byte("x")
		sum        int // keeps the compiler from leaving things out
	)
	for _, tt := range []struct {
		name string
		do   func()
	}{
		{"OneString", func() { s, _ := OneString(helo); sum += len(s) }},
		{"OneString that fails", func() { _, err := OneString(unfinished); sum += len(err.Error()) }},
		{"Envelope and Strings", func() {
			addr, params, _ := Envelope(mail)
			for s := range Strings(params) {
				sum += len(s)
			}
			sum += len(addr)
		}},
		{"Header", func() { name, value, _ := Header(header); sum += len(name) + len(value) }},
		{"IndexedHeader", func() { i, name, value, _ := IndexedHeader(change); sum += int(i) + len(name) + len(value) }},
		{"Macros and Pairs", func() {
			_, pairs, _ := Macros(macros)
			for name, value := range Pairs(pairs) {
				sum += len(name) + len(value)
			}
		}},
		{"Connect", func() { c, _ := Connect(connect); sum += len(c.Address) }},
		{"Negotiate", func() { n, _ := Negotiate(answer); sum += len(n.Macros[StageEnd]) }},
		{"CommandName, StageOf", func() { s, _ := StageOf(CmdHelo); sum += len(CommandName(s.Cmd())) + len(s.String()) }},

		{"AppendFrame", func() { sum += len(AppendFrame(dst, CmdHelo, helo)) }},
		{"AppendFrame of a string", func() { sum += len(AppendFrame(dst, CmdMacro, "H")) }},
		{"BeginFrame and EndFrame", func() { b, at := BeginFrame(dst, CmdHelo); sum += len(EndFrame(append(b, helo...), at)) }},
		{"AppendString", func() { sum += len(AppendString(dst, "c.example.net")) }},
		{"AppendHeader", func() { sum += len(AppendHeader(dst, "Subject", "new")) }},
		{"AppendIndexedHeader", func() { sum += len(AppendIndexedHeader(dst, 1, "Subject", "new")) }},
		{"AppendConnect", func() { sum += len(AppendConnect(dst, conn)) }},
		{"AppendNegotiation", func() { sum += len(AppendNegotiation(dst, &nego)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, tt.do); n != 0 {
				t.Errorf("allocates %v times, want 0", n)
			}
		})
	}
	if sum == 0 {
		t.Error("nothing was decoded")
	}
}

func BenchmarkReader(b *testing.B) {
	for _, bb := range []struct {
		name string
		body int
	}{{"no body", 0}, {"3 kB", 3000}, {"1 MB", 1 << 20}} {
		b.Run(bb.name, func(b *testing.B) {
			in, frames := message(b, bb.body)
			src := bytes.NewReader(in)
			r := NewReader(src, DataSize64K)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(in)
				for range frames {
					if _, _, err := r.Next(); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*frames), "ns/frame")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	macros := []byte("Cj\x00mx.example.org\x00{daemon_name}\x00MTA\x00{if_name}\x00localhost\x00")
	header := []byte("Subject\x00hi\n there\x00")
	b.Run("Macros", func(b *testing.B) {
		for b.Loop() {
			_, pairs, _ := Macros(macros)
			for name, value := range Pairs(pairs) {
				_, _ = name, value
			}
		}
	})
	b.Run("Header", func(b *testing.B) {
		for b.Loop() {
			Header(header)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	dst := make([]byte, 0, 1<<17)
	body := bytes.Repeat([]byte("x"), ChunkSize)
	for _, bb := range []struct {
		name string
		do   func() []byte
	}{
		{"verdict", func() []byte { return AppendFrame(dst, ReplyContinue, "") }},
		{"header", func() []byte {
			b, at := BeginFrame(dst, ReplyAddHeader)
			return EndFrame(AppendHeader(b, "X-Spam-Status", "No, score=0.1 required=5.0"), at)
		}},
		{"body chunk", func() []byte { return AppendFrame(dst, ReplyReplaceBody, body) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.do())))
			b.ReportAllocs()
			for b.Loop() {
				bb.do()
			}
		})
	}
}
