package authres_test

import (
	"errors"
	"fmt"

	"github.com/gomilter/gomilter/authres"
)

// What the network says can be in any member.
func ExampleField() {
	f := authres.Field{ID: "mx.example.com", Results: []authres.Result{{
		Method: "spf", Value: "fail", Reason: "no\r\nX-Spam: no; dkim=pass",
		Properties: []authres.Property{
			{Type: "smtp", Name: "mailfrom", Value: "ann@example.net"},
			{Type: "smtp", Name: "helo", Value: "[2001:db8::1]"},
		},
	}}}
	fmt.Println("Authentication-Results: " + f.Format(authres.Layout{LineEnd: "\n"}))
	fmt.Println("Authentication-Results: " + authres.Field{ID: "mx.example.com"}.String())
	// Output:
	// Authentication-Results: mx.example.com;
	// 	spf=fail reason="no X-Spam: no; dkim=pass"
	// 	smtp.mailfrom=ann@example.net smtp.helo="[2001:db8::1]"
	// Authentication-Results: mx.example.com; none
}

func ExampleParse() {
	f, err := authres.Parse("relay.example.com; dkim=pass (2048-bit key)\r\n\theader.d=example.net header.b=\"AbC/dEf\"")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range f.Results {
		fmt.Println(f.ID, r.Method, r.Value, r.Comment)
		for _, p := range r.Properties {
			fmt.Println(p.Type, p.Name, p.Value)
		}
	}

	_, err = authres.Parse("relay.example.com; dkim=pass header.d=")
	if se, ok := errors.AsType[*authres.SyntaxError](err); ok {
		fmt.Println(se.Reason, se.Offset)
	}
	_, err = authres.Limits{Results: 1}.Parse("relay.example.com; spf=pass; dkim=pass")
	fmt.Println(err)
	// Output:
	// relay.example.com dkim pass 2048-bit key
	// header d example.net
	// header b AbC/dEf
	// no value 38
	// authres: more than 1 results at byte 29
}

// Of what others wrote is removed what a reader may take for ours.
func ExampleBears() {
	for _, v := range []string{
		"mx.example.com; dkim=pass",
		"(x) \"MX.example.com.\" 1; dkim=pass",
		"(mx.example.com; dkim=pass",
		"relay.example.net; dkim=pass (asked by mx.example.com)",
	} {
		fmt.Printf("%v %q\n", authres.Bears(v, "mx.example.com"), authres.ID(v))
	}
	// Output:
	// true "mx.example.com"
	// true "MX.example.com."
	// true "mx.example.com"
	// false "relay.example.net"
}

func ExampleSameID() {
	fmt.Println(authres.SameID("MX.exämple.com", "mx.xn--exmple-cua.com."))
	fmt.Println(authres.ID("mx.example.com/1; spf=pass"))
	// Output:
	// true
	// mx.example.com
}
