-- made.lua: the call ledger.

-- Writes a call to a dialer: c is {n: it is the n-th of its turn, op, size, began and ended as ms ago, answer: status,
-- 'none', or 'lost' if its worker never told, wall: what the worker's clock says now, if it told}. Calls that are
-- written twice have one name, token/n. Which server wrote it, and how far its clock is before the worker's, tells the
-- times of one server from those of another.
local function note(lane, acct, token, worker, c, seq)
  redis.call('XADD', P .. ':made', 'MAXLEN', '~', tonumber(clock[4]) or 100000, '*', 'lane', lane, 'acct', acct,
    'op', c.op, 'size', c.size, 'start', now - c.began, 'ms', c.began - c.ended, 'answer', c.answer,
    'call', token .. '/' .. c.n, 'worker', worker or '', 'seq', seq or '',
    'run', string.sub(clock[6] or '', 1, 8), 'skew', c.wall and now - c.wall or '')
end

-- Keeps how long a leads call of the account takes, in ms: what is `known`, moved a fifth of the way to the latest.
local function keep_pace(acct, known, ms)
  if ms < 0 then return end                         -- the clock went back
  redis.call('HSET', acct_key(acct), 'call_ms', string.format('%.0f', known and num(known) * 0.8 + ms * 0.2 or ms))
end
