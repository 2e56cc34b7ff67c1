-- jobs.lua: a job ends with its last ticket, and opens again.
-- needs: commands

local enter_kept             -- commands.lua has it: a command may wait for the end of a job

local function end_job_if_over(job)
  local key = P .. ':job:' .. job
  local j = get(key, 'sealed', 'batches', 'done', 'dead_tickets', 'ended', 'key')
  if not j.sealed or num(j.done) + num(j.dead_tickets) < num(j.batches) then return end
  if not j.ended then
    redis.call('HSET', key, 'ended', now)
    for _, id in ipairs(redis.call('LRANGE', P .. ':then:' .. job, 0, -1)) do enter_kept(id) end
    redis.call('DEL', P .. ':then:' .. job)
  end
  if num(j.dead_tickets) > 0 then return end       -- a person may still revive them
  redis.call('PEXPIRE', key, retention)
  redis.call('PEXPIRE', P .. ':batches:' .. job, retention)
  if j.key then redis.call('PEXPIRE', P .. ':key:' .. j.key, retention) end
end

-- The job is no longer over, and nothing of it has a clock.
local function reopen_job(job)
  local key = P .. ':job:' .. job
  redis.call('HDEL', key, 'ended')
  redis.call('PERSIST', key)
  redis.call('PERSIST', P .. ':batches:' .. job)
  redis.call('PERSIST', P .. ':key:' .. (redis.call('HGET', key, 'key') or ''))
end
