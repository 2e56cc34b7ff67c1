-- renew.lua: keep the leases of a process's turns; after a restart of Redis, assert them again.
-- needs: tickets, lanes, commands
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  lease_ms
-- ARGV[2]  JSON list of turns {lane, token, acct, group, tickets, lost_ms: ms from now until which the
--          running call may still be at the dialer, and the gap; turn_ms: ms left to the turn's deadline;
--          seq: of the command about a campaign's state that it is about, if it is about one}
-- Returns the tokens of the turns that are lost, and of those whose lease stays as it is.
even_if_full()
local lost, stays = {}, {}
for _, turn in ipairs(cjson.decode(ARGV[2])) do
  local l = get(lane_key(turn.lane), 'token', 'state', 'deadline', 'lease', 'hurry', 'want_seq')
  if l.token ~= turn.token and l.state ~= 'held' and now < quiet then
    -- The server forgot this turn (its last writes were lost). Nobody else has it: no turn is given yet.
    if l.state == 'called' then
      local called = redis.call('HGET', lane_key(turn.lane), 'ticket')
      uncall(called, redis.call('HGET', ticket_key(called), 'acct'), turn.group)
      redis.call('HSET', ticket_key(called), 'state', 'waiting')
    end
    redis.call('DEL', P .. ':aboard:' .. turn.lane)
    for i, id in ipairs(turn.tickets) do
      local state = redis.call('HGET', ticket_key(id), 'state')
      if state and state ~= 'done' and state ~= 'dead' then
        redis.call('ZREM', P .. ':wait:' .. turn.lane, id)
        redis.call('RPUSH', P .. ':aboard:' .. turn.lane, id)
        redis.call('HSET', ticket_key(id), 'state', i == 1 and 'holding' or 'riding', 'token', turn.token, 'open', turn.token)
        redis.call('HDEL', ticket_key(id), 'not_before', 'vain')
      end
    end
    belong(turn.lane, get(lane_key(turn.lane), 'acct', 'group'), turn.acct)
    redis.call('SADD', P .. ':flight:' .. turn.acct, turn.lane)
    redis.call('HSET', lane_key(turn.lane), 'state', 'held', 'token', turn.token, 'ticket', turn.tickets[1],
      'group', turn.group, 'deadline', now + turn.turn_ms, 'longest', turn.lost_ms + 61000, 'began', now)
    if turn.seq then want(turn.lane, turn.tickets[1], turn.seq, true) end
    if overtaken(turn.lane, turn.tickets[1]) then redis.call('HSET', lane_key(turn.lane), 'hurry', 1) end
    l.token, l.deadline, l.want_seq = turn.token, now + turn.turn_ms, turn.seq
  end
  if l.token == turn.token then
    -- The holder's own clock bounds the turn too: the server's may have gone back.
    local lease = now + math.min(num(ARGV[1]), num(l.deadline) - now, turn.turn_ms)
    if l.hurry then        -- a pause or stop waits: it shall not wait longer
      lease = num(l.lease)
      stays[#stays + 1] = turn.token
    end
    local gone = now + turn.lost_ms
    redis.call('HSET', lane_key(turn.lane), 'lease', lease, 'lost', gone, 'until', l.want_seq and lease or math.max(lease, gone))
    rescore(turn.lane)
  else
    lost[#lost + 1] = turn.token
  end
end
return { lost, stays }
