-- revival.lua: a ticket that had ended waits again.
-- needs: jobs, endings, tickets, lanes, commands

-- A ticket that was done or dead waits again, as if it had come now: behind all that wait, with new attempts and
-- no time of its own to end. What waits for its task has been told its end already, or is told the new one.
local function revive(id)
  local t = get(ticket_key(id), 'state', 'lane', 'job', 'op', 'class', 'pending', 'seq', 'acct', 'size')
  local job = P .. ':job:' .. t.job
  count_waiting(t.lane, t.acct, t.size, 1)
  if t.state == 'dead' then
    redis.call('ZREM', P .. ':dead', id)
    redis.call('HINCRBY', job, 'dead_tickets', -1)
    redis.call('HINCRBY', job, 'dead', -num(t.pending))
  else
    redis.call('HINCRBY', job, 'done', -1)
    redis.call('HDEL', ticket_key(id), 'open', 'lost')       -- its codes say what is known
  end
  reopen_job(t.job)
  for _, part in ipairs({ ':t:', ':pay:', ':out:', ':why:', ':pieces:' }) do redis.call('PERSIST', P .. part .. id) end
  if redis.call('ZREM', P .. ':finish', id) == 0 and is_whole(id) then redis.call('HDEL', ticket_key(id), 'links') end
  redis.call('HDEL', ticket_key(id), 'end', 'ended', 'pending', 'reason', 'attempts', 'first', 'not_before', 'conflicts',
    'search', 'vain', 'cancel', 'expires')
  local group = redis.call('HGET', lane_key(t.lane), 'group')
  local kind = t.op == 'import' and group == 'leads' and 'import' or 'other'
  local place = join(t.lane, kind, ({ urgent = 0, normal = 1, bulk = 2 })[t.class] or 1)
  redis.call('HSET', ticket_key(id), 'state', 'waiting', 'place', place)
  if t.seq then return intend(t.lane, id) end
  wait_again(t.lane, id, place)
  rescore(t.lane)
end
