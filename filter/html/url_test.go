package html

import "testing"

func TestActiveURL(t *testing.T) {
	for _, tt := range []struct {
		url         string
		image, want bool
	}{
		{"https://example.com/javascript:x", false, false},
		{"javascript:x", false, true},
		{"\x01 jAvA\tscr\r\nipt\x00:x", false, true},
		{"\u200bjavascript:x", false, true},
		{"javascript", false, false},
		{"javascript-course.html", false, false},
		{"java script%3ax", false, false},
		{"vbscript:x", true, true},
		{"data:image/png;base64,AA", true, false},
		{"data:image/png,AA", false, true},
		{"DATA: Image/GIF;x,AA", true, false},
		{"data:image/pngx,AA", true, true},
		{"data:image/svg+xml,AA", true, true},
		{"data:,AA", true, true},
		{"database:x", false, false},
		{"url('javascript:x')", false, true},
		{"cid:a@b", true, false},
		{"blob:x", false, true},
	} {
		if got := activeURL(tt.url, tt.image); got != tt.want {
			t.Errorf("activeURL(%q, %v) = %v, want %v", tt.url, tt.image, got, tt.want)
		}
	}
}

func TestActiveInList(t *testing.T) {
	for _, tt := range []struct {
		list string
		want bool
	}{
		{"a.png 1x, b.png 2x", false},
		{"data:image/png;base64,AA 1x, data:image/gif;base64,BB 2x", false},
		{"data:image/png;base64,AA 1x,data:image/svg+xml,BB 2x", true},
		{"a 1x,\njavascript:x 2x", true},
	} {
		if got := activeInList(tt.list, true); got != tt.want {
			t.Errorf("activeInList(%q) = %v, want %v", tt.list, got, tt.want)
		}
	}
}
