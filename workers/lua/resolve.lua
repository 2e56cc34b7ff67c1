-- resolve.lua: a person says what becomes of leads of which nobody knows whether they arrived.
-- needs: endings, outcomes, revival
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  ticket
-- ARGV[2]  delivered | discard | resend
-- ARGV[3]  why      the reason in the report, for the two first
-- ARGV[4]  JSON list of positions of leads in the ticket; '' for all that are uncertain
-- Returns {'settled', number of leads}, those that are not uncertain left out; or nothing has changed: {'aboard', 0}
-- (to be sent again, but a turn is at work on the ticket), {'lost', 0} (its payload is gone), {'unknown', 0}.
local DELIVERED = { import = 'c', update = 'u', remove = 'm' }        -- of a command: it is so
local id, act = ARGV[1], ARGV[2]
local t = get(ticket_key(id), 'state', 'job', 'op', 'reason')
local old = redis.call('GET', P .. ':out:' .. id)
if not t.state or not old then return { 'unknown', 0 } end
if act == 'resend' then
  if t.state == 'holding' or t.state == 'riding' then return { 'aboard', 0 } end
  if redis.call('EXISTS', P .. ':pay:' .. id) == 0 then return { 'lost', 0 } end
end

local code = act == 'resend' and '.' or act == 'discard' and 'f' or DELIVERED[t.op] or 'g'
local chosen, codes, n = ARGV[4] ~= '' and {} or nil, {}, 0
for _, position in ipairs(chosen and cjson.decode(ARGV[4]) or {}) do chosen[position + 1] = true end
for i = 1, #old do
  codes[i] = string.sub(old, i, i)
  if codes[i] == '?' and (not chosen or chosen[i]) then
    codes[i], n = code, n + 1
    if act == 'resend' then redis.call('HDEL', P .. ':why:' .. id, i - 1)
    else redis.call('HSET', P .. ':why:' .. id, i - 1, ARGV[3]) end
  end
end
if n == 0 then return { 'settled', 0 } end
store_codes(id, t.job, old, table.concat(codes))
if act == 'resend' then
  redis.call('HSET', ticket_key(id), 'resent', 1)
  if t.state == 'done' or t.state == 'dead' then revive(id) end
else
  local left = redis.call('PTTL', ticket_key(id))        -- a reason that is new lives as long as its ticket
  if left > 0 then redis.call('PEXPIRE', P .. ':why:' .. id, left) end
  tell_again(id)
end
return { 'settled', n }
