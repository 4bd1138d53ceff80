package edit_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/gomilter/gomilter/internal/edit"
	"github.com/gomilter/gomilter/message"
)

// A filter's answers, applied as the two MTAs do.
func ExampleEditor() {
	frames := []string{
		"i\x00\x00\x00\x03X-A\x00yes\x00", // at position 3, which the MTAs count each in its way
		"m\x00\x00\x00\x01X-B\x00\x00",
		"+<c@example.net>\x00",
		"qfor a look\x00",
		"a", // the verdict
	}
	to, ok := edit.ParseAddress("Bob <b@example.net>")
	if !ok {
		log.Fatal("the null address")
	}
	for _, mta := range []edit.MTA{edit.Sendmail, edit.Postfix} {
		env := edit.Envelope{From: "a@example.com", Rcpts: []edit.Rcpt{{Address: to}}}
		own := message.NewField("Received", " by mx.example.net", "\r\n")
		ed := edit.New(mta, message.Parse([]byte("X-B: 1\r\nSubject: hi\r\nTo: b@example.net\r\n\r\nhello\r\n")), own, env)
		ed.Begin(false)
		for _, f := range frames {
			e, err := edit.Decode(f[0], []byte(f[1:]))
			if errors.Is(err, edit.ErrNoEdit) {
				break
			}
			if err == nil {
				err = ed.Apply(e)
			}
			if err != nil {
				log.Fatal(err)
			}
			if e.Action == edit.Quarantine {
				fmt.Println("held:", e.Value)
			}
		}
		fmt.Println(ed.Envelope().Addresses())
		fmt.Printf("%q\n", ed.Message(true).Header.Bytes())
	}
	// Output:
	// held: for a look
	// [b@example.net c@example.net]
	// "Received: by mx.example.net\r\nX-A: yes\r\nSubject: hi\r\nTo: b@example.net\r\n"
	// held: for a look
	// [b@example.net c@example.net]
	// "Received: by mx.example.net\r\nSubject: hi\r\nX-A: yes\r\nTo: b@example.net\r\n"
}

// The edits that make one message of another, for the MTA to make.
func ExampleDiffHeader() {
	from := message.Parse([]byte("Subject: hi\r\nX-A: 1\r\nX-A: 2\r\n\r\n")).Header
	to := message.Parse([]byte("X-New: top\r\nSubject: hello\r\nX-A: 2\r\n\r\n")).Header
	var edits []edit.Edit = edit.DiffHeader(edit.Postfix, from, to, 1) // X-New above the MTA's Received
	edits = append(edits, edit.DiffEnvelope(
		edit.Envelope{From: "a@example.com", Rcpts: []edit.Rcpt{{Address: "b@example.net"}}},
		edit.Envelope{From: "", Rcpts: []edit.Rcpt{{Address: "b@example.net"}, {Address: "c@example.net"}}},
	)...)
	for _, e := range edits {
		fmt.Println(e)
	}

	// Where a filter before this one put X-New there already:
	fmt.Println(edit.DiffShown(to, from, 1))
	// Output:
	// delheader 1 X-A
	// chgheader 1 Subject: "hello"
	// insheader 0 X-New: "top"
	// chgfrom <>
	// addrcpt <c@example.net>
	// [chgheader 1 Subject: "hi" delheader 1 X-New insheader 2 X-A: "1"]
}
