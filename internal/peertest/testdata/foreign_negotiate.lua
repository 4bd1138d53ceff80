-- foreign_negotiate.lua makes the offer of version, actions and steps, in numbers,
-- and prints what the filter answers: "actions NAME... steps NAME...", then what it
-- says to the end of a message.
local c = mt.connect(socket, 40, 0.05)
assert(c ~= nil, "cannot connect to " .. socket)
-- Actions and steps stand in this order, whatever the manual says.
assert(mt.negotiate(c, tonumber(version), tonumber(steps), tonumber(actions)) == nil, "negotiation failed")
local out = "actions"
for _, n in ipairs({"ADDHDRS", "CHGBODY", "ADDRCPT", "DELRCPT", "CHGHDRS", "QUARANTINE", "CHGFROM", "ADDRCPT_PAR", "SETSYMLIST"}) do
	if mt.test_action(c, _G["SMFIF_" .. n]) then out = out .. " " .. n end
end
out = out .. " steps"
for _, n in ipairs({"NOCONNECT", "NOHELO", "NOMAIL", "NORCPT", "NOBODY", "NOHDRS", "NOEOH", "NR_HDR", "NOUNKNOWN", "NODATA", "SKIP", "RCPT_REJ",
	"NR_CONN", "NR_HELO", "NR_MAIL", "NR_RCPT", "NR_DATA", "NR_UNKN", "NR_EOH", "NR_BODY", "HDR_LEADSPC"}) do
	if mt.test_option(c, _G["SMFIP_" .. n]) then out = out .. " " .. n end
end
mt.echo(out)
-- What was not switched off miltertest makes up, and waits for the answers.
assert(mt.eom(c) == nil, "the message's end was not answered")
mt.echo("end " .. string.char(mt.getreply(c)))
mt.disconnect(c)
