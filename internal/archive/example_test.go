package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gomilter/gomilter/internal/archive"
)

// attachment is a zip with a text and another zip in it.
func attachment() []byte {
	pack := func(name, body string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		f, err := w.Create(name)
		if err != nil {
			panic(err)
		}
		io.WriteString(f, body)
		w.Close()
		return b.Bytes()
	}
	return pack("inner.zip", string(pack("invoice.exe", "MZ and some text")))
}

func ExampleWalk() {
	r, err := archive.Walk(context.Background(), bytes.NewReader(attachment()), "a.zip", archive.Limits{}, func(m archive.Member) error {
		fmt.Println(strings.Join(m.Path, " > "), ">", m.Name)
		return nil
	})
	fmt.Println(r.Kind, r.Members, err)
	// Output:
	// a.zip > inner.zip
	// a.zip > inner.zip > invoice.exe
	// zip 2 <nil>
}

func ExampleMember() {
	archive.Walk(context.Background(), bytes.NewReader(attachment()), "a.zip", archive.Limits{}, func(m archive.Member) error {
		if bytes.HasPrefix(m.Head(), []byte("MZ")) {
			fmt.Printf("%s in %q is a program\n", m.Name, m.Path)
		}
		return nil
	})
	// Output: invoice.exe in ["a.zip" "inner.zip"] is a program
}

func ExampleMember_Content() {
	archive.Walk(context.Background(), bytes.NewReader(attachment()), "a.zip", archive.Limits{}, func(m archive.Member) error {
		src := m.Content()
		if all, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size())); err == nil && m.Name == "invoice.exe" {
			fmt.Printf("%s\n", all)
		}
		return nil
	})
	// Output: MZ and some text
}

func ExampleMember_Head() {
	archive.Walk(context.Background(), bytes.NewReader(attachment()), "a.zip", archive.Limits{}, func(m archive.Member) error {
		fmt.Printf("%.2s\n", m.Head())
		return nil
	})
	// Output:
	// PK
	// MZ
}

func ExampleDetect() {
	behind := append([]byte("MZ some program"), attachment()...)
	fmt.Println(archive.Detect(bytes.NewReader(behind)))
	// Output: zip <nil>
}

func ExampleLimits() {
	r, _ := archive.Walk(context.Background(), bytes.NewReader(attachment()), "a.zip", archive.Limits{Depth: 1}, func(archive.Member) error { return nil })
	fmt.Println(r.Members, r.Hit(archive.DepthLimit))
	// Output: 1 true
}

func ExampleLimit_String() {
	fmt.Println(archive.DepthLimit, archive.UnpackedLimit)
	// Output: depth unpacked
}

// A report says what a policy has to decide on.
func ExampleReport() {
	whole := attachment()
	cut := whole[:len(whole)-10]
	r, _ := archive.Walk(context.Background(), bytes.NewReader(cut), "a.zip", archive.Limits{}, func(archive.Member) error { return nil })
	for _, f := range r.Findings {
		fmt.Println(f.What, f.Kind, f.Path)
	}
	// Output: truncated zip [a.zip]
}

func ExampleReport_Has() {
	r, _ := archive.Walk(context.Background(), strings.NewReader("MSCF\x00\x00\x00\x00 and so on"), "a.cab", archive.Limits{}, func(archive.Member) error { return nil })
	fmt.Println(r.Has(archive.Unlisted), r.Has(archive.Corrupt))
	// Output: true false
}

func ExampleReport_Hit() {
	r, _ := archive.Walk(context.Background(), bytes.NewReader(attachment()), "a.zip", archive.Limits{Entries: 1}, func(archive.Member) error { return nil })
	fmt.Println(r.Hit(archive.EntriesLimit))
	// Output: true
}

func ExampleFinding() {
	f := archive.Finding{What: archive.LimitHit, Limit: archive.TimeLimit, Kind: archive.Rar, Path: []string{"a.rar"}}
	fmt.Println(f.What, f.Limit, f.Kind)
	// Output: limit time rar
}

func ExampleWhat_String() {
	fmt.Println(archive.Encrypted, archive.Mismatch)
	// Output: encrypted mismatch
}

func ExampleKind_String() {
	fmt.Println(archive.SevenZip, archive.Cab)
	// Output: 7z cab
}

func ExampleKind_Listed() {
	fmt.Println(archive.SevenZip.Listed(), archive.Cab.Listed())
	// Output: true false
}

// A spool of the caller's keeps unpacked archives where the caller wants them.
func ExampleSpool() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	l := archive.Limits{Spool: func() (archive.Spool, error) {
		f, err := os.CreateTemp(dir, "")
		return fileSpool{f}, err
	}}
	r, err := archive.Walk(context.Background(), bytes.NewReader(attachment()), "a.zip", l, func(archive.Member) error { return nil })
	fmt.Println(r.Members, err)
	// Output: 2 <nil>
}

type fileSpool struct{ *os.File }

func (f fileSpool) Size() int64 {
	i, err := f.Stat()
	if err != nil {
		return 0
	}
	return i.Size()
}

func ExampleSource() {
	var src archive.Source = io.NewSectionReader(bytes.NewReader(attachment()), 0, 4)
	fmt.Println(src.Size())
	// Output: 4
}
