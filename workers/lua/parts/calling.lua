-- calling.lua: call the ticket whose turn has come.
-- needs: accounts, optouts, tickets, lanes

-- What a publisher needs: id, queue, call number, operation, account, campaign, job, leads, class, signature, and ms
-- until the turn may begin.
local function call_row(id, queue, number, early)
  local t = redis.call('HMGET', ticket_key(id), 'op', 'acct', 'campaign', 'job', 'n', 'class', 'sig')
  return { id, queue, number, t[1], t[2], t[3], t[4], t[5], t[6], t[7] or '', early or 0 }
end

local function mark_called(lane, id, acct, group, early)
  local queue = queue_of(group)
  local number = redis.call('INCR', P .. ':callno:' .. queue)
  redis.call('HSET', ticket_key(id), 'state', 'called', 'call', number)
  belong(lane, get(lane_key(lane), 'acct', 'group'), acct)
  redis.call('HSET', lane_key(lane), 'state', 'called', 'ticket', id, 'until', now + CALL_MS)
  redis.call('ZADD', P .. ':calls:' .. queue, number, id)
  redis.call('ZADD', P .. ':called:' .. acct, number, id)
  rescore(lane)
  return call_row(id, queue, number, early)
end

-- The ticket is called once more: its message is gone, or waits where no thread is free.
local function call_anew(lane, id, acct, group)
  uncall(id, acct, group)
  return mark_called(lane, id, acct, group)
end

-- The called ticket goes back to waiting; the lane is free again.
local function take_back_call(lane, id, acct, group)
  uncall(id, acct, group)
  redis.call('HSET', ticket_key(id), 'state', 'waiting')
  set_idle(lane)
  rescore(lane)
end

-- Calls the head if its turn has come and account, rate and slots admit it.
-- Returns the call row; or nil and, if something beyond the lane stands in the way,
-- 'account' with the time from which it may and its name, or 'slots', or 'quiet'. One that is due within `soon` ms is
-- called too: its task waits in a thread of the caller, and enters when the time has come.
local function try_call(lane, soon)
  if now < quiet then return nil, 'quiet' end
  local l = get(lane_key(lane), 'state', 'hold', 'next', 'group')
  if l.state ~= 'idle' or l.hold then return nil end
  local id = head(lane)
  if not id then return nil end
  local t = get(ticket_key(id), 'acct', 'op', 'not_before', 'sig')
  local early = math.max(num(l.next), num(t.not_before), now) - now
  if early > (t.sig and 0 or soon or 0) then return nil end      -- a task with a signature goes through the broker
  if redis.call('HEXISTS', acct_key(t.acct), 'hold:' .. t.op) == 1 or hushed_by(lane) then return nil end
  local queue, ahead = queue_of(l.group), redis.call('ZCARD', P .. ':called:' .. t.acct)
  if l.group == 'control' then ahead = math.min(ahead, redis.call('ZCARD', P .. ':calls:control')) end  -- before all leads
  local at = admitted_at(t.acct, l.group, ahead)
  if at > now then return nil, 'account', at, t.acct end
  if redis.call('ZCARD', P .. ':calls:' .. queue) >= num(redis.call('HGET', P .. ':slots:' .. queue, 'sum')) then
    return nil, 'slots'
  end
  return mark_called(lane, id, t.acct, l.group, early)
end

-- A call ahead of its time makes room for an urgent ticket that has come since.
local function give_way(lane)
  local l = get(lane_key(lane), 'state', 'ticket', 'next', 'group')
  if l.state == 'called' and num(l.next) > now then take_back_call(lane, l.ticket, redis.call('HGET', ticket_key(l.ticket), 'acct'), l.group) end
end
