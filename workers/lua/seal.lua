-- seal.lua: a job has all its batches; it ends when they have.
-- needs: jobs
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  job
-- Returns its number of leads.
local key = P .. ':job:' .. ARGV[1]
redis.call('HSET', key, 'sealed', now)
end_job_if_over(ARGV[1])
return num(redis.call('HGET', key, 'leads'))
