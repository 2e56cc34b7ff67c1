-- recount.lua: put right what is counted as waiting in a lane, by a look at all that does.
-- needs: tickets
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  lane
-- A repair, for what was stored or ended by a version that did not count: O(tickets of the lane).
-- Returns by how many leads it was wrong.
local lane, waits, wrong = ARGV[1], {}, 0
for _, acct in ipairs(redis.call('SMEMBERS', P .. ':names')) do waits[acct] = 0 end
for _, ids in ipairs({ redis.call('ZRANGE', P .. ':wait:' .. lane, 0, -1), redis.call('LRANGE', P .. ':aboard:' .. lane, 0, -1) }) do
  for _, id in ipairs(ids) do
    local t = get(ticket_key(id), 'acct', 'size')
    if t.acct then waits[t.acct] = (waits[t.acct] or 0) + num(t.size) end
  end
end
for acct, leads in pairs(waits) do
  local off = leads - num(redis.call('HGET', P .. ':load:' .. acct, lane))
  count_waiting(lane, acct, off, 1)
  wrong = wrong + math.abs(off)
end
return wrong
