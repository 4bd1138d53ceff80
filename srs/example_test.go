package srs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/gomilter/gomilter/srs"
)

// exampleOptions have a clock that stands still.
func exampleOptions() srs.Options {
	secrets, err := srs.ParseSecrets([]byte("sixteen octets or more\n"))
	if err != nil {
		log.Fatal(err)
	}
	return srs.Options{Secrets: secrets, Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }}
}

func ExampleNew() {
	r, err := srs.New(exampleOptions())
	if err != nil {
		log.Fatal(err)
	}
	sender, err := r.Forward("jane@example.net", "forward.example")
	fmt.Println(sender, err)
	o, err := r.Reverse(sender)
	fmt.Println(o.Address, o.Form, o.Made.Format(time.DateOnly), err)
	_, err = r.Reverse("SRS0=aaaaaaaa=BB=example.net=jane@forward.example")
	fmt.Println(errors.Is(err, srs.ErrHash), err)
	// Output:
	// SRS0=kosMfw7U=BB=example.net=jane@forward.example <nil>
	// jane@example.net srs0 2026-03-01 <nil>
	// true srs: bad hash
}

func ExampleRewriter_Sign() {
	o := exampleOptions()
	o.BATV = srs.BATVSign
	r, err := srs.New(o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Sign("jane@example.com"))
	o.BATV = srs.BATVOff
	if r, err = srs.New(o); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Sign("jane@example.com"))
	_, err = r.Reverse("jane@example.com") // a bounce to somebody who never sends so
	fmt.Println(errors.Is(err, srs.ErrNotSRS))
	// Output:
	// prvs=05342300d2=jane@example.com <nil>
	// SRS0=gTd9FyLv=BB==jane@example.com <nil>
	// true
}

func ExampleRewriter_Unwind() {
	o := exampleOptions()
	o.MaxLocal = 128
	r, err := srs.New(o)
	if err != nil {
		log.Fatal(err)
	}
	first, _ := r.Forward("jane@example.net", "a.example")
	again, _ := r.Forward(first, "b.example")
	fmt.Println(again)
	found, err := r.Unwind(again, "a.example", "b.example")
	fmt.Println(found.Address, err)
	// Output:
	// SRS1=x/mYISRb=a.example==kosMfw7U=BB=example.net=jane@b.example
	// jane@example.net <nil>
}

func ExampleParseSecrets() {
	secrets, err := srs.ParseSecrets([]byte("the new one of many\nsha1:the one that postsrsd has\n"))
	for _, s := range secrets {
		fmt.Println(s.Hash, len(s.Key))
	}
	fmt.Println(err)
	_, err = srs.ParseSecrets([]byte("secret\n"))
	fmt.Println(err)
	// Output:
	// sha256 19
	// sha1 25
	// <nil>
	// srs: line 1: secret of 6 octets, below 16
}

func ExampleUnsign() {
	fmt.Println(srs.Unsign("SRS0=aaaaaaaa=BB=example.net=Jane@forward.example"))
	fmt.Println(srs.Unsign("prvs=0123abcdef=jane@example.net"))
	fmt.Println(srs.Unsign("news-return-42-bob=example.org@lists.example"))
	// Output:
	// jane@example.net
	// jane@example.net
	// news-return@lists.example
}

func ExampleMaps() {
	r, err := srs.New(exampleOptions())
	if err != nil {
		log.Fatal(err)
	}
	m := &srs.Maps{Rewriter: r, Alias: "forward.example", Own: []string{"example.com"}}
	ctx := context.Background()
	fmt.Println(m.Forward(ctx, "jane@example.net"))
	fmt.Println(m.Forward(ctx, "jane@example.com"))
	fmt.Println(m.Reverse(ctx, "SRS0=kosMfw7U=BB=example.net=jane@forward.example"))
	// Output:
	// SRS0=kosMfw7U=BB=example.net=jane@forward.example <nil>
	//  srs: not found
	// jane@example.net <nil>
}

func ExampleServer() {
	upper := func(ctx context.Context, key string) (string, error) {
		if key != "jane" {
			return "", srs.ErrNotFound
		}
		return "JANE", nil
	}
	s := &srs.Server{Maps: map[string]srs.Lookup{"upper": upper}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()

	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(conn, "10:upper jane,9:upper bob,")
	answers := make([]byte, len("7:OK JANE,9:NOTFOUND ,"))
	if _, err := io.ReadFull(bufio.NewReader(conn), answers); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answers)
	conn.Close()
	stop()
	fmt.Println(<-done)
	// Output:
	// 7:OK JANE,9:NOTFOUND ,
	// srs: server closed
}

// A change of the secret, and of the hash with it: the addresses of before stay valid.
func ExampleSecret() {
	o := exampleOptions()
	before := srs.Secret{Key: []byte("what postsrsd had until today"), Hash: srs.SHA1}
	o.Secrets = []srs.Secret{before}
	old, err := srs.New(o)
	if err != nil {
		log.Fatal(err)
	}
	o.Secrets = []srs.Secret{{Key: []byte("sixteen octets or more"), Hash: srs.SHA256}, before}
	r, err := srs.New(o)
	if err != nil {
		log.Fatal(err)
	}
	sender, _ := old.Forward("jane@example.net", "forward.example")
	found, err := r.Reverse(sender)
	fmt.Println(found.Address, found.Key, o.Secrets[found.Key].Hash, err)
	// Output: jane@example.net 1 sha1 <nil>
}

// The null sender and those of the alias's own domain stay as they are.
func ExampleRewriter_Forward() {
	r, err := srs.New(exampleOptions())
	if err != nil {
		log.Fatal(err)
	}
	for _, sender := range []string{"<>", "bob@forward.example", "jane@example.net", "SRS0=aaaa=AA=b.example=al@c.example"} {
		fmt.Println(r.Forward(sender, "forward.example"))
	}
	// Output:
	//  <nil>
	// bob@forward.example <nil>
	// SRS0=kosMfw7U=BB=example.net=jane@forward.example <nil>
	// SRS1=YMKRAuJm=c.example==aaaa=AA=b.example=al@forward.example <nil>
}

func ExampleRewriter_Reverse() {
	r, err := srs.New(exampleOptions())
	if err != nil {
		log.Fatal(err)
	}
	for _, rcpt := range []string{"srs0=kosmfw7u=bb=example.net=jane@forward.example", "jane@forward.example", "SRS0=x@forward.example"} {
		var o srs.Original
		o, err = r.Reverse(rcpt)
		fmt.Println(o.Address, o.Form == srs.FormSRS0, o.Folded, err)
	}
	// Output:
	// jane@example.net true true <nil>
	//  false false srs: not a rewritten or signed address
	//  false false srs: malformed: SRS0 lacks a field
}

// What is told of a recipient, form by form.
func ExampleForm() {
	o := exampleOptions()
	o.BATV = srs.BATVAccept
	r, err := srs.New(o)
	if err != nil {
		log.Fatal(err)
	}
	var form srs.Form
	for _, use := range []srs.BATV{srs.BATVAccept, srs.BATVSign} {
		o.BATV = use
		signer, err := srs.New(o)
		if err != nil {
			log.Fatal(err)
		}
		rcpt, _ := signer.Sign("jane@example.com")
		found, err := r.Reverse(rcpt)
		form = found.Form
		fmt.Println(form, err)
	}
	// Output:
	// signed <nil>
	// batv <nil>
}

func ExampleHash() {
	for _, h := range []srs.Hash{srs.SHA256, srs.SHA1} {
		fmt.Println(h)
	}
	// Output:
	// sha256
	// sha1
}

func ExampleRewriter() {
	var r *srs.Rewriter // made once, used by all connections
	r, err := srs.New(srs.Options{Secrets: []srs.Secret{{Key: []byte("sixteen octets or more")}}})
	fmt.Println(r != nil, err)
	// Output: true <nil>
}
