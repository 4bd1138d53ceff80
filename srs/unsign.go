package srs

import "strings"

// Unsign returns who stands behind a sender whose local part changes with every mail, for
// use as a key: "jane@example.net" for all its forms by SRS, BATV and SES, and the address of a list
// or a mailer for its variable envelope return paths (VERP). Letters are in lower case.
//
// It believes what is written, whoever signed it, and so proves nothing: whoever looks up
// the result must know the domain of the address as it came to be authentic.
//
//	SRS0=xyz=TT=example.net=jane@forward.example     jane@example.net
//	SRS1=xyz=first.example==xyz=TT=example.net=jane@forward.example
//	prvs=0123abcdef=jane@example.net                 also the older prvs=jane/0123abcdef
//	SES=sig=jane@example.net
//	btv1==0123abcdef==jane@example.net               and msprvs1=tag=jane@example.net
//	news-bounces+bob=example.org@lists.example       news-bounces@lists.example
//	news-return-42-bob=example.org@lists.example     news-return@lists.example
//	bounce-20391-77@lists.example                    bounce@lists.example
//
// An address that is in none of them, or cannot be read, is returned as it is, in lower case. A plus
// with anything else behind it is an ordinary extension and stays.
func Unsign(address string) string {
	local, domain, err := split(address)
	if err != nil {
		return lowerASCII(address)
	}
	for { // each step makes it shorter
		l, d, ok := unsignOnce(local, domain)
		if !ok {
			l, ok = cutVERP(local)
			d = domain
		}
		if !ok {
			break
		}
		local, domain = l, d
	}
	return lowerASCII(join(local, domain))
}

// unsignOnce takes one signature off.
func unsignOnce(local, domain string) (string, string, bool) {
	if rest, ok := cutTag(local, "SRS0"); ok {
		f := strings.SplitN(rest[1:], "=", 4)
		if len(f) < 4 || f[3] == "" {
			return "", "", false
		}
		if f[2] == "" {
			return f[3], domain, true
		}
		host, err := cleanDomain(f[2])
		return f[3], host, err == nil
	}
	if rest, ok := cutTag(local, "SRS1"); ok {
		_, host, inner, err := fieldsSRS1(rest)
		return "SRS0" + inner, host, err == nil
	}
	tag, rest, ok := strings.Cut(local, "=")
	if !ok {
		return "", "", false
	}
	switch lowerASCII(tag) {
	case "prvs":
		if value, l, ok := strings.Cut(rest, "="); ok && isTagValue(value) && l != "" {
			return l, domain, true
		}
		if l, value, ok := strings.Cut(rest, "/"); ok && isTagValue(value) && l != "" {
			return l, domain, true
		}
	case "msprvs1", "ses":
		if value, l, ok := strings.Cut(rest, "="); ok && value != "" && l != "" {
			return l, domain, true
		}
	case "btv1":
		if rest, ok = strings.CutPrefix(rest, "="); !ok {
			break
		}
		if value, l, ok := strings.Cut(rest, "=="); ok && value != "" && l != "" {
			return l, domain, true
		}
	}
	return "", "", false
}

// isTagValue reports whether s can be the value of a BATV tag: products differ in its
// length.
func isTagValue(s string) bool {
	if len(s) < 6 || len(s) > 20 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isHex(c) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

// bounceWords end the name of what sends with variable return paths.
var bounceWords = map[string]bool{
	"bounce": true, "bounces": true, "return": true, "returns": true, "errors": true, "error": true, "verp": true,
}

// cutVERP takes the recipient and numbers off a variable return path.
func cutVERP(local string) (string, bool) {
	name, ext, plus := strings.Cut(local, "+")
	if plus && name != "" && (hasRecipient(ext) || bounceName(name)) {
		return name, true
	}
	if plus {
		return "", false
	}
	// The name ends at a word such as "return" that numbers or a recipient follow, or
	// at the first number before a recipient. No user has a name by accident that
	// meets either.
	parts := strings.Split(local, "-")
	recipient := hasRecipient(parts[len(parts)-1])
	for i := 1; i < len(parts); i++ {
		tail := parts[i:]
		if bounceWords[lowerASCII(parts[i-1])] && (recipient || allNumbers(tail)) || recipient && isNumber(parts[i]) {
			return strings.Join(parts[:i], "-"), true
		}
	}
	return "", false
}

// bounceName reports whether the last word of a name is one of bounceWords.
func bounceName(name string) bool {
	return bounceWords[lowerASCII(name[strings.LastIndexByte(name, '-')+1:])]
}

// hasRecipient reports whether s ends with an address that has "=" for "@".
func hasRecipient(s string) bool {
	i := strings.LastIndexByte(s, '=')
	if i <= 0 {
		return false
	}
	domain := s[i+1:]
	dot := strings.LastIndexByte(domain, '.')
	return dot > 0 && dot < len(domain)-1 && !strings.Contains(domain, "..")
}

func allNumbers(parts []string) bool {
	seen := false
	for _, p := range parts {
		if p == "" {
			continue // ezmlm ends the path of a message without recipient with "-"
		}
		if !isNumber(p) {
			return false
		}
		seen = true
	}
	return seen
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
