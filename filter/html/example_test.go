package html_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/gomilter/gomilter/filter/html"
)

func ExampleRemove() {
	const text = `<p onclick="steal()">Dear <b>customer</b><script>steal()</script>, <a href="java&Tab;script:steal()">log in</a>.</p>`
	rep, err := html.Remove(context.Background(), os.Stdout, strings.NewReader(text), html.Options{})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println()
	for _, f := range rep.Findings {
		fmt.Println(f)
	}
	// Output:
	// <p>Dear <b>customer</b><!-- removed: script -->, <a>log in</a>.</p>
	// attribute onclick of p at 0
	// element script at 41
	// url href of a at 67
}

func ExampleOptions() {
	o := html.Options{Charset: "iso-8859-1", Marker: "removed by example.com: ", RemoveForms: true}
	if _, err := html.Remove(context.Background(), os.Stdout, strings.NewReader("<form action=/login><input name=password></form>"), o); err != nil {
		fmt.Println(err)
	}
	// Output: <!-- removed by example.com: form --><input name=password>
}

func ExampleReport() {
	var out strings.Builder
	rep, err := html.Remove(context.Background(), &out, strings.NewReader("<p>Nothing that acts, <br> & all stays"), html.Options{})
	if err == nil && rep.Total == 0 {
		fmt.Println("left as it is")
	}
	// Output: left as it is
}

func ExampleFinding() {
	fmt.Println(html.Finding{Kind: html.Attribute, Name: "img", Attribute: "onerror", Offset: 17})
	fmt.Println(html.Finding{Kind: html.Ambiguous, Name: "style", Offset: 40})
	// Output:
	// attribute onerror of img at 17
	// ambiguous style at 40
}

func ExampleKind() {
	fmt.Println(html.Element, html.Attribute, html.URL, html.Style, html.Comment, html.Ambiguous, html.Limit)
	// Output: element attribute url style comment ambiguous limit
}

func ExampleIsHTML() {
	fmt.Println(html.IsHTML(nil, "text/html", nil))
	fmt.Println(html.IsHTML([]byte("%PDF-1.7"), "application/octet-stream", []string{"invoice.pdf"}))
	fmt.Println(html.IsHTML([]byte("<!DOCTYPE html><p>"), "application/octet-stream", []string{"invoice.pdf"}))
	// Output:
	// true
	// false
	// true
}
