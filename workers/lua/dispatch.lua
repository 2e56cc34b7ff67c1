-- dispatch.lua: end turns whose lease is over; call the heads of due lanes; claim unfinished results.
-- needs: states, accounts, tickets, lanes, calling, turns
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  most calls to return
-- ARGV[2]  most claims to return; 0 for none
-- ARGV[3]  calls of leads that the caller has free threads for: more of them only while others have some
-- ARGV[4]  ms: leads that are due so soon are called for these threads as well
-- ARGV[5...] tickets whose results the caller has written: they leave the finish list
-- Returns {ms until this caller is to look again if nobody wakes it before, call rows, overdue calls {lane, call number, queue}, tickets to finish,
--   1 if something is due that could not be called, changes of state to be said {state, begins|ends, account, of,
--   why, ms}}. A change is returned to one caller only.
-- Lanes that rest are looked at by who left them (dispatcher.py); the caller sees to accounts that admit no more now.
local most, claims, threads, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local LATER = 3600000            -- nothing is put off by more than this
local NAP = 1000                 -- the longest a caller that was not told more is to sleep
local SAID = 50                  -- changes said at once
local calls, overdue, finish = {}, {}, {}
local wait = NAP

-- The changes that nobody has said yet; that the quiet time is over is noticed here.
local function unsaid()
  local hushed = redis.call('HEXISTS', P .. ':clock', 'hushed') == 1
  if hushed and now >= quiet then
    redis.call('HDEL', P .. ':clock', 'hushed')
    hushed = false
    say('quiet', false, '')
  end
  local said, out = redis.call('HGET', P .. ':clock', 'said'), {}
  local entries = redis.call('XRANGE', P .. ':states', said and '(' .. said or '-', '+', 'COUNT', SAID)
  for i, entry in ipairs(entries) do
    local f = entry[2]                             -- names and values in turn
    out[i], said = { f[2], f[4], f[6], f[8], f[10], f[12] }, entry[1]
  end
  if said then redis.call('HSET', P .. ':clock', 'said', said) end
  if #entries < SAID and not hushed then redis.call('HDEL', P .. ':clock', 'unsaid') end
  return out
end
local changes = clock[5] and unsaid() or {}

for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. ':workers', '-inf', now, 'LIMIT', 0, 10)) do
  redis.call('ZREM', P .. ':workers', worker)
  for _, queue in ipairs({ 'control', 'turns' }) do
    local slots = num(redis.call('HGET', P .. ':slots:' .. queue, worker))
    redis.call('HDEL', P .. ':slots:' .. queue, worker)
    redis.call('HINCRBY', P .. ':slots:' .. queue, 'sum', -slots)
  end
end

if ARGV[5] then redis.call('ZREM', P .. ':finish', unpack(ARGV, 5)) end
if claims > 0 then
  finish = redis.call('ZRANGEBYSCORE', P .. ':finish', '-inf', now, 'LIMIT', 0, claims)
  if #finish == 0 then finish = redis.call('ZRANGEBYSCORE', P .. ':finish', now + LATER, '+inf', 'LIMIT', 0, claims) end
  for _, id in ipairs(finish) do redis.call('ZADD', P .. ':finish', now + CALL_MS, id) end
end
if now < quiet then return { math.min(quiet - now, NAP), calls, overdue, finish, 0, changes } end

-- A called ticket that did not come in time. In vain only if a later call has come since: the queue is FIFO.
local function call_again(lane, l)
  local t = get(ticket_key(l.ticket), 'call', 'job', 'n', 'acct')
  local queue = queue_of(l.group)
  if num(redis.call('GET', P .. ':came:' .. queue)) <= num(t.call) then
    overdue[#overdue + 1] = { lane, t.call, queue }
    redis.call('HSET', lane_key(lane), 'until', now + 1000)
    return rescore(lane)
  end
  take_back_call(lane, l.ticket, t.acct, l.group)
  if redis.call('HGET', ticket_key(l.ticket), 'state') ~= 'waiting' then return end      -- its own time was over
  if redis.call('HINCRBY', ticket_key(l.ticket), 'vain', 1) >= IN_VAIN then
    redis.call('ZREM', P .. ':wait:' .. lane, l.ticket)
    set_dead(l.ticket, t.job, num(t.n), 'did_not_come')
    rescore(lane)
  end
end

-- Time went back: nothing of the lane is further away than `at`.
local function pull_in(lane, at)
  local key = lane_key(lane)
  local l = get(key, 'next', 'until', 'lost', 'lease')
  for field, value in pairs(l) do if num(value) > at then redis.call('HSET', key, field, at) end end
  local id = redis.call('HGET', key, 'state') == 'idle' and head(lane)
  if id and num(redis.call('HGET', ticket_key(id), 'not_before')) > at then redis.call('HSET', ticket_key(id), 'not_before', at) end
  rescore(lane)
end

-- Pulls in the lanes of a sorted set that are further away than their longest legal wait.
local function pull_in_last(key)
  for _ = 1, 20 do
    local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
    if not last[1] then return end
    local l = get(lane_key(last[1]), 'state', 'longest')
    local longest = l.state == 'called' and CALL_MS or num(l.longest)
    if longest == 0 then longest = LATER end
    if num(last[2]) <= now + longest then return end
    pull_in(last[1], now + longest)
  end
end

-- Whether a call would find a thread. One that has to wait for it costs a message, and may keep others from theirs.
local function finds_thread(group)
  if group == 'control' or threads > 0 then return true end
  return redis.call('ZCARD', P .. ':timers') < num(redis.call('HGET', P .. ':slots:turns', 'sum'))
end

-- Serves one lane of the account; false if nothing of it can be served now.
local function serve(acct)
  local soonest
  for _, group in ipairs({ 'control', 'leads' }) do
    local lane = redis.call('ZRANGEBYSCORE', due_key(acct, group), '-inf', now, 'LIMIT', 0, 1)[1]
    if lane and finds_thread(group) then
      local row, obstacle, at, whose = try_call(lane)
      if row then
        if group == 'leads' then threads = threads - 1 end
        calls[#calls + 1] = row
        return true
      end
      if obstacle == 'account' and whose == acct then soonest = math.min(soonest or at, at)
      elseif obstacle ~= 'slots' then rescore(lane) return true end
    end
  end
  if soonest then
    local control = redis.call('ZRANGEBYSCORE', due_key(acct, 'control'), '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    soonest = math.min(soonest, num(control or soonest))
    redis.call('ZADD', P .. ':accounts', soonest, acct)
    wait = math.max(math.min(wait, soonest - now), 1)
  end
  return false
end

for _, lane in ipairs(redis.call('ZRANGEBYSCORE', P .. ':timers', '-inf', now, 'LIMIT', 0, 2 * most)) do
  local l = get(lane_key(lane), 'state', 'ticket', 'group')
  if l.state == 'called' then call_again(lane, l) else end_turn(lane) rescore(lane) end
end

local freed = redis.call('ZRANGE', P .. ':freed', 0, 0)[1]
if freed then free_lanes(freed) end

local served, steps = true, 0
while served and #calls < most and steps < 4 * most do
  served = false
  for _, acct in ipairs(redis.call('ZRANGEBYSCORE', P .. ':accounts', '-inf', now, 'LIMIT', 0, 50)) do
    steps = steps + 1
    if #calls < most and serve(acct) then served = true end
  end
end

-- Calls leads that are due soon, for threads that would be idle until then.
local function call_ahead(acct)
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', due_key(acct, 'leads'), '(' .. now, now + ahead, 'LIMIT', 0, most)) do
    local row = #calls < most and threads > 0 and try_call(lane, ahead)
    if row then
      calls[#calls + 1] = row
      threads = threads - 1
    end
  end
end
if ahead > 0 and threads > 0 then
  for _, acct in ipairs(redis.call('ZRANGEBYSCORE', P .. ':accounts', '-inf', now + ahead, 'LIMIT', 0, 50)) do call_ahead(acct) end
end

-- A due time beyond the longest legal wait means that the clock went back. One account a run, another every half
-- second: no scan.
pull_in_last(P .. ':timers')
local which = math.floor(now / 500) % math.max(redis.call('ZCARD', P .. ':accounts'), 1)
for _, acct in ipairs(redis.call('ZRANGE', P .. ':accounts', which, which)) do
  pull_in_last(due_key(acct, 'control'))
  pull_in_last(due_key(acct, 'leads'))
  local a = get(acct_key(acct), 'cool', 'cooled')
  if num(a.cooled) > now then
    redis.call('HSET', acct_key(acct), 'cool', now + num(a.cool) - num(a.cooled), 'cooled', now)
    rescore_account(acct)
  end
end

local first = redis.call('ZRANGE', P .. ':accounts', 0, 0, 'WITHSCORES')[2]
local starved = first and num(first) <= now and #calls < most
if #calls == most or freed then wait = 0 end
return { wait, calls, overdue, finish, starved and 1 or 0, changes }
