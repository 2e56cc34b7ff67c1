-- accounts.lua: holds, cool-downs and rates: when an account may call.

-- Until when the account cools. The dialer's own 429 is obeyed by all; what we spare it after failures, and the
-- probe after it, are for leads: a stop does not wait for them.
local function cools_until(a, group)
  return (group ~= 'control' or a.cool_why ~= 'failed') and num(a.cool) or 0
end

local function rescore_account(acct)
  local a = get(acct_key(acct), 'hold', 'cool', 'cool_why')
  local at
  for _, group in ipairs({ 'control', 'leads' }) do
    local first = redis.call('ZRANGE', due_key(acct, group), 0, 0, 'WITHSCORES')[2]
    if first then at = math.min(at or math.huge, math.max(num(first), cools_until(a, group))) end
  end
  if at and not a.hold then redis.call('ZADD', P .. ':accounts', at, acct)
  else redis.call('ZREM', P .. ':accounts', acct) end
end

-- Each rate window of an account is a GCRA: gcra holds "T:tolerance,..." in ms, tat<i> its state.
-- A tat further away than a taken slot can put it (the clock went back) is pulled in, once and for good: to
-- pull in only what is read would keep it that far away for ever.
local function each_window(acct, gcra, visit)
  local i = 0
  for t, tolerance in string.gmatch(gcra or '', '([%d.]+):([%d.]+)') do
    i = i + 1
    local step, slack = num(t), num(tolerance)
    local tat = math.max(num(redis.call('HGET', acct_key(acct), 'tat' .. i)), now)
    if tat > now + slack + step + 1 then
      tat = now + slack + step
      redis.call('HSET', acct_key(acct), 'tat' .. i, tat)
    end
    visit('tat' .. i, tat, step, slack)
  end
end

-- When one more turn of the account may begin, `ahead` of them being called already; now if at once.
local function admitted_at(acct, group, ahead)
  local a = get(acct_key(acct), 'hold', 'cool', 'cool_why', 'probe', 'gcra', 'flight')
  if a.hold then return now + CALL_MS end
  if cools_until(a, group) > now then return num(a.cool) end
  if a.probe and group ~= 'control' and (a.probe ~= 'due' or ahead > 0) then return now + 500 end
  local cap = num(a.flight)
  if cap > 0 then
    if cap > 1 and group ~= 'control' then cap = cap - 1 end
    if redis.call('SCARD', P .. ':flight:' .. acct) + ahead >= cap then return now + 500 end
  end
  local at = now
  each_window(acct, a.gcra, function(_, tat, step, slack) at = math.max(at, math.ceil(tat + ahead * step - slack)) end)
  return at
end

local function take_slot(acct)
  each_window(acct, redis.call('HGET', acct_key(acct), 'gcra') or '', function(field, tat, step)
    redis.call('HSET', acct_key(acct), field, string.format('%.3f', tat + step))
  end)
end
