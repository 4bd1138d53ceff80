-- foreign_reply.lua expects the answer want at the stage at: in the first message
-- for mail, rcpt and unknown, in every one for the others. smtpcode, smtpstatus
-- and smtptext are the text of REPLYCODE at the end of a message.
dofile("testdata/foreign_talk.lua")
local c = open()

-- try does a step; true means that it was the one.
local function try(stage, ...)
	local here = stage == at
	step(c, stage, here and want or nil, ...)
	if here and stage == "eom" and want == "REPLYCODE" then
		assert(mt.eom_check(c, MT_SMTPREPLY, smtpcode, smtpstatus, smtptext), "not the text " .. smtptext)
		assert(not mt.eom_check(c, MT_SMTPREPLY, smtpcode, smtpstatus, smtptext .. "x"), "any text will do")
	end
	return here
end

local function first()
	if try("mail", "<one@example.com>", "SIZE=100") then return end
	if try("rcpt", "<bad@example.net>", "NOTIFY=NEVER") and want == "ACCEPT" then return end
	step(c, "rcpt", nil, "<good@example.net>")
	if try("data") or try("header", "Subject", "one") or try("eoh") then return end
	try("body", "Hello.\r\n")
	if at == "body" and want ~= "SKIP" then return end
	try("eom")
end

if try("connect") or try("helo") then
	mt.disconnect(c)
	return
end
try("unknown")
first()
-- The next message begins without anything said about the first.
if at == "mail" or at == "rcpt" or at == "unknown" then
	message(c, "<two@example.com>", "<good@example.net>")
else
	first()
end
mt.disconnect(c)
