package archive

import (
	"io"
)

// listStream lists a file that one compressed file is in. What follows the end of the
// stream is a further one, or damage.
func (c *container) listStream() error {
	e := entry{size: -1}
	var stored string
	switch c.kind {
	case Gzip:
		z, err := c.w.gunzip(c.src)
		if err != nil {
			return err
		}
		stored = z.Name
		e.open = func() (io.ReadCloser, error) { return c.w.gunzip(c.src) }
	case Bzip2:
		e.open = func() (io.ReadCloser, error) { return c.w.bunzip2(c.src) }
	case XZ:
		e.open = func() (io.ReadCloser, error) { return c.w.unxz(c.src) }
	case LZMA:
		e.open = func() (io.ReadCloser, error) { return c.w.unlzma(c.src) }
	case Zstd:
		e.open = func() (io.ReadCloser, error) { return c.w.unzstd(c.src) }
	}
	name := withoutExtension(c.name)
	e.names, e.borrowed = []string{name}, name == c.name
	if stored != "" {
		e.names = append(e.names, stored)
	}
	return c.member(e)
}

// packedExtensions are extensions of compressed files, and what is left of them.
var packedExtensions = map[string]string{
	"gz": "", "bz2": "", "xz": "", "lzma": "", "zst": "", "gzip": "", "bz": "", "z": "",
	"tgz": ".tar", "taz": ".tar", "tbz": ".tar", "tbz2": ".tar", "txz": ".tar", "tlz": ".tar", "tzst": ".tar",
	"svgz": ".svg", "emz": ".emf", "wmz": ".wmf",
}

// withoutExtension returns the name that unpacking gives a file.
func withoutExtension(name string) string {
	stem, ext := cutExtension(name)
	if rest, ok := packedExtensions[ext]; ok {
		return stem + rest
	}
	return name
}
