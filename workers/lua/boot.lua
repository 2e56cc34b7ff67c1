-- boot.lua: said by every new connection before anything else: which server this is.
-- needs: states
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  run_id of the server
-- A server that is not the one we knew may have lost its last writes, a call in flight among them: no lane
-- gets a turn until such a call must be over. A clean stop leaves a marker that is consumed here. One that no fleet
-- ever knew holds nothing whose waiting leads have not been counted (counting.py).
-- Returns ms of quiet that are left.
local c = get(P .. ':clock', 'run_id', 'clean', 'lost')
local longest = now + num(c.lost)
local crashed = c.run_id and c.run_id ~= ARGV[1] and not c.clean
if crashed or quiet > longest then              -- further away than it may be: the clock went back
  quiet = longest
  even_if_full()
  redis.call('HSET', P .. ':clock', 'quiet', quiet)
end
if crashed then
  redis.call('HSET', P .. ':clock', 'hushed', 1)
  say('quiet', true, '')
end
if c.run_id ~= ARGV[1] then
  even_if_full()
  redis.call('HSET', P .. ':clock', 'run_id', ARGV[1])
  if not c.run_id then redis.call('HSET', P .. ':clock', 'counted', 1) end
  redis.call('HDEL', P .. ':clock', 'clean')
end
return math.max(quiet - now, 0)
