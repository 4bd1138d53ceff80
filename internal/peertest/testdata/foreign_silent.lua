-- foreign_silent.lua tells a filter that answers nothing before the end of the
-- message. miltertest reads an answer where none was negotiated away, so one too
-- many, or one too few, shows at the end.
dofile("testdata/foreign_talk.lua")
local c = open()
for _, n in ipairs({"CONN", "HELO", "MAIL", "RCPT", "DATA", "UNKN", "HDR", "EOH", "BODY"}) do
	assert(mt.test_option(c, _G["SMFIP_NR_" .. n]), "NR_" .. n .. " was not asked for")
end
step(c, "connect")
step(c, "helo")
step(c, "unknown")
for round = 1, 3 do
	step(c, "mail", nil, "<" .. round .. "@example.com>")
	step(c, "rcpt", nil, "<a@example.net>")
	step(c, "rcpt", nil, "<b@example.net>")
	step(c, "data")
	for i = 1, 20 do step(c, "header", nil, "X-" .. i, "v") end
	step(c, "eoh")
	for i = 1, 20 do step(c, "body", nil, "line " .. i .. "\r\n") end
	step(c, "eom", "REJECT")
end
mt.disconnect(c)
