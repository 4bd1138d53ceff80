package callout

import (
	"strings"

	"github.com/gomilter/gomilter/internal/smtpc"
)

// What servers say, in lower case. There is no norm: these are the words of the common
// ones (Postfix, Exim, Sendmail, Exchange, postgrey, milter-greylist, the large providers).
var (
	greylistWords = []string{"greylist", "graylist", "grey list", "gray list", "grey-list", "gray-list"}
	laterWords    = []string{"come back", "try again in", "try again later", "retry later"}

	// A server that means the null sender.
	nullWords = []string{"null sender", "empty sender", "null reverse", "null return", "empty envelope", "null envelope",
		"blank sender", "<>", "bounce"}

	// A server that means the sender.
	senderWords = []string{"sender address rejected", "sender rejected", "sender address invalid", "sender denied", "bad sender",
		"invalid sender", "sender domain"}

	// A server that means us, or that we ask.
	policyWords = []string{"spamhaus", "spamcop", "barracuda", "dnsbl", "rbl", "blacklist", "black list", "blocklist", "block list",
		"denylist", "blocked", "listed in", "listed at", "listed by", "is listed", "reputation", "policy", "spam", "rate limit",
		"too many", "not allowed", "authentication", "authenticate", "auth required", "helo", "ehlo", "reverse dns", "rdns",
		"ptr record", "ip address", "your ip", "your host", "client host", "spf", "dkim", "dmarc", "callout", "call-out", "callback",
		"call-back", "call back", "verification", "verify", "dynamic", "relaying", "relay access", "unable to relay",
		"relay not permitted", "relay denied", "administrative prohibition", "try again", "temporar", "firewall", "banned",
		"suspicious", "access denied"}

	// A server that means the mailbox.
	mailboxWords = []string{"user unknown", "unknown user", "no such user", "no such recipient", "no such mailbox", "no such address",
		"no such person", "no such local", "does not exist", "doesn't exist", "mailbox unavailable", "mailbox not found",
		"user not found", "recipient not found", "address not found", "recipient unknown", "unknown recipient", "unknown address",
		"unknown local", "invalid recipient", "invalid mailbox", "no mailbox", "unrouteable address", "unroutable address",
		"mailbox disabled", "mailbox is disabled", "account disabled", "account has been disabled", "recipient rejected", "recipient address rejected"}
)

func says(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// plainText returns what a reply says, in lower case, without what was asked: the words in an
// address are those of whoever chose it.
func plainText(r smtpc.Reply, asked ...string) string {
	text := strings.ToLower(r.Text())
	for _, s := range asked {
		if s = strings.ToLower(s); s != "" {
			text = strings.ReplaceAll(text, s, "x")
		}
	}
	return text
}

// parts returns an address and its parts, as far as they can stand for nothing else.
func parts(address string) []string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return []string{address}
	}
	all := []string{address, address[at+1:], "<" + address[:at] + ">"}
	if at > 4 {
		all = append(all, address[:at])
	}
	return all
}

// judgeRcpt returns what a reply to RCPT says of the address; from is the sender.
func judgeRcpt(r smtpc.Reply, from, address string) Reason {
	text := plainText(r, parts(address)...)
	_, detail, _ := strings.Cut(r.Enhanced, ".")
	switch {
	case r.Code == 250, r.Code == 251:
		return Taken
	case !r.Temporary() && !r.Permanent():
		return Unclear // 252: cannot verify, and others that RFC 5321 section 4.3.2 does not have here
	case isGreylisting(r, text):
		return Greylisted
	case r.Temporary():
		return PutOff
	case from == "" && says(text, nullWords):
		return NoBounces
	case says(text, senderWords), detail == "1.7", detail == "1.8":
		return refusedSender(from)
	case detail == "4.1" && strings.Contains(text, "recipient address rejected: access denied"):
		return NoMailbox // QUIRK: so Exchange Online says that there is no such recipient
	case strings.HasPrefix(detail, "7."), says(text, policyWords):
		return Policy
	}
	switch detail { // RFC 3463, sections 3.2 and 3.3
	case "1.1", "1.2", "1.3", "1.6", "1.10", "2.1":
		return NoMailbox
	case "", "0.0", "1.0", "5.0", "5.1", "4.1":
		switch r.Code {
		case 550, 551, 553, 556:
			if detail != "4.1" && detail != "5.1" || says(text, mailboxWords) {
				return NoMailbox
			}
		case 554, 501, 511:
			if says(text, mailboxWords) {
				return NoMailbox
			}
		}
	}
	return Unclear
}

// judgeMail returns what a refusal of MAIL says.
func judgeMail(r smtpc.Reply, from string) Reason {
	text := plainText(r, parts(from)...)
	switch {
	case isGreylisting(r, text):
		return Greylisted
	case r.Temporary():
		return PutOff
	case from == "" && says(text, nullWords), says(text, senderWords):
		return refusedSender(from)
	case says(text, policyWords):
		return Policy
	}
	return refusedSender(from)
}

func refusedSender(from string) Reason {
	if from == "" {
		return NoBounces
	}
	return NoSender
}

// judgeHello returns what a refusal before MAIL says: it is of us.
func judgeHello(r smtpc.Reply) Reason {
	switch text := plainText(r); {
	case isGreylisting(r, text):
		return Greylisted
	case r.Temporary():
		return PutOff
	}
	return Policy
}

// isGreylisting reports whether a server wants us to come again, as RFC 6647 has it.
func isGreylisting(r smtpc.Reply, text string) bool {
	return says(text, greylistWords) || r.Temporary() && r.Enhanced == "4.7.1" && says(text, laterWords)
}
