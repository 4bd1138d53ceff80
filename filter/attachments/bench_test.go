package attachments

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/message"
)

// An ownRoom is that of no chain.
type ownRoom struct{ spools []*message.Spool }

func (r *ownRoom) NewSpool() *message.Spool {
	if n := len(r.spools); n > 0 {
		s := r.spools[n-1]
		r.spools = r.spools[:n-1]
		return s
	}
	return message.NewSpool(0, "")
}

func (r *ownRoom) FreeSpool(s *message.Spool) error {
	r.spools = append(r.spools, s)
	return s.Reset()
}

func (r *ownRoom) MIME() message.Options { return message.Options{} }

// BenchmarkLook looks at mail without archives.
func BenchmarkLook(b *testing.B) {
	const letter = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhello =C3=A4\r\n"
	mails := map[string]string{
		"text": "Subject: x\r\n" + letter,
		"text and PDF": "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + letter +
			"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK" +
			strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 1000) + "--b--\r\n",
	}
	o := Options{}
	room := &ownRoom{}
	f := &finder{o: o, ext: newExtensions(DefaultExtensions), actions: defaults, sealed: Quarantine}
	for name, mail := range mails {
		b.Run(name, func(b *testing.B) {
			tree, err := message.Read(strings.NewReader(mail), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer tree.Close()
			b.ReportAllocs()
			b.SetBytes(int64(len(mail)))
			for b.Loop() {
				budget := newBudget(room, o.Archives)
				for p := range tree.Parts() {
					if found, err := f.look(b.Context(), p, budget); err != nil || len(found) > 0 {
						b.Fatal(found, err)
					}
				}
			}
		})
	}
}
