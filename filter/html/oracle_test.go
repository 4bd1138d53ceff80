package html

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// vectors are pieces of active HTML.
func vectors(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		v, err := unquote(line)
		if err != nil {
			t.Fatalf("vectors.txt: %q: %v", line, err)
		}
		list = append(list, v)
	}
	return list
}

var escapes = regexp.MustCompile(`\\[nrtf0]|\\x[0-9a-f]{2}`)

func unquote(line string) (string, error) {
	var failed error
	line = escapes.ReplaceAllStringFunc(line, func(esc string) string {
		if esc == `\0` {
			esc = `\x00`
		}
		s, err := strconv.Unquote(`"` + esc + `"`)
		failed = errors.Join(failed, err)
		return s
	})
	return line, failed
}

// The oracle is a tree builder: what it makes of the output must hold nothing
// active. Its rules are its own, and narrower: they are what browsers do.

var (
	oracleElements = []string{
		"script", "iframe", "frame", "frameset", "object", "embed", "applet", "base", "portal", "fencedframe",
	}
	oracleURLs = []string{
		"href", "src", "action", "formaction", "data", "background", "poster", "cite", "lowsrc", "dynsrc", "values", "to", "from", "by",
	}
	oracleScript = regexp.MustCompile(`^[\x00-\x20]*(javascript|vbscript|livescript|data):`)
	oracleImage  = regexp.MustCompile(`^[\x00-\x20]*data:image/(png|jpe?g|gif|webp)([;,]|$)`)
	oracleCSS    = regexp.MustCompile(`(?i)expression\(|javascript:|-moz-binding|(^|[^-])behavior:|@import`)
	oracleBreaks = strings.NewReplacer("\t", "", "\n", "", "\r", "")
)

func activeAttribute(element, name, value string) bool {
	// No handler has a shorter name than oncut, and without a value none does a thing.
	if value != "" && len(name) > 4 && name[:2] == "on" && 'a' <= name[2] && name[2] <= 'z' || name == "srcdoc" {
		return true
	}
	if name == "style" && oracleCSS.MatchString(value) {
		return true
	}
	if name == "href" && element == "use" && !strings.HasPrefix(strings.TrimSpace(value), "#") {
		return true
	}
	value = strings.ToLower(oracleBreaks.Replace(value))
	return slices.Contains(oracleURLs, name) && oracleScript.MatchString(value) && !oracleImage.MatchString(value)
}

func activeElement(name string, attr func(string) string) bool {
	switch name {
	case "meta":
		return strings.EqualFold(strings.TrimSpace(attr("http-equiv")), "refresh")
	case "link":
		return slices.Contains(strings.Fields(strings.ToLower(attr("rel"))), "stylesheet")
	case "set", "animate":
		target := strings.ToLower(attr("attributeName"))
		return target == "href" || target == "xlink:href" || strings.HasPrefix(target, "on")
	}
	return slices.Contains(oracleElements, name)
}

// activeInTree returns what is active in a tree, "" if nothing.
func activeInTree(root *html.Node) string {
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			attr := func(name string) string {
				for _, a := range n.Attr {
					if strings.EqualFold(a.Key, name) {
						return a.Val
					}
				}
				return ""
			}
			name := strings.ToLower(n.Data)
			if activeElement(name, attr) {
				return fmt.Sprintf("<%s>", n.Data)
			}
			for _, a := range n.Attr {
				if activeAttribute(name, a.Key, a.Val) {
					return fmt.Sprintf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
		case html.CommentNode:
			if strings.HasPrefix(n.Data, "[if") {
				return "<!--" + n.Data
			}
		case html.TextNode:
			if n.Parent != nil && n.Parent.Data == "style" && oracleCSS.MatchString(n.Data) {
				return "<style>" + n.Data
			}
		}
	}
	return ""
}

// contexts are elements around the text, as a web mail's page has them.
var contexts = []string{"", "<svg>", "<math>", "<svg><desc>", "<math><mtext>", "<table>", "<select>", "<template>", "<div><p>"}

// active returns how the text shows active content to any reader tried.
func active(text []byte) string {
	for _, scripting := range []bool{true, false} {
		for _, context := range contexts {
			doc := slices.Concat([]byte(context), text)
			tree, err := html.ParseWithOptions(bytes.NewReader(doc), html.ParseOptionEnableScripting(scripting))
			if err != nil {
				continue // too deep for it
			}
			if found := activeInTree(tree); found != "" {
				return fmt.Sprintf("scripting %v, behind %q: %s", scripting, context, found)
			}
		}
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	for {
		tok, err := dec.RawToken()
		if err != nil {
			return ""
		}
		el, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if activeElement(el.Name.Local, func(name string) string {
			for _, a := range el.Attr {
				if a.Name.Local == name {
					return a.Value
				}
			}
			return ""
		}) {
			return "XML: " + el.Name.Local
		}
		for _, a := range el.Attr {
			if activeAttribute(el.Name.Local, a.Name.Local, a.Value) {
				return "XML: " + el.Name.Local + " " + a.Name.Local
			}
		}
	}
}

// check removes what is active in text and fails where something is left, or is
// found at the second try.
func check(t *testing.T, text []byte, o Options) []byte {
	t.Helper()
	var out, again bytes.Buffer
	rep, err := Remove(context.Background(), &out, bytes.NewReader(text), o)
	if err != nil {
		t.Fatalf("Remove(%q) error = %v", text, err)
	}
	if (rep.Total == 0) != bytes.Equal(out.Bytes(), text) {
		t.Errorf("Remove(%q) = %q with %d findings", text, out.Bytes(), rep.Total)
	}
	if found := active(out.Bytes()); found != "" {
		t.Errorf("Remove(%q)\n      = %q\nis active: %s", text, out.Bytes(), found)
	}
	rep, err = Remove(context.Background(), &again, bytes.NewReader(out.Bytes()), o)
	if err != nil {
		t.Fatalf("Remove(%q) error = %v", out.Bytes(), err)
	}
	if rep.Total > 0 || !bytes.Equal(again.Bytes(), out.Bytes()) {
		t.Errorf("Remove(%q)\n      = %q\nagain = %q, finding %v", text, out.Bytes(), again.Bytes(), rep.Findings)
	}
	return out.Bytes()
}

// The oracle must know what it is there for.
func TestOracleKnowsActiveContent(t *testing.T) {
	blind := 0
	for _, v := range vectors(t) {
		if active([]byte(v)) == "" {
			blind++
		}
	}
	// The rest acts in browsers long gone, or by encodings.
	if all := len(vectors(t)); blind > all*45/100 {
		t.Errorf("the oracle sees nothing in %d of %d vectors", blind, all)
	} else {
		t.Logf("%d of %d vectors are active to the oracle", all-blind, all)
	}
}

func TestVectorsAreDisarmed(t *testing.T) {
	for _, v := range vectors(t) {
		rep := mustReport(t, v, Options{})
		if rep.Total == 0 {
			t.Errorf("Remove(%q) found nothing", v)
		}
		for _, o := range []Options{{}, {XML: true}, {KeepConditional: true, KeepStylesheets: true}} {
			text := []byte("<p>before</p>" + v + "<p>after</p>")
			if o.KeepStylesheets {
				var out bytes.Buffer
				if _, err := Remove(context.Background(), &out, bytes.NewReader(text), o); err != nil {
					t.Error(err)
				}
				continue
			}
			check(t, text, o)
			check(t, []byte(v), o)
		}
	}
}

func TestVectorsInRawTextAreDisarmed(t *testing.T) {
	for _, around := range []string{"title", "style", "textarea", "noscript", "noembed", "noframes", "xmp", "iframe", "plaintext", "script"} {
		for _, v := range vectors(t) {
			for _, outer := range []string{"%s", "<svg>%s</svg>", "<math>%s", "<select>%s"} {
				check(t, fmt.Appendf(nil, outer, "<"+around+">"+v+"</"+around+">tail"), Options{})
			}
		}
	}
}

func mustReport(t *testing.T, text string, o Options) Report {
	t.Helper()
	rep, err := Remove(context.Background(), new(bytes.Buffer), strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func FuzzRemove(f *testing.F) {
	list := vectors(f)
	for i, v := range list {
		f.Add([]byte(v), uint16(i), uint16(i+7), uint8(i))
		f.Add([]byte{}, uint16(i), uint16(3*i+1), uint8(i/3))
	}
	for _, piece := range append(slices.Clone(pieces), "<svg>", "<math>", "<style>", "</style>", "<title>", "<!--", "-->", "<![CDATA[", "]]>", "\"", "'", "<", "=", "/", ">") {
		f.Add([]byte(piece), uint16(5), uint16(60), uint8(9))
	}
	f.Fuzz(func(t *testing.T, text []byte, a, b uint16, cut uint8) {
		// Two vectors, cut and joined by the text.
		v, w := list[int(a)%len(list)], list[int(b)%len(list)]
		check(t, slices.Concat([]byte(v)[:len(v)*int(cut%16)/15], text, []byte(w)[len(w)*int(cut/16)/15:]), Options{})
	})
}
