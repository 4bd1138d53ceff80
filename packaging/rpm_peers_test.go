//go:build peers && linux

package packaging_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// Tags of an RPM header (lib/rpmtag.h of rpm).
const (
	rpmName, rpmVersion, rpmArch                             = 1000, 1001, 1022
	rpmPreIn, rpmPostIn, rpmPreUn, rpmPostUn                 = 1023, 1024, 1025, 1026
	rpmFileModes, rpmFileFlags, rpmFileUser, rpmFileGroup    = 1030, 1037, 1039, 1040
	rpmDirIndexes, rpmBaseNames, rpmDirNames, rpmRequireName = 1116, 1117, 1118, 1049
)

// An rpmHeader has the values of a header by their tags.
type rpmHeader map[int][]any

// readRPM reads the header of a package: behind a lead of 96 bytes, and a header of
// signatures that is filled up to 8 bytes.
func readRPM(t *testing.T, file string) rpmHeader {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) < 96 || !bytes.HasPrefix(data, []byte{0xed, 0xab, 0xee, 0xdb}) {
		t.Fatalf("%s is no RPM package", file)
	}
	_, n, err := readRPMHeader(data[96:])
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := readRPMHeader(data[96+(n+7)&^7:])
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// readRPMHeader returns a header and its length.
func readRPMHeader(data []byte) (rpmHeader, int, error) {
	if len(data) < 16 || !bytes.HasPrefix(data, []byte{0x8e, 0xad, 0xe8, 1}) {
		return nil, 0, fmt.Errorf("no header begins with % x", data[:min(len(data), 4)])
	}
	entries, size := int(binary.BigEndian.Uint32(data[8:])), int(binary.BigEndian.Uint32(data[12:]))
	index, store := data[16:16+16*entries], data[16+16*entries:][:size]
	h := make(rpmHeader)
	for ; len(index) > 0; index = index[16:] {
		tag, typ := int(binary.BigEndian.Uint32(index)), binary.BigEndian.Uint32(index[4:])
		at := store[binary.BigEndian.Uint32(index[8:]):]
		for range binary.BigEndian.Uint32(index[12:]) {
			switch typ {
			case 3: // 16 bits
				h[tag], at = append(h[tag], int(binary.BigEndian.Uint16(at))), at[2:]
			case 4: // 32 bits
				h[tag], at = append(h[tag], int(binary.BigEndian.Uint32(at))), at[4:]
			case 6, 8, 9: // strings
				text, rest, _ := bytes.Cut(at, []byte{0})
				h[tag], at = append(h[tag], string(text)), rest
			}
		}
	}
	return h, 16 + 16*entries + size, nil
}

func (h rpmHeader) text(tag int) string {
	if len(h[tag]) == 0 {
		return ""
	}
	return h[tag][0].(string)
}

// files returns a line for each file: mode, owner, group, name, and what it is.
func (h rpmHeader) files() (lines []string) {
	for i, base := range h[rpmBaseNames] {
		kind := ""
		if flags := h[rpmFileFlags][i].(int); flags&(1<<0) != 0 && flags&(1<<4) != 0 {
			kind = " config(noreplace)"
		}
		lines = append(lines, fmt.Sprintf("%06o %s:%s %s%s%s", h[rpmFileModes][i], h[rpmFileUser][i], h[rpmFileGroup][i],
			h[rpmDirNames][h[rpmDirIndexes][i].(int)], base, kind))
	}
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(strings.Fields(a)[2], strings.Fields(b)[2])
	})
	return lines
}

func TestRPMPackage(t *testing.T) {
	t.Parallel()
	h := readRPM(t, pack(t, "*.rpm"))
	if h.text(rpmName) != "gomilter" || h.text(rpmVersion) == "" || h.text(rpmArch) == "" {
		t.Errorf("name %q, version %q, arch %q", h.text(rpmName), h.text(rpmVersion), h.text(rpmArch))
	}
	want := `040750 root:gomilter /etc/gomilter
100640 root:gomilter /etc/gomilter/gomilter.toml config(noreplace)
100644 root:root /etc/logrotate.d/gomilter config(noreplace)
100755 root:root /usr/bin/gomilter
100644 root:root /usr/lib/systemd/system/gomilter.service
100644 root:root /usr/lib/sysusers.d/gomilter.conf
100644 root:root /usr/lib/tmpfiles.d/gomilter.conf
100644 root:root /usr/share/bash-completion/completions/gomilter
100644 root:root /usr/share/fish/vendor_completions.d/gomilter.fish
100644 root:root /usr/share/man/man5/gomilter.toml.5.gz
100644 root:root /usr/share/man/man8/gomilter.8.gz
100644 root:root /usr/share/zsh/site-functions/_gomilter
040750 gomilter:gomilter /var/lib/gomilter
040750 gomilter:gomilter /var/log/gomilter
`
	got := slices.DeleteFunc(h.files(), func(line string) bool { return strings.Contains(line, "/usr/share/doc/gomilter") })
	if diff := gocmp.Diff(want, strings.Join(got, "\n")+"\n"); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for tag, file := range map[int]string{rpmPreIn: "preinstall", rpmPostIn: "postinstall", rpmPreUn: "preremove", rpmPostUn: "postremove"} {
		script, err := os.ReadFile("scripts/" + file + ".sh")
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(h.text(tag)) != strings.TrimSpace(string(script)) {
			t.Errorf("the script %s is %q", file, h.text(tag))
		}
	}
	if !slices.Contains(h[rpmRequireName], any("shadow-utils")) {
		t.Errorf("it requires %v", h[rpmRequireName])
	}
}
