package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Syntax is how the lines of a file are read.
type Syntax uint8

// The syntaxes. In both, a line is a key, blanks and a value, lines that begin with "#" are comments,
// and keys without a prefix of this package belong to others; see [File].
const (
	// Sendmail is the source of makemap: no line begins with a blank.
	Sendmail Syntax = iota
	// Postfix is the source of postmap (postmap(1)): a line that begins with a blank continues the one before, also
	// behind comments and empty lines; a key may stand in double quotes.
	Postfix
)

var syntaxNames = [...]string{"sendmail", "postfix"}

// String returns the syntax as in configurations.
func (s Syntax) String() string {
	if int(s) < len(syntaxNames) {
		return syntaxNames[s]
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// MarshalText returns what String does.
func (s Syntax) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Limits bound a file. The zero value means all defaults.
type Limits struct {
	Bytes   int // of the file; 0 means 16 MiB
	Entries int // also those of others; 0 means 1 million
	Line    int // bytes of a line and those that continue it; 0 means 4096
}

// ErrFile is in the errors of lines that are none of a map, and of files that are more than Limits.
var ErrFile = errors.New("policy: file is not right")

// A LineError says which line of a file is wrong.
type LineError struct {
	Name string
	Line int // from 1; 0 where it is about the file
	Err  error
}

// Error tells the file, the line and what is wrong.
func (e *LineError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.Name, e.Line, e.Err)
}

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// A File is what was read of a file.
type File struct {
	Entries []Entry
	Others  int // entries that the MTA or another program reads, such as "From:example.com" or "192.0.2"
	Strays  []Stray
}

// maxErrors is how many lines of a file are told.
const maxErrors = 100

// Parse reads a map from the bytes of a text file; name stands in errors. Maps of MTAs may have keys that
// are not for this package: those with a tag of Sendmail's access map, and those without a tag. They are
// counted, and their values are not looked at.
//
// The error joins a *[LineError] for each line that is wrong, up to 100 of them: a tag nobody knows or
// a bad key (ErrKey), a bad word (ErrWord), a line without a value, or too long, or no UTF-8 (ErrFile); one
// for the whole file says that it is too large.
func Parse(name string, data []byte, s Syntax, l Limits) (File, error) {
	if l.Bytes <= 0 {
		l.Bytes = 16 << 20
	}
	if l.Entries <= 0 {
		l.Entries = 1_000_000
	}
	if l.Line <= 0 {
		l.Line = 4096
	}
	var f File
	var errs []error
	bad := func(line int, err error) {
		if len(errs) < maxErrors {
			errs = append(errs, &LineError{name, line, err})
		}
	}
	if len(data) > l.Bytes {
		bad(0, fmt.Errorf("%w: it has more than %d bytes", ErrFile, l.Bytes))
		return f, errors.Join(errs...)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for at, line := range lines(data, s, l.Line, bad) {
		if len(f.Entries)+f.Others >= l.Entries {
			bad(0, fmt.Errorf("%w: it has more than %d entries", ErrFile, l.Entries))
			break
		}
		key, value, err := cutLine(line, s)
		if err != nil {
			bad(at, err)
			continue
		}
		ours, err := isOurs(key)
		switch {
		case err != nil:
			bad(at, err)
			continue
		case !ours:
			f.Others++
			if like := nearest(key, value); like != "" && len(f.Strays) < maxErrors {
				f.Strays = append(f.Strays, Stray{Key: short(key), Line: at, Like: like})
			}
			continue
		case !utf8.ValidString(line):
			bad(at, fmt.Errorf("%w: it is no UTF-8", ErrFile))
			continue
		case strings.IndexByte(line, 0) >= 0:
			bad(at, fmt.Errorf("%w: it holds a NUL", ErrFile))
			continue
		}
		e := Entry{Key: key, Line: at}
		if _, _, err := foldKey(key); err != nil {
			bad(at, err)
			continue
		}
		if e.Action, err = ParseAction(value); err != nil {
			bad(at, err)
			continue
		}
		f.Entries = append(f.Entries, e)
	}
	if err := errors.Join(errs...); err != nil {
		return File{}, err
	}
	return f, nil
}

// lines yields the lines that have something to say, by the numbers at which they begin. bad is told of
// others.
func lines(data []byte, s Syntax, most int, bad func(int, error)) func(func(int, string) bool) {
	return func(yield func(int, string) bool) {
		begin, long, line := 0, false, ""
		flush := func() bool {
			at := begin
			begin = 0
			switch {
			case at == 0:
			case long:
				bad(at, fmt.Errorf("%w: it has more than %d bytes", ErrFile, most))
			default:
				return yield(at, line)
			}
			return true
		}
		number := 0
		for raw := range bytes.Lines(data) {
			number++
			raw = bytes.TrimRight(raw, "\r\n")
			text := bytes.TrimSpace(raw)
			switch continues := len(raw) > 0 && (raw[0] == ' ' || raw[0] == '\t'); {
			case len(text) == 0 || text[0] == '#' && (s == Postfix || !continues):
			case continues && s != Postfix:
				if !flush() {
					return
				}
				bad(number, fmt.Errorf("%w: it begins with a blank, which continues a line in files of Postfix only", ErrFile))
			case continues && begin == 0:
				bad(number, fmt.Errorf("%w: it begins with a blank, and there is no line to continue", ErrFile))
			case continues:
				if long = long || len(line)+1+len(text) > most; !long {
					line += " " + string(text)
				}
			default:
				if !flush() {
					return
				}
				if begin, long = number, len(text) > most; !long {
					line = string(text)
				}
			}
		}
		flush()
	}
}

// cutLine takes a line apart.
func cutLine(line string, s Syntax) (key, value string, err error) {
	if s == Postfix && line[0] == '"' {
		end := strings.IndexByte(line[1:], '"')
		if end < 0 {
			return "", "", fmt.Errorf("%w: a quote does not end", ErrFile)
		}
		key, value = line[1:1+end], line[1+end+1:]
		if value != "" && value[0] != ' ' && value[0] != '\t' { // postmap passes over such a line
			return "", "", fmt.Errorf("%w: no blank stands behind the quoted key", ErrFile)
		}
	} else {
		key, value = cutWord(line)
	}
	if value = strings.TrimSpace(value); value == "" || key == "" {
		return "", "", fmt.Errorf("%w: it should be a key, a blank and a value", ErrFile)
	}
	return key, value, nil
}

// tags are those of Sendmail's access map for what it reads itself (cf/README), in lower case; also what
// keys of Postfix begin with.
var tags = map[string]bool{
	"connect": true, "from": true, "to": true, "spam": true, "hate": true, "friend": true, "ipv6": true, "helo": true,
	"clientrate": true, "clientconn": true, "greetpause": true, "srv_features": true, "try_tls": true, "tls_srv": true, "tls_clt": true,
	"tls_rcpt": true, "tls_srv_features": true, "tls_clt_features": true, "authinfo": true, "cert": true, "certissuer": true, "certsubject": true,
	"badauth": true, "delay": true, "auth": true, "authrealm": true, "dane": true,
}

// isOurs reports whether a key is for this package. The error is for one that looks as if it were.
func isOurs(key string) (bool, error) {
	tag, _, tagged := strings.Cut(key, ":")
	if i := strings.IndexByte(tag, '!'); i >= 0 {
		tag = tag[:i]
	}
	low := strings.ToLower(tag)
	if _, ok := checks[Prefix(low)]; ok {
		return true, nil
	}
	for _, begin := range []string{"spf-", "helo-", "dkim-", "dmarc-", "smtp-auth"} {
		if strings.HasPrefix(low, begin) && !strings.Contains(low, ".") {
			_, err := ParsePrefix(tag)
			return false, err
		}
	}
	if !tagged || tags[low] || strings.ContainsAny(low, "@./[") || strings.Trim(low, "0123456789abcdef") == "" {
		return false, nil
	}
	_, err := ParsePrefix(tag)
	return false, err
}
