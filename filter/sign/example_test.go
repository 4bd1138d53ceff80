package sign_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/gomilter/gomilter"
	"github.com/gomilter/gomilter/dkim"
	"github.com/gomilter/gomilter/filter"
	"github.com/gomilter/gomilter/filter/sign"
)

// The shop's mail is signed for the shop, everybody's for example.com.
func ExampleNew() {
	key, err := dkim.GenerateKey(dkim.Ed25519) // or dkim.ReadKey
	if err != nil {
		log.Fatal(err)
	}
	shop := sign.Rule{Domain: "shop.example.com", Selector: "2026", Key: key, Senders: []string{"orders@example.com"}}
	f, err := sign.New("sign", sign.Options{
		By:    sign.From,
		Rules: []sign.Rule{{Domain: "example.com", Selector: "2026", Key: key, Subdomains: true}, shop},
	})
	if err != nil {
		log.Fatal(err)
	}
	chain := &filter.Chain{Steps: []filter.Step{{Filter: f}}} // and others before it
	srv := &milter.Server{New: chain.Hooks}                   // and srv.ListenAndServe
	fmt.Println(srv.New != nil, f.Kind == filter.Signs, f.Needs.Actions)
	// Output: true true ADDHDRS|CHGHDRS
}

// What is wrong with a table can be told of each of its parts.
func ExampleCheckSender() {
	fmt.Println(sign.CheckSender("news-*@*.example.com"))
	fmt.Println(sign.CheckSender("joe"))
	fmt.Println(sign.CheckUser("shop 1"))
	_, err := sign.New("sign", sign.Options{By: 7, Rules: []sign.Rule{{Domain: "example.com", Selector: "2026"}}})
	fmt.Println(strings.Count(err.Error(), sign.ErrOptions.Error()))
	// Output:
	// <nil>
	// sender "joe" should be user@domain or @domain
	// user "shop 1" is empty, or has a comma or a blank; write one each
	// 2
}
