package message

import "bytes"

// base64Value is the value of each byte: 64 for one that the alphabet lacks, 65
// for what may stand between, 66 for "=".
var base64Value = func() (t [256]byte) {
	for i := range t {
		t[i] = 64
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	t['\r'], t['\n'], t[' '], t['\t'], t['='] = 65, 65, 65, 65, 66
	return t
}()

// base64Group is what each byte gives to the 24 bits of a group by its place in
// it; notBase64 is set where the alphabet lacks it.
var base64Group = func() (t [4][256]uint32) {
	for i, v := range base64Value {
		for place := range t {
			if t[place][i] = notBase64; v < 64 {
				t[place][i] = uint32(v) << (18 - 6*place)
			}
		}
	}
	return t
}()

const notBase64 = 1 << 24

// A decoder undoes a transfer encoding piece by piece; it takes anything.
type decoder interface {
	coder
	bad() bool // something was passed over
}

// A base64Decoder reads base64 (RFC 2045 section 6.8) as clients do: bytes of no
// meaning are passed over, padding may be missing, and what follows padding is
// read on.
type base64Decoder struct {
	bits  uint32
	n     int // characters in bits
	wrong bool
}

func (d *base64Decoder) bad() bool { return d.wrong }

func (d *base64Decoder) append(dst, src []byte) []byte {
	bits, n := d.bits, d.n
	for i := 0; i < len(src); {
		for n == 0 && i+4 <= len(src) {
			g := src[i : i+4]
			v := base64Group[0][g[0]] | base64Group[1][g[1]] | base64Group[2][g[2]] | base64Group[3][g[3]]
			if v >= notBase64 {
				break
			}
			dst = append(dst, byte(v>>16), byte(v>>8), byte(v))
			i += 4
		}
		if i == len(src) {
			break
		}
		v := base64Value[src[i]]
		i++
		switch {
		case v < 64:
			bits, n = bits<<6|uint32(v), n+1
			if n == 4 {
				dst = append(dst, byte(bits>>16), byte(bits>>8), byte(bits))
				bits, n = 0, 0
			}
		case v == 66:
			d.bits, d.n = bits, n
			dst = d.end(dst, n == 1)
			bits, n = 0, 0
		case v == 64:
			d.wrong = true
		}
	}
	d.bits, d.n = bits, n
	return dst
}

// end writes the bytes of a group that is not full.
func (d *base64Decoder) end(dst []byte, wrong bool) []byte {
	switch d.n {
	case 2:
		dst = append(dst, byte(d.bits>>4))
	case 3:
		dst = append(dst, byte(d.bits>>10), byte(d.bits>>2))
	}
	d.bits, d.n = 0, 0
	d.wrong = d.wrong || wrong
	return dst
}

func (d *base64Decoder) finish(dst []byte) []byte { return d.end(dst, d.n != 0) }

// maxBlanks is how many blanks at the end of a line are kept back while they may
// be padding (RFC 2045 section 6.7 rule 3). More of them are text.
const maxBlanks = 1000

// A qpDecoder reads quoted-printable (RFC 2045 section 6.7). What is no escape
// stays as it is.
type qpDecoder struct {
	held  []byte // an escape or blanks that may go on
	wrong bool
}

func (d *qpDecoder) bad() bool { return d.wrong }

func (d *qpDecoder) append(dst, src []byte) []byte {
	for len(src) > 0 {
		if len(d.held) == 0 {
			i := 0
			for i < len(src) {
				if c := src[i]; c != '=' && c != ' ' && c != '\t' {
					i++
					continue
				}
				// A blank that does not end a line stays.
				if src[i] == '=' || i+1 == len(src) || src[i+1] <= ' ' {
					break
				}
				i++
			}
			dst, src = append(dst, src[:i]...), src[i:]
			if len(src) == 0 {
				return dst
			}
			// The usual case of an escape, without keeping anything back.
			if len(src) > 2 && src[0] == '=' {
				if hi, lo := hex(src[1]), hex(src[2]); hi < 16 && lo < 16 {
					dst, src = append(dst, hi<<4|lo), src[3:]
					continue
				}
			}
			d.held, src = append(d.held, src[0]), src[1:]
			continue
		}
		c := src[0]
		if d.held[0] != '=' {
			switch {
			case c == ' ' || c == '\t':
				if len(d.held) == maxBlanks {
					dst, d.held = append(dst, d.held...), d.held[:0]
				}
				d.held, src = append(d.held, c), src[1:]
			case c == '\n' || c == '\r':
				d.held = d.held[:0]
				dst, src = append(dst, c), src[1:]
			default:
				dst, d.held = append(dst, d.held...), d.held[:0]
			}
			continue
		}
		// Held is "=", "=X", "=\r" or "=" and blanks.
		last := d.held[len(d.held)-1]
		switch {
		case c == '\n':
			d.held, src = d.held[:0], src[1:]
		case last == '\r': // CR alone ended the line
			d.held = d.held[:0]
		case (c == ' ' || c == '\t' || c == '\r') && (last == '=' || last == ' ' || last == '\t') && len(d.held) < maxBlanks:
			d.held, src = append(d.held, c), src[1:]
		case last == '=' && hex(c) < 16:
			d.held, src = append(d.held, c), src[1:]
		case len(d.held) == 2 && hex(last) < 16 && hex(c) < 16:
			dst = append(dst, hex(last)<<4|hex(c))
			d.held, src = d.held[:0], src[1:]
		default:
			dst, d.held, d.wrong = append(dst, d.held...), d.held[:0], true
		}
	}
	return dst
}

func (d *qpDecoder) finish(dst []byte) []byte {
	if len(d.held) > 0 && d.held[0] == '=' && len(d.held) > 1 && hex(d.held[1]) < 16 {
		dst, d.wrong = append(dst, d.held...), true
	}
	d.held = d.held[:0]
	return dst
}

// A uuDecoder reads uuencoded lines, with or without the lines "begin" and "end".
type uuDecoder struct {
	line   []byte
	begun  bool
	ended  bool
	skip   bool // the rest of a line that is too long
	wrong  bool
	base64 *base64Decoder // of "begin-base64"
}

func (d *uuDecoder) bad() bool { return d.wrong }

const maxUULine = 512

func (d *uuDecoder) append(dst, src []byte) []byte {
	for len(src) > 0 && !d.ended {
		// The LF of a CRLF ends an empty line, which says nothing.
		i := bytes.IndexByte(src, '\n')
		if j := bytes.IndexByte(src[:max(i, 0)], '\r'); j >= 0 {
			i = j
		} else if i < 0 {
			i = bytes.IndexByte(src, '\r')
		}
		piece, whole := src, i >= 0
		if whole {
			piece = src[:i+1]
		}
		src = src[len(piece):]
		if len(d.line)+len(piece) > maxUULine {
			d.skip, d.line = true, d.line[:0]
		}
		if !d.skip {
			d.line = append(d.line, piece...)
		}
		if whole {
			if d.skip {
				d.wrong = true
			} else {
				dst = d.decode(dst)
			}
			d.skip, d.line = false, d.line[:0]
		}
	}
	return dst
}

func (d *uuDecoder) finish(dst []byte) []byte {
	if !d.skip && !d.ended && len(d.line) > 0 {
		dst = d.decode(dst)
	}
	if d.base64 != nil {
		dst = d.base64.finish(dst)
	}
	d.line = nil
	return dst
}

// decode appends what d.line holds.
func (d *uuDecoder) decode(dst []byte) []byte {
	line := bytes.TrimRight(d.line, "\r\n")
	switch {
	case !d.begun && bytes.HasPrefix(line, []byte("begin-base64 ")):
		d.begun, d.base64 = true, new(base64Decoder)
		return dst
	case !d.begun && bytes.HasPrefix(line, []byte("begin ")):
		d.begun = true
		return dst
	case string(bytes.TrimRight(line, " \t")) == "end" || d.base64 != nil && string(line) == "====":
		d.ended = true
		return dst
	case d.base64 != nil:
		return d.base64.append(dst, line)
	}
	n, ok := uuLine(line)
	if !ok {
		d.wrong = d.wrong || len(line) > 0
		return dst
	}
	line = line[1:]
	for n > 0 {
		var v uint32
		for i := range 4 {
			v <<= 6
			if i < len(line) {
				v |= uint32(line[i]-' ') & 0x3f
			}
		}
		line = line[min(4, len(line)):]
		three := [3]byte{byte(v >> 16), byte(v >> 8), byte(v)}
		dst = append(dst, three[:min(n, 3)]...)
		n -= 3
	}
	return dst
}

// uuLine returns how many bytes a uuencoded line holds. Blanks at its end may be
// lost, and checksums may follow.
func uuLine(line []byte) (n int, ok bool) {
	if len(line) == 0 || line[0] < ' ' || line[0] > '`' {
		return 0, false
	}
	n = int(line[0]-' ') & 0x3f
	want := (n + 2) / 3 * 4
	body := line[1:]
	for _, c := range body {
		if c < ' ' || c > '`' {
			return 0, false
		}
	}
	if len(body) > want+4 {
		return 0, false
	}
	if len(body) < want {
		// Up to the last group blanks may be cut off: they mean zero.
		short := want - len(body)
		if n > 0 && len(body) == 0 || short > 3 && short > want/2 {
			return 0, false
		}
	}
	return n, true
}

// newDecoder returns what undoes a transfer encoding, nil where there is nothing
// to undo or nobody knows how.
func newDecoder(encoding string) decoder {
	switch encoding {
	case "base64":
		return new(base64Decoder)
	case "quoted-printable":
		return new(qpDecoder)
	case "x-uuencode", "x-uue", "uuencode", "uue":
		return new(uuDecoder)
	}
	return nil
}
