-- expire.lua: end a ticket that waits and whose time is over; said when somebody looks at its job.
-- needs: tickets, lanes
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  ticket id
-- Returns 1 if it ended here, else 0.
local id = ARGV[1]
local t = get(ticket_key(id), 'state', 'lane', 'acct', 'expires')
if not t.expires or num(t.expires) > now then return 0 end
if t.state ~= 'waiting' and t.state ~= 'called' then return 0 end
redis.call('ZREM', P .. ':wait:' .. t.lane, id)
if t.state == 'called' then uncall(id, t.acct, redis.call('HGET', lane_key(t.lane), 'group')) set_idle(t.lane) end
end_unsent(id, 'e', 'expired')
rescore(t.lane)
return 1
