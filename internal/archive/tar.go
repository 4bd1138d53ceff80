package archive

import (
	"archive/tar"
	"errors"
	"io"
)

// listTar lists a tar archive of any of its dialects.
func (c *container) listTar() error {
	r := tar.NewReader(io.NewSectionReader(c.src, 0, c.src.Size()))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !(errors.Is(err, tar.ErrInsecurePath) && h != nil) {
			return err
		}
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
