package auth_test

import (
	"strings"
	"testing"

	"github.com/gomilter/gomilter/filter/auth"
	"github.com/gomilter/gomilter/miltertest"
)

// SPFM-15: one field for each identity that was checked, and none in our name that is not ours.
func TestReceivedSPF(t *testing.T) {
	const mailfrom = `pass (mta.example: example.org lets 192.0.2.25 send) client-ip=192.0.2.25; envelope-from="sender@example.org"; helo=client.example; receiver=mta.example; mechanism="ip4:192.0.2.25"; identity=mailfrom`
	const helo = `pass (mta.example: client.example lets 192.0.2.25 send) client-ip=192.0.2.25; envelope-from="sender@example.org"; helo=client.example; receiver=mta.example; mechanism=a; identity=helo`
	const null = `pass (mta.example: client.example lets 192.0.2.25 send) client-ip=192.0.2.25; envelope-from=""; helo=client.example; receiver=mta.example; mechanism=a; identity=mailfrom`
	const guess = `none (mta.example: the guess for bare.example lets 192.0.2.25 send) client-ip=192.0.2.25; envelope-from="a@bare.example"; helo=client.example; receiver=mta.example; mechanism=a/24; x-bestguess=pass; identity=mailfrom`
	const relays = "Received-SPF: pass (mx.example.net: fine) receiver=mx.example.net; identity=mailfrom\nReceived-SPF: pass (mta.example: forged) receiver=MTA.example; identity=mailfrom\nReceived-SPF: great\n"
	for _, tt := range []struct {
		name string
		mail miltertest.Mail
		want []string
	}{
		{"both", miltertest.Mail{}, []string{mailfrom, helo}},
		{"the null sender", miltertest.Mail{From: "<>"}, []string{null}},
		{"a guess", miltertest.Mail{From: "<a@bare.example>"}, []string{guess, strings.Replace(helo, "sender@example.org", "a@bare.example", 1)}},
		{"internal", miltertest.Mail{Conn: from("127.0.0.1"), Text: relays + letter}, nil},
		{"what a relay wrote", miltertest.Mail{Conn: from("198.51.100.1"), Text: relays + letter}, []string{"pass (mx.example.net: fine) receiver=mx.example.net; identity=mailfrom"}},
		{"what others wrote", miltertest.Mail{Text: relays + letter}, []string{mailfrom, helo}},
	} {
		r := newRig(t, auth.Options{ReceivedSPF: true, SPF: auth.SPFOptions{Guess: "v=spf1 a/24 mx/24 ptr"}})
		var got []string
		for _, h := range r.send(t, tt.mail).Headers("Received-SPF") {
			got = append(got, strings.Join(strings.Fields(h), " "))
		}
		diff(t, tt.name, tt.want, got)
	}
}
