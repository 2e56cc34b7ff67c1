-- slice.lua: a turn that sends one lead a call: record the call that has ended, and let the next one go.
-- needs: made, accounts, endings, outcomes, optouts
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  lane
-- ARGV[2]  token
-- ARGV[3]  ticket of the lead whose call has ended, or ''
-- ARGV[4]  its position in the ticket
-- ARGV[5]  its outcome code
-- ARGV[6]  its reason, or ''
-- ARGV[7]  ticket of the lead whose call is to begin, or ''
-- ARGV[8]  its position in the ticket
-- ARGV[9]  JSON {acct, worker, call that has ended, as `note` in lane.lua takes it}, or '' if none was made
-- The lead that begins is marked as sent and unanswered ('~') before it leaves: what a crash leaves is exact.
-- Returns -1 if the turn is over for this process (lost, or opt-outs of the lane's scope are being taken in); -2 if
-- the ticket of the lead that is to begin is cancelled; else ms until the call may begin; 0: the slot of the account's
-- rate is taken, it begins now. An account that was put on hold or cools down meanwhile has its slices wait as well.
even_if_full()
local lane, token = ARGV[1], ARGV[2]
local ours = redis.call('HGET', lane_key(lane), 'token') == token

local function put(id, at, code, why)
  local t = get(ticket_key(id), 'job', 'n', 'state', 'token')
  if not t.job then return end
  local aboard = ours and t.token == token
  local codes = redis.call('GET', P .. ':out:' .. id) or string.rep('.', num(t.n))
  record(id, t.job, num(t.n), string.sub(codes, 1, at) .. code .. string.sub(codes, at + 2), why, not aboard)
  if t.state == 'done' then expire_ticket(id) end        -- what was written just now has no clock yet
  if aboard then redis.call('HDEL', ticket_key(id), 'open', 'lost') end       -- its codes say what is known of each lead
end

if ARGV[3] ~= '' then put(ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6] ~= '' and { [ARGV[4]] = ARGV[6] } or nil) end
local took
if ARGV[9] ~= '' then
  local made = cjson.decode(ARGV[9])
  note(lane, made.acct, token, made.worker, made.call)
  took = string.sub(made.call.answer, 1, 1) == '2' and made.call.began - made.call.ended
end
if not ours then return -1 end
if ARGV[7] == '' then return 0 end
if hushed_by(lane) then return -1 end
local t = get(ticket_key(ARGV[7]), 'token', 'cancel', 'acct', 'op')
if t.token ~= token or t.cancel then return -2 end
local a = get(acct_key(t.acct), 'hold', 'hold:' .. t.op, 'cool', 'gcra', 'call_ms')
if took then keep_pace(t.acct, a.call_ms, took) end
local at = math.max(now, num(a.cool), (a.hold or a['hold:' .. t.op]) and now + CALL_MS or 0)
each_window(t.acct, a.gcra, function(_, tat, _, slack) at = math.max(at, math.ceil(tat - slack)) end)
if at > now then return at - now end
take_slot(t.acct)
put(ARGV[7], tonumber(ARGV[8]), '~')
return 0
