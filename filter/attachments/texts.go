package attachments

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/gomilter/gomilter/internal/filename"
	"github.com/gomilter/gomilter/message"
)

// textHeader is what stands before a text that is read as a message, for the files in it.
var textHeader = message.Parse([]byte("Content-Type: text/plain; charset=utf-8\r\n\r\n"))

// readText reads a text as a message whose body it is.
func readText(src message.Source, o *message.Options) (*message.Tree, error) {
	return message.ReadTree(textHeader.Header, textHeader.Break, src, o)
}

// holdsFiles reports whether a file is one that other files are packed in as text, uuencoded
// or in yEnc: by its name, or as it begins.
func holdsFiles(names []string, head []byte) bool {
	for _, name := range names {
		for _, s := range filename.Readings(name) {
			for _, ext := range [...]string{".uu", ".uue", ".ync", ".yenc"} {
				if strings.HasSuffix(s, ext) {
					return true
				}
			}
		}
	}
	for _, begin := range [...]string{"begin ", "begin-base64 ", "=ybegin "} {
		if bytes.HasPrefix(head, []byte(begin)) {
			return true
		}
	}
	return false
}

// lettersAsASCII reports whether the letters of ASCII are themselves in a charset, wherever
// they stand: what is packed in such a text is found without decoding it.
func lettersAsASCII(charset string) bool {
	for _, begin := range [...]string{"us-ascii", "ascii", "utf-8", "utf8", "iso-8859-", "iso8859-", "latin", "windows-", "cp125", "koi8", "gb", "big5", "euc-", "shift_jis", "shift-jis", "ks_c_5601", "macintosh"} {
		if strings.HasPrefix(charset, begin) {
			return true
		}
	}
	return false
}

// lookIntoText tells what files are in a text whose charset hides them from who looks at its
// bytes.
func (f *finder) lookIntoText(ctx context.Context, p *message.Part, shown string, b *budget) ([]finding, error) {
	text := b.t.NewSpool()
	defer b.t.FreeSpool(text)
	var begin beginFinder
	if _, err := copyTo(io.MultiWriter(text, &begin), p.Text()); err != nil || !begin.found {
		return nil, err
	}
	found, err := f.lookIntoMessage(ctx, text, readText, b)
	for i := range found {
		found[i].Name = shown
	}
	return found, err
}

// A beginFinder finds out whether a file may begin in what is written to it.
type beginFinder struct {
	found bool
	last  []byte // of what was written
}

// Write implements [io.Writer]. It never fails.
func (b *beginFinder) Write(p []byte) (int, error) {
	const word = "begin"
	edge := append(b.last, p[:min(len(p), len(word)-1)]...)
	b.found = b.found || bytes.Contains(edge, []byte(word)) || bytes.Contains(p, []byte(word))
	b.last = append(b.last[:0], edge[max(0, len(edge)-len(word)+1):]...)
	if len(p) >= len(word) {
		b.last = append(b.last[:0], p[len(p)-len(word)+1:]...)
	}
	return len(p), nil
}

// maxCalendarLine is how long the beginning of a calendar's line is of which parameters are
// read. The content of a file stands in the same line behind them.
const maxCalendarLine = 64 << 10

// calendarNames returns the names of the files that a calendar holds: ATTACH with a
// parameter FILENAME, or X-FILENAME and the like, and a content (RFC 5545 section 3.8.1.1,
// RFC 8607 section 4.2). Those that it only points to are no files of the mail.
func calendarNames(r io.Reader) ([]message.Name, error) {
	const most = 1000
	var names []message.Name
	var line []byte
	in := bufio.NewReader(r)
	attach := func() {
		if len(line) < 7 || !strings.EqualFold(string(line[:6]), "ATTACH") || line[6] != ';' || len(names) == most {
			return
		}
		_, params := message.ParseParams("x;" + calendarParams(string(line[6:])))
		inline, name := false, ""
		for _, p := range params {
			switch {
			case p.Name == "encoding" && strings.EqualFold(p.Value, "base64"), p.Name == "value" && strings.EqualFold(p.Value, "binary"):
				inline = true
			case strings.HasSuffix(p.Name, "filename"):
				name = p.Value
			}
		}
		if inline && name != "" {
			names = append(names, message.Name{Value: name, From: "calendar"})
		}
	}
	for start := true; ; { // of a line
		piece, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull && err != io.EOF {
			return nil, err
		}
		more := piece
		if start {
			if len(piece) > 0 && (piece[0] == ' ' || piece[0] == '\t') { // folded
				more = piece[1:]
			} else {
				attach()
				line = line[:0]
			}
		}
		more = bytes.TrimRight(more, "\r\n")
		line = append(line, more[:min(len(more), maxCalendarLine-len(line))]...)
		if start = err == nil; err == io.EOF {
			attach()
			return names, nil
		}
	}
}

// calendarParams returns what stands before the first colon that is not in quotes.
func calendarParams(s string) string {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ':':
			if !quoted {
				return s[:i]
			}
		}
	}
	return s
}
