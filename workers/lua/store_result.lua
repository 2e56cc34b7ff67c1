-- store_result.lua: writes a task's state, unless what is stored already says more, and tells who waits for it.
-- KEYS[1]  result  string  Celery's stored result (JSON), which is also the channel its waiters listen on
-- ARGV[1]  meta    string  the new one
-- ARGV[2]  ttl_s   integer seconds to keep it; 0 for ever
-- ARGV[3]  state   string  its state
-- A success gives way to a newer one only, when a person has settled or sent again what it counted. A failure or revocation gives way to another final state only, not to a late RETRY or
-- STARTED of a worker that was slower than the lane.
-- Returns 1 if written, 0 if what is stored stays.
local FINAL = {SUCCESS = true, FAILURE = true, REVOKED = true}

local stored = redis.call("GET", KEYS[1])
if stored then
  local readable, meta = pcall(cjson.decode, stored)
  local state = readable and type(meta) == "table" and meta.status
  if (state == "SUCCESS" and ARGV[3] ~= state) or (FINAL[state] and not FINAL[ARGV[3]]) then
    return 0
  end
end
redis.call("DEL", KEYS[1] .. ":nothing")  -- a write that takes no memory first: even a full server goes on then
if tonumber(ARGV[2]) > 0 then
  redis.call("SET", KEYS[1], ARGV[1], "EX", ARGV[2])
else
  redis.call("SET", KEYS[1], ARGV[1])
end
redis.call("PUBLISH", KEYS[1], ARGV[1])
return 1
