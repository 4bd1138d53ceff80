package edit

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/message"
)

// An observation is one message that went through a real MTA, Sendmail 8.17.1.9
// or Postfix 3.7.11, whose filters answered the end of message with the frames,
// and what came out at the next hop. testdata/README.md says how it was made.
type observation struct {
	Name    string   `json:"name"`
	MTA     string   `json:"mta"`
	Message string   `json:"message"` // file name
	Rcpts   []string `json:"rcpts"`
	Filters []struct {
		Frames  []string `json:"frames"` // hexadecimal, without the length
		Leading bool     `json:"leading"`
	} `json:"filters"`
	Sees    []string `json:"sees"`    // header fields the second filter was shown
	Refused []string `json:"refused"` // what the client was told instead
	Header  []string `json:"header"`
	Body    *string  `json:"body"`
	From    *string  `json:"from"`
	Args    []string `json:"args"`
	To      []string `json:"to"`
}

func observations(t testing.TB) (all []observation) {
	f, err := os.Open("testdata/observed.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var o observation
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		if o.Rcpts == nil {
			o.Rcpts = []string{"rcpt@example.net"}
			if o.To == nil {
				o.To = o.Rcpts
			}
		}
		all = append(all, o)
	}
	if len(all) < 400 {
		t.Fatalf("%d observations in testdata", len(all))
	}
	return all
}

// latin1 returns the bytes of a recorded string, which has a rune for each.
func latin1(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func TestAppliesEditsAsTheMTAsDo(t *testing.T) {
	for _, o := range observations(t) {
		t.Run(o.MTA+"/"+o.Name, func(t *testing.T) {
			mta := Sendmail
			if o.MTA == "postfix" {
				mta = Postfix
			}
			in, err := os.ReadFile(filepath.Join("testdata", o.Message))
			if err != nil {
				t.Fatal(err)
			}
			env := Envelope{From: "sender@example.com"}
			for _, r := range o.Rcpts {
				env.Rcpts = append(env.Rcpts, Rcpt{Address: r})
			}
			ed := New(mta, message.Parse(in), message.NewField("Received", " (own)", "\r\n"), env)
			var applied []Edit
			var failed error
			for n, f := range o.Filters {
				if n == 1 {
					var sees []string
					for _, h := range ed.Header() {
						sees = append(sees, h.Name()+": "+h.Text(f.Leading))
					}
					compare(t, "the second filter sees", sees, o.Sees)
				}
				ed.Begin(f.Leading)
				for _, frame := range f.Frames {
					b, err := hex.DecodeString(frame)
					if err != nil {
						t.Fatal(err)
					}
					e, err := Decode(b[0], b[1:])
					switch {
					case errors.Is(err, ErrNoEdit):
						ed.Interrupt()
						if mta == Postfix && len(b) > 1 {
							failed = err
						}
						continue
					case err != nil && mta == Postfix && failed == nil:
						failed = err
					case err != nil && e.Action == AddRcpt && errors.Is(err, wire.ErrUnterminated) && e.Address != "":
						// Sendmail takes the address when the parameters lack their end.
						err = nil
						if b[0] != wire.ReplyAddRcptParams {
							continue
						}
						e.Args = ""
					case err != nil:
						continue
					}
					applied = append(applied, e)
					if err := ed.Apply(e); err != nil && failed == nil {
						failed = err
					}
				}
			}
			if o.Header == nil {
				if (len(o.Refused) > 0) != (failed != nil) || failed == nil && len(ed.Envelope().Rcpts) > 0 {
					t.Errorf("%v: error %v, recipients %v, want %q", applied, failed, ed.Envelope().Addresses(), o.Refused)
				}
				if config := errors.Is(failed, ErrConfiguration); len(o.Refused) > 0 && config != strings.Contains(o.Refused[0], "4.3.5") {
					t.Errorf("%v: error %v, want %q", applied, failed, o.Refused)
				}
				return
			}
			if failed != nil {
				t.Errorf("%v: error %v", applied, failed)
			}
			m := ed.Message(true)
			var header []string
			for _, h := range m.Header {
				header = append(header, strings.TrimSuffix(string(h.Raw()), "\r\n"))
			}
			for i, h := range o.Header {
				o.Header[i] = latin1(h)
			}
			compare(t, "header", header, o.Header)
			body := "Hello.\r\n"
			if o.Body != nil {
				body = latin1(*o.Body)
			}
			if string(m.Body) != body {
				t.Errorf("body = %q, want %q", m.Body, body)
			}
			got := ed.Envelope()
			from := "sender@example.com"
			if o.From != nil {
				from = *o.From
			}
			if got.From != from {
				t.Errorf("sender = %q, want %q", got.From, from)
			}
			slices.Sort(got.FromArgs)
			// The next hop is told a SIZE of the MTA's own.
			got.FromArgs = slices.DeleteFunc(got.FromArgs, func(a string) bool { return strings.HasPrefix(a, "SIZE=") })
			compare(t, "parameters of the sender", got.FromArgs, o.Args)
			var to []string
			for _, r := range got.Rcpts {
				to = append(to, strings.Join(append([]string{r.Address}, slices.Sorted(slices.Values(r.Args))...), " "))
			}
			slices.Sort(to)
			compare(t, "recipients", to, o.To)
			if t.Failed() {
				t.Logf("edits %v", applied)
			}
		})
	}
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %q\nwant %q", what, got, want)
	}
}
