package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
)

// listTar lists a tar archive of any of its dialects.
func (c *container) listTar() error {
	src := io.NewSectionReader(c.src, 0, c.src.Size())
	r := tar.NewReader(src)
	behind := int64(0) // the last member
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !(errors.Is(err, tar.ErrInsecurePath) && h != nil) {
			if err := c.w.judge(err, ""); err != nil {
				return err
			}
			return c.scanTar(behind)
		}
		behind, _ = src.Seek(0, io.SeekCurrent)
		behind += min(max(h.Size, 0), c.src.Size())
		e := entry{names: []string{h.Name}, size: h.Size}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeDir:
			e.dir = true
		case tar.TypeSymlink, tar.TypeLink:
			if e.link = h.Linkname; e.link == "" {
				e.link = "."
			}
			c.w.names += int64(len(e.link))
		default:
			e.open = func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
		}
		if err := c.member(e); err != nil {
			return err
		}
	}
}

const tarBlock = 512

// scanTar lists the headers from a place on that have a right sum, for what the library
// gives up at, others unpack. Of a header it takes the name and the size alone.
func (c *container) scanTar(at int64) error {
	for at += -at & (tarBlock - 1); ; {
		var h [tarBlock]byte
		n, err := readAt(c.src, h[:], at)
		if err != nil || n < len(h) {
			return err
		}
		at += tarBlock
		if !tarHeader(h[:]) {
			continue
		}
		size := int64(0)
		for _, d := range h[124:136] {
			if d >= '0' && d <= '7' {
				size = min(size*8+int64(d-'0'), 1<<40)
			}
		}
		data := io.NewSectionReader(c.src, at, max(min(size, c.src.Size()-at), 0))
		switch h[156] {
		case 'x', 'g', 'L', 'K': // about the next member
			if at+size > c.src.Size() {
				continue
			}
		default:
			name := cString(h[:100])
			if string(h[257:262]) == "ustar" {
				if prefix := cString(h[345:500]); prefix != "" {
					name = prefix + "/" + name
				}
			}
			if err := c.member(entry{names: []string{name}, size: size, dir: h[156] == '5', section: data}); err != nil {
				return err
			}
		}
		at += (data.Size() + tarBlock - 1) / tarBlock * tarBlock
	}
}

// cString returns b up to its first zero.
func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
