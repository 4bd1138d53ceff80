package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// compose writes a well-formed part, with the standard library, and returns its
// header fields and body.
func compose(t *rapid.T, depth int) (textproto.MIMEHeader, []byte) {
	h := textproto.MIMEHeader{}
	if depth < 3 && rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		if rapid.Bool().Draw(t, "preamble") {
			body.WriteString("preamble\r\n")
		}
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			head, b := compose(t, depth+1)
			pw, err := w.CreatePart(head)
			if err != nil {
				t.Fatal(err)
			}
			pw.Write(b)
		}
		w.Close()
		if rapid.Bool().Draw(t, "epilogue") {
			body.WriteString("epilogue\r\n")
		}
		h.Set("Content-Type", mime.FormatMediaType("multipart/mixed", map[string]string{"boundary": w.Boundary()}))
		return h, body.Bytes()
	}
	text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"text", " ", "=", "ä", "\r\n", "--", "--a--", ".", "From "}), 0, 20).Draw(t, "text"), "")
	h.Set("Content-Type", mime.FormatMediaType("text/plain", map[string]string{"charset": "utf-8", "name": rapid.SampledFrom([]string{"a.txt", "b c.txt", "ä.txt"}).Draw(t, "name")}))
	var body bytes.Buffer
	switch rapid.IntRange(0, 1).Draw(t, "encoding") {
	case 0:
		h.Set("Content-Transfer-Encoding", "quoted-printable")
		w := quotedprintable.NewWriter(&body)
		io.WriteString(w, text)
		w.Close()
	case 1:
		body.WriteString(text)
		if strings.Contains("\r\n"+text, "\r\n--") {
			body.Reset()
		}
	}
	return h, body.Bytes()
}

// walk lists what the standard library reads of a message.
func walk(h textproto.MIMEHeader, body io.Reader, path string) ([]string, error) {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(media, "multipart/") {
		if h.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(body)
		}
		b, err := io.ReadAll(body)
		return []string{fmt.Sprintf("%s %s %q %q", path, media, params["name"], b)}, err
	}
	list := []string{path + " " + media}
	r := multipart.NewReader(body, params["boundary"])
	for i := 0; ; i++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		inner, err := walk(p.Header, p, fmt.Sprintf("%s.%d", path, i))
		if err != nil {
			return nil, err
		}
		list = append(list, inner...)
	}
}

func walkTree(p *Part, path string) []string {
	if !p.IsLeaf() {
		list := []string{path + " " + p.MediaType()}
		for i, c := range p.Parts {
			list = append(list, walkTree(c, fmt.Sprintf("%s.%d", path, i))...)
		}
		return list
	}
	b, _ := io.ReadAll(p.Open())
	name, _ := p.Param("name")
	return []string{fmt.Sprintf("%s %s %q %q", path, p.MediaType(), name, b)}
}

// Of well-formed messages the standard library reads the same.
func TestReadAsStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, body := compose(t, 0)
		var in bytes.Buffer
		for name, values := range h {
			fmt.Fprintf(&in, "%s: %s\r\n", name, values[0])
		}
		in.WriteString("\r\n")
		in.Write(body)
		m, err := mail.ReadMessage(bytes.NewReader(in.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		want, err := walk(textproto.MIMEHeader(m.Header), m.Body, "")
		if err != nil {
			t.Skip(err)
		}
		tree, err := Read(bytes.NewReader(in.Bytes()), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		if got := walkTree(tree.Root, ""); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q reads as\n%s\nto the standard library as\n%s", in.Bytes(), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, d := range tree.Defects() {
			t.Errorf("%q has the defect %s", in.Bytes(), d.Kind)
		}
	})
}
