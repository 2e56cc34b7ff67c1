-- hold.lua: hold or release an account, one operation of it, or a lane.
-- needs: accounts, lanes
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  account | operation | lane
-- ARGV[2]  account name, or lane
-- ARGV[3]  operation (for operation), else ''
-- ARGV[4]  reason; '' releases
-- Returns 1 if something changed, else 0.
local what, name, op, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local key = what == 'lane' and lane_key(name) or acct_key(name)
local field = what == 'operation' and 'hold:' .. op or 'hold'
local before = redis.call('HGET', key, field)
if what == 'lane' then
  hold_lane(name, reason)
  rescore(name)
else
  if reason == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, reason) end
  if what == 'account' and reason == '' then redis.call('HDEL', key, 'cool', 'cool_why', 'probe', 'fails', 'throttles', 'trips') end
  if what == 'operation' and reason == '' then
    local held = P .. ':held:' .. name .. ':' .. op
    for _, lane in ipairs(redis.call('ZRANGE', held, 0, -1)) do rescore(lane) end
    redis.call('DEL', held)
  end
  rescore_account(name)
end
return (before or '') ~= reason and 1 or 0
