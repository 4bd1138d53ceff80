package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/internal/wire"
	"github.com/gomilter/gomilter/message"
)

// Who sends the signed mail; what its filters are told by DNS is in the folder that
// $MILTER_DNS names.
const (
	signedDomain   = "bench.example"
	signedSelector = "s1"
	signedClient   = "192.0.2.7"
	signedHelo     = "client." + signedDomain
)

// A signedMail is a message with one RSA-2048 signature, relaxed/relaxed.
type signedMail struct {
	header message.Header
	body   string
}

// newSignedMail signs a message, and writes into dir what answers questions about it: the
// file zone for gomilter, the file keys for OpenDKIM (its TestPublicKeys).
func newSignedMail(dir string) (*signedMail, error) {
	key, err := dkim.GenerateKey(dkim.RSA2048)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, f := range []string{
		"Received: from client.bench.example by mail.bench.example; Sun, 22 Nov 2026 10:00:00 +0000",
		"Date: Sun, 22 Nov 2026 10:00:00 +0000", "From: Sender <sender@bench.example>", "To: Recipient <rcpt0@example.org>",
		"Subject: Quarterly report for the benchmark", "Message-ID: <1@bench.example>", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
		"User-Agent: bench", "X-Mailer: bench",
	} {
		b.WriteString(f + "\r\n")
	}
	m := &signedMail{body: benchBody(4<<10) + "\r\n"}
	m.header = message.Parse([]byte(b.String() + "\r\n")).Header
	fields, err := dkim.Sign(context.Background(), m.header, strings.NewReader(m.body),
		[]dkim.Signature{{Domain: signedDomain, Selector: signedSelector, Key: key}}, time.Now())
	if err != nil {
		return nil, err
	}
	m.header = append(message.Header{message.NewField("DKIM-Signature", " "+strings.ReplaceAll(fields[0], "\r\n", "\n"), "\r\n")}, m.header...)

	record, name := key.Record(), signedSelector+"._domainkey."+signedDomain
	zone := fmt.Sprintf("%s. TXT \"%s\"\n_dmarc.%[3]s. TXT \"v=DMARC1; p=reject\"\n%[3]s. TXT \"v=spf1 ip4:%[4]s -all\"\n"+
		"client.%[3]s. TXT \"v=spf1 a -all\"\nclient.%[3]s. A %[4]s\n7.2.0.192.in-addr.arpa. PTR client.%[3]s.\n", name, record, signedDomain, signedClient)
	if err := os.WriteFile(filepath.Join(dir, "zone"), []byte(zone), 0o644); err != nil {
		return nil, err
	}
	return m, os.WriteFile(filepath.Join(dir, "keys"), []byte(name+" "+record+"\n"), 0o644)
}

// add adds header and body to a script.
func (m *signedMail) add(s *script) {
	for _, f := range m.header {
		s.add(wire.CmdHeader, "", f.Name()+"\x00"+f.Text(s.off&wire.LeadingSpace != 0)+"\x00")
	}
}
