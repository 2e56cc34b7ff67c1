-- endings.lua: how long a ticket that has ended is kept, and what is still to be told of it (the finish list).

local function expire_ticket(id)
  for _, part in ipairs({ ':t:', ':pay:', ':out:', ':why:', ':pieces:' }) do redis.call('PEXPIRE', P .. part .. id, retention) end
end

-- A task that was cut has its result when all its pieces have theirs.
local function is_whole(id) return num(redis.call('GET', P .. ':pieces:' .. id)) <= 0 end

-- The counts of a task that has succeeded have changed: its result, or that of the task it is a piece of, is
-- written again.
local function tell_again(id)
  local t = get(ticket_key(id), 'of', 'state', 'end')
  if t.of then return tell_again(t.of) end
  if t.state == 'done' and t['end'] == 'ok' and is_whole(id) then redis.call('ZADD', P .. ':finish', now, id) end
end

-- Puts an ended ticket on the finish list, unless its own running task returns the result (`own`). Should that
-- die before, its message comes again, unless a twin has come for it meanwhile: then the list has it as well.
-- Returns whether its result is complete.
local function to_finish(id, own, wait)
  local t = get(ticket_key(id), 'of', 'twin')
  local of = t.of
  if own and t.twin then own, wait = false, CALL_MS end
  if of and redis.call('HSETNX', ticket_key(id), 'over', 1) == 1 then
    redis.call('DECR', P .. ':pieces:' .. of)
    local state = redis.call('HGET', ticket_key(of), 'state')
    if is_whole(of) and (state == 'done' or state == 'dead') then redis.call('ZADD', P .. ':finish', now, of) end
  elseif of then tell_again(of) end                -- it had ended before, and was tried again
  local whole = is_whole(id)
  if whole and not own then redis.call('ZADD', P .. ':finish', now + wait, id) end
  return whole
end
