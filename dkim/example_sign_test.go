package dkim_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/message"
)

func ExampleSign() {
	key, err := dkim.GenerateKey(dkim.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	m := message.Parse([]byte("From: joe@example.com\r\nSubject: dinner\r\n\r\nIt is ready.\r\n"))
	fmt.Println(dkim.Signed(m.Header, "example.com"))
	values, err := dkim.Sign(context.Background(), m.Header, strings.NewReader(string(m.Body)), []dkim.Signature{
		{Domain: "example.com", Selector: "2026", Key: key, Fields: dkim.DefaultFields(), OverSign: []string{"From", "Subject"}},
		{Domain: "example.net", Selector: "mail", Key: key, Header: dkim.Simple, Body: dkim.Simple, OverSign: dkim.DefaultOverSign()},
	}, time.Unix(1_800_000_000, 0))
	if err != nil {
		log.Fatal(err)
	}
	m.Header = append(message.Header{message.NewField("DKIM-Signature", " "+values[0], "\r\n")}, m.Header...)
	fmt.Println(dkim.Signed(m.Header, "example.com"))
	for _, v := range values {
		v, _, _ = strings.Cut(v, "bh=")
		fmt.Println(strings.Join(strings.Fields(v), " "))
	}
	// Output:
	// false
	// true
	// v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=2026; t=1800000000; h=From:From:Subject:Subject;
	// v=1; a=ed25519-sha256; c=simple/simple; d=example.net; s=mail; t=1800000000; h=From:From:Reply-To:Subject:Subject:Date:Message-ID: To:Cc:MIME-Version:Content-Type:Content-Transfer-Encoding;
}

func ExampleReadKey() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var kind dkim.KeyType = dkim.RSA2048
	key, err := dkim.GenerateKey(kind)
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "2026.pem")
	if err := key.WriteFile(path); err != nil {
		log.Fatal(err)
	}
	key, err = dkim.ReadKey(path)
	fmt.Println(key.Algorithm(), key.Bits(), err)

	os.Chmod(path, 0o644)
	_, err = dkim.ReadKey(path)
	fmt.Println(strings.ReplaceAll(err.Error(), dir, "DIR"))
	// Output:
	// rsa-sha256 2048 <nil>
	// dkim: unusable key: DIR/2026.pem: everybody can read it (mode 0644); chmod 0600, or 0640 where its group is to read it
}

// A key of RFC 8463 appendix A, as dknewkey would write it.
func ExampleParseKey() {
	key, err := dkim.ParseKey([]byte("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Record())
	fmt.Println(key.ZoneLine("brisbane", "football.example.com"))
	var k *dkim.Key = key
	fmt.Println(k.Algorithm(), k.Unwise() == "")
	// Output:
	// v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
	// brisbane._domainkey.football.example.com. IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	// ed25519-sha256 true
}

func ExampleSignature_Check() {
	var c dkim.Canon = "nofws"
	key, err := dkim.ParseKey([]byte("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println((&dkim.Signature{Domain: "example.com", Selector: "2026", Key: key, Header: c}).Check())
	// Output: dkim: signature cannot be made: "nofws" is no canonicalization, there are simple and relaxed
}
