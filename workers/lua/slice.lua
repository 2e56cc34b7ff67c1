-- slice.lua: a turn that sends one lead a call: record the call that has ended, and let the next one go.
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  lane
-- ARGV[2]  ticket
-- ARGV[3]  token
-- ARGV[4]  position of the lead whose call has ended, or -1
-- ARGV[5]  its outcome code
-- ARGV[6]  its reason, or ''
-- ARGV[7]  position of the lead whose call is to begin, or -1
-- The lead that begins is marked as sent and unanswered ('~') before it leaves: what a crash leaves is exact.
-- Returns -1 if the turn is over for this process (lost, the ticket is cancelled, or opt-outs of the lane's scope
-- are being taken in), else ms until the call may begin; 0: the slot of the account's rate is taken, it begins
-- now. An account that was put on hold or cools down meanwhile has its slices wait as well.
local lane, id, token, position, begins = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[7])
local t = get(ticket_key(id), 'job', 'n', 'token', 'cancel', 'acct', 'op', 'state')
local ours = t.token == token and redis.call('HGET', lane_key(lane), 'token') == token

local function put(at, code, why)
  local codes = redis.call('GET', P .. ':out:' .. id) or string.rep('.', num(t.n))
  record(id, t.job, num(t.n), string.sub(codes, 1, at) .. code .. string.sub(codes, at + 2), why, not ours)
  if t.state == 'done' then expire_ticket(id) end        -- what was written just now has no clock yet
end

if t.job and position >= 0 then put(position, ARGV[5], ARGV[6] ~= '' and { [ARGV[4]] = ARGV[6] } or nil) end
if not ours then return -1 end
redis.call('HDEL', ticket_key(id), 'open', 'lost')       -- its codes say what is known of each lead
if t.cancel then return -1 end
if begins < 0 then return 0 end
if hushed_by(lane) then return -1 end
local a = get(acct_key(t.acct), 'hold', 'hold:' .. t.op, 'cool', 'gcra')
local at = math.max(now, num(a.cool), (a.hold or a['hold:' .. t.op]) and now + CALL_MS or 0)
each_window(t.acct, a.gcra, function(_, tat, _, slack) at = math.max(at, math.ceil(tat - slack)) end)
if at > now then return at - now end
take_slot(t.acct)
put(begins, '~')
return 0
