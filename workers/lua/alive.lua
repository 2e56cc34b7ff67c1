-- alive.lua: a worker process says that it lives, or that it goes.
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  worker
-- ARGV[2]  ms for which this holds; 0 says goodbye
-- ARGV[3..] queue, slots, queue, slots ...: calls of that queue the process can work on at once
-- Returns the number of living workers.
even_if_full()
if ARGV[2] == '0' then redis.call('ZREM', P .. ':workers', ARGV[1])
else
  redis.call('ZADD', P .. ':workers', now + tonumber(ARGV[2]), ARGV[1])
  redis.call('HSET', P .. ':clock', 'heard', now + tonumber(ARGV[2]))
end
-- One that counts as alive for longer than a worker says: the clock went back. It says so again if it lives.
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. ':workers', '(' .. now + 120000, '+inf', 'LIMIT', 0, 10)) do
  redis.call('ZADD', P .. ':workers', now + 120000, worker)
end
for i = 3, #ARGV, 2 do
  local key, slots = P .. ':slots:' .. ARGV[i], tonumber(ARGV[i + 1])
  if ARGV[2] == '0' then slots = 0 end
  local before = num(redis.call('HGET', key, ARGV[1]))
  if slots == 0 then redis.call('HDEL', key, ARGV[1]) else redis.call('HSET', key, ARGV[1], slots) end
  redis.call('HINCRBY', key, 'sum', slots - before)
end
-- The last to leave, with no turn under way, marks the stop as clean: nothing is in flight that a server which
-- restarts may have forgotten (boot.lua). Whoever comes takes the marker away.
local function in_turn()
  for _, acct in ipairs(redis.call('SMEMBERS', P .. ':names')) do
    if redis.call('SCARD', P .. ':flight:' .. acct) > 0 then return true end
  end
  return false
end
if ARGV[2] ~= '0' then redis.call('HDEL', P .. ':clock', 'clean')
elseif redis.call('ZCOUNT', P .. ':workers', now, '+inf') == 0 and not in_turn() then redis.call('HSET', P .. ':clock', 'clean', 1) end
return redis.call('ZCARD', P .. ':workers')
