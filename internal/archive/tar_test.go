package archive

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTar(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	long := strings.Repeat("long/", 60) + "invoice.exe"
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "for all"}},
		{Name: "dir/", Typeflag: tar.TypeDir},
		{Name: "../../etc/passwd", Size: 4, Format: tar.FormatUSTAR},
		{Name: long, Size: 4, Format: tar.FormatPAX},
		{Name: long + "2", Size: 4, Format: tar.FormatGNU},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "dir"},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			io.WriteString(w, "MZ..")
		}
	}
	w.Close()
	got, r := walked(t, b.Bytes(), "a.tar", Limits{})
	if diff := cmp.Diff([]string{"dir/", "../../etc/passwd", long, long + "2", "link", "hard"}, got); diff != "" {
		t.Errorf("names -want +got\n%s", diff)
	}
	checkWhat(t, r, nil)
	if got := listing(t, b.Bytes(), "a.tar", Limits{}); !strings.Contains(got, `-> "/etc/shadow"`) || !strings.Contains(got, "size 0 dir") {
		t.Errorf("listing\n%s\nwants the link and the directory", got)
	}
}

func TestTarDamage(t *testing.T) {
	good := tarred(t, file{"a.txt", payloadText}, file{"b.exe", payloadExe})
	old := bytes.Clone(good) // without the mark of later dialects
	for at := 0; at < 2048; at += 1024 {
		copy(old[at+257:], make([]byte, 255))
		fixTarSum(old[at:])
	}
	pax := tarred(t, file{strings.Repeat("p", 120), ""})[:1024] // a header for the next one, with a record
	copy(pax[512:], "x")
	bad := bytes.Clone(good)
	bad[1024+20] ^= 1
	for _, tt := range []struct {
		name  string
		in    []byte
		names []string
		what  []What
	}{
		{"old", old, []string{"a.txt", "b.exe"}, nil},
		{"cut in data", good[:1024+520], []string{"a.txt", "b.exe"}, []What{Truncated}},
		{"cut in a header", good[:1024+100], []string{"a.txt"}, []What{Truncated}},
		{"without an end", good[:2048], []string{"a.txt", "b.exe"}, nil},
		{"a bad sum", bad, []string{"a.txt"}, []What{Corrupt}},
		{"a bad header before a good one", append(append(bytes.Clone(pax), good...), make([]byte, 1024)...), []string{"a.txt", "b.exe"}, []What{Corrupt}},
		{"no tar", []byte(payloadText), nil, []What{Corrupt}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, r := walked(t, tt.in, "a.tar", Limits{})
			if diff := cmp.Diff(tt.names, got); diff != "" {
				t.Errorf("names -want +got\n%s", diff)
			}
			checkWhat(t, r, tt.what)
		})
	}
}
