-- tickets.lua: how a ticket waits, and how it ends.
-- needs: states, jobs, endings, outcomes, lanes

local free_lanes             -- lanes.lua has it: the last opt-out of a scope lets its lanes go on

local function uncall(id, acct, group)
  redis.call('ZREM', P .. ':calls:' .. queue_of(group), id)
  redis.call('ZREM', P .. ':called:' .. acct, id)
end

-- A ticket is over: of an opt-out no number stays, and if it was the last of its scope the lanes go on.
local function turned(id, t)
  if t.acct ~= NOBODY then return end
  redis.call('DEL', P .. ':pay:' .. id)
  local scope, key = t.unturned, P .. ':unturned:' .. (t.unturned or '')
  if not scope or redis.call('SREM', key, id) == 0 or redis.call('EXISTS', key) == 1 then return end
  free_lanes(P .. ':hushed:' .. scope)
end

-- So many leads begin to wait in the lane, or (sign -1) are over or dead. Commands never count.
local summed                 -- while it is a table, account -> lane -> leads, sums are kept in it: many tickets end at once
local function count_waiting(lane, acct, size, sign)
  if string.sub(lane, 1, 6) ~= 'leads/' or num(size) == 0 then return end
  if summed then
    summed[acct] = summed[acct] or {}
    summed[acct][lane] = (summed[acct][lane] or 0) + sign * size
    return
  end
  for _, field in ipairs({ 'all', lane }) do
    if redis.call('HINCRBY', P .. ':load:' .. acct, field, sign * size) == 0 then
      redis.call('HDEL', P .. ':load:' .. acct, field)
      if field == 'all' then end_full(acct) end
    end
  end
end

local function set_done(id, job, how, own)
  local t = get(ticket_key(id), 'state', 'lane', 'acct', 'size', 'unturned')
  if t.state ~= 'dead' then count_waiting(t.lane, t.acct, t.size, -1) end
  redis.call('HSET', ticket_key(id), 'state', 'done', 'end', how, 'ended', now)
  redis.call('HDEL', ticket_key(id), 'token', 'search', 'cancel', 'resent')
  expire_ticket(id)
  redis.call('HINCRBY', P .. ':job:' .. job, 'done', 1)
  end_job_if_over(job)
  turned(id, t)
  return to_finish(id, own, how == 'ok' and CALL_MS or 0)
end

local function set_dead(id, job, size, reason, own)
  local codes = redis.call('GET', P .. ':out:' .. id) or string.rep('.', size)
  local pending, t = pending_of(codes), get(ticket_key(id), 'lane', 'acct', 'size')
  count_waiting(t.lane, t.acct, t.size, -1)
  redis.call('HSET', ticket_key(id), 'state', 'dead', 'reason', reason, 'ended', now, 'pending', pending)
  redis.call('HDEL', ticket_key(id), 'token')
  redis.call('ZADD', P .. ':dead', now, id)
  redis.call('HINCRBY', P .. ':job:' .. job, 'dead_tickets', 1)
  redis.call('HINCRBY', P .. ':job:' .. job, 'dead', pending)
  end_job_if_over(job)
  return to_finish(id, own, 0)
end

-- Ends a ticket without a turn: unsent leads get `code`; those of an unanswered attempt are uncertain, also if
-- a person had them sent again since.
local function end_unsent(id, code, how)
  local t = get(ticket_key(id), 'job', 'n', 'open', 'lost', 'resent', 'state')
  local codes = redis.call('GET', P .. ':out:' .. id) or string.rep('.', num(t.n))
  codes = string.gsub(string.gsub(codes, '[~,]', '?'), ':', 'd')
  codes = string.gsub(codes, '%.', (t.open or t.lost or t.resent) and '?' or code)
  record(id, t.job, num(t.n), codes)
  if t.state == 'dead' then
    redis.call('HINCRBY', P .. ':job:' .. t.job, 'dead_tickets', -1)
    redis.call('ZREM', P .. ':dead', id)
  end
  set_done(id, t.job, how)
end

-- The place behind all that wait in the lane now, as a new ticket gets it: of kind import, or other (an update or
-- removal: a barrier that later imports do not pass).
local function join(lane, kind, class)
  local l = get(lane_key(lane), 'state', 'epoch', 'kind', 'seq')
  local epoch, seq = num(l.epoch), num(l.seq) + 1
  if l.kind and l.kind ~= kind then epoch = epoch + 1 end
  if kind ~= 'import' then class = 0 end
  if redis.call('EXISTS', P .. ':wait:' .. lane) == 0 and (l.state or 'idle') == 'idle' then epoch, seq = 0, 1 end
  redis.call('HSET', lane_key(lane), 'epoch', epoch, 'kind', kind, 'seq', seq)
  return (epoch * 3 + class) * SEQ + seq
end

-- Whether a newer command than this one has come; of tickets that are no commands never.
local function overtaken(lane, id)
  local seq = redis.call('HGET', ticket_key(id), 'seq')
  if not seq then return false end
  local l = get(lane_key(lane), 'want', 'want_seq')
  return l.want ~= id and num(seq) <= num(l.want_seq)
end

-- Ends a command that was overtaken.
local function set_superseded(id, job)
  record(id, job, 1, 'o')
  return set_done(id, job, 'superseded')
end

local function wait_again(lane, id, place) redis.call('ZADD', P .. ':wait:' .. lane, place, id) end
