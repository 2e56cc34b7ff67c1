-- claim.lua: one producer at a time fills the job of an idempotency key.
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  job
-- ARGV[2]  producer  unique name of whoever fills it, for this time
-- ARGV[3]  act       claim; renew: it is still at work; leave: it has gone, another may go on at once
-- ARGV[4]  gone_ms   a producer of which nothing was heard for so long has gone
-- ARGV[5]  before    a producer that may be replaced at once, if the job is still its; or ''
-- Returns 'ours'; or nothing has changed: 'sealed' (the job has all it will have), 'busy' (another is at work), 'lost'
-- (another has taken it over).
local key, me = P .. ':job:' .. ARGV[1], ARGV[2]
local j = get(key, 'sealed', 'by', 'seen')
if ARGV[3] ~= 'claim' then
  if j.by and j.by ~= me then return 'lost' end           -- nobody's: the server forgot the job
  redis.call('HSET', key, 'by', me, 'seen', ARGV[3] == 'leave' and 0 or now)
  return 'ours'
end
if j.sealed then return 'sealed' end
if j.by ~= me and j.by ~= ARGV[5] and now - num(j.seen) < num(ARGV[4]) then return 'busy' end
redis.call('HSET', key, 'by', me, 'seen', now)
return 'ours'
