-- cancel.lua: end a ticket that has not left; flag one that is on its way.
-- needs: tickets, lanes, turns
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  ticket id
-- Returns 'cancelled', 'flagged' (it is aboard a call; what has left keeps its outcome), 'done' or 'unknown'.
even_if_full()
local id = ARGV[1]
local t = get(ticket_key(id), 'state', 'lane', 'acct')
if not t.state then return 'unknown' end
if t.state == 'done' then return 'done' end
local l = get(lane_key(t.lane), 'group', 'lease')
if t.state == 'holding' or t.state == 'riding' then
  redis.call('HSET', ticket_key(id), 'cancel', 1)
  if num(l.lease) > now then return 'flagged' end
  end_turn(t.lane)                  -- its worker is gone: nobody would read the flag
  rescore(t.lane)
  return 'cancelled'
end
redis.call('ZREM', P .. ':wait:' .. t.lane, id)
redis.call('SREM', P .. ':kept:' .. t.lane, id)
if t.state == 'called' then uncall(id, t.acct, l.group) set_idle(t.lane) end
end_unsent(id, 'x', 'cancelled')
rescore(t.lane)
return 'cancelled'
