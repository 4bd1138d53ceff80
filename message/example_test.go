package message_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/gomilter/gomilter/message"
)

const letter = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n" +
	"Content-Type: multipart/mixed; boundary=b\n" +
	"\n" +
	"--b\n" +
	"Content-Type: text/plain; charset=iso-8859-1\n" +
	"Content-Transfer-Encoding: quoted-printable\n" +
	"\n" +
	"Sch=F6n!\n" +
	"--b\n" +
	"Content-Type: application/octet-stream; name=\"=?utf-8?q?a=2Eexe?=\"\n" +
	"Content-Transfer-Encoding: base64\n" +
	"\n" +
	"TVo=\n" +
	"--b--\n"

func read(s string) *message.Tree {
	tree, err := message.Read(strings.NewReader(s), nil)
	if err != nil {
		log.Fatal(err)
	}
	return tree
}

func Example() {
	tree, err := message.Read(strings.NewReader(letter), nil)
	if err != nil {
		log.Fatal(err) // the source failed; no message is an error
	}
	defer tree.Close()
	for p := range tree.Parts() {
		for _, n := range p.Names() {
			if strings.HasSuffix(strings.ToLower(n.Clean()), ".exe") {
				if err := p.Replace(message.Content{Text: "A program was removed.\n"}); err != nil {
					log.Fatal(err)
				}
				break
			}
		}
	}
	tree.WriteTo(os.Stdout)
	// Output:
	// Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
	// Content-Type: multipart/mixed; boundary=b
	//
	// --b
	// Content-Type: text/plain; charset=iso-8859-1
	// Content-Transfer-Encoding: quoted-printable
	//
	// Sch=F6n!
	// --b
	// Content-Type: text/plain; charset=us-ascii
	//
	// A program was removed.
	//
	// --b--
}

func ExampleRead() {
	tree := read(letter)
	defer tree.Close()
	fmt.Println(tree.Root.MediaType(), len(tree.Root.Parts))
	// Output: multipart/mixed 2
}

func ExampleReadTree() {
	m := message.Parse([]byte("Subject: hi\n\nhello\n"))
	tree, err := message.ReadTree(m.Header, m.Break, strings.NewReader(string(m.Body)), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tree.Close()
	io.Copy(os.Stdout, tree.Root.Open())
	// Output: hello
}

func ExampleOptions() {
	deep := strings.Repeat("Content-Type: message/rfc822\n\n", 10)
	tree, err := message.Read(strings.NewReader(deep), &message.Options{MaxDepth: 3})
	if err != nil {
		log.Fatal(err)
	}
	defer tree.Close()
	fmt.Println(tree.Limited(), tree.Defects()[0].Kind)
	// Output: true depth limit
}

func ExampleSource() {
	// Part of a file is a Source as well as bytes in memory are.
	var src message.Source = io.NewSectionReader(strings.NewReader("> Subject: hi"), 2, 11)
	tree, err := message.Read(src, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tree.Close()
	fmt.Println(tree.Header()[0].Decoded())
	// Output: hi
}

func ExampleNewSpool() {
	s := message.NewSpool(1<<20, "")
	defer s.Close()
	io.WriteString(s, "Subject: hi\n\nhello\n")
	tree, err := message.Read(s, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tree.Close()
	fmt.Println(s.Size(), tree.Root.MediaType())
	// Output: 19 text/plain
}

func ExampleSpool() {
	s := message.NewSpool(4, "") // more than four bytes go to a file
	defer s.Close()
	fmt.Fprint(s, "four")
	fmt.Println(s.InMemory())
	fmt.Fprint(s, "!")
	fmt.Println(s.InMemory())
	// Output:
	// true
	// false
}

func ExampleTree() {
	tree := read(letter)
	defer tree.Close()
	for p := range tree.Parts() {
		fmt.Println(p.MediaType())
	}
	// Output:
	// multipart/mixed
	// text/plain
	// application/octet-stream
}

func ExampleTree_Body() {
	tree := read("Subject: x\n\none\n")
	defer tree.Close()
	if err := tree.Root.SetBody(strings.NewReader("two\n")); err != nil {
		log.Fatal(err)
	}
	if tree.BodyEdited() {
		io.Copy(os.Stdout, tree.Body())
	}
	// Output: two
}

func ExamplePart() {
	tree := read(letter)
	defer tree.Close()
	p := tree.Root.Parts[0]
	fmt.Println(p.MediaType(), p.Charset(), p.Encoding())
	io.Copy(os.Stdout, p.Raw())
	fmt.Println()
	io.Copy(os.Stdout, p.Text())
	// Output:
	// text/plain iso-8859-1 quoted-printable
	// Sch=F6n!
	// Schön!
}

func ExamplePart_Names() {
	tree := read(letter)
	defer tree.Close()
	for _, n := range tree.Root.Parts[1].Names() {
		fmt.Println(n.From, n.Value)
	}
	// Output:
	// content-type name a.exe
	// content-type name =?utf-8?q?a=2Eexe?=
}

func ExampleName() {
	n := message.Name{Value: "bill\u202efdp.exe. ", From: "content-type name"}
	fmt.Println(n.Clean())
	// Output: billfdp.exe
}

func ExampleContent() {
	tree := read(letter)
	defer tree.Close()
	p := tree.Root.Parts[1]
	err := p.Replace(message.Content{
		MediaType: "application/json",
		Filename:  "a.json",
		Body:      strings.NewReader("{}\n"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s%s", p.Header.Bytes(), "\n")
	io.Copy(os.Stdout, p.Raw())
	// Output:
	// Content-Type: application/json; name=a.json
	// Content-Disposition: attachment; filename=a.json
	//
	// {}
}

func ExamplePart_SetText() {
	tree := read(letter)
	defer tree.Close()
	p := tree.Root.Parts[0]
	if err := p.SetText(strings.NewReader("Noch schöner!\n")); err != nil {
		log.Fatal(err)
	}
	io.Copy(os.Stdout, p.Raw())
	// Output: Noch sch=F6ner!
}

func ExamplePart_SetHeader() {
	tree := read("Subject: x\n\none\n")
	defer tree.Close()
	tree.Root.SetHeader(append(tree.Header(), message.NewTextField("X-Note", "größer", "\n")))
	tree.WriteTo(os.Stdout)
	// Output:
	// Subject: x
	// X-Note: =?utf-8?b?Z3LDtsOfZXI=?=
	//
	// one
}

func ExampleErrHoldsParts() {
	tree := read(letter)
	defer tree.Close()
	err := tree.Root.SetBody(strings.NewReader("x"))
	fmt.Println(err == message.ErrHoldsParts)
	// Output: true
}

func ExampleDefect() {
	tree := read("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n")
	defer tree.Close()
	for _, d := range tree.Defects() {
		fmt.Println(d.Kind, "of", d.Part.MediaType())
	}
	// Output: no end boundary of multipart/mixed
}

func ExampleKind() {
	fmt.Println(message.DefectPartsLimit, message.DefectPartsLimit.Limit())
	// Output: parts limit true
}

func ExampleParse() {
	m := message.Parse([]byte("Subject: hi\nTo: a\n\nhello\n"))
	fmt.Println(len(m.Header), len(m.Body))
	// Output: 2 6
}

func ExampleMessage() {
	m := message.Parse([]byte("Subject: hi\n\nhello\n"))
	m.Header = append(m.Header, message.NewField("X-Seen", " yes", m.LineEnd()))
	os.Stdout.Write(m.Bytes())
	// Output:
	// Subject: hi
	// X-Seen: yes
	//
	// hello
}

func ExampleHeader() {
	h := message.Parse([]byte("To: a\nTo: b\n\n")).Header
	for i, f := range h.All("to") {
		fmt.Println(i, f.Decoded())
	}
	// Output:
	// 0 a
	// 1 b
}

func ExampleField() {
	f, _ := message.Parse([]byte(letter)).Header.Get("Subject")
	fmt.Printf("%q\n%s\n", f.Value(), f.Decoded())
	// Output:
	// " =?utf-8?q?Gr=C3=BC=C3=9Fe?="
	// Grüße
}

// Clients differ in which of two encodings they take: a filter looks at both.
func ExamplePart_Encodings() {
	const letter = "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n"
	usual, err := message.Read(strings.NewReader(letter), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer usual.Close()
	for n, enc := range usual.Root.Encodings() {
		tree, err := message.Read(strings.NewReader(letter), &message.Options{Encoding: n})
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(tree.Root.Open())
		fmt.Printf("%s: %q\n", enc, body)
		tree.Close()
	}
	// Output:
	// 7bit: "aGVsbG8=\n"
	// base64: "hello"
}

func ExampleNewField() {
	fmt.Printf("%q\n", message.NewField("X", " a\n\tb", "\r\n").Raw())
	// Output: "X: a\r\n\tb\r\n"
}

func ExampleNewTextField() {
	fmt.Printf("%s", message.NewTextField("Subject", "noch größer", "\n").Raw())
	// Output: Subject: noch =?utf-8?b?Z3LDtsOfZXI=?=
}

func ExampleNewParamField() {
	params := []message.Param{{Name: "filename", Value: "größer.txt"}, {Name: "x", Value: "y"}}
	fmt.Printf("%s", message.NewParamField("Content-Disposition", "attachment", params, "\n").Raw())
	// Output: Content-Disposition: attachment; filename*=utf-8''gr%C3%B6%C3%9Fer.txt; x=y
}

func ExampleDecodeWords() {
	fmt.Println(message.DecodeWords("=?iso-8859-1?Q?Peter_=D8rum?= <orum@ditas.dk>"))
	// Output: Peter Ørum <orum@ditas.dk>
}

func ExampleParseParams() {
	disposition, params := message.ParseParams("attachment; filename=evil file.exe; filename*0*=utf-8''b%2E; filename*1=exe")
	fmt.Println(disposition)
	for _, p := range params {
		fmt.Printf("%s = %q\n", p.Attr, p.Value)
	}
	// Output:
	// attachment
	// filename = "evil file.exe"
	// filename*0* = "b.exe"
}

func ExampleParam() {
	_, params := message.ParseParams(`text/plain; name="=?utf-8?q?a=2Etxt?="`)
	fmt.Println(params[0].Value, params[0].Raw)
	// Output: a.txt "=?utf-8?q?a=2Etxt?="
}
