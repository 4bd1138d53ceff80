package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/message"
)

type dkimVerifyCmd struct {
	dnsFlag
	JSON bool   `name:"json" help:"Print one JSON object for each signature."`
	File string `arg:"" optional:"" default:"-" help:"The message; - is standard input, and so is none."`
}

func (*dkimVerifyCmd) Help() string {
	return `Prints a line for each signature, in the order of the header: what it comes to (pass, fail, policy,
neutral, temperror or permerror, as in RFC 8601), who signed, with which key, and what is wrong.
Without a signature the line says none.

Lines that end in LF alone are taken as they go by SMTP, with CRLF. The header may have 1 MiB, the
whole message 1 GiB.

Exit codes: 0 each signature came to something, whatever it is; 64 a mistake in the flags; 65 the message or
the zone file cannot be read; 69 this machine names no DNS servers; 75 a key could not be looked up, so
try again.`
}

// dkimVerifyTime is how long keys are waited for.
const dkimVerifyTime = time.Minute

func (c *dkimVerifyCmd) Run(std stdio) error {
	r, err := c.resolver()
	if err != nil {
		return err
	}
	in := std.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return exit(exitData, err)
		}
		defer f.Close()
		in = f
	}
	m, err := readSpooled(in)
	if err != nil {
		return exit(exitData, err)
	}
	defer m.Close()
	ctx, stop := untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, dkimVerifyTime)
	defer cancel()
	v := dkim.Verifier{Resolver: r}
	checked, err := v.Verify(ctx, message.Parse(wireLines(m.head)).Header, &wireReader{r: m.body()})
	if err != nil {
		return exit(exitData, err)
	}
	results := checked.Signatures
	if len(results) == 0 {
		results = []dkim.Result{{Value: dkim.None, Why: "the message has no signature"}}
	}
	unsure := 0
	for _, res := range results {
		if res.Value == dkim.TempError {
			unsure++
		}
		if err := c.print(std.out, res); err != nil {
			return exit(exitCantCreate, err)
		}
	}
	if unsure > 0 {
		return exitf(exitTemporary, "not decided: %d of %d signatures", unsure, len(results))
	}
	return nil
}

// wireLines returns a message with CRLF for each LF, as SMTP has it.
func wireLines(msg []byte) []byte {
	return bytes.ReplaceAll(unixLines(msg), []byte("\n"), []byte("\r\n"))
}

func (c *dkimVerifyCmd) print(w io.Writer, res dkim.Result) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(struct {
			Result    dkim.Value `json:"result"`
			Domain    string     `json:"domain"`
			Identity  string     `json:"identity,omitempty"`
			Selector  string     `json:"selector"`
			Algorithm string     `json:"algorithm"`
			KeyBits   int        `json:"bits,omitempty"`
			B         string     `json:"b,omitempty"`
			Testing   bool       `json:"testing,omitempty"`
			Why       string     `json:"why"`
		}{res.Value, res.Domain, res.Identity, res.Selector, res.Algorithm, res.KeyBits, res.B, res.Testing, res.Why})
	}
	var what []string
	add := func(format, value string) {
		if value != "" {
			what = append(what, fmt.Sprintf(format, value))
		}
	}
	add("d=%s", res.Domain)
	add("s=%s", res.Selector)
	add("a=%s", res.Algorithm)
	if res.KeyBits > 0 {
		what = append(what, fmt.Sprintf("%d bits", res.KeyBits))
	}
	if res.Testing {
		what = append(what, "testing")
	}
	line := string(res.Value)
	if len(what) > 0 {
		line += "  " + strings.Join(what, " ")
	}
	if res.Why != "" {
		line += ": " + printable(res.Why)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
