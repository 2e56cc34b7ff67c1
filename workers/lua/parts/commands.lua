-- commands.lua: the newest word about a campaign's state is what is wanted.
-- needs: tickets, lanes

-- The sequence of a command: as given, or after all that were given before.
local function sequence(lane, given)
  local last = num(redis.call('HGET', lane_key(lane), 'last_seq'))
  local micros = time[1] * 1000000 + time[2] + (tonumber(clock[1]) or 0) * 1000
  local seq = given > 0 and given or math.max(last + 1, micros)
  if seq > last then redis.call('HSET', lane_key(lane), 'last_seq', string.format('%.0f', seq)) end
  return string.format('%.0f', seq)
end

-- Ends a command that has not left: a newer word came.
local function supersede(lane, id)
  local t = get(ticket_key(id), 'state', 'acct', 'job')
  if t.state == 'done' then return end
  redis.call('ZREM', P .. ':wait:' .. lane, id)
  redis.call('SREM', P .. ':kept:' .. lane, id)
  if t.state == 'called' then uncall(id, t.acct, 'control') set_idle(lane) end
  set_superseded(id, t.job)
end

-- What this command says is wanted from now on, and older words that have not left end here; unless a newer one was
-- there. Of two with one sequence the later to come is newer, but not one that is only said `again`.
-- Returns whether it is wanted now and was not before.
local function want(lane, id, seq, again)
  local last = num(redis.call('HGET', lane_key(lane), 'want_seq'))
  if num(seq) < last or (again and num(seq) == last) then return false end
  redis.call('HSET', lane_key(lane), 'want', id, 'want_seq', seq)
  for _, ids in ipairs({ redis.call('ZRANGE', P .. ':wait:' .. lane, 0, -1), redis.call('SMEMBERS', P .. ':kept:' .. lane) }) do
    for _, other in ipairs(ids) do
      if other ~= id and num(redis.call('HGET', ticket_key(other), 'seq')) <= num(seq) then supersede(lane, other) end
    end
  end
  return true
end

-- Puts a command into its lane, or ends it if a newer one was there.
local function intend(lane, id)
  local t = get(ticket_key(id), 'op', 'seq', 'place')
  redis.call('HSET', ticket_key(id), 'state', 'waiting')
  wait_again(lane, id, t.place)
  if not want(lane, id, t.seq) then supersede(lane, id)
  -- What quiets a campaign waits for a call under way no longer than its lease, which is not renewed.
  elseif t.op ~= 'start' and redis.call('HGET', lane_key(lane), 'state') == 'held' then
    redis.call('HSET', lane_key(lane), 'hurry', 1)
  end
  rescore(lane)
end

-- The job that a command waited for is over.
function enter_kept(id)
  local t = get(ticket_key(id), 'state', 'lane')
  if t.state ~= 'kept' then return end
  redis.call('SREM', P .. ':kept:' .. t.lane, id)
  intend(t.lane, id)
end
