-- outcomes.lua: what became of each lead, and what is counted of it.

local FINAL = { 'c', 'C', 'd', 'a', 'u', 'm', 'r', 'i', 's', 'e', 'x', 'f', '%?', 'g', 'o' }

local function count_codes(job, codes, sign)
  for _, code in ipairs(FINAL) do
    if string.find(codes, code) then
      local _, n = string.gsub(codes, code, '')
      redis.call('HINCRBY', P .. ':job:' .. job, 'n:' .. string.sub(code, -1), sign * n)
    end
  end
end

-- The first definite outcome of a lead wins; only pending (.~,:) and uncertain (?) may still move.
-- A stale writer only adds to what is known: it never makes a lead unsent again.
local function merged(old, new, stale)
  if not stale and not string.find(old, '[^.~,:]') then return new end
  local out = {}
  for i = 1, #old do
    local o, n = string.sub(old, i, i), string.sub(new, i, i)
    local settles = not string.find('.~,:', n, 1, true)
    local open = string.find('.~,:', o, 1, true) and (settles or not stale or o == '.') or (o == '?' and settles)
    out[i] = open and n or o
  end
  return table.concat(out)
end

local function pending_of(codes)
  local _, n = string.gsub(codes, '[.~,:]', '')
  return n
end

-- Stores codes, and with them what is counted: outcomes, tickets with uncertain leads, what a dead one has pending.
local function store_codes(id, job, old, new)
  redis.call('SET', P .. ':out:' .. id, new, 'KEEPTTL')
  count_codes(job, old, -1)
  count_codes(job, new, 1)
  if string.find(new, '?', 1, true) then redis.call('ZADD', P .. ':uncertain', 'NX', now, id)
  elseif string.find(old, '?', 1, true) then redis.call('ZREM', P .. ':uncertain', id) end
  local t = get(ticket_key(id), 'state', 'pending')
  if t.state == 'dead' then                        -- its pending leads are counted as dead
    local pending = pending_of(new)
    redis.call('HINCRBY', P .. ':job:' .. job, 'dead', pending - num(t.pending))
    redis.call('HSET', ticket_key(id), 'pending', pending)
  end
end

local function record(id, job, size, codes, why, stale)
  local old = redis.call('GET', P .. ':out:' .. id) or string.rep('.', size)
  local new = merged(old, codes, stale)
  if new ~= old then store_codes(id, job, old, new) end
  for index, reason in pairs(why or {}) do
    local i = tonumber(index)                      -- of a lead, if it is as this writer says; or of an outcome
    if not i or string.sub(new, i + 1, i + 1) == string.sub(codes, i + 1, i + 1) then
      redis.call('HSETNX', P .. ':why:' .. id, index, reason)
    end
  end
  return new
end
