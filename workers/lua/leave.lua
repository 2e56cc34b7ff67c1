-- leave.lua: a turn is over: record outcomes, move every ticket aboard, set the gap, free the lane, call the next.
-- needs: states, made, accounts, endings, outcomes, tickets, lanes, calling, commands
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  JSON {
--   lane, token,
--   rest_ms     from now until the lane may have its next turn (gap, or what a lost call may still take),
--   hold        reason to hold the lane, if any,
--   unsure_ms   from now until which the command of this turn may still run, if its answer was lost,
--   account     {acct, op, signal: ok|throttled|failed|hold|hold_op|none, reason, began_ms (ago), wait_ms (Retry-After
--               or absent), base_ms, cap_ms, dice (0..1), fails (failures in a row that open the breaker)},
--   may_call    true if the caller publishes the next call, of this lane or, if that rests, of another,
--   listed      true if the holder's result is written from the finish list, as a rider's is,
--   replay      true if this was said before, to a server that may have forgotten it,
--   worker, calls  whose turn it was, and the calls made in it, each as `note` in lane.lua takes it,
--   seq         of the command about a campaign's state that the holder is, if it is one,
--   tickets     list of {id, act: done|again|dead, codes, why (object) or absent, reason, cost (attempts used, 0 or 1),
--               called (1 if a call was made), wait_ms, solo, behind, search, conflicts,
--               unread (nobody looked into it: that an attempt was lost is still to be seen)} }
--   op of a ticket, if present, is what it goes on as (an import whose duplicates are to be updated)
-- Returns {'left', call row or false, 1 if the holder's result is complete, 0 if pieces of it are on their way},
-- also if this turn has left already and the reply was lost (then without a call row),
-- or {'stale', false, 0}: the turn was lost before; only outcomes that were still missing have been recorded.
local WAITED_MS = 500            -- a message that a thread comes for is taken long before
even_if_full()
local doc = cjson.decode(ARGV[1])
local lane, token, a = doc.lane, doc.token, doc.account

local function place_behind(place)
  local epoch = math.floor(place / (3 * SEQ))
  return (epoch * 3 + 2) * SEQ + redis.call('HINCRBY', lane_key(lane), 'seq', 1)
end

local function move(v, own)
  local t = get(ticket_key(v.id), 'job', 'n', 'place', 'cancel', 'expires')
  redis.call('HINCRBY', ticket_key(v.id), 'attempts', v.cost)
  redis.call('HINCRBY', ticket_key(v.id), 'calls', v.called)
  redis.call('HDEL', ticket_key(v.id), 'token', 'open')
  if not v.unread then redis.call('HDEL', ticket_key(v.id), 'lost') end      -- its codes say what is known of the attempt
  if v.act == 'done' then return set_done(v.id, t.job, 'ok', own) end
  if v.act == 'dead' then return set_dead(v.id, t.job, num(t.n), v.reason, own) end
  if overtaken(lane, v.id) then return set_superseded(v.id, t.job) end
  if t.cancel then return end_unsent(v.id, 'x', 'cancelled') end
  if t.expires and num(t.expires) <= now then return end_unsent(v.id, 'e', 'expired') end
  local place = num(t.place)
  if v.behind then place = place_behind(place) end
  redis.call('HSET', ticket_key(v.id), 'state', 'waiting', 'place', place, 'reason', v.reason,
    'not_before', now + v.wait_ms, 'conflicts', v.conflicts)
  if v.op then redis.call('HSET', ticket_key(v.id), 'op', v.op) end
  for _, field in ipairs({ 'solo', 'search' }) do
    if v[field] then redis.call('HSET', ticket_key(v.id), field, v[field])
    else redis.call('HDEL', ticket_key(v.id), field) end
  end
  wait_again(lane, v.id, place)
end

-- Throttled or failing accounts cool down; the wait doubles only for calls begun after the last cool-down.
local function cool(key, level_field, state)
  local c = get(key, level_field, 'cooled', 'cool', 'cool_why')
  if not c[level_field] then say(state, true, a.acct, '', a.reason) end
  local why = num(c.cool) > now and c.cool_why == 'throttled' and 'throttled' or a.signal
  local level = num(c[level_field])
  if now - a.began_ms >= num(c.cooled) then level = level + 1 end
  local wait = a.wait_ms or a.dice * math.min(a.cap_ms, a.base_ms * 2 ^ math.min(level, 16))
  redis.call('HSET', key, level_field, level, 'cooled', now, 'cool', math.max(num(redis.call('HGET', key, 'cool')),
    now + math.ceil(wait)), 'cool_why', why, 'probe', 'due')
end

-- A turn was one leads call that the dialer took: how long it was, with what goes round it, is the account's pace.
local l = get(lane_key(lane), 'token', 'acct', 'hold', 'began', 'one_by_one', 'group')
local first = doc.calls and doc.calls[1]
local tells_pace = first and string.sub(first.answer, 1, 1) == '2' and l.one_by_one ~= '1' and not doc.replay
  and string.sub(lane, 1, 6) == 'leads/'

local function signal()
  local key = acct_key(a.acct)
  if redis.call('HGET', key, 'probe') == token then
    if a.signal == 'none' then redis.call('HSET', key, 'probe', 'due') else redis.call('HDEL', key, 'probe') end
  end
  if a.signal == 'ok' then
    local c = get(key, 'cooled', 'cool', 'throttles', 'trips', 'call_ms')
    if tells_pace then keep_pace(a.acct, c.call_ms, now - num(l.began)) end
    if now - a.began_ms >= num(c.cooled) and num(c.cool) <= now then     -- a command may be out while leads cool
      if c.throttles or c.trips then recover(key, a.acct, c) end
      redis.call('HDEL', key, 'fails')
    end
  elseif a.signal == 'throttled' then cool(key, 'throttles', 'throttled')
  elseif a.signal == 'failed' then
    if redis.call('HINCRBY', key, 'fails', 1) >= a.fails then cool(key, 'trips', 'breaker') end
  -- Who holds it already, an operator for one, has said why.
  elseif a.signal == 'hold' then
    if redis.call('HEXISTS', key, 'hold') == 0 then hold('account', key, a.acct, '', a.reason) end
  elseif a.signal == 'hold_op' then
    if redis.call('HEXISTS', key, 'hold:' .. a.op) == 0 then hold('operation', key, a.acct, a.op, a.reason) end
  end
end

-- The server has forgotten the ticket: what its call brought is kept for whoever submits it again.
local function keep(v)
  local out, why = P .. ':out:' .. v.id, P .. ':why:' .. v.id
  redis.call('SET', out, merged(redis.call('GET', out) or v.codes, v.codes, true), 'PX', retention)
  for index, reason in pairs(v.why or {}) do redis.call('HSETNX', why, index, reason) end
  redis.call('PEXPIRE', why, retention)
end

local holder, stale, whole = doc.tickets[1].id, l.token ~= token, true
if doc.seq and want(lane, holder, doc.seq, true) then rescore(lane) end      -- the server had forgotten what is wanted
summed = {}
for i, v in ipairs(doc.tickets) do
  local t = get(ticket_key(v.id), 'token', 'job', 'n', 'state')
  if t.job and v.codes then
    record(v.id, t.job, num(t.n), v.codes, v.why, stale)
    if t.state == 'done' then expire_ticket(v.id) end        -- what was written just now has no clock yet
  elseif v.codes then keep(v) end
  if not stale and t.token == token then
    local over = move(v, i == 1 and not doc.replay and not doc.listed) ~= false
    if i == 1 then whole = over end
  end
end
local sums = summed
summed = nil
for acct, lanes in pairs(sums) do
  for name, leads in pairs(lanes) do count_waiting(name, acct, leads, 1) end
end
if stale and redis.call('HGET', ticket_key(holder), 'left') == token then
  return { 'left', false, is_whole(holder) and 1 or 0 }
end
for _, c in ipairs(doc.calls or {}) do note(lane, a.acct, token, doc.worker, c, doc.seq) end
if stale then return { 'stale', false, 0 } end
if redis.call('EXISTS', ticket_key(holder)) == 1 then redis.call('HSET', ticket_key(holder), 'left', token) end

signal()
redis.call('SREM', P .. ':flight:' .. l.acct, lane)
redis.call('DEL', P .. ':aboard:' .. lane)
redis.call('HSET', lane_key(lane), 'next', now + doc.rest_ms)
if doc.unsure_ms then redis.call('HSET', lane_key(lane), 'unsure:' .. a.op, now + doc.unsure_ms) end
if doc.hold and not l.hold then hold_lane(lane, l.acct, doc.hold) end
set_idle(lane)
rescore(lane)
rescore_account(l.acct)

-- A call that waits in the broker although threads are free now and then: each found its next turn without the broker.
local function call_that_waits()
  local id = redis.call('ZRANGE', P .. ':calls:turns', 0, 0)[1]
  local t = get(ticket_key(id or ''), 'lane', 'acct', 'sig')
  if not t.lane or t.sig then return nil end
  local of = get(lane_key(t.lane), 'state', 'ticket', 'group', 'until')
  if of.state ~= 'called' or of.ticket ~= id or num(of['until']) - CALL_MS > now - WAITED_MS then return nil end
  return call_anew(t.lane, id, t.acct, of.group)
end

-- The first lane that is due, of each account in turn.
local function call_due()
  local accounts = redis.call('ZCOUNT', P .. ':accounts', '-inf', now)
  local which = accounts > 0 and num(redis.call('GET', P .. ':callno:turns')) % accounts
  local acct = which and redis.call('ZRANGE', P .. ':accounts', which, which)[1]
  if not acct or redis.call('ZCOUNT', due_key(acct, 'control'), '-inf', now) > 0 then return nil end
  local first = redis.call('ZRANGEBYSCORE', due_key(acct, 'leads'), '-inf', now, 'LIMIT', 0, 1)[1]
  return first and (try_call(first))
end

-- A thread that was at work on leads is free: it gets a turn of another lane before any dispatcher looks.
local function call_next()
  if l.group ~= 'leads' or now < quiet then return nil end
  return call_that_waits() or call_due()
end
return { 'left', doc.may_call and (try_call(lane) or call_next()) or false, whole and 1 or 0 }
