-- store_result.lua: writes the states of tasks, unless what is stored already says more, and tells who waits for them.
-- KEYS     results string  Celery's stored results (JSON), which are also the channels their waiters listen on
-- ARGV[1]  ttl_s   integer seconds to keep them; 0 for ever
-- ARGV[2i] meta    string  the i-th new one;  ARGV[2i + 1]  state  string  its state
-- A success gives way to a newer one only, when a person has settled or sent again what it counted. A failure or
-- revocation gives way to another final state only, not to a late RETRY or STARTED of a worker that was slower than the
-- lane.
-- Returns how many were written; the others stay as they are stored.
local FINAL = {SUCCESS = true, FAILURE = true, REVOKED = true}
local written = 0

redis.call("DEL", KEYS[1] .. ":nothing")  -- a write that takes no memory first: even a full server goes on then

for i, key in ipairs(KEYS) do
  local meta, state, stays = ARGV[2 * i], ARGV[2 * i + 1], false
  local stored = redis.call("GET", key)
  if stored then
    local readable, known = pcall(cjson.decode, stored)
    local was = readable and type(known) == "table" and known.status
    stays = (was == "SUCCESS" and state ~= was) or (FINAL[was] and not FINAL[state])
  end
  if not stays then
    if tonumber(ARGV[1]) > 0 then redis.call("SET", key, meta, "EX", ARGV[1]) else redis.call("SET", key, meta) end
    redis.call("PUBLISH", key, meta)
    written = written + 1
  end
end
return written
