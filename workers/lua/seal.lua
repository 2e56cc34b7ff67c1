-- seal.lua: a job has all its batches; it ends when they have.
-- needs: jobs
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  job
-- ARGV[2]  1 if it is cancelled: batches that come all the same are cancelled, too (submit.lua); else 0
-- Returns its number of leads.
even_if_full()
local key = P .. ':job:' .. ARGV[1]
redis.call('HSET', key, 'sealed', now)
if ARGV[2] == '1' then redis.call('HSET', key, 'cancel', 1) end
end_job_if_over(ARGV[1])
return num(redis.call('HGET', key, 'leads'))
