package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/message"
)

type dkimCmd struct {
	Keygen dkimKeygenCmd `cmd:"" help:"Make a key, and print the record that publishes it."`
	Record dkimRecordCmd `cmd:"" help:"Print the record that publishes a key."`
	Sign   dkimSignCmd   `cmd:"" help:"Sign a message from standard input, and write it to standard output."`
	Verify dkimVerifyCmd `cmd:"" help:"Verify the signatures of a message."`
}

func (*dkimCmd) Help() string {
	return `Keys are files in PEM, RSA or Ed25519, as openssl and opendkim-genkey write them too, or those of
dknewkey. Nobody but their owner and its group may read them, and nobody but their owner write
to them.`
}

// A dkimName is where a key is published.
type dkimName struct {
	Selector string `placeholder:"S" help:"The selector: print the record as a line of a zone file. With --domain."`
	Domain   string `placeholder:"D" help:"The domain. With --selector."`
}

// print prints the record of a key.
func (n dkimName) print(std stdio, k *dkim.Key, asJSON bool) error {
	record := k.Record()
	if (n.Selector == "") != (n.Domain == "") {
		return exitf(exitUsage, "--selector and --domain go together: they are where the record stands, SELECTOR._domainkey.DOMAIN")
	}
	if n.Selector != "" {
		if err := (&dkim.Signature{Domain: n.Domain, Selector: n.Selector, Key: k}).Check(); err != nil {
			return exit(exitUsage, err)
		}
	}
	if asJSON {
		v := struct {
			Record    string `json:"record"`
			Name      string `json:"name,omitempty"`
			Algorithm string `json:"algorithm"`
			Bits      int    `json:"bits"`
		}{Record: record, Algorithm: k.Algorithm(), Bits: k.Bits()}
		if n.Selector != "" {
			v.Name = n.Selector + "._domainkey." + n.Domain
		}
		return json.NewEncoder(std.out).Encode(v)
	}
	if n.Selector != "" {
		record = k.ZoneLine(n.Selector, n.Domain)
	}
	_, err := fmt.Fprintln(std.out, record)
	return err
}

type dkimKeygenCmd struct {
	Type string `enum:"rsa2048,rsa3072,rsa4096,ed25519" default:"rsa2048" help:"rsa2048, rsa3072, rsa4096 or ed25519. Every verifier takes rsa2048; sign with both to have the other too."`
	Out  string `required:"" placeholder:"FILE" help:"The file to write, which must not be there yet."`
	JSON bool   `name:"json" help:"Print the record in JSON."`
	dkimName
}

func (*dkimKeygenCmd) Help() string {
	return `Writes a private key, readable by its owner only, and prints what to publish in DNS as a TXT record at
SELECTOR._domainkey.DOMAIN.

Exit codes: 0 done; 64 a mistake in the flags; 73 the file is there already, or cannot be written;
77 not permitted.`
}

func (c *dkimKeygenCmd) Run(std stdio) error {
	k, err := dkim.GenerateKey(dkim.KeyType(c.Type))
	if err != nil {
		return err
	}
	if c.Selector != "" || c.Domain != "" { // before there is a file
		if err := c.print(stdio{std.in, io.Discard, std.err}, k, false); err != nil {
			return err
		}
	}
	switch err := k.WriteFile(c.Out); {
	case errors.Is(err, fs.ErrExist):
		return exitf(exitCantCreate, "%s is there already, and keys are not overwritten; name another file", c.Out)
	case errors.Is(err, fs.ErrPermission):
		return exit(exitPermission, err)
	case err != nil:
		return exit(exitCantCreate, err)
	}
	return c.print(std, k, c.JSON)
}

type dkimRecordCmd struct {
	Key  string `required:"" placeholder:"FILE" help:"The private key."`
	JSON bool   `name:"json" help:"Print it in JSON."`
	dkimName
}

func (*dkimRecordCmd) Help() string {
	return `Prints what to publish in DNS as a TXT record at SELECTOR._domainkey.DOMAIN.

Exit codes: 0 done; 64 a mistake in the flags; 65 the file holds no key that can be used, or others can
read it; 69 there is no such file; 77 not permitted.`
}

func (c *dkimRecordCmd) Run(std stdio) error {
	k, err := readKey(std, c.Key)
	if err != nil {
		return err
	}
	return c.print(std, k, c.JSON)
}

// readKey reads a key, and tells what is unwise with it.
func readKey(std stdio, path string) (*dkim.Key, error) {
	k, err := dkim.ReadKey(path)
	switch {
	case errors.Is(err, dkim.ErrKey):
		return nil, exit(exitData, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, exit(exitPermission, err)
	case err != nil:
		return nil, exit(exitUnavailable, err)
	}
	if why := k.Unwise(); why != "" {
		fmt.Fprintf(std.err, "gomilter: warning: %s: %s\n", path, why)
	}
	return k, nil
}

type dkimSignCmd struct {
	Key      string        `required:"" placeholder:"FILE" help:"The private key."`
	Domain   string        `required:"" placeholder:"D" help:"The domain that signs (d=)."`
	Selector string        `required:"" placeholder:"S" help:"The selector under which the key is published (s=)."`
	Canon    string        `default:"relaxed/relaxed" placeholder:"C" help:"The canonicalization of header and body (c=): simple or relaxed, as in relaxed/simple (default: ${default})."`
	Identity string        `placeholder:"ADDR" help:"On whose behalf (i=), an address of the domain."`
	Expire   time.Duration `placeholder:"TIME" help:"After how long the signature is no longer good (x=), such as 7d."`
}

func (*dkimSignCmd) Help() string {
	return `The message is written as it is, with the signature above it. Lines that end in LF alone are signed
as they go by SMTP, with CRLF. The header may have 1 MiB, the whole message 1 GiB. The line
that parts messages in a mailbox file is left out.

Exit codes: 0 signed; 64 a mistake in the flags; 65 the message has no From field or is too large, or the
key cannot be used; 69 there is no such file; 77 not permitted.`
}

func (c *dkimSignCmd) Run(std stdio) error {
	header, body, both := strings.Cut(c.Canon, "/")
	if !both { // RFC 6376 section 3.5: what c= without a body means
		body = string(dkim.Simple)
	}
	if header == "" || body == "" {
		return exitf(exitUsage, "--canon=%s: it should be such as relaxed/simple", c.Canon)
	}
	k, err := readKey(std, c.Key)
	if err != nil {
		return err
	}
	s := dkim.Signature{Domain: c.Domain, Selector: c.Selector, Key: k, Header: dkim.Canon(header), Body: dkim.Canon(body), Identity: c.Identity, Expire: c.Expire}
	if err := s.Check(); err != nil {
		return exit(exitUsage, err)
	}
	m, err := readSpooled(std.in)
	if err != nil {
		return exit(exitData, err)
	}
	defer m.Close()
	values, err := dkim.Sign(context.Background(), m.Header, m.body(), []dkim.Signature{s}, time.Now())
	if err != nil {
		return exit(exitData, err)
	}
	end := cmp.Or(m.LineEnd(), "\r\n")
	field := message.NewField("DKIM-Signature", " "+strings.ReplaceAll(values[0], "\r\n", "\n"), end)
	if _, err := std.out.Write(append(field.Raw(), m.head...)); err != nil {
		return exit(exitCantCreate, err)
	}
	_, err = io.Copy(std.out, m.body())
	return exit(exitCantCreate, err)
}
