package attachments_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/filter/attachments"
	"github.com/gomilter/gomilter/miltertest"
	"github.com/gomilter/gomilter/mta"
	"pgregory.net/rapid"
)

// pieces is what hides files in mail.
var pieces = []string{
	"--cut here\r\n", "--cut here--\r\n", "--cut hereX\r\n", "--q\r\n", "--q--\r\n", "\r\n", "\r\n\r\n", "\n", "\r", "\x00", "text\r\n",
	"Content-Type: multipart/mixed; boundary=q\r\n", "Content-Type: message/rfc822\r\n", "Content-Type: text/plain; name=a.exe\r\n", "Content-Type: X-Sun-Attachment\r\n", "Content-Type: application/zip\r\n",
	"Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n", "Content-Transfer-Encoding: 7bit, x\r\n", "X: y\rContent-Disposition: attachment; filename=b.js\r\n",
	"Content-Disposition: attachment; filename=z.exe\r\n", "Content-Description: c.js\r\n", "----------\r\nX-Sun-Data-Name: d.js\r\n", "begin 644 a.exe\r\n#0V%T\r\n", "end\r\n", "=ybegin name=e.exe\r\nKKK\r\n", "=yend\r\n",
	base64.StdEncoding.EncodeToString([]byte(multipart(evil))) + "\r\n", base64.StdEncoding.EncodeToString(zipOf(map[string][]byte{"x.exe": pe})) + "\r\n",
}

// Whatever the message is, it is answered, and one that passes after parts were
// replaced passes again as it is.
func TestTwoLooks(t *testing.T) {
	b := newBench(t, attachments.Options{})
	c := miltertest.New(t, &milter.Server{New: b.chain.Hooks, Log: b.chain.Log})
	c.Profile = mta.Sendmail
	send := func(text string) *miltertest.Result {
		b.told = nil
		return c.Send(t, miltertest.Mail{Text: text})
	}
	rapid.Check(t, func(rt *rapid.T) {
		in := multipart("\r\n" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 30).Draw(rt, "pieces"), ""))
		if rapid.Bool().Draw(rt, "header") {
			in = rapid.SampledFrom(pieces[11:]).Draw(rt, "first") + in
		}
		r := send(in)
		if r.Verdict != mta.Accept {
			rt.Fatalf("%q: %s", in, r.Verdict)
		}
		if got, _ := outcome(b, r); got != "replaced" {
			return
		}
		once := r.Raw()
		if got, why := outcome(b, send(once)); got != "untouched" && got != "tagged" {
			rt.Errorf("%q becomes %q, that is %s: %s", in, once, got, why)
		}
	})
}
