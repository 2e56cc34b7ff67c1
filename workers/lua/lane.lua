-- lane.lua: what the lane scripts share; the loader puts it before each of them.
-- KEYS[1]  the prefix P, of which every key is built (one primary, no cluster):
--   P:clock            hash  run_id of the server, quiet (ms until which no turn is given), lost (ms),
--                            retention (ms), clean (the last worker has left in peace), ledger (entries of P:made),
--                            offset (ms; model test only)
--   P:t:<ticket>       hash  a ticket; expires `retention` after its final state, like its three next:
--   P:pay:<ticket>     string  payload: the leads, packed
--   P:out:<ticket>     string  one outcome code per lead; absent while all are unsent
--   P:why:<ticket>     hash  lead index, or outcome code, -> reason; of a command also facts by name
--   P:lane:<lane>      hash  state idle|called|held and what belongs to it
--                            (of a state lane also want, the newest command, want_seq, last_seq given, hurry: a pause
--                            or stop waits, and unsure:<operation>: ms until which a lost one may still run)
--   P:kept:<lane>      set   commands that wait for the end of a job; P:then:<job> list of those that wait for it
--   P:wait:<lane>      zset  waiting and called tickets by place: (epoch * 3 + class) * 2^30 + number;
--                            those at the very front have -2^30 + number
--   P:aboard:<lane>    list  tickets of the turn, holder first
--   P:due:<account>:<group>   zset  free lane with work -> ms of its next turn; group is control or leads
--   P:timers           zset  called or held lane -> ms when its call is overdue, its turn over
--   P:held:<account>:<op>     zset  lanes whose head may not go on while the operation is held
--   P:accounts         zset  account -> ms when one of its lanes is due; one on hold is not in it
--   P:holds            set   lanes on hold, by an operator or because their campaign takes no leads
--   P:names            set   accounts that workers have published
--   P:acct:<account>   hash  public facts, hold, hold:<op>, cool-down, probe, tat<i> of the rate limit
--   P:called:<account> zset  tickets called and not yet come;  P:calls:<queue> the same per queue, by call number
--   P:flight:<account> set   lanes held by a turn
--   P:came:<queue>     int   highest call number that has come; P:callno:<queue> the last one given
--   P:workers          zset  worker -> ms until which it counts as alive; P:slots:<queue> hash worker -> slots, and sum
--   P:told:<ticket>    string  somebody is telling the end of this ticket to tasks that wait for it; expires in 30 s
--   P:finish           zset  ended tickets whose Celery result is still to be written -> ms when a dispatcher may
--   P:pieces:<ticket>  int   pieces still on their way of a task that was cut (its last piece is the ticket)
--   P:unturned:<scope> set   opt-out tickets of the scope that are not in its entries yet: none of its lanes is called
--   P:hushed:<scope>   set   lanes that wait for that;  P:scopes set of scopes in which anybody has opted out
--   P:optout:<scope>   hash  hidden number -> ms and source of its opt-out (workers/optouts.py, like the next two)
--   P:had:<lane>:<month>  string  six bytes of each hidden number called in; expires 100 days after the last call
--   P:reached          hash  lane that has such strings -> account that called last
--   P:hashkey          string  key of hidden numbers, if workers were given none; P:hashprint what tells it from others
--   P:made             stream  the call ledger: one entry per call to a dialer, some `ledger` of them (see note)
--   P:dead             zset  dead tickets -> ms of death
--   P:uncertain        zset  tickets with leads of which nobody knows whether they arrived -> ms of the first of them;
--                            those that have expired meanwhile are swept
--   P:job:<job>        hash  counters; P:batches:<job> list of its tickets;
--   P:key:<key>        string  idempotency key -> job; these three expire `retention` after the job's end,
--                            while no ticket of it is dead
local P = KEYS[1]
local CALL_MS, IN_VAIN, BULK_TURN, SEQ, NOBODY = 5000, 3, 10, 2 ^ 30, '*'
local FINAL = { 'c', 'C', 'd', 'a', 'u', 'm', 'r', 'i', 's', 'e', 'x', 'f', '%?', 'g', 'o' }

local clock = redis.call('HMGET', P .. ':clock', 'offset', 'quiet', 'retention', 'ledger')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + (tonumber(clock[1]) or 0)
local quiet = tonumber(clock[2]) or 0
local retention = tonumber(clock[3]) or 604800000

local function num(x) return tonumber(x) or 0 end
local function ticket_key(id) return P .. ':t:' .. id end
local function lane_key(lane) return P .. ':lane:' .. lane end
local function acct_key(acct) return P .. ':acct:' .. acct end
local function due_key(acct, group) return P .. ':due:' .. acct .. ':' .. group end
local function queue_of(group) return group == 'control' and 'control' or 'turns' end

local function get(key, ...)
  local values, out = redis.call('HMGET', key, ...), {}
  for i, field in ipairs({ ... }) do out[field] = values[i] or nil end
  return out
end

-- The call ledger -----------------------------------------------------------------------------

-- Writes a call to a dialer: c is {n: it is the n-th of its turn, op, size, began and ended as ms ago, answer: status,
-- 'none', or 'lost' if its worker never told}. Calls that are written twice have one name, token/n.
local function note(lane, acct, token, worker, c, seq)
  redis.call('XADD', P .. ':made', 'MAXLEN', '~', tonumber(clock[4]) or 100000, '*', 'lane', lane, 'acct', acct,
    'op', c.op, 'size', c.size, 'start', now - c.began, 'ms', c.began - c.ended, 'answer', c.answer,
    'call', token .. '/' .. c.n, 'worker', worker or '', 'seq', seq or '')
end

-- Accounts ------------------------------------------------------------------------------------

-- Until when the account cools. The dialer's own 429 is obeyed by all; what we spare it after failures, and the
-- probe after it, are for leads: a stop does not wait for them.
local function cools_until(a, group)
  return (group ~= 'control' or a.cool_why ~= 'failed') and num(a.cool) or 0
end

local function rescore_account(acct)
  local a = get(acct_key(acct), 'hold', 'cool', 'cool_why')
  local at
  for _, group in ipairs({ 'control', 'leads' }) do
    local first = redis.call('ZRANGE', due_key(acct, group), 0, 0, 'WITHSCORES')[2]
    if first then at = math.min(at or math.huge, math.max(num(first), cools_until(a, group))) end
  end
  if at and not a.hold then redis.call('ZADD', P .. ':accounts', at, acct)
  else redis.call('ZREM', P .. ':accounts', acct) end
end

-- Each rate window of an account is a GCRA: gcra holds "T:tolerance,..." in ms, tat<i> its state.
-- A tat further away than a taken slot can put it (the clock went back) is pulled in, once and for good: to
-- pull in only what is read would keep it that far away for ever.
local function each_window(acct, gcra, visit)
  local i = 0
  for t, tolerance in string.gmatch(gcra or '', '([%d.]+):([%d.]+)') do
    i = i + 1
    local step, slack = num(t), num(tolerance)
    local tat = math.max(num(redis.call('HGET', acct_key(acct), 'tat' .. i)), now)
    if tat > now + slack + step + 1 then
      tat = now + slack + step
      redis.call('HSET', acct_key(acct), 'tat' .. i, tat)
    end
    visit('tat' .. i, tat, step, slack)
  end
end

-- When one more turn of the account may begin, `ahead` of them being called already; now if at once.
local function admitted_at(acct, group, ahead)
  local a = get(acct_key(acct), 'hold', 'cool', 'cool_why', 'probe', 'gcra', 'flight')
  if a.hold then return now + CALL_MS end
  if cools_until(a, group) > now then return num(a.cool) end
  if a.probe and group ~= 'control' and (a.probe ~= 'due' or ahead > 0) then return now + 500 end
  local cap = num(a.flight)
  if cap > 0 then
    if cap > 1 and group ~= 'control' then cap = cap - 1 end
    if redis.call('SCARD', P .. ':flight:' .. acct) + ahead >= cap then return now + 500 end
  end
  local at = now
  each_window(acct, a.gcra, function(_, tat, step, slack) at = math.max(at, math.ceil(tat + ahead * step - slack)) end)
  return at
end

local function take_slot(acct)
  each_window(acct, redis.call('HGET', acct_key(acct), 'gcra') or '', function(field, tat, step)
    redis.call('HSET', acct_key(acct), field, string.format('%.3f', tat + step))
  end)
end

-- Outcomes and jobs ---------------------------------------------------------------------------

local enter_kept             -- below: it needs what stands between

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

-- Tickets -------------------------------------------------------------------------------------

local function uncall(id, acct, group)
  redis.call('ZREM', P .. ':calls:' .. queue_of(group), id)
  redis.call('ZREM', P .. ':called:' .. acct, id)
end

-- Opt-outs ------------------------------------------------------------------------------------

-- A scope that the lane lies in and that has opt-outs which are not yet kept from calls, or nil.
local function hushed_by(lane)
  local rest = string.match(lane, '^leads/(.+)$')
  if not rest then return nil end
  local scopes = { 'campaign/' .. rest, 'account/' .. (string.match(rest, '^[^/]*/[^/]*') or rest), 'all' }
  local key = P .. ':unturned:'
  if redis.call('EXISTS', key .. scopes[1], key .. scopes[2], key .. scopes[3]) == 0 then return nil end
  for _, scope in ipairs(scopes) do if redis.call('EXISTS', key .. scope) == 1 then return scope end end
end

local rescore                -- below

-- A ticket is over: of an opt-out no number stays, and if it was the last of its scope the lanes go on.
local function turned(id)
  local t = get(ticket_key(id), 'acct', 'unturned')
  if t.acct ~= NOBODY then return end
  redis.call('DEL', P .. ':pay:' .. id)
  local scope, key = t.unturned, P .. ':unturned:' .. (t.unturned or '')
  if not scope or redis.call('SREM', key, id) == 0 or redis.call('EXISTS', key) == 1 then return end
  local lanes = redis.call('SMEMBERS', P .. ':hushed:' .. scope)
  redis.call('DEL', P .. ':hushed:' .. scope)
  for _, lane in ipairs(lanes) do rescore(lane) end
end

local function expire_ticket(id)
  for _, part in ipairs({ ':t:', ':pay:', ':out:', ':why:', ':pieces:' }) do redis.call('PEXPIRE', P .. part .. id, retention) end
end

local function set_done(id, job, how, own)
  redis.call('HSET', ticket_key(id), 'state', 'done', 'end', how, 'ended', now)
  redis.call('HDEL', ticket_key(id), 'token', 'search', 'cancel', 'resent')
  expire_ticket(id)
  redis.call('HINCRBY', P .. ':job:' .. job, 'done', 1)
  end_job_if_over(job)
  turned(id)
  return to_finish(id, own, how == 'ok' and CALL_MS or 0)
end

local function set_dead(id, job, size, reason, own)
  local codes = redis.call('GET', P .. ':out:' .. id) or string.rep('.', size)
  local pending = pending_of(codes)
  redis.call('HSET', ticket_key(id), 'state', 'dead', 'reason', reason, 'ended', now, 'pending', pending)
  redis.call('HDEL', ticket_key(id), 'token')
  redis.call('ZADD', P .. ':dead', now, id)
  redis.call('HINCRBY', P .. ':job:' .. job, 'dead_tickets', 1)
  redis.call('HINCRBY', P .. ':job:' .. job, 'dead', pending)
  end_job_if_over(job)
  return to_finish(id, own, 0)
end

-- Ends a ticket without a turn: unsent leads get `code`; those of an unanswered attempt are uncertain, also if
-- a person had them sent again since.
local function end_unsent(id, code, how)
  local t = get(ticket_key(id), 'job', 'n', 'open', 'lost', 'resent', 'state')
  local codes = redis.call('GET', P .. ':out:' .. id) or string.rep('.', num(t.n))
  codes = string.gsub(string.gsub(codes, '[~,]', '?'), ':', 'd')
  codes = string.gsub(codes, '%.', (t.open or t.lost or t.resent) and '?' or code)
  record(id, t.job, num(t.n), codes)
  if t.state == 'dead' then
    redis.call('HINCRBY', P .. ':job:' .. t.job, 'dead_tickets', -1)
    redis.call('ZREM', P .. ':dead', id)
  end
  set_done(id, t.job, how)
end

-- The job is no longer over, and nothing of it has a clock.
local function reopen_job(job)
  local key = P .. ':job:' .. job
  redis.call('HDEL', key, 'ended')
  redis.call('PERSIST', key)
  redis.call('PERSIST', P .. ':batches:' .. job)
  redis.call('PERSIST', P .. ':key:' .. (redis.call('HGET', key, 'key') or ''))
end

-- The place behind all that wait in the lane now, as a new ticket gets it: of kind import, or other (an update or
-- removal: a barrier that later imports do not pass).
local function join(lane, kind, class)
  local l = get(lane_key(lane), 'state', 'epoch', 'kind', 'seq')
  local epoch, seq = num(l.epoch), num(l.seq) + 1
  if l.kind and l.kind ~= kind then epoch = epoch + 1 end
  if kind ~= 'import' then class = 0 end
  if redis.call('EXISTS', P .. ':wait:' .. lane) == 0 and (l.state or 'idle') == 'idle' then epoch, seq = 0, 1 end
  redis.call('HSET', lane_key(lane), 'epoch', epoch, 'kind', kind, 'seq', seq)
  return (epoch * 3 + class) * SEQ + seq
end

-- Whether a newer command than this one has come; of tickets that are no commands never.
local function overtaken(lane, id)
  local seq = redis.call('HGET', ticket_key(id), 'seq')
  if not seq then return false end
  local l = get(lane_key(lane), 'want', 'want_seq')
  return l.want ~= id and num(seq) <= num(l.want_seq)
end

-- Ends a command that was overtaken.
local function set_superseded(id, job)
  record(id, job, 1, 'o')
  return set_done(id, job, 'superseded')
end

local function wait_again(lane, id, place) redis.call('ZADD', P .. ':wait:' .. lane, place, id) end

-- Lanes ---------------------------------------------------------------------------------------

-- The ticket whose turn is next, or nil. Expired ones met on the way end here.
-- Every tenth turn goes to the bulk class if the head's epoch has such a ticket.
local function head(lane)
  local wait = P .. ':wait:' .. lane
  while true do
    local first = redis.call('ZRANGE', wait, 0, 0, 'WITHSCORES')
    local id = first[1]
    if not id then return nil end
    if num(first[2]) >= 0 and num(redis.call('HGET', lane_key(lane), 'turns')) % BULK_TURN == BULK_TURN - 1 then
      local band = (math.floor(num(first[2]) / (3 * SEQ)) * 3 + 2) * SEQ
      id = redis.call('ZRANGEBYSCORE', wait, band, band + SEQ - 1, 'LIMIT', 0, 1)[1] or id
    end
    local expires = redis.call('HGET', ticket_key(id), 'expires')
    if not expires or num(expires) > now then return id end
    redis.call('ZREM', wait, id)
    end_unsent(id, 'e', 'expired')
  end
end

-- From now on the lane is of this account: the one of its due head, or of its turn.
local function belong(lane, l, acct)
  if l.acct == acct then return end
  if l.acct then
    redis.call('ZREM', due_key(l.acct, l.group), lane)
    rescore_account(l.acct)
  end
  redis.call('HSET', lane_key(lane), 'acct', acct)
end

-- Puts the lane where its next action belongs, and its account with it. A lane that is called or held stands
-- apart from the due ones: calls get overdue and turns end also while their account is held, cools or has no
-- slot, or what they occupy would never be free again.
function rescore(lane)
  local l = get(lane_key(lane), 'state', 'hold', 'next', 'until', 'acct', 'group')
  if not l.state then return end
  if l.state ~= 'idle' then
    redis.call('ZADD', P .. ':timers', num(l['until']), lane)
    if redis.call('ZREM', due_key(l.acct, l.group), lane) == 1 then rescore_account(l.acct) end
    return
  end
  redis.call('ZREM', P .. ':timers', lane)
  local acct, at
  if not l.hold then
    local id = head(lane)
    if id then
      local t = get(ticket_key(id), 'acct', 'op', 'not_before')
      acct, at = t.acct, math.max(num(l.next), num(t.not_before))
      if redis.call('HEXISTS', acct_key(acct), 'hold:' .. t.op) == 1 then
        redis.call('ZADD', P .. ':held:' .. acct .. ':' .. t.op, at, lane)
        at = nil
      end
      local scope = at and hushed_by(lane)
      if scope then
        redis.call('SADD', P .. ':hushed:' .. scope, lane)
        at = nil
      end
    end
  end
  if at then
    belong(lane, l, acct)
    redis.call('ZADD', due_key(acct, l.group), at, lane)
    rescore_account(acct)
  elseif l.acct and redis.call('ZREM', due_key(l.acct, l.group), lane) == 1 then rescore_account(l.acct) end
end

local function hold_lane(lane, reason)
  if reason == '' then
    redis.call('HDEL', lane_key(lane), 'hold')
    redis.call('SREM', P .. ':holds', lane)
  else
    redis.call('HSET', lane_key(lane), 'hold', reason)
    redis.call('SADD', P .. ':holds', lane)
  end
end

local function set_idle(lane)
  redis.call('HSET', lane_key(lane), 'state', 'idle')
  redis.call('HDEL', lane_key(lane), 'ticket', 'token', 'until', 'lease', 'deadline', 'cancel', 'hurry')
end

-- What a publisher needs: id, queue, call number, operation, account, campaign, job, leads, class, signature.
local function call_row(id, queue, number)
  local t = redis.call('HMGET', ticket_key(id), 'op', 'acct', 'campaign', 'job', 'n', 'class', 'sig')
  return { id, queue, number, t[1], t[2], t[3], t[4], t[5], t[6], t[7] or '' }
end

local function mark_called(lane, id, acct, group)
  local queue = queue_of(group)
  local number = redis.call('INCR', P .. ':callno:' .. queue)
  redis.call('HSET', ticket_key(id), 'state', 'called', 'call', number)
  belong(lane, get(lane_key(lane), 'acct', 'group'), acct)
  redis.call('HSET', lane_key(lane), 'state', 'called', 'ticket', id, 'until', now + CALL_MS)
  redis.call('ZADD', P .. ':calls:' .. queue, number, id)
  redis.call('ZADD', P .. ':called:' .. acct, number, id)
  rescore(lane)
  return call_row(id, queue, number)
end

-- The called ticket goes back to waiting; the lane is free again.
local function take_back_call(lane, id, acct, group)
  uncall(id, acct, group)
  redis.call('HSET', ticket_key(id), 'state', 'waiting')
  set_idle(lane)
  rescore(lane)
end

-- Calls the head if its turn has come and account, rate and slots admit it.
-- Returns the call row; or nil and, if something beyond the lane stands in the way,
-- 'account' with the time from which it may and its name, or 'slots', or 'quiet'.
local function try_call(lane)
  if now < quiet then return nil, 'quiet' end
  local l = get(lane_key(lane), 'state', 'hold', 'next', 'group')
  if l.state ~= 'idle' or l.hold then return nil end
  local id = head(lane)
  if not id then return nil end
  local t = get(ticket_key(id), 'acct', 'op', 'not_before')
  if math.max(num(l.next), num(t.not_before)) > now then return nil end
  if redis.call('HEXISTS', acct_key(t.acct), 'hold:' .. t.op) == 1 or hushed_by(lane) then return nil end
  local queue, ahead = queue_of(l.group), redis.call('ZCARD', P .. ':called:' .. t.acct)
  if l.group == 'control' then ahead = math.min(ahead, redis.call('ZCARD', P .. ':calls:control')) end  -- before all leads
  local at = admitted_at(t.acct, l.group, ahead)
  if at > now then return nil, 'account', at, t.acct end
  if redis.call('ZCARD', P .. ':calls:' .. queue) >= num(redis.call('HGET', P .. ':slots:' .. queue, 'sum')) then
    return nil, 'slots'
  end
  return mark_called(lane, id, t.acct, l.group)
end

-- A turn whose lease is over: its attempt has no answer. All aboard wait at their places again and
-- travel alone next time, so that a batch that kills its worker is found; where each lead is a call of its own, after
-- the second time, since so many turns take long.
local function end_turn(lane)
  local l = get(lane_key(lane), 'token', 'ticket', 'acct', 'next', 'lost', 'want_seq', 'one_by_one', 'began', 'gap', 'worker')
  local size = 0
  for _, id in ipairs(redis.call('LRANGE', P .. ':aboard:' .. lane, 0, -1)) do
    local t = get(ticket_key(id), 'token', 'place', 'cancel', 'job', 'size')
    if l.token and t.token == l.token then
      size = size + num(t.size)
      redis.call('HDEL', ticket_key(id), 'token')
      local alone = redis.call('HINCRBY', ticket_key(id), 'attempts', 1) > 1 or l.one_by_one ~= '1'
      if overtaken(lane, id) then set_superseded(id, t.job)
      elseif t.cancel then end_unsent(id, 'x', 'cancelled')
      else
        redis.call('HSET', ticket_key(id), 'state', 'waiting')
        if alone then redis.call('HSET', ticket_key(id), 'solo', 1) end
        wait_again(lane, id, t.place)
      end
    end
  end
  redis.call('DEL', P .. ':aboard:' .. lane)
  redis.call('SREM', P .. ':flight:' .. l.acct, lane)
  if redis.call('HGET', acct_key(l.acct), 'probe') == l.token then redis.call('HSET', acct_key(l.acct), 'probe', 'due') end
  -- A lost command delays no other: what comes after it is confirmed once it can no longer run.
  local t = get(ticket_key(l.ticket), 'op', 'seq')
  local op = t.op or ''                                                     -- '' if the server forgot the ticket
  if l.token and l.acct ~= NOBODY then
    -- What its worker may still tell of the call overrides this; calls of one lead each have told of themselves.
    local one_by_one = l.one_by_one == '1'
    note(lane, l.acct, l.token, l.worker, { n = one_by_one and 0 or 1, op = op, size = one_by_one and 0 or size,
      began = now - (tonumber(l.began) or now), ended = now - num(l.lost) + num(l.gap), answer = 'lost' }, t.seq)
  end
  if l.want_seq then redis.call('HSET', lane_key(lane), 'unsure:' .. op, num(l.lost))
  else redis.call('HSET', lane_key(lane), 'next', math.max(num(l.next), num(l.lost))) end
  set_idle(lane)
end

-- Commands: the newest word about a campaign's state is what is wanted ---------------------------

-- The sequence of a command: as given, or after all that were given before.
local function sequence(lane, given)
  local last = num(redis.call('HGET', lane_key(lane), 'last_seq'))
  local micros = time[1] * 1000000 + time[2] + (tonumber(clock[1]) or 0) * 1000
  local seq = given > 0 and given or math.max(last + 1, micros)
  if seq > last then redis.call('HSET', lane_key(lane), 'last_seq', string.format('%.0f', seq)) end
  return string.format('%.0f', seq)
end

-- Ends a command that has not left: a newer word came.
local function supersede(lane, id)
  local t = get(ticket_key(id), 'state', 'acct', 'job')
  if t.state == 'done' then return end
  redis.call('ZREM', P .. ':wait:' .. lane, id)
  redis.call('SREM', P .. ':kept:' .. lane, id)
  if t.state == 'called' then uncall(id, t.acct, 'control') set_idle(lane) end
  set_superseded(id, t.job)
end

-- What this command says is wanted from now on, and older words that have not left end here; unless a newer one was
-- there. Of two with one sequence the later to come is newer, but not one that is only said `again`.
-- Returns whether it is wanted now and was not before.
local function want(lane, id, seq, again)
  local last = num(redis.call('HGET', lane_key(lane), 'want_seq'))
  if num(seq) < last or (again and num(seq) == last) then return false end
  redis.call('HSET', lane_key(lane), 'want', id, 'want_seq', seq)
  for _, ids in ipairs({ redis.call('ZRANGE', P .. ':wait:' .. lane, 0, -1), redis.call('SMEMBERS', P .. ':kept:' .. lane) }) do
    for _, other in ipairs(ids) do
      if other ~= id and num(redis.call('HGET', ticket_key(other), 'seq')) <= num(seq) then supersede(lane, other) end
    end
  end
  return true
end

-- Puts a command into its lane, or ends it if a newer one was there.
local function intend(lane, id)
  local t = get(ticket_key(id), 'op', 'seq', 'place')
  redis.call('HSET', ticket_key(id), 'state', 'waiting')
  wait_again(lane, id, t.place)
  if not want(lane, id, t.seq) then supersede(lane, id)
  -- What quiets a campaign waits for a call under way no longer than its lease, which is not renewed.
  elseif t.op ~= 'start' and redis.call('HGET', lane_key(lane), 'state') == 'held' then
    redis.call('HSET', lane_key(lane), 'hurry', 1)
  end
  rescore(lane)
end

-- The job that a command waited for is over.
function enter_kept(id)
  local t = get(ticket_key(id), 'state', 'lane')
  if t.state ~= 'kept' then return end
  redis.call('SREM', P .. ':kept:' .. t.lane, id)
  intend(t.lane, id)
end

-- A ticket that was done or dead waits again, as if it had come now: behind all that wait, with new attempts and
-- no time of its own to end. What waits for its task has been told its end already, or is told the new one.
local function revive(id)
  local t = get(ticket_key(id), 'state', 'lane', 'job', 'op', 'class', 'pending', 'seq')
  local job = P .. ':job:' .. t.job
  if t.state == 'dead' then
    redis.call('ZREM', P .. ':dead', id)
    redis.call('HINCRBY', job, 'dead_tickets', -1)
    redis.call('HINCRBY', job, 'dead', -num(t.pending))
  else
    redis.call('HINCRBY', job, 'done', -1)
    redis.call('HDEL', ticket_key(id), 'open', 'lost')       -- its codes say what is known
  end
  reopen_job(t.job)
  for _, part in ipairs({ ':t:', ':pay:', ':out:', ':why:', ':pieces:' }) do redis.call('PERSIST', P .. part .. id) end
  if redis.call('ZREM', P .. ':finish', id) == 0 and is_whole(id) then redis.call('HDEL', ticket_key(id), 'links') end
  redis.call('HDEL', ticket_key(id), 'end', 'ended', 'pending', 'reason', 'attempts', 'first', 'not_before', 'conflicts',
    'search', 'vain', 'cancel', 'expires')
  local group = redis.call('HGET', lane_key(t.lane), 'group')
  local kind = t.op == 'import' and group == 'leads' and 'import' or 'other'
  local place = join(t.lane, kind, ({ urgent = 0, normal = 1, bulk = 2 })[t.class] or 1)
  redis.call('HSET', ticket_key(id), 'state', 'waiting', 'place', place)
  if t.seq then return intend(t.lane, id) end
  wait_again(t.lane, id, place)
  rescore(t.lane)
end
