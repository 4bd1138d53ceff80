-- foreign_talk.lua has what the other foreign scripts share: the steps of an SMTP
-- session as miltertest tells them, and checks of the answers.

local names = {"CONTINUE", "ACCEPT", "REJECT", "TEMPFAIL", "DISCARD", "REPLYCODE", "SKIP"}

function name_of(reply)
	for _, n in ipairs(names) do
		if _G["SMFIR_" .. n] == reply then return n end
	end
	return tostring(reply)
end

-- open connects and negotiates with all that version 6 has.
function open()
	local c = mt.connect(socket, 40, 0.05)
	assert(c ~= nil, "cannot connect to " .. socket)
	assert(mt.negotiate(c, 6, nil, nil) == nil, "negotiation failed")
	return c
end

-- step does one step and checks the answer, which is CONTINUE when want is nil.
function step(c, stage, want, ...)
	local err
	if stage == "connect" then
		err = mt.conninfo(c, "client.example.com", "192.0.2.7")
	elseif stage == "helo" then
		err = mt.helo(c, "client.example.com")
	elseif stage == "unknown" then
		err = mt.unknown(c, "FOO bar")
	elseif stage == "mail" then
		err = mt.mailfrom(c, ...)
	elseif stage == "rcpt" then
		err = mt.rcptto(c, ...)
	elseif stage == "data" then
		err = mt.data(c)
	elseif stage == "header" then
		err = mt.header(c, ...)
	elseif stage == "eoh" then
		err = mt.eoh(c)
	elseif stage == "body" then
		err = mt.bodystring(c, ...)
	elseif stage == "eom" then
		err = mt.eom(c)
	else
		error("no stage " .. stage)
	end
	assert(err == nil, stage .. ": " .. tostring(err))
	local got = name_of(mt.getreply(c))
	assert(got == (want or "CONTINUE"), stage .. ": answered " .. got .. ", want " .. (want or "CONTINUE"))
end

-- message sends a whole message that the filter lets pass; want is for its end.
function message(c, from, to, want)
	step(c, "mail", nil, from)
	step(c, "rcpt", nil, to)
	step(c, "data")
	step(c, "header", nil, "Subject", "one")
	step(c, "eoh")
	step(c, "body", nil, "Hello.\r\n")
	step(c, "eom", want)
end
