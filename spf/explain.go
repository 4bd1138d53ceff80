package spf

// explain returns what the domain says of a fail (RFC 7208 section 6.2): the text that
// exp= of the record that decided leads to, which is never that of an included one. Whatever
// goes wrong with it, there is no text.
func (e *evaluation) explain(limit int) string {
	r := e.record()
	if r == nil || r.exp == "" || e.ctx.Err() != nil {
		return ""
	}
	name := e.target(&aliased{term: term{spec: r.exp}, of: r})
	if name == "" {
		return ""
	}
	txts, err := e.resolver.LookupTXT(e.ctx, name)
	if err != nil || len(txts) != 1 || len(txts[0]) > maxExpansion {
		return ""
	}
	text := txts[0]
	if checkMacros(text, true) != nil {
		return ""
	}
	text, err = expandMacros(text, true, limit, func(c byte) string { return e.macro(c, r.domain) })
	if err != nil || !isPrintable(text) {
		return ""
	}
	return text
}

// isPrintable reports whether s is ASCII without control characters.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// shown returns text of others as it may stand in a message for people: printable ASCII, and
// short.
func shown(s string) string {
	const limit = 120
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	if !isPrintable(s) {
		b := []byte(s)
		for i, c := range b {
			if c < ' ' || c > '~' {
				b[i] = '?'
			}
		}
		s = string(b)
	}
	if cut {
		s += "..."
	}
	return s
}
