-- enter.lua: a task has come for its ticket; grant the turn with riders, or say why not.
-- needs: accounts, endings, optouts, tickets, lanes, calling
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  ticket id
-- ARGV[2]  token     fencing token of this execution, unique
-- ARGV[3]  number    of the call that brought the task; 0 if it was not called by us
-- ARGV[4]  lease_ms  length of the lease
-- ARGV[5]  turn_ms   longest turn: the lease is not renewed beyond it
-- ARGV[6]  lost_ms   how long an unanswered call may still run at the dialer
-- ARGV[7]  gap_ms    rest of the lane after a call
-- ARGV[8]  room      leads that fit in one call; 0: each lead is a call of its own and takes its slot (slice.lua)
--                    when it begins; of those SLICE_ROOM may be aboard
-- ARGV[9]  riders    most tickets aboard beside the holder
-- ARGV[10] worker    whose turn it will be
-- ARGV[11] listed    1: if it is over, its result stays on the finish list, for Celery will store none of this task
-- Returns {'granted', lane, now, row of the holder, rows of riders ...}; a row is {ticket, codes or false,
--   payload, fields ...} with the fields in the order of FIELDS; or {'parked'}, {'elsewhere'}, {'unknown'},
--   {'done', how}, {'dead', reason}.
local FIELDS = { 'acct', 'op', 'campaign', 'job', 'n', 'class', 'attempts', 'first', 'conflicts', 'lost', 'solo',
  'search', 'created', 'calls', 'options', 'links', 'cut', 'seq', 'undoes' }
local SLICE_ROOM = 1000
local id, token, number = ARGV[1], ARGV[2], num(ARGV[3])
local lost_ms, gap_ms, room, riders = num(ARGV[6]), num(ARGV[7]), num(ARGV[8]), num(ARGV[9])
local one_by_one = room == 0
if one_by_one then room = SLICE_ROOM end

local t = get(ticket_key(id), 'state', 'token', 'lane', 'acct', 'op', 'end', 'reason', 'not_before', 'call', 'job', 'n', 'size', 'expires')
if not t.state then return { 'unknown' } end
local lane = t.lane
local l = get(lane_key(lane), 'state', 'ticket', 'hold', 'next', 'group')
local queue = queue_of(l.group)
-- Nobody but us numbers calls: what a foreign message says beyond the ticket's own would make all others overdue.
if number <= num(t.call) and number > num(redis.call('GET', P .. ':came:' .. queue)) then redis.call('SET', P .. ':came:' .. queue, number) end

local function row(who)
  local out = { who, redis.call('GET', P .. ':out:' .. who), redis.call('GET', P .. ':pay:' .. who) }
  for i, value in ipairs(redis.call('HMGET', ticket_key(who), unpack(FIELDS))) do out[3 + i] = value end
  return out
end

if t.state == 'done' or t.state == 'dead' then
  if not is_whole(id) then return { 'parked' } end
  if ARGV[11] ~= '1' then redis.call('ZREM', P .. ':finish', id) end
  if t['end'] == 'discarded' then return { 'dead', t.reason } end      -- given up: its task has failed all the same
  return { t.state, t.state == 'done' and t['end'] or t.reason }
end
if t.state == 'holding' and t.token == token then                    -- asked again: the reply was lost
  local again = { 'granted', lane, now }
  for _, who in ipairs(redis.call('LRANGE', P .. ':aboard:' .. lane, 0, -1)) do again[#again + 1] = row(who) end
  return again
end
if t.state == 'holding' or t.state == 'riding' then
  redis.call('HSET', ticket_key(id), 'twin', 1)      -- its message goes, and may have been the last one
  return { 'elsewhere' }
end

local called = t.state == 'called' and l.state == 'called' and l.ticket == id
local in_time = num(l.next) <= now and num(t.not_before) <= now
if t.expires and num(t.expires) <= now then
  if called then uncall(id, t.acct, l.group) set_idle(lane) end
  redis.call('ZREM', P .. ':wait:' .. lane, id)
  end_unsent(id, 'e', 'expired')
  rescore(lane)
  return { 'done', 'expired' }
end
local free = in_time and (called or (l.state == 'idle' and head(lane) == id))
local may = free and not l.hold and now >= quiet and not hushed_by(lane) and redis.call('HEXISTS', acct_key(t.acct), 'hold:' .. t.op) == 0
  and admitted_at(t.acct, l.group, 0) <= now
if not may then
  if called then
    redis.call('HDEL', ticket_key(id), 'vain')       -- it did come
    take_back_call(lane, id, t.acct, l.group)
  end
  return { 'parked' }
end

-- Takes a ticket aboard and journals the attempt under it; where each lead is a call of its own, that is done lead by
-- lead when it begins. An attempt that was never left is lost.
local function board(who, state)
  if redis.call('HGET', ticket_key(who), 'open') then redis.call('HSET', ticket_key(who), 'lost', 1) end
  redis.call('ZREM', P .. ':wait:' .. lane, who)
  redis.call('HSET', ticket_key(who), 'state', state, 'token', token)
  if not one_by_one then redis.call('HSET', ticket_key(who), 'open', token) end
  redis.call('HSETNX', ticket_key(who), 'first', now)
  redis.call('HDEL', ticket_key(who), 'not_before', 'vain', 'twin')
  redis.call('RPUSH', P .. ':aboard:' .. lane, who)
  return row(who)
end

if called then uncall(id, t.acct, l.group) end
belong(lane, get(lane_key(lane), 'acct', 'group'), t.acct)
redis.call('DEL', P .. ':aboard:' .. lane)
local reply = { 'granted', lane, now, board(id, 'holding') }
local mine = get(ticket_key(id), 'solo', 'size', 'options')
room = room - num(mine.size)
if not mine.solo and not redis.call('HGET', ticket_key(id), 'search') then
  while room > 0 and #reply - 4 < riders do
    local next_id = redis.call('ZRANGE', P .. ':wait:' .. lane, 0, 0)[1]
    if not next_id then break end
    local r = get(ticket_key(next_id), 'op', 'acct', 'size', 'solo', 'search', 'not_before', 'expires', 'options')
    if r.expires and num(r.expires) <= now then
      redis.call('ZREM', P .. ':wait:' .. lane, next_id)
      end_unsent(next_id, 'e', 'expired')
    elseif (r.op ~= t.op and l.group ~= 'control') or r.acct ~= t.acct or r.options ~= mine.options or r.solo or r.search
      or num(r.not_before) > now or num(r.size) > room
      or redis.call('EXISTS', P .. ':pay:' .. next_id) == 0 then break
    else
      room = room - num(r.size)
      reply[#reply + 1] = board(next_id, 'riding')
    end
  end
end
if not one_by_one then take_slot(t.acct) end
if l.group ~= 'control' and redis.call('HGET', acct_key(t.acct), 'probe') == 'due' then redis.call('HSET', acct_key(t.acct), 'probe', token) end
redis.call('SADD', P .. ':flight:' .. t.acct, lane)
-- One second is for building the body: a lost call is counted from its start, which comes after the grant.
local lease, lost = now + num(ARGV[4]), now + 1000 + lost_ms + gap_ms
redis.call('HINCRBY', lane_key(lane), 'turns', 1)
redis.call('HSET', lane_key(lane), 'state', 'held', 'ticket', id, 'token', token, 'lease', lease,
  'deadline', now + num(ARGV[5]), 'one_by_one', one_by_one and 1 or 0, 'lost', lost, 'began', now,
  'gap', gap_ms, 'worker', ARGV[10], 'longest', lost_ms + gap_ms + 61000,
  'until', redis.call('HEXISTS', lane_key(lane), 'want_seq') == 1 and lease or math.max(lease, lost))
rescore(lane)
return reply
