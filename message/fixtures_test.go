package message

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what tests got to testdata")

func fixtures(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 30 {
		t.Fatalf("testdata has %d messages, %v", len(files), err)
	}
	return files
}

// inventory shows all that a tree tells of a message, a paragraph a part.
func inventory(tree *Tree) string {
	var b strings.Builder
	if f, ok := tree.Header().Get("Subject"); ok {
		fmt.Fprintf(&b, "subject %q\n", f.Decoded())
	}
	at := map[*Part]string{}
	for p := range tree.Parts() {
		path := "part"
		if p.Parent != nil {
			for i, c := range p.Parent.Parts {
				if c == p {
					path = fmt.Sprintf("%s.%d", at[p.Parent], i)
				}
			}
		}
		at[p] = path
		fmt.Fprintf(&b, "\n%s %s %s", path, p.MediaType(), p.Encoding())
		if d := p.Disposition(); d != "" {
			fmt.Fprintf(&b, " %s", d)
		}
		fmt.Fprintf(&b, ", %d fields, at %d, %d bytes\n", len(p.Header), p.Offset(), p.Size())
		if n := p.Filename(); n != "" {
			fmt.Fprintf(&b, "  filename %q\n", n)
		}
		for _, n := range p.Names() {
			fmt.Fprintf(&b, "  name %q of %s\n", n.Value, n.From)
		}
		if p.IsLeaf() {
			body, err := io.ReadAll(p.Open())
			fmt.Fprintf(&b, "  %d bytes: %s", len(body), beginning(body))
			if err != nil {
				fmt.Fprintf(&b, ", error %v", err)
			}
			b.WriteByte('\n')
			if isText(p.MediaType()) && !isASCII(body) {
				text, err := io.ReadAll(p.Text())
				fmt.Fprintf(&b, "  text in %s: %s, %v\n", p.Charset(), beginning(text), err)
			}
		}
	}
	b.WriteByte('\n')
	for _, d := range tree.Defects() {
		fmt.Fprintf(&b, "defect of %s at %d: %s\n", at[d.Part], d.Offset, d.Kind)
	}
	return b.String()
}

func beginning(b []byte) string {
	if len(b) > 100 {
		return fmt.Sprintf("%q and so on", b[:100])
	}
	return fmt.Sprintf("%q", b)
}

func TestFixtures(t *testing.T) {
	for _, file := range fixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".eml"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := Read(bytes.NewReader(in), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			got := inventory(tree)
			golden := strings.TrimSuffix(file, ".eml") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			identical(t, string(in))
			for _, other := range []string{"\n", "\r\n", "\r"} {
				identical(t, strings.ReplaceAll(strings.ReplaceAll(string(in), "\r\n", "\n"), "\n", other))
			}
		})
	}
}

// Cut anywhere, a message is written as it was read.
func TestFixturesCut(t *testing.T) {
	for _, file := range fixtures(t) {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(in) && n < 5000; n += 1 + n/100 {
			identical(t, string(in[:n]))
		}
	}
}

// The part that a filter refuses is replaced; nothing else changes, and read anew
// the notice is all there is of it.
func TestFixturesReplaced(t *testing.T) {
	const notice = "The attachment was removed.\r\nAsk your administrator.\r\n"
	for file, paths := range map[string][]string{
		"mt02-double-extension-qp":         {"1"},
		"mt03-double-extension":            {"1"},
		"mt04-odd-boundary":                {"0"},
		"mt05-no-outer-end":                {"1"},
		"mt06-boundary-with-folded-fields": {"1"},
		"mt07-message-is-a-program":        {""},
		"mt08-bounced-program":             {"1.0.1"},
		"mt09-name-in-other-parameter":     {"1"},
		"mt10-doubled-boundary":            {"2", "4"},
		"mt14-boundary-ends-in-hyphens":    {"1"},
		"mt16-broken-zip":                  {"1"},
		"mt17-zip-in-zip":                  {"1"},
		"mt20-encoded-message":             {"1.0.1"},
		"mt21-message-after-empty-lines":   {"0.0.0"},
		"mt24-no-break-no-end":             {"0.1"},
		"mt30-moderation":                  {"1.0"},
		"two-content-types":                {""},
		"wrong-boundary":                   {"1"},
		"mixed-line-ends":                  {"1"},
	} {
		t.Run(file, func(t *testing.T) {
			in, err := os.ReadFile("testdata/" + file + ".eml")
			if err != nil {
				t.Fatal(err)
			}
			tree := read1(t, string(in), nil)
			var before []string
			for p := range tree.Parts() {
				before = append(before, p.MediaType())
			}
			kept := map[string]string{}
			for _, path := range paths {
				p := part(t, tree, path)
				for _, f := range p.Header {
					if !f.Is("Content-Type") && !f.Is("Content-Transfer-Encoding") && !f.Is("Content-Disposition") {
						kept[path] += string(f.Raw())
					}
				}
				if err := p.Replace(Content{Text: strings.ReplaceAll(notice, "\r\n", "\n"), Filename: "WARNING.TXT"}); err != nil {
					t.Fatal(err)
				}
			}
			again := read1(t, written(t, tree), nil)
			for _, path := range paths {
				p := part(t, again, path)
				body, err := io.ReadAll(p.Open())
				if err != nil || strings.ReplaceAll(string(body), "\r\n", "\n") != strings.ReplaceAll(notice, "\r\n", "\n") {
					t.Errorf("part %q read anew is %q, %v", path, body, err)
				}
				if p.MediaType() != "text/plain" || p.Filename() != "WARNING.TXT" || p.Disposition() != "attachment" {
					t.Errorf("part %q read anew is %s %q %s", path, p.MediaType(), p.Filename(), p.Disposition())
				}
				head := string(p.Header.Bytes())
				for _, f := range p.Header {
					if f.Is("Content-Type") || f.Is("Content-Transfer-Encoding") || f.Is("Content-Disposition") || f.Is("MIME-Version") && !strings.Contains(kept[path], "MIME-Version") {
						head = strings.Replace(head, string(f.Raw()), "", 1)
					}
				}
				if head != kept[path] {
					t.Errorf("part %q keeps %q of its header, want %q", path, head, kept[path])
				}
			}
			n := 0
			for range again.Parts() {
				n++
			}
			if n != len(before) {
				t.Errorf("%d parts, read anew %d", len(before), n)
			}
		})
	}
}

// Every message in the project is written as it was read.
func TestMessagesOfTheProject(t *testing.T) {
	n := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".eml" {
			return nil
		}
		in, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		n++
		identical(t, string(in))
		return nil
	})
	if err != nil || n < 35 {
		t.Errorf("%d messages, %v", n, err)
	}
}

func FuzzReadFixtures(f *testing.F) {
	for _, file := range fixtures(f) {
		in, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(in) < 4000 {
			f.Add(in)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) { identical(t, string(in)) })
}
