-- recall.lua: repeat a call whose message is gone: the queue was seen empty and the ticket has not come.
-- needs: calling
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  lane
-- ARGV[2]  number of the overdue call
-- Returns the new call row, or false if the ticket has come meanwhile.
local lane = ARGV[1]
local l = get(lane_key(lane), 'state', 'ticket', 'group')
if l.state ~= 'called' then return false end
local t = get(ticket_key(l.ticket), 'call', 'acct')
if t.call ~= ARGV[2] then return false end
return call_anew(lane, l.ticket, t.acct, l.group)
