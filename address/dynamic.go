package address

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Score says how much a host's name looks as if a machine had made it for the
// pool of addresses of an access provider. It is a hint, never a verdict: mail
// servers have such names too, and some senders of junk have good ones.
type Score struct {
	Points  int // the sum of the reasons, 0 at least
	Reasons []Reason
}

// A Reason is one rule of [Dynamic] that a name met.
type Reason struct {
	Rule   string // see Dynamic
	Points int    // less than 0 for what speaks against
}

// String returns the rule with its points: "address-in-name +80".
func (r Reason) String() string { return fmt.Sprintf("%s %+d", r.Rule, r.Points) }

// DynamicThreshold is how many points are enough for [Score.Likely]. One sure sign has
// them, such as the address in the name, or two weak ones together; a sure sign in
// the name of a host that says it is a mail server has not.
const DynamicThreshold = 50

// Likely reports whether the points reach [DynamicThreshold].
func (s Score) Likely() bool { return s.Points >= DynamicThreshold }

// String returns points and reasons for a log: "105: address-in-name +80, word:client +25".
func (s Score) String() string {
	b := strconv.AppendInt(nil, int64(s.Points), 10)
	sep := ": "
	for _, r := range s.Reasons {
		b = append(append(b, sep...), r.String()...)
		sep = ", "
	}
	return string(b)
}

// Dynamic scores the name that the PTR record of an address gives, or the name of a
// HELO command. Without a valid ip only the rules on the name alone apply. The rules:
//
//	no-name +100             no PTR record: empty, "unknown", or the address in brackets
//	arpa-name +80            a name in in-addr.arpa or ip6.arpa
//	no-reverse +60           words that say that nobody set the name
//
//	address-in-name +80      the whole address: octets, hexadecimal or as one number, the 32
//	                         digits or the groups of IPv6; also from the end
//	three-octets +60         three neighbours of the octets, in order or from the end
//	octets-4-1-2 +50         the last octet and then the first two
//	joined-octets +50        three neighbours without anything between, six digits at least
//	interface-in-name +60    the lower half of an IPv6 address, or its MAC (EUI-64)
//	prefix-in-name +40       the upper half of an IPv6 address
//	first-label +40          the first label is the last octet
//	two-octets +30           the last two octets, in either order
//	last-octet +30           a label ends with the last octet behind a number or a word of access
//	letter-octet +20         a label is one letter and the last octet
//	number-pair +15          a label ends with -NUMBER-NUMBER
//
//	mac +60                  a hardware address
//	modem +60                names that certain cable networks make up
//
//	word:X +50, +30          a word of access networks: a whole label, or part of one
//	word:X +25, +15          the same for words such as client or user
//	role:X -40               a word of mail servers, or of static addresses
//
// Of the group about the address, and of mac and modem, the strongest counts; of the
// words the two strongest. All but no-reverse and arpa-name look only at the labels
// before the last two, which belong to the owner of the domain and not to the host.
// No more than the first 255 bytes of a name are looked at.
func Dynamic(host string, ip netip.Addr) Score {
	host = lowerASCII(strings.TrimSuffix(host[:min(len(host), 255)], "."))
	ip = ip.Unmap().WithZone("")
	if strings.HasPrefix(host, "[") || host == "unknown" || host == "" && ip.IsValid() {
		return Score{100, []Reason{{"no-name", 100}}}
	}
	var s Score
	if strings.HasSuffix(host, ".in-addr.arpa") || strings.HasSuffix(host, ".ip6.arpa") {
		s.add("arpa-name", 80)
	}
	if noReverse.MatchString(host) {
		s.add("no-reverse", 60)
	}
	labels := ownLabels(host)
	var best Reason
	if ip.Is4() {
		best = inName4(labels, ip.As4())
	} else if ip.Is6() {
		best = inName6(labels, ip.As16())
	}
	if best.Points < 15 && slices.ContainsFunc(labels, numberPair.MatchString) {
		best = Reason{"number-pair", 15}
	}
	s.add(best.Rule, best.Points)
	s.add(machineName(labels, host))
	words, role := findWords(labels)
	for _, w := range words {
		s.add("word:"+w.Rule, w.Points)
	}
	if role != "" && len(s.Reasons) > 0 {
		s.add("role:"+role, -40)
	}
	s.Points = max(s.Points, 0)
	return s
}

func (s *Score) add(rule string, points int) {
	if points != 0 {
		s.Points += points
		s.Reasons = append(s.Reasons, Reason{rule, points})
	}
}

// ownLabels returns the labels that name the host and not its domain.
func ownLabels(host string) []string {
	labels := strings.Split(host, ".")
	return labels[:max(1, len(labels)-2)]
}

var (
	noReverse  = regexp.MustCompile(`no-?(reverse|rdns|ptr)|(reverse|ptr|rdns)-?not-?set|not-?assigned|unassigned`)
	numberPair = regexp.MustCompile(`-[0-9]+-[0-9]+$`)

	macLabel = regexp.MustCompile(`(^|[^0-9a-f])(?:h([0-9a-f]{12})|([0-9a-f]{12})|[0-9a-f]{2}(?:-[0-9a-f]{2}){5})$`)
	// Bredband, Comcast and Shaw.
	modemLabel = regexp.MustCompile(`^h[0-9]+n[0-9]+c[0-9]+o[0-9]+$|pcp[0-9]{6,10}pcs$`)
	modemName  = regexp.MustCompile(`^s[0-9a-f]{16}\.[a-z]{2}\.`)
)

// machineName finds names made of a device's own numbers.
func machineName(labels []string, host string) (rule string, points int) {
	for _, l := range labels {
		if modemLabel.MatchString(l) {
			return "modem", 60
		}
		// Twelve decimal digits alone may be any number.
		if m := macLabel.FindStringSubmatch(l); m != nil && (m[2] != "" || strings.ContainsAny(m[0], "abcdef")) {
			return "mac", 60
		}
	}
	if modemName.MatchString(host) {
		return "modem", 60
	}
	return "", 0
}

// better keeps the stronger of two reasons.
func (r *Reason) better(rule string, points int) {
	if points > r.Points {
		*r = Reason{rule, points}
	}
}

// inName4 returns the strongest sign of an IPv4 address in a name.
func inName4(labels []string, o [4]byte) (best Reason) {
	rev := [4]byte{o[3], o[2], o[1], o[0]}
	name := strings.Join(labels, ".")
	hexed := hex.EncodeToString(o[:])
	if strings.Contains(name, hexed) || strings.Contains(name, hex.EncodeToString(rev[:])) {
		return Reason{"address-in-name", 80}
	}
	var groups []int // numbers that may be octets; -1 for others
	number := strconv.FormatUint(uint64(o[0])<<24|uint64(o[1])<<16|uint64(o[2])<<8|uint64(o[3]), 10)
	for run := range digitRuns(name) {
		groups = append(groups, octets(run)...)
		if run == number || joined(run, o[:], 7) || joined(run, rev[:], 7) {
			return Reason{"address-in-name", 80}
		}
		if joined(run, o[:3], 6) || joined(run, o[1:], 6) {
			best.better("joined-octets", 50)
		}
	}
	for i := range groups {
		g := groups[i:]
		switch {
		case begins(g, o[:]) || begins(g, rev[:]):
			return Reason{"address-in-name", 80}
		case begins(g, o[1:]) || begins(g, o[:3]) || begins(g, rev[1:]) || begins(g, rev[:3]):
			best.better("three-octets", 60)
		case begins(g, []byte{o[3], o[0], o[1]}):
			best.better("octets-4-1-2", 50)
		case begins(g, o[2:]) || begins(g, rev[:2]):
			best.better("two-octets", 30)
		}
	}
	last := int(o[3])
	for i, l := range labels {
		digits := len(l) - len(strings.TrimRight(l, "0123456789"))
		n, err := strconv.Atoi(l[len(l)-digits:])
		if err != nil || digits > 3 || n != last {
			continue
		}
		switch head := l[:len(l)-digits]; {
		case head == "" && i == 0:
			best.better("first-label", 40)
		case octetHead.MatchString(head):
			best.better("last-octet", 30)
		case len(head) == 1:
			best.better("letter-octet", 20)
		}
	}
	return best
}

// octetHead is what stands before the last octet where it counts: a number and a
// hyphen, or a word that providers give to customers.
var octetHead = regexp.MustCompile(`(^|[^0-9a-f])[0-9a-f]{1,3}-$|[0-9]-$|(user|cust|client|host|ip|dsl|cable|dial|dyn|dhcp|pool)-?$|ppp[^.]*$`)

// digitRuns walks the runs of digits in a name.
func digitRuns(name string) iter.Seq[string] {
	return strings.FieldsFuncSeq(name, func(r rune) bool { return r < '0' || r > '9' })
}

// octets reads a run of digits as octets: one of up to three digits, or several of
// three digits each.
func octets(run string) []int {
	if len(run) > 3 && (len(run) > 12 || len(run)%3 != 0 || len(run) == 6) {
		return []int{-1}
	}
	var out []int
	for len(run) > 0 {
		n, _ := strconv.Atoi(run[:min(3, len(run))])
		if n > 255 {
			return []int{-1}
		}
		out = append(out, n)
		run = run[min(3, len(run)):]
	}
	return out
}

func begins(groups []int, o []byte) bool {
	if len(groups) < len(o) {
		return false
	}
	for i, b := range o {
		if groups[i] != int(b) {
			return false
		}
	}
	return true
}

// joined reports whether octets stand in a run of digits without anything between
// them, least digits or more of them.
func joined(run string, o []byte, least int) bool {
	var b [12]byte
	s := b[:0]
	for _, n := range o {
		s = strconv.AppendUint(s, uint64(n), 10)
	}
	return len(s) >= least && len(s) <= len(run) && strings.Contains(run, string(s))
}

// inName6 returns the strongest sign of an IPv6 address in a name.
func inName6(labels []string, a [16]byte) (best Reason) {
	name := strings.Join(labels, ".")
	full := hex.EncodeToString(a[:])
	flat := strings.NewReplacer("-", "", ".", "", "_", "", ":", "").Replace(name)
	back := []byte(full)
	slices.Reverse(back)
	if strings.Contains(flat, full) || strings.Contains(flat, string(back)) {
		return Reason{"address-in-name", 80}
	}
	// Groups without their zeros, compressed or not, with a separator of any kind.
	text := netip.AddrFrom16(a).String()
	one := strings.NewReplacer(".", "-", "_", "-", ":", "-").Replace(name)
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = strconv.FormatUint(uint64(a[2*i])<<8|uint64(a[2*i+1]), 16)
	}
	if containsWord(one, strings.ReplaceAll(text, ":", "-")) || containsWord(one, strings.Join(groups, "-")) {
		return Reason{"address-in-name", 80}
	}
	// A host part such as ::1 would be found in any name.
	if lower := a[8:]; !bytes.Equal(lower[:4], make([]byte, 4)) {
		if strings.Contains(flat, full[16:]) || containsWord(one, strings.Join(groups[4:], "-")) {
			best.better("interface-in-name", 60)
		}
		// RFC 4291 appendix A.
		if lower[3] == 0xff && lower[4] == 0xfe {
			mac := hex.EncodeToString([]byte{lower[0] ^ 2, lower[1], lower[2], lower[5], lower[6], lower[7]})
			if strings.Contains(flat, mac) {
				best.better("interface-in-name", 60)
			}
		}
	}
	if strings.Contains(flat, full[:16]) || containsWord(one, strings.Join(groups[:4], "-")) {
		best.better("prefix-in-name", 40)
	}
	return best
}

// containsWord reports whether s holds w with no hexadecimal digit on either side.
func containsWord(s, w string) bool {
	for at := 0; ; at++ {
		i := strings.Index(s[at:], w)
		if i < 0 {
			return false
		}
		at += i
		if (at == 0 || !isHex(s[at-1])) && (at+len(w) == len(s) || !isHex(s[at+len(w)])) {
			return true
		}
	}
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }

// accessWords are what providers call their lines, with the points for a part of a label;
// alone in a label, with numbers or without, they count more.
var accessWords = func() map[string]int {
	m := map[string]int{}
	for points, words := range map[int]string{
		30: "dyn dynamic dynip dhcp dial dialup dialin ppp pppoe pool pools adsl vdsl xdsl sdsl hdsl dsl cable catv cbl broadband ftth fttb fttx gpon pon gprs umts lte docsis cpe dip wimax",
		15: "cust customer customers client clients user users sub subscriber res residential home host ip mobile wireless wifi wlan modem",
	} {
		for w := range strings.FieldsSeq(words) {
			m[w] = points
		}
	}
	return m
}()

var roleWords = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq("mail email mailer mailout mailgw smtp smtpout esmtp mx mxout mta out outbound outgoing relay post postfix exchange newsletter news static fixed") {
		m[w] = true
	}
	return m
}()

// findWords returns the two strongest words of access and one of roles.
func findWords(labels []string) (access []Reason, role string) {
	for _, label := range labels {
		for rest := label; rest != ""; {
			word := cutWord(&rest)
			if roleWords[word] && role == "" {
				role = word
			}
			points := accessWords[word]
			if points == 0 || slices.ContainsFunc(access, func(r Reason) bool { return r.Rule == word }) {
				continue
			}
			if numbered := rest != "" && strings.Trim(rest, "-_0123456789") == ""; numbered || word == strings.Trim(label, "-_0123456789") {
				points = points * 5 / 3
			}
			access = append(access, Reason{word, points})
		}
	}
	slices.SortStableFunc(access, func(a, b Reason) int { return b.Points - a.Points })
	return access[:min(2, len(access))], role
}

// cutWord cuts the next run of letters off the front of s, and what is before it.
func cutWord(s *string) string {
	i := 0
	for i < len(*s) && !isLetter((*s)[i]) {
		i++
	}
	j := i
	for j < len(*s) && isLetter((*s)[j]) {
		j++
	}
	word := (*s)[i:j]
	*s = (*s)[j:]
	return word
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }
