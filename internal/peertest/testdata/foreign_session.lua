-- foreign_session.lua has sessions side by side, with all that goes wrong in them.
dofile("testdata/foreign_talk.lua")
local a, b = open(), open()
mt.macro(a, SMFIC_CONNECT, "j", "mx.example.net", "{daemon_name}", "MTA")
assert(mt.conninfo(a, "client.example.com", "192.0.2.7") == nil)
assert(mt.conninfo(b, "six.example.com", "2001:db8::7") == nil)
mt.helo(a, "a.example.com")
mt.helo(b, "b.example.com")

-- Macros live as long as their stage says.
mt.macro(a, SMFIC_MAIL, "i", "Q1", "{mail_addr}", "one@example.com")
step(a, "mail", nil, "<one@example.com>", "SIZE=100", "BODY=8BITMIME")
mt.macro(b, SMFIC_MAIL, "i", "Q2")
step(b, "mail", nil, "<>")
mt.macro(a, SMFIC_RCPT, "{rcpt_addr}", "a@example.net")
step(a, "rcpt", nil, "<a@example.net>", "NOTIFY=NEVER", "ORCPT=rfc822;a@example.net")
mt.macro(a, SMFIC_RCPT, "{rcpt_addr}", "b@example.net")
step(a, "rcpt", nil, "<b@example.net>")

-- One message is given up, the other goes on.
assert(mt.abort(a) == nil)
step(b, "rcpt", nil, "<c@example.net>")
step(b, "data")
mt.macro(b, string.byte("L"), "i", "Q2")
step(b, "header", nil, "Subject", "folded\n\tline")
step(b, "header", nil, "X-Eight", "gr\252\223e")
step(b, "header", nil, "X-Empty", "")
step(b, "eoh")
step(b, "body", nil, string.rep("x", 998) .. "\r\n")
step(b, "body", nil, "\r")
step(b, "body", nil, "\n")
mt.macro(b, string.byte("E"), "{msg_id}", "<1@example.com>")
step(b, "eom")

-- The next messages: after RSET, after a message, after HELO in the midst of one.
mt.macro(a, SMFIC_MAIL, "i", "Q3")
message(a, "<three@example.com>", "<a@example.net>")
assert(mt.abort(a) == nil) -- Postfix says so after every message
assert(mt.abort(a) == nil)
mt.macro(a, SMFIC_MAIL, "i", "Q4")
step(a, "mail", nil, "<four@example.com>")
mt.helo(a, "again.example.com")
step(a, "unknown")
mt.macro(a, SMFIC_MAIL, "i", "Q5")
message(a, "<five@example.com>", "<a@example.net>")
mt.disconnect(a)

-- The client is lost in the midst of a message.
mt.macro(b, SMFIC_MAIL, "i", "Q6")
step(b, "mail", nil, "<six@example.com>")
step(b, "rcpt", nil, "<c@example.net>")
mt.disconnect(b, false)
