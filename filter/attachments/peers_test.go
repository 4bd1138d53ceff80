//go:build peers

package attachments_test

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/internal/peertest"
)

func TestMain(m *testing.M) { os.Exit(peertest.Main(m)) }

var received = regexp.MustCompile(`(?m)^Received: [^\r]*client\.example\.com[^\r]*\r\n(?:[ \t][^\r]*\r\n)*`)

// Through real MTAs, every byte outside the part that was replaced is what the MTA
// alone would have delivered.
func TestOnlyThePartIsChangedOnRealMTAs(t *testing.T) {
	const head = "From: a@example.com\nTo: b@example.net\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <1@example.com>\n"
	bad := attached("letters.zip", zipOf(map[string][]byte{"virus.exe": pe}))
	odd := "Content-Type: text/plain\nX-Part: " + strings.Repeat("long ", 150) + "\n\n" +
		"gr\xfc\xdfe, \xff\xfe, tab\t, blanks  \n" + strings.Repeat("0123456789", 120) + "\n\n. \n.\n..x\nFrom the beginning\n"
	for name, mail := range map[string]string{
		"between two":       head + multipart(odd, bad, odd),
		"first":             head + multipart(bad, odd),
		"in a message":      head + multipart(odd, "Content-Type: message/rfc822\n\n"+multipart(odd, bad)),
		"no end boundary":   strings.TrimSuffix(head+multipart(odd, bad, odd), "\r\n--cut here--\r\nepilogue, kept\r\n"),
		"no final line end": strings.TrimSuffix(head+multipart(odd, bad, odd), "\r\n"),
		"the whole message": head + "Subject: gr\xfc\xdfe\nX-Before: kept\nContent-Type: application/octet-stream;\n\tname=\"a.exe\"\nContent-Transfer-Encoding: base64\nX-Behind: kept\n\nTVo=\n",
	} {
		t.Run(name, func(t *testing.T) {
			mail = crlf(mail)
			if strings.HasSuffix(name, "line end") {
				mail = strings.TrimSuffix(mail, "\r\n")
			}
			for _, kind := range peertest.Kinds {
				m := peertest.Shared(t, kind)
				deliver := func(srv *milter.Server) []byte {
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error, 1)
					ln := m.Switch.Listen(t)
					go func() { done <- srv.Serve(ctx, ln) }()
					if r := m.Send(t, peertest.Letter{Data: mail}); !r.OK() {
						t.Fatalf("%s: %v", kind, r)
					}
					data := m.Sink.Next(t).Data
					cancel()
					<-done
					return received.ReplaceAll(data, []byte("Received: (own)\r\n"))
				}
				b := newBench(t, attachments.Options{})
				alone := deliver(&milter.Server{New: func(*milter.Session) milter.Hooks { return milter.Hooks{} }})
				edited := deliver(&milter.Server{New: b.chain.Hooks, Log: b.chain.Log})
				if bytes.Equal(alone, edited) || !bytes.Contains(edited, []byte("An attachment was removed")) {
					t.Errorf("%s: nothing was replaced in\n%s", kind, edited)
				}
				same(t, string(kind), alone, edited)
			}
		})
	}
}

// same checks that two deliveries differ in one part only, its own Content- fields
// included.
func same(t *testing.T, kind string, alone, edited []byte) {
	t.Helper()
	const mark = "\r\n--cut here\r\n"
	before, after := strings.Split(string(alone), mark), strings.Split(string(edited), mark)
	if len(before) != len(after) {
		t.Errorf("%s: %d pieces became %d:\n%s", kind, len(before), len(after), edited)
		return
	}
	changed := 0
	for i := range before {
		if before[i] == after[i] {
			continue
		}
		changed++
		a, b := before[i], after[i]
		// What stands behind the part's own end is the same again.
		if j := strings.Index(a, "\r\n--cut here--"); j >= 0 {
			k := strings.Index(b, "\r\n--cut here--")
			if k < 0 || a[j:] != b[k:] {
				t.Errorf("%s: the end became\n%s", kind, b)
			}
		}
		// Fields that do not say what the part is stay.
		header, _, _ := strings.Cut(a, "\r\n\r\n")
		for _, line := range strings.Split(header, "\r\n") {
			if !strings.HasPrefix(line, "Content-") && !strings.HasPrefix(line, "\t") && !strings.Contains(b, line+"\r\n") {
				t.Errorf("%s: the field %q is gone from\n%s", kind, line, b)
			}
		}
	}
	if changed != 1 {
		t.Errorf("%s: %d pieces changed", kind, changed)
	}
}
