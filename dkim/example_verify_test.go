package dkim_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/dns"
	"github.com/gomilter/gomilter/message"
)

// The message of RFC 8463 appendix A, with its keys.
const (
	twiceSigned = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`
	footballZone = `
brisbane._domainkey.football.example.com. TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
test._domainkey.football.example.com. TXT ( "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
	"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
	"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
	"Ip3G+2kryOTIKT+l/K4w3QIDAQAB" )
`
)

func ExampleVerifier_Verify() {
	zone, err := dns.ParseZone("football", strings.NewReader(footballZone))
	if err != nil {
		panic(err)
	}
	v := dkim.Verifier{
		Resolver:   zone, // in a daemon, one with a cache
		MinRSABits: 2048,
	}
	m := message.Parse([]byte(strings.ReplaceAll(twiceSigned, "\n", "\r\n")))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	checked, err := v.Verify(ctx, m.Header, strings.NewReader(string(m.Body)))
	if err != nil {
		panic(err) // of reading the body
	}
	for _, s := range checked.Signatures {
		fmt.Printf("%s by %s with %s, %s (b=%s)\n", s.Value, s.Domain, s.Selector, s.Algorithm, s.B)
		if s.Why != "" {
			fmt.Println(" ", s.Why)
		}
	}
	// Output:
	// pass by football.example.com with brisbane, ed25519-sha256 (b=/gCrinpc)
	// policy by football.example.com with test, rsa-sha256 (b=F45dVWDf)
	//   the key has 1024 bits, less than 2048
}

// What follows from results is for policy to say. Here a message is good when somebody who is
// responsible for the author's domain signed it.
func ExampleResult() {
	signedBy := func(c dkim.Checked, domain string) bool {
		for _, s := range c.Signatures {
			if s.Value == dkim.Pass && s.Domain == domain && !s.Testing {
				return true
			}
		}
		return false
	}
	none := dkim.Checked{}
	some := dkim.Checked{Signatures: []dkim.Result{
		{Value: dkim.Fail, Domain: "list.example.org", Why: "the body is not as it was signed: its hash is another than bh="},
		{Value: dkim.Value("pass"), Domain: "example.com"},
	}}
	fmt.Println(signedBy(none, "example.com"), signedBy(some, "example.com"), signedBy(some, "list.example.org"))
	// Output: false true false
}
