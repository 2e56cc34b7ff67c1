-- open.lua: begin a job, or go on with it.
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  job
-- ARGV[2]  1 if it is of leads; 0 if of a command: that has one ticket, is sealed from the start, and in no list of jobs
-- ARGV[3]  job that it takes back, or ''
-- ARGV[4..] fields and values: acct, campaign, lane, op; perhaps key (hidden idempotency key), undoes (as above) and by
--           (the producer that fills it, where the job is new and nobody else can)
local key = P .. ':job:' .. ARGV[1]
redis.call('HSET', key, 'v', 1, 'seen', now, unpack(ARGV, 4))
redis.call('HSETNX', key, 'created', now)
if ARGV[2] == '1' then redis.call('ZADD', P .. ':jobs', 'NX', now, ARGV[1])
else redis.call('HSETNX', key, 'sealed', now) end
if ARGV[3] ~= '' then redis.call('HSET', P .. ':job:' .. ARGV[3], 'undone_by', ARGV[1]) end
