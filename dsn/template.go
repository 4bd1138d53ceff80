package dsn

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/gomilter/gomilter/address"
)

const (
	maxTemplate = 64 << 10 // bytes of a template's file
	maxFiles    = 1000     // templates in a directory
	maxVar      = 500      // bytes of a variable in a text
	maxListed   = 50       // recipients in a text; the machine's part has all
)

// errTooLong stops a template whose text grows beyond the limit.
var errTooLong = errors.New("the text is too long")

// A TemplateError says where a template is wrong.
type TemplateError struct {
	File   string
	Line   int // from 1; 0 where it is of the file as a whole
	Reason string
}

// Error returns it in one line: "dsn: fail.txt:7: unknown variable .sneder".
func (e *TemplateError) Error() string {
	if e.Line == 0 {
		return "dsn: " + e.File + ": " + e.Reason
	}
	return fmt.Sprintf("dsn: %s:%d: %s", e.File, e.Line, e.Reason)
}

// Vars are what the caller knows of a message, for the text of a notice; the rest of
// a template's variables follows from the [Notice]. Each is one line and is cut at
// 500 bytes; control characters become blanks.
type Vars struct {
	SPFResult    string     // spf_result; "" means the message's first Received-SPF field
	HeloName     string     // heloname
	ConnectIP    netip.Addr // connectip, in its usual form (RFC 5952)
	ClientName   string     // client: the name of that address, proven
	SenderDomain string     // sender_domain; "" means the domain of the sender
	Result       string     // result: the word that a check ended with, as "softfail"
	PermError    string     // perm_error: what is wrong with a record
	Reason       string     // reason: in words, why the notice is sent
	Reference    string     // reference: by which the receiver finds the message again
}

// Templates are the texts of notices, by their names. They do not change, and may be
// used by several goroutines.
type Templates struct {
	m map[string]*noticeTemplate
}

// A noticeTemplate is one text. Each template in it is parsed with empty lines before
// it, so that errors name the line of the file.
type noticeTemplate struct {
	file   string
	source []byte
	fields map[string]*template.Template // by headerFields
	body   *template.Template
}

// headerFields are the fields a template may set; the others are the composer's business.
var headerFields = []string{"Subject", "From", "Reply-To"}

//go:embed templates/*.txt
var builtin embed.FS

var builtinTemplates = sync.OnceValue(func() *Templates {
	t := &Templates{make(map[string]*noticeTemplate)}
	files, err := builtin.ReadDir("templates")
	for _, f := range files {
		var b []byte
		if b, err = builtin.ReadFile("templates/" + f.Name()); err == nil {
			t.m[strings.TrimSuffix(f.Name(), ".txt")], err = parseTemplate(f.Name(), b)
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		panic(err) // they are part of the program, and a test reads each
	}
	return t
})

// BuiltinTemplates returns the templates that come with the program:
//
//	fail        SPF forbids the host to send for the domain; the message was taken nevertheless
//	softfail    SPF says that the host should not
//	neutral     SPF says nothing of the host
//	permerror   the domain's SPF record has an error
//	temperror   the domain's name servers do not answer
//	strike3     no name, no SPF record and no valid HELO
//	heloerror   SPF forbids the host to use the name of its HELO; for the postmaster of that name
//	quarantine  the message is held back
//	internal    the message is from the receiver's own domain, and came from outside
func BuiltinTemplates() *Templates { return builtinTemplates() }

// LoadTemplates returns the built-in templates and, in their place or beside them,
// those of a directory: each file NAME.txt is the template NAME, with a name of
// lower-case letters, digits, "-" and "_". Other files are left alone. "" means no
// directory.
//
// All are checked, and tried with variables full and empty; the error joins a
// *TemplateError for each fault, and the errors of the file system.
func LoadTemplates(dir string) (*Templates, error) {
	if dir == "" {
		return BuiltinTemplates(), nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("dsn: templates: %w", err)
	}
	t := &Templates{make(map[string]*noticeTemplate)}
	for name, b := range BuiltinTemplates().m {
		t.m[name] = b
	}
	var errs []error
	n := 0
	for _, e := range entries {
		name, isText := strings.CutSuffix(e.Name(), ".txt")
		if !isText || strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if n++; n > maxFiles {
			return nil, &TemplateError{File: dir, Reason: fmt.Sprintf("more than %d templates", maxFiles)}
		}
		if name == "" || !each(name, func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' }) {
			errs = append(errs, &TemplateError{File: path, Reason: "a template's name has lower-case letters, digits, - and _ only"})
			continue
		}
		b, err := readTemplate(path)
		if err == nil {
			t.m[name], err = parseTemplate(path, b)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	return t, nil
}

func readTemplate(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("dsn: templates: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, &TemplateError{File: path, Reason: "no regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dsn: templates: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("dsn: templates: %w", &fs.PathError{Op: "read", Path: path, Err: err})
	case len(b) > maxTemplate:
		return nil, &TemplateError{File: path, Reason: fmt.Sprintf("larger than %d bytes", maxTemplate)}
	}
	return b, nil
}

// Names returns the names of the templates, sorted.
func (t *Templates) Names() []string {
	var names []string
	for name := range t.m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Text returns the source of a template, for who wants to write one like it, and
// whether there is one of that name.
func (t *Templates) Text(name string) (text string, ok bool) {
	if n, ok := t.m[name]; ok {
		return string(n.source), true
	}
	return "", false
}

// oldVariable is a variable as the templates of older systems have it.
var oldVariable = regexp.MustCompile(`%\(([a-z_]+)\)s`)

// parseTemplate reads a template: header fields, an empty line, the text. Every error is a
// *TemplateError.
func parseTemplate(file string, text []byte) (*noticeTemplate, error) {
	n := &noticeTemplate{file: file, source: text, fields: make(map[string]*template.Template)}
	fail := func(line int, format string, args ...any) (*noticeTemplate, error) {
		return nil, &TemplateError{file, line, fmt.Sprintf(format, args...)}
	}
	s := strings.ReplaceAll(string(text), crlf, "\n")
	for i, line := range strings.Split(s, "\n") {
		if strings.ToValidUTF8(line, "") != line {
			return fail(i+1, "no UTF-8")
		}
		if m := oldVariable.FindStringSubmatch(line); m != nil {
			return fail(i+1, "%s is how older templates have it; write {{.%s}}", m[0], m[1])
		}
	}
	header, body, found := strings.Cut(s, "\n\n")
	if !found {
		return fail(0, "no empty line between header and text")
	}
	headerLines := strings.Split(header, "\n")
	for i := 0; i < len(headerLines); {
		at := i + 1
		name, value, ok := strings.Cut(headerLines[i], ":")
		for i++; i < len(headerLines) && (strings.HasPrefix(headerLines[i], " ") || strings.HasPrefix(headerLines[i], "\t")); i++ {
			value += " " + strings.Trim(headerLines[i], " \t")
		}
		known := slices.IndexFunc(headerFields, func(f string) bool { return strings.EqualFold(f, name) })
		switch {
		case !ok:
			return fail(at, "%q is no header field", name)
		case known < 0:
			return fail(at, "field %q; a template has %s", name, strings.Join(headerFields, ", "))
		case n.fields[headerFields[known]] != nil:
			return fail(at, "a second %s", headerFields[known])
		}
		t, err := parseText(file, at, strings.Trim(value, " \t"))
		if err != nil {
			return nil, err
		}
		n.fields[headerFields[known]] = t
	}
	if n.fields["Subject"] == nil {
		return fail(0, "no Subject")
	}
	if strings.TrimSpace(body) == "" {
		return fail(0, "no text")
	}
	var err error
	if n.body, err = parseText(file, len(headerLines)+2, body); err != nil {
		return nil, err
	}
	for _, vars := range []map[string]any{sampleVars(), emptyVars()} {
		if _, err := n.render(vars, maxTemplate); err != nil {
			return nil, located(file, err)
		}
	}
	return n, nil
}

// parseText parses one template that begins at a line of its file.
func parseText(file string, line int, text string) (*template.Template, error) {
	t, err := template.New(file).Option("missingkey=error").Parse(strings.Repeat("\n", line-1) + text)
	if err != nil {
		return nil, located(file, err)
	}
	for _, named := range t.Templates() {
		if err := unknownVar(file, named.Tree); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// position is how text/template begins its errors, behind the file's name.
var position = regexp.MustCompile(`^:([0-9]+):(?:[0-9]+:)? *(?:executing "[^"]*" at )?`)

// located makes a *TemplateError of an error of text/template.
func located(file string, err error) error {
	if e, ok := errors.AsType[*TemplateError](err); ok {
		return e
	}
	reason, line := err.Error(), 0
	if rest, ok := strings.CutPrefix(reason, "template: "+file); ok {
		if m := position.FindStringSubmatch(rest); m != nil {
			line, _ = strconv.Atoi(m[1])
			reason = rest[len(m[0]):]
		}
	}
	return &TemplateError{file, line, reason}
}

// unknownVar looks for variables that there are not, also where a template would
// not come by when it is tried.
func unknownVar(file string, tree *parse.Tree) error {
	if tree == nil || tree.Root == nil {
		return nil
	}
	known := sampleVars()
	var bad error
	check := func(n parse.Node, ident []string) {
		if _, ok := known[ident[0]]; !ok && bad == nil {
			where, _ := tree.ErrorContext(n)
			line := 0
			if m := position.FindStringSubmatch(strings.TrimPrefix(where, file) + ":"); m != nil {
				line, _ = strconv.Atoi(m[1])
			}
			bad = &TemplateError{file, line, "unknown variable ." + ident[0]}
		}
	}
	var walk func(n parse.Node)
	pipe := func(p *parse.PipeNode) {
		if p != nil {
			walk(p)
		}
	}
	list := func(l *parse.ListNode) {
		if l != nil {
			walk(l)
		}
	}
	branch := func(b *parse.BranchNode) { pipe(b.Pipe); list(b.List); list(b.ElseList) }
	walk = func(n parse.Node) {
		switch n := n.(type) {
		case *parse.ListNode:
			for _, c := range n.Nodes {
				walk(c)
			}
		case *parse.ActionNode:
			pipe(n.Pipe)
		case *parse.PipeNode:
			for _, c := range n.Cmds {
				walk(c)
			}
		case *parse.CommandNode:
			for _, a := range n.Args {
				walk(a)
			}
		case *parse.ChainNode:
			walk(n.Node)
		case *parse.FieldNode:
			check(n, n.Ident)
		case *parse.VariableNode:
			if len(n.Ident) > 1 && n.Ident[0] == "$" {
				check(n, n.Ident[1:])
			}
		case *parse.IfNode:
			branch(&n.BranchNode)
		case *parse.RangeNode:
			branch(&n.BranchNode)
		case *parse.WithNode:
			branch(&n.BranchNode)
		case *parse.TemplateNode:
			pipe(n.Pipe)
		}
	}
	walk(tree.Root)
	return bad
}

// A rendered is a template with its variables filled in.
type rendered struct {
	subject       string
	from, replyTo *address.Mailbox // nil for none
	text          string           // lines end in LF
}

// render fills in the variables. max bounds the text.
func (n *noticeTemplate) render(vars map[string]any, max int) (*rendered, error) {
	execute := func(t *template.Template, max int) (string, error) {
		b := bounded{max: max + maxTemplate} // the lines that are only there to count
		if err := t.Execute(&b, vars); err != nil {
			return "", err
		}
		s := strings.TrimLeft(b.String(), "\n")
		if len(s) > max {
			return "", errTooLong
		}
		return s, nil
	}
	out := new(rendered)
	for _, name := range headerFields {
		t := n.fields[name]
		if t == nil {
			continue
		}
		s, err := execute(t, 4*maxVar)
		if err != nil {
			return nil, err
		}
		s = clean(s, len(s))
		if name == "Subject" {
			out.subject = clean(s, 2*maxVar)
			continue
		}
		boxes := address.ParseList(s, nil)
		if len(boxes) != 1 || boxes[0].Path.Local == "" || boxes[0].Path.Domain == "" || !printable(boxes[0].Path.String()) || len(boxes[0].Path.String()) > maxAddress {
			return nil, fmt.Errorf("%s is not one address in ASCII: %q", name, s)
		}
		if name == "From" {
			out.from = &boxes[0]
		} else {
			out.replyTo = &boxes[0]
		}
	}
	s, err := execute(n.body, max)
	if err != nil {
		return nil, err
	}
	out.text = strings.TrimRight(s, "\n \t") + "\n"
	return out, nil
}

// A bounded is a buffer that takes no more than max bytes.
type bounded struct {
	bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// templateVars returns the variables of a notice, by the names that templates know.
func templateVars(host string, n *Notice, rcpts []Recipient) map[string]any {
	sender := n.Sender
	if sender.Null() {
		sender = n.To
	}
	first := func(name string) string {
		if f, ok := n.Header.Get(name); ok {
			return f.Decoded()
		}
		return ""
	}
	or := func(s, other string) string {
		if strings.TrimSpace(s) != "" {
			return s
		}
		return other
	}
	var list []string
	for i, r := range rcpts {
		if i == maxListed {
			list = append(list, fmt.Sprintf("and %d more", len(rcpts)-i))
			break
		}
		list = append(list, clean(r.Address.String(), maxVar))
	}
	ip, date := "", ""
	if v := &n.Vars; v.ConnectIP.IsValid() {
		ip = v.ConnectIP.Unmap().WithZone("").String()
	}
	if !n.Arrival.IsZero() {
		date = n.Arrival.Format(time.RFC1123Z)
	}
	vars := map[string]any{
		// A line for each, with a tab before it but for the first.
		"rcpt": strings.Join(list, "\n\t"), "rcpts": list,
	}
	for name, v := range map[string]string{
		"sender": sender.String(), "receiver": host, "subject": or(first("Subject"), "(none)"),
		"spf_result": or(n.Vars.SPFResult, first("Received-SPF")), "heloname": n.Vars.HeloName, "connectip": ip, "client": n.Vars.ClientName,
		"sender_domain": or(n.Vars.SenderDomain, sender.Domain), "result": n.Vars.Result, "perm_error": n.Vars.PermError,
		"reason": n.Vars.Reason, "reference": n.Vars.Reference, "date": date, "message_id": first("Message-ID"),
	} {
		vars[name] = clean(v, maxVar)
	}
	return vars
}

// emptyVars are those of a notice about which nothing is known.
func emptyVars() map[string]any { return templateVars("mx.example.com", new(Notice), nil) }

// sampleVars are those of a notice about which all is known.
func sampleVars() map[string]any {
	vars := emptyVars()
	for name, v := range vars {
		if _, ok := v.(string); ok {
			vars[name] = name + ".example"
		}
	}
	vars["rcpts"] = []string{"jane@example.com", "joe@example.com"}
	vars["rcpt"] = "jane@example.com\n\tjoe@example.com"
	return vars
}
