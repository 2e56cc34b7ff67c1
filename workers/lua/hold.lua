-- hold.lua: hold or release an account, one operation of it, or a lane.
-- needs: states, accounts, lanes
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  account | operation | lane
-- ARGV[2]  account name, or lane
-- ARGV[3]  operation (for operation), else ''
-- ARGV[4]  reason; '' releases
-- ARGV[5]  account the lane is of, as far as the caller knows (for lane), else ''
-- ARGV[6]  the hold whose place it takes, '' for none: another one stays. '*' takes the place of any.
-- Returns 1 if something changed, else 0.
even_if_full()
local what, name, op, reason, whose = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = what == 'lane' and lane_key(name) or acct_key(name)
local before = redis.call('HGET', key, what == 'operation' and 'hold:' .. op or 'hold') or ''
if ARGV[6] ~= '*' and before ~= ARGV[6] then return 0 end
if what == 'lane' then
  hold_lane(name, redis.call('HGET', key, 'acct') or whose, reason)
  rescore(name)
else
  hold(what, key, name, what == 'operation' and op or '', reason)
  if what == 'account' and reason == '' then
    recover(key, name, get(key, 'throttles', 'trips'))
    redis.call('HDEL', key, 'cool', 'probe', 'fails')
  end
  if what == 'operation' and reason == '' then free_lanes(P .. ':held:' .. name .. ':' .. op) end
  rescore_account(name)
end
return before ~= reason and 1 or 0
