-- lanes.lua: whose turn is next in a lane, and when.
-- needs: states, accounts, optouts, tickets

-- The ticket whose turn is next, or nil. Expired ones met on the way end here.
-- Every tenth turn goes to the bulk class if the head's epoch has such a ticket.
local function head(lane)
  local wait = P .. ':wait:' .. lane
  while true do
    local first = redis.call('ZRANGE', wait, 0, 0, 'WITHSCORES')
    local id = first[1]
    if not id then return nil end
    if num(first[2]) >= 0 and num(redis.call('HGET', lane_key(lane), 'turns')) % BULK_TURN == BULK_TURN - 1 then
      local band = (math.floor(num(first[2]) / (3 * SEQ)) * 3 + 2) * SEQ
      id = redis.call('ZRANGEBYSCORE', wait, band, band + SEQ - 1, 'LIMIT', 0, 1)[1] or id
    end
    local expires = redis.call('HGET', ticket_key(id), 'expires')
    if not expires or num(expires) > now then return id end
    redis.call('ZREM', wait, id)
    end_unsent(id, 'e', 'expired')
  end
end

-- From now on the lane is of this account: the one of its due head, or of its turn.
local function belong(lane, l, acct)
  if l.acct == acct then return end
  if l.acct then
    redis.call('ZREM', due_key(l.acct, l.group), lane)
    rescore_account(l.acct)
  end
  redis.call('HSET', lane_key(lane), 'acct', acct)
end

-- Puts the lane where its next action belongs, and its account with it. A lane that is called or held stands
-- apart from the due ones: calls get overdue and turns end also while their account is held, cools or has no
-- slot, or what they occupy would never be free again.
local function rescore(lane)
  local l = get(lane_key(lane), 'state', 'hold', 'next', 'until', 'acct', 'group')
  if not l.state then return end
  if l.state ~= 'idle' then
    redis.call('ZADD', P .. ':timers', num(l['until']), lane)
    if redis.call('ZREM', due_key(l.acct, l.group), lane) == 1 then rescore_account(l.acct) end
    return
  end
  redis.call('ZREM', P .. ':timers', lane)
  local acct, at
  if not l.hold then
    local id = head(lane)
    if id then
      local t = get(ticket_key(id), 'acct', 'op', 'not_before')
      acct, at = t.acct, math.max(num(l.next), num(t.not_before))
      if redis.call('HEXISTS', acct_key(acct), 'hold:' .. t.op) == 1 then
        redis.call('ZADD', P .. ':held:' .. acct .. ':' .. t.op, at, lane)
        at = nil
      end
      local scope = at and hushed_by(lane)
      if scope then
        redis.call('ZADD', P .. ':hushed:' .. scope, at, lane)
        at = nil
      end
    end
  end
  if at then
    belong(lane, l, acct)
    redis.call('ZADD', due_key(acct, l.group), at, lane)
    rescore_account(acct)
  elseif l.acct and redis.call('ZREM', due_key(l.acct, l.group), lane) == 1 then rescore_account(l.acct) end
end

-- What the lanes in `key` (P:held or P:hushed) waited for is over. A hundred go on at once, the others as dispatchers
-- run, so that no script takes long, unless what they waited for begins again before.
function free_lanes(key)
  for i, lane in ipairs(redis.call('ZPOPMIN', key, 100)) do
    if i % 2 == 1 then rescore(lane) end                        -- else its score
  end
  if redis.call('EXISTS', key) == 1 then redis.call('ZADD', P .. ':freed', now, key)
  else redis.call('ZREM', P .. ':freed', key) end
end

local function hold_lane(lane, acct, reason)
  hold('lane', lane_key(lane), acct, lane, reason)
  redis.call(reason == '' and 'SREM' or 'SADD', P .. ':holds', lane)
end

local function set_idle(lane)
  redis.call('HSET', lane_key(lane), 'state', 'idle')
  redis.call('HDEL', lane_key(lane), 'ticket', 'token', 'until', 'lease', 'deadline', 'cancel', 'hurry')
end
