-- submit.lua: store one new ticket with its payload, put it in its lane, and call it if its turn is now.
-- needs: states, jobs, outcomes, tickets, lanes, calling, commands
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  ticket id
-- ARGV[2]  lane
-- ARGV[3]  group     leads | control
-- ARGV[4]  class     0 urgent, 1 normal, 2 bulk
-- ARGV[5]  kind      import, or other (an update or removal: a barrier that later imports do not pass)
-- ARGV[6]  payload   packed leads
-- ARGV[7]  codes     outcome codes of leads decided by the producer already; '' if none are
-- ARGV[8]  why       JSON object, lead index -> reason; '' if none
-- ARGV[9]  1 if the ticket may be called in this script (the caller publishes it), else 0
-- ARGV[10] lane address for people: JSON {campaign, provider, base_url}
-- ARGV[11] 1 if the ticket is refused where the account's limits of waiting leads leave no room for it
-- ARGV[12..] ticket fields and values; job, n, acct and op among them; of a command about a campaign's state also
--            seq (its place among such commands, or 0) and perhaps after (a job whose end it waits for); front if it
--            goes before all others; unturned, a scope, if it is an opt-out: no leads lane of that scope is called
--            until it is over; by, the producer that fills the job, where only one may (claim.lua)
-- Returns {'new', call row or false}, {'same', false} if the ticket is known already, {'taken', false} if another
-- producer fills the job now, or {'full', false}: nothing is stored but, in its job, how many leads were `refused`.
local id, lane, group, class, kind = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if redis.call('EXISTS', ticket_key(id)) == 1 then return { 'same', false } end

local fields = {}
for i = 12, #ARGV, 2 do fields[ARGV[i]] = ARGV[i + 1] end
local job, n = fields.job, tonumber(fields.n)
local by = redis.call('HGET', P .. ':job:' .. job, 'by')
if fields.by and by and by ~= fields.by then return { 'taken', false } end         -- none: the server forgot the job

-- What is empty takes one batch of any size, or a large one would wait for ever. That it is full is over when a fifth
-- of it is free, not with the first batch that finds room again.
local function has_room()
  local most = redis.call('HMGET', acct_key(fields.acct), 'max_waiting', 'max_waiting_per_campaign', 'full')
  if not (most[1] or most[2]) then return true end
  local whose = { 'all', lane }
  local waits = redis.call('HMGET', P .. ':load:' .. fields.acct, unpack(whose))
  for i = 1, 2 do
    local waiting = num(waits[i]) + num(fields.size)
    if most[i] and num(waits[i]) > 0 and waiting > num(most[i]) then
      if not most[3] then begin_full(fields.acct, whose[i]) end
      return false
    end
    if most[3] == whose[i] and (not most[i] or waiting <= num(most[i]) * 4 / 5) then end_full(fields.acct) end
  end
  return true
end

local cancelled = redis.call('HEXISTS', P .. ':job:' .. job, 'cancel') == 1
if ARGV[11] == '1' and not cancelled and not has_room() then
  redis.call('HSET', P .. ':job:' .. job, 'refused', fields.size)
  return { 'full', false }
end

-- A server that forgot the ticket may have been told since what its call brought (see leave).
local known = redis.call('GET', P .. ':out:' .. id)
if known then
  redis.call('DEL', P .. ':out:' .. id)
  redis.call('PERSIST', P .. ':why:' .. id)
end

if redis.call('HSETNX', lane_key(lane), 'state', 'idle') == 1 then
  redis.call('HSET', lane_key(lane), 'group', group, 'address', ARGV[10])
end
local place = fields.front and redis.call('HINCRBY', lane_key(lane), 'front', 1) - SEQ or join(lane, kind, class)
if fields.unturned then
  redis.call('SADD', P .. ':unturned:' .. fields.unturned, id)
  redis.call('SADD', P .. ':scopes', fields.unturned)
  redis.call('ZREM', P .. ':freed', P .. ':hushed:' .. fields.unturned)
end

redis.call('HSET', ticket_key(id), 'v', 1, 'state', 'waiting', 'lane', lane, 'place', place, 'created', now, unpack(ARGV, 12))
if fields.expires_in then
  local expires, first = now + tonumber(fields.expires_in), num(redis.call('HGET', P .. ':job:' .. job, 'expires'))
  redis.call('HSET', ticket_key(id), 'expires', expires)
  if first == 0 or expires < first then redis.call('HSET', P .. ':job:' .. job, 'expires', expires) end
end
redis.call('SET', P .. ':pay:' .. id, ARGV[6])
redis.call('HINCRBY', P .. ':job:' .. job, 'leads', n)
redis.call('HINCRBY', P .. ':job:' .. job, 'batches', 1)
redis.call('HSET', P .. ':job:' .. job, 'seen', now)
if fields.by then redis.call('HSETNX', P .. ':job:' .. job, 'by', fields.by) end
if redis.call('HEXISTS', P .. ':job:' .. job, 'ended') == 1 then reopen_job(job) end      -- more for a job that was over
redis.call('RPUSH', P .. ':batches:' .. job, id)
count_waiting(lane, fields.acct, fields.size, 1)
if ARGV[7] ~= '' then record(id, job, n, ARGV[7], ARGV[8] ~= '' and cjson.decode(ARGV[8]) or nil) end
if known then record(id, job, n, known) end

if cancelled then
  end_unsent(id, 'x', 'cancelled')
  return { 'new', false }
end

if fields.seq then
  redis.call('HSET', ticket_key(id), 'seq', sequence(lane, tonumber(fields.seq)))
  if fields.after and redis.call('EXISTS', P .. ':job:' .. fields.after) == 1
    and redis.call('HEXISTS', P .. ':job:' .. fields.after, 'ended') == 0 then
    redis.call('HSET', ticket_key(id), 'state', 'kept')
    redis.call('SADD', P .. ':kept:' .. lane, id)
    redis.call('RPUSH', P .. ':then:' .. fields.after, id)
    return { 'new', false }
  end
  intend(lane, id)
  return { 'new', ARGV[9] == '1' and try_call(lane) or false }
end
if pending_of(redis.call('GET', P .. ':out:' .. id) or string.rep('.', n)) == 0 then
  set_done(id, job, 'ok')                   -- nothing to send: every lead is decided already
  return { 'new', false }
end
wait_again(lane, id, place)
if class == 0 then give_way(lane) end
local call = ARGV[9] == '1' and try_call(lane)        -- which puts the lane where it belongs
if not call then rescore(lane) end
return { 'new', call or false }
