-- states.lua: what is on hold, and what else begins and ends for an account; each is written down, to be said once.

-- Writes down that a state of an account begins or ends: account, operation or lane (on hold; `of` names the latter
-- two), throttled, breaker, full, or, of all accounts, quiet. A dispatcher says it, one for the fleet (dispatch.lua).
local function say(state, begins, acct, of, why)
  local how = begins and 'begins' or 'ends'
  redis.call('XADD', P .. ':states', 'MAXLEN', '~', 1000, '*', 'state', state, 'how', how, 'acct', acct or '', 'of', of or '',
    'why', why or '', 'at', now)
  redis.call('HINCRBY', P .. ':changes', state .. ':' .. how .. ':' .. (acct or ''), 1)
  redis.call('HSET', P .. ':clock', 'unsaid', 1)
end

-- Holds (an empty reason: releases) an account, an operation of it, or a lane, and says so if that is a change.
local function hold(state, key, acct, of, reason)
  local field = state == 'operation' and 'hold:' .. of or 'hold'
  local before = redis.call('HGET', key, field) or ''
  if reason == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, reason) end
  if state == 'operation' and reason ~= '' then redis.call('ZREM', P .. ':freed', P .. ':held:' .. acct .. ':' .. of) end
  if (before == '') ~= (reason == '') then say(state, before == '', acct, of, before .. reason) end
end

-- An account is throttled and its breaker open no more; c holds what was of throttles and trips.
local function recover(key, acct, c)
  redis.call('HDEL', key, 'throttles', 'trips', 'cool_why')
  if c.throttles then say('throttled', false, acct) end
  if c.trips then say('breaker', false, acct) end
end

-- A producer was refused: as many leads wait as may, of the account (`of` is 'all') or of a lane; one of them is told.
local function begin_full(acct, of)
  redis.call('HSET', acct_key(acct), 'full', of)
  say('full', true, acct, of ~= 'all' and of or '')
end

local function end_full(acct)
  if redis.call('HDEL', acct_key(acct), 'full') == 1 then say('full', false, acct) end
end
