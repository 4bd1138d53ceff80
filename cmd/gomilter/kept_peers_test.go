//go:build peers

package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/internal/peertest"
	"github.com/gomilter/gomilter/internal/release"
)

// An original comes back through real MTAs as it was received, past the filters,
// and nothing but its own fresh mark gets a message there.
func TestReleaseOnRealMTAs(t *testing.T) {
	original := strings.ReplaceAll(`Received: from far.example.org by relay.example.com; Sun, 22 Nov 2026 09:59:00 +0000
From: Ann <ann@example.com>
To: Bob <bob@example.net>,
	Carol <carol@example.net>
Date: Sun, 22 Nov 2026 10:00:00 +0000
Message-ID: <1@example.com>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= and a  gr`+"\xfc\xdf"+`e
X-Empty:
MIME-Version: 1.0
Content-Type: multipart/mixed;
	boundary="=_cut"

preamble
--=_cut
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: 8bit

Gr`+"\xfc\xdf"+`e, blanks at the end   `+`
.
..a line with dots, and a long one: `+strings.Repeat("0123456789", 95)+`

--=_cut
Content-Type: application/octet-stream; name="setup.exe"
Content-Transfer-Encoding: base64

TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
--=_cut--
epilogue


`, "\n", "\r\n")
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64 // how far the daemon's clock is
			now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			state := t.TempDir()
			o := release.Options{Now: now, Log: slog.New(slog.DiscardHandler)}
			chain, err := keepingChain(state, o)
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			why := ""
			chain.Explain = func(x *filter.Explanation) {
				mu.Lock()
				defer mu.Unlock()
				why = ""
				for _, f := range x.Filters {
					why += f.Name + ": " + f.Why + "\n"
				}
			}
			spec := peertest.FreeSpec(t, "unix")
			defer serveFilter(t, &milter.Server{New: chain.Hooks, Log: o.Log}, spec)()
			m := peertest.Start(t, kind, peertest.Config{Milters: []peertest.Milter{{Spec: spec}}})

			kept := func(args ...string) (code int, out, errs string) {
				var b, e bytes.Buffer
				code = run(append([]string{"kept", "--dir", state + "/kept"}, args...), stdio{nil, &b, &e})
				return code, b.String(), e.String()
			}
			newest := func() string {
				t.Helper()
				_, out, errs := kept("list")
				lines := strings.Split(out, "\n")
				if len(lines) < 2 {
					t.Fatalf("nothing is kept: %s", errs)
				}
				ref, _, _ := strings.Cut(lines[1], " ")
				return ref
			}
			// arrived takes what was delivered, without the MTA's own Received field.
			arrived := func(m *peertest.MTA) string {
				t.Helper()
				mail := m.Sink.Next(t)
				own := ownReceived.FindIndex(mail.Data)
				if own == nil || own[0] != 0 {
					t.Fatalf("the MTA's own field is not on top of\n%s", mail.Data)
				}
				return string(mail.Data[own[1]:])
			}
			// Sendmail folds lists of addresses its own way, filter or not.
			alone := peertest.Start(t, kind, peertest.Config{})
			if r := alone.Send(t, peertest.Letter{Data: original}); !r.OK() {
				t.Fatal(r)
			}
			unfiltered := arrived(alone)
			want := original
			if kind == peertest.Sendmail {
				want = strings.Replace(original, ",\r\n\tCarol", ", Carol", 1)
			}
			if d := cmp.Diff(want, unfiltered); d != "" {
				t.Fatalf("the MTA by itself delivers (-want +got):\n%s", d)
			}
			explained := func(want string) {
				t.Helper()
				mu.Lock()
				defer mu.Unlock()
				if !strings.Contains(why, want) {
					t.Errorf("explained as %q, want %q", why, want)
				}
			}
			defanged := func(what, want string) {
				t.Helper()
				text := arrived(m)
				if strings.Contains(text, "TVqQ") || !strings.Contains(text, "An attachment was removed") || strings.Contains(text, release.Field) {
					t.Errorf("%s arrives as\n%s", what, text)
				}
				explained(want)
			}
			same := func(what string) {
				t.Helper()
				if d := cmp.Diff(unfiltered, arrived(m)); d != "" {
					t.Errorf("%s arrives with (-want +got):\n%s", what, d)
				}
			}
			send := func(what, data string) {
				t.Helper()
				if r := m.Send(t, peertest.Letter{From: "ann@example.com", To: []string{"bob@example.net", "carol@example.net"}, Data: data}); !r.OK() {
					t.Fatalf("%s is answered %v", what, r)
				}
			}

			send("mail", original)
			defanged("mail", "attachments: \"setup.exe\"")
			ref := newest()
			code, out, errs := kept("get", ref)
			if code != exitOK || out != original {
				t.Errorf("kept is, %s\n%q\nwant\n%q", errs, out, original)
			}

			code, out, errs = kept("release", ref, "--server", m.Addr, "--keep")
			if code != exitOK || !strings.Contains(out, ref+" released to <bob@example.net> <carol@example.net>: 250 ") {
				t.Fatalf("release: exit code %d, %s%s", code, out, errs)
			}
			same("the released original")
			explained("pass: released " + ref)

			// A recipient that the MTA refuses by itself.
			code, out, errs = kept("release", ref, "--server", m.Addr, "--to", "mta-reject@example.net", "--to", "dave@example.net")
			if code != exitUnavailable || !strings.Contains(out, "released to <dave@example.net>: ") || !strings.Contains(errs, "<mta-reject@example.net> is refused: 550 ") {
				t.Errorf("release with a bad recipient: exit code %d, %s%s", code, out, errs)
			}
			same("the original, released to one of two")
			if newest() != ref {
				t.Error("the original is not kept any more")
			}
			code, out, errs = kept("release", ref, "--server", m.Addr, "--to", "mta-tempfail@example.net")
			if code != exitTemporary || out != "" || !strings.Contains(errs, "is refused: 450 ") {
				t.Errorf("release to a busy recipient: exit code %d, %s%s", code, out, errs)
			}

			// The same bytes again.
			marks, err := release.Open(state, o)
			if err != nil {
				t.Fatal(err)
			}
			mark := func() string {
				t.Helper()
				field, err := marks.Mark(ref, strings.NewReader(original))
				if err != nil {
					t.Fatal(err)
				}
				return field
			}
			first := mark()
			send("a marked message", first+original)
			same("a marked message")
			send("the same message again", first+original)
			defanged("the same message again", "it was used before")

			// Marks that are not good.
			good := mark()
			forged := strings.TrimSuffix(good, "\r\n")
			last := "0"
			if strings.HasSuffix(forged, last) {
				last = "1"
			}
			send("a forged mark", forged[:len(forged)-1]+last+"\r\n"+original)
			defanged("a forged mark", "it was not made here for this message")
			send("a mark of another message", good+strings.Replace(original, "TVqQ", "TVqR", 1))
			defanged("a mark of another message", "it was not made here for this message")
			send("three marks", release.Field+": nonsense\r\n"+good+release.Field+":\r\n\tmore\r\n"+original)
			defanged("three marks", "it has not the form of a mark")
			ahead.Store(int64(time.Hour))
			send("an expired mark", good+original)
			defanged("an expired mark", "it has expired")
			ahead.Store(0)

			code, out, errs = kept("release", ref, "--server", m.Addr)
			if code != exitOK {
				t.Fatalf("release: exit code %d, %s%s", code, out, errs)
			}
			same("the original, released for good")
			if newest() == ref {
				t.Error("the original is kept after its release")
			}
			if code, _, _ := kept("get", ref); code != exitData {
				t.Errorf("get after the release: exit code %d", code)
			}
		})
	}
}

// Release speaks TLS to an MTA that offers it.
func TestReleaseUnderTLSOnRealMTAs(t *testing.T) {
	for _, kind := range peertest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			m := peertest.Start(t, kind, peertest.Config{TLS: true})
			o := outgoing{from: "ann@example.com", rcpts: []string{"bob@example.net"}, data: strings.NewReader("Subject: x\r\n\r\nbody\r\n")}
			if sent, err := o.send(t.Context(), m.Addr); err != nil || len(sent.accepted) != 1 {
				t.Fatal(err)
			}
			if received := m.Sink.Next(t).Header().Values("Received"); len(received) == 0 || !strings.Contains(received[0], "TLS") {
				t.Errorf("Received: %q, want TLS in it", received)
			}
		})
	}
}
