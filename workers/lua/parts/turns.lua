-- turns.lua: a turn that ended without a word.
-- needs: made, tickets, lanes

-- A turn whose lease is over: its attempt has no answer. All aboard wait at their places again and
-- travel alone next time, so that a batch that kills its worker is found; where each lead is a call of its own, after
-- the second time, since so many turns take long.
local function end_turn(lane)
  local l = get(lane_key(lane), 'token', 'ticket', 'acct', 'next', 'lost', 'want_seq', 'one_by_one', 'began', 'gap', 'worker')
  local size = 0
  for _, id in ipairs(redis.call('LRANGE', P .. ':aboard:' .. lane, 0, -1)) do
    local t = get(ticket_key(id), 'token', 'place', 'cancel', 'job', 'size')
    if l.token and t.token == l.token then
      size = size + num(t.size)
      redis.call('HDEL', ticket_key(id), 'token')
      local alone = redis.call('HINCRBY', ticket_key(id), 'attempts', 1) > 1 or l.one_by_one ~= '1'
      if overtaken(lane, id) then set_superseded(id, t.job)
      elseif t.cancel then end_unsent(id, 'x', 'cancelled')
      else
        redis.call('HSET', ticket_key(id), 'state', 'waiting')
        if alone then redis.call('HSET', ticket_key(id), 'solo', 1) end
        wait_again(lane, id, t.place)
      end
    end
  end
  redis.call('DEL', P .. ':aboard:' .. lane)
  redis.call('SREM', P .. ':flight:' .. l.acct, lane)
  if redis.call('HGET', acct_key(l.acct), 'probe') == l.token then redis.call('HSET', acct_key(l.acct), 'probe', 'due') end
  -- A lost command delays no other: what comes after it is confirmed once it can no longer run.
  local t = get(ticket_key(l.ticket), 'op', 'seq')
  local op = t.op or ''                                                     -- '' if the server forgot the ticket
  if l.token and l.acct ~= NOBODY then
    -- What its worker may still tell of the call overrides this; calls of one lead each have told of themselves.
    local one_by_one = l.one_by_one == '1'
    note(lane, l.acct, l.token, l.worker, { n = one_by_one and 0 or 1, op = op, size = one_by_one and 0 or size,
      began = now - (tonumber(l.began) or now), ended = now - num(l.lost) + num(l.gap), answer = 'lost' }, t.seq)
  end
  if l.want_seq then redis.call('HSET', lane_key(lane), 'unsure:' .. op, num(l.lost))
  else redis.call('HSET', lane_key(lane), 'next', math.max(num(l.next), num(l.lost))) end
  set_idle(lane)
end
