// Package roff writes manual pages for man(1), in the macros of man(7).
package roff

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"
)

// A Page is a manual page as it is written. Methods keep the first error of the
// writer for [Page.Flush].
//
// Texts are paragraphs with empty lines between them. A paragraph indented by four
// blanks is printed as it is; in the others lines are filled, and `this` is bold.
type Page struct {
	w *bufio.Writer
	// fresh is set behind what begins a paragraph by itself.
	fresh bool
}

// A Title heads a page.
type Title struct {
	Name    string // "gomilter"
	Section int    // of the manual: 8 for daemons, 5 for files
	Date    time.Time
	Source  string // of what the page comes with: "gomilter 1.0"
	Manual  string // the name of the section
}

// New begins a page. A zero date is left out.
func New(w io.Writer, t Title) *Page {
	p := &Page{w: bufio.NewWriter(w)}
	date := ""
	if !t.Date.IsZero() {
		date = t.Date.UTC().Format(time.DateOnly)
	}
	p.request("TH", strings.ToUpper(t.Name), strconv.Itoa(t.Section), date, t.Source, t.Manual)
	p.line(".nh") // no word is broken: most are names
	p.line(".ad l")
	return p
}

// Section begins a section.
func (p *Page) Section(name string) { p.request("SH", strings.ToUpper(name)); p.fresh = true }

// Subsection begins a part of a section.
func (p *Page) Subsection(name string) { p.request("SS", name); p.fresh = true }

// Text writes paragraphs.
func (p *Page) Text(text string) {
	for para := range paragraphs(text) {
		if !p.fresh {
			p.line(".PP")
		}
		p.paragraph(para)
	}
}

// Item writes a term, and paragraphs about it that are indented. Of the term,
// `this` is bold.
func (p *Page) Item(term, text string) {
	p.line(".TP")
	p.filled(term)
	first := true
	for para := range paragraphs(text) {
		if p.fresh = first; !first {
			p.line(".IP")
		}
		p.paragraph(para)
		first = false
	}
	p.fresh = false
}

// Synopsis writes how a program is called, each line as it is.
func (p *Page) Synopsis(lines ...string) {
	for i, l := range lines {
		if i > 0 {
			p.line(".br")
		}
		p.filled(l)
	}
	p.fresh = false
}

// Flush writes what is buffered, and returns the first error.
func (p *Page) Flush() error { return p.w.Flush() }

func (p *Page) paragraph(text string) {
	defer func() { p.fresh = false }()
	if !strings.HasPrefix(text, "    ") {
		p.filled(text)
		return
	}
	p.line(".RS 4")
	p.line(".nf")
	for l := range strings.Lines(text) {
		p.line(guard(escape(strings.TrimPrefix(strings.TrimSuffix(l, "\n"), "    "), true)))
	}
	p.line(".fi")
	p.line(".RE")
}

// filled writes text whose lines may be broken anew.
func (p *Page) filled(text string) {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			b.WriteString(`\fB` + escape(part, true) + `\fR`)
		} else {
			b.WriteString(escape(part, false))
		}
	}
	for l := range strings.Lines(b.String()) {
		if l = strings.TrimSpace(l); l != "" {
			p.line(guard(l))
		}
	}
}

// request writes a request with its arguments.
func (p *Page) request(name string, args ...string) {
	p.w.WriteString("." + name)
	for _, a := range args {
		p.w.WriteString(` "` + strings.ReplaceAll(escape(a, false), `"`, `\(dq`) + `"`)
	}
	p.line("")
}

func (p *Page) line(s string) { p.w.WriteString(s + "\n") }

// guard keeps a line of text from being a request.
func guard(s string) string {
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}

// escape writes what roff would take for its own. In literal text, and in options,
// each "-" is the one that is typed.
func escape(s string, literal bool) string {
	s = strings.NewReplacer(`\`, `\e`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`).Replace(s)
	if literal {
		return strings.NewReplacer("-", `\-`, "'", `\(aq`).Replace(s)
	}
	var b strings.Builder
	for word := range strings.SplitAfterSeq(s, " ") {
		if strings.HasPrefix(strings.TrimLeft(word, `"'([`), "-") {
			word = strings.ReplaceAll(word, "-", `\-`)
		}
		b.WriteString(word)
	}
	return b.String()
}

// paragraphs yields those of a text, without the line ends around them. An
// indented paragraph has empty lines if indented lines follow them.
func paragraphs(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		parts := strings.Split(strings.Trim(text, "\n"), "\n\n")
		for i := 0; i < len(parts); i++ {
			para := parts[i]
			for strings.HasPrefix(para, "    ") && i+1 < len(parts) && strings.HasPrefix(parts[i+1], "    ") {
				i++
				para += "\n\n" + parts[i]
			}
			if para = strings.Trim(para, "\n"); para != "" && !yield(para) {
				return
			}
		}
	}
}
